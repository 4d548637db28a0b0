/* SPDX-License-Identifier: Apache-2.0 */ /* tidy: allow mirror (test_threshold.c, test_market.c) */
#include "schedulers/frame.h"

#include "proto/base/mutant.h"
#include "schedulers/opportunity.h"

bool sl_frame_has(const struct sl_frame *d, enum sl_mode mode, unsigned bits) {
    return (d->in->offer[mode][d->row] & bits) == bits;
}

void sl_frame_settle(const struct sl_frame *d, enum sl_mode mode, enum sl_rule rule) {
    d->out->mode[d->row] = (uint8_t)mode;
    d->out->rule[d->row] = (uint8_t)rule;
}

/* Like is compared with like: if the power of one mode that could be chosen is unknown, no mode is
 * charged for power. Idle draws least, so its unknown power alone changes nothing. */
static bool power_is_incomplete(const struct sl_frame *d) {
    for (enum sl_mode mode = SL_MODE_HASH; mode < SL_MODE_COUNT; mode++) {
        if (sl_frame_has(d, mode, SL_OFFER_POSSIBLE) && !sl_frame_has(d, mode, SL_OFFER_POWER)) {
            return true;
        }
    }
    return false;
}

int64_t sl_frame_value(const struct sl_frame *d, enum sl_mode mode) {
    int64_t gross = d->in->gross_nusd_h[mode][d->row];
    if (d->gross || !sl_frame_has(d, mode, SL_OFFER_POWER)) {
        return gross;
    }
    return sl_opportunity_minus(gross, d->in->power_nusd_h[mode][d->row]);
}

static bool ordered(const struct sl_frame *d) {
    switch ((enum sl_policy_order)d->in->order_kind[d->row]) {
    case SL_ORDER_STOP:
        sl_frame_settle(d, SL_MODE_IDLE, SL_RULE_STOP);
        return true;
    case SL_ORDER_DRAIN:
        sl_frame_settle(d, SL_MODE_IDLE, SL_RULE_DRAIN);
        return !SL_MUTANT(drain_ignored);
    case SL_ORDER_FAULT:
        sl_frame_settle(d, SL_MODE_IDLE, SL_RULE_FAULT);
        return true;
    case SL_ORDER_PIN: {
        enum sl_mode pinned = (enum sl_mode)d->in->order_pinned[d->row];
        if (pinned <= SL_MODE_INVALID || pinned >= SL_MODE_COUNT ||
            !sl_frame_has(d, pinned, SL_OFFER_POSSIBLE)) {
            pinned = SL_MODE_IDLE;
            d->out->marks[d->row] |= SL_MARK_IMPOSSIBLE;
        }
        sl_frame_settle(d, pinned, SL_RULE_PIN);
        return true;
    }
    case SL_ORDER_NONE:
    default:
        return false;
    }
}

/* A price that some possible mode needs is missing: no comparison is worth anything. */
static bool held(const struct sl_frame *d) {
    bool priced = true;
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        priced = priced && (!sl_frame_has(d, mode, SL_OFFER_POSSIBLE) ||
                            sl_frame_has(d, mode, SL_OFFER_PRICED));
    }
    if (priced) {
        return false;
    }
    bool goes_on = d->present != SL_MODE_INVALID &&
                   sl_frame_has(d, d->present, SL_OFFER_POSSIBLE) &&
                   (d->present != SL_MODE_INFER || d->in->lease_open[d->row]);
    enum sl_mode mode = d->present;
    if (!goes_on) {
        mode = (enum sl_mode)d->in->params.safe_mode;
        d->out->marks[d->row] |= SL_MARK_SAFE_MODE;
        /* A safe mode of infer makes no sense without a lease: idle is the safest there is. */
        if (mode != SL_MODE_HASH || !sl_frame_has(d, mode, SL_OFFER_POSSIBLE)) {
            d->out->marks[d->row] |= mode == SL_MODE_IDLE ? 0 : SL_MARK_IMPOSSIBLE;
            mode = SL_MODE_IDLE;
        }
    }
    sl_frame_settle(d, mode, SL_RULE_HOLD);
    return true;
}

/* Equal values: what runs goes on; then earning modes before idle, since a value is rounded down.
 */
enum sl_mode sl_frame_best(const struct sl_frame *d) {
    const enum sl_mode order[] = {d->present, SL_MODE_HASH, SL_MODE_INFER, SL_MODE_IDLE};
    enum sl_mode best = SL_MODE_INVALID;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        enum sl_mode mode = order[i];
        if (mode != SL_MODE_INVALID && sl_frame_has(d, mode, SL_OFFER_POSSIBLE) &&
            (best == SL_MODE_INVALID || sl_frame_value(d, mode) > sl_frame_value(d, best))) {
            best = mode;
        }
    }
    return best == SL_MODE_INVALID ? SL_MODE_IDLE : best;
}

bool sl_frame_restart(const struct sl_frame *d) {
    if (d->present != SL_MODE_INVALID && sl_frame_has(d, d->present, SL_OFFER_POSSIBLE)) {
        return false;
    }
    enum sl_mode best = sl_frame_best(d);
    bool ended = d->present != SL_MODE_INVALID;
    sl_frame_settle(d, best, ended ? SL_RULE_LEASE_END : SL_RULE_START);
    return true;
}

bool sl_frame_begin(struct sl_frame *frame, const struct sl_policy_input *in, struct sl_plan *out,
                    uint32_t row) {
    out->present_nusd_h[row] = 0;
    out->best_nusd_h[row] = 0;
    out->switch_nusd_h[row] = 0;
    out->margin_nusd_h[row] = 0;
    out->dwell_left_ms[row] = 0;
    out->regret_nusd[row] = 0;
    out->best[row] = 0;
    out->marks[row] = 0;
    *frame = (struct sl_frame){in, out, row, SL_MODE_INVALID, false};
    if (in->present[row] < SL_MODE_COUNT) {
        frame->present = (enum sl_mode)in->present[row];
    }
    if (ordered(frame) || held(frame)) {
        return true;
    }
    frame->gross = power_is_incomplete(frame);
    out->marks[row] |= frame->gross ? SL_MARK_GROSS : 0;
    return false;
}
