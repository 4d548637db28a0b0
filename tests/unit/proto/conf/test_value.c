/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proto/conf/value.h"

static void decimals_are_written_as_they_are_read(void **state) {
    (void)state;
    static const struct {
        int64_t value;
        int digits;
        const char *text;
    } cases[] = {
        {0, 0, "0"},
        {7, 0, "7"},
        {-10, 0, "-10"},
        {0, 9, "0"},
        {1, 9, "0.000000001"},
        {-1, 9, "-0.000000001"},
        {50000000, 9, "0.05"},
        {10, 1, "1"},
        {105, 1, "10.5"},
        {1000, 3, "1"},
        {INT64_MAX, 9, "9223372036.854775807"},
        {-INT64_MAX, 9, "-9223372036.854775807"},
        {-INT64_MAX, 18, "-9.223372036854775807"},
        {-INT64_MAX, 0, "-9223372036854775807"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buffer[32];
        assert_string_equal(sl_conf_decimal_format(cases[i].value, cases[i].digits, buffer),
                            cases[i].text);
        int64_t back = 1;
        const struct sl_conf_option o = {.path = "d",
                                         .type = SL_CONF_DECIMAL,
                                         .min = INT64_MIN,
                                         .max = INT64_MAX,
                                         .digits = cases[i].digits};
        assert_int_equal(
            sl_conf_value_set(&o, "d", cases[i].text, strlen(cases[i].text), true, &back, NULL), 0);
        assert_true(back == cases[i].value);
    }
}

static void spans_take_the_largest_unit_that_loses_nothing(void **state) {
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "0ms"},       {1, "1ms"},        {999, "999ms"},       {1000, "1s"},
        {1500, "1500ms"}, {60000, "1m"},     {5400000, "90m"},     {3600000, "1h"},
        {86400000, "1d"}, {172800000, "2d"}, {90061000, "90061s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buffer[32];
        assert_string_equal(sl_conf_span_format(cases[i].ms, buffer), cases[i].text);
    }
}

static void choices_by_number(void **state) {
    (void)state;
    size_t n = 0;
    const char *name = sl_conf_choice("idle|hash|infer", 2, &n);
    assert_true(n == 5 && memcmp(name, "infer", 5) == 0);
    name = sl_conf_choice("idle|hash|infer", 0, &n);
    assert_true(n == 4 && memcmp(name, "idle", 4) == 0);
    assert_null(sl_conf_choice("idle|hash|infer", 3, &n));
    assert_null(sl_conf_choice("idle|hash|infer", -1, &n));
}

static void secrets_by_name(void **state) {
    (void)state;
    static const struct {
        const char *path;
        bool secret;
    } cases[] = {
        {"pool.password", true},       {"secret", true},
        {"api.client_secret", true},   {"secret.file", false},
        {"pool.password_file", false}, {"word", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sl_conf_option o = {.path = cases[i].path};
        assert_int_equal(sl_conf_is_secret(&o), cases[i].secret);
    }
}

static void values_are_shown_short_and_harmless(void **state) {
    (void)state;
    char out[12];
    assert_string_equal(sl_conf_shown("abc", 3, out, sizeof out), "abc");
    assert_string_equal(sl_conf_shown("a\x1B[2J\n", 6, out, sizeof out), "a?[2J?");
    assert_string_equal(sl_conf_shown("12345678901", 11, out, sizeof out), "12345678901");
    assert_string_equal(sl_conf_shown("123456789012", 12, out, sizeof out), "12345678...");
    assert_string_equal(sl_conf_shown("1234567\xE2\x82\xAC and more", 19, out, sizeof out),
                        "1234567..."); /* a cut character goes whole */
    assert_string_equal(sl_conf_shown("a\0b", 3, out, sizeof out), "a?b");
}

static void a_text_fills_its_field_to_the_end(void **state) {
    (void)state;
    /* Old bytes behind the end would make equal configurations differ. */
    char field[8];
    memset(field, 'x', sizeof field);
    const struct sl_conf_option o = {.path = "t", .type = SL_CONF_TEXT, .size = sizeof field};
    assert_int_equal(sl_conf_value_set(&o, "t", "ab", 2, false, field, NULL), 0);
    assert_memory_equal(field, "ab\0\0\0\0\0\0", 8);
    assert_int_equal(sl_conf_value_set(&o, "t", "1234567", 7, false, field, NULL), 0);
    struct sl_error err = {0};
    assert_int_equal(sl_conf_value_set(&o, "t", "12345678", 8, false, field, &err), -SL_INVALID);
    assert_string_equal(field, "1234567");
    assert_string_equal(err.text, "t is '12345678', which is not a text of 0 to 7 bytes");
    const struct sl_conf_option exact = {
        .path = "t", .type = SL_CONF_TEXT, .min = 7, .size = sizeof field};
    assert_int_equal(sl_conf_value_set(&exact, "t", "ab", 2, false, field, &err), -SL_INVALID);
    assert_string_equal(err.text, "t is 'ab', which is not a text of 7 bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_written_as_they_are_read),
        cmocka_unit_test(spans_take_the_largest_unit_that_loses_nothing),
        cmocka_unit_test(choices_by_number),
        cmocka_unit_test(secrets_by_name),
        cmocka_unit_test(values_are_shown_short_and_harmless),
        cmocka_unit_test(a_text_fills_its_field_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
