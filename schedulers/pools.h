/* SPDX-License-Identifier: Apache-2.0
 * For which pool each hashing device works: by an order of pools or by a split of the measured
 * rate, and which pools are left because they refuse too much or credit too little.
 *
 * Deterministic, integers only. A device stays where it is unless its pool has no work for it, a
 * better one has had work for a while (`return`), or the split is off by more than a band and the
 * move brings it closer by a quarter of the device's own rate: noise in measured rates moves
 * nothing to and fro. A pool that is left is used only where no other has work, and is tried again
 * after a while with its figures begun anew.
 *
 * Spans ms, rates hashes per second, work in hashes. State belongs to the caller and starts zeroed.
 * Thread: any; pure, no heap. */
#ifndef SLUICE_SCHEDULERS_POOLS_H
#define SLUICE_SCHEDULERS_POOLS_H

#include <stdbool.h>
#include <stdint.h>

#define SL_POOLS_MAX 8       /* in a policy */
#define SL_POOLS_NAME_MAX 32 /* with NUL */
#define SL_POOLS_BUCKETS 10  /* of a window */

struct sl_pools_entry {
    char name[SL_POOLS_NAME_MAX];
    int64_t share; /* permille of the rate; 0: in the order of the list */
};

struct sl_pools_params {
    uint32_t count; /* 0: no policy, each agent takes its own first usable pool */
    struct sl_pools_entry use[SL_POOLS_MAX];
    int64_t return_ms;           /* a pool has had work for so long before devices go back to it */
    int64_t hold_ms;             /* after a move, before the split may move the device again */
    int64_t band_permille;       /* of the rate, by which the split may be off */
    int64_t window_ms;           /* over which a pool is judged */
    int64_t min_shares;          /* below so many nothing is judged */
    int64_t max_reject_permille; /* refused of answered shares; 1000: never left for it */
    int64_t min_effective_permille; /* accepted work of hashes spent; 0: never left for it */
    int64_t retry_ms;               /* left for so long */
};

/* ---- the choice ---- */

/* Bits and numbers by the entries of `use`. */
struct sl_pools_device {
    int64_t rate;
    uint8_t usable;  /* bits: has work at this device's node */
    uint8_t fresh;   /* bits of usable: for less than return_ms */
    uint8_t present; /* entry + 1; 0: none yet */
    bool held;       /* moved less than hold_ms ago */
    uint8_t chosen;  /* out: entry + 1; 0: none is usable */
};

/* left: bits of pools that are left. */
void sl_pools_choose(const struct sl_pools_params *params, uint8_t left,
                     struct sl_pools_device *devices, uint32_t count);

/* ---- how a pool does ---- */

struct sl_pools_bucket {
    int64_t number; /* of its span since the clock's zero, + 1; 0: unused */
    uint64_t accepted, refused;
    uint64_t work;   /* of accepted shares */
    uint64_t hashes; /* spent on its jobs, as measured */
};

enum sl_pools_why {
    SL_POOLS_GOOD = 0,
    SL_POOLS_REJECTS,     /* refuses more than max_reject_permille */
    SL_POOLS_INEFFECTIVE, /* credits less than min_effective_permille */
};

struct sl_pools_health {
    struct sl_pools_bucket buckets[SL_POOLS_BUCKETS];
    int64_t began, began_ms; /* bucket of the first after a whole window of none, and when */
    uint64_t share_work;     /* of the newest share: what one is expected to take */
    enum sl_pools_why why;   /* GOOD: not left */
    int64_t left_ms;         /* since when */
    int64_t permille;        /* the figure for which it was left */
};

struct sl_pools_figures {
    uint64_t accepted, refused;
    uint64_t work, hashes;
    int64_t span_ms;            /* that they cover, at most the window */
    int64_t reject_permille;    /* -1: no share was answered */
    int64_t effective_permille; /* -1: nothing was spent, or too little to say */
};

void sl_pools_share(const struct sl_pools_params *params, struct sl_pools_health *health,
                    int64_t now_ms, bool accepted, uint64_t work);
/* took_ms: since when they were spent. */
void sl_pools_spent(const struct sl_pools_params *params, struct sl_pools_health *health,
                    int64_t now_ms, int64_t took_ms, uint64_t hashes);
void sl_pools_figures(const struct sl_pools_params *params, const struct sl_pools_health *health,
                      int64_t now_ms, struct sl_pools_figures *ret_figures);
/* Leaves it or tries it again; true when that changed. */
bool sl_pools_judge(const struct sl_pools_params *params, struct sl_pools_health *health,
                    int64_t now_ms);

#endif
