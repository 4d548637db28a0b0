/* SPDX-License-Identifier: Apache-2.0
 * The first policy: each device by itself takes the mode worth most, if that beats the present one
 * by a percentage and by the measured switching cost, and if it did not move a moment ago.
 *
 * Order of the rules: people and faults first; then a stale price, which forbids every move caused
 * by price; then what ended by itself; then values. Percentage thresholds are a baseline: they
 * waste money where prices are noisy, and stay as one when a better policy joins. */
#include <stdbool.h>

#include "proto/base/money.h"
#include "proto/base/mutant.h"
#include "schedulers/opportunity.h"
#include "schedulers/policy.h"

struct device {
    const struct sl_policy_input *in;
    struct sl_plan *out;
    uint32_t i;
    enum sl_mode present;
    bool gross; /* compare without power */
};

static bool has(const struct device *d, enum sl_mode mode, unsigned bits) {
    return (d->in->offer[mode][d->i] & bits) == bits;
}

static void settle(const struct device *d, enum sl_mode mode, enum sl_rule rule) {
    d->out->mode[d->i] = (uint8_t)mode;
    d->out->rule[d->i] = (uint8_t)rule;
}

/* Like is compared with like: if the power of one mode that could be chosen is unknown, no mode is
 * charged for power. Idle draws least, so its unknown power alone changes nothing. */
static bool power_is_incomplete(const struct device *d) {
    for (enum sl_mode mode = SL_MODE_HASH; mode < SL_MODE_COUNT; mode++) {
        if (has(d, mode, SL_OFFER_POSSIBLE) && !has(d, mode, SL_OFFER_POWER)) {
            return true;
        }
    }
    return false;
}

static int64_t value_of(const struct device *d, enum sl_mode mode) {
    int64_t gross = d->in->gross_nusd_h[mode][d->i];
    if (d->gross || !has(d, mode, SL_OFFER_POWER)) {
        return gross;
    }
    return sl_opportunity_minus(gross, d->in->power_nusd_h[mode][d->i]);
}

static bool ordered(const struct device *d) {
    switch ((enum sl_policy_order)d->in->order_kind[d->i]) {
    case SL_ORDER_STOP:
        settle(d, SL_MODE_IDLE, SL_RULE_STOP);
        return true;
    case SL_ORDER_DRAIN:
        settle(d, SL_MODE_IDLE, SL_RULE_DRAIN);
        return !SL_MUTANT(drain_ignored);
    case SL_ORDER_FAULT:
        settle(d, SL_MODE_IDLE, SL_RULE_FAULT);
        return true;
    case SL_ORDER_PIN: {
        enum sl_mode pinned = (enum sl_mode)d->in->order_pinned[d->i];
        if (pinned <= SL_MODE_INVALID || pinned >= SL_MODE_COUNT ||
            !has(d, pinned, SL_OFFER_POSSIBLE)) {
            pinned = SL_MODE_IDLE;
            d->out->marks[d->i] |= SL_MARK_IMPOSSIBLE;
        }
        settle(d, pinned, SL_RULE_PIN);
        return true;
    }
    case SL_ORDER_NONE:
    default:
        return false;
    }
}

/* A price that some possible mode needs is missing: no comparison is worth anything. */
static bool held(const struct device *d) {
    bool priced = true;
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        priced = priced && (!has(d, mode, SL_OFFER_POSSIBLE) || has(d, mode, SL_OFFER_PRICED));
    }
    if (priced) {
        return false;
    }
    bool goes_on = d->present != SL_MODE_INVALID && has(d, d->present, SL_OFFER_POSSIBLE) &&
                   (d->present != SL_MODE_INFER || d->in->lease_open[d->i]);
    enum sl_mode mode = d->present;
    if (!goes_on) {
        mode = (enum sl_mode)d->in->params.safe_mode;
        d->out->marks[d->i] |= SL_MARK_SAFE_MODE;
        /* A safe mode of infer makes no sense without a lease: idle is the safest there is. */
        if (mode != SL_MODE_HASH || !has(d, mode, SL_OFFER_POSSIBLE)) {
            d->out->marks[d->i] |= mode == SL_MODE_IDLE ? 0 : SL_MARK_IMPOSSIBLE;
            mode = SL_MODE_IDLE;
        }
    }
    settle(d, mode, SL_RULE_HOLD);
    return true;
}

/* Equal values: what runs goes on; then earning modes before idle, since a value is rounded down.
 */
static enum sl_mode best_mode(const struct device *d) {
    const enum sl_mode order[] = {d->present, SL_MODE_HASH, SL_MODE_INFER, SL_MODE_IDLE};
    enum sl_mode best = SL_MODE_INVALID;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        enum sl_mode mode = order[i];
        if (mode != SL_MODE_INVALID && has(d, mode, SL_OFFER_POSSIBLE) &&
            (best == SL_MODE_INVALID || value_of(d, mode) > value_of(d, best))) {
            best = mode;
        }
    }
    return best == SL_MODE_INVALID ? SL_MODE_IDLE : best;
}

static void compare(const struct device *d, enum sl_mode best) {
    const struct sl_policy_params *params = &d->in->params;
    int64_t now = d->out->present_nusd_h[d->i];
    int64_t then = d->out->best_nusd_h[d->i];
    int64_t switch_us = d->in->switch_us[best][d->i];
    if (switch_us == 0) {
        d->out->marks[d->i] |= SL_MARK_SWITCH_UNKNOWN;
    }
    int64_t lost_nusd_h =
        sl_opportunity_spread(switch_us, then > now ? then : now, params->switch_horizon_ms);
    sl_i128 magnitude = now < 0 ? -(sl_i128)now : now;
    /* |value| < 2^63 and ppm < 2^63: the product fits, and so does its sum below. */
    sl_i128 margin = (magnitude * params->threshold_ppm + 999999) / 1000000;
    d->out->switch_nusd_h[d->i] = lost_nusd_h;
    d->out->margin_nusd_h[d->i] = margin > INT64_MAX ? INT64_MAX : (int64_t)margin;
    if ((sl_i128)then <= (sl_i128)now + margin + lost_nusd_h) {
        settle(d, d->present, SL_RULE_STAY);
        return;
    }
    int64_t left_ms = params->dwell_min_ms - d->in->in_mode_ms[d->i];
    if (left_ms > 0) {
        d->out->dwell_left_ms[d->i] = left_ms;
        settle(d, d->present, SL_RULE_DWELL);
        return;
    }
    settle(d, best, best == SL_MODE_IDLE ? SL_RULE_IDLE : SL_RULE_THRESHOLD);
}

static void decide_one(struct device *d) {
    if (ordered(d) || held(d)) {
        return;
    }
    d->gross = power_is_incomplete(d);
    if (d->gross) {
        d->out->marks[d->i] |= SL_MARK_GROSS;
    }
    enum sl_mode best = best_mode(d);
    d->out->best[d->i] = (uint8_t)best;
    d->out->best_nusd_h[d->i] = value_of(d, best);
    if (d->present == SL_MODE_INVALID || !has(d, d->present, SL_OFFER_POSSIBLE)) {
        bool ended = d->present != SL_MODE_INVALID;
        settle(d, best, ended ? SL_RULE_LEASE_END : SL_RULE_START);
        return;
    }
    d->out->present_nusd_h[d->i] = value_of(d, d->present);
    if (best == d->present) {
        settle(d, best, best == SL_MODE_IDLE ? SL_RULE_IDLE : SL_RULE_STAY);
        return;
    }
    compare(d, best);
}

static void decide(const struct sl_policy_input *in, void *state, struct sl_plan *out) {
    (void)state; /* every figure it needs is in the snapshot */
    out->count = in->count;
    for (uint32_t i = 0; i < in->count; i++) {
        out->present_nusd_h[i] = 0;
        out->best_nusd_h[i] = 0;
        out->switch_nusd_h[i] = 0;
        out->margin_nusd_h[i] = 0;
        out->dwell_left_ms[i] = 0;
        out->best[i] = 0;
        out->marks[i] = 0;
        struct device d = {in, out, i, SL_MODE_INVALID, false};
        if (in->present[i] < SL_MODE_COUNT) {
            d.present = (enum sl_mode)in->present[i];
        }
        decide_one(&d);
    }
}

const struct sl_policy sl_policy_threshold = {
    .name = "threshold",
    .version = 1,
    .decide = decide,
};
