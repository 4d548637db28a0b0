/* SPDX-License-Identifier: Apache-2.0
 * One walk over all fields serves both ways, so that they cannot differ. */
#include "schedulers/decision.h"

#include <string.h>

struct walk {
    int64_t *words;
    uint32_t at;
    bool reading; /* words -> fields */
    bool good;
};

static void whole(struct walk *w, int64_t *value) {
    if (w->reading) {
        *value = w->words[w->at];
    } else {
        w->words[w->at] = *value;
    }
    w->at++;
}

static void small(struct walk *w, uint8_t *value) {
    int64_t word = *value;
    whole(w, &word);
    w->good = w->good && word >= 0 && word <= UINT8_MAX;
    *value = (uint8_t)word;
}

static void real(struct walk *w, double *value) {
    int64_t bits = 0;
    memcpy(&bits, value, sizeof bits);
    whole(w, &bits);
    memcpy(value, &bits, sizeof bits);
}

static void walk_params(struct walk *w, struct sl_policy_params *p) {
    int64_t *const all[] = {&p->threshold_ppm,
                            &p->dwell_min_ms,
                            &p->switch_horizon_ms,
                            &p->safe_mode,
                            &p->fixed,
                            &p->switching.theta_ppm,
                            &p->switching.kz_ppm,
                            &p->switching.horizon_ms,
                            &p->switching.memory_steps,
                            &p->switching.lag_short_steps,
                            &p->switching.clip,
                            &p->switching.gap_prior_ms,
                            &p->switching.lease_prior_ms,
                            &p->switching.lease_memory,
                            &p->switching.percent_ppm,
                            &p->switching.minimum_ms};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        whole(w, all[i]);
    }
}

static void walk_row(struct walk *w, struct sl_decision *d) {
    whole(w, &d->row.in_mode_ms);
    whole(w, &d->row.span_ms);
    whole(w, &d->row.lease_left_ms);
    whole(w, &d->row.hash_rate);
    small(w, &d->row.present);
    small(w, &d->row.lease_open);
    small(w, &d->row.order_kind);
    small(w, &d->row.order_pinned);
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        whole(w, &d->row.gross_nusd_h[mode]);
        whole(w, &d->row.power_nusd_h[mode]);
        whole(w, &d->row.switch_us[mode]);
        whole(w, &d->row.back_us[mode]);
        small(w, &d->row.offer[mode]);
    }
}

static void walk_view(struct walk *w, struct sl_switching_view *v) {
    whole(w, &v->step_ms);
    for (int m = 0; m < SL_POLICY_MODES; m++) {
        whole(w, &v->rate[m]);
        real(w, &v->ghat[m]);
        real(w, &v->error2[m]);
        for (int other = 0; other < m; other++) {
            struct sl_band_variances *pair = &v->pair[sl_switching_pair(m, other)];
            real(w, &pair->v1);
            real(w, &pair->vk);
            real(w, &pair->v4k);
        }
    }
    real(w, &v->gap_ms);
    real(w, &v->lease_ms);
    v->modes = sl_policy_modes;
}

static void walk_device(struct walk *w, struct sl_switching_device *d) {
    small(w, &d->noted);
    small(w, &d->noted_mode);
    for (int m = 0; m < SL_POLICY_MODES; m++) {
        real(w, &d->regret[m]);
        whole(w, &d->work[m]);
    }
}

static void walk_plan(struct walk *w, struct sl_decision *d) {
    whole(w, &d->plan.present_nusd_h);
    whole(w, &d->plan.best_nusd_h);
    whole(w, &d->plan.switch_nusd_h);
    whole(w, &d->plan.margin_nusd_h);
    whole(w, &d->plan.dwell_left_ms);
    whole(w, &d->plan.regret_nusd);
    small(w, &d->plan.mode);
    small(w, &d->plan.rule);
    small(w, &d->plan.best);
    small(w, &d->plan.marks);
}

static bool walk_all(struct walk *w, struct sl_decision *d) {
    walk_params(w, &d->params);
    walk_row(w, d);
    walk_view(w, &d->view);
    walk_device(w, &d->device);
    bool whole_input = w->at == SL_DECISION_INPUT_WORDS;
    walk_plan(w, d);
    return w->good && whole_input && w->at == SL_DECISION_WORDS;
}

void sl_decision_pack(const struct sl_decision *decision, int64_t words[SL_DECISION_WORDS]) {
    struct sl_decision copy = *decision;
    struct walk w = {.words = words, .good = true};
    memset(words, 0, SL_DECISION_WORDS * sizeof words[0]);
    walk_all(&w, &copy);
}

void sl_decision_bytes(const int64_t words[SL_DECISION_WORDS], uint8_t bytes[SL_DECISION_BYTES]) {
    for (int i = 0; i < SL_DECISION_BYTES; i++) {
        bytes[i] = (uint8_t)((uint64_t)words[i / 8] >> (8 * (i % 8)));
    }
}

void sl_decision_words(const uint8_t bytes[SL_DECISION_BYTES], int64_t words[SL_DECISION_WORDS]) {
    for (int i = 0; i < SL_DECISION_WORDS; i++) {
        uint64_t word = 0;
        for (int k = 7; k >= 0; k--) {
            word = word << 8 | bytes[8 * i + k];
        }
        words[i] = (int64_t)word;
    }
}

bool sl_decision_unpack(const int64_t words[SL_DECISION_WORDS], struct sl_decision *ret_decision) {
    int64_t copy[SL_DECISION_WORDS];
    struct sl_decision decision = {0};
    struct walk w = {.words = copy, .reading = true, .good = true};
    memcpy(copy, words, sizeof copy);
    if (!walk_all(&w, &decision)) {
        return false;
    }
    const struct sl_switching_params *p = &decision.params.switching;
    bool sane = decision.view.step_ms >= 0 && p->lag_short_steps >= 2 && p->horizon_ms >= 1;
    *ret_decision = decision;
    return sane || decision.view.step_ms == 0; /* a class that has learnt nothing is never asked */
}

void sl_decision_take(const struct sl_policy_input *in, const struct sl_switching_device *device,
                      const struct sl_plan *plan, uint32_t row, struct sl_decision *ret_decision) {
    struct sl_decision d = {.params = in->params, .device = *device};
    d.row.in_mode_ms = in->in_mode_ms[row];
    d.row.span_ms = in->span_ms[row];
    d.row.lease_left_ms = in->lease_left_ms[row];
    d.row.hash_rate = in->hash_rate[row];
    d.row.present = in->present[row];
    d.row.lease_open = in->lease_open[row];
    d.row.order_kind = in->order_kind[row];
    d.row.order_pinned = in->order_pinned[row];
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        d.row.gross_nusd_h[mode] = in->gross_nusd_h[mode][row];
        d.row.power_nusd_h[mode] = in->power_nusd_h[mode][row];
        d.row.switch_us[mode] = in->switch_us[mode][row];
        d.row.back_us[mode] = in->back_us[mode][row];
        d.row.offer[mode] = in->offer[mode][row];
    }
    d.view = *in->classes[in->class[row]];
    d.view.modes = sl_policy_modes;
    d.plan.present_nusd_h = plan->present_nusd_h[row];
    d.plan.best_nusd_h = plan->best_nusd_h[row];
    d.plan.switch_nusd_h = plan->switch_nusd_h[row];
    d.plan.margin_nusd_h = plan->margin_nusd_h[row];
    d.plan.dwell_left_ms = plan->dwell_left_ms[row];
    d.plan.regret_nusd = plan->regret_nusd[row];
    d.plan.mode = plan->mode[row];
    d.plan.rule = plan->rule[row];
    d.plan.best = plan->best[row];
    d.plan.marks = plan->marks[row];
    *ret_decision = d;
}

void sl_decision_put(const struct sl_decision *d, struct sl_policy_input *in, uint32_t row) {
    in->in_mode_ms[row] = d->row.in_mode_ms;
    in->span_ms[row] = d->row.span_ms;
    in->lease_left_ms[row] = d->row.lease_left_ms;
    in->hash_rate[row] = d->row.hash_rate;
    in->present[row] = d->row.present;
    in->lease_open[row] = d->row.lease_open;
    in->order_kind[row] = d->row.order_kind;
    in->order_pinned[row] = d->row.order_pinned;
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        in->gross_nusd_h[mode][row] = d->row.gross_nusd_h[mode];
        in->power_nusd_h[mode][row] = d->row.power_nusd_h[mode];
        in->switch_us[mode][row] = d->row.switch_us[mode];
        in->back_us[mode][row] = d->row.back_us[mode];
        in->offer[mode][row] = d->row.offer[mode];
    }
}

#define BYTES_MAX 1024 /* of a snapshot of one row */

void sl_decision_again(const struct sl_policy *policy, const struct sl_decision *decision,
                       struct sl_decision *ret_again) {
    const struct sl_decision *d = decision;
    int64_t in_memory[BYTES_MAX / 8];
    int64_t plan_memory[BYTES_MAX / 8];
    struct sl_policy_input in = {.params = d->params};
    struct sl_plan plan = {0};
    const struct sl_switching_view *view = &d->view;
    struct sl_switching_device device = d->device;
    memset(in_memory, 0, sizeof in_memory);
    memset(plan_memory, 0, sizeof plan_memory);
    sl_policy_input_place(&in, in_memory, 1);
    sl_plan_place(&plan, plan_memory, 1);
    in.classes = &view;
    in.count = 1;
    sl_decision_put(d, &in, 0);
    policy->decide(&in, &device, &plan);
    sl_decision_take(&in, &d->device, &plan, 0, ret_again);
}
