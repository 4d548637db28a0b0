/* SPDX-License-Identifier: Apache-2.0
 * What others do, under their names, to be compared with:
 *   greedy        whatever is quoted highest, at every step
 *   percent       RainbowMiner's default: 3 % better than what runs
 *   minimum-time  MoneroOcean's algo_min_time: the best, but not before some time has passed
 * They see quotes only, unfiltered, and know nothing of what a switch costs. A lease is a mode like
 * any other: what is offered now, or what waiting costs. Ties go to the lower number. */
#include <stdbool.h>

#include "schedulers/switching.h"

struct baseline {
    struct sl_switching_modes modes;
    struct sl_switching_params params;
    int64_t in_mode_ms;
    uint8_t present;
};

static size_t baseline_state_bytes(const struct sl_switching_params *params) {
    (void)params;
    return sizeof(struct baseline);
}

static void baseline_init(void *state, const struct sl_switching_modes *modes,
                          const struct sl_switching_params *params) {
    struct baseline *b = state;
    b->modes = *modes;
    b->params = *params;
    b->present = SL_SWITCHING_NONE;
}

static int64_t quoted(const struct sl_switching_step *step, uint32_t mode) {
    return step->gross_nusd_h[mode] - step->known_nusd_h[mode];
}

/* The best by quote, and the figures of the reason. */
static uint8_t best_quote(struct baseline *b, const struct sl_switching_step *step,
                          struct sl_switching_reason *reason) {
    uint8_t best = 0;
    for (uint8_t m = 1; m < b->modes.count; m++) {
        best = quoted(step, m) > quoted(step, best) ? m : best;
    }
    b->in_mode_ms = step->present == b->present ? b->in_mode_ms + step->span_ms : 0;
    b->present = step->present;
    *reason = (struct sl_switching_reason){.rule = SL_SWITCHING_STAY, .best = best};
    reason->best_value = quoted(step, best);
    if (step->present == SL_SWITCHING_NONE) {
        reason->rule = SL_SWITCHING_START;
    } else {
        reason->present_value = quoted(step, step->present);
    }
    return best;
}

static uint8_t greedy_decide(void *state, const struct sl_switching_step *step,
                             struct sl_switching_reason *ret_reason) {
    uint8_t best = best_quote(state, step, ret_reason);
    if (ret_reason->rule == SL_SWITCHING_START ||
        ret_reason->best_value <= ret_reason->present_value) {
        return ret_reason->rule == SL_SWITCHING_START ? best : step->present;
    }
    ret_reason->rule = SL_SWITCHING_BAND;
    return best;
}

static uint8_t percent_decide(void *state, const struct sl_switching_step *step,
                              struct sl_switching_reason *ret_reason) {
    struct baseline *b = state;
    uint8_t best = best_quote(b, step, ret_reason);
    if (ret_reason->rule == SL_SWITCHING_START) {
        return best;
    }
    int64_t present = ret_reason->present_value;
    int64_t size = present < 0 ? -present : present;
    ret_reason->band = (int64_t)((__int128)size * b->params.percent_ppm / 1000000);
    if (ret_reason->best_value - present <= ret_reason->band) {
        return step->present;
    }
    ret_reason->rule = SL_SWITCHING_BAND;
    return best;
}

static uint8_t minimum_decide(void *state, const struct sl_switching_step *step,
                              struct sl_switching_reason *ret_reason) {
    struct baseline *b = state;
    uint8_t best = best_quote(b, step, ret_reason);
    if (ret_reason->rule == SL_SWITCHING_START) {
        return best;
    }
    if (ret_reason->best_value <= ret_reason->present_value) {
        return step->present;
    }
    bool early = b->in_mode_ms + step->span_ms < b->params.minimum_ms;
    ret_reason->rule = early ? SL_SWITCHING_DWELL : SL_SWITCHING_BAND;
    return early ? step->present : best;
}

const struct sl_switching_policy sl_switching_greedy = {
    .name = "greedy",
    .says = "whatever is quoted highest",
    .state_bytes = baseline_state_bytes,
    .init = baseline_init,
    .decide = greedy_decide,
};
const struct sl_switching_policy sl_switching_percent = {
    .name = "percent",
    .says = "3 % better than what runs (RainbowMiner)",
    .state_bytes = baseline_state_bytes,
    .init = baseline_init,
    .decide = percent_decide,
};
const struct sl_switching_policy sl_switching_minimum = {
    .name = "minimum-time",
    .says = "the best after 10 minutes in a mode (MoneroOcean)",
    .state_bytes = baseline_state_bytes,
    .init = baseline_init,
    .decide = minimum_decide,
};
