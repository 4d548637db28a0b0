/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schedulers/tariff.h"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
/* Monday 2026-11-23 00:00 UTC */
#define MONDAY (INT64_C(20780) * DAY)

static struct sl_tariff sample(void) {
    return (struct sl_tariff){
        .price = 100,
        .count = 2,
        .windows = {{sl_tariff_days("mon-fri"), 17 * 60, 21 * 60, 300},
                    {SL_TARIFF_ALL_DAYS, 22 * 60, 6 * 60, 50}},
    };
}

static void test_windows(void **state) {
    (void)state;
    struct sl_tariff tariff = sample();
    const struct {
        int64_t at, price, until;
    } cases[] = {
        {MONDAY, 50, MONDAY + 6 * HOUR},
        {MONDAY + 6 * HOUR - 1, 50, MONDAY + 6 * HOUR},
        {MONDAY + 6 * HOUR, 100, MONDAY + 17 * HOUR},
        {MONDAY + 17 * HOUR, 300, MONDAY + 21 * HOUR},
        {MONDAY + 21 * HOUR + 59999, 100, MONDAY + 22 * HOUR},
        {MONDAY + 23 * HOUR, 50, MONDAY + 30 * HOUR},
        /* Saturday has no evening price. */
        {MONDAY + 5 * DAY + 18 * HOUR, 100, MONDAY + 5 * DAY + 22 * HOUR},
        /* Long before 1970. */
        {MONDAY - 3000 * 7 * DAY + 18 * HOUR, 300, MONDAY - 3000 * 7 * DAY + 21 * HOUR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t until = 0;
        assert_int_equal(sl_tariff_price(&tariff, cases[i].at, &until), cases[i].price);
        assert_int_equal(until, cases[i].until);
    }
}

static void test_offset_and_never(void **state) {
    (void)state;
    struct sl_tariff tariff = sample();
    int64_t until = 0;
    tariff.utc_offset_min = 60;
    assert_int_equal(sl_tariff_price(&tariff, MONDAY + 16 * HOUR, &until), 300);
    assert_int_equal(until, MONDAY + 20 * HOUR);
    tariff.utc_offset_min = -840;
    assert_int_equal(sl_tariff_price(&tariff, MONDAY + 31 * HOUR, NULL), 300); /* Monday 17:00 */
    tariff = (struct sl_tariff){.price = 7, .count = 1, .windows = {{1, 0, 1440, 7}}};
    assert_int_equal(sl_tariff_price(&tariff, MONDAY, &until), 7);
    assert_int_equal(until, SL_TARIFF_NEVER);
    /* One day a week: the change is days away. */
    tariff.windows[0] = (struct sl_tariff_window){1u << 6, 0, 1440, 9};
    assert_int_equal(sl_tariff_price(&tariff, MONDAY, &until), 7);
    assert_int_equal(until, MONDAY + 6 * DAY);
    assert_int_equal(sl_tariff_price(&tariff, MONDAY + 6 * DAY, &until), 9);
    assert_int_equal(until, MONDAY + 7 * DAY);
}

/* Against the plainest reading, minute by minute over a week. */
static void test_until_is_the_first_change(void **state) {
    (void)state;
    struct sl_tariff tariff = sample();
    int64_t until = 0;
    for (int64_t minute = 0; minute < 7 * 1440; minute += 7) {
        int64_t at = MONDAY + minute * 60000;
        int64_t price = sl_tariff_price(&tariff, at, &until);
        int64_t next = at;
        while (sl_tariff_price(&tariff, next, NULL) == price) {
            next += 60000;
        }
        assert_int_equal(until, next);
    }
}

static void test_texts(void **state) {
    (void)state;
    assert_int_equal(sl_tariff_days("all"), 0x7f);
    assert_int_equal(sl_tariff_days("mon-fri"), 0x1f);
    assert_int_equal(sl_tariff_days("sat,sun"), 0x60);
    assert_int_equal(sl_tariff_days("sat, sun"), 0x60);
    assert_int_equal(sl_tariff_days("fri-mon"), 0x71);
    assert_int_equal(sl_tariff_days("wed"), 0x04);
    static const char *const bad_days[] = {"", "Mon", "mon-", "mon,", "monday", "mon-fri-sun"};
    for (size_t i = 0; i < sizeof bad_days / sizeof bad_days[0]; i++) {
        assert_int_equal(sl_tariff_days(bad_days[i]), 0);
    }
    assert_int_equal(sl_tariff_minutes("00:00"), 0);
    assert_int_equal(sl_tariff_minutes("23:59"), 1439);
    assert_int_equal(sl_tariff_minutes("24:00"), 1440);
    static const char *const bad_times[] = {"", "7:00", "24:01", "12:60", "12.00", "12:000"};
    for (size_t i = 0; i < sizeof bad_times / sizeof bad_times[0]; i++) {
        assert_int_equal(sl_tariff_minutes(bad_times[i]), -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_offset_and_never),
        cmocka_unit_test(test_until_is_the_first_change),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
