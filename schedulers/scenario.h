/* SPDX-License-Identifier: Apache-2.0
 * A market made up from a few constants and a seed, or laid over recorded prices: what one device
 * would truly have earned in each mode at each step, and what it was quoted.
 *
 * Modes: `algorithms` ways of hashing, then the lease, then idle, as far as the scenario has them.
 * Random numbers are random.h's, one stream each for the common walk, every algorithm, power,
 * leases and quotes, so that a change of noise leaves the truth as it is. All true values are
 * rounded to whole nano-USD per hour once, and everything after (quotes, policies, optimum)
 * starts from those. Thread: any; pure; memory is the caller's. */
#ifndef SLUICE_SCHEDULERS_SCENARIO_H
#define SLUICE_SCHEDULERS_SCENARIO_H

#include <stdint.h>

#include "schedulers/switching.h"

#define SL_SCENARIO_ALGORITHMS 8
#define SL_SCENARIO_NAME_MAX 32

enum sl_scenario_power {
    SL_SCENARIO_POWER_CONSTANT = 0,
    SL_SCENARIO_POWER_SPIKY,
    SL_SCENARIO_POWER_SERIES
};

/* USD, hours, kW. A series is [steps], aligned by the caller; NULL: the scenario has none. */
struct sl_scenario {
    char name[SL_SCENARIO_NAME_MAX];
    int64_t step_ms;
    uint32_t algorithms;
    double hash_usd_h; /* at the middle of the market; a factor of the series if there is one */
    const double *hash_series;
    double spread; /* standard deviation of an algorithm's own walk, stationary */
    double half_life_h;
    double base;              /* standard deviation of an algorithm's constant advantage */
    double common_volatility; /* of the walk that all share, per square root of a year */
    double kw;
    enum sl_scenario_power power_kind;
    double power_usd_kwh; /* the constant; added to the series times power_factor */
    double power_factor;
    const double *power_series;
    int lease;                  /* there are leases */
    double lease_usd_h;         /* median-like rate; a factor of the series if there is one */
    const double *lease_series; /* read when a lease starts, held while it lasts */
    double lease_sd;            /* of the logarithm of a rate */
    double gap_h, lease_h, lease_length_sd;
    double first_gap_h; /* 0: drawn like the others */
    int idle;
    double idle_kw, waiting_kw, lease_kw_factor;
    double noise; /* standard deviation of a quote, as a part of the gross price */
    uint32_t lag_steps;
    uint32_t instances;
    double days; /* of a scenario without series */
};

/* Columns of [steps][SL_SWITCHING_MODES], row by row. */
struct sl_market {
    struct sl_switching_modes modes;
    uint32_t steps;
    int64_t step_ms;
    int64_t *true_nusd_h;
    int64_t *gross_nusd_h; /* as quoted */
    int64_t *known_nusd_h;
    int64_t *waiting_nusd_h; /* [steps] */
    int64_t *lease_left_ms;  /* [steps]; declared; 0 where no lease is on */
    uint8_t *lease_on;       /* [steps] */
};

size_t sl_market_bytes(uint32_t steps);
/* Sets the pointers into `memory`, aligned for int64_t. */
void sl_market_place(struct sl_market *market, void *memory, uint32_t steps);

void sl_scenario_modes(const struct sl_scenario *scenario, struct sl_switching_modes *ret_modes);
/* Fills the placed market of market->steps steps. */
void sl_scenario_make(const struct sl_scenario *scenario, uint64_t seed, uint32_t instance,
                      struct sl_market *market);

/* One switch: what the best mode truly earns on average in so many milliseconds. At least 0. */
int64_t sl_market_switch_nusd(const struct sl_market *market, int64_t switch_ms);

#endif
