/* SPDX-License-Identifier: Apache-2.0
 * The agent's shell: the libuv loop around the core. It turns the link, devices, journal,
 * tokenizer, pool socket and clock into events, and carries out the core's commands.
 *
 * Thread: all members belong to the loop's thread; others only put into the mailboxes. */
#ifndef SLUICE_AGENT_SHELL_AGENT_H
#define SLUICE_AGENT_SHELL_AGENT_H

#include <uv.h>

#include "agent/core/core.h"
#include "agent/device/discover.h"
#include "agent/executors/model_set.h"
#include "agent/journal/journal.h"
#include "agent/shell/config.h"
#include "agent/shell/held.h"
#include "agent/shell/later.h"
#include "agent/shell/pool_link.h"
#include "agent/shell/pool_tls.h"
#include "agent/shell/server_key.h"
#include "agent/shell/tokenizer.h"
#include "agent/stratum/failover.h"
#include "agent/telemetry/telemetry.h"
#include "proto/base/mailbox.h"
#include "proto/link/link.h"

struct sl_msg_arena;

/* One address of one pool. */
struct sl_agent_pool_link {
    struct sl_agent *agent;
    uint32_t index; /* by which the core names it */
    struct sl_pool_link link;
};

struct sl_agent {
    struct sl_agent_options options;
    bool tune_again;       /* what was tuned and measured earlier does not count */
    uint32_t fake_devices; /* tests: scripted devices in place of OpenCL's */
    const char *fake_gpus; /* tests: "PCI/UUID,..." makes them look like GPUs; NULL: CPUs */
    struct sl_link_keys keys;
    struct sl_server_keys server_keys; /* of the broker */
    struct sl_journal *journal;
    struct sl_model_set *models;
    struct sl_discovery *discovery; /* NULL with fake devices */
    struct sl_telemetry *telemetry;
    uv_timer_t sensors;
    struct sl_agent_core *core;
    struct sl_tokenizer *tokenizer;
    struct sl_model_watch *model_watch;
    char model_trouble[SL_MSG_TEXT_MAX]; /* which models could not be loaded, and why */
    struct sl_link *link;
    struct sl_msg_arena *arena;
    struct sl_buf bundle;       /* copy of the message that is read, where it has several in it */
    struct sl_mailbox *events;  /* of struct sl_device_event */
    struct sl_mailbox *durable; /* of struct sl_journal_done */
    uint32_t device_count;
    struct sl_device *devices[SL_AGENT_DEVICES_MAX];
    struct sl_held_posts held[SL_AGENT_DEVICES_MAX];
    uint32_t held_count;
    struct sl_later later;
    struct sl_agent_pool_link pool_links[SL_AGENT_POOLS_MAX * SL_AGENT_LINKS_MAX];
    struct sl_pool_link_options pool_options[SL_AGENT_POOLS_MAX]; /* secrets: wiped at the end */
    struct sl_pool_trust *pool_trust[SL_AGENT_POOLS_MAX];         /* NULL: no TLS */
    uint64_t sends_lost;
    struct sl_mono lost_logged; /* when the last warning about it was written */
    uv_loop_t loop;
    bool loop_open;
    bool resolving; /* after the end: a thread of libuv still resolves a name for the loop */
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_poll_t link_poll;
    uv_poll_t events_poll;
    uv_poll_t durable_poll;
    uv_poll_t tokens_poll;
    uv_signal_t signals[2];
    bool stop_asked;
    bool renew_link; /* the key is another one: at the next turn */
    bool renewing;
    int exit_code;
};

/* start.c: opens everything in an order in which the cheap refusals come first. sl_agent_fini
 * undoes it in any state: devices halted and joined, journal flushed. */
int sl_agent_start_up(struct sl_agent *agent, struct sl_error *err);
void sl_agent_fini(struct sl_agent *agent);
/* What can be loaded; fails where no work at all is left. */
int sl_agent_load_models(struct sl_agent *agent, struct sl_error *err);
/* For --check-config: all of them, and forgets them again. */
int sl_agent_check_models(struct sl_agent *agent, struct sl_error *err);
int sl_agent_open_journal(struct sl_agent *agent, struct sl_error *err);
/* tune.c: prepares the devices, prints what they can do, and returns; then sl_agent_fini. */
int sl_agent_tune(struct sl_agent *agent, struct sl_error *err);
/* setup.c: creates the core and replays the journal into it. */
int sl_agent_create_core(struct sl_agent *agent, const struct sl_agent_device_config *devices,
                         struct sl_error *err);
/* For --check-config: looks at data_dir and the broker's address, reads the agent's key and what
 * its pools need (passwords, authorities) as the start does, and forgets them again. `bad` hears of
 * each that cannot be used; returns how many. */
typedef void (*sl_agent_bad_fn)(void *context, const struct sl_error *why);
uint32_t sl_agent_check_files(struct sl_agent *agent, sl_agent_bad_fn bad, void *context);
/* devices.c: OpenCL's devices, or fake ones. Fills the infos first, then (create) makes them. */
int sl_agent_find_devices(struct sl_agent *agent, struct sl_agent_device_config *ret_devices,
                          struct sl_error *err);
int sl_agent_create_devices(struct sl_agent *agent, struct sl_error *err);
/* Fake devices live on the loop: lets them act until now; when they act next (ns; INT64_MAX). */
void sl_agent_fake_advance(struct sl_agent *agent);
int64_t sl_agent_fake_next_ns(const struct sl_agent *agent);
/* sensors.c: opens the sensors of the devices, and reads them from then on. */
int sl_agent_sensors_open(struct sl_agent *agent, const struct sl_agent_device_config *devices,
                          struct sl_error *err);
void sl_agent_sensors_start(struct sl_agent *agent);
/* loop.c */
int sl_agent_loop_init(struct sl_agent *agent, struct sl_error *err);
int sl_agent_loop_run(struct sl_agent *agent);
void sl_agent_loop_fini(struct sl_agent *agent);
int sl_agent_watch_link(struct sl_agent *agent, struct sl_error *err);
/* start.c: with the present keys. */
int sl_agent_open_link(struct sl_agent *agent, struct sl_error *err);
/* server_key.c: reads what the broker said earlier; takes what a welcome says, tells the core. */
void sl_agent_server_keys_open(struct sl_agent *agent);
void sl_agent_server_key_said(struct sl_agent *agent, const char *said);
/* rotate.c */
void sl_agent_make_key(struct sl_agent *agent, uint64_t rotation);
void sl_agent_use_key(struct sl_agent *agent, const char *public_key);
void sl_agent_renew_link(struct sl_agent *agent);
/* commands.c: carries out everything that the core wants done now. */
void sl_agent_carry_out(struct sl_agent *agent);
/* Between the two, what may wait is kept (later.h). */
void sl_agent_burst_begin(struct sl_agent *agent);
void sl_agent_burst_end(struct sl_agent *agent);
/* Tries what a device's mailbox had no room for. */
void sl_agent_post_held(struct sl_agent *agent);
void sl_agent_drop_held(struct sl_agent *agent);
extern const struct sl_pool_link_ops sl_agent_pool_ops;

#endif
