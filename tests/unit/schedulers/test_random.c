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

#include "schedulers/random.h"

/* xoshiro256++ from the state 1, 2, 3, 4: the published reference code prints these. */
static void the_generator_is_the_published_one(void **state) {
    (void)state;
    struct sl_random random = {.state = {1, 2, 3, 4}};
    assert_true(sl_random_next(&random) == 41943041u);
    assert_true(sl_random_next(&random) == 58720359u);
    assert_true(sl_random_next(&random) == 3588806011781223u);
    assert_true(sl_random_next(&random) == 3591011842654386u);
}

static void seeds_and_streams_differ(void **state) {
    (void)state;
    struct sl_random a, b, c, d;
    sl_random_init(&a, 1, 1);
    sl_random_init(&b, 1, 1);
    sl_random_init(&c, 1, 2);
    sl_random_init(&d, 2, 1);
    uint64_t first = sl_random_next(&a);
    assert_true(sl_random_next(&b) == first);
    assert_true(sl_random_next(&c) != first);
    assert_true(sl_random_next(&d) != first);
}

static void moments(void **state) {
    (void)state;
    struct sl_random random;
    sl_random_init(&random, 7, 0);
    double sum = 0, square = 0, fourth = 0, uniform = 0;
    const int n = 200000;
    for (int i = 0; i < n; i++) {
        double x = sl_random_normal(&random);
        sum += x;
        square += x * x;
        fourth += x * x * x * x;
        double u = sl_random_uniform(&random);
        assert_true(u > 0 && u < 1);
        uniform += u;
    }
    assert_true(fabs(sum / n) < 0.01);
    assert_true(fabs(square / n - 1) < 0.02);
    assert_true(fabs(fourth / n - 3) < 0.1);
    assert_true(fabs(uniform / n - 0.5) < 0.005);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_the_published_one),
        cmocka_unit_test(seeds_and_streams_differ),
        cmocka_unit_test(moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
