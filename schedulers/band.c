/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/band.h"

#include <math.h>

#include "schedulers/real.h"

#define KAPPA_STEP_MAX                                                                             \
    2.0 /* a spread that forgets within half a step cannot be told from noise                      \
         */

static double blend(double mean, double square, double weight, double clip) {
    if (clip > 0 && square > clip * mean) {
        square = clip * mean;
    }
    return mean + weight * (square - mean);
}

void sl_band_observe(struct sl_band_variances *v, const double diff[3], double weight,
                     double clip) {
    v->v1 = blend(v->v1, diff[0] * diff[0], weight, clip);
    v->vk = blend(v->vk, diff[1] * diff[1], weight, clip);
    v->v4k = blend(v->v4k, diff[2] * diff[2], weight, clip);
}

void sl_band_split(const struct sl_band_variances *v, int64_t k, double *ret_q, double *ret_nu2) {
    double q = (v->vk - v->v1) / (double)(k - 1);
    q = q > 0 ? q : 0;
    double nu2 = (v->v1 - q) / 2;
    *ret_q = q;
    *ret_nu2 = nu2 > 0 ? nu2 : 0;
}

double sl_band_gain(double q, double nu2) {
    if (nu2 <= 0) {
        return 1;
    }
    double s = q / nu2;
    double t = s + sqrt(s * s + 4 * s);
    return t / (2 + t);
}

double sl_band_walk(double switch_nusd, double sigma2_h) {
    return sl_real_cbrt(1.5 * switch_nusd * sigma2_h);
}

double sl_band_reverting(double switch_nusd, double sigma2_h, double kappa_h) {
    double walk = sl_band_walk(switch_nusd, sigma2_h);
    if (kappa_h <= 0 || sigma2_h <= 0) {
        return walk;
    }
    /* y = b sqrt(kappa) / sigma solves y - F(y) = w. The left side rises and is convex up to its
     * turning point and nearly straight after it: a bracketed Newton step ends in a few rounds. */
    double scale = sqrt(sigma2_h / kappa_h);
    double w = kappa_h * switch_nusd / scale;
    double low = walk / scale;
    double high = low + w + 1;
    double y = low;
    for (int i = 0; i < 60 && high - low > 1e-9 * high; i++) {
        double dawson = sl_real_dawson(y);
        double over = y - dawson - w;
        low = over < 0 ? y : low;
        high = over < 0 ? high : y;
        double slope = 2 * y * dawson;
        double next = slope > 0 ? y - over / slope : 0;
        if (next == y) {
            break;
        }
        y = next > low && next < high ? next : (low + high) / 2;
    }
    double band = y * scale;
    return band > walk ? band : walk;
}

void sl_band_fit(const struct sl_band_variances *v, int64_t k, double step_h, double *ret_sigma2_h,
                 double *ret_kappa_h) {
    double near = v->vk - v->v1;
    double far = v->v4k - v->v1;
    *ret_kappa_h = 0;
    *ret_sigma2_h = near > 0 ? near / (double)(k - 1) / step_h : 0;
    if (near <= 0 || far >= near * (double)(4 * k - 1) / (double)(k - 1)) {
        return;
    }
    /* With x = exp(-kappa step): V_m = 2 S (1 - x^m) + 2 nu2, so far / near = (x - x^4k) /
     * (x - x^k), which falls with kappa towards 1. */
    double low = 0;
    double high = KAPPA_STEP_MAX;
    for (int i = 0; i < 40; i++) {
        double kappa = (low + high) / 2;
        double x = sl_real_exp(-kappa);
        double xk = sl_real_exp(-kappa * (double)k);
        double ratio = (x - xk * xk * xk * xk) / (x - xk);
        if (ratio > far / near) {
            low = kappa;
        } else {
            high = kappa;
        }
    }
    double kappa = (low + high) / 2;
    double spread2 = near / (2 * (sl_real_exp(-kappa) - sl_real_exp(-kappa * (double)k)));
    *ret_kappa_h = kappa / step_h;
    *ret_sigma2_h = 2 * kappa * spread2 / step_h;
}
