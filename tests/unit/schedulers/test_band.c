/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schedulers/band.h"
#include "schedulers/real.h"

static void split_and_gain(void **state) {
    (void)state;
    /* q = 2, nu2 = 3: differences over m steps have the variance 2 m + 6. */
    struct sl_band_variances v = {.v1 = 8, .vk = 2 * 24 + 6, .v4k = 2 * 96 + 6};
    double q, nu2;
    sl_band_split(&v, 24, &q, &nu2);
    assert_true(fabs(q - 2) < 1e-12 && fabs(nu2 - 3) < 1e-12);
    double gain = sl_band_gain(q, nu2);
    /* The steady variance of the error P solves P + q = P (P + q + nu2) / nu2, with P = gain nu2.
     */
    double p = gain * nu2;
    assert_true(fabs((p + q) * nu2 / (p + q + nu2) - p) < 1e-12);
    assert_true(sl_band_gain(1, 0) == 1 && sl_band_gain(0, 1) == 0);
    v = (struct sl_band_variances){.v1 = 5, .vk = 4, .v4k = 4};
    sl_band_split(&v, 24, &q, &nu2);
    assert_true(q == 0 && nu2 == 2.5);
}

static void observations_average_and_are_clipped(void **state) {
    (void)state;
    struct sl_band_variances v = {0};
    const double two[3] = {2, -2, 4};
    sl_band_observe(&v, two, 1, 0);
    assert_true(v.v1 == 4 && v.vk == 4 && v.v4k == 16);
    const double far[3] = {1000, 2, 4};
    sl_band_observe(&v, far, 0.5, 16);
    assert_true(v.v1 == 4 + 0.5 * (64 - 4));
}

/* The reverting band solves its equation, comes down to the walk's where nothing reverts, and to
 * kappa D where the cost outlives the advantage. */
static void bands(void **state) {
    (void)state;
    assert_true(fabs(sl_band_walk(2, 9) - cbrt(27)) < 1e-12);
    const double costs[] = {1e3, 1e6, 1e9, 1e12};
    const double kappas[] = {1e-3, 0.06, 0.5, 5};
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            double sigma = 3e6;
            double b = sl_band_reverting(costs[i], sigma * sigma, kappas[j]);
            double scale = sigma / sqrt(kappas[j]);
            double off = b - scale * sl_real_dawson(b / scale) - kappas[j] * costs[i];
            assert_true(fabs(off) <= 1e-6 * (kappas[j] * costs[i]));
            assert_true(b >= sl_band_walk(costs[i], sigma * sigma));
        }
    }
    double slow = sl_band_reverting(1e6, 1e12, 1e-9);
    assert_true(fabs(slow / sl_band_walk(1e6, 1e12) - 1) < 1e-3);
    assert_true(fabs(sl_band_reverting(1e12, 1e6, 2) / 2e12 - 1) < 1e-3);
    assert_true(sl_band_reverting(1e6, 0, 1) == 0);
}

/* A mean-reverting series with known constants is recognised from its three variances. */
static void fit_finds_the_constants(void **state) {
    (void)state;
    double kappa = 0.5, step_h = 1.0 / 12, spread2 = 4;
    double x = exp(-kappa * step_h);
    struct sl_band_variances v = {.v1 = 2 * spread2 * (1 - x) + 1,
                                  .vk = 2 * spread2 * (1 - pow(x, 24)) + 1,
                                  .v4k = 2 * spread2 * (1 - pow(x, 96)) + 1};
    double sigma2, found;
    sl_band_fit(&v, 24, step_h, &sigma2, &found);
    assert_true(fabs(found / kappa - 1) < 1e-6);
    assert_true(fabs(sigma2 / (2 * kappa * spread2) - 1) < 1e-6);
    v = (struct sl_band_variances){.v1 = 3, .vk = 26, .v4k = 98};
    sl_band_fit(&v, 24, step_h, &sigma2, &found);
    assert_true(found == 0 && fabs(sigma2 - 12) < 1e-9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_and_gain),
        cmocka_unit_test(observations_average_and_are_clipped),
        cmocka_unit_test(bands),
        cmocka_unit_test(fit_finds_the_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
