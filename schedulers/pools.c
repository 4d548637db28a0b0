/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/pools.h"

#include <string.h>

#include "proto/base/money.h"
#include "proto/base/mutant.h"

/* ---- the choice ---- */

struct split {
    uint8_t mask; /* entries with a share that some device can use */
    int64_t shares;
    sl_i128 total;
    sl_i128 have[SL_POOLS_MAX];
};

static int64_t weight(const struct sl_pools_device *device) {
    return device->rate > 0 ? device->rate : 1; /* not measured yet: it still goes somewhere */
}

/* Where the device may work now; its own pool is no news however short it has been back. */
static uint8_t candidates(const struct sl_pools_device *device, uint8_t left) {
    unsigned usable = device->usable, allowed = usable & ~(unsigned)left;
    if (!allowed) {
        allowed = usable; /* a bad pool is better than none */
    }
    unsigned own = device->present ? 1u << (device->present - 1) : 0;
    unsigned settled = (allowed & ~(unsigned)device->fresh) | (allowed & own);
    return (uint8_t)(settled ? settled : allowed);
}

static uint8_t first_of(uint8_t mask) {
    return mask ? (uint8_t)(__builtin_ctz(mask) + 1) : 0;
}

static uint8_t sharing(const struct sl_pools_params *params) {
    uint8_t mask = 0;
    for (uint32_t i = 0; i < params->count; i++) {
        mask = (uint8_t)(mask | (params->use[i].share > 0 ? 1u << i : 0));
    }
    return SL_MUTANT(pool_split_ignored) ? 0 : mask;
}

static sl_i128 target(const struct sl_pools_params *params, const struct split *split, int at) {
    return split->mask & 1u << at && split->shares > 0
               ? split->total * params->use[at].share / split->shares
               : 0;
}

static uint8_t neediest(const struct sl_pools_params *params, const struct split *split,
                        uint8_t mask) {
    uint8_t best = 0;
    sl_i128 most = 0;
    for (int i = 0; i < SL_POOLS_MAX; i++) {
        sl_i128 lacks = target(params, split, i) - split->have[i];
        if (mask & 1u << i && (!best || lacks > most)) {
            best = (uint8_t)(i + 1);
            most = lacks;
        }
    }
    return best;
}

static sl_i128 size_of(sl_i128 value) {
    return value < 0 ? -value : value;
}

/* Whether the device's move brings the split closer by at least a quarter of its rate. */
static bool worth_it(const struct sl_pools_params *params, const struct split *split, int from,
                     int to, int64_t rate) {
    sl_i128 over = split->have[from] - target(params, split, from);
    sl_i128 lacks = target(params, split, to) - split->have[to];
    if (over * 1000 <= split->total * params->band_permille &&
        lacks * 1000 <= split->total * params->band_permille) {
        return false;
    }
    sl_i128 gain = size_of(over) + size_of(lacks) - size_of(over - rate) - size_of(lacks - rate);
    return over > 0 && lacks > 0 && gain * 4 >= rate;
}

static void rebalance(const struct sl_pools_params *params, struct split *split, uint8_t left,
                      struct sl_pools_device *devices, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct sl_pools_device *device = &devices[i];
        uint8_t mask = candidates(device, left) & split->mask;
        if (!device->chosen || device->held || !(mask & 1u << (device->chosen - 1))) {
            continue;
        }
        int from = device->chosen - 1;
        int to = neediest(params, split, mask) - 1;
        if (to != from && worth_it(params, split, from, to, weight(device))) {
            split->have[from] -= weight(device);
            split->have[to] += weight(device);
            device->chosen = (uint8_t)(to + 1);
        }
    }
}

static void choose_split(const struct sl_pools_params *params, uint8_t left, uint8_t shared,
                         struct sl_pools_device *devices, uint32_t count) {
    struct split split = {.mask = 0};
    for (uint32_t i = 0; i < count; i++) {
        uint8_t mask = candidates(&devices[i], left) & shared;
        split.mask |= mask;
        split.total += mask ? weight(&devices[i]) : 0;
    }
    for (uint32_t i = 0; i < params->count; i++) {
        split.shares += split.mask & 1u << i ? params->use[i].share : 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct sl_pools_device *device = &devices[i];
        uint8_t mask = candidates(device, left);
        if (!(mask & shared)) {
            device->chosen = first_of(mask); /* no pool with a share: the reserve */
        } else if (device->present && mask & shared & 1u << (device->present - 1)) {
            device->chosen = device->present;
            split.have[device->present - 1] += weight(device);
        } else {
            device->chosen = 0;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t mask = candidates(&devices[i], left) & shared;
        if (mask && !devices[i].chosen) {
            devices[i].chosen = neediest(params, &split, mask);
            split.have[devices[i].chosen - 1] += weight(&devices[i]);
        }
    }
    rebalance(params, &split, left, devices, count);
}

void sl_pools_choose(const struct sl_pools_params *params, uint8_t left,
                     struct sl_pools_device *devices, uint32_t count) {
    uint8_t shared = sharing(params);
    if (shared) {
        choose_split(params, left, shared, devices, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        devices[i].chosen = first_of(candidates(&devices[i], left));
    }
}

/* ---- how a pool does ---- */

static int64_t number_of(const struct sl_pools_params *params, int64_t now_ms) {
    int64_t span = params->window_ms / SL_POOLS_BUCKETS;
    return now_ms / (span > 0 ? span : 1) + 1;
}

static bool within(const struct sl_pools_bucket *bucket, int64_t newest) {
    return bucket->number != 0 && bucket->number > newest - SL_POOLS_BUCKETS &&
           bucket->number <= newest;
}

/* since_ms: what is to be added began then. */
static struct sl_pools_bucket *bucket(const struct sl_pools_params *params,
                                      struct sl_pools_health *health, int64_t now_ms,
                                      int64_t since_ms) {
    int64_t number = number_of(params, now_ms);
    struct sl_pools_bucket *at = &health->buckets[number % SL_POOLS_BUCKETS];
    bool any = false;
    for (int i = 0; i < SL_POOLS_BUCKETS; i++) {
        any = any || within(&health->buckets[i], number);
    }
    if (!any) {
        health->began = number;
        health->began_ms = since_ms;
    }
    if (at->number != number) {
        *at = (struct sl_pools_bucket){.number = number};
    }
    return at;
}

static void add(uint64_t *sum, uint64_t more) {
    *sum = *sum > INT64_MAX - more ? (uint64_t)INT64_MAX : *sum + more;
}

void sl_pools_share(const struct sl_pools_params *params, struct sl_pools_health *health,
                    int64_t now_ms, bool accepted, uint64_t work) {
    struct sl_pools_bucket *at = bucket(params, health, now_ms, now_ms);
    at->accepted += accepted;
    at->refused += !accepted;
    work = work > INT64_MAX ? (uint64_t)INT64_MAX : work;
    add(&at->work, accepted ? work : 0);
    health->share_work = work;
}

void sl_pools_spent(const struct sl_pools_params *params, struct sl_pools_health *health,
                    int64_t now_ms, int64_t took_ms, uint64_t hashes) {
    int64_t most_ms = params->window_ms / SL_POOLS_BUCKETS; /* an agent may have been away */
    took_ms = took_ms < most_ms ? took_ms : most_ms;
    hashes = hashes > INT64_MAX ? (uint64_t)INT64_MAX : hashes;
    add(&bucket(params, health, now_ms, now_ms - took_ms)->hashes, hashes);
}

void sl_pools_figures(const struct sl_pools_params *params, const struct sl_pools_health *health,
                      int64_t now_ms, struct sl_pools_figures *ret_figures) {
    struct sl_pools_figures f = {.reject_permille = -1, .effective_permille = -1};
    int64_t newest = number_of(params, now_ms);
    int64_t span = params->window_ms / SL_POOLS_BUCKETS;
    int64_t oldest = newest;
    for (int i = 0; i < SL_POOLS_BUCKETS; i++) {
        const struct sl_pools_bucket *b = &health->buckets[i];
        if (!within(b, newest)) {
            continue;
        }
        oldest = b->number < oldest ? b->number : oldest;
        f.accepted += b->accepted;
        f.refused += b->refused;
        add(&f.work, b->work);
        add(&f.hashes, b->hashes);
    }
    /* A bucket begins where the clock's minutes do, its figures perhaps near its end. */
    int64_t since_ms =
        oldest == health->began ? health->began_ms : (oldest - 1) * (span > 0 ? span : 1);
    f.span_ms = now_ms - since_ms;
    if (f.accepted + f.refused > 0) {
        f.reject_permille = (int64_t)(f.refused * 1000 / (f.accepted + f.refused));
    }
    if (f.hashes > 0 && health->share_work > 0 && f.hashes >= health->share_work) {
        f.effective_permille = (int64_t)((sl_i128)f.work * 1000 / f.hashes);
    }
    *ret_figures = f;
}

bool sl_pools_judge(const struct sl_pools_params *params, struct sl_pools_health *health,
                    int64_t now_ms) {
    if (health->why != SL_POOLS_GOOD) {
        if (now_ms - health->left_ms < params->retry_ms) {
            return false;
        }
        *health = (struct sl_pools_health){.share_work = health->share_work};
        return true;
    }
    struct sl_pools_figures f;
    sl_pools_figures(params, health, now_ms, &f);
    uint64_t answered = f.accepted + f.refused;
    uint64_t least = params->min_shares > 1 ? (uint64_t)params->min_shares : 1;
    uint64_t expected = health->share_work ? f.hashes / health->share_work : 0;
    if (answered >= least && f.reject_permille > params->max_reject_permille) {
        health->why = SL_POOLS_REJECTS;
        health->permille = f.reject_permille;
    } else if (expected >= least && f.effective_permille < params->min_effective_permille) {
        health->why = SL_POOLS_INEFFECTIVE;
        health->permille = f.effective_permille;
    }
    health->left_ms = now_ms;
    return health->why != SL_POOLS_GOOD;
}
