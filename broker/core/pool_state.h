/* SPDX-License-Identifier: Apache-2.0
 * Plain records of pools that core, store and views share (types.h, core_state.h). Money nano-USD,
 * work in expected hashes. No ownership. */
#ifndef SLUICE_BROKER_CORE_POOL_STATE_H
#define SLUICE_BROKER_CORE_POOL_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/clock.h"
#include "proto/base/money.h"
#include "proto/wire/msg.h"
#include "schedulers/pools.h"

/* Of agents that know one pool only, and of shares from before pools had names. */
#define SL_POOL_UNNAMED "default"

/* What came of all shares that were booked under a pool; one row of `pools`, absolute. */
struct sl_pool_row {
    char name[SL_MSG_POOL_NAME_MAX];
    uint64_t accepted, stale, rejected, unknown;
    uint64_t duplicate, low, unauthorised; /* of rejected, by the pool's code */
    sl_i128 work;                          /* of accepted shares */
    sl_i128 amount_nusd;                   /* quoted for them */
    struct sl_wall last_share;
};

/* A pool of the site, by its name. */
struct sl_core_pool {
    struct sl_pool_row row;
    bool dirty;
    uint64_t implausible; /* of the booked shares, since the broker's start (claims.h) */
    struct sl_pools_health health;
};

/* The same as one agent has it. */
struct sl_core_node_pool {
    struct sl_msg_pool said; /* in the newest report; its name is never empty */
    uint32_t at;             /* of core->pools */
    int64_t since_ns;        /* it has had work since; 0: it has none */
    bool spent_known;        /* spent: of hashes_spent, counted up to here */
    uint64_t spent;
    int64_t spent_ns; /* when that was said */
};

struct sl_core_pools {         /* pools.c */
    struct sl_core_pool *list; /* [count] in the order of their appearance */
    uint32_t count, cap;
    /* Scratch of the tick: hashing devices, and which rows those are. */
    struct sl_pools_device *devices;
    uint32_t *rows;
    uint32_t device_cap, row_count;
};

#endif
