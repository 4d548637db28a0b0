/* SPDX-License-Identifier: Apache-2.0
 * What others do, under their names, to be compared with:
 *   greedy        whatever is quoted highest, at every step
 *   percent       RainbowMiner's default: 3 % better than what runs
 *   minimum-time  MoneroOcean's algo_min_time: the best, but not before some time has passed
 * They see quotes only, unfiltered, and know nothing of what a switch costs. A lease is a mode like
 * any other: what is offered now, or what waiting costs. Ties go to the lower number. */
#include <stdbool.h>

#include "schedulers/switching.h"

static int64_t quoted(const struct sl_switching_step *step, uint32_t mode) {
    return step->gross_nusd_h[mode] - step->known_nusd_h[mode];
}

/* The best by quote, and the figures of the reason. */
static uint8_t best_quote(const struct sl_switching_view *view, struct sl_switching_device *device,
                          const struct sl_switching_step *step,
                          struct sl_switching_reason *reason) {
    uint8_t best = SL_SWITCHING_NONE;
    for (uint8_t m = 0; m < view->modes.count; m++) {
        bool better = best == SL_SWITCHING_NONE || quoted(step, m) > quoted(step, best);
        best = (step->possible >> m & 1) && better ? m : best;
    }
    *reason = (struct sl_switching_reason){.rule = SL_SWITCHING_STAY, .best = best};
    reason->best_value = best == SL_SWITCHING_NONE ? 0 : quoted(step, best);
    if (step->present == SL_SWITCHING_NONE) {
        reason->rule = SL_SWITCHING_START;
    } else {
        reason->present_value = quoted(step, step->present);
    }
    (void)device; /* nothing of the past counts */
    return best;
}

static bool is_better(const struct sl_switching_reason *reason) {
    return reason->best != SL_SWITCHING_NONE && reason->best_value > reason->present_value;
}

#define DECIDE(name)                                                                               \
    static uint8_t name(const struct sl_switching_params *params,                                  \
                        const struct sl_switching_view *view, struct sl_switching_device *device,  \
                        const struct sl_switching_step *step,                                      \
                        struct sl_switching_reason *ret_reason)

DECIDE(greedy_decide) {
    (void)params;
    uint8_t best = best_quote(view, device, step, ret_reason);
    if (ret_reason->rule == SL_SWITCHING_START) {
        return best;
    }
    if (!is_better(ret_reason)) {
        return step->present;
    }
    ret_reason->rule = SL_SWITCHING_BAND;
    return best;
}

DECIDE(percent_decide) {
    uint8_t best = best_quote(view, device, step, ret_reason);
    if (ret_reason->rule == SL_SWITCHING_START) {
        return best;
    }
    int64_t present = ret_reason->present_value;
    __int128 size = present < 0 ? -(__int128)present : present;
    __int128 band = size * params->percent_ppm / 1000000;
    ret_reason->band = band < INT64_MAX ? (int64_t)band : INT64_MAX;
    if (!is_better(ret_reason) || ret_reason->best_value - present <= ret_reason->band) {
        return step->present;
    }
    ret_reason->rule = SL_SWITCHING_BAND;
    return best;
}

DECIDE(minimum_decide) {
    uint8_t best = best_quote(view, device, step, ret_reason);
    if (ret_reason->rule == SL_SWITCHING_START) {
        return best;
    }
    if (!is_better(ret_reason)) {
        return step->present;
    }
    bool early = step->in_mode_ms < params->minimum_ms;
    ret_reason->rule = early ? SL_SWITCHING_DWELL : SL_SWITCHING_BAND;
    return early ? step->present : best;
}

const struct sl_switching_policy sl_switching_greedy = {
    .name = "greedy",
    .says = "whatever is quoted highest",
    .decide = greedy_decide,
};
const struct sl_switching_policy sl_switching_percent = {
    .name = "percent",
    .says = "3 % better than what runs (RainbowMiner)",
    .decide = percent_decide,
};
const struct sl_switching_policy sl_switching_minimum = {
    .name = "minimum-time",
    .says = "the best after 10 minutes in a mode (MoneroOcean)",
    .decide = minimum_decide,
};
