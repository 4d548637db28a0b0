/* SPDX-License-Identifier: Apache-2.0
 * Rule "policy": the figures of each stored decision agree with each other.
 *  - Made again from its record, a decision comes out as it was stored.
 *  - What is known exactly is not estimated: the value of hashing is the filtered gross price at
 * the device's own rate, less the whole known power of the moment; a lease's is its rate less
 * power.
 *  - A move between modes beats the filter's error and the switch's cost spread over the horizon.
 *  - Regret is of the mode that a device is in: in its first step there it is one step's at most.
 */
#include <math.h>
#include <string.h>

#include "schedulers/real.h"
#include "tests/sim/internal.h"

#define MS_PER_H 3600000.0

static double ratio_of(const struct sl_decision *d) {
    int64_t learnt = d->view.rate[SL_POLICY_HASH];
    return learnt > 0 ? (double)d->row.hash_rate / (double)learnt : 1;
}

static bool is_gross(const struct sl_decision *d) {
    return d->plan.marks & SL_MARK_GROSS;
}

static int64_t power_of(const struct sl_decision *d, enum sl_mode mode) {
    bool known = d->row.offer[mode] & SL_OFFER_POWER;
    return known && !is_gross(d) ? d->row.power_nusd_h[mode] : 0;
}

static double value_of(const struct sl_decision *d, enum sl_mode mode) {
    double gross = mode == SL_MODE_HASH ? d->view.ghat[SL_POLICY_HASH] * ratio_of(d)
                                        : (double)d->row.gross_nusd_h[mode];
    return gross - (double)power_of(d, mode);
}

static bool close_to(int64_t figure, double value) {
    double most = 2 + fabs(value) * 1e-9;
    return fabs((double)figure - value) <= most;
}

static void check_values(struct sim *sim, const struct sl_directive_row *row,
                         const struct sl_decision *d) {
    if (d->plan.best > SL_MODE_INVALID && d->plan.best < SL_MODE_COUNT &&
        !close_to(d->plan.best_nusd_h, value_of(d, (enum sl_mode)d->plan.best))) {
        sim_break(sim, "policy", "%s@%llu: %s is said to be worth %lld, and is worth %.0f",
                  row->device, (unsigned long long)row->epoch,
                  sl_mode_name((enum sl_mode)d->plan.best), (long long)d->plan.best_nusd_h,
                  value_of(d, (enum sl_mode)d->plan.best));
    }
}

static void check_band(struct sim *sim, const struct sl_directive_row *row,
                       const struct sl_decision *d) {
    double error = d->view.error2[SL_POLICY_HASH] * ratio_of(d) * ratio_of(d);
    double noise = (double)d->params.switching.kz_ppm * 1e-6 * sqrt(error);
    double cost =
        (double)d->plan.switch_nusd_h / ((double)d->params.switching.horizon_ms / MS_PER_H);
    bool mode_tier = d->plan.rule == SL_RULE_BAND || d->plan.rule == SL_RULE_IDLE;
    if (!mode_tier || d->row.present == d->plan.mode || d->row.present == SL_MODE_INVALID) {
        return;
    }
    if ((double)d->plan.margin_nusd_h < noise + cost - 2) {
        sim_break(sim, "policy", "%s@%llu: moved for a band of %lld; its cost and error are %.0f",
                  row->device, (unsigned long long)row->epoch, (long long)d->plan.margin_nusd_h,
                  noise + cost);
    }
}

static void check_regret(struct sim *sim, const struct sl_directive_row *row,
                         const struct sl_decision *d) {
    enum sl_mode learnt[SL_POLICY_MODES] = {SL_MODE_HASH, SL_MODE_INFER, SL_MODE_IDLE};
    bool same = d->device.noted && d->device.noted_mode < SL_POLICY_MODES &&
                learnt[d->device.noted_mode] == d->row.present;
    double lost = (double)(d->plan.best_nusd_h - d->plan.present_nusd_h);
    double one = lost > 0 ? lost * (double)d->row.span_ms / MS_PER_H : 0;
    if (!same && (double)d->plan.regret_nusd > one + 2) {
        sim_break(sim, "policy", "%s@%llu: regrets %lld in its first step; that step lost %.0f",
                  row->device, (unsigned long long)row->epoch, (long long)d->plan.regret_nusd, one);
    }
}

void sim_check_policy(struct sim *sim, const struct sl_directive_row *row) {
    const struct sl_policy *policy = sl_policy_find(row->policy);
    int64_t words[SL_DECISION_WORDS];
    int64_t words_again[SL_DECISION_WORDS];
    struct sl_decision decision;
    struct sl_decision again;
    sl_decision_words(row->record, words);
    if (!row->recorded || !policy || !sl_decision_unpack(words, &decision)) {
        sim_break(sim, "policy", "%s@%llu has no record", row->device,
                  (unsigned long long)row->epoch);
        return;
    }
    sl_decision_again(policy, &decision, &again);
    sl_decision_pack(&again, words_again);
    if (memcmp(words, words_again, sizeof words) != 0) {
        sim_break(sim, "policy", "%s@%llu comes out as %s by %s, and was %s by %s", row->device,
                  (unsigned long long)row->epoch, sl_mode_name((enum sl_mode)again.plan.mode),
                  sl_rule_name((enum sl_rule)again.plan.rule), sl_mode_name(row->mode), row->rule);
    }
    if (policy == &sl_policy_fbf && decision.view.step_ms > 0 &&
        decision.plan.rule != SL_RULE_HOLD && decision.row.order_kind == SL_ORDER_NONE) {
        check_values(sim, row, &decision);
        check_band(sim, row, &decision);
        check_regret(sim, row, &decision);
    }
}
