/* SPDX-License-Identifier: Apache-2.0
 * Typed getters: every integer type that fits, nothing that does not; sizes of blocks. */
#include "agent/models/gguf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/agent/models/bytes.h"

static void scalar(struct sl_buf *b, const char *key, uint32_t type, uint64_t bits, size_t n) {
    bits = htole64(bits);
    bytes_text(b, key);
    bytes_u32(b, type);
    sl_buf_append(b, &bits, n);
}

static struct sl_gguf *open_samples(struct sl_buf *b) {
    struct sl_gguf *file = NULL;
    sl_buf_append(b, "GGUF", 4);
    bytes_u32(b, 3);
    bytes_u64(b, 0);
    bytes_u64(b, 15);
    scalar(b, "u8", SL_GGUF_UINT8, 200, 1);
    scalar(b, "i8", SL_GGUF_INT8, 0xff, 1);
    scalar(b, "u16", SL_GGUF_UINT16, 60000, 2);
    scalar(b, "i16", SL_GGUF_INT16, 1000, 2);
    scalar(b, "u32", SL_GGUF_UINT32, 4000000000, 4);
    scalar(b, "i32", SL_GGUF_INT32, 0x80000000, 4);
    scalar(b, "u64", SL_GGUF_UINT64, UINT64_C(1) << 32, 8);
    scalar(b, "i64", SL_GGUF_INT64, 77, 8);
    scalar(b, "f32", SL_GGUF_FLOAT32, 0x3f000000, 4);
    scalar(b, "f64", SL_GGUF_FLOAT64, UINT64_C(0x3fe0000000000000), 8);
    scalar(b, "yes", SL_GGUF_BOOL, 1, 1);
    scalar(b, "no", SL_GGUF_BOOL, 0, 1);
    bytes_text(b, "text");
    bytes_u32(b, SL_GGUF_TEXT);
    bytes_text(b, "bert");
    bytes_text(b, "texts");
    bytes_u32(b, SL_GGUF_ARRAY);
    bytes_u32(b, SL_GGUF_TEXT);
    bytes_u64(b, 3);
    bytes_text(b, "a");
    bytes_text(b, "");
    bytes_text(b, "ccc");
    bytes_text(b, "ids");
    bytes_u32(b, SL_GGUF_ARRAY);
    bytes_u32(b, SL_GGUF_INT32);
    bytes_u64(b, 2);
    bytes_u32(b, 5);
    bytes_u32(b, UINT32_MAX);
    assert_int_equal(sl_gguf_open_memory(b->data, b->len, &file, NULL), SL_OK);
    return file;
}

static void test_integers(void **state) {
    (void)state;
    static const struct {
        const char *key;
        int status;
        uint32_t value;
        const char *why;
    } rows[] = {
        {"u8", SL_OK, 200, "any width is taken"},
        {"i8", -SL_INVALID, 0, "-1 is negative"},
        {"u16", SL_OK, 60000, "not sign-extended"},
        {"i16", SL_OK, 1000, "a signed type may hold a small number"},
        {"u32", SL_OK, 4000000000, "the upper half of the range"},
        {"i32", -SL_INVALID, 0, "the most negative number"},
        {"u64", -SL_INVALID, 0, "just over 32 bits"},
        {"i64", SL_OK, 77, "a wide type with a small number"},
        {"f32", -SL_INVALID, 0, "not an integer"},
        {"yes", -SL_INVALID, 0, "a truth value is no number"},
        {"text", -SL_INVALID, 0, "a text is no number"},
        {"absent", -SL_NOTFOUND, 0, "no such key"},
    };
    SL_AUTO_BUF struct sl_buf bytes = {0};
    SL_AUTO(sl_gguf) file = open_samples(&bytes);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_error err = {0};
        uint32_t value = 12345;
        int rc = sl_gguf_get_u32(file, rows[i].key, &value, &err);
        if (rc != rows[i].status || (rc == SL_OK && value != rows[i].value)) {
            fail_msg("%s (%s): %d, %u", rows[i].key, rows[i].why, rc, value);
        }
        if (rc) {
            assert_int_equal(value, 12345);
            assert_non_null(strstr(err.text, rows[i].key));
        }
    }
}

static void test_others(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf bytes = {0};
    SL_AUTO(sl_gguf) file = open_samples(&bytes);
    float f = 0;
    bool b = false;
    struct sl_gguf_text text;
    struct sl_gguf_array array;
    assert_int_equal(sl_gguf_get_f32(file, "f32", &f, NULL), SL_OK);
    assert_true(f > 0.49F && f < 0.51F);
    assert_int_equal(sl_gguf_get_f32(file, "f64", &f, NULL), SL_OK);
    assert_true(f > 0.49F && f < 0.51F);
    assert_int_equal(sl_gguf_get_f32(file, "u32", &f, NULL), -SL_INVALID);
    assert_int_equal(sl_gguf_get_bool(file, "yes", &b, NULL), SL_OK);
    assert_true(b);
    assert_int_equal(sl_gguf_get_bool(file, "no", &b, NULL), SL_OK);
    assert_false(b);
    assert_int_equal(sl_gguf_get_bool(file, "u8", &b, NULL), -SL_INVALID);
    assert_int_equal(sl_gguf_get_text(file, "text", &text, NULL), SL_OK);
    assert_true(sl_gguf_text_is(text, "bert"));
    assert_false(sl_gguf_text_is(text, "ber"));
    assert_false(sl_gguf_text_is(text, "berta"));
    assert_int_equal(sl_gguf_get_text(file, "ids", &text, NULL), -SL_INVALID);
    assert_int_equal(sl_gguf_get_array(file, "ids", SL_GGUF_TEXT, &array, NULL), -SL_INVALID);
    assert_int_equal(sl_gguf_get_array(file, "ids", SL_GGUF_INT32, &array, NULL), SL_OK);
    assert_int_equal(array.count, 2);
    assert_int_equal(sl_gguf_array_i32(&array, 0), 5);
    assert_int_equal(sl_gguf_array_i32(&array, 1), -1);
}

static void test_text_array(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf bytes = {0};
    SL_AUTO(sl_gguf) file = open_samples(&bytes);
    static const char *const want[] = {"a", "", "ccc"};
    struct sl_gguf_array array;
    struct sl_gguf_text text;
    uint64_t offset = 0;
    size_t n = 0;
    assert_int_equal(sl_gguf_get_array(file, "texts", SL_GGUF_TEXT, &array, NULL), SL_OK);
    while (sl_gguf_array_next_text(&array, &offset, &text)) {
        assert_true(n < 3 && sl_gguf_text_is(text, want[n]));
        n++;
    }
    assert_int_equal(n, 3);
}

static void test_sizes(void **state) {
    (void)state;
    static const struct {
        enum sl_ggml_type type;
        uint64_t row, n;
        bool sound;
        uint64_t bytes;
    } rows[] = {
        {SL_GGML_F32, 3, 9, true, 36},
        {SL_GGML_Q4_0, 64, 128, true, 72},          /* 4 blocks of 18 */
        {SL_GGML_Q8_0, 32, 32, true, 34},           /* one f16 and 32 bytes */
        {SL_GGML_Q6_K, 256, 512, true, 420},        /* 2 blocks of 210 */
        {SL_GGML_Q4_0, 16, 64, false, 0},           /* a row must fill its blocks */
        {SL_GGML_F32, 1, UINT64_MAX / 2, false, 0}, /* would overflow */
        {(enum sl_ggml_type)5, 32, 32, false, 0},   /* a type that was removed from the format */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t bytes = 0;
        assert_int_equal(sl_ggml_size(rows[i].type, rows[i].row, rows[i].n, &bytes), rows[i].sound);
        assert_int_equal(bytes, rows[i].bytes);
    }
    assert_string_equal(sl_ggml_type_name(SL_GGML_Q4_1), "Q4_1");
    assert_string_equal(sl_ggml_type_name((enum sl_ggml_type)4711), "?");
}

static void test_sha256(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf bytes = {0};
    struct sl_gguf *file = NULL;
    char hex[65];
    sl_buf_append(&bytes, "GGUF", 4);
    bytes_u32(&bytes, 3);
    bytes_u64(&bytes, 0);
    bytes_u64(&bytes, 0);
    assert_int_equal(sl_gguf_open_memory(bytes.data, bytes.len, &file, NULL), SL_OK);
    sl_gguf_sha256(file, hex);
    /* printf 'GGUF\3\0\0\0' and 16 NULs, through sha256sum */
    assert_string_equal(hex, "a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99");
    sl_gguf_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),   cmocka_unit_test(test_others),
        cmocka_unit_test(test_text_array), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
