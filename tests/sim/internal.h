/* SPDX-License-Identifier: Apache-2.0
 * What the simulator's parts call of each other, by file. The checkers come last; each file of
 * theirs says its rule in words. */
#ifndef SLUICE_TESTS_SIM_INTERNAL_H
#define SLUICE_TESTS_SIM_INTERNAL_H

#include "tests/sim/site.h"

/* ---- world.c: life, time, queue ---- */
void sim_at(struct sim *sim, int64_t at_ns, void (*run)(struct sim *, struct sim_event *),
            uint32_t host, uint64_t a, uint64_t b);
/* The same with bytes; takes `data` over. Of the host's present process when `own`. */
void sim_at_data(struct sim *sim, const struct sim_event *event);
/* Operations that the host's disk has failed so far because it was told to. */
uint64_t sim_host_hurt(const struct sim *sim, uint32_t host);
struct sl_now sim_host_now(const struct sim *sim, uint32_t host);
/* Observer's time at which the host's clock will have reached mono_ns; not before now. */
int64_t sim_host_when(const struct sim *sim, uint32_t host, int64_t mono_ns);
void sim_host_reboot_clock(struct sim *sim, uint32_t host);
void sim_count(struct sim *sim, enum sim_fault what);
/* The run is over: `rule` is broken. Only the first is kept. */
void sim_break(struct sim *sim, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds to the digest of the run. */
void sim_digest(struct sim *sim, uint64_t tag, const void *data, size_t size);
void sim_story(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- broker.c, broker_commands.c ---- */
void sim_broker_start(struct sim *sim);
/* The process is gone; power: what was not synced with it. */
void sim_broker_crash(struct sim *sim, bool power, bool tear);
void sim_broker_step(struct sim *sim, struct sl_core_event *event);
void sim_broker_timer(struct sim *sim);
void sim_broker_read(struct sim *sim); /* all messages that wait in its link */
void sim_broker_commands(struct sim *sim);
void sim_broker_down(struct sim *sim); /* frees the process's memory */
void sim_broker_restart_soon(struct sim *sim, int64_t after_ms);
void sim_broker_commit_soon(struct sim *sim);
/* After an older backup was put in place, before the start: what `sluice-broker restore` does. */
void sim_broker_restored(struct sim *sim);

/* ---- agent.c, agent_commands.c, stratum.c ---- */
void sim_agent_start(struct sim *sim, uint32_t i);
void sim_agent_crash(struct sim *sim, uint32_t i, bool power, bool tear);
void sim_agent_live(struct sim *sim, uint32_t i); /* timers and devices that are due */
void sim_agent_read(struct sim *sim, uint32_t i);
void sim_agent_commands(struct sim *sim, uint32_t i);
void sim_agent_down(struct sim *sim, uint32_t i);
void sim_agent_schedule(struct sim *sim, uint32_t i);
void sim_agent_restart_soon(struct sim *sim, uint32_t i, int64_t after_ms);
/* Agents of the version before are stopped and come back as of this one. */
void sim_agents_update(struct sim *sim);
/* stratum.c: the one file that sees the Stratum client's header. */
int sim_agent_core_create(struct sl_agent_config *config, const char *user,
                          struct sl_agent_core **ret_core, struct sl_error *err);

/* ---- net.c ---- */
void sim_net_up(struct sim *sim, uint32_t agent, const uint8_t *data, size_t size);
void sim_net_down(struct sim *sim, const struct sl_link_peer *peer, const uint8_t *data,
                  size_t size);
uint32_t sim_agent_by_key(const struct sim *sim, const char *key);

/* ---- pool.c ---- */
void sim_pools_create(struct sim *sim);
void sim_pools_destroy(struct sim *sim);
/* link: as the agent's commands name it. */
void sim_pool_connect(struct sim *sim, uint32_t link, uint32_t agent);
void sim_pool_input(struct sim *sim, uint32_t link, uint32_t agent, const char *data, size_t size);
void sim_pool_hung_up(struct sim *sim, uint32_t link, uint32_t agent);
void sim_pools_hung_up(struct sim *sim, uint32_t agent); /* its process is gone */
void sim_pool_strike(struct sim *sim, enum sim_fault fault, int64_t until_ns);
void sim_pools_heal(struct sim *sim);
struct sim_pool_counts {
    uint64_t accepted, stale, rejected;
    uint64_t work; /* expected hashes of the accepted ones */
};
struct sim_pool_counts sim_pool_counts(const struct sim *sim, uint32_t pool, uint32_t agent);
extern const char *const sim_pool_names[SIM_POOLS]; /* check_pools.c */

/* ---- feeds.c, people.c, nemesis.c ---- */
void sim_feeds_start(struct sim *sim);
bool sim_feed_is_fresh(const struct sim *sim, uint32_t feed, int64_t wall_ms);
void sim_feeds_strike(struct sim *sim, enum sim_fault fault, int64_t until_ns);
void sim_feeds_forget(struct sim *sim); /* the broker started anew: nobody told it anything yet */
void sim_people_start(struct sim *sim);
void sim_people_reply(struct sim *sim, uint64_t cookie, int status, const char *text);
void sim_people_calm(struct sim *sim);
struct sim_batch *sim_batch_find(struct sim *sim, const char *id);
/* The line's text into out; its length. Tokens are its length plus two. */
uint32_t sim_line_text(const struct sim *sim, uint32_t batch, uint32_t line, char *out,
                       size_t size);
/* A line that validation refuses: no JSON, say. */
/* The first input is the line's text, the others are short ends of it, from here on. */
uint32_t sim_line_inputs(const struct sim *sim, uint32_t batch, uint32_t line);
uint32_t sim_input_start(uint32_t bytes, uint32_t input);
uint32_t sim_line_tokens(const struct sim *sim, uint32_t batch, uint32_t line);
bool sim_line_is_refused(const struct sim *sim, uint32_t batch, uint32_t line);
/* Its tenant sends token ids in place of texts: one a byte of what the text would be. */
bool sim_batch_has_ids(const struct sim *sim, uint32_t batch);
/* joining.c */
#define SIM_JOINING_COOKIE (UINT64_C(9) << 56)
void sim_joining_start(struct sim *sim);
void sim_joining_reply(struct sim *sim, uint64_t cookie, int status, const char *text);
void sim_joining_answer(struct sim *sim, const struct sl_core_command *command);
void sim_joining_heard(struct sim *sim, const struct sl_link_peer *peer, const struct sl_msg *msg);
void sim_joining_op(struct sim *sim, const struct sl_op *op);
void sim_joining_check(struct sim *sim, bool restored);
void sim_nemesis_start(struct sim *sim);
void sim_nemesis_heal(struct sim *sim);

/* ---- model.c: what is durable ---- */
void sim_model_submitted(struct sim *sim, const struct sl_txn *txn);
void sim_model_durable(struct sim *sim, uint64_t ticket);
void sim_model_crashed(struct sim *sim);
/* After a start: all that was durable must be in the store; the store's rows are what is now. */
void sim_model_check_store(struct sim *sim, bool restored);

bool sim_model_has_directive(const struct sim *sim, const char *device, uint64_t epoch);
bool sim_model_has_share(const struct sim *sim, const char *node_key, uint64_t id);
bool sim_model_has_unit(const struct sim *sim, uint64_t id);

/* ---- checkers; each file says its rule in words ---- */
/* check_owner.c */
void sim_check_grant(struct sim *sim, uint32_t agent, const struct sl_msg *msg);
void sim_check_heard(struct sim *sim, uint32_t agent, const struct sl_msg *msg);
void sim_check_welcomed(struct sim *sim, uint32_t agent);
void sim_check_post(struct sim *sim, uint32_t agent, uint32_t device,
                    const struct sl_device_cmd *cmd);
void sim_check_journal(struct sim *sim, uint32_t agent, const struct sl_agent_cmd *cmd);
void sim_check_journalled(struct sim *sim, uint32_t agent, uint64_t ticket);
void sim_check_agent_started(struct sim *sim, uint32_t agent);
void sim_check_lease(struct sim *sim, uint32_t agent);
void sim_check_health(struct sim *sim, uint32_t agent, const struct sl_msg *msg, bool stale);
/* check_lines.c */
void sim_check_order_of_ops(struct sim *sim, const struct sl_op *op);
void sim_check_orders_reset(struct sim *sim);
void sim_check_unit(struct sim *sim, const struct sl_unit_row *unit);
void sim_check_ack(struct sim *sim, uint32_t agent, const struct sl_msg *msg);
void sim_check_arrival(struct sim *sim, uint32_t agent, const struct sl_msg *msg);
/* check_prices.c, check_text.c */
void sim_check_policy(struct sim *sim, const struct sl_directive_row *row);
void sim_check_decided(struct sim *sim, const struct sl_directive_row *row);
void sim_check_hashprice(struct sim *sim); /* a feed said something good */
void sim_check_share_price(struct sim *sim, const struct sl_share_row *row);
void sim_check_text(struct sim *sim, uint32_t host, const char *event, const char *text);
/* check_power.c */
void sim_power_draw(struct sim *sim, struct sl_core_config *config); /* caps and strike prices */
void sim_power_feed(struct sim *sim, uint32_t feed, struct sl_core_event *event);
void sim_power_start(struct sim *sim);
void sim_check_applied(struct sim *sim); /* after a device may have changed what it does */
void sim_power_note(struct sim *sim, const struct sl_directive_row *row); /* counts the paths */
bool sim_power_excuses(const struct sim *sim, const char *rule);          /* idle at the end */
/* sensors.c */
void sim_sensors_start(struct sim *sim);
void sim_sensors_heard(struct sim *sim, uint32_t agent, uint32_t k,
                       const struct sl_msg_device *device);
void sim_sensors_grant(struct sim *sim, uint32_t agent, uint32_t k,
                       const struct sl_msg_directive *d);
/* retests.c: on in this run; what the broker writes of a device's health, and finds at a start. */
int64_t sim_retest_ms(const struct sim *sim);
void sim_retests_watch(struct sim *sim, uint32_t agent, uint32_t k);
void sim_retests_heard(struct sim *sim, uint32_t agent, uint32_t k,
                       const struct sl_msg_device *device);
void sim_retests_grant(struct sim *sim, uint32_t agent, uint32_t k,
                       const struct sl_msg_directive *d);
void sim_retests_written(struct sim *sim, const struct sl_health_row *row);
void sim_retests_found(struct sim *sim, const char *device, enum sl_health_state state);
void sim_retests_pardoned(struct sim *sim, uint32_t agent);
/* Index of a device of the agent, by its key; SIM_NOBODY: it has none such. */
uint32_t sim_device_index(const struct sim *sim, uint32_t agent, const char *key);
/* A person asks for a node's resume: its devices are trusted again. */
void sim_sensors_forgiven(struct sim *sim, uint32_t agent);
/* check_store.c (batches, ledger, shares, power: from the file), check_settled.c (progress) */
void sim_check_store(struct sim *sim);
void sim_check_power_price(struct sim *sim, int64_t price_nusd_per_kwh);
void sim_check_settled(struct sim *sim);
/* check_pools.c: drawn for the site, and what holds at its end */
void sim_pools_draw(struct sim *sim, struct sl_core_config *config);
void sim_check_pools(struct sim *sim);

#endif
