/* SPDX-License-Identifier: Apache-2.0
 * Switching policies: one device of a class, one step of a market, which mode next.
 *
 * A step holds what a site sees when it decides: quotes, known costs and the terms of the lease on
 * offer. Rates are nano-USD per device-hour; costs of a switch nano-USD. What quotes teach is kept
 * per class (class.h), what concerns one device in a sl_switching_device; a decision is a function
 * of constants, view, device and step, and can be made again from them. Steps follow each other at
 * a fixed span; between two of them decisions may be made for what is known exactly (span 0), which
 * change no state. Estimates inside are binary64 (real.h); whatever is compared is rounded to whole
 * nano-USD per hour or nano-USD first, so that the same steps give the same modes on every machine.
 * Thread: one per state; pure. */
#ifndef SLUICE_SCHEDULERS_SWITCHING_H
#define SLUICE_SCHEDULERS_SWITCHING_H

#include <stddef.h>
#include <stdint.h>

#define SL_SWITCHING_MODES 10 /* eight algorithms, a lease, idle */
#define SL_SWITCHING_NONE 255 /* in no mode yet */

enum sl_switching_kind { SL_SWITCHING_HASH = 1, SL_SWITCHING_LEASE, SL_SWITCHING_IDLE };

/* The modes of a class, fixed for the life of a state. At most one lease mode. */
struct sl_switching_modes {
    uint8_t count;
    uint8_t kind[SL_SWITCHING_MODES]; /* enum sl_switching_kind */
};

/* Nano-USD per hour: what a caller may give and an estimate may say at most, either sign. */
#define SL_SWITCHING_RATE_MAX (INT64_C(1) << 60)
#define SL_SWITCHING_PAIRS (SL_SWITCHING_MODES * (SL_SWITCHING_MODES - 1) / 2)

struct sl_switching_step {
    int64_t span_ms; /* since the step before; 0: between two steps, nothing has accrued since */
    int64_t gross_nusd_h[SL_SWITCHING_MODES]; /* quoted, before power; of a lease: its rate */
    int64_t known_nusd_h[SL_SWITCHING_MODES]; /* what is taken off, exactly known: power, fees */
    int64_t rate[SL_SWITCHING_MODES]; /* hashing: of this device; an estimate learnt from another
                                         of its class is scaled by the rates. Equal: not at all */
    int64_t switch_nusd[SL_SWITCHING_MODES]; /* lost by a switch from the present mode to this */
    int64_t back_nusd[SL_SWITCHING_MODES];   /* and by one back */
    int64_t in_mode_ms;                      /* in the present one */
    uint16_t possible;      /* bit a mode; the lease's counts only together with lease_on */
    uint8_t lease_on;       /* a lease runs or is there to be taken */
    uint8_t present;        /* mode, or SL_SWITCHING_NONE: any is free of charge */
    int64_t lease_left_ms;  /* as declared; <= 0: not declared */
    int64_t waiting_nusd_h; /* value of the lease's mode while none runs: what holding costs */
};

/* Mean squares of the differences of a quoted series over 1, k and 4k steps. For a true random walk
 * with variance q a step under white noise of variance nu2 they are q + 2 nu2, k q + 2 nu2, ...;
 * for a mean-reverting one they flatten. */
struct sl_band_variances {
    double v1, vk, v4k;
};

/* What was learnt of a class by its last step (class.h): all that a decision needs of the past,
 * besides the device's own. Stored with each decision, so that it can be made again. */
struct sl_switching_view {
    struct sl_switching_modes modes;
    int64_t step_ms;
    int64_t rate[SL_SWITCHING_MODES];  /* of the device that was learnt from */
    double ghat[SL_SWITCHING_MODES];   /* the true gross price, estimated; nano-USD per hour */
    double error2[SL_SWITCHING_MODES]; /* variance of its error */
    struct sl_band_variances pair[SL_SWITCHING_PAIRS]; /* of the net spreads */
    double gap_ms, lease_ms;                           /* mean lengths seen */
};
static inline uint32_t sl_switching_pair(uint32_t a, uint32_t b) {
    uint32_t low = a < b ? a : b;
    uint32_t high = a < b ? b : a;
    return high * (high - 1) / 2 + low;
}

/* One device's own past. Zeroed at first. */
struct sl_switching_device {
    /* Of its last step, 0 before: fbf, that there was one and the mode it was in then; work
     * function, that it was to leave, and for which mode. */
    uint8_t noted, noted_mode;
    double regret[SL_SWITCHING_MODES]; /* nano-USD, of not being in each, since it is where it is */
    int64_t work[SL_SWITCHING_MODES];  /* nano-USD; work function */
};

/* Every constant of every policy, as the policy document gives them (broker/policy). */
struct sl_switching_params {
    /* FBF */
    int64_t theta_ppm;       /* regret that ends a stay, in costs of a switch */
    int64_t kz_ppm;          /* standard deviations of the filter's error that a move must beat */
    int64_t horizon_ms;      /* H: a cost is spread over so long at most */
    int64_t memory_steps;    /* over which variances are averaged */
    int64_t lag_short_steps; /* k of the second difference variance; the third is four times it */
    int64_t clip;            /* a squared difference counts for so many variances at most */
    int64_t gap_prior_ms;    /* mean gap between leases before one was seen */
    int64_t lease_prior_ms;  /* mean lease, where none is declared, before one was seen */
    int64_t lease_memory;    /* leases and gaps over which means are averaged */
    /* percentage threshold; minimum time */
    int64_t percent_ppm;
    int64_t minimum_ms;
};

enum sl_switching_rule {
    SL_SWITCHING_START = 1, /* in no mode yet: what is worth most */
    SL_SWITCHING_STAY,
    SL_SWITCHING_BAND,        /* worth more by more than the band */
    SL_SWITCHING_REGRET,      /* by less, but for so long that it would have paid for the switch */
    SL_SWITCHING_LEASE_ENTER, /* a lease pays more over what is left of it than the switches cost */
    SL_SWITCHING_LEASE_LEAVE, /* the next lease is too far away, or this one pays too little */
    SL_SWITCHING_DWELL,       /* something is worth more; the minimum time is not over */
};

/* Why, in figures; nano-USD per hour unless said otherwise. */
struct sl_switching_reason {
    enum sl_switching_rule rule;
    uint8_t best;          /* the best other mode */
    int64_t present_value; /* as estimated */
    int64_t best_value;
    int64_t band;
    int64_t regret_nusd; /* of not being in `best` */
};

struct sl_switching_policy {
    const char *name;
    const char *says; /* one line for people */
    uint8_t learns;   /* it reads estimates of the view; without, the view's modes are enough */
    uint8_t (*decide)(const struct sl_switching_params *params,
                      const struct sl_switching_view *view, struct sl_switching_device *device,
                      const struct sl_switching_step *step, struct sl_switching_reason *ret_reason);
};

/* NULL past the end, or when there is none of that name. */
const struct sl_switching_policy *sl_switching_at(size_t index);
const struct sl_switching_policy *sl_switching_find(const char *name);

/* fbf.c, baselines.c, work_function.c */
extern const struct sl_switching_policy sl_switching_fbf;
extern const struct sl_switching_policy sl_switching_greedy;
extern const struct sl_switching_policy sl_switching_percent;
extern const struct sl_switching_policy sl_switching_minimum;
extern const struct sl_switching_policy sl_switching_work_function;

#endif
