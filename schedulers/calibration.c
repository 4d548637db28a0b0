/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/calibration.h"

#include "proto/base/money.h"

#define ONE INT64_C(1000000)
#define DAY_MS INT64_C(86400000)
#define STEPS_MAX 60 /* by then nothing of the old factor is left */

int64_t sl_calibration_factor(const struct sl_calibration *state) {
    return state->factor_ppm > 0 ? state->factor_ppm : ONE;
}

static int64_t plus(int64_t a, int64_t b) {
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static void step(const struct sl_calibration_limits *limits, struct sl_calibration *state,
                 int64_t settled, int64_t quoted, int64_t days) {
    if (quoted <= 0 || limits->weight_ppm <= 0) {
        return; /* nothing was quoted: no ratio */
    }
    /* One wild day is worth its bound, not more. */
    sl_i128 ratio = (sl_i128)settled * ONE / quoted;
    ratio = ratio > limits->max_ppm ? limits->max_ppm : ratio;
    ratio = ratio < limits->min_ppm ? limits->min_ppm : ratio;
    sl_i128 factor = sl_calibration_factor(state);
    for (int64_t i = 0; i < days && i < STEPS_MAX; i++) {
        factor += (ratio - factor) * limits->weight_ppm / ONE;
    }
    factor = factor > limits->max_ppm ? limits->max_ppm : factor;
    factor = factor < limits->min_ppm ? limits->min_ppm : factor;
    state->factor_ppm = (int64_t)factor;
}

static void close_day(const struct sl_calibration_limits *limits, struct sl_calibration *state) {
    step(limits, state, state->settled_nusd, state->quoted_nusd, 1);
    state->settled_nusd = 0;
    state->quoted_nusd = 0;
}

void sl_calibration_add(const struct sl_calibration_limits *limits, struct sl_calibration *state,
                        int64_t from_ms, int64_t to_ms, int64_t settled_nusd, int64_t quoted_nusd) {
    int64_t day = from_ms / DAY_MS;
    int64_t days = (to_ms - from_ms + DAY_MS / 2) / DAY_MS;
    if (day != state->day || days > 1) {
        close_day(limits, state);
        state->day = day;
    }
    if (days > 1) {
        step(limits, state, settled_nusd, quoted_nusd, days);
        return;
    }
    state->settled_nusd = plus(state->settled_nusd, settled_nusd);
    state->quoted_nusd = plus(state->quoted_nusd, quoted_nusd);
}

void sl_calibration_close(const struct sl_calibration_limits *limits, struct sl_calibration *state,
                          int64_t now_ms) {
    if (now_ms / DAY_MS > state->day) {
        close_day(limits, state);
    }
}
