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

#include "schedulers/real.h"

static double worst(double (*ours)(double), double (*theirs)(double), double low, double high,
                    bool relative) {
    double most = 0;
    for (int i = 0; i <= 20000; i++) {
        double x = low + (high - low) * i / 20000;
        double want = theirs(x);
        double off = fabs(ours(x) - want) / (relative && want != 0 ? fabs(want) : 1);
        most = off > most ? off : most;
    }
    return most;
}

static void agrees_with_libm(void **state) {
    (void)state;
    assert_true(worst(sl_real_exp, exp, -700, 700, true) < 1e-15 * 2);
    assert_true(worst(sl_real_exp, exp, -1, 1, true) < 1e-15);
    assert_true(worst(sl_real_log, log, 1e-6, 10, true) < 1e-15);
    assert_true(worst(sl_real_log, log, 10, 1e12, true) < 1e-15);
    assert_true(worst(sl_real_sin, sin, -3.2, 3.2, false) < 1e-15);
    assert_true(worst(sl_real_sin, sin, -1e5, 1e5, false) < 1e-10);
    assert_true(worst(sl_real_cbrt, cbrt, -1e18, 1e18, true) < 1e-15);
    assert_true(worst(sl_real_cbrt, cbrt, 0, 1e-3, true) < 1e-15);
}

static void limits(void **state) {
    (void)state;
    assert_true(sl_real_exp(-800) == 0 && sl_real_exp(800) > 1e308 && sl_real_exp(0) == 1);
    assert_true(sl_real_exp(-740) > 0); /* below the normal numbers */
    assert_true(sl_real_cbrt(0) == 0);
    assert_int_equal(sl_real_round(2.5), 3);
    assert_int_equal(sl_real_round(-2.5), -3);
    assert_int_equal(sl_real_round(2.4999), 2);
    assert_int_equal(sl_real_round(1e300), INT64_MAX);
    assert_int_equal(sl_real_round(-1e300), INT64_MIN);
    assert_int_equal(sl_real_round(sl_real_exp(800) * 10 - sl_real_exp(800) * 10), 0); /* NaN */
}

/* By its differential equation F' = 1 - 2 x F, integrated in small steps (Runge and Kutta). */
static void dawson_solves_its_equation(void **state) {
    (void)state;
    const double h = 1e-3;
    double f = 0;
    for (int i = 0; i < 6000; i++) {
        double x = i * h;
        double k1 = 1 - 2 * x * f;
        double k2 = 1 - 2 * (x + h / 2) * (f + h / 2 * k1);
        double k3 = 1 - 2 * (x + h / 2) * (f + h / 2 * k2);
        double k4 = 1 - 2 * (x + h) * (f + h * k3);
        f += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
        if (fabs(sl_real_dawson((i + 1) * h) - f) > 1e-10) {
            fail_msg("F(%g) = %.15g, not %.15g", (i + 1) * h, sl_real_dawson((i + 1) * h), f);
        }
    }
    assert_true(fabs(sl_real_dawson(1) - 0.53807950691276841914) < 1e-12);
    assert_true(fabs(sl_real_dawson(10) - 0.05025384718759852910) < 1e-12);
    assert_true(fabs(sl_real_dawson(100) - 0.00500025003751) < 1e-12);
    /* Where the sum gives way to the asymptotic series, and far beyond any integer. */
    assert_true(fabs(sl_real_dawson(49.999999) / sl_real_dawson(50.000001) - 1) < 1e-7);
    assert_true(fabs(sl_real_dawson(51) - 0.009805807301220) < 1e-14);
    assert_true(fabs(sl_real_dawson(1e12) * 2e12 - 1) < 1e-12);
    assert_true(sl_real_dawson(-1) == -sl_real_dawson(1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_libm),
        cmocka_unit_test(limits),
        cmocka_unit_test(dawson_solves_its_equation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
