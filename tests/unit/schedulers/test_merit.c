/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schedulers/merit.h"

static void test_order(void **state) {
    (void)state;
    const struct sl_merit merits[] = {
        {.margin_nusd_h = 100, .mw = 10, .key = 0},
        {.margin_nusd_h = -5, .mw = 1, .key = 1},
        {.margin_nusd_h = 100, .mw = 20, .key = 2},
        {.margin_nusd_h = 1, .mw = 100, .key = 3, .last = true},
        {.margin_nusd_h = 0, .mw = 0, .key = 4}, /* frees nothing */
        {.margin_nusd_h = 100, .mw = 10, .key = 5},
        {.margin_nusd_h = 99, .mw = 10, .key = 6, .bonus_ppm = 50000}, /* it runs */
    };
    uint32_t order[7];
    sl_merit_sort(merits, 7, order);
    const uint32_t expected[] = {1, 2, 5, 0, 6, 4, 3};
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(order[i], expected[i]);
    }
}

static void test_limits_do_not_wrap(void **state) {
    (void)state;
    struct sl_merit most = {.margin_nusd_h = INT64_MAX, .mw = 1, .bonus_ppm = 1000000};
    struct sl_merit least = {.margin_nusd_h = INT64_MIN, .mw = 1, .bonus_ppm = 0, .key = 1};
    struct sl_merit wide = {.margin_nusd_h = INT64_MAX, .mw = (INT64_C(1) << 40) - 1, .key = 2};
    assert_true(sl_merit_before(&least, &most));
    assert_true(sl_merit_before(&wide, &most));
    assert_true(sl_merit_before(&least, &wide));
}

/* A total order: sorted is sorted for any start. */
static void test_sorted(void **state) {
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 200; round++) {
        struct sl_merit merits[64];
        uint32_t order[64];
        for (uint32_t i = 0; i < 64; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            merits[i] = (struct sl_merit){.margin_nusd_h = (int64_t)(seed >> 60) - 8,
                                          .mw = (int64_t)(seed >> 40 & 7) - 1,
                                          .bonus_ppm = seed >> 20 & 1 ? 50000 : 0,
                                          .key = i,
                                          .last = (seed >> 30 & 7) == 0};
        }
        uint32_t count = (uint32_t)(seed >> 50) % 65;
        sl_merit_sort(merits, count, order);
        for (uint32_t i = 1; i < count; i++) {
            assert_true(sl_merit_before(&merits[order[i - 1]], &merits[order[i]]));
            assert_false(sl_merit_before(&merits[order[i]], &merits[order[i - 1]]));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_limits_do_not_wrap),
        cmocka_unit_test(test_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
