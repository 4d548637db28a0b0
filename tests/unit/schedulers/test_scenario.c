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

#include "schedulers/scenario.h"

#define STEPS 20000

static const struct sl_scenario mixed = {
    .name = "mixed",
    .step_ms = 300000,
    .algorithms = 2,
    .hash_usd_h = 0.06,
    .spread = 0.15,
    .half_life_h = 12,
    .kw = 0.35,
    .power_kind = SL_SCENARIO_POWER_SPIKY,
    .lease = 1,
    .lease_usd_h = 0.09,
    .lease_sd = 0.4,
    .gap_h = 4,
    .lease_h = 4,
    .lease_length_sd = 1.2,
    .idle = 1,
    .idle_kw = 0.02,
    .waiting_kw = 0.03,
    .lease_kw_factor = 0.9,
    .noise = 0.05,
};

static void make(const struct sl_scenario *scenario, uint64_t seed, uint32_t instance,
                 struct sl_market *market) {
    void *memory = market->true_nusd_h ? market->true_nusd_h : malloc(sl_market_bytes(STEPS));
    sl_market_place(market, memory, STEPS);
    sl_scenario_make(scenario, seed, instance, market);
}

static int64_t at(const int64_t *column, uint32_t step, uint32_t mode) {
    return column[(size_t)step * SL_SWITCHING_MODES + mode];
}

static void the_truth_does_not_depend_on_noise_or_lag(void **state) {
    (void)state;
    struct sl_market a = {0}, b = {0};
    struct sl_scenario other = mixed;
    other.noise = 0.5;
    other.lag_steps = 7;
    make(&mixed, 3, 1, &a);
    make(&other, 3, 1, &b);
    size_t bytes = (size_t)STEPS * SL_SWITCHING_MODES * sizeof(int64_t);
    assert_memory_equal(a.true_nusd_h, b.true_nusd_h, bytes);
    assert_memory_equal(a.known_nusd_h, b.known_nusd_h, bytes);
    assert_true(memcmp(a.gross_nusd_h, b.gross_nusd_h, bytes) != 0);
    make(&mixed, 3, 2, &b);
    assert_true(memcmp(a.true_nusd_h, b.true_nusd_h, bytes) != 0);
    make(&mixed, 4, 1, &b);
    assert_true(memcmp(a.true_nusd_h, b.true_nusd_h, bytes) != 0);
    make(&mixed, 3, 1, &b);
    assert_memory_equal(a.gross_nusd_h, b.gross_nusd_h, bytes);
    free(a.true_nusd_h);
    free(b.true_nusd_h);
}

static void a_late_quote_is_the_truth_of_then(void **state) {
    (void)state;
    struct sl_market market = {0};
    struct sl_scenario late = mixed;
    late.noise = 0;
    late.lag_steps = 3;
    make(&late, 1, 0, &market);
    for (uint32_t t = 0; t < STEPS; t++) {
        uint32_t then = t > 3 ? t - 3 : 0;
        int64_t truth = at(market.true_nusd_h, then, 0) + at(market.known_nusd_h, then, 0);
        assert_int_equal(at(market.gross_nusd_h, t, 0), truth);
    }
    free(market.true_nusd_h);
}

/* What the words of the scenario say, measured. */
static void moments(void **state) {
    (void)state;
    struct sl_market market = {0};
    struct sl_scenario calm = mixed;
    calm.power_kind = SL_SCENARIO_POWER_CONSTANT;
    calm.power_usd_kwh = 0.07;
    calm.noise = 0.05;
    double gross = 0, square = 0, error = 0, on = 0, starts = 0, rates = 0;
    int n = 0;
    for (uint32_t i = 0; i < 8; i++) {
        make(&calm, 11, i, &market);
        for (uint32_t t = 0; t < STEPS; t++, n++) {
            double truth = (double)(at(market.true_nusd_h, t, 0) + at(market.known_nusd_h, t, 0));
            double quoted = (double)at(market.gross_nusd_h, t, 0);
            gross += truth / 0.06e9;
            square += pow(log(truth / 0.06e9), 2);
            error += pow(quoted / truth - 1, 2);
            on += market.lease_on[t];
            bool begins = market.lease_on[t] && (t == 0 || !market.lease_on[t - 1]);
            starts += begins;
            rates += begins ? (double)at(market.gross_nusd_h, t, 2) / 0.09e9 : 0;
        }
    }
    assert_true(fabs(gross / n - 1) < 0.02);
    assert_true(fabs(sqrt(square / n) - 0.15) < 0.02);
    assert_true(fabs(sqrt(error / n) - 0.05) < 0.001);
    assert_true(fabs(on / n - 0.5) < 0.05); /* 4 h on, 4 h off */
    assert_true(fabs(n / starts / 96 - 1) < 0.1);
    assert_true(fabs(rates / starts - 1) < 0.05);
    free(market.true_nusd_h);
}

static void values_add_up(void **state) {
    (void)state;
    struct sl_market market = {0};
    struct sl_scenario flat = mixed;
    flat.power_kind = SL_SCENARIO_POWER_CONSTANT;
    flat.power_usd_kwh = 0.1;
    flat.spread = 0;
    make(&flat, 1, 0, &market);
    assert_int_equal(market.modes.count, 4);
    for (uint32_t t = 0; t < STEPS; t++) {
        assert_int_equal(at(market.true_nusd_h, t, 0), 60000000 - 35000000);
        assert_int_equal(at(market.true_nusd_h, t, 3), -2000000);
        assert_int_equal(market.waiting_nusd_h[t], -3000000);
        int64_t lease = at(market.true_nusd_h, t, 2);
        int64_t cost = market.lease_on[t] ? 31500000 : 3000000;
        assert_int_equal(lease, at(market.gross_nusd_h, t, 2) - cost);
        assert_true(market.lease_on[t] ? market.lease_left_ms[t] >= 0
                                       : at(market.gross_nusd_h, t, 2) == 0);
    }
    free(market.true_nusd_h);
}

static void series_are_followed(void **state) {
    (void)state;
    double *values = malloc(STEPS * sizeof *values);
    for (int i = 0; i < STEPS; i++) {
        values[i] = 40 + i % 7;
    }
    struct sl_market market = {0};
    struct sl_scenario real = mixed;
    real.algorithms = 1;
    real.spread = 0;
    real.noise = 0;
    real.hash_usd_h = 0.001;
    real.hash_series = values;
    real.power_kind = SL_SCENARIO_POWER_SERIES;
    real.power_series = values;
    real.power_factor = 0.001;
    real.power_usd_kwh = 0.01;
    real.lease_series = values;
    real.lease_usd_h = 0.5;
    real.lease_sd = 0;
    real.first_gap_h = 1;
    make(&real, 1, 0, &market);
    for (uint32_t t = 0; t < STEPS; t++) {
        assert_int_equal(at(market.gross_nusd_h, t, 0), (int64_t)round(values[t] * 1e6));
        double power = values[t] * 0.001 + 0.01;
        assert_int_equal(at(market.known_nusd_h, t, 0), (int64_t)round(power * 0.35 * 1e9));
        assert_true(t >= 12 || !market.lease_on[t]);
        if (market.lease_on[t] && !market.lease_on[t - 1]) {
            assert_int_equal(at(market.gross_nusd_h, t, 1), (int64_t)round(values[t] * 5e8));
        }
    }
    assert_true(market.lease_on[12]);
    free(market.true_nusd_h);
    free(values);
}

static void a_switch_costs_a_span_of_the_best(void **state) {
    (void)state;
    struct sl_market market = {0};
    make(&mixed, 1, 0, &market);
    market.steps = 2;
    int64_t rates[2][4] = {{7200, 3600, 0, -1}, {-5, 3600, 0, -1}};
    for (size_t t = 0; t < 2; t++) {
        memcpy(market.true_nusd_h + t * SL_SWITCHING_MODES, rates[t], sizeof rates[t]);
    }
    assert_int_equal(sl_market_switch_nusd(&market, 2000), 3); /* 5400 per hour x 2 s */
    free(market.true_nusd_h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_truth_does_not_depend_on_noise_or_lag),
        cmocka_unit_test(a_late_quote_is_the_truth_of_then),
        cmocka_unit_test(moments),
        cmocka_unit_test(values_add_up),
        cmocka_unit_test(series_are_followed),
        cmocka_unit_test(a_switch_costs_a_span_of_the_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
