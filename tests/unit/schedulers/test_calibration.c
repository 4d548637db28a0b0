/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "schedulers/calibration.h"

#include <cmocka.h>

#define DAY INT64_C(86400000)
#define HOUR INT64_C(3600000)

static const struct sl_calibration_limits shipped = {200000, 500000, 1500000};

static void add(struct sl_calibration *c, int64_t from, int64_t to, int64_t settled,
                int64_t quoted) {
    sl_calibration_add(&shipped, c, from, to, settled, quoted);
}

static void one_day_one_step(void **state) {
    (void)state;
    struct sl_calibration c = {0};
    assert_int_equal(sl_calibration_factor(&c), 1000000);
    add(&c, 0, DAY, 900, 1000);
    assert_int_equal(sl_calibration_factor(&c), 1000000); /* more of the day may come */
    sl_calibration_close(&shipped, &c, DAY - 1);
    assert_int_equal(sl_calibration_factor(&c), 1000000);
    sl_calibration_close(&shipped, &c, DAY);
    assert_int_equal(sl_calibration_factor(&c), 980000); /* 0.8 x 1 + 0.2 x 0.9 */
    sl_calibration_close(&shipped, &c, 2 * DAY);         /* nothing new: nothing moves */
    assert_int_equal(sl_calibration_factor(&c), 980000);
    add(&c, DAY, 2 * DAY, 900, 1000);
    sl_calibration_close(&shipped, &c, 2 * DAY);
    assert_int_equal(sl_calibration_factor(&c), 964000);
}

static void spans_of_a_day_are_one_ratio(void **state) {
    (void)state;
    struct sl_calibration c = {0};
    for (int hour = 0; hour < 24; hour++) {
        add(&c, hour * HOUR, (hour + 1) * HOUR, hour % 2 ? 160 : 20, 100); /* together 0.9 */
    }
    add(&c, DAY, DAY + HOUR, 100, 100); /* the next day ends the first */
    assert_int_equal(sl_calibration_factor(&c), 980000);
}

static void a_span_of_days_is_so_many_steps(void **state) {
    (void)state;
    struct sl_calibration c = {0};
    add(&c, 0, 2 * DAY, 1800, 2000);
    assert_int_equal(sl_calibration_factor(&c), 964000);
    add(&c, 2 * DAY, 400 * DAY, 900, 1000); /* nothing of the old is left */
    assert_in_range(sl_calibration_factor(&c), 900000, 900010);
}

static void bounds(void **state) {
    (void)state;
    static const struct {
        int64_t settled, quoted, factor;
    } rows[] = {
        {100000, 1, 1100000}, /* a day is worth its bound: 0.8 + 0.2 x 1.5 */
        {0, 1000, 900000},    /* 0.8 + 0.2 x 0.5 */
        {1000, 0, 1000000},   /* nothing was quoted */
        {INT64_MAX, INT64_MAX, 1000000},
        {0, INT64_MAX, 900000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_calibration c = {0};
        add(&c, 0, DAY, rows[i].settled, rows[i].quoted);
        sl_calibration_close(&shipped, &c, DAY);
        assert_int_equal(sl_calibration_factor(&c), rows[i].factor);
    }
    struct sl_calibration c = {0};
    for (int day = 0; day < 100; day++) {
        add(&c, day * DAY, (day + 1) * DAY, 10000, 1);
        assert_true(sl_calibration_factor(&c) <= 1500000);
    }
    add(&c, 200 * DAY, 200 * DAY + 1, INT64_MAX, INT64_MAX);
    add(&c, 200 * DAY, 200 * DAY + 1, INT64_MAX, INT64_MAX); /* sums stop at the limit */
    sl_calibration_close(&shipped, &c, 201 * DAY);
    assert_in_range(sl_calibration_factor(&c), 1000000, 1500000);
}

static void without_weight_nothing_moves(void **state) {
    (void)state;
    static const struct sl_calibration_limits none = {0};
    struct sl_calibration c = {0};
    sl_calibration_add(&none, &c, 0, DAY, 1, 1000);
    sl_calibration_close(&none, &c, DAY);
    assert_int_equal(sl_calibration_factor(&c), 1000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_day_one_step),
        cmocka_unit_test(spans_of_a_day_are_one_ratio),
        cmocka_unit_test(a_span_of_days_is_so_many_steps),
        cmocka_unit_test(bounds),
        cmocka_unit_test(without_weight_nothing_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
