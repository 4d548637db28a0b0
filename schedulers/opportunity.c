/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/opportunity.h"

#include "proto/base/money.h"

static int64_t clamp(sl_i128 value) {
    if (value > INT64_MAX) {
        return INT64_MAX;
    }
    return value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

static sl_i128 floor_div(sl_i128 value, sl_i128 divisor) {
    sl_i128 quotient = value / divisor;
    return value % divisor < 0 ? quotient - 1 : quotient;
}

/* Two int64 factors need at most 126 bits; a third one up to 3600 is taken in after a first
 * division would lose precision, so it is folded into the divisor by the callers instead. */
static int64_t scale(int64_t a, int64_t b, sl_i128 divisor) {
    return clamp(floor_div((sl_i128)a * b, divisor));
}

int64_t sl_opportunity_hash_price(int64_t price_nusd_per_ph_day, int64_t factor_milli) {
    return scale(price_nusd_per_ph_day, factor_milli < 0 ? 0 : factor_milli, 1000);
}

int64_t sl_opportunity_hash(int64_t price_nusd_per_ph_day, int64_t rate_hs) {
    static const sl_i128 per_ph_hour = (sl_i128)1000000000000000 * 24;
    return scale(price_nusd_per_ph_day, rate_hs < 0 ? 0 : rate_hs, per_ph_hour);
}

int64_t sl_opportunity_lease(int64_t bid_nusd_per_mtok, int64_t tokens_per_s_milli) {
    /* x 3600 / (1000 x 1e6) = x 9 / 2500000: the 9 is split off so that the product stays within
     * 126 bits, and the remainder of the first division is carried into the second. */
    sl_i128 product =
        (sl_i128)bid_nusd_per_mtok * (tokens_per_s_milli < 0 ? 0 : tokens_per_s_milli);
    sl_i128 whole = floor_div(product, 2500000);
    sl_i128 rest = product - whole * 2500000;
    return clamp(whole * 9 + rest * 9 / 2500000);
}

int64_t sl_opportunity_power(int64_t price_nusd_per_kwh, int64_t draw_mw) {
    return scale(price_nusd_per_kwh, draw_mw < 0 ? 0 : draw_mw, 1000000);
}

static int64_t ceil_positive(int64_t a, int64_t b, sl_i128 divisor) {
    if (a <= 0 || b <= 0) {
        return 0;
    }
    return clamp(((sl_i128)a * b + divisor - 1) / divisor);
}

int64_t sl_opportunity_switch(int64_t switch_us, int64_t value_nusd_per_hour) {
    return ceil_positive(switch_us, value_nusd_per_hour, (sl_i128)3600 * 1000000);
}

int64_t sl_opportunity_spread(int64_t switch_us, int64_t value_nusd_per_hour, int64_t horizon_ms) {
    return ceil_positive(switch_us, value_nusd_per_hour,
                         (sl_i128)(horizon_ms < 1 ? 1 : horizon_ms) * 1000);
}

int64_t sl_opportunity_minus(int64_t a, int64_t b) {
    return clamp((sl_i128)a - b);
}

int64_t sl_opportunity_plus(int64_t a, int64_t b) {
    return clamp((sl_i128)a + b);
}
