/* SPDX-License-Identifier: Apache-2.0
 * What a site would earn, and which promises it would break, under a shock: each device in the mode
 * that would be worth most, each batch finished by the devices that would still serve it.
 *
 * A picture, not a forecast: every device takes its best mode at once, without thresholds, dwell
 * or the cost of a switch, and open work is what is open now. Money is nano-USD, rates per
 * device-hour; columns of [count] belong to the caller. Thread: any; pure, no heap. */
#ifndef SLUICE_SCHEDULERS_STRESS_H
#define SLUICE_SCHEDULERS_STRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/mode.h"
#include "proto/base/money.h"
#include "schedulers/shock.h"

#define SL_STRESS_COMMITS_MAX 64
#define SL_STRESS_NONE UINT32_MAX
#define SL_STRESS_MONTH_H 730 /* hours: a year's 8760 by twelve */
#define SL_STRESS_NEVER (-1)  /* done_ms: no device would serve it */
#define SL_STRESS_LEFT (-2)   /* done_ms: its tenant has left */

/* Constants as the policy document gives them. */
struct sl_stress_params {
    int64_t lease_change_ppm; /* shocks of a full round, as changes */
    int64_t hash_change_ppm;
    int64_t power_ppm;     /* a factor */
    int64_t fee_share_ppm; /* of a miner's revenue: stays when the subsidy halves */
    int64_t use_min_ms;    /* measured for less, a device's use is that of the moment */
    int64_t fixed_nusd;    /* a month, whatever runs */
    int64_t debt_nusd;     /* service of it, a month */
    int64_t cash_nusd;     /* to live on */
};

/* An open batch: a rate that is promised, and a time. */
struct sl_stress_commit {
    int64_t bid_nusd_per_mtok;
    int64_t tokens_left;
    int64_t deadline_ms; /* from now; negative: has passed */
    uint32_t tenant;     /* any numbering */
    uint32_t model;      /* below SL_STRESS_COMMITS_MAX */
    bool open;           /* any device may take it; else only those that serve it */
};

struct sl_stress_input {
    int64_t fee_share_ppm, fixed_nusd, debt_nusd, cash_nusd;
    uint32_t count;
    uint8_t *held;     /* enum sl_mode in which an order keeps it; 0: free to move */
    uint8_t *can_hash; /* a hash rate and a price are known */
    uint8_t *power_known;
    int64_t *hash_nusd_h; /* gross */
    int64_t *power_nusd_h[SL_MODE_COUNT];
    int64_t *use_ppm; /* part of the time for which a lease is there when it wants one */
    uint32_t *own;    /* commitment that it serves, or SL_STRESS_NONE */
    uint32_t commit_count;
    struct sl_stress_commit *commits; /* in the order in which they are served */
    int64_t *tokens_s_milli;          /* [commit_count x count], 0: it cannot or may not */
};

/* The site under one shock. The columns are the caller's. */
struct sl_stress_side {
    uint8_t *mode;    /* [count] worth most while a lease is there */
    int64_t *value;   /* [count] over time: the lease for use_ppm of it, else the second best */
    int64_t *done_ms; /* [commit_count] from now; or NEVER, LEFT */
    sl_i128 hash_nusd_h, lease_nusd_h, power_nusd_h;
    uint32_t powerless; /* devices whose power is unknown: compared and summed without */
};

void sl_stress_run(const struct sl_stress_input *in, const struct sl_shock *shock,
                   struct sl_stress_side *out);

sl_i128 sl_stress_margin(const struct sl_stress_side *side);

/* Worked before and would stand still: not worth its power any more. */
bool sl_stress_stops(const struct sl_stress_input *in, const struct sl_stress_side *before,
                     const struct sl_stress_side *after, uint32_t dev);

/* In time before, and late or never done after. A tenant that left breaks its own promise. */
bool sl_stress_breaks(const struct sl_stress_input *in, const struct sl_stress_side *before,
                      const struct sl_stress_side *after, uint32_t commit);

enum sl_stress_cover {
    SL_STRESS_COVER_UNKNOWN = 0, /* neither costs nor cash are given */
    SL_STRESS_COVER_MARGIN,      /* the margin pays for the costs */
    SL_STRESS_COVER_MONTHS,      /* cash lasts for so long */
};
enum sl_stress_cover sl_stress_cover(const struct sl_stress_input *in,
                                     const struct sl_stress_side *side, int64_t *ret_milli_months);

#endif
