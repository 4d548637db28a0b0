/* SPDX-License-Identifier: Apache-2.0
 * The core's own calls, by file. Private to broker/core and its tests. `core->now` is the time of
 * the running step: every function reads it there, none keeps it. */
#ifndef SLUICE_BROKER_CORE_CORE_INTERNAL_H
#define SLUICE_BROKER_CORE_CORE_INTERNAL_H

#include "broker/core/behind.h"
#include "broker/core/core_state.h"
#include "broker/core/pools.h"
#include "broker/core/power.h"
#include "broker/core/remembered.h"
#include "broker/core/view.h"

struct sl_core_settled { /* a span that a pool has paid for */
    char scope[SL_MSG_NAME_MAX], only_pool[SL_MSG_POOL_NAME_MAX];
    int64_t from_ms, to_ms;
};

struct sl_broker_core {
    struct sl_core_config config;
    struct sl_now now;
    int64_t read_ns;     /* of the running event; 0: none */
    bool started, armed; /* armed: something changed that a decision depends on */
    bool armed_soon;     /* in what agents report: a large fleet is looked at less often */
    bool grants_wait;    /* a tick stopped at so many; it goes on when they are durable */
    bool renewals_wait;  /* likewise of a sweep */
    int64_t ticked_ns;
    int64_t armed_ns; /* read_ns of the event that armed it first */
    int64_t sweep_ns; /* next housekeeping: renewals that wait, or all of it */
    int64_t sweep_all_ns;
    struct sl_txn *txn; /* of the running step, NULL while empty */
    bool ticket_taken;  /* somebody waits for this step's transaction */
    uint64_t ticket;    /* last submitted */
    uint64_t durable;
    struct sl_core_ring ready[SL_CORE_RANKS];
    struct sl_core_ring waiting;
    uint64_t session_high;
    uint64_t reports;       /* taken over since the start */
    uint64_t edges_refused; /* events that a state machine does not list */

    struct sl_core_node *nodes; /* [node_count] */
    uint32_t node_count, node_cap;
    size_t halves_bytes; /* of all nodes */
    struct sl_core_fleet fleet;
    struct sl_core_index nodes_by_key, devices_by_key, devices_by_uuid;
    struct sl_core_names *names;
    struct sl_core_blocks blocks;
    struct sl_core_batch **batches; /* [batch_count] open ones, oldest first */
    uint32_t batch_count, batch_cap;
    struct sl_core_unit **units; /* [unit_count] of open batches, by rising id */
    uint32_t unit_count, unit_cap;
    uint64_t unit_high;
    uint64_t epoch_floor;              /* a restored store may not know a device that had epochs */
    struct sl_override_row *overrides; /* [override_count] */
    uint32_t override_count, override_cap;

    struct sl_account_row *accounts; /* [account_count] */
    uint32_t account_count, account_cap;
    uint64_t transfer_high;
    uint64_t share_rows, share_rows_restored;
    struct sl_core_tenant_state **tenants; /* [tenant_count] */
    uint32_t tenant_count, tenant_cap;
    struct sl_accrual hash_rem, power_rem;
    struct sl_core_counters counters;
    bool counters_dirty, hash_rem_dirty, power_rem_dirty;

    struct sl_core_pools pools;
    struct sl_core_feed_state feeds[SL_CORE_FEEDS_MAX];
    struct sl_core_believed *believed; /* [SL_FEED_CARBON + 1]; a memory, no state */
    uint64_t price_moment;             /* rises with each step and each price */
    struct sl_core_instead *instead;   /* [SL_CORE_INSTEAD] likewise (rates.h) */
    uint64_t rate_tick;
    bool planning; /* a tick looks at its devices: no batch changes */
    struct {       /* effective hashprices, a ring */
        int64_t mono_ns;
        int64_t price;
    } history[SL_CORE_HISTORY];
    uint32_t history_count;
    struct sl_core_settled *settled; /* [settled_count] */
    uint32_t settled_count, settled_cap;
    uint64_t settlement_high;
    struct sl_calibration calibration;

    const struct sl_policy *policy;
    struct sl_policy_input input;
    struct sl_plan plan;
    void *input_memory, *plan_memory;
    struct sl_core_remembered switching; /* by device */
    /* The same before this tick's step; cap 0 where it takes none. */
    struct sl_core_remembered switching_before;
    uint8_t (*decided)[2]; /* [tick_cap] mode and rule, before strike prices and caps */
    struct sl_core_class classes[SL_CORE_CLASSES_MAX];
    const struct sl_switching_view *class_views[SL_CORE_CLASSES_MAX];
    uint32_t class_count;
    struct sl_core_against_sum against[SL_AGAINST_COUNT];
    bool against_dirty;
    int64_t against_ns;                         /* last rows; 0: none yet */
    char policy_version[SL_POLICY_VERSION_MAX]; /* of the document */
    struct sl_core_batch **tick_batch;          /* [tick_cap] the lease offered to each row */
    uint32_t tick_cap;
    struct sl_core_best best[SL_CORE_MODELS_SEEN_MAX];
    uint32_t best_count;

    uint32_t switch_us[SL_CORE_SWITCHES]; /* ring of the last measured ones */
    uint32_t switch_count;

    int64_t seen_tokens, seen_bound; /* of all batches, since this process began (throughput.h) */

    sl_i128 shadow_hash, shadow_lease; /* nUSD */
    sl_i128 shadow_hash_rem, shadow_lease_rem;
    int64_t shadow_ns, shadow_stored_ns;
    bool shadow_dirty;
    struct sl_core_power *power; /* power.h */
    struct sl_core_behind behind;
    struct sl_core_agents *agents;                                 /* agents.h */
    struct sl_core_shadow_slot shadow_slots[SL_CORE_SHADOW_SLOTS]; /* as restored */
};

/* core.c */
void *sl_core_calloc(size_t count, size_t size);
/* Room for one more item behind *count. */
void sl_core_grow(void *array_ptr, uint32_t count, uint32_t *cap, size_t size);
void sl_core_arm(struct sl_broker_core *core);
void sl_core_arm_soon(struct sl_broker_core *core);
int64_t sl_core_margin_ns(const struct sl_broker_core *core);

/* outbox.c: commands; ticket 0 is "now". A pointer is good until the next call. */
uint64_t sl_core_ticket(struct sl_broker_core *core);
void sl_core_op(struct sl_broker_core *core, const struct sl_op *op);
void sl_core_op_meta(struct sl_broker_core *core, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct sl_core_item *sl_core_put(struct sl_broker_core *core, enum sl_core_command_kind kind,
                                 uint64_t ticket);
/* A zeroed message of `kind` to the node's session, with `extra` bytes behind it in its block. */
struct sl_core_item *sl_core_send(struct sl_broker_core *core, uint32_t node, enum sl_msg_kind kind,
                                  uint64_t ticket, size_t extra);
void sl_core_reply(struct sl_broker_core *core, uint64_t cookie, uint64_t ticket, int status,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));
void sl_core_log(struct sl_broker_core *core, enum sl_log_level level, const char *event,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
void sl_core_flush(struct sl_broker_core *core);
void sl_core_durable(struct sl_broker_core *core, uint64_t ticket);
void sl_core_ring_fini(struct sl_core_ring *ring);

/* machines.c: the two state machines as tables; 0: not listed. Pure, for walks in tests. */
enum sl_session_event {
    SL_SEV_HELLO = 1,
    SL_SEV_WELCOMED,
    SL_SEV_HEARD,
    SL_SEV_QUIET,
    SL_SEV_SILENT,
    SL_SEV_BYE,
    SL_SEV_DUPLICATE,
    SL_SEV_RESUMED,
    SL_SEV_END,
};
enum sl_core_device_event {
    SL_DEV_OFFERED = 1,
    SL_DEV_UNHEALTHY,
    SL_DEV_RUN_IDLE,
    SL_DEV_RUN_HASH,
    SL_DEV_RUN_INFER,
    SL_DEV_DRAIN,
    SL_DEV_FAULT,
    SL_DEV_RETEST,
    SL_DEV_GONE,
    SL_DEV_BACK,
    SL_DEV_END,
};
enum sl_session_state sl_session_next(enum sl_session_state state, enum sl_session_event event);
enum sl_core_device_state sl_device_next(enum sl_core_device_state state,
                                         enum sl_core_device_event event);
const char *sl_session_state_name(enum sl_session_state state);
const char *sl_core_device_state_name(enum sl_core_device_state state);
bool sl_core_session_step(struct sl_broker_core *core, uint32_t node, enum sl_session_event event);
bool sl_core_device_step(struct sl_broker_core *core, uint32_t dev,
                         enum sl_core_device_event event);

/* session.c */
uint32_t sl_core_node_find(const struct sl_broker_core *core, const char *key);
uint32_t sl_core_node_add(struct sl_broker_core *core, const char *key, const char *name);
bool sl_core_node_up(const struct sl_broker_core *core, uint32_t node); /* LIVE or SUSPECT */
void sl_core_session_msg(struct sl_broker_core *core, const struct sl_core_event *event);
void sl_core_session_sweep(struct sl_broker_core *core);
void sl_core_session_shutdown(struct sl_broker_core *core);

#include "broker/core/agents.h"
#include "broker/core/core_health.h"
#include "broker/core/core_work.h"
#include "broker/core/fleet.h"
#include "broker/core/shadow.h"

#endif
