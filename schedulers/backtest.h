/* SPDX-License-Identifier: Apache-2.0
 * What a policy would have earned in a market, and what could have been earned at best.
 *
 * Both are judged on the truth; a policy sees quotes only. A step's revenue is its rate times its
 * span, rounded to nano-USD once; each change of mode costs `switch_nusd`, the first is free.
 * Thread: any; pure; memory is the caller's. */
#ifndef SLUICE_SCHEDULERS_BACKTEST_H
#define SLUICE_SCHEDULERS_BACKTEST_H

#include "schedulers/scenario.h"

struct sl_backtest_result {
    int64_t revenue_nusd;
    uint32_t switches;
};

/* modes: [steps], the mode of each step, or NULL. class_memory: zeroed, of
 * sl_switching_class_bytes, aligned for int64_t. */
void sl_backtest_run(const struct sl_market *market, int64_t switch_nusd,
                     const struct sl_switching_policy *policy,
                     const struct sl_switching_params *params, void *class_memory, uint8_t *modes,
                     struct sl_backtest_result *ret_result);

/* The clairvoyant optimum, by dynamic programming in O(steps x modes). from: [steps][MODES], for
 * the way back; modes: [steps] or NULL. */
void sl_backtest_optimum(const struct sl_market *market, int64_t switch_nusd, uint8_t *from,
                         uint8_t *modes, struct sl_backtest_result *ret_result);

/* The one mode that would have earned most, by hindsight. */
void sl_backtest_fixed(const struct sl_market *market, uint8_t *modes,
                       struct sl_backtest_result *ret_result);

/* Step t of a market, for a device of its own class, in mode `present` for so long. */
void sl_backtest_step(const struct sl_market *market, uint32_t t, int64_t switch_nusd,
                      uint8_t present, int64_t in_mode_ms, struct sl_switching_step *ret_step);

int64_t sl_backtest_step_nusd(int64_t rate_nusd_h, int64_t span_ms);

#endif
