/* SPDX-License-Identifier: Apache-2.0
 * Random-weight bert models. */
#include "tests/unit/agent/models/tiny_bert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/models/ggml_row.h"
#include "agent/models/gguf_writer.h"

#define MAX_TENSORS 4096

struct maker {
    struct sl_gguf_writer *writer;
    uint64_t state;
    enum sl_ggml_type type; /* of matrices, but for positions and types, as llama.cpp writes them */
    void *blocks[MAX_TENSORS]; /* lent to the writer until it is done */
    size_t n_blocks;
    bool failed;
};

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* centre +- spread, uniform. */
static float uniform(uint64_t *state, float centre, float spread) {
    double unit = (double)(next(state) >> 11) * 0x1p-53;
    return centre + spread * (float)(2 * unit - 1);
}

static void *keep(struct maker *m, size_t bytes) {
    void *block = m->n_blocks < MAX_TENSORS ? malloc(bytes) : NULL;
    if (block) {
        m->blocks[m->n_blocks++] = block;
    }
    m->failed = m->failed || !block;
    return block;
}

static void put_as(struct maker *m, const char *name, enum sl_ggml_type type, uint32_t rows,
                   uint32_t columns, float centre, float spread) {
    size_t n = (size_t)(rows ? rows : 1) * columns;
    uint64_t dims[2] = {columns, rows};
    uint64_t bytes = 0;
    float *values = keep(m, n * sizeof *values);
    if (!values || !sl_ggml_size(type, columns, n, &bytes)) {
        m->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = uniform(&m->state, centre, spread);
    }
    void *data = type == SL_GGML_F32 ? values : keep(m, bytes);
    m->failed = m->failed || !data || !sl_ggml_row_encode(type, values, n, data);
    if (!m->failed) {
        sl_gguf_put_tensor_data(m->writer, name, type, rows ? 2 : 1, dims, data);
    }
}

static void put(struct maker *m, const char *name, uint32_t rows, uint32_t columns, float centre,
                float spread) {
    put_as(m, name, SL_GGML_F32, rows, columns, centre, spread);
}

/* Spreads are so chosen that attention and GELU work in their curved parts: sums of many columns
 * must not grow with their number, or softmax picks one token and rounding decides which. */
static void put_pair(struct maker *m, const char *prefix, const char *name, uint32_t rows,
                     uint32_t columns) {
    char full[64];
    bool norm = strstr(name, "norm") != NULL;
    float spread = columns <= 128 ? 0.25F : 2.0F / sqrtf((float)columns);
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    put_as(m, full, norm ? SL_GGML_F32 : m->type, norm ? 0 : rows, columns, norm ? 1.0F : 0.0F,
           norm ? 0.3F : spread);
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    put(m, full, 0, norm ? columns : rows, 0, 0.2F);
}

static void put_tensors(struct maker *m, const struct sl_tiny_bert *s) {
    char prefix[24];
    put_as(m, "token_embd.weight", m->type, s->n_vocab, s->n_embd, 0, 1);
    put(m, "position_embd.weight", s->n_ctx, s->n_embd, 0, 0.5F);
    put(m, "token_types.weight", 2, s->n_embd, 0, 0.5F);
    put_pair(m, "", "token_embd_norm", 0, s->n_embd);
    for (uint32_t l = 0; l < s->n_layer; l++) {
        snprintf(prefix, sizeof prefix, "blk.%u.", l);
        put_pair(m, prefix, "attn_q", s->n_embd, s->n_embd);
        put_pair(m, prefix, "attn_k", s->n_embd, s->n_embd);
        put_pair(m, prefix, "attn_v", s->n_embd, s->n_embd);
        put_pair(m, prefix, "attn_output", s->n_embd, s->n_embd);
        put_pair(m, prefix, "attn_output_norm", 0, s->n_embd);
        put_pair(m, prefix, "ffn_up", s->n_ff, s->n_embd);
        put_pair(m, prefix, "ffn_down", s->n_embd, s->n_ff);
        put_pair(m, prefix, "layer_output_norm", 0, s->n_embd);
    }
}

static size_t piece_text(uint32_t id, char *out, size_t size, int32_t *ret_type) {
    static const char *const specials[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    static const char *const words[] = {"the", "cat", "sat", "un", "able", "!", ",", ".", "é"};
    const uint32_t n_words = sizeof words / sizeof words[0];
    *ret_type = id < 5 ? 3 : 1;
    if (id < 5) {
        return (size_t)snprintf(out, size, "%s", specials[id]);
    }
    if (id < 31) {
        return (size_t)snprintf(out, size, "\xe2\x96\x81%c", 'a' + (char)(id - 5));
    }
    if (id < 57) {
        return (size_t)snprintf(out, size, "%c", 'a' + (char)(id - 31));
    }
    if (id < 67) {
        return (size_t)snprintf(out, size, "\xe2\x96\x81%c", '0' + (char)(id - 57));
    }
    if (id < 67 + n_words) {
        return (size_t)snprintf(out, size, "\xe2\x96\x81%s", words[id - 67]);
    }
    return (size_t)snprintf(out, size, "\xe2\x96\x81[unused%u]", id);
}

static int put_vocab(struct sl_gguf_writer *w, uint32_t count, struct sl_error *err) {
    SL_AUTO_FREE char *text = malloc((size_t)count * 24);
    SL_AUTO_FREE struct sl_gguf_text *pieces = calloc(count, sizeof *pieces);
    SL_AUTO_FREE int32_t *types = calloc(count, sizeof *types);
    if (!text || !pieces || !types) {
        return sl_fail(err, SL_NOMEM, "a vocabulary");
    }
    for (uint32_t id = 0; id < count; id++) {
        char *at = text + (size_t)id * 24;
        pieces[id] = (struct sl_gguf_text){at, piece_text(id, at, 24, &types[id])};
    }
    sl_gguf_put_text(w, "tokenizer.ggml.model", (struct sl_gguf_text){"bert", 4});
    sl_gguf_put_texts(w, "tokenizer.ggml.tokens", pieces, count);
    sl_gguf_put_i32s(w, "tokenizer.ggml.token_type", types, count);
    sl_gguf_put_u32(w, "tokenizer.ggml.padding_token_id", 0);
    sl_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", 1);
    sl_gguf_put_u32(w, "tokenizer.ggml.cls_token_id", 2);
    sl_gguf_put_u32(w, "tokenizer.ggml.seperator_token_id", 3);
    sl_gguf_put_u32(w, "tokenizer.ggml.mask_token_id", 4);
    return SL_OK;
}

static void put_keys(struct sl_gguf_writer *w, const struct sl_tiny_bert *s) {
    sl_gguf_put_text(w, "general.architecture", (struct sl_gguf_text){"bert", 4});
    sl_gguf_put_text(w, "general.name", (struct sl_gguf_text){"tiny", 4});
    sl_gguf_put_u32(w, "bert.block_count", s->n_layer);
    sl_gguf_put_u32(w, "bert.context_length", s->n_ctx);
    sl_gguf_put_u32(w, "bert.embedding_length", s->n_embd);
    sl_gguf_put_u32(w, "bert.feed_forward_length", s->n_ff);
    sl_gguf_put_u32(w, "bert.attention.head_count", s->n_head);
    sl_gguf_put_f32(w, "bert.attention.layer_norm_epsilon", 1e-12F);
    sl_gguf_put_u32(w, "bert.pooling_type", (uint32_t)s->pooling);
}

struct sl_tiny_bert sl_tiny_bert_default(void) {
    return (struct sl_tiny_bert){2, 64, 4, 128, 96, 64, SL_BERT_POOL_MEAN, 1};
}

static int make(const struct sl_tiny_bert *shape, enum sl_ggml_type type, const char *path,
                struct sl_buf *ret_bytes, struct sl_error *err) {
    SL_AUTO(sl_gguf_writer) writer = NULL;
    struct maker *m = calloc(1, sizeof *m);
    if (!m || shape->n_vocab < SL_TINY_BERT_MIN_VOCAB) {
        free(m);
        return sl_fail(err, SL_INVALID, "a tiny bert needs %d pieces", SL_TINY_BERT_MIN_VOCAB);
    }
    int rc = sl_gguf_writer_create(&writer, err);
    if (rc == SL_OK) {
        m->writer = writer;
        m->state = shape->seed;
        m->type = type;
        put_keys(writer, shape);
        put_tensors(m, shape);
        rc = m->failed ? sl_fail(err, SL_NOMEM, "a tiny bert")
                       : put_vocab(writer, shape->n_vocab, err);
    }
    if (rc == SL_OK) {
        rc = path ? sl_gguf_writer_save(writer, path, NULL, err)
                  : sl_gguf_writer_bytes(writer, ret_bytes, err);
    }
    for (size_t i = 0; i < m->n_blocks; i++) {
        free(m->blocks[i]);
    }
    free(m);
    return rc;
}

int sl_tiny_bert_bytes(const struct sl_tiny_bert *shape, struct sl_buf *ret_bytes,
                       struct sl_error *err) {
    return make(shape, SL_GGML_F32, NULL, ret_bytes, err);
}

int sl_tiny_bert_bytes_as(const struct sl_tiny_bert *shape, enum sl_ggml_type type,
                          struct sl_buf *ret_bytes, struct sl_error *err) {
    return make(shape, type, NULL, ret_bytes, err);
}

int sl_tiny_bert_save(const struct sl_tiny_bert *shape, const char *path, struct sl_error *err) {
    return make(shape, SL_GGML_F32, path, NULL, err);
}
