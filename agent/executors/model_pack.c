/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/executors/model_pack.h"

#include <stdlib.h>
#include <string.h>

#include "agent/device/pages.h"
#include "agent/models/ggml_row.h"

/* Tensors start at page ends, so that a CPU device can use them in place. */
#define ALIGN_BYTES 4096u

/* One source of a packed tensor: up to three matrices side by side, or vectors one after the other,
 * or rows as they are (a table). */
struct source {
    const struct sl_bert_matrix *matrix[3];
    const float *vector[3];
    uint32_t parts;
    uint32_t n; /* rows (columns of the product) of one part, or elements of a vector */
    enum sl_ggml_type table; /* with matrix[0] and `rows`: rows in this type, not packed */
    uint32_t rows;
};

static void layer_sources(const struct sl_bert_config *c, const struct sl_bert_layer *l,
                          struct source out[SL_LAYER_TENSORS]) {
    uint32_t e = c->n_embd, f = c->n_ff;
    memset(out, 0, SL_LAYER_TENSORS * sizeof *out);
#define MATRIX(slot, n_, ...)                                                                      \
    out[slot] = (struct source){.matrix = {__VA_ARGS__}, .parts = 1, .n = (n_)}
#define VECTOR(slot, n_, ...)                                                                      \
    out[slot] = (struct source) {                                                                  \
        .vector = {__VA_ARGS__}, .parts = 1, .n = (n_)                                             \
    }
    MATRIX(SL_LAYER_QKV_W, e, &l->q_w, &l->k_w, &l->v_w);
    VECTOR(SL_LAYER_QKV_B, e, l->q_b, l->k_b, l->v_b);
    out[SL_LAYER_QKV_W].parts = out[SL_LAYER_QKV_B].parts = 3;
    MATRIX(SL_LAYER_OUT_W, e, &l->out_w);
    VECTOR(SL_LAYER_OUT_B, e, l->out_b);
    VECTOR(SL_LAYER_ATTN_NORM_W, e, l->attn_norm_w);
    VECTOR(SL_LAYER_ATTN_NORM_B, e, l->attn_norm_b);
    MATRIX(SL_LAYER_UP_W, f, &l->up_w);
    VECTOR(SL_LAYER_UP_B, f, l->up_b);
    MATRIX(SL_LAYER_DOWN_W, e, &l->down_w);
    VECTOR(SL_LAYER_DOWN_B, e, l->down_b);
    VECTOR(SL_LAYER_OUT_NORM_W, e, l->out_norm_w);
    VECTOR(SL_LAYER_OUT_NORM_B, e, l->out_norm_b);
}

/* Positions and the type are few rows, so they become F32; tokens are many and stay as they are. */
static void embed_sources(const struct sl_bert_model *b, struct source out[SL_EMBED_TENSORS]) {
    const struct sl_bert_config *c = &b->config;
    memset(out, 0, SL_EMBED_TENSORS * sizeof *out);
#define TABLE(slot, matrix_, type_, rows_)                                                         \
    out[slot] = (struct source){.matrix = {matrix_}, .parts = 1, .table = (type_), .rows = (rows_)}
    TABLE(SL_EMBED_TOKEN, &b->token_embd, b->token_embd.type, c->n_vocab);
    TABLE(SL_EMBED_POSITION, &b->pos_embd, SL_GGML_F32, c->n_ctx);
    TABLE(SL_EMBED_TYPE, &b->type_embd, SL_GGML_F32, 1);
    VECTOR(SL_EMBED_NORM_W, c->n_embd, b->embd_norm_w);
    VECTOR(SL_EMBED_NORM_B, c->n_embd, b->embd_norm_b);
#undef MATRIX
#undef VECTOR
#undef TABLE
}

static size_t row_bytes(enum sl_ggml_type type, uint32_t columns) {
    uint64_t bytes = 0;
    bool fits = sl_ggml_size(type, columns, columns, &bytes);
    sl_assert(fits); /* it is the type of a tensor that was read, or F32 */
    return (size_t)bytes;
}

static enum sl_ggml_type source_type(const struct source *s) {
    if (s->rows) {
        return s->table;
    }
    for (uint32_t part = 0; part < s->parts; part++) {
        if (!s->matrix[part] || s->matrix[part]->type != s->matrix[0]->type) {
            return SL_GGML_F32;
        }
    }
    return s->matrix[0]->type;
}

static enum sl_weight_type weights(enum sl_ggml_type type) {
    if (type == SL_GGML_F16) {
        return SL_WEIGHT_F16;
    }
    return type == SL_GGML_Q8_0 ? SL_WEIGHT_Q8_0 : SL_WEIGHT_F32; /* bert_config.h: no others */
}

enum sl_weight_type sl_model_weights(const struct sl_model_tensor *tensor) {
    return weights(tensor->type);
}

static size_t source_bytes(const struct source *s) {
    if (s->rows) {
        return s->rows * row_bytes(s->table, s->matrix[0]->columns);
    }
    uint32_t n = s->parts * s->n;
    return s->matrix[0] ? sl_gemm_packed_bytes(weights(source_type(s)), n, s->matrix[0]->columns)
                        : sl_gemm_padded(n) * sizeof(float);
}

static void copy_table(const struct source *s, uint8_t *out) {
    const struct sl_bert_matrix *m = s->matrix[0];
    size_t bytes = row_bytes(s->table, m->columns);
    for (uint32_t row = 0; row < s->rows; row++) {
        if (m->type == s->table) {
            memcpy(out + row * bytes, (const uint8_t *)m->data + row * m->row_bytes, bytes);
        } else {
            sl_bert_row(m, row, (float *)(void *)(out + row * bytes));
        }
    }
}

/* row: scratch, as wide as the widest matrix. */
static void source_pack(const struct source *s, float *row, uint8_t *out) {
    if (s->rows) {
        copy_table(s, out);
        return;
    }
    enum sl_ggml_type type = source_type(s);
    for (uint32_t part = 0; part < s->parts; part++) {
        float *vectors = (float *)(void *)out + (size_t)part * s->n;
        if (s->vector[part]) {
            memcpy(vectors, s->vector[part], s->n * sizeof *vectors);
        }
        const struct sl_bert_matrix *m = s->matrix[part];
        for (uint32_t i = 0; m && i < s->n; i++) {
            const void *from = (const uint8_t *)m->data + i * m->row_bytes;
            if (m->type != type) {
                sl_bert_row(m, i, row);
                from = row;
            }
            sl_gemm_pack(weights(type), from, 1, m->columns, part * s->n + i, out);
        }
    }
}

static size_t aligned(size_t bytes) {
    return (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
}

static size_t sources_bytes(const struct source *sources, size_t count) {
    size_t bytes = 0;
    for (size_t t = 1; t < count; t++) {
        bytes += aligned(source_bytes(&sources[t]));
    }
    return bytes;
}

static uint8_t *place(const struct source *sources, size_t count, float *row, uint8_t *at,
                      struct sl_model_tensor *out) {
    for (size_t t = 1; t < count; t++) {
        size_t bytes = source_bytes(&sources[t]);
        source_pack(&sources[t], row, at);
        out[t] = (struct sl_model_tensor){at, bytes, source_type(&sources[t])};
        at += aligned(bytes);
    }
    return at;
}

int sl_model_pack(struct sl_model *m, struct sl_error *err) {
    const struct sl_bert_config *c = &m->bert->config;
    struct source embed[SL_EMBED_TENSORS];
    struct source layer[SL_LAYER_TENSORS];
    embed_sources(m->bert, embed);
    /* Limits of bert_config.h keep these sums far below 2^63. */
    size_t bytes = sources_bytes(embed, SL_EMBED_TENSORS);
    for (uint32_t l = 0; l < c->n_layer; l++) {
        layer_sources(c, &m->bert->layers[l], layer);
        bytes += sources_bytes(layer, SL_LAYER_TENSORS);
    }
    sl_assert(c->n_embd > 0 && c->n_layer > 0); /* bert_config.c refuses others */
    SL_AUTO_FREE float *row = calloc(c->n_ff > c->n_embd ? c->n_ff : c->n_embd, sizeof *row);
    m->layers = calloc(c->n_layer, sizeof *m->layers);
    m->packed = aligned_alloc(ALIGN_BYTES, bytes);
    if (m->packed) {
        sl_pages_large(m->packed, bytes);
    }
    if (!row || !m->layers || !m->packed) {
        return sl_fail(err, SL_NOMEM, "packed weights need %zu MiB", bytes >> 20);
    }
    m->packed_bytes = bytes;
    memset(m->packed, 0, bytes);
    uint8_t *at = place(embed, SL_EMBED_TENSORS, row, m->packed, m->embed);
    for (uint32_t l = 0; l < c->n_layer; l++) {
        layer_sources(c, &m->bert->layers[l], layer);
        at = place(layer, SL_LAYER_TENSORS, row, at, m->layers[l]);
    }
    return SL_OK;
}
