/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/shock.h"

#include <string.h>

#include "proto/base/money.h"

#define DIGITS 6
/* "1.5" is a factor; a bare 60 is more likely a forgotten % than sixty times. */
#define BARE_MAX (INT64_C(10) * SL_SHOCK_SAME)

struct sl_shock sl_shock_none(void) {
    return (struct sl_shock){.lease_ppm = SL_SHOCK_SAME,
                             .hash_ppm = SL_SHOCK_SAME,
                             .power_ppm = SL_SHOCK_SAME,
                             .tenant = SL_SHOCK_NOBODY};
}

/* A decimal without a sign as millionths; the first character behind it, or NULL. */
static const char *read_decimal(const char *text, int64_t *ret_millionths) {
    int64_t value = 0;
    int after = -1; /* decimals seen; -1: before the point */
    const char *at = text;
    for (; (*at >= '0' && *at <= '9') || (*at == '.' && after < 0); at++) {
        if (*at == '.') {
            after = 0;
            continue;
        }
        if (after == DIGITS || value > INT64_MAX / 100) {
            return NULL;
        }
        value = value * 10 + (*at - '0');
        after += after >= 0;
    }
    if (at == text || at[-1] == '.' || *text == '.') {
        return NULL;
    }
    for (int i = after < 0 ? 0 : after; i < DIGITS; i++) {
        if (value > INT64_MAX / 10) {
            return NULL;
        }
        value *= 10;
    }
    *ret_millionths = value;
    return at;
}

static int refuse(const char *name, const char *text, struct sl_error *err) {
    return sl_fail(err, SL_INVALID,
                   "%s: '%.40s' is no change: write -60%% for 60 %% less, +20%% for 20 %% more, "
                   "x3 or 1.5 for so many times",
                   name, text);
}

/* What stands behind a sign is a change in percent and nothing else. */
static int parse_change(const char *name, const char *text, int64_t *ret_ppm,
                        struct sl_error *err) {
    int64_t percent = 0;
    const char *end = read_decimal(text + 1, &percent);
    if (end && *end == '\0') {
        return sl_fail(err, SL_INVALID, "%s: '%.40s' has no unit: write %.40s%% for percent", name,
                       text, text);
    }
    if (!end || strcmp(end, "%") != 0) {
        return refuse(name, text, err);
    }
    int64_t change = percent / 100;
    if (text[0] == '-' && change > SL_SHOCK_SAME) {
        return sl_fail(err, SL_INVALID, "%s: '%.40s' is below nothing: -100%% is the least", name,
                       text);
    }
    *ret_ppm = text[0] == '-' ? SL_SHOCK_SAME - change : SL_SHOCK_SAME + change;
    return SL_OK;
}

int sl_shock_parse(const char *name, const char *text, int64_t *ret_ppm, struct sl_error *err) {
    int64_t ppm = 0;
    if (text[0] == '-' || text[0] == '+') {
        int rc = parse_change(name, text, &ppm, err);
        if (rc) {
            return rc;
        }
    } else {
        bool times = text[0] == 'x';
        const char *end = read_decimal(text + times, &ppm);
        if (!end || (times && *end != '\0')) {
            return refuse(name, text, err);
        }
        if (strcmp(end, "%") == 0) {
            return sl_fail(err, SL_INVALID,
                           "%s: '%.40s' says no direction: write -%.40s for less, +%.40s for more",
                           name, text, text, text);
        }
        if (*end != '\0') {
            return refuse(name, text, err);
        }
        if (!times && ppm >= BARE_MAX) {
            return sl_fail(err, SL_INVALID,
                           "%s: '%.40s' is a bare number: write -%.40s%% for so much less, "
                           "+%.40s%% for more, or x%.40s for so many times",
                           name, text, text, text, text);
        }
    }
    if (ppm > SL_SHOCK_MAX) {
        return sl_fail(err, SL_INVALID, "%s: '%.40s' is more than a thousand times", name, text);
    }
    *ret_ppm = ppm;
    return SL_OK;
}

static int64_t floor_scale(sl_i128 product, sl_i128 divisor) {
    sl_i128 quotient = product / divisor;
    quotient -= product % divisor < 0 ? 1 : 0;
    if (quotient > INT64_MAX) {
        return INT64_MAX;
    }
    return quotient < INT64_MIN ? INT64_MIN : (int64_t)quotient;
}

int64_t sl_shock_scale(int64_t value, int64_t factor_ppm) {
    return floor_scale((sl_i128)value * factor_ppm, SL_SHOCK_SAME);
}

int64_t sl_shock_hash(const struct sl_shock *shock, int64_t gross_nusd_h, int64_t fee_share_ppm) {
    if (!shock->halving) {
        return sl_shock_scale(gross_nusd_h, shock->hash_ppm);
    }
    /* fees + (1 - fees) / 2 = (1 + fees) / 2: one product, one division. Factors are at most 1e9,
     * so that the whole stays within 63 + 30 + 21 bits. */
    return floor_scale((sl_i128)gross_nusd_h * shock->hash_ppm * (SL_SHOCK_SAME + fee_share_ppm),
                       (sl_i128)2 * SL_SHOCK_SAME * SL_SHOCK_SAME);
}
