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

#include "proto/base/mutant.h"
#include "schedulers/band.h"
#include "schedulers/real.h"

#define MS_PER_H 3600000.0

/* One decision. */
struct fbf {
    const struct sl_switching_params *params;
    const struct sl_switching_view *view;
    const struct sl_switching_step *step;
    uint8_t present;
    uint8_t lease; /* its mode, or SL_SWITCHING_NONE */
    int64_t value[SL_SWITCHING_MODES];
    double ratio[SL_SWITCHING_MODES];  /* this device's rate : the one that was learnt from */
    double regret[SL_SWITCHING_MODES]; /* nano-USD */
};

static bool possible(const struct fbf *f, uint32_t mode) {
    return f->step->possible >> mode & 1;
}

static void estimate(struct fbf *f) {
    const struct sl_switching_view *view = f->view;
    f->lease = SL_SWITCHING_NONE;
    for (uint8_t m = 0; m < view->modes.count; m++) {
        double gross = (double)f->step->gross_nusd_h[m];
        f->ratio[m] = 1;
        if (view->modes.kind[m] == SL_SWITCHING_HASH) {
            gross = view->ghat[m];
            if (f->step->rate[m] != view->rate[m] && view->rate[m] > 0) {
                f->ratio[m] = (double)f->step->rate[m] / (double)view->rate[m];
                gross *= f->ratio[m];
            }
        } else if (view->modes.kind[m] == SL_SWITCHING_LEASE) {
            f->lease = m;
        }
        double known =
            (double)f->step->known_nusd_h[m] * (SL_MUTANT(known_terms_filtered) ? 0.9 : 1);
        int64_t value = sl_real_round(gross - known);
        value = value > SL_SWITCHING_RATE_MAX ? SL_SWITCHING_RATE_MAX : value;
        f->value[m] = value < -SL_SWITCHING_RATE_MAX ? -SL_SWITCHING_RATE_MAX : value;
    }
}

/* ---- band and fallback ---- */

static double noise_band(const struct fbf *f, uint32_t a, uint32_t b) {
    double error2 = f->view->error2[a] * f->ratio[a] * f->ratio[a] +
                    f->view->error2[b] * f->ratio[b] * f->ratio[b];
    return (double)f->params->kz_ppm * 1e-6 * sqrt(error2);
}

/* Of the spread between the present mode and another, for this device. */
static struct sl_band_variances spread_of(const struct fbf *f, uint32_t to) {
    struct sl_band_variances v = f->view->pair[sl_switching_pair(f->present, to)];
    double a = f->ratio[f->present];
    double b = f->ratio[to];
    double scale = a == 1 ? b * b : b == 1 ? a * a : a > b ? a * a : b * b;
    v.v1 *= scale;
    v.vk *= scale;
    v.v4k *= scale;
    return v;
}

static int64_t band_of(const struct fbf *f, uint32_t to) {
    double step_h = (double)f->view->step_ms / MS_PER_H;
    double cost = SL_MUTANT(band_without_cost) ? 0 : (double)f->step->switch_nusd[to];
    struct sl_band_variances pair = spread_of(f, to);
    double q, nu2, sigma2_h, kappa_h;
    sl_band_split(&pair, f->params->lag_short_steps, &q, &nu2);
    double band = sl_band_walk(cost, q / step_h);
    double spread = cost / ((double)f->params->horizon_ms / MS_PER_H);
    band = band > spread ? band : spread;
    double noise = noise_band(f, f->present, to);
    /* The third band is the widest and takes longest: only where the others are passed. */
    if ((double)(f->value[to] - f->value[f->present]) > band + noise) {
        sl_band_fit(&pair, f->params->lag_short_steps, step_h, &sigma2_h, &kappa_h);
        double reverting = sl_band_reverting(cost, sigma2_h, kappa_h);
        band = band > reverting ? band : reverting;
    }
    return sl_real_round(band + noise);
}

static void feel_regret(struct fbf *f, const struct sl_switching_device *device) {
    double step_h = (double)f->step->span_ms / MS_PER_H;
    bool moved = !device->noted || device->noted_mode != f->present;
    moved = moved && !SL_MUTANT(regret_not_reset);
    for (uint32_t m = 0; m < f->view->modes.count; m++) {
        double lost = (double)(f->value[m] - f->value[f->present]) - noise_band(f, f->present, m);
        double sum = (moved ? 0 : device->regret[m]) + lost * step_h;
        f->regret[m] = m == f->present || sum < 0 ? 0 : sum;
    }
}

static bool too_much_regret(const struct fbf *f, uint32_t m) {
    double most = (double)f->params->theta_ppm * 1e-6 * (double)f->step->switch_nusd[m];
    return sl_real_round(f->regret[m]) >= sl_real_round(most) && f->regret[m] > 0;
}

/* The best of the modes without the lease; ties go to the lower number. */
static uint8_t best_of(const struct fbf *f, uint8_t without) {
    uint8_t best = SL_SWITCHING_NONE;
    for (uint8_t m = 0; m < f->view->modes.count; m++) {
        if (m != f->lease && m != without && possible(f, m) &&
            (best == SL_SWITCHING_NONE || f->value[m] > f->value[best])) {
            best = m;
        }
    }
    return best;
}

static uint8_t mode_tier(struct fbf *f, struct sl_switching_reason *reason) {
    uint8_t to = f->present;
    for (uint8_t m = 0; m < f->view->modes.count; m++) {
        if (m == f->lease || m == f->present || !possible(f, m) || f->value[m] <= f->value[to]) {
            continue;
        }
        int64_t band = band_of(f, m);
        bool beats = f->value[m] - f->value[f->present] > band;
        if (m == reason->best) {
            reason->band = band;
        }
        if (beats || too_much_regret(f, m)) {
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

static double left_ms(const struct fbf *f) {
    return f->step->lease_left_ms > 0 ? (double)f->step->lease_left_ms : f->view->lease_ms;
}

static double there_and_back(const struct fbf *f, uint32_t m) {
    return (double)f->step->switch_nusd[m] + (double)f->step->back_nusd[m];
}

static uint8_t in_lease(struct fbf *f, struct sl_switching_reason *reason) {
    uint8_t best = best_of(f, SL_SWITCHING_NONE);
    if (best == SL_SWITCHING_NONE) {
        return f->present;
    }
    int64_t gain = f->value[best] - f->value[f->lease];
    double noise = noise_band(f, f->lease, best);
    bool leave;
    if (f->step->lease_on) {
        double waiting = over(f->value[best] - f->step->waiting_nusd_h, f->view->gap_ms);
        double need = there_and_back(f, best) - waiting;
        need = need > 0 ? need : 0;
        leave = (double)gain > noise && over(gain, left_ms(f)) > need;
    } else {
        leave = over(gain, f->view->gap_ms) > there_and_back(f, best);
    }
    reason->best = best;
    if (leave || (gain > 0 && too_much_regret(f, best))) {
        reason->rule = leave ? SL_SWITCHING_LEASE_LEAVE : SL_SWITCHING_REGRET;
        return best;
    }
    return f->present;
}

/* Whether to take the lease that is on, from another mode. */
static bool enter_lease(struct fbf *f, struct sl_switching_reason *reason) {
    uint8_t best = best_of(f, SL_SWITCHING_NONE);
    int64_t gain = f->value[f->lease] - f->value[f->present];
    int64_t other = best == SL_SWITCHING_NONE ? f->value[f->present] : f->value[best];
    double waiting = over(other - f->step->waiting_nusd_h, f->view->gap_ms);
    double need = there_and_back(f, f->lease);
    need = waiting < need ? waiting : need;
    double noise = noise_band(f, f->lease, f->present);
    bool enter = (double)gain > noise && over(gain, left_ms(f)) > (need > 0 ? need : 0);
    if (enter || (gain > 0 && too_much_regret(f, f->lease))) {
        reason->rule = enter ? SL_SWITCHING_LEASE_ENTER : SL_SWITCHING_REGRET;
        reason->best = f->lease;
        return true;
    }
    return false;
}

static uint8_t choose(struct fbf *f, struct sl_switching_reason *reason) {
    bool lease_on = f->lease != SL_SWITCHING_NONE && f->step->lease_on && possible(f, f->lease);
    if (f->present == SL_SWITCHING_NONE) {
        uint8_t best = best_of(f, SL_SWITCHING_NONE);
        if (lease_on && (best == SL_SWITCHING_NONE || f->value[f->lease] > f->value[best])) {
            best = f->lease;
        }
        reason->rule = SL_SWITCHING_START;
        reason->best = best;
        return best;
    }
    reason->rule = SL_SWITCHING_STAY;
    if (f->present == f->lease) {
        return in_lease(f, reason);
    }
    if (lease_on && enter_lease(f, reason)) {
        return f->lease;
    }
    reason->best = best_of(f, f->present);
    return mode_tier(f, reason);
}

static uint8_t fbf_decide(const struct sl_switching_params *params,
                          const struct sl_switching_view *view, struct sl_switching_device *device,
                          const struct sl_switching_step *step,
                          struct sl_switching_reason *ret_reason) {
    struct fbf f = {.params = params, .view = view, .step = step, .present = step->present};
    estimate(&f);
    bool known = f.present != SL_SWITCHING_NONE;
    if (known) {
        feel_regret(&f, device);
    }
    struct sl_switching_reason reason = {.best = SL_SWITCHING_NONE};
    uint8_t to = choose(&f, &reason);
    reason.present_value = known ? f.value[f.present] : 0;
    if (reason.best != SL_SWITCHING_NONE) {
        reason.best_value = f.value[reason.best];
        reason.regret_nusd = sl_real_round(f.regret[reason.best]);
    }
    if (step->span_ms > 0) {
        device->noted = 1;
        device->noted_mode = f.present;
        for (uint32_t m = 0; m < view->modes.count; m++) {
            device->regret[m] = f.regret[m];
        }
    }
    *ret_reason = reason;
    return to;
}

const struct sl_switching_policy sl_switching_fbf = {
    .name = "fbf",
    .says = "filter, band, fallback",
    .learns = 1,
    .decide = fbf_decide,
};
