/* SPDX-License-Identifier: Apache-2.0
 * Read-only pictures of the core for screens and metrics: plain structs, filled on the loop thread,
 * rendered as JSON by broker/http. Nothing here changes state. Money in nano-USD, rates per
 * device-hour, unknown figures carry SL_SOURCE_UNKNOWN or a false flag and are shown as "unknown".
 */
#ifndef SLUICE_BROKER_CORE_VIEW_H
#define SLUICE_BROKER_CORE_VIEW_H

#include "broker/core/core.h"
#include "broker/core/view_health.h"

struct sl_view_node {
    char node[SL_MSG_NAME_MAX];
    char node_key[48];
    char version[SL_MSG_NAME_MAX];
    char state[16]; /* session state: hello, live, suspect, lost, quarantined */
    int64_t report_age_ms;
    uint32_t device_count;
    struct sl_msg_pool pool;
    uint64_t results_spooled;
    uint64_t shares_spooled;
};

/* What one mode would earn on one device now. */
struct sl_view_offer {
    bool known;
    char missing[48]; /* which figure is missing or stale */
    int64_t gross_nusd_per_hour;
    bool power_known;
    enum sl_source power_source;
    int64_t power_nusd_per_hour;
    int64_t net_nusd_per_hour; /* gross where power is unknown */
    int64_t switch_nusd;       /* lost by switching there once, at the measured cost */
};

struct sl_view_device {
    struct sl_msg_device report; /* last absolute state */
    char node[SL_MSG_NAME_MAX];
    char state[16];      /* unproven, idle, hashing, leased, draining, faulty, lost */
    enum sl_mode wanted; /* of the newest directive */
    uint64_t epoch;
    char batch[SL_ID_MAX]; /* that holds the lease */
    int64_t price_nusd_per_mtok;
    int64_t since_ms; /* in this mode */
    int64_t ttl_left_ms;
    enum sl_override_kind override_;
    enum sl_mode pinned;
    struct sl_view_offer offers[SL_MODE_COUNT];
    char best_batch[SL_ID_MAX];
    char rule[32];
    char why[SL_WHY_MAX];
    struct sl_wall decided;
    struct sl_view_health health;
};

struct sl_view_feed {
    struct sl_core_feed feed;
    bool known;
    bool stale;
    int64_t value_nano;
    int64_t age_ms;
    char health[SL_WHY_MAX]; /* empty: good */
    bool counts;             /* it has a vote in the price of its kind */
    char out[64];            /* why not; empty: it counts */
    bool in_usd;
    int64_t usd_nano; /* where in_usd */
};

/* What all feeds of one kind say together. */
struct sl_view_price {
    struct sl_core_feed feed; /* role, and algorithm, model or currency by role */
    bool decides;             /* devices are moved by it */
    char hold[64];            /* why it moves nothing; empty: trusted */
    bool known;               /* value_nano is the trusted price, or the last one that was */
    int64_t value_nano;       /* in USD, as quoted */
    uint32_t sources, fresh, agree;
    int64_t low_nano, high_nano; /* of the fresh ones, while there are any */
    int64_t wait_ms;             /* held for a jump: until it counts as confirmed; else 0 */
    int64_t factor_ppm;          /* settled / quoted, applied to the deciding hashprice */
};

struct sl_view_switches {
    uint64_t count;  /* moves between hash and infer that reached their first kernel */
    uint32_t p50_us; /* event read -> first kernel, over the last 4096; 0 while none */
    uint32_t p99_us;
};

struct sl_view_money {
    sl_i128 hash_nusd;           /* credited for accepted shares */
    sl_i128 hash_settled_nusd;   /* what pools really paid, of settled spans */
    sl_i128 hash_estimated_nusd; /* quoted for shares that are not settled yet */
    sl_i128 lease_nusd;          /* billed lines */
    sl_i128 power_nusd;          /* cost; only devices whose watts are known */
    sl_i128 always_hash_nusd;    /* shadow: every device hashing all the time (before power) */
    sl_i128 always_lease_nusd;   /* shadow: every device serves whenever a line waits, else idle */
    bool power_complete;         /* false: some device's watts are unknown */
};

struct sl_view_status {
    uint32_t sessions_live;
    uint32_t devices_total;
    uint32_t devices_by_mode[SL_MODE_COUNT];
    uint32_t devices_obeying; /* run what they were told last */
    uint32_t batches_open;
    uint32_t lines_waiting;
    uint32_t lines_issued;
    uint64_t shares_accepted, shares_stale, shares_rejected, shares_unknown, shares_implausible;
    uint32_t devices_implausible; /* whose shares or rate are not believed (claims.h) */
    uint64_t hash_rate_hs;
    uint64_t reports; /* taken over since the broker's start */
    uint64_t dropped; /* messages of agents given up unread (behind.h) */
    uint64_t lines_done;
    uint64_t tokens_done;
    int64_t hash_factor_milli;
    bool stopped; /* stop --all holds */
    struct sl_view_switches switches;
    struct sl_view_money money;
};

/* A pool over all nodes: counts from the store, the rest as the agents said last. */
struct sl_view_pool {
    struct sl_pool_row row;
    char url[SL_MSG_TEXT_MAX];     /* of the first node that has it; empty: none has it now */
    char state[SL_MSG_TEXT_MAX];   /* why it has no work somewhere; empty: it has */
    uint32_t nodes, nodes_working; /* that have it in their configuration; that have work of it */
    uint32_t devices;              /* hashing that were sent to it by the policy */
    bool named;                    /* by the policy: else `devices` says nothing */
    bool refusing;                 /* answered shares of late, and took none of them */
    uint32_t suspects;             /* nodes whose shares it does not answer any more */
    uint32_t fallbacks;            /* nodes that are at another address than the first */
    bool tls;
    uint64_t difficulty_nano; /* highest of its connections; 0: none is known */
    uint32_t latency_us_p50;  /* highest of its nodes'; 0: no answer yet */
    uint32_t latency_us_p99;
    int64_t share_age_ms;   /* since a share was answered; < 0: none was */
    int64_t share_permille; /* by the policy; 0: none, or in order */
    bool left;              /* by the policy; why in `reason` */
    bool gone; /* no node that was not revoked has it, no share was booked, no policy names it */
    char reason[SL_WHY_MAX];
    struct sl_pools_figures figures;   /* of the policy's window */
    int64_t measured_hs, effective_hs; /* in it; < 0: not known yet */
};
bool sl_view_pool_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                      struct sl_view_pool *ret_view);

/* Of the node, in its own order; false past the end. */
bool sl_view_node_pool_get(const struct sl_broker_core *core, uint32_t node, uint32_t index,
                           struct sl_msg_pool *ret_pool);

struct sl_view_batch {
    char id[SL_ID_MAX];
    char tenant[SL_TENANT_MAX];
    enum sl_batch_state state;
    int64_t bid_nusd_per_mtok;
    uint32_t waiting;
    uint32_t issued;
    uint32_t done;
    uint32_t failed;
    bool over_budget, tenant_gone; /* it waits for its tenant's budget; to be configured again */
    bool file_lost;                /* it waits for the file of its model that it began with */
};

/* What a policy, or a fixed mode, would have earned since the store began, by its shadow. */
struct sl_view_shadow {
    const char *name;
    sl_i128 hash_nusd; /* from hashing, as quoted */
    sl_i128 rest_nusd; /* leases, less power and switches */
    uint64_t switches; /* of policies: times devices */
};
/* index: enum SL_AGAINST_... (types.h). */
void sl_view_shadow_get(const struct sl_broker_core *core, uint32_t index,
                        struct sl_view_shadow *ret_view);
/* Name of the policy in force and version of the document. */
const char *sl_view_policy(const struct sl_broker_core *core, const char **ret_version);

void sl_view_status_get(const struct sl_broker_core *core, struct sl_now now,
                        struct sl_view_status *ret_view);
/* By index from 0; false past the end. */
bool sl_view_node_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                      struct sl_view_node *ret_view);
bool sl_view_device_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                        struct sl_view_device *ret_view);
uint32_t sl_view_device_count(const struct sl_broker_core *core);
/* Its index, or UINT32_MAX. Rows never go away: a page goes on behind the last one's. */
uint32_t sl_view_device_find(const struct sl_broker_core *core, const char *key);
/* Devices of one node, in the order of their indices: the first, and the next; UINT32_MAX: none. */
uint32_t sl_view_node_first(const struct sl_broker_core *core, const char *node);
uint32_t sl_view_node_next(const struct sl_broker_core *core, uint32_t index);
/* Ids that some device offers, each once, at most `max`; their number. Good until the next step. */
uint32_t sl_view_models_get(const struct sl_broker_core *core, const char **ids, uint32_t max);
/* Milli-tokens a second of all devices, by the time that they spent on leases; 0: not known. */
uint64_t sl_view_token_rate(const struct sl_broker_core *core);
bool sl_view_feed_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                      struct sl_view_feed *ret_view);
bool sl_view_price_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                       struct sl_view_price *ret_view);
bool sl_view_batch_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                       struct sl_view_batch *ret_view); /* open batches, best bid first */

#endif
