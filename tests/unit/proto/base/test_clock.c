/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"

static void times_are_written_and_read(void **state) {
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-86400000, "1969-12-31T00:00:00.000Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1795366800123, "2026-11-22T17:00:00.123Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buffer[32];
        assert_string_equal(sl_wall_format((struct sl_wall){cases[i].ms}, buffer), cases[i].text);
        struct sl_wall back = {42};
        assert_int_equal(sl_wall_parse(cases[i].text, &back), 0);
        assert_true(back.ms == cases[i].ms);
    }
}

static void every_day_of_two_centuries(void **state) {
    (void)state;
    for (int64_t day = -36524; day < 36525; day++) {
        char buffer[32];
        struct sl_wall t = {day * 86400000 + 12345};
        struct sl_wall back = {0};
        assert_int_equal(sl_wall_parse(sl_wall_format(t, buffer), &back), 0);
        assert_true(back.ms == t.ms);
    }
}

static void extreme_times_fit_the_buffer(void **state) {
    (void)state;
    static const int64_t extremes[] = {INT64_MAX, INT64_MIN, INT64_MAX / 1000, INT64_MIN / 1000};
    for (size_t i = 0; i < sizeof extremes / sizeof extremes[0]; i++) {
        char buffer[32];
        memset(buffer, 'x', sizeof buffer);
        sl_wall_format((struct sl_wall){extremes[i]}, buffer);
        assert_non_null(memchr(buffer, '\0', sizeof buffer));
        assert_non_null(strstr(buffer, "Z"));
    }
}

static void other_writings_of_rfc_3339(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *same;
    } cases[] = {
        {"2026-11-22T18:30:00+01:30", "2026-11-22T17:00:00.000Z"},
        {"2026-11-22T12:00:00-05:00", "2026-11-22T17:00:00.000Z"},
        {"2026-11-22T23:30:00-01:00", "2026-11-23T00:30:00.000Z"},
        {"2026-11-22t17:00:00z", "2026-11-22T17:00:00.000Z"},
        {"2026-11-22 17:00:00Z", "2026-11-22T17:00:00.000Z"},
        {"2026-11-22", "2026-11-22T00:00:00.000Z"},
        {"2026-11-22T17:00:00.5Z", "2026-11-22T17:00:00.500Z"},
        {"2026-11-22T17:00:00.1234567890123456789Z", "2026-11-22T17:00:00.123Z"},
        {"2026-12-31T23:59:60Z", "2027-01-01T00:00:00.000Z"}, /* a leap second */
        {"2024-02-29", "2024-02-29T00:00:00.000Z"},
        {"2400-02-29", "2400-02-29T00:00:00.000Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_wall t = {0};
        char buffer[32];
        if (sl_wall_parse(cases[i].text, &t)) {
            fail_msg("%s is refused", cases[i].text);
        }
        assert_string_equal(sl_wall_format(t, buffer), cases[i].same);
    }
}

static void what_is_no_time(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        "now",
        "2026",
        "2026-11",
        "2026-1-2",
        "2026-00-10",
        "2026-13-10",
        "2026-11-00",
        "2026-11-31",
        "2026-02-29", /* no leap year */
        "1900-02-29", /* nor this */
        "2026-11-22T",
        "2026-11-22T17:00Z",
        "2026-11-22T17:00:00", /* whose time? */
        "2026-11-22T24:00:00Z",
        "2026-11-22T17:60:00Z",
        "2026-11-22T17:00:61Z",
        "2026-11-22T17:00:00.Z",
        "2026-11-22T17:00:00+0100",
        "2026-11-22T17:00:00+24:00",
        "2026-11-22T17:00:00+01:60",
        "2026-11-22T17:00:00Z ",
        " 2026-11-22",
        "2026/11/22",
        "-026-11-22",
        "12026-11-22",
        "2026-11-22Z",
        "1795366800",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_wall t = {42};
        if (sl_wall_parse(cases[i], &t) != -SL_INVALID || t.ms != 42) {
            fail_msg("'%s' is taken", cases[i]);
        }
    }
}

static void spans(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        {"0s", 0},
        {"0ms", 0},
        {"500ms", 500},
        {"15s", 15000},
        {"90m", 5400000},
        {"6h", 21600000},
        {"7d", 604800000},
        {"99999999999d", INT64_C(99999999999) * 86400000},
        {"", -1},
        {"s", -1},
        {"15", -1},
        {"015s", -1},
        {"00s", -1},
        {"-5s", -1},
        {"+5s", -1},
        {"5 s", -1},
        {" 5s", -1},
        {"5s ", -1},
        {"5S", -1},
        {"5sec", -1},
        {"1h30m", -1},
        {"1.5h", -1},
        {"5w", -1},
        {"999999999999999999999s", -1},
        {"9999999999999d", -1}, /* over 64 bits in ms */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = 42;
        int rc = sl_span_parse(cases[i].text, &ms);
        bool good = cases[i].ms < 0 ? rc == -SL_INVALID && ms == 42 : rc == 0 && ms == cases[i].ms;
        if (!good) {
            fail_msg("'%s': %d %lld", cases[i].text, rc, (long long)ms);
        }
    }
}

static void clocks_run_forward(void **state) {
    (void)state;
    struct sl_mono before = sl_clock_mono();
    int64_t raw = sl_clock_monotonic_raw_ns();
    for (int i = 0; i < 1000; i++) {
        struct sl_mono now = sl_clock_mono();
        assert_true(sl_mono_since_ns(now, before) >= 0);
        before = now;
    }
    assert_true(sl_clock_monotonic_raw_ns() > raw);
    struct sl_now both = sl_clock_now();
    assert_true(both.mono.ns >= before.ns);
    assert_true(both.wall.ms > INT64_C(1577836800000)); /* after 2020 */
    struct sl_mono later = sl_mono_after_ms(both.mono, 1500);
    assert_true(sl_mono_since_ns(later, both.mono) == 1500 * SL_NS_PER_MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_and_read),
        cmocka_unit_test(every_day_of_two_centuries),
        cmocka_unit_test(extreme_times_fit_the_buffer),
        cmocka_unit_test(other_writings_of_rfc_3339),
        cmocka_unit_test(what_is_no_time),
        cmocka_unit_test(spans),
        cmocka_unit_test(clocks_run_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
