/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "schedulers/claims.h"
#include "schedulers/random.h"

#include <cmocka.h>

#define ONE UINT64_C(4295032833)

/* The exact chance of `count` or more, by adding up. */
static double chance(uint64_t count, double expected) {
    double below = 0, term = exp(-expected);
    for (uint64_t i = 0; i < count; i++) {
        below += term;
        term *= expected / (double)(i + 1);
    }
    double tail = 0;
    for (uint64_t i = count; i < count + 400; i++) {
        tail += term;
        term *= expected / (double)(i + 1);
    }
    return tail + below > 0 ? tail : 1;
}

static void what_is_expected_is_plausible(void **state) {
    (void)state;
    assert_true(sl_claims_plausible(0, 0, 0));
    assert_true(sl_claims_plausible(1, 1, 1));
    assert_true(sl_claims_plausible(1000 * ONE, ONE, 1000 * ONE));
    assert_true(sl_claims_plausible(INT64_MAX, 1, INT64_MAX));
    assert_true(sl_claims_plausible(100 * ONE, ONE, 60 * ONE)); /* 5 standard deviations */
    assert_true(sl_claims_plausible(ONE, ONE, 1000));           /* luck of 1 in 4 million */
}

static void what_is_no_luck_is_not(void **state) {
    (void)state;
    assert_false(sl_claims_plausible(1000 * ONE, ONE, 500 * ONE)); /* twice what was spent */
    assert_false(sl_claims_plausible(10 * ONE, ONE, 0));
    assert_false(sl_claims_plausible(INT64_MAX, INT64_MAX, 0));
    assert_false(sl_claims_plausible(INT64_MAX, INT64_MAX / 2, 1000000));
    assert_false(sl_claims_plausible(INT64_MAX, 1, INT64_MAX / 2));
    /* Ten times the difficulty: a tenth of the shares says as much. */
    assert_true(sl_claims_plausible(100 * ONE, 10 * ONE, 50 * ONE));
    assert_false(sl_claims_plausible(2000 * ONE, 10 * ONE, 1000 * ONE));
    /* Sums beyond 64 bits. */
    assert_false(sl_claims_plausible((sl_i128)INT64_MAX * 100, INT64_MAX, 1000));
    assert_true(sl_claims_plausible((sl_i128)INT64_MAX * 100, INT64_MAX, (sl_i128)INT64_MAX * 99));
}

/* The bound is above the true chance, and not far: what it calls no luck is below e^-30, and what
 * has a chance below e^-40 it calls so. */
static void the_bound_is_a_bound(void **state) {
    (void)state;
    static const double expected[] = {0.001, 0.1, 1, 5, 20, 60};
    for (size_t e = 0; e < sizeof expected / sizeof expected[0]; e++) {
        for (uint64_t count = 1; count < 200; count++) {
            uint64_t spent = (uint64_t)(expected[e] * (double)ONE);
            bool plausible = sl_claims_plausible(count * ONE, ONE, spent);
            double ln = log(chance(count, expected[e]));
            assert_true(plausible || ln < -SL_CLAIMS_CHANCE_LN);
            assert_true(!plausible || ln > -SL_CLAIMS_CHANCE_LN - 10 || isinf(ln));
        }
    }
}

/* An honest search of mixed difficulties, judged at every share. */
static void an_honest_search_is_never_blamed(void **state) {
    (void)state;
    struct sl_random random;
    sl_random_init(&random, 20261129, 0);
    for (int run = 0; run < 200; run++) {
        double spent = 0;
        uint64_t work = 0, most = 0;
        for (int i = 0; i < 500; i++) {
            uint64_t size = ONE << (sl_random_next(&random) % 6);
            spent += -log(sl_random_uniform(&random)) * (double)size;
            work += size;
            most = size > most ? size : most;
            assert_true(sl_claims_plausible(work, most, (uint64_t)spent));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_expected_is_plausible),
        cmocka_unit_test(what_is_no_luck_is_not),
        cmocka_unit_test(the_bound_is_a_bound),
        cmocka_unit_test(an_honest_search_is_never_blamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
