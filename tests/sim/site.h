/* SPDX-License-Identifier: Apache-2.0
 * Inside of the simulator: the whole, and what stands around the hosts. */
#ifndef SLUICE_TESTS_SIM_SITE_H
#define SLUICE_TESTS_SIM_SITE_H

#include "tests/sim/host.h"

struct sim_pool; /* pool.c */
struct sim_joining;
struct sim_feed {
    int64_t value_nano, base_nano;
    int64_t lie_until_ns, stale_until_ns, jump_until_ns, future_until_ns;
    /* What an honest reader may make of what was said. */
    bool known, wrong;
    int64_t as_of_ms;
    int64_t said_nano;
    int64_t age_max_ms;
};

struct sim_power {    /* check_power.c */
    bool cap, strike; /* in this run */
    uint32_t life;    /* of the broker's process that is watched */
    int64_t above_ns; /* since when power has cost more than the strike price; 0: it does not */
    int64_t low_ns, was_low_ns;       /* ... little enough to come back */
    bool off;                         /* the class, as last seen */
    int64_t spike_ns, spike_until_ns; /* of the tariff, while the hash prices say nothing */
    int64_t over_ns[2]; /* site, circuit: since when idle devices have lifted it above its cap */
    int64_t unfair_ns;  /* since when a worse device works in a better one's place; 0: none */
};

struct sim {
    bool near_parity; /* hashing earns about what its power costs: a device may rest */
    struct sim_options options;
    struct sim_result *result;
    int64_t now_ns;
    int64_t span_ns; /* end of the part with faults */
    bool calm;       /* that part is over */
    bool over;
    struct sim_queue queue;
    struct sim_rng rng, net_rng, work_rng;
    uint32_t agent_count, device_count, batch_count;
    struct sim_host hosts[SIM_HOSTS_MAX];
    struct sim_broker broker;
    struct sim_agent agents[SIM_AGENTS_MAX];
    struct sl_mem_hub *hub;
    struct sim_pool *pool;
    struct sim_feed feeds[SIM_FEEDS];
    int64_t market_nano; /* the hashprice that all honest sources are about */
    struct {             /* what an honest reader believed last, and a lone source's new level */
        bool known, waiting;
        int64_t nano, level_nano, since_ms;
    } belief;
    struct sim_batch batches[SIM_BATCHES_MAX];
    struct sl_core_config *broker_config;
    struct sim_facts *durable;   /* what the broker was told is on its disk */
    struct sim_facts *grants;    /* every directive that ever left */
    struct sim_pending *pending; /* transactions on their way: model.c */
    uint64_t cookie;
    uint64_t line_total;
    bool restored_once;
    int64_t last_strike_ns;
    struct sim_seen_result seen[SIM_SEEN_RESULTS]; /* ring */
    uint64_t seen_count;
    uint64_t posts; /* of units to devices */
    struct {
        uint64_t id;
        uint32_t batch;
        bool closed;
    } units[SIM_SEEN_UNITS]; /* by id, the newest */
    sl_i128 energy_nusd;     /* the most that power can have cost, x 3.6e12 */
    int64_t energy_ns;       /* up to when */
    int64_t energy_price;
    struct {
        int64_t ns, price;
    } prices[SIM_PRICES]; /* ring: effective hashprices that an honest reader took, and when */
    uint32_t price_count;
    struct { /* orders of people: one subject a node, and the last for all */
        enum sl_override_kind asked, durable, in_store;
        int64_t durable_ns;
        bool answered;
        int64_t ask_ns;
    } orders[SIM_AGENTS_MAX + 1];
    struct sim_power power;
    struct sim_joining *joining; /* joining.c; NULL before the start */
};

#endif
