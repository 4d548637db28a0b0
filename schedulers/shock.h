/* SPDX-License-Identifier: Apache-2.0
 * A made-up change of the market: what a stress test asks "what if" of. Factors are parts per
 * million of today's figure, so that 1000000 changes nothing. Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_SHOCK_H
#define SLUICE_SCHEDULERS_SHOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/error.h"

#define SL_SHOCK_SAME 1000000
#define SL_SHOCK_MAX (INT64_C(1000) * SL_SHOCK_SAME) /* a thousand times */
#define SL_SHOCK_NOBODY UINT32_MAX

struct sl_shock {
    int64_t lease_ppm; /* on every bid */
    int64_t hash_ppm;  /* on the hashprice */
    int64_t power_ppm; /* on the price of power */
    bool halving;      /* the subsidy of a block halves, its fees stay */
    uint32_t tenant;   /* leaves, with all batches; SL_SHOCK_NOBODY */
};

struct sl_shock sl_shock_none(void);

/* "-60%" and "+20%" change, "x3" and "1.5" multiply. What could mean either ("60", "60%") is
 * refused with what to write; `name` stands for the figure in the text. -SL_INVALID. */
int sl_shock_parse(const char *name, const char *text, int64_t *ret_ppm, struct sl_error *err);

/* value x factor, rounded towards minus infinity, cut at the limits of int64. */
int64_t sl_shock_scale(int64_t value, int64_t factor_ppm);

/* Hash revenue under the shock. Of a miner's revenue fee_share_ppm are fees, the rest subsidy. */
int64_t sl_shock_hash(const struct sl_shock *shock, int64_t gross_nusd_h, int64_t fee_share_ppm);

#endif
