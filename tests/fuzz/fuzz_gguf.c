/* SPDX-License-Identifier: Apache-2.0
 * A hostile model file: refused with a reason, or every look-up stays inside it, also those of the
 * two readers above it, the bert engine's and the tokenizer's. */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>

#include "agent/models/bert_config.h"
#include "agent/models/gguf.h"
#include "agent/models/wordpiece.h"

static volatile uint8_t sink;

static void touch(const void *bytes, uint64_t n) {
    const uint8_t *at = bytes;
    if (n > 0) {
        sink = at[0];
        sink = at[n - 1];
    }
}

static void check_inside(const uint8_t *data, size_t size, const void *bytes, uint64_t n) {
    const uint8_t *at = bytes;
    fuzz_check(n <= size && at >= data && at <= data + size && n <= (size_t)(data + size - at));
    touch(bytes, n);
}

static void check_tensors(const struct sl_gguf *file, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < sl_gguf_tensor_count(file); i++) {
        const struct sl_gguf_tensor *t = sl_gguf_tensor_at(file, i);
        uint64_t bytes = 0;
        fuzz_check(t->n_dims >= 1 && t->n_dims <= SL_GGUF_MAX_DIMS);
        fuzz_check(sl_gguf_find_tensor(file, t->name) == t);
        fuzz_check(sl_ggml_size(t->type, t->dims[0],
                                t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3], &bytes));
        fuzz_check(bytes == t->bytes && ((const uint8_t *)t->data - data) % 8 == 0);
        check_inside(data, size, t->data, t->bytes);
        fuzz_check(sl_ggml_type_name(t->type)[0] != '?');
    }
}

static void check_array(const struct sl_gguf *file, const char *key, const uint8_t *data,
                        size_t size) {
    for (int type = SL_GGUF_UINT8; type <= SL_GGUF_FLOAT64; type++) {
        struct sl_gguf_array array;
        if (sl_gguf_get_array(file, key, (enum sl_gguf_type)type, &array, NULL) != SL_OK) {
            continue;
        }
        check_inside(data, size, array.data, array.bytes);
        if (type == SL_GGUF_TEXT) {
            uint64_t offset = 0;
            uint64_t count = 0;
            struct sl_gguf_text text;
            while (sl_gguf_array_next_text(&array, &offset, &text)) {
                check_inside(data, size, text.bytes, text.len);
                count++;
            }
            fuzz_check(count == array.count);
        } else if ((type == SL_GGUF_INT32 || type == SL_GGUF_UINT32) && array.count > 0) {
            (void)sl_gguf_array_i32(&array, array.count - 1);
        }
    }
}

static void check_keys(const struct sl_gguf *file, const uint8_t *data, size_t size) {
    static const char *const keys[] = {"general.architecture",
                                       "general.alignment",
                                       "tokenizer.ggml.tokens",
                                       "bert.block_count",
                                       "tokenizer.ggml.token_type",
                                       "bert.attention.layer_norm_epsilon",
                                       "a",
                                       "bert.attention.causal"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        uint32_t number = 0;
        float real = 0;
        bool flag = false;
        struct sl_gguf_text text;
        struct sl_error err = {0};
        int rc = sl_gguf_get_u32(file, keys[i], &number, &err);
        fuzz_check(rc == SL_OK || (rc == -SL_NOTFOUND) == !sl_gguf_has(file, keys[i]));
        (void)sl_gguf_get_f32(file, keys[i], &real, NULL);
        (void)sl_gguf_get_bool(file, keys[i], &flag, NULL);
        if (sl_gguf_get_text(file, keys[i], &text, NULL) == SL_OK) {
            check_inside(data, size, text.bytes, text.len);
        }
        check_array(file, keys[i], data, size);
    }
}

/* Every row lies in the file, and its values are numbers: as a float of its own type at least. */
static void check_matrix(const uint8_t *data, size_t size, const struct sl_bert_matrix *m,
                         uint32_t rows, uint32_t columns) {
    fuzz_check(m->columns == columns);
    check_inside(data, size, m->data, (uint64_t)m->row_bytes * rows);
    float *row = malloc(columns * sizeof *row);
    for (uint32_t i = 0; row && i<rows; i += rows> 1 ? rows - 1 : 1) {
        sl_bert_row(m, i, row);
        for (uint32_t k = 0; k < columns; k++) {
            fuzz_check(isfinite(row[k]));
        }
    }
    free(row);
}

static void check_model(const struct sl_gguf *file, const uint8_t *data, size_t size) {
    struct sl_bert_model *model = NULL;
    struct sl_error err = {0};
    int rc = sl_bert_model_load(file, &model, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
        fuzz_check(!model);
        return;
    }
    const struct sl_bert_config *c = &model->config;
    uint64_t embd = c->n_embd;
    fuzz_check(c->n_head > 0 && embd % c->n_head == 0);
    check_matrix(data, size, &model->token_embd, c->n_vocab, c->n_embd);
    check_matrix(data, size, &model->pos_embd, c->n_ctx, c->n_embd);
    check_matrix(data, size, &model->type_embd, c->n_types, c->n_embd);
    for (uint32_t i = 0; i < c->n_layer; i++) {
        check_matrix(data, size, &model->layers[i].up_w, c->n_ff, c->n_embd);
        check_matrix(data, size, &model->layers[i].down_w, c->n_embd, c->n_ff);
        check_inside(data, size, model->layers[i].out_norm_b, 4 * embd);
    }
    sl_bert_model_free(model);
}

static void check_tokenizer(const struct sl_gguf *file) {
    static const char text[] = "Hello [MASK] na\xc3\xafve, world";
    struct sl_wordpiece *wp = NULL;
    struct sl_error err = {0};
    int rc = sl_wordpiece_create(file, &wp, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
        fuzz_check(!wp);
        return;
    }
    int32_t ids[32];
    uint32_t count = 0;
    struct sl_wordpiece_limit limit = {.max_tokens = 32, .truncate = true};
    fuzz_check(sl_wordpiece_encode(wp, text, sizeof text - 1, limit, ids, &count, &err) == SL_OK);
    for (uint32_t i = 0; i < count; i++) {
        fuzz_check(ids[i] >= 0 && (uint32_t)ids[i] < sl_wordpiece_vocab_size(wp));
    }
    sl_wordpiece_destroy(wp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sl_gguf *file = NULL;
    struct sl_error err = {0};
    uint8_t *copy = fuzz_copy(data, size);
    int rc = sl_gguf_open_memory(copy, size, &file, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
        fuzz_check(!file);
    } else {
        char hex[65];
        check_tensors(file, copy, size);
        check_keys(file, copy, size);
        check_model(file, copy, size);
        check_tokenizer(file);
        sl_gguf_sha256(file, hex);
        fuzz_check(strlen(hex) == 64);
        sl_gguf_close(file);
    }
    free(copy);
    return 0;
}
