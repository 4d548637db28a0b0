/* SPDX-License-Identifier: Apache-2.0
 * The filter's gain comes from two difference variances, so nothing is tuned to a coin. Only what
 * is quoted with noise, the gross hashprice, passes it. A lease is a jump and no diffusion: spreads
 * with it are not learnt, its gaps and lengths are. */
#include "schedulers/class.h"

#include "schedulers/band.h"

#define WARM 8 /* observations before squares are clipped */

/* A mean over the last `memory` spans, with a prior that counts as one. */
struct spans {
    double mean_ms;
    int64_t count;
    int64_t running_ms; /* of the present one */
};

struct sl_switching_class {
    struct sl_switching_params params;
    int64_t steps;
    uint8_t lease;                                      /* its mode, or SL_SWITCHING_NONE */
    struct sl_band_variances quote[SL_SWITCHING_MODES]; /* of the gross price */
    struct spans gaps, leases;
    struct sl_switching_view view;
    double history[]; /* [4 k + 1][2][SL_SWITCHING_MODES]: gross and net, as quoted */
};

static size_t ring_rows(const struct sl_switching_params *params) {
    return (size_t)(4 * params->lag_short_steps + 1);
}

size_t sl_switching_class_bytes(const struct sl_switching_params *params) {
    return sizeof(struct sl_switching_class) +
           ring_rows(params) * 2 * SL_SWITCHING_MODES * sizeof(double);
}

struct sl_switching_class *sl_switching_class_init(void *memory,
                                                   const struct sl_switching_modes *modes,
                                                   const struct sl_switching_params *params) {
    struct sl_switching_class *f = memory;
    f->view.modes = *modes;
    f->params = *params;
    f->lease = SL_SWITCHING_NONE;
    for (uint8_t m = 0; m < modes->count; m++) {
        f->lease = modes->kind[m] == SL_SWITCHING_LEASE ? m : f->lease;
    }
    f->gaps.mean_ms = (double)params->gap_prior_ms;
    f->leases.mean_ms = (double)params->lease_prior_ms;
    f->view.gap_ms = f->gaps.mean_ms;
    f->view.lease_ms = f->leases.mean_ms;
    return f;
}

static double *row_at(struct sl_switching_class *f, int64_t step) {
    return f->history + (size_t)(step % (int64_t)ring_rows(&f->params)) * 2 * SL_SWITCHING_MODES;
}

static void learn(struct sl_switching_class *f) {
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
    for (uint32_t a = 0; a < f->view.modes.count; a++) {
        double diff[3];
        for (int i = 0; i < 3; i++) {
            /* Until a lag is as old as the run the longest one there is stands in for it. */
            diff[i] = rows[i] ? now[a] - rows[i][a] : now[a] - row_at(f, 0)[a];
        }
        if (f->view.modes.kind[a] == SL_SWITCHING_HASH) {
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
            sl_band_observe(&f->view.pair[sl_switching_pair(a, b)], diff, weight, clip);
        }
    }
}

static void filter(struct sl_switching_class *f, const struct sl_switching_step *step) {
    for (uint32_t m = 0; m < f->view.modes.count; m++) {
        double gross = (double)step->gross_nusd_h[m];
        if (f->view.modes.kind[m] != SL_SWITCHING_HASH) {
            f->view.ghat[m] = gross;
        } else if (f->steps == 0) {
            f->view.ghat[m] = gross;
        } else {
            double q, nu2;
            sl_band_split(&f->quote[m], f->params.lag_short_steps, &q, &nu2);
            double gain = sl_band_gain(q, nu2);
            double least = 1.0 / (double)(f->steps + 1);
            double floor = 1.0 / (double)f->params.memory_steps;
            least = least > floor ? least : floor;
            gain = gain > least ? gain : least;
            f->view.ghat[m] += gain * (gross - f->view.ghat[m]);
            f->view.error2[m] = gain * nu2;
        }
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

static void watch_lease(struct sl_switching_class *f, const struct sl_switching_step *step) {
    if (step->lease_on) {
        spans_end(&f->gaps, f->params.lease_memory);
        f->leases.running_ms += step->span_ms;
    } else {
        spans_end(&f->leases, f->params.lease_memory);
        f->gaps.running_ms += step->span_ms;
    }
}

void sl_switching_class_observe(struct sl_switching_class *f,
                                const struct sl_switching_step *step) {
    double *row = row_at(f, f->steps);
    for (uint32_t m = 0; m < f->view.modes.count; m++) {
        row[m] = (double)step->gross_nusd_h[m];
        row[SL_SWITCHING_MODES + m] = row[m] - (double)step->known_nusd_h[m];
        f->view.rate[m] = step->rate[m];
    }
    f->view.step_ms = step->span_ms;
    learn(f);
    filter(f, step);
    if (f->lease != SL_SWITCHING_NONE) {
        watch_lease(f, step);
        f->view.gap_ms = f->gaps.mean_ms;
        f->view.lease_ms = f->leases.mean_ms;
    }
    f->steps++;
}

const struct sl_switching_view *sl_switching_class_view(const struct sl_switching_class *f) {
    return &f->view;
}
