/* SPDX-License-Identifier: Apache-2.0
 * The first policy: each device by itself takes the mode worth most, if that beats the present one
 * by a percentage and by the measured switching cost, and if it did not move a moment ago.
 * Percentage thresholds are a baseline: they waste money where prices are noisy. */
#include "proto/base/money.h"
#include "schedulers/frame.h"
#include "schedulers/opportunity.h"

static void compare(const struct sl_frame *d, enum sl_mode best) {
    const struct sl_policy_params *params = &d->in->params;
    int64_t now = d->out->present_nusd_h[d->row];
    int64_t then = d->out->best_nusd_h[d->row];
    int64_t switch_us = d->in->switch_us[best][d->row];
    if (switch_us == 0) {
        d->out->marks[d->row] |= SL_MARK_SWITCH_UNKNOWN;
    }
    int64_t lost_nusd_h =
        sl_opportunity_spread(switch_us, then > now ? then : now, params->switch_horizon_ms);
    sl_i128 magnitude = now < 0 ? -(sl_i128)now : now;
    /* |value| < 2^63 and ppm < 2^63: the product fits, and so does its sum below. */
    sl_i128 margin = (magnitude * params->threshold_ppm + 999999) / 1000000;
    d->out->switch_nusd_h[d->row] = lost_nusd_h;
    d->out->margin_nusd_h[d->row] = margin > INT64_MAX ? INT64_MAX : (int64_t)margin;
    if ((sl_i128)then <= (sl_i128)now + margin + lost_nusd_h) {
        sl_frame_settle(d, d->present, SL_RULE_STAY);
        return;
    }
    int64_t left_ms = params->dwell_min_ms - d->in->in_mode_ms[d->row];
    if (left_ms > 0) {
        d->out->dwell_left_ms[d->row] = left_ms;
        sl_frame_settle(d, d->present, SL_RULE_DWELL);
        return;
    }
    sl_frame_settle(d, best, best == SL_MODE_IDLE ? SL_RULE_IDLE : SL_RULE_THRESHOLD);
}

static void decide_one(const struct sl_frame *d) {
    enum sl_mode best = sl_frame_best(d);
    d->out->best[d->row] = (uint8_t)best;
    d->out->best_nusd_h[d->row] = sl_frame_value(d, best);
    if (sl_frame_restart(d)) {
        return;
    }
    d->out->present_nusd_h[d->row] = sl_frame_value(d, d->present);
    if (best == d->present) {
        sl_frame_settle(d, best, best == SL_MODE_IDLE ? SL_RULE_IDLE : SL_RULE_STAY);
        return;
    }
    compare(d, best);
}

static void decide(const struct sl_policy_input *in, struct sl_switching_device *devices,
                   struct sl_plan *out) {
    (void)devices; /* every figure it needs is in the snapshot */
    out->count = in->count;
    for (uint32_t i = 0; i < in->count; i++) {
        struct sl_frame frame;
        if (!sl_frame_begin(&frame, in, out, i)) {
            decide_one(&frame);
        }
    }
}

const struct sl_policy sl_policy_threshold = {
    .name = "threshold",
    .version = 1,
    .decide = decide,
};
