/* SPDX-License-Identifier: Apache-2.0
 * What the writer writes the reader reads back; a failed save leaves the old file alone. */
#include "agent/models/gguf_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/agent/models/bytes.h"

static void count_up(const void *context, uint64_t offset, void *out, size_t n) {
    (void)context;
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)out)[i] = (uint8_t)((offset + i) * 31 >> 5);
    }
}

static struct sl_gguf_writer *sample(void) {
    struct sl_gguf_writer *w = NULL;
    static const float values[] = {1, 2, 3};
    const struct sl_gguf_text texts[] = {{"x", 1}, {"", 0}, {"a\0b", 3}};
    const int32_t ids[] = {-1, 0, 7};
    assert_int_equal(sl_gguf_writer_create(&w, NULL), SL_OK);
    sl_gguf_put_u32(w, "n", 42);
    sl_gguf_put_f32(w, "f", 0.5F);
    sl_gguf_put_bool(w, "b", true);
    sl_gguf_put_text(w, "t", (struct sl_gguf_text){"hello", 5});
    sl_gguf_put_texts(w, "ts", texts, 3);
    sl_gguf_put_i32s(w, "is", ids, 3);
    sl_gguf_put_tensor_data(w, "small", SL_GGML_F32, 1, (const uint64_t[]){3}, values);
    /* Larger than the writer's chunk, and of a size that needs padding. */
    sl_gguf_put_tensor(w, "large", SL_GGML_F32, 2, (const uint64_t[]){1031, 777},
                       (struct sl_gguf_source){count_up, NULL});
    sl_gguf_put_tensor_data(w, "last", SL_GGML_F32, 1, (const uint64_t[]){3}, values);
    return w;
}

static void check_sample(const struct sl_gguf *file) {
    struct sl_gguf_text text;
    struct sl_gguf_array array;
    uint32_t n = 0;
    uint64_t offset = 0;
    bool b = false;
    assert_int_equal(sl_gguf_get_u32(file, "n", &n, NULL), SL_OK);
    assert_int_equal(n, 42);
    assert_int_equal(sl_gguf_get_bool(file, "b", &b, NULL), SL_OK);
    assert_true(b);
    assert_int_equal(sl_gguf_get_text(file, "t", &text, NULL), SL_OK);
    assert_true(sl_gguf_text_is(text, "hello"));
    assert_int_equal(sl_gguf_get_array(file, "ts", SL_GGUF_TEXT, &array, NULL), SL_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_true(sl_gguf_array_next_text(&array, &offset, &text));
    }
    assert_int_equal(text.len, 3);
    assert_memory_equal(text.bytes, "a\0b", 3);
    const struct sl_gguf_tensor *t = sl_gguf_find_tensor(file, "large");
    assert_non_null(t);
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->dims[0], 1031);
    assert_int_equal(t->dims[1], 777);
    const uint8_t *data = t->data;
    for (uint64_t i = 0; i < t->bytes; i++) {
        assert_int_equal(data[i], (uint8_t)(i * 31 >> 5));
    }
    t = sl_gguf_find_tensor(file, "last");
    assert_non_null(t);
    assert_memory_equal(t->data, sl_gguf_find_tensor(file, "small")->data, 12);
    assert_null(sl_gguf_find_tensor(file, "absent"));
}

static void test_round_trip(void **state) {
    (void)state;
    SL_AUTO(sl_gguf_writer) w = sample();
    SL_AUTO_BUF struct sl_buf first = {0};
    SL_AUTO_BUF struct sl_buf again = {0};
    struct sl_gguf *file = NULL;
    assert_int_equal(sl_gguf_writer_bytes(w, &first, NULL), SL_OK);
    assert_int_equal(sl_gguf_writer_bytes(w, &again, NULL), SL_OK);
    assert_int_equal(first.len, again.len);
    assert_memory_equal(first.data, again.data, first.len);
    assert_int_equal(sl_gguf_open_memory(first.data, first.len, &file, NULL), SL_OK);
    check_sample(file);
    sl_gguf_close(file);
}

static void test_impossible_tensor(void **state) {
    (void)state;
    SL_AUTO(sl_gguf_writer) w = sample();
    SL_AUTO_BUF struct sl_buf bytes = {0};
    struct sl_error err = {0};
    sl_gguf_put_tensor_data(w, "odd", SL_GGML_Q4_0, 1, (const uint64_t[]){33}, "");
    assert_int_equal(sl_gguf_writer_bytes(w, &bytes, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "odd"));
    assert_null(bytes.data);
}

static int accept_it(const char *path, struct sl_error *err) {
    struct sl_gguf *file = NULL;
    int rc = sl_gguf_open(path, &file, err);
    sl_gguf_close(file);
    return rc;
}

static int refuse_it(const char *path, struct sl_error *err) {
    (void)path;
    return sl_fail(err, SL_CORRUPT, "refused by the check");
}

static void test_save_is_atomic(void **state) {
    (void)state;
    SL_AUTO(sl_gguf_writer) w = sample();
    struct sl_error err = {0};
    struct sl_gguf *file = NULL;
    char folder[] = "/tmp/sluice-writer-XXXXXX";
    char path[64];
    char command[128];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    assert_int_equal(sl_gguf_writer_save(w, path, accept_it, &err), SL_OK);
    assert_int_equal(sl_gguf_writer_save(w, path, refuse_it, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "refused by the check"));
    /* The old file is whole, and nothing lies beside it. */
    assert_int_equal(sl_gguf_open(path, &file, &err), SL_OK);
    check_sample(file);
    sl_gguf_close(file);
    snprintf(command, sizeof command, "test \"$(ls -A %s)\" = m.gguf", folder);
    assert_int_equal(system(command), 0);
    unlink(path);
    rmdir(folder);
    assert_int_equal(sl_gguf_writer_save(w, path, NULL, &err), -SL_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_impossible_tensor),
        cmocka_unit_test(test_save_is_atomic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
