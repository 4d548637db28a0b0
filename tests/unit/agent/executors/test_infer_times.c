/* SPDX-License-Identifier: Apache-2.0
 * Device time of launches in two lanes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/executors/infer_times.h"

#include <cmocka.h>

static void one_lane(void **state) {
    (void)state;
    struct sl_infer_times t = {0};
    sl_infer_times_queued(&t, 0, 100);
    sl_infer_times_queued(&t, 0, 101);
    assert_int_equal(sl_infer_times_ended(&t, 0, 110, 210), 100);
    assert_int_equal(sl_infer_times_ended(&t, 0, 212, 312), 100);
    sl_infer_times_queued(&t, 0, 900);
    assert_int_equal(sl_infer_times_ended(&t, 0, 910, 905), 0); /* clocks may be off */
}

/* Both run all the time: each has half of it, and all of it is counted once. */
static void two_lanes(void **state) {
    (void)state;
    struct sl_infer_times t = {0};
    int64_t sum[SL_LANES_MAX] = {0};
    for (uint32_t lane = 0; lane < SL_LANES_MAX; lane++) {
        sl_infer_times_queued(&t, lane, 0);
        sl_infer_times_queued(&t, lane, 0);
    }
    for (int64_t i = 0; i < 50; i++) {
        sum[0] += sl_infer_times_ended(&t, 0, 1000 * i, 1000 * i + 1000);
        sl_infer_times_queued(&t, 0, 1000 * i + 1003);
        sum[1] += sl_infer_times_ended(&t, 1, 1000 * i + 10, 1000 * i + 1010);
        sl_infer_times_queued(&t, 1, 1000 * i + 1013);
    }
    assert_in_range(sum[0], 25000, 25100);
    assert_in_range(sum[1], 25000, 25100);
}

/* One lane's launches are short: several end in one of the other's, and ends are told in the order
 * in which launches were queued. Nothing is counted twice, or lost. */
static void short_and_long(void **state) {
    (void)state;
    struct sl_infer_times t = {0};
    int64_t sum[SL_LANES_MAX] = {0};
    for (uint32_t i = 0; i < 2; i++) {
        sl_infer_times_queued(&t, 0, 0);
        sl_infer_times_queued(&t, 1, 0);
    }
    for (int64_t i = 0; i < 50; i++) {
        for (int64_t k = 0; k < 4; k++) {
            int64_t start = 1000 * i + 250 * k;
            sum[1] += sl_infer_times_ended(&t, 1, start, start + 250);
            sl_infer_times_queued(&t, 1, start + 251);
            if (k == 1) { /* before the two that ended earlier */
                sum[0] += sl_infer_times_ended(&t, 0, 1000 * i, 1000 * i + 1000);
                sl_infer_times_queued(&t, 0, 1000 * i + 1001);
            }
        }
    }
    assert_int_equal(sum[0] + sum[1], 50000);
    assert_in_range(sum[0], 24500, 25500);
}

/* The other lane gets work in the middle of a launch, and runs out of it in the middle of one. */
static void a_lane_comes_and_goes(void **state) {
    (void)state;
    struct sl_infer_times t = {0};
    sl_infer_times_queued(&t, 0, 0);
    sl_infer_times_queued(&t, 0, 0);
    sl_infer_times_queued(&t, 1, 600);
    assert_int_equal(sl_infer_times_ended(&t, 0, 0, 1000), 800);    /* 600 alone, 400 in company */
    assert_int_equal(sl_infer_times_ended(&t, 1, 600, 1400), 400);  /* of 600 to 1400 */
    assert_int_equal(sl_infer_times_ended(&t, 0, 1000, 2000), 800); /* to 1400 in company */
    sl_infer_times_queued(&t, 0, 2000);
    assert_int_equal(sl_infer_times_ended(&t, 0, 2000, 3000), 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_lane),
        cmocka_unit_test(two_lanes),
        cmocka_unit_test(short_and_long),
        cmocka_unit_test(a_lane_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
