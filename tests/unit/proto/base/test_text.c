/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/text.h"

static void copies_are_ended_and_say_when_cut(void **state) {
    (void)state;
    char out[5];
    assert_true(sl_text_copy(out, sizeof out, ""));
    assert_string_equal(out, "");
    assert_true(sl_text_copy(out, sizeof out, "abcd"));
    assert_string_equal(out, "abcd");
    assert_false(sl_text_copy(out, sizeof out, "abcde"));
    assert_string_equal(out, "abcd");
    assert_false(sl_text_copy(out, 1, "x"));
    assert_string_equal(out, "");
}

static void hex_both_ways(void **state) {
    (void)state;
    uint8_t bytes[256];
    uint8_t back[256];
    char text[513];
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    sl_hex_encode(bytes, 256, text);
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text, "000102", 6);
    assert_string_equal(text + 506, "fdfeff");
    assert_int_equal(sl_hex_decode(text, back, 256), 0);
    assert_memory_equal(back, bytes, 256);
    assert_int_equal(sl_hex_decode("DeadBEEF", back, 4), 0);
    assert_memory_equal(back, "\xDE\xAD\xBE\xEF", 4);
    sl_hex_encode(bytes, 0, text);
    assert_string_equal(text, "");
    assert_int_equal(sl_hex_decode("", back, 0), 0);
}

static void bad_hex_changes_nothing(void **state) {
    (void)state;
    static const char *const cases[] = {"",     "0",    "00",   "000",  "00000",     "000000",
                                        "00 0", "0x00", "00g0", "00/0", "00:0",      "00@0",
                                        "00`0", "00-1", "  00", "00\n", "\xC3\xA9zz"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[2] = {0x5A, 0x5A};
        if (sl_hex_decode(cases[i], out, 2) != -SL_INVALID || out[0] != 0x5A || out[1] != 0x5A) {
            fail_msg("'%s' is taken", cases[i]);
        }
    }
}

/* The table of the Unicode standard (3-7), written out as code points instead of byte ranges. */
static size_t encode(uint32_t c, uint8_t *out) {
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        out[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    out[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

static void every_code_point_and_no_surrogate(void **state) {
    (void)state;
    uint8_t text[5];
    for (uint32_t c = 0; c < 0x200000; c++) {
        size_t n = encode(c, text);
        bool good = c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
        if (sl_utf8_valid((char *)text, n) != good) {
            fail_msg("U+%04X", c);
        }
        if (n > 1 && sl_utf8_valid((char *)text, n - 1)) {
            fail_msg("U+%04X cut", c);
        }
    }
}

static void other_bytes_are_no_utf8(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        bool good;
        const char *why;
    } cases[] = {
        {"", 0, true, "nothing"},
        {"a\0b", 3, true, "a NUL is a character"},
        {"\x80", 1, false, "a lone continuation"},
        {"\xC0\x80", 2, false, "an overlong NUL"},
        {"\xC1\xBF", 2, false, "overlong in two"},
        {"\xE0\x9F\xBF", 3, false, "overlong in three"},
        {"\xF0\x8F\xBF\xBF", 4, false, "overlong in four"},
        {"\xF5\x80\x80\x80", 4, false, "beyond U+10FFFF"},
        {"\xF8\x88\x80\x80\x80", 5, false, "five bytes"},
        {"\xFE", 1, false, "never a byte of UTF-8"},
        {"\xFF", 1, false, "nor this"},
        {"a\xC3", 2, false, "cut"},
        {"\xC3\x28", 2, false, "no continuation"},
        {"\xE2\x28\xA1", 3, false, "second wrong"},
        {"\xE2\x82\x28", 3, false, "third wrong"},
        {"\xF0\x9F\xA6\x28", 4, false, "fourth wrong"},
        {"\xEF\xBB\xBF", 3, true, "a byte order mark"},
        {"good \xE2\x82\xAC then \xE9", 15, false, "wrong only at the end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (sl_utf8_valid(cases[i].text, cases[i].n) != cases[i].good) {
            fail_msg("%s", cases[i].why);
        }
    }
}

static void a_buffer_grows_and_stays_ended(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf buf = {0};
    char expected[4096] = "";
    size_t n = 0;
    sl_buf_append(&buf, "", 0);
    assert_int_equal(buf.len, 0);
    assert_string_equal(buf.data, "");
    for (int i = 0; n < 3900; i++) {
        sl_buf_printf(&buf, "%d,", i);
        n += (size_t)snprintf(expected + n, sizeof expected - n, "%d,", i);
        if (i % 7 == 0) {
            sl_buf_append(&buf, "\0;", 2);
            memcpy(expected + n, "\0;", 2);
            n += 2;
        }
        assert_int_equal(buf.len, n);
        assert_int_equal(buf.data[buf.len], '\0');
    }
    assert_memory_equal(buf.data, expected, n);
    sl_buf_consume(&buf, 100);
    assert_int_equal(buf.len, n - 100);
    assert_memory_equal(buf.data, expected + 100, n - 100);
    assert_int_equal(buf.data[buf.len], '\0');
    sl_buf_consume(&buf, buf.len);
    assert_string_equal(buf.data, "");
    assert_false(buf.failed);
}

static void a_long_line_is_printed_whole(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf buf = {0};
    sl_buf_printf(&buf, "%0100000d", 7);
    assert_int_equal(buf.len, 100000);
    assert_int_equal(strspn(buf.data, "0"), 99999);
}

static void a_failure_stays_and_keeps_what_was_there(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf buf = {0};
    sl_buf_append(&buf, "kept", 4);
    buf.failed = true; /* as after an allocation that failed */
    sl_buf_append(&buf, "x", 1);
    sl_buf_printf(&buf, "y");
    assert_string_equal(buf.data, "kept");
    assert_true(buf.failed);
    sl_buf_fini(&buf);
    assert_null(buf.data);
    assert_false(buf.failed);
    sl_buf_fini(&buf);
    sl_buf_consume(&buf, 0);
}

static void a_word_is_found_whole(void **state) {
    (void)state;
    char verb[] = "verb";
    char longer[] = "--helpful";
    char help[] = "--help";
    char *const words[] = {verb, verb, longer, help};
    assert_true(sl_text_among("--help", words, 4));
    assert_false(sl_text_among("--help", words, 3));
    assert_false(sl_text_among("verb", words, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_ended_and_say_when_cut),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(bad_hex_changes_nothing),
        cmocka_unit_test(every_code_point_and_no_surrogate),
        cmocka_unit_test(other_bytes_are_no_utf8),
        cmocka_unit_test(a_buffer_grows_and_stays_ended),
        cmocka_unit_test(a_long_line_is_printed_whole),
        cmocka_unit_test(a_failure_stays_and_keeps_what_was_there),
        cmocka_unit_test(a_word_is_found_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
