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

#include "schedulers/backtest.h"
#include "schedulers/class.h"
#include "schedulers/random.h"
#include "tests/unit/schedulers/constants.h"
#include "tests/unit/schedulers/digest.h"

#define MODES SL_SWITCHING_MODES

static void steps_are_rounded_once(void **state) {
    (void)state;
    assert_int_equal(sl_backtest_step_nusd(12, 300000), 1);
    assert_int_equal(sl_backtest_step_nusd(6, 300000), 1); /* a half, away from zero */
    assert_int_equal(sl_backtest_step_nusd(5, 300000), 0);
    assert_int_equal(sl_backtest_step_nusd(-6, 300000), -1);
    assert_int_equal(sl_backtest_step_nusd(INT64_MAX / 2, 3600000), INT64_MAX / 2);
}

/* Every schedule of a small market: the digits of a number in the base of its modes. */
static int64_t by_force(const struct sl_market *m, int64_t cost) {
    uint32_t schedules = 1;
    for (uint32_t t = 0; t < m->steps; t++) {
        schedules *= m->modes.count;
    }
    int64_t best = INT64_MIN;
    for (uint32_t s = 0; s < schedules; s++) {
        int64_t sum = 0;
        uint32_t before = UINT32_MAX;
        uint32_t rest = s;
        for (uint32_t t = 0; t < m->steps; t++, rest /= m->modes.count) {
            uint32_t mode = rest % m->modes.count;
            sum += sl_backtest_step_nusd(m->true_nusd_h[t * MODES + mode], m->step_ms);
            sum -= before != UINT32_MAX && before != mode ? cost : 0;
            before = mode;
        }
        best = sum > best ? sum : best;
    }
    return best;
}

static int64_t revenue_of(const struct sl_market *m, const uint8_t *modes, int64_t cost,
                          uint32_t *ret_switches) {
    int64_t sum = 0;
    *ret_switches = 0;
    for (uint32_t t = 0; t < m->steps; t++) {
        bool moved = t > 0 && modes[t] != modes[t - 1];
        sum += sl_backtest_step_nusd(m->true_nusd_h[t * MODES + modes[t]], m->step_ms);
        sum -= moved ? cost : 0;
        *ret_switches += moved;
    }
    return sum;
}

static void the_optimum_is_the_optimum(void **state) {
    (void)state;
    int64_t rates[8 * MODES];
    struct sl_market m = {
        .modes = {.count = 3}, .steps = 8, .step_ms = 3600000, .true_nusd_h = rates};
    struct sl_random random;
    sl_random_init(&random, 5, 5);
    uint32_t moves = 0;
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < 8 * MODES; i++) {
            rates[i] = (int64_t)(sl_random_next(&random) % 201) - 100;
        }
        int64_t cost = (int64_t)(sl_random_next(&random) % 150);
        uint8_t from[8 * MODES], modes[8];
        struct sl_backtest_result best;
        uint32_t switches;
        sl_backtest_optimum(&m, cost, from, modes, &best);
        assert_int_equal(best.revenue_nusd, by_force(&m, cost));
        assert_int_equal(revenue_of(&m, modes, cost, &switches), best.revenue_nusd);
        assert_int_equal(switches, best.switches);
        moves += switches;
    }
    assert_true(moves > 200);
}

/* The modes of a run, judged again by hand. */
static void runs_add_up(void **state) {
    (void)state;
    enum { STEPS = SL_DIGEST_STEPS };
    struct sl_market market = {0};
    void *memory = malloc(sl_market_bytes(STEPS));
    uint8_t *modes = malloc(STEPS);
    uint8_t *from = malloc((size_t)STEPS * MODES);
    sl_market_place(&market, memory, STEPS);
    sl_scenario_make(&digest_scenario, 1, 0, &market);
    int64_t cost = sl_market_switch_nusd(&market, 300000);
    struct sl_backtest_result optimum, fixed, result;
    sl_backtest_optimum(&market, cost, from, NULL, &optimum);
    sl_backtest_fixed(&market, modes, &fixed);
    assert_true(fixed.revenue_nusd < optimum.revenue_nusd && fixed.switches == 0);
    for (size_t p = 0; sl_switching_at(p); p++) {
        const struct sl_switching_policy *policy = sl_switching_at(p);
        void *memory_of = calloc(1, sl_switching_class_bytes(&shipped_constants));
        uint32_t switches;
        sl_backtest_run(&market, cost, policy, &shipped_constants, memory_of, modes, &result);
        assert_int_equal(revenue_of(&market, modes, cost, &switches), result.revenue_nusd);
        assert_int_equal(switches, result.switches);
        assert_true(result.revenue_nusd <= optimum.revenue_nusd);
        free(memory_of);
    }
    free(memory);
    free(modes);
    free(from);
}

static void decisions_are_the_same_bytes_everywhere(void **state) {
    (void)state;
    uint64_t digest = digest_everything();
    if (digest != SL_DIGEST_EXPECTED) {
        fail_msg("the decisions have the digest 0x%016llx", (unsigned long long)digest);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_rounded_once),
        cmocka_unit_test(the_optimum_is_the_optimum),
        cmocka_unit_test(runs_add_up),
        cmocka_unit_test(decisions_are_the_same_bytes_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
