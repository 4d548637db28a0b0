/* SPDX-License-Identifier: Apache-2.0
 * The switching policies on a fleet: each device of the snapshot becomes a step of its own, its
 * class what was learnt. People, faults, stale prices and what ended come before (frame.h). A lease
 * that has no line left is left at once: there is nothing to hold the device for. */
#include "schedulers/frame.h"
#include "schedulers/opportunity.h"

static const enum sl_mode mode_of[SL_POLICY_MODES] = {SL_MODE_HASH, SL_MODE_INFER, SL_MODE_IDLE};

/* A mad price stays one, and differences of any two stay within an int64. */
static int64_t bounded(int64_t rate) {
    return rate > SL_SWITCHING_RATE_MAX    ? SL_SWITCHING_RATE_MAX
           : rate < -SL_SWITCHING_RATE_MAX ? -SL_SWITCHING_RATE_MAX
                                           : rate;
}

static uint8_t step_mode(enum sl_mode mode) {
    for (uint32_t m = 0; m < SL_POLICY_MODES; m++) {
        if (mode_of[m] == mode) {
            return (uint8_t)m;
        }
    }
    return SL_SWITCHING_NONE;
}

void sl_policy_step(const struct sl_policy_input *in, uint32_t row, int gross,
                    struct sl_switching_step *ret_step) {
    struct sl_switching_step *step = ret_step;
    int64_t most = 0; /* what stands still during a switch */
    *step = (struct sl_switching_step){.span_ms = in->span_ms[row]};
    for (uint32_t m = 0; m < SL_POLICY_MODES; m++) {
        enum sl_mode mode = mode_of[m];
        uint8_t offer = in->offer[mode][row];
        step->gross_nusd_h[m] = bounded(in->gross_nusd_h[mode][row]);
        step->known_nusd_h[m] =
            gross || !(offer & SL_OFFER_POWER) ? 0 : bounded(in->power_nusd_h[mode][row]);
        step->rate[m] = 1;
        if (offer & SL_OFFER_POSSIBLE) {
            int64_t net = sl_opportunity_minus(step->gross_nusd_h[m], step->known_nusd_h[m]);
            step->possible |= (uint16_t)(1u << m);
            most = net > most ? net : most;
        }
    }
    for (uint32_t m = 0; m < SL_POLICY_MODES; m++) {
        enum sl_mode mode = mode_of[m];
        step->switch_nusd[m] = sl_opportunity_switch(in->switch_us[mode][row], most);
        step->back_nusd[m] = sl_opportunity_switch(in->back_us[mode][row], most);
    }
    step->rate[SL_POLICY_HASH] = in->hash_rate[row];
    step->lease_on = step->possible >> SL_POLICY_LEASE & 1;
    step->lease_left_ms = in->lease_left_ms[row];
    step->waiting_nusd_h = -step->known_nusd_h[SL_POLICY_IDLE];
    step->in_mode_ms = in->in_mode_ms[row];
    step->present = step_mode((enum sl_mode)in->present[row]);
}

uint32_t sl_policy_typical(const struct sl_policy_input *in, uint32_t class, int64_t span_ms,
                           struct sl_switching_step *ret_step) {
    __int128 rate = 0;
    __int128 gross[SL_POLICY_MODES] = {0};
    __int128 power[SL_POLICY_MODES] = {0};
    int64_t possible[SL_POLICY_MODES] = {0};
    int64_t devices = 0;
    uint32_t first = UINT32_MAX;
    for (uint32_t row = 0; row < in->count; row++) {
        if (in->class[row] != class) {
            continue;
        }
        first = devices++ == 0 ? row : first;
        rate += in->hash_rate[row];
        for (uint32_t m = 0; m < SL_POLICY_MODES; m++) {
            enum sl_mode mode = mode_of[m];
            uint8_t offer = in->offer[mode][row];
            power[m] += offer & SL_OFFER_POWER ? in->power_nusd_h[mode][row] : 0;
            if ((offer & SL_OFFER_POSSIBLE) || m != SL_POLICY_LEASE) {
                gross[m] += in->gross_nusd_h[mode][row];
            }
            possible[m] += offer & SL_OFFER_POSSIBLE ? 1 : 0;
        }
    }
    *ret_step = (struct sl_switching_step){.span_ms = span_ms};
    for (uint32_t m = 0; m < SL_POLICY_MODES && devices > 0; m++) {
        int64_t of = m == SL_POLICY_LEASE && possible[m] > 0 ? possible[m] : devices;
        ret_step->gross_nusd_h[m] = bounded((int64_t)(gross[m] / of));
        ret_step->known_nusd_h[m] = bounded((int64_t)(power[m] / devices));
        ret_step->rate[m] = m == SL_POLICY_HASH ? (int64_t)(rate / devices) : 1;
        ret_step->possible |= (uint16_t)((possible[m] > 0) << m);
    }
    ret_step->lease_on = possible[SL_POLICY_LEASE] > 0;
    ret_step->waiting_nusd_h = -ret_step->known_nusd_h[SL_POLICY_IDLE];
    return first;
}

static enum sl_rule rule_of(enum sl_switching_rule rule, enum sl_mode mode) {
    switch (rule) {
    case SL_SWITCHING_START:
        return SL_RULE_START;
    case SL_SWITCHING_STAY:
        return mode == SL_MODE_IDLE ? SL_RULE_IDLE : SL_RULE_STAY;
    case SL_SWITCHING_BAND:
        return mode == SL_MODE_IDLE ? SL_RULE_IDLE : SL_RULE_BAND;
    case SL_SWITCHING_REGRET:
        return SL_RULE_REGRET;
    case SL_SWITCHING_LEASE_ENTER:
        return SL_RULE_LEASE_ENTER;
    case SL_SWITCHING_LEASE_LEAVE:
        return SL_RULE_LEASE_LEAVE;
    case SL_SWITCHING_DWELL:
        return SL_RULE_DWELL;
    default:
        return SL_RULE_INVALID;
    }
}

static void decide_one(const struct sl_frame *d, const struct sl_switching_policy *policy,
                       struct sl_switching_device *devices) {
    const struct sl_policy_input *in = d->in;
    struct sl_plan *out = d->out;
    struct sl_switching_step step;
    struct sl_switching_reason why;
    sl_policy_step(in, d->row, d->gross, &step);
    bool ended = d->present != SL_MODE_INVALID && !sl_frame_has(d, d->present, SL_OFFER_POSSIBLE);
    step.present = ended ? SL_SWITCHING_NONE : step.present;
    uint8_t to = policy->decide(&in->params.switching, in->classes[in->class[d->row]],
                                &devices[in->id[d->row]], &step, &why);
    enum sl_mode mode = to < SL_POLICY_MODES ? mode_of[to] : SL_MODE_IDLE;
    enum sl_mode best = why.best < SL_POLICY_MODES ? mode_of[why.best] : mode;
    out->best[d->row] = (uint8_t)best;
    out->best_nusd_h[d->row] = why.best_value;
    out->present_nusd_h[d->row] = why.present_value;
    out->margin_nusd_h[d->row] = why.band;
    out->regret_nusd[d->row] = why.regret_nusd;
    if (why.best < SL_POLICY_MODES) {
        out->switch_nusd_h[d->row] = step.switch_nusd[why.best];
        if (in->switch_us[best][d->row] == 0 && best != d->present && !ended) {
            out->marks[d->row] |= SL_MARK_SWITCH_UNKNOWN;
        }
    }
    enum sl_rule rule = rule_of(why.rule, mode);
    if (rule == SL_RULE_DWELL) {
        int64_t left_ms = in->params.switching.minimum_ms - step.in_mode_ms;
        out->dwell_left_ms[d->row] = left_ms > 0 ? left_ms : 0;
    }
    sl_frame_settle(d, mode, ended ? SL_RULE_LEASE_END : rule);
}

static void decide_all(const struct sl_switching_policy *policy, const struct sl_policy_input *in,
                       struct sl_switching_device *devices, struct sl_plan *out) {
    out->count = in->count;
    for (uint32_t i = 0; i < in->count; i++) {
        struct sl_frame frame;
        if (!sl_frame_begin(&frame, in, out, i)) {
            decide_one(&frame, policy, devices);
        }
    }
}

#define FLEET_POLICY(id, switching)                                                                \
    static void id##_decide(const struct sl_policy_input *in, struct sl_switching_device *devices, \
                            struct sl_plan *out) {                                                 \
        decide_all(&(switching), in, devices, out);                                                \
    }
FLEET_POLICY(fbf, sl_switching_fbf)
FLEET_POLICY(percent, sl_switching_percent)
FLEET_POLICY(minimum, sl_switching_minimum)
FLEET_POLICY(work_function, sl_switching_work_function)
FLEET_POLICY(greedy, sl_switching_greedy)

const struct sl_policy sl_policy_fbf = {.name = "fbf", .version = 1, .decide = fbf_decide};
const struct sl_policy sl_policy_percent = {
    .name = "percent", .version = 1, .decide = percent_decide};
const struct sl_policy sl_policy_minimum = {
    .name = "minimum-time", .version = 1, .decide = minimum_decide};
const struct sl_policy sl_policy_work_function = {
    .name = "work-function", .version = 1, .decide = work_function_decide};
const struct sl_policy sl_policy_greedy = {.name = "greedy", .version = 1, .decide = greedy_decide};

/* One mode for ever; while it is not possible, idle. */
static void fixed_decide(const struct sl_policy_input *in, struct sl_switching_device *devices,
                         struct sl_plan *out) {
    (void)devices;
    out->count = in->count;
    for (uint32_t i = 0; i < in->count; i++) {
        struct sl_frame frame;
        if (sl_frame_begin(&frame, in, out, i)) {
            continue;
        }
        enum sl_mode mode = (enum sl_mode)in->params.fixed;
        if (!sl_frame_has(&frame, mode, SL_OFFER_POSSIBLE)) {
            out->marks[i] |= SL_MARK_IMPOSSIBLE;
            mode = SL_MODE_IDLE;
        }
        out->best[i] = (uint8_t)mode;
        out->best_nusd_h[i] = sl_frame_value(&frame, mode);
        sl_frame_settle(&frame, mode, SL_RULE_FIXED);
    }
}

const struct sl_policy sl_policy_fixed = {.name = "fixed", .version = 1, .decide = fixed_decide};
