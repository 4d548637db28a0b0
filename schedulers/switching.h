/* SPDX-License-Identifier: Apache-2.0
 * Switching policies: one device of a class, one step of a market, which mode next.
 *
 * A step holds what a site sees when it decides: quotes, known costs and the terms of the lease on
 * offer. Rates are nano-USD per device-hour; costs of a switch nano-USD. The caller owns the state
 * (sl_switching_state_bytes, zeroed, then init) and passes every step, also where nothing moves,
 * for filters learn from each. Estimates inside are binary64 (real.h); whatever is compared is
 * rounded to whole nano-USD per hour or nano-USD first, so that the same steps give the same modes
 * on every machine. Thread: one per state; pure. */
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

struct sl_switching_step {
    int64_t span_ms; /* since the step before; the same for every step of a run */
    int64_t gross_nusd_h[SL_SWITCHING_MODES]; /* quoted, before power; of a lease: its rate */
    int64_t known_nusd_h[SL_SWITCHING_MODES]; /* what is taken off, exactly known: power, fees */
    int64_t switch_nusd;                      /* lost by a switch, whatever the pair */
    uint8_t lease_on;                         /* a lease runs or is there to be taken */
    int64_t lease_left_ms;                    /* as declared; <= 0: not declared */
    int64_t waiting_nusd_h; /* value of the lease's mode while none runs: what holding costs */
    uint8_t present;        /* mode, or SL_SWITCHING_NONE: any is free of charge */
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
    size_t (*state_bytes)(const struct sl_switching_params *params);
    void (*init)(void *state, const struct sl_switching_modes *modes,
                 const struct sl_switching_params *params);
    uint8_t (*decide)(void *state, const struct sl_switching_step *step,
                      struct sl_switching_reason *ret_reason);
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
