/* SPDX-License-Identifier: Apache-2.0
 * A core with a made-up world around it: a store that keeps the real one's rules, agents that are
 * only messages, a clock that a test moves. Every broken rule fails the running test. */
#ifndef SLUICE_TESTS_UNIT_BROKER_CORE_WORLD_H
#define SLUICE_TESTS_UNIT_BROKER_CORE_WORLD_H

#include "broker/core/core.h"
#include "broker/core/core_internal.h"
#include "broker/core/view.h"

#define WORLD_TXNS 256
#define WORLD_SENT 4096
#define WORLD_LINES 4096
#define WORLD_SHARES 4096

struct world_result {
    char batch[SL_ID_MAX];
    uint32_t line;
    enum sl_line_status status;
    int64_t amount;
    uint32_t dim;
};
struct world_store {
    struct sl_device_row devices[144];
    uint32_t device_count;
    struct sl_directive_row directives[4096];
    uint32_t directive_count;
    struct sl_unit_row units[8192];
    uint32_t unit_count;
    struct world_result results[WORLD_LINES];
    uint32_t result_count;
    struct sl_share_row shares[WORLD_SHARES];
    uint32_t share_count;
    struct sl_batch_row batches[64]; /* without metadata and errors */
    uint32_t batch_count;
    struct sl_account_row accounts[64];
    uint32_t account_count;
    struct sl_override_row overrides[64];
    uint32_t override_count;
    struct sl_enrolment_row tokens[64];
    uint32_t token_count;
    struct sl_agent_row agents[64];
    uint32_t agent_count;
    struct sl_retired_row retired[64];
    uint32_t retired_count;
    struct sl_op_meta metas[64];
    uint32_t meta_count;
    struct sl_file_row files[64];
    uint32_t file_count;
    struct sl_settlement_row settlements[64];
    uint32_t settlement_count;
    struct sl_pool_row pools[80];
    uint32_t pool_count;
    uint64_t transfer_id;
    uint32_t audits;
    uint32_t event_count; /* the newest are kept */
    struct sl_event_row events[64];
    uint32_t health_count;
    struct sl_health_row health[64];
    uint32_t prices;
    sl_i128 line_postings, share_postings;
};

struct world {
    struct sl_broker_core *core;
    struct sl_core_config config;
    struct sl_now now;
    bool hold;   /* commits wait until world_commit */
    bool tokens; /* batches have token inputs */
    /* Each byte of the SHA-256 that the agent with this letter says, with devices and results. */
    int64_t output_life_ms; /* of batches to come */
    uint8_t files[16];
    /* Takes each committed transaction over, in place of its destruction: a second store. */
    void (*commit)(void *arg, struct sl_txn *txn);
    void *commit_arg;
    struct sl_txn *txns[WORLD_TXNS];
    uint32_t txn_count;
    struct world_store *store;
    struct sl_core_command sent[WORLD_SENT]; /* everything but STORE and LOG, in order */
    uint32_t sent_count;
    uint64_t cookie;
    uint64_t result_id;
};

/* hash: 45 USD/PH/day on 100 TH/s devices; see world.c for the whole scene. */
#define WORLD_PRICE INT64_C(45000000000)
#define WORLD_HASH_RATE UINT64_C(100000000000000)
#define WORLD_TOKENS_MILLI UINT64_C(1000000) /* 1000 tokens/s */
#define WORLD_BID_HIGH INT64_C(100000000)    /* 0.10 USD/Mtok: 360,000,000 nUSD/h */
#define WORLD_BID_LOW INT64_C(1000000)       /* 3,600,000 nUSD/h; hashing: 187,500,000 */

static inline int world_file(const struct world *w, const char *key) {
    return w->files[(key[0] - 'a') & 15];
}
struct sl_core_config world_config(void);
void world_init(struct world *w, const struct sl_core_config *config);
void world_fini(struct world *w);
/* A new core from what the store holds, as after kill -9: what was not committed is gone. */
void world_restart(struct world *w);
void world_step(struct world *w, struct sl_core_event *event);
void world_commit(struct world *w);
void world_commit_one(struct world *w);
/* Moves the clock in steps of the core's own timer. */
void world_wait(struct world *w, int64_t ms);
void world_forget_sent(struct world *w);

/* Messages of an agent. conn: 0 means 1. */
struct sl_link_peer world_peer(const char *key, uint64_t conn);
void world_device(struct sl_msg_device *device, const char *key);
void world_msg(struct world *w, const char *key, uint64_t conn, uint64_t session,
               struct sl_msg *msg);
/* Says hello with devices "KEY/0".. and returns the session (0: none was given). */
uint64_t world_hello(struct world *w, const char *key, uint64_t conn, uint64_t boot,
                     uint32_t devices);
uint64_t world_hello_units(struct world *w, const char *key, uint64_t conn, uint64_t boot,
                           const struct sl_msg_device *devices, uint32_t count,
                           const uint64_t *units, uint32_t unit_count);
void world_report(struct world *w, const char *key, uint32_t devices);
void world_report_as(struct world *w, const char *key, const struct sl_msg_device *devices,
                     uint32_t count, bool pool);
/* RUNNING for the newest directive of the device. */
void world_running(struct world *w, const char *device, int64_t started_ns);
/* A node with `devices`, hashing: hello, report, price must have come before. */
void world_join(struct world *w, const char *key, uint32_t devices);
/* All lines of a unit finished well, `tokens` each. */
void world_finish(struct world *w, const struct sl_unit_row *unit, uint32_t tokens, bool done);
void world_line(struct world *w, const struct sl_unit_row *unit, uint32_t line,
                enum sl_line_status status, uint32_t tokens, bool done, uint64_t result_id);
void world_share(struct world *w, const char *key, uint64_t id, enum sl_share_outcome outcome,
                 uint64_t work, uint64_t age_ms);

void world_price(struct world *w, uint32_t feed, int64_t value_nano);
/* Creates and validates: every line has at most 100 tokens. */
void world_batch(struct world *w, const char *id, const char *tenant, uint32_t lines, int64_t bid);
void world_batch_only(struct world *w, const char *id, const char *tenant, int64_t bid,
                      int64_t deadline_ms);
void world_validated(struct world *w, const char *id, uint32_t lines, uint32_t refused);
void world_bid(struct world *w, const char *id, const char *tenant, int64_t bid);
void world_cancel(struct world *w, const char *id, const char *tenant);
void world_finalized(struct world *w, const char *id);
void world_order(struct world *w, const char *subject, enum sl_override_kind kind,
                 enum sl_mode mode);

/* What came out. */
const struct sl_core_command *world_last(const struct world *w, enum sl_core_command_kind kind);
const struct sl_msg *world_last_msg(const struct world *w, const char *key, enum sl_msg_kind kind);
const struct sl_msg_directive *world_directive(const struct world *w, const char *device);
uint32_t world_count(const struct world *w, enum sl_core_command_kind kind);
uint32_t world_count_msg(const struct world *w, const char *key, enum sl_msg_kind kind);
/* The n-th newest unit sent to the device, 0 = newest; NULL when there is none. */
const struct sl_unit_row *world_unit(const struct world *w, const char *device, uint32_t n);
struct sl_view_device world_view(struct world *w, const char *device);
struct sl_view_batch world_view_batch(struct world *w, const char *id);
const struct sl_batch_row *world_stored_batch(const struct world *w, const char *id);
sl_i128 world_balance(const struct world *w, const char *account); /* credits - debits, stored */
/* Rules of the house, between the core's memory and the store. */
void world_check(struct world *w);

#endif
