/* SPDX-License-Identifier: Apache-2.0
 * The normaliser's corners, each with its reason. Expected texts come from HuggingFace's. */
#include "agent/models/normalizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "agent/models/unicode_tables.h"
#include "proto/base/text.h"

static void normalized(const char *text, size_t n, struct sl_buf *out) {
    SL_AUTO_CODEPOINTS points = {0};
    assert_int_equal(sl_normalize_bert(text, n, &points, NULL), SL_OK);
    out->len = 0;
    for (size_t i = 0; i < points.len; i++) {
        char utf8[4];
        sl_buf_append(out, utf8, sl_utf8_encode(points.data[i], utf8));
    }
}

#define TEXT(literal) literal, sizeof(literal) - 1

static void test_corners(void **state) {
    (void)state;
    static const struct {
        const char *in;
        size_t n;
        const char *out;
        const char *why;
    } rows[] = {
        {TEXT("Hello"), "hello", "lower case"},
        {TEXT("a\0b"), "ab", "NUL is dropped"},
        {TEXT("a\xef\xbf\xbd"
              "b"),
         "ab", "U+FFFD is dropped"},
        {TEXT("a\tb\nc\rd"), "a b c d", "tab, line feed and return are spaces"},
        {TEXT("a\vb\fc\xc2\x85"
              "d"),
         "abcd", "other controls vanish without a space"},
        {TEXT("a\xe2\x80\x8b"
              "b"),
         "ab", "zero-width space vanishes"},
        {TEXT("a\xc2\xa0"
              "b"),
         "a b", "no-break space is a space"},
        {TEXT("\xc3\x89t\xc3\xa9"), "ete", "accents of composed letters"},
        {TEXT("e\xcc\x81"), "e", "accents that stand alone"},
        {TEXT("\xe6\xbc\xa2\xe5\xad\x97"), " \xe6\xbc\xa2  \xe5\xad\x97 ", "spaces around CJK"},
        {TEXT("\xf0\xab\xa0\xa0"), "\xf0\xab\xa0\xa0", "2B820 lies in the upstream gap"},
        {TEXT("\xf0\xab\xa4\xa0"), " \xf0\xab\xa4\xa0 ", "2B920 lies behind it"},
        {TEXT("\xea\xb0\x81"), "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "Hangul becomes Jamo"},
        {TEXT("\xef\xac\x81"), "\xef\xac\x81", "no compatibility folding of ligatures"},
        {TEXT("\xce\xa3"), "\xcf\x83", "capital sigma, by code point"},
        {TEXT("\xc4\xb0"), "i", "dotted capital I loses its dot"},
        {TEXT("\xe0\xa4\xbe"), "\xe0\xa4\xbe", "a spacing mark (Mc) stays"},
        {TEXT("\xe0\xa2\x98"), "\xe0\xa2\x98", "U+0898, a mark of Unicode 14, stays"},
        {TEXT("\xcd\xb8"), "\xcd\xb8", "an unassigned code point stays"},
        {TEXT("\xee\x80\x80"), "", "private use goes"},
        {TEXT("\xf0\x91\xa4\xb8"), "\xf0\x91\xa4\xb8", "U+11938 was not decomposed yet"},
        {TEXT("\xe3\x80\xaf\xf0\x9d\x85\xa5"), "\xf0\x9d\x85\xa5\xe3\x80\xaf",
         "marks that stay are put in canonical order (216 before 224)"},
        {TEXT("\xe3\x80\xaf\xcd\x8f\xf0\x9d\x85\xa5"), "\xe3\x80\xaf\xf0\x9d\x85\xa5",
         "a starter between them forbids that, though it goes itself"},
        {TEXT("\xea\x9f\x8b"), "\xc9\xa4", "a capital of Unicode 16"},
    };
    SL_AUTO_BUF struct sl_buf out = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        normalized(rows[i].in, rows[i].n, &out);
        size_t n = strlen(rows[i].out);
        if (out.len != n || (n && memcmp(out.data, rows[i].out, n) != 0)) {
            fail_msg("%s: got '%.*s'", rows[i].why, (int)out.len, out.data ? out.data : "");
        }
    }
}

static void test_classes(void **state) {
    (void)state;
    static const struct {
        uint32_t c;
        bool space, punctuation;
        const char *why;
    } rows[] = {
        {' ', true, false, "space"},
        {0x3000, true, false, "ideographic space"},
        {0x200b, false, false, "zero-width space is none"},
        {'$', false, true, "ASCII symbols count as punctuation"},
        {'`', false, true, "so does the grave"},
        {0x20ac, false, false, "other currency signs do not"},
        {0x2014, false, true, "em dash"},
        {0x3002, false, true, "ideographic full stop"},
        {0x166d, false, true, "punctuation until Unicode 12"},
        {0x2e52, false, false, "punctuation only since Unicode 13"},
        {'a', false, false, "a letter"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (sl_bert_is_space(rows[i].c) != rows[i].space ||
            sl_bert_is_punctuation(rows[i].c) != rows[i].punctuation) {
            fail_msg("U+%04X: %s", rows[i].c, rows[i].why);
        }
    }
}

static void test_utf8(void **state) {
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 251) {
        char bytes[4];
        uint32_t back = 0;
        if (c >= 0xd800 && c < 0xe000) {
            continue;
        }
        size_t n = sl_utf8_encode(c, bytes);
        assert_true(sl_utf8_valid(bytes, n));
        assert_int_equal(sl_utf8_decode(bytes, n, &back), n);
        assert_int_equal(back, c);
    }
}

/* How many code points each class has, by the tables' source. */
static void test_tables(void **state) {
    (void)state;
    size_t accents = 0;
    size_t dropped = 0;
    size_t punctuation = 0;
    for (uint32_t c = 0x80; c < 0x110000; c++) {
        accents += sl_unicode_is_accent(c);
        dropped += sl_unicode_is_dropped(c);
        punctuation += sl_unicode_is_punctuation(c);
    }
    assert_int_equal(accents, 1567);
    assert_int_equal(dropped, 137681 - 30); /* without ASCII's 29 controls and DEL */
    assert_int_equal(punctuation, 726 - 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corners),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
