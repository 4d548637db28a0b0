/* SPDX-License-Identifier: Apache-2.0
 * Why a device is where it is, in one line of words and figures for people. */
#include <stdio.h>

#include "broker/core/core_internal.h"

struct facts {
    const struct sl_plan *plan;
    uint32_t row;
    const char *mode;
    const char *best;
    const char *present;
    long long value; /* of the present mode */
    long long best_value;
};

static const char *missing_price(const struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_offer offers[SL_MODE_COUNT];
    sl_core_offers(core, dev, offers);
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        if ((offers[mode].bits & SL_OFFER_POSSIBLE) && !(offers[mode].bits & SL_OFFER_PRICED)) {
            return offers[mode].missing;
        }
    }
    return "price";
}

static int by_order(const struct sl_broker_core *core, const struct facts *f, uint32_t dev,
                    enum sl_rule rule, char *out, size_t size) {
    bool impossible = f->plan->marks[f->row] & SL_MARK_IMPOSSIBLE;
    if (rule == SL_RULE_PIN) {
        return snprintf(out, size, "pinned by an operator%s",
                        impossible ? "; the pinned mode is not possible now, so idle" : "");
    }
    if (rule == SL_RULE_FAULT && sl_core_health_bars(core, dev)) {
        enum sl_health_state state = (enum sl_health_state)sl_core_health_of(core, dev)->state;
        return snprintf(out, size, "%s: %.150s",
                        state == SL_HEALTH_QUARANTINE ? "quarantined" : "drained for its health",
                        sl_core_health_bars(core, dev));
    }
    if (rule == SL_RULE_FAULT) {
        return snprintf(out, size, "faulty: no work until it is tested or resumed");
    }
    return snprintf(out, size, "%s by an operator",
                    rule == SL_RULE_STOP ? "everything was stopped" : "drained");
}

static int by_price(const struct sl_broker_core *core, const struct facts *f, enum sl_rule rule,
                    char *out, size_t size) {
    long long ppm = core->config.threshold_ppm;
    bool wins = rule == SL_RULE_THRESHOLD || rule == SL_RULE_IDLE || rule == SL_RULE_DWELL;
    int n =
        snprintf(out, size, "%s %lld nUSD/h %s %s %lld nUSD/h + %lld.%lld %% + switch %lld nUSD/h",
                 f->best, f->best_value, wins ? ">" : "<=", f->present, f->value, ppm / 10000,
                 ppm % 10000 / 1000, (long long)f->plan->switch_nusd_h[f->row]);
    if (rule == SL_RULE_DWELL && n > 0 && (size_t)n < size) {
        n += snprintf(out + n, size - (size_t)n, ", but it moved a moment ago: %lld ms to wait",
                      (long long)f->plan->dwell_left_ms[f->row]);
    }
    return n;
}

/* The switching policies: values as estimated, what a move had to beat. */
static int by_market(const struct sl_broker_core *core, const struct facts *f, enum sl_rule rule,
                     char *out, size_t size) {
    const struct sl_plan *plan = f->plan;
    int n = snprintf(out, size, "%s %lld nUSD/h against %s %lld nUSD/h", f->best, f->best_value,
                     f->present, f->value);
    if (n > 0 && (size_t)n < size && plan->margin_nusd_h[f->row] != 0) {
        n += snprintf(out + n, size - (size_t)n, ", band %lld nUSD/h",
                      (long long)plan->margin_nusd_h[f->row]);
    }
    if (n > 0 && (size_t)n < size) {
        n += snprintf(out + n, size - (size_t)n, ", a switch costs %lld nUSD",
                      (long long)plan->switch_nusd_h[f->row]);
    }
    if (n > 0 && (size_t)n < size && plan->regret_nusd[f->row] > 0) {
        n += snprintf(out + n, size - (size_t)n, ", regret %lld nUSD",
                      (long long)plan->regret_nusd[f->row]);
    }
    if (rule == SL_RULE_LEASE_ENTER || rule == SL_RULE_LEASE_LEAVE) {
        n += n > 0 && (size_t)n < size
                 ? snprintf(out + n, size - (size_t)n, ", %lld ms of the lease left",
                            (long long)core->input.lease_left_ms[f->row])
                 : 0;
    }
    if (rule == SL_RULE_DWELL && n > 0 && (size_t)n < size) {
        n += snprintf(out + n, size - (size_t)n, ", but it moved a moment ago: %lld ms to wait",
                      (long long)plan->dwell_left_ms[f->row]);
    }
    return n;
}

static int by_rule(const struct sl_broker_core *core, const struct facts *f, uint32_t dev,
                   enum sl_rule rule, char *out, size_t size) {
    bool same = f->plan->best[f->row] == core->input.present[f->row];
    switch (rule) {
    case SL_RULE_STOP:
    case SL_RULE_DRAIN:
    case SL_RULE_FAULT:
    case SL_RULE_PIN:
        return by_order(core, f, dev, rule, out, size);
    case SL_RULE_HOLD:
        return snprintf(out, size, "no %s: nothing moves because of prices%s",
                        missing_price(core, dev),
                        f->plan->marks[f->row] & SL_MARK_SAFE_MODE ? "; safe mode" : "");
    case SL_RULE_START:
        return snprintf(out, size, "start: %s %lld nUSD/h is worth most", f->best, f->best_value);
    case SL_RULE_LEASE_END:
        return snprintf(out, size, "%s is over; %s %lld nUSD/h is worth most", f->present, f->best,
                        f->best_value);
    case SL_RULE_STAY:
    case SL_RULE_DWELL:
    case SL_RULE_THRESHOLD:
    case SL_RULE_IDLE:
        if (same) {
            return snprintf(out, size, "%s %lld nUSD/h is worth most", f->best, f->best_value);
        }
        return core->policy == &sl_policy_threshold ? by_price(core, f, rule, out, size)
                                                    : by_market(core, f, rule, out, size);
    case SL_RULE_BAND:
    case SL_RULE_REGRET:
    case SL_RULE_LEASE_ENTER:
    case SL_RULE_LEASE_LEAVE:
        return by_market(core, f, rule, out, size);
    case SL_RULE_FIXED:
        return snprintf(
            out, size, "the policy names this mode%s",
            f->plan->marks[f->row] & SL_MARK_IMPOSSIBLE ? "; it is not possible now, so idle" : "");
    case SL_RULE_CURTAIL:
    case SL_RULE_CAP:
        return sl_core_power_explain(core, dev, f->row, out, size);
    case SL_RULE_INVALID:
    default:
        return snprintf(out, size, "no decision yet");
    }
}

void sl_core_explain(const struct sl_broker_core *core, uint32_t dev, uint32_t row,
                     const struct sl_core_batch *batch, char *out, size_t size) {
    const struct sl_plan *plan = &core->plan;
    struct facts f = {.plan = plan,
                      .row = row,
                      .mode = sl_mode_name((enum sl_mode)plan->mode[row]),
                      .best = sl_mode_name((enum sl_mode)plan->best[row]),
                      .present = sl_mode_name((enum sl_mode)core->input.present[row]),
                      .value = plan->present_nusd_h[row],
                      .best_value = plan->best_nusd_h[row]};
    enum sl_rule rule = (enum sl_rule)plan->rule[row];
    int n = by_rule(core, &f, dev, rule, out, size);
    if (batch && n > 0 && (size_t)n < size) {
        n += snprintf(out + n, size - (size_t)n, "; %s bids %lld nUSD/Mtok", batch->row.id,
                      (long long)batch->row.bid_nusd_per_mtok);
    }
    if ((plan->marks[row] & SL_MARK_GROSS) && n > 0 && (size_t)n < size) {
        n += snprintf(out + n, size - (size_t)n, "; power unknown, so gross");
    }
    if ((plan->marks[row] & SL_MARK_SWITCH_UNKNOWN) && n > 0 && (size_t)n < size) {
        snprintf(out + n, size - (size_t)n, "; switching cost not measured");
    }
}
