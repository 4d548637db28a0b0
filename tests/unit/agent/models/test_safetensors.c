/* SPDX-License-Identifier: Apache-2.0
 * safetensors: sound files read back exactly, hostile ones are refused with a reason. */
#include "agent/models/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/agent/models/bytes.h"

static void make(struct sl_buf *buf, const char *json, size_t n_data) {
    bytes_u64(buf, strlen(json));
    sl_buf_append(buf, json, strlen(json));
    for (size_t i = 0; i < n_data; i++) {
        uint8_t byte = (uint8_t)(i + 1);
        sl_buf_append(buf, &byte, 1);
    }
}

static int open_copy(const char *bytes, size_t n, struct sl_error *err) {
    struct sl_safetensors *file = NULL;
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    int rc = sl_safetensors_open_memory(copy, n, &file, err);
    if (rc == SL_OK) {
        for (size_t i = 0; i < sl_safetensors_count(file); i++) {
            const struct sl_safetensors_tensor *t = sl_safetensors_at(file, i);
            float value;
            if (t->type != SL_SAFETENSORS_OTHER && t->elements) {
                sl_safetensors_floats(t, t->elements - 1, 1, &value);
            }
            assert_ptr_equal(sl_safetensors_find(file, t->name), t);
        }
        sl_safetensors_close(file);
    } else {
        assert_null(file);
        assert_true(err->text[0] != '\0');
    }
    free(copy);
    return rc;
}

#define SOUND                                                                                      \
    "{\"__metadata__\":{\"format\":\"pt\"},"                                                       \
    "\"b\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[12,20]},"                          \
    "\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"                             \
    "\"c\":{\"dtype\":\"I64\",\"shape\":[1,1],\"data_offsets\":[20,28]},"                          \
    "\"e\":{\"dtype\":\"BF16\",\"shape\":[0,7],\"data_offsets\":[20,20]}}  "

static void test_sound(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf buf = {0};
    SL_AUTO(sl_safetensors) file = NULL;
    make(&buf, SOUND, 28);
    assert_int_equal(sl_safetensors_open_memory(buf.data, buf.len, &file, NULL), SL_OK);
    assert_int_equal(sl_safetensors_count(file), 4);
    assert_string_equal(sl_safetensors_at(file, 0)->name, "a");
    const struct sl_safetensors_tensor *b = sl_safetensors_find(file, "b");
    assert_non_null(b);
    assert_int_equal(b->type, SL_SAFETENSORS_F16);
    assert_int_equal(b->n_dims, 2);
    assert_int_equal(b->shape[1], 2);
    assert_int_equal(b->elements, 4);
    assert_int_equal(b->data[0], 13);
    assert_int_equal(sl_safetensors_find(file, "e")->elements, 0);
    assert_null(sl_safetensors_find(file, "__metadata__"));
}

static void test_hostile(void **state) {
    (void)state;
    static const struct {
        const char *json;
        size_t n_data;
        int status;
        const char *says;
    } rows[] = {
        {"", 0, -SL_CORRUPT, "no safetensors"},
        {"[]", 0, -SL_CORRUPT, "no safetensors"},
        {"{", 0, -SL_CORRUPT, "JSON"},
        {"{\"a\":1,\"a\":1}", 0, -SL_CORRUPT, "JSON"},
        {"{\"a\":1}", 0, -SL_UNSUPPORTED, "dtype"},
        {"{\"\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, -SL_LIMIT, "name"},
        {"{\"a b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, -SL_CORRUPT,
         "0x20"},
        {"{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, -SL_UNSUPPORTED,
         "dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, -SL_CORRUPT, "list"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
         -SL_CORRUPT, "list"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, -SL_CORRUPT,
         "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, -SL_CORRUPT,
         "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4,
         -SL_CORRUPT, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", 4,
         -SL_CORRUPT, "its shape needs"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, -SL_CORRUPT,
         "its shape needs"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, -SL_CORRUPT, "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, -SL_CORRUPT,
         "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, -SL_CORRUPT,
         "beyond the end"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 4, -SL_CORRUPT,
         "beyond the end"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, -SL_CORRUPT,
         "hole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, -SL_CORRUPT,
         "no tensor"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         8, -SL_CORRUPT, "overlap"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        SL_AUTO_BUF struct sl_buf buf = {0};
        struct sl_error err = {0};
        make(&buf, rows[i].json, rows[i].n_data);
        int rc = open_copy(buf.data, buf.len, &err);
        if (rc != rows[i].status || !strstr(err.text, rows[i].says)) {
            fail_msg("%s: %d '%s'", rows[i].json, rc, err.text);
        }
    }
}

static void test_header_length(void **state) {
    (void)state;
    static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 24, 29, 4096};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        SL_AUTO_BUF struct sl_buf buf = {0};
        struct sl_error err = {0};
        bytes_u64(&buf, lengths[i]);
        sl_buf_append(&buf, "{}                          ", 28);
        assert_true(open_copy(buf.data, buf.len, &err) < 0);
    }
}

static void test_truncated_and_flipped(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf buf = {0};
    struct sl_error err = {0};
    make(&buf, SOUND, 28);
    for (size_t n = 0; n < buf.len; n++) {
        assert_true(open_copy(buf.data, n, &err) < 0); /* no byte is dispensable */
    }
    for (size_t i = 0; i < buf.len - 28; i++) {
        for (int mask = 1; mask < 256; mask += 2) {
            buf.data[i] = (char)(buf.data[i] ^ mask);
            open_copy(buf.data, buf.len, &err);
            buf.data[i] = (char)(buf.data[i] ^ mask);
        }
    }
    assert_int_equal(open_copy(buf.data, buf.len, &err), SL_OK);
}

static float one(const char *dtype, const void *bits, size_t n) {
    SL_AUTO_BUF struct sl_buf buf = {0};
    SL_AUTO(sl_safetensors) file = NULL;
    char json[128];
    float value = 0;
    snprintf(json, sizeof json, "{\"a\":{\"dtype\":\"%s\",\"shape\":[],\"data_offsets\":[0,%zu]}}",
             dtype, n);
    make(&buf, json, 0);
    sl_buf_append(&buf, bits, n);
    assert_int_equal(sl_safetensors_open_memory(buf.data, buf.len, &file, NULL), SL_OK);
    sl_safetensors_floats(sl_safetensors_at(file, 0), 0, 1, &value);
    return value;
}

/* Every half: compared with arithmetic on its fields. */
static void test_halves(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits += 7) {
        uint16_t half = (uint16_t)bits;
        int exponent = (int)(bits >> 10 & 31);
        double fraction = bits & 1023;
        double want = exponent ? ldexp(1 + fraction / 1024, exponent - 15) : ldexp(fraction, -24);
        double got = (double)one("F16", &half, 2);
        want = bits & 0x8000 ? -want : want;
        if (exponent == 31) {
            assert_true(fraction > 0 ? isnan(got) != 0 : isinf(got) != 0);
        } else {
            assert_true(got == want && signbit(got) == signbit(want));
        }
    }
    const uint16_t brain = 0xc0a0;
    assert_true(one("BF16", &brain, 2) == -5.0F);
    const float f = 0x1.fffffep127F;
    assert_true(one("F32", &f, 4) == f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),         cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_header_length), cmocka_unit_test(test_truncated_and_flipped),
        cmocka_unit_test(test_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
