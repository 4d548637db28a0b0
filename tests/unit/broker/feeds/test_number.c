/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/feeds/number.h"

static int64_t nano(const char *text, int exponent) {
    struct sl_feed_number n;
    int64_t value = 77;
    assert_int_equal(sl_feed_number_parse(text, &n, NULL), 0);
    n = sl_feed_number_mul(n, sl_feed_number_of(1, exponent));
    assert_int_equal(sl_feed_number_nano(n, &value, NULL), 0);
    return value;
}

static void what_sources_write_is_read_exactly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int exponent;
        int64_t nano;
    } cases[] = {
        {"0", 0, 0},
        {"-0.000000001", 0, -1},
        {"49.5", 0, INT64_C(49500000000)},
        {"1.5e3", 0, INT64_C(1500000000000)},
        {"4E-07", 0, 400},
        {"0.00000000123", 9, 1230000000}, /* per MH/s to per PH/s: nothing is lost */
        {"9223372036.854775807", 0, INT64_MAX},
        {"-9223372036.854775807", 0, -INT64_MAX},
        {"0.0000000019", 0, 1}, /* cut, not rounded */
        {"-0.0000000019", 0, -1},
        {"1e-999999999", 0, 0},
        {"00012.50", 0, INT64_C(12500000000)},
        {"123456789012345678901234567890", -24, INT64_C(123456789012345)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(nano(cases[i].text, cases[i].exponent), cases[i].nano);
    }
}

static void what_is_no_number_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",    "nan",  "NaN", "inf", "Infinity", "-",    ".5",
                                      "5.",  "1e",   "1e+", "+1",  " 1",       "1 ",   "1,5",
                                      "12x", "0x10", "1_0", "--1", "$1.00",    "1e5.0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sl_feed_number n;
        struct sl_error err;
        if (sl_feed_number_parse(bad[i], &n, &err) != -SL_INVALID) {
            fail_msg("'%s' is a number", bad[i]);
        }
        assert_non_null(strstr(err.text, "not a plain decimal number"));
    }
    char longest[600];
    struct sl_feed_number n;
    memset(longest, '1', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(sl_feed_number_parse(longest, &n, NULL), -SL_INVALID);
}

static void what_is_too_large_says_so(void **state) {
    (void)state;
    static const char *const large[] = {"9223372036.854775808", "1e30", "-1e10", "1e999999999"};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        struct sl_feed_number n;
        struct sl_error err;
        int64_t value = 77;
        assert_int_equal(sl_feed_number_parse(large[i], &n, NULL), 0);
        assert_int_equal(sl_feed_number_nano(n, &value, &err), -SL_LIMIT);
        assert_true(strstr(err.text, "unit") && value == 77);
    }
}

static void quotients_keep_their_digits(void **state) {
    (void)state;
    int64_t value = 0;
    struct sl_feed_number third =
        sl_feed_number_div(sl_feed_number_of(1, 0), sl_feed_number_of(3, 0));
    assert_int_equal(sl_feed_number_nano(third, &value, NULL), 0);
    assert_int_equal(value, 333333333);
    struct sl_feed_number tiny =
        sl_feed_number_div(sl_feed_number_of(-1, 0), sl_feed_number_of(INT64_MAX, 0));
    tiny = sl_feed_number_mul(tiny, sl_feed_number_of(INT64_MAX, 0));
    assert_int_equal(sl_feed_number_nano(tiny, &value, NULL), 0);
    assert_true(value <= -999999999 && value >= -1000000000);
}

static void numbers_are_ordered(void **state) {
    (void)state;
    static const char *const rising[] = {"-1e5",   "-2",  "-1.5", "-1e-9", "0",  "1e-9",
                                         "1.4999", "1.5", "2",    "10",    "1e5"};
    size_t count = sizeof rising / sizeof rising[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            struct sl_feed_number a;
            struct sl_feed_number b;
            assert_int_equal(sl_feed_number_parse(rising[i], &a, NULL), 0);
            assert_int_equal(sl_feed_number_parse(rising[k], &b, NULL), 0);
            int order = sl_feed_number_compare(a, b);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    }
    assert_int_equal(sl_feed_number_compare(sl_feed_number_of(1, 2), sl_feed_number_of(100, 0)), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_sources_write_is_read_exactly),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(what_is_too_large_says_so),
        cmocka_unit_test(quotients_keep_their_digits),
        cmocka_unit_test(numbers_are_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
