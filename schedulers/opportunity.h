/* SPDX-License-Identifier: Apache-2.0
 * What a device's hour is worth in each mode, as exact integers: nano-USD per device-hour.
 *
 * Every product is taken whole before the one division, which rounds towards minus infinity; a
 * result that no int64 holds is cut to the nearest limit, so that a mad price cannot wrap around to
 * a sane one. Negative rates are taken as 0; prices may be negative where a market has such prices
 * (power). Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_OPPORTUNITY_H
#define SLUICE_SCHEDULERS_OPPORTUNITY_H

#include <stdint.h>

/* The hashprice used: the quoted one x factor / 1000 (nano-USD per PH/s per day). */
int64_t sl_opportunity_hash_price(int64_t price_nusd_per_ph_day, int64_t factor_milli);

/* price x rate / 1e15 (PH/s) / 24 (hours of a day). */
int64_t sl_opportunity_hash(int64_t price_nusd_per_ph_day, int64_t rate_hs);

/* bid x tokens/s x 3600 / 1e6 (a bid is for a million tokens). */
int64_t sl_opportunity_lease(int64_t bid_nusd_per_mtok, int64_t tokens_per_s_milli);

/* price x kW. */
int64_t sl_opportunity_power(int64_t price_nusd_per_kwh, int64_t draw_mw);

/* nano-USD lost once, when a device worth value_nusd_per_hour stands still for switch_us; rounded
 * up, and 0 for a value that is not positive. */
int64_t sl_opportunity_switch(int64_t switch_us, int64_t value_nusd_per_hour);

/* The same loss as a rate: spread over the time the move is expected to last. horizon_ms >= 1. */
int64_t sl_opportunity_spread(int64_t switch_us, int64_t value_nusd_per_hour, int64_t horizon_ms);

/* a - b and a + b, cut at the limits of int64. */
int64_t sl_opportunity_minus(int64_t a, int64_t b);
int64_t sl_opportunity_plus(int64_t a, int64_t b);

#endif
