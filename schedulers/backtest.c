/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/backtest.h"

#include "schedulers/class.h"

#include <stdbool.h>
#include <string.h>

#define MODES SL_SWITCHING_MODES
#define MS_PER_H 3600000

int64_t sl_backtest_step_nusd(int64_t rate_nusd_h, int64_t span_ms) {
    __int128 product = (__int128)rate_nusd_h * span_ms;
    __int128 half = product < 0 ? -MS_PER_H / 2 : MS_PER_H / 2;
    return (int64_t)((product + half) / MS_PER_H);
}

static int64_t earned(const struct sl_market *market, uint32_t step, uint32_t mode) {
    return sl_backtest_step_nusd(market->true_nusd_h[(size_t)step * MODES + mode], market->step_ms);
}

void sl_backtest_step(const struct sl_market *market, uint32_t t, int64_t switch_nusd,
                      uint8_t present, int64_t in_mode_ms, struct sl_switching_step *ret_step) {
    size_t row = (size_t)t * MODES;
    struct sl_switching_step *step = ret_step;
    memcpy(step->gross_nusd_h, market->gross_nusd_h + row, sizeof step->gross_nusd_h);
    memcpy(step->known_nusd_h, market->known_nusd_h + row, sizeof step->known_nusd_h);
    for (size_t m = 0; m < MODES; m++) {
        step->rate[m] = 1;
        step->switch_nusd[m] = switch_nusd;
        step->back_nusd[m] = switch_nusd;
    }
    step->span_ms = market->step_ms;
    step->possible = (uint16_t)((1u << market->modes.count) - 1);
    step->lease_on = market->lease_on[t];
    step->lease_left_ms = market->lease_left_ms[t];
    step->waiting_nusd_h = market->waiting_nusd_h[t];
    step->present = present;
    step->in_mode_ms = in_mode_ms;
}

void sl_backtest_run(const struct sl_market *market, int64_t switch_nusd,
                     const struct sl_switching_policy *policy,
                     const struct sl_switching_params *params, void *class_memory, uint8_t *modes,
                     struct sl_backtest_result *ret_result) {
    struct sl_backtest_result result = {0};
    struct sl_switching_class *class =
        sl_switching_class_init(class_memory, &market->modes, params);
    struct sl_switching_device device = {0};
    uint8_t present = SL_SWITCHING_NONE;
    int64_t in_mode_ms = 0;
    for (uint32_t t = 0; t < market->steps; t++) {
        struct sl_switching_step step;
        struct sl_switching_reason reason;
        sl_backtest_step(market, t, switch_nusd, present, in_mode_ms, &step);
        if (policy->learns) {
            sl_switching_class_observe(class, &step);
        }
        uint8_t mode =
            policy->decide(params, sl_switching_class_view(class), &device, &step, &reason);
        if (present != SL_SWITCHING_NONE && mode != present) {
            result.revenue_nusd -= switch_nusd;
            result.switches++;
        }
        result.revenue_nusd += earned(market, t, mode);
        in_mode_ms = (mode == present ? in_mode_ms : 0) + market->step_ms;
        present = mode;
        if (modes) {
            modes[t] = mode;
        }
    }
    *ret_result = result;
}

void sl_backtest_optimum(const struct sl_market *market, int64_t switch_nusd, uint8_t *from,
                         uint8_t *modes, struct sl_backtest_result *ret_result) {
    int64_t value[MODES] = {0};
    uint8_t count = market->modes.count;
    uint8_t best = 0;
    for (uint32_t t = 0; t < market->steps; t++) {
        int64_t most = value[best];
        uint8_t last = best;
        for (uint32_t m = 0; m < count; m++) {
            bool moved = t > 0 && most - switch_nusd > value[m];
            from[(size_t)t * MODES + m] = moved ? last : (uint8_t)m;
            value[m] = (moved ? most - switch_nusd : value[m]) + earned(market, t, m);
        }
        best = 0;
        for (uint8_t m = 1; m < count; m++) {
            best = value[m] > value[best] ? m : best;
        }
    }
    *ret_result = (struct sl_backtest_result){.revenue_nusd = value[best]};
    uint8_t mode = best;
    for (uint32_t t = market->steps; t > 0; t--) {
        if (modes) {
            modes[t - 1] = mode;
        }
        uint8_t before = from[(size_t)(t - 1) * MODES + mode];
        ret_result->switches += before != mode;
        mode = before;
    }
}

void sl_backtest_fixed(const struct sl_market *market, uint8_t *modes,
                       struct sl_backtest_result *ret_result) {
    uint8_t best = 0;
    for (uint8_t m = 0; m < market->modes.count; m++) {
        int64_t sum = 0;
        for (uint32_t t = 0; t < market->steps; t++) {
            sum += earned(market, t, m);
        }
        if (m == 0 || sum > ret_result->revenue_nusd) {
            *ret_result = (struct sl_backtest_result){.revenue_nusd = sum};
            best = m;
        }
    }
    if (modes) {
        memset(modes, best, market->steps);
    }
}
