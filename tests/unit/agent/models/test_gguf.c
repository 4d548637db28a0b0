/* SPDX-License-Identifier: Apache-2.0
 * GGUF parser: sound files open, damaged and hostile ones are refused with a reason, never a crash.
 */
#include "agent/models/gguf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/models/gguf_writer.h"
#include "tests/unit/agent/models/bytes.h"
#include "tests/unit/agent/models/tiny_bert.h"

static void header(struct sl_buf *buf, uint32_t version, uint64_t tensors, uint64_t keys) {
    sl_buf_append(buf, "GGUF", 4);
    bytes_u32(buf, version);
    bytes_u64(buf, tensors);
    bytes_u64(buf, keys);
}

static void tensor(struct sl_buf *buf, const char *name, uint32_t n_dims, uint64_t dim,
                   uint32_t type, uint64_t offset) {
    bytes_text(buf, name);
    bytes_u32(buf, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) {
        bytes_u64(buf, dim);
    }
    bytes_u32(buf, type);
    bytes_u64(buf, offset);
}

static void key_u32(struct sl_buf *buf, const char *key, uint32_t value) {
    bytes_text(buf, key);
    bytes_u32(buf, SL_GGUF_UINT32);
    bytes_u32(buf, value);
}

static void no_magic(struct sl_buf *b) {
    sl_buf_append(b, "GGML\3\0\0\0", 8);
}
static void version_1(struct sl_buf *b) {
    header(b, 1, 0, 0);
}
static void big_endian(struct sl_buf *b) {
    header(b, 3U << 24, 0, 0);
}
static void many_keys(struct sl_buf *b) {
    header(b, 3, 0, UINT64_MAX);
}
static void many_tensors(struct sl_buf *b) {
    header(b, 3, SL_GGUF_MAX_TENSORS + 1, 0);
}
static void huge_text(struct sl_buf *b) {
    header(b, 3, 0, 1);
    bytes_u64(b, UINT64_MAX);
}
static void empty_key(struct sl_buf *b) {
    header(b, 3, 0, 1);
    key_u32(b, "", 1);
}
static void key_with_newline(struct sl_buf *b) {
    header(b, 3, 0, 1);
    key_u32(b, "a\nb", 1);
}
static void repeated_key(struct sl_buf *b) {
    header(b, 3, 0, 3);
    key_u32(b, "a", 1);
    key_u32(b, "b", 1);
    key_u32(b, "a", 2);
}
static void unknown_type(struct sl_buf *b) {
    header(b, 3, 0, 1);
    bytes_text(b, "a");
    bytes_u32(b, 13);
}
static void bool_2(struct sl_buf *b) {
    header(b, 3, 0, 1);
    bytes_text(b, "a");
    bytes_u32(b, SL_GGUF_BOOL);
    sl_buf_append(b, "\2", 1);
}
static void bool_in_array(struct sl_buf *b) {
    header(b, 3, 0, 1);
    bytes_text(b, "a");
    bytes_u32(b, SL_GGUF_ARRAY);
    bytes_u32(b, SL_GGUF_BOOL);
    bytes_u64(b, 3);
    sl_buf_append(b, "\0\1\xff", 3);
}
static void array_count(struct sl_buf *b, uint32_t type, uint64_t count) {
    header(b, 3, 0, 1);
    bytes_text(b, "a");
    bytes_u32(b, SL_GGUF_ARRAY);
    bytes_u32(b, type);
    bytes_u64(b, count);
}
static void array_overflow(struct sl_buf *b) {
    array_count(b, SL_GGUF_UINT64, UINT64_C(1) << 61);
}
static void array_beyond_end(struct sl_buf *b) {
    array_count(b, SL_GGUF_UINT64, 1000);
}
static void array_of_unknown(struct sl_buf *b) {
    array_count(b, 99, 0);
}
static void deep_array(struct sl_buf *b) {
    array_count(b, SL_GGUF_ARRAY, 1);
    for (int i = 0; i < 1000; i++) {
        bytes_u32(b, SL_GGUF_ARRAY);
        bytes_u64(b, 1);
    }
}
static void alignment_3(struct sl_buf *b) {
    header(b, 3, 0, 1);
    key_u32(b, "general.alignment", 24);
}
static void alignment_0(struct sl_buf *b) {
    header(b, 3, 0, 1);
    key_u32(b, "general.alignment", 0);
}
static void one_tensor(struct sl_buf *b, const char *name, uint32_t n_dims, uint64_t dim,
                       uint32_t type, uint64_t offset) {
    header(b, 3, 1, 0);
    tensor(b, name, n_dims, dim, type, offset);
    bytes_pad(b, 32);
    for (int i = 0; i < 128; i++) {
        sl_buf_append(b, "", 1);
    }
}
static void no_dims(struct sl_buf *b) {
    one_tensor(b, "t", 0, 8, SL_GGML_F32, 0);
}
static void five_dims(struct sl_buf *b) {
    one_tensor(b, "t", 5, 1, SL_GGML_F32, 0);
}
static void dim_0(struct sl_buf *b) {
    one_tensor(b, "t", 1, 0, SL_GGML_F32, 0);
}
static void dims_overflow(struct sl_buf *b) {
    one_tensor(b, "t", 4, UINT64_C(1) << 16, SL_GGML_F32, 0);
}
static void bytes_overflow(struct sl_buf *b) {
    one_tensor(b, "t", 1, UINT64_C(1) << 62, SL_GGML_F32, 0);
}
static void unknown_tensor_type(struct sl_buf *b) {
    one_tensor(b, "t", 1, 8, 4, 0);
}
static void half_block(struct sl_buf *b) {
    one_tensor(b, "t", 1, 33, SL_GGML_Q4_0, 0);
}
static void unaligned_offset(struct sl_buf *b) {
    one_tensor(b, "t", 1, 8, SL_GGML_F32, 4);
}
static void offset_beyond(struct sl_buf *b) {
    one_tensor(b, "t", 1, 8, SL_GGML_F32, 160);
}
static void offset_huge(struct sl_buf *b) {
    one_tensor(b, "t", 1, 8, SL_GGML_F32, UINT64_MAX - 31);
}
static void tensor_beyond_end(struct sl_buf *b) {
    one_tensor(b, "t", 1, 33, SL_GGML_F32, 0);
}
static void long_name(struct sl_buf *b) {
    char name[65];
    memset(name, 'n', 64);
    name[64] = '\0';
    one_tensor(b, name, 1, 8, SL_GGML_F32, 0);
}
static void two_tensors(struct sl_buf *b, const char *second, uint64_t offset) {
    header(b, 3, 2, 0);
    tensor(b, "t", 1, 16, SL_GGML_F32, 0);
    tensor(b, second, 1, 8, SL_GGML_F32, offset);
    bytes_pad(b, 32);
    for (int i = 0; i < 128; i++) {
        sl_buf_append(b, "", 1);
    }
}
static void overlap(struct sl_buf *b) {
    two_tensors(b, "u", 32);
}
static void repeated_tensor(struct sl_buf *b) {
    two_tensors(b, "t", 64);
}

static const struct {
    void (*make)(struct sl_buf *);
    int status;
    const char *says; /* what the user must be told */
} hostile[] = {
    {no_magic, -SL_CORRUPT, "no GGUF"},
    {version_1, -SL_UNSUPPORTED, "version 1"},
    {big_endian, -SL_UNSUPPORTED, "big-endian"},
    {many_keys, -SL_LIMIT, "keys"},
    {many_tensors, -SL_LIMIT, "tensors"},
    {huge_text, -SL_LIMIT, "bytes"},
    {empty_key, -SL_CORRUPT, "empty"},
    {key_with_newline, -SL_CORRUPT, "0x0a"},
    {repeated_key, -SL_CORRUPT, "key a stands twice"},
    {unknown_type, -SL_UNSUPPORTED, "unknown type 13"},
    {bool_2, -SL_CORRUPT, "truth value 2"},
    {bool_in_array, -SL_CORRUPT, "truth value 255"},
    {array_overflow, -SL_LIMIT, "items"},
    {array_beyond_end, -SL_CORRUPT, "ends inside"},
    {array_of_unknown, -SL_UNSUPPORTED, "unknown type 99"},
    {deep_array, -SL_LIMIT, "nested"},
    {alignment_3, -SL_CORRUPT, "power of two"},
    {alignment_0, -SL_CORRUPT, "power of two"},
    {no_dims, -SL_CORRUPT, "0 dimensions"},
    {five_dims, -SL_CORRUPT, "5 dimensions"},
    {dim_0, -SL_CORRUPT, "shape"},
    {dims_overflow, -SL_CORRUPT, "shape"},
    {bytes_overflow, -SL_CORRUPT, "rows"},
    {unknown_tensor_type, -SL_UNSUPPORTED, "type 4"},
    {half_block, -SL_CORRUPT, "rows of 33"},
    {unaligned_offset, -SL_CORRUPT, "unaligned"},
    {offset_beyond, -SL_CORRUPT, "beyond the end"},
    {offset_huge, -SL_CORRUPT, "beyond the end"},
    {tensor_beyond_end, -SL_CORRUPT, "beyond the end"},
    {long_name, -SL_LIMIT, "64 bytes"},
    {overlap, -SL_CORRUPT, "overlap"},
    {repeated_tensor, -SL_CORRUPT, "tensor t stands twice"},
};

static void test_hostile(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        SL_AUTO_BUF struct sl_buf bytes = {0};
        struct sl_gguf *file = NULL;
        struct sl_error err = {0};
        hostile[i].make(&bytes);
        int rc = sl_gguf_open_memory(bytes.data, bytes.len, &file, &err);
        if (rc != hostile[i].status || !strstr(err.text, hostile[i].says)) {
            fail_msg("case %zu: %d '%s', expected %d '%s'", i, rc, err.text, hostile[i].status,
                     hostile[i].says);
        }
        assert_null(file);
    }
}

/* Reads whatever an opened file offers, so that the sanitizer sees every pointer used. */
static uint64_t touch(const struct sl_gguf *file) {
    static const char *const keys[] = {"general.architecture", "tokenizer.ggml.tokens",
                                       "tokenizer.ggml.token_type", "bert.block_count"};
    uint64_t sum = 0;
    for (size_t i = 0; i < sl_gguf_tensor_count(file); i++) {
        const struct sl_gguf_tensor *t = sl_gguf_tensor_at(file, i);
        const uint8_t *data = t->data;
        assert_ptr_equal(sl_gguf_find_tensor(file, t->name), t);
        sum += data[0] + data[t->bytes - 1];
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct sl_gguf_text text = {0};
        struct sl_gguf_array array = {0};
        uint64_t offset = 0;
        if (sl_gguf_get_text(file, keys[i], &text, NULL) == SL_OK && text.len) {
            sum += (uint8_t)text.bytes[text.len - 1];
        }
        if (sl_gguf_get_array(file, keys[i], SL_GGUF_TEXT, &array, NULL) == SL_OK) {
            while (sl_gguf_array_next_text(&array, &offset, &text)) {
                sum += text.len ? (uint8_t)text.bytes[text.len - 1] : 0;
            }
        }
        if (sl_gguf_get_array(file, keys[i], SL_GGUF_INT32, &array, NULL) == SL_OK) {
            sum += array.count ? (uint64_t)sl_gguf_array_i32(&array, array.count - 1) : 0;
        }
    }
    return sum;
}

/* A heap copy of exactly n bytes: a read behind the end is then seen by the sanitizer. */
static int open_copy(const char *bytes, size_t n, struct sl_error *err) {
    struct sl_gguf *file = NULL;
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    int rc = sl_gguf_open_memory(copy, n, &file, err);
    if (rc == SL_OK) {
        touch(file);
        sl_gguf_close(file);
    } else {
        assert_null(file);
        assert_true(err->text[0] != '\0');
    }
    free(copy);
    return rc;
}

static void small_model(struct sl_buf *bytes) {
    struct sl_tiny_bert shape = {1, 4, 2, 4, SL_TINY_BERT_MIN_VOCAB, 4, SL_BERT_POOL_CLS, 7};
    assert_int_equal(sl_tiny_bert_bytes(&shape, bytes, NULL), SL_OK);
}

static void test_truncated_at_every_byte(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf bytes = {0};
    small_model(&bytes);
    struct sl_error err;
    assert_int_equal(open_copy(bytes.data, bytes.len, &err), SL_OK);
    size_t opened = 0;
    for (size_t n = 0; n < bytes.len; n++) {
        err = (struct sl_error){0};
        opened += open_copy(bytes.data, n, &err) == SL_OK;
    }
    /* Only the padding behind the last tensor may be missing. */
    assert_true(opened < 32);
}

static void test_flipped_bytes(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf bytes = {0};
    struct sl_gguf *file = NULL;
    small_model(&bytes);
    assert_int_equal(sl_gguf_open_memory(bytes.data, bytes.len, &file, NULL), SL_OK);
    size_t head = (size_t)((const char *)sl_gguf_tensor_at(file, 0)->data - bytes.data);
    sl_gguf_close(file);
    static const unsigned char masks[] = {0x01, 0x80, 0xff, 0x10};
    size_t refused = 0;
    for (size_t i = 0; i < head; i++) {
        for (size_t k = 0; k < sizeof masks; k++) {
            struct sl_error err = {0};
            bytes.data[i] = (char)(bytes.data[i] ^ masks[k]);
            refused += open_copy(bytes.data, bytes.len, &err) != SL_OK;
            bytes.data[i] = (char)(bytes.data[i] ^ masks[k]);
        }
    }
    assert_true(refused > head);
}

static void test_file_kinds(void **state) {
    (void)state;
    struct sl_error err = {0};
    struct sl_gguf *file = NULL;
    char folder[] = "/tmp/sluice-gguf-XXXXXX";
    char path[64];
    char link[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    snprintf(link, sizeof link, "%s/link.gguf", folder);
    assert_int_equal(sl_gguf_open(path, &file, &err), -SL_NOTFOUND);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(sl_gguf_open(folder, &file, &err), -SL_IO);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(sl_gguf_open(path, &file, &err), -SL_IO);
    unlink(path);
    struct sl_tiny_bert shape = sl_tiny_bert_default();
    assert_int_equal(sl_tiny_bert_save(&shape, path, &err), SL_OK);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(sl_gguf_open(link, &file, &err), -SL_IO);
    assert_non_null(strstr(err.text, "symbolic link"));
    assert_int_equal(sl_gguf_open(path, &file, &err), SL_OK);
    assert_int_equal(sl_gguf_version(file), 3);
    assert_int_equal((uintptr_t)sl_gguf_tensor_at(file, 3)->data % 32, 0);
    sl_gguf_close(file);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(sl_gguf_open(path, &file, &err), -SL_CORRUPT);
    unlink(path);
    unlink(link);
    rmdir(folder);
}

static void test_version_2(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf bytes = {0};
    struct sl_gguf *file = NULL;
    small_model(&bytes);
    bytes.data[4] = 2;
    assert_int_equal(sl_gguf_open_memory(bytes.data, bytes.len, &file, NULL), SL_OK);
    assert_int_equal(sl_gguf_version(file), 2);
    sl_gguf_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),       cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_flipped_bytes), cmocka_unit_test(test_file_kinds),
        cmocka_unit_test(test_version_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
