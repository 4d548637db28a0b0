/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "schedulers/random.h"
#include "schedulers/throughput.h"

#include <cmocka.h>

static const uint64_t NONE[SL_LENGTHS];

static void test_nothing_known_is_typical(void **state) {
    (void)state;
    struct sl_length_mix mix = {.tokens = {100, 0, 900}};
    assert_int_equal(sl_throughput_mix_milli(NONE, 5000, &mix), 5000);
    assert_int_equal(sl_throughput_mix_milli(NONE, UINT64_MAX, &mix), INT64_MAX);
    assert_false(sl_throughput_by_length(NONE));
    const uint64_t rates[SL_LENGTHS] = {0, 7000};
    struct sl_length_mix empty = {{0}};
    assert_int_equal(sl_throughput_mix_milli(rates, 5000, &empty), 5000);
    assert_true(sl_throughput_by_length(rates));
}

static void test_one_class_is_its_rate(void **state) {
    (void)state;
    const uint64_t rates[SL_LENGTHS] = {1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000};
    for (uint32_t k = 0; k < SL_LENGTHS; k++) {
        struct sl_length_mix mix = {{0}};
        mix.tokens[k] = 1000000;
        int64_t got = sl_throughput_mix_milli(rates, 1, &mix);
        assert_in_range(got, (int64_t)rates[k], (int64_t)rates[k] + 1); /* times round down */
    }
}

/* 1000 tokens at 1/s and 1000 at 3/s take 1333 s: 1.5/s, not the mean of the rates. */
static void test_times_add_up(void **state) {
    (void)state;
    const uint64_t rates[SL_LENGTHS] = {1000, 3000};
    struct sl_length_mix mix = {.tokens = {1000, 1000}};
    assert_in_range(sl_throughput_mix_milli(rates, 9, &mix), 1500, 1501);
}

static void test_the_nearest_class_stands_in(void **state) {
    (void)state;
    const uint64_t rates[SL_LENGTHS] = {0, 1000, 0, 0, 4000};
    const int64_t want[SL_LENGTHS] = {1000, 1000, 1000, 4000, 4000, 4000, 4000, 4000};
    for (uint32_t k = 0; k < SL_LENGTHS; k++) {
        struct sl_length_mix mix = {{0}};
        mix.tokens[k] = INT64_MAX;
        assert_in_range(sl_throughput_mix_milli(rates, 9, &mix), want[k], want[k] + 1);
    }
}

/* Any mix lies between its slowest and its fastest class, whatever the figures. */
static void test_between_the_extremes(void **state) {
    (void)state;
    struct sl_random random;
    sl_random_init(&random, 7, 1);
    for (int round = 0; round < 20000; round++) {
        uint64_t rates[SL_LENGTHS];
        struct sl_length_mix mix;
        int64_t low = INT64_MAX, high = 0;
        for (uint32_t k = 0; k < SL_LENGTHS; k++) {
            rates[k] = 1 + (sl_random_next(&random) >> (24 + sl_random_next(&random) % 30));
            mix.tokens[k] =
                (int64_t)(sl_random_next(&random) >> (1 + sl_random_next(&random) % 60));
            if (mix.tokens[k] > 0) {
                low = (int64_t)rates[k] < low ? (int64_t)rates[k] : low;
                high = (int64_t)rates[k] > high ? (int64_t)rates[k] : high;
            }
        }
        int64_t got = sl_throughput_mix_milli(rates, 1, &mix);
        if (high > 0) {
            assert_true(got >= low);
            assert_true(got <= high + high / 1000 + 1);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known_is_typical),
        cmocka_unit_test(test_one_class_is_its_rate),
        cmocka_unit_test(test_times_add_up),
        cmocka_unit_test(test_the_nearest_class_stands_in),
        cmocka_unit_test(test_between_the_extremes),
    };
    return cmocka_run_group_tests_name("throughput", tests, NULL, NULL);
}
