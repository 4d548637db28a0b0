/* SPDX-License-Identifier: Apache-2.0
 * Filter, band, fallback: the policy that Sluice ships.
 *
 * Filter: only what is quoted with noise, the gross hashprice, passes a Kalman filter whose gain
 * comes from two difference variances; power, fees and a lease's rate are known and stay exact.
 * Band: a switch has to look better by more than the volatility of the true spread and its own cost
 * justify, plus a part of what the filter may err by. Fallback: regret, the sum of what staying
 * has cost by the estimates, ends a stay once it reaches theta switches.
 * A lease is a jump and not a diffusion: it is judged by what is left of it, a gap by the mean of
 * the gaps seen. With u the best other value, l the lease's, h the value of waiting for the next:
 *   leave a gap     (u - h) E[gap] > 2 D: there and back
 *   enter a lease   (l - u) left > min(2 D, (u - h) E[gap] ): back again, or waiting, whichever is
 *                   cheaper; never below the filter's error
 *   leave a lease   (u - l) left > max(0, 2 D - (u - h) E[gap]): what the later departure costs is
 *                   saved, the return is not */
#include <math.h>
#include <stdbool.h>

#include "schedulers/band.h"
#include "schedulers/real.h"
#include "schedulers/switching.h"

#define PAIRS (SL_SWITCHING_MODES * (SL_SWITCHING_MODES - 1) / 2)
#define WARM 8 /* observations before squares are clipped */
#define MS_PER_H 3600000.0

/* A mean over the last `memory` spans, with a prior that counts as one. */
struct spans {
    double mean_ms;
    int64_t count;
    int64_t running_ms; /* of the present one */
};

struct fbf {
    struct sl_switching_modes modes;
    struct sl_switching_params params;
    int64_t steps;
    struct sl_band_variances quote[SL_SWITCHING_MODES]; /* of the gross price */
    struct sl_band_variances pair[PAIRS];               /* of the net spread */
    double ghat[SL_SWITCHING_MODES];
    double error2[SL_SWITCHING_MODES]; /* variance of ghat's error */
    double regret[SL_SWITCHING_MODES]; /* nano-USD, against the present mode */
    int64_t value[SL_SWITCHING_MODES];
    uint8_t present;
    uint8_t lease; /* its mode, or SL_SWITCHING_NONE */
    struct spans gaps, leases;
    double history[]; /* [4 k + 1][2][SL_SWITCHING_MODES]: gross and net, as quoted */
};

static size_t ring_rows(const struct sl_switching_params *params) {
    return (size_t)(4 * params->lag_short_steps + 1);
}

static size_t fbf_state_bytes(const struct sl_switching_params *params) {
    return sizeof(struct fbf) + ring_rows(params) * 2 * SL_SWITCHING_MODES * sizeof(double);
}

static void fbf_init(void *state, const struct sl_switching_modes *modes,
                     const struct sl_switching_params *params) {
    struct fbf *f = state;
    f->modes = *modes;
    f->params = *params;
    f->present = SL_SWITCHING_NONE;
    f->lease = SL_SWITCHING_NONE;
    for (uint8_t m = 0; m < modes->count; m++) {
        f->lease = modes->kind[m] == SL_SWITCHING_LEASE ? m : f->lease;
    }
    f->gaps.mean_ms = (double)params->gap_prior_ms;
    f->leases.mean_ms = (double)params->lease_prior_ms;
}

static double *row_at(struct fbf *f, int64_t step) {
    return f->history + (size_t)(step % (int64_t)ring_rows(&f->params)) * 2 * SL_SWITCHING_MODES;
}

static uint32_t pair_of(uint32_t a, uint32_t b) {
    uint32_t low = a < b ? a : b;
    uint32_t high = a < b ? b : a;
    return high * (high - 1) / 2 + low;
}

/* ---- filter ---- */

static void learn(struct fbf *f) {
    int64_t lags[3] = {1, f->params.lag_short_steps, 4 * f->params.lag_short_steps};
    const double *rows[3];
    int64_t t = f->steps;
    for (int i = 0; i < 3; i++) {
        rows[i] = t >= lags[i] ? row_at(f, t - lags[i]) : NULL;
    }
    if (!rows[0]) {
        return;
    }
    int64_t seen = t < f->params.memory_steps ? t : f->params.memory_steps;
    double weight = 1.0 / (double)seen;
    double clip = t > WARM ? (double)f->params.clip : 0;
    const double *now = row_at(f, t);
    for (uint32_t a = 0; a < f->modes.count; a++) {
        double diff[3];
        for (int i = 0; i < 3; i++) {
            /* Until a lag is as old as the run the longest one there is stands in for it. */
            diff[i] = rows[i] ? now[a] - rows[i][a] : now[a] - row_at(f, 0)[a];
        }
        if (f->modes.kind[a] == SL_SWITCHING_HASH) {
            sl_band_observe(&f->quote[a], diff, weight, clip);
        }
        for (uint32_t b = 0; b < a; b++) {
            if (a == f->lease || b == f->lease) {
                continue;
            }
            uint32_t na = SL_SWITCHING_MODES + a;
            uint32_t nb = SL_SWITCHING_MODES + b;
            for (int i = 0; i < 3; i++) {
                const double *then = rows[i] ? rows[i] : row_at(f, 0);
                diff[i] = (now[na] - now[nb]) - (then[na] - then[nb]);
            }
            sl_band_observe(&f->pair[pair_of(a, b)], diff, weight, clip);
        }
    }
}

static void filter(struct fbf *f, const struct sl_switching_step *step) {
    for (uint32_t m = 0; m < f->modes.count; m++) {
        double gross = (double)step->gross_nusd_h[m];
        if (f->modes.kind[m] != SL_SWITCHING_HASH) {
            f->ghat[m] = gross;
        } else if (f->steps == 0) {
            f->ghat[m] = gross;
        } else {
            double q, nu2;
            sl_band_split(&f->quote[m], f->params.lag_short_steps, &q, &nu2);
            double gain = sl_band_gain(q, nu2);
            double least = 1.0 / (double)(f->steps + 1);
            double floor = 1.0 / (double)f->params.memory_steps;
            least = least > floor ? least : floor;
            gain = gain > least ? gain : least;
            f->ghat[m] += gain * (gross - f->ghat[m]);
            f->error2[m] = gain * nu2;
        }
        f->value[m] = sl_real_round(f->ghat[m] - (double)step->known_nusd_h[m]);
    }
}

static void spans_end(struct spans *spans, int64_t memory) {
    if (spans->running_ms > 0) {
        int64_t weight = spans->count + 2 < memory ? spans->count + 2 : memory;
        spans->mean_ms += ((double)spans->running_ms - spans->mean_ms) / (double)weight;
        spans->count++;
        spans->running_ms = 0;
    }
}

static void watch_lease(struct fbf *f, const struct sl_switching_step *step) {
    if (step->lease_on) {
        spans_end(&f->gaps, f->params.lease_memory);
        f->leases.running_ms += step->span_ms;
    } else {
        spans_end(&f->leases, f->params.lease_memory);
        f->gaps.running_ms += step->span_ms;
    }
}

/* ---- band and fallback ---- */

static double noise_band(const struct fbf *f, uint32_t a, uint32_t b) {
    return (double)f->params.kz_ppm * 1e-6 * sqrt(f->error2[a] + f->error2[b]);
}

static int64_t band_of(const struct fbf *f, const struct sl_switching_step *step, uint32_t to) {
    double step_h = (double)step->span_ms / MS_PER_H;
    double cost = (double)step->switch_nusd;
    const struct sl_band_variances *pair = &f->pair[pair_of(f->present, to)];
    double q, nu2, sigma2_h, kappa_h;
    sl_band_split(pair, f->params.lag_short_steps, &q, &nu2);
    double band = sl_band_walk(cost, q / step_h);
    double spread = cost / ((double)f->params.horizon_ms / MS_PER_H);
    band = band > spread ? band : spread;
    double noise = noise_band(f, f->present, to);
    /* The third band is the widest and takes longest: only where the others are passed. */
    if ((double)(f->value[to] - f->value[f->present]) > band + noise) {
        sl_band_fit(pair, f->params.lag_short_steps, step_h, &sigma2_h, &kappa_h);
        double reverting = sl_band_reverting(cost, sigma2_h, kappa_h);
        band = band > reverting ? band : reverting;
    }
    return sl_real_round(band + noise);
}

static void feel_regret(struct fbf *f, const struct sl_switching_step *step) {
    double step_h = (double)step->span_ms / MS_PER_H;
    for (uint32_t m = 0; m < f->modes.count; m++) {
        double lost = (double)(f->value[m] - f->value[f->present]) - noise_band(f, f->present, m);
        double sum = f->regret[m] + lost * step_h;
        f->regret[m] = m == f->present || sum < 0 ? 0 : sum;
    }
}

static bool too_much_regret(const struct fbf *f, const struct sl_switching_step *step, uint32_t m) {
    double most = (double)f->params.theta_ppm * 1e-6 * (double)step->switch_nusd;
    return sl_real_round(f->regret[m]) >= sl_real_round(most) && f->regret[m] > 0;
}

/* The best of the modes without the lease; ties go to the lower number. */
static uint8_t best_of(const struct fbf *f, uint8_t without) {
    uint8_t best = SL_SWITCHING_NONE;
    for (uint8_t m = 0; m < f->modes.count; m++) {
        if (m != f->lease && m != without &&
            (best == SL_SWITCHING_NONE || f->value[m] > f->value[best])) {
            best = m;
        }
    }
    return best;
}

static uint8_t mode_tier(struct fbf *f, const struct sl_switching_step *step,
                         struct sl_switching_reason *reason) {
    uint8_t to = f->present;
    for (uint8_t m = 0; m < f->modes.count; m++) {
        if (m == f->lease || m == f->present || f->value[m] <= f->value[to]) {
            continue;
        }
        int64_t band = band_of(f, step, m);
        bool beats = f->value[m] - f->value[f->present] > band;
        if (m == reason->best) {
            reason->band = band;
        }
        if (beats || too_much_regret(f, step, m)) {
            to = m;
            reason->rule = beats ? SL_SWITCHING_BAND : SL_SWITCHING_REGRET;
            reason->best = m;
            reason->band = band;
        }
    }
    return to;
}

/* ---- leases ---- */

static double over(int64_t rate, double span_ms) {
    return (double)rate * (span_ms / MS_PER_H);
}

static double left_ms(const struct fbf *f, const struct sl_switching_step *step) {
    return step->lease_left_ms > 0 ? (double)step->lease_left_ms : f->leases.mean_ms;
}

static uint8_t in_lease(struct fbf *f, const struct sl_switching_step *step,
                        struct sl_switching_reason *reason) {
    uint8_t best = best_of(f, SL_SWITCHING_NONE);
    if (best == SL_SWITCHING_NONE) {
        return f->present;
    }
    double cost = (double)step->switch_nusd;
    int64_t gain = f->value[best] - f->value[f->lease];
    double noise = noise_band(f, f->lease, best);
    bool leave;
    if (step->lease_on) {
        double waiting = over(f->value[best] - step->waiting_nusd_h, f->gaps.mean_ms);
        double need = 2 * cost - waiting;
        need = need > 0 ? need : 0;
        leave = (double)gain > noise && over(gain, left_ms(f, step)) > need;
    } else {
        leave = over(gain, f->gaps.mean_ms) > 2 * cost;
    }
    reason->best = best;
    if (leave || (gain > 0 && too_much_regret(f, step, best))) {
        reason->rule = leave ? SL_SWITCHING_LEASE_LEAVE : SL_SWITCHING_REGRET;
        return best;
    }
    return f->present;
}

/* Whether to take the lease that is on, from another mode. */
static bool enter_lease(struct fbf *f, const struct sl_switching_step *step,
                        struct sl_switching_reason *reason) {
    uint8_t best = best_of(f, SL_SWITCHING_NONE);
    int64_t gain = f->value[f->lease] - f->value[f->present];
    double cost = (double)step->switch_nusd;
    double waiting = over(f->value[best] - step->waiting_nusd_h, f->gaps.mean_ms);
    double need = waiting < 2 * cost ? waiting : 2 * cost;
    double noise = noise_band(f, f->lease, f->present);
    bool enter = (double)gain > noise && over(gain, left_ms(f, step)) > (need > 0 ? need : 0);
    if (enter || (gain > 0 && too_much_regret(f, step, f->lease))) {
        reason->rule = enter ? SL_SWITCHING_LEASE_ENTER : SL_SWITCHING_REGRET;
        reason->best = f->lease;
        return true;
    }
    return false;
}

static uint8_t choose(struct fbf *f, const struct sl_switching_step *step,
                      struct sl_switching_reason *reason) {
    if (f->present == SL_SWITCHING_NONE) {
        uint8_t best = best_of(f, SL_SWITCHING_NONE);
        bool leased = f->lease != SL_SWITCHING_NONE && step->lease_on;
        if (leased && (best == SL_SWITCHING_NONE || f->value[f->lease] > f->value[best])) {
            best = f->lease;
        }
        reason->rule = SL_SWITCHING_START;
        reason->best = best;
        return best;
    }
    feel_regret(f, step);
    reason->rule = SL_SWITCHING_STAY;
    if (f->present == f->lease) {
        return in_lease(f, step, reason);
    }
    if (f->lease != SL_SWITCHING_NONE && step->lease_on && enter_lease(f, step, reason)) {
        return f->lease;
    }
    reason->best = best_of(f, f->present);
    return mode_tier(f, step, reason);
}

static uint8_t fbf_decide(void *state, const struct sl_switching_step *step,
                          struct sl_switching_reason *ret_reason) {
    struct fbf *f = state;
    double *row = row_at(f, f->steps);
    for (uint32_t m = 0; m < f->modes.count; m++) {
        row[m] = (double)step->gross_nusd_h[m];
        row[SL_SWITCHING_MODES + m] = row[m] - (double)step->known_nusd_h[m];
    }
    if (step->present != f->present) {
        for (uint32_t m = 0; m < f->modes.count; m++) {
            f->regret[m] = 0;
        }
        f->present = step->present;
    }
    learn(f);
    filter(f, step);
    if (f->lease != SL_SWITCHING_NONE) {
        watch_lease(f, step);
    }
    f->steps++;
    struct sl_switching_reason reason = {.best = SL_SWITCHING_NONE};
    uint8_t to = choose(f, step, &reason);
    bool known = f->present != SL_SWITCHING_NONE;
    reason.present_value = known ? f->value[f->present] : 0;
    if (reason.best != SL_SWITCHING_NONE) {
        reason.best_value = f->value[reason.best];
        reason.regret_nusd = sl_real_round(f->regret[reason.best]);
    }
    *ret_reason = reason;
    return to;
}

const struct sl_switching_policy sl_switching_fbf = {
    .name = "fbf",
    .says = "filter, band, fallback",
    .state_bytes = fbf_state_bytes,
    .init = fbf_init,
    .decide = fbf_decide,
};
