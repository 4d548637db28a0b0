/* SPDX-License-Identifier: Apache-2.0
 * Float64 reference of bert: Devlin et al. 2018 (post-layer-norm), as HuggingFace's BertModel. */
#include "tests/unit/agent/models/bert_ref64.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* IEEE 754 binary16 by its definition: sign, exponent with bias 15, 10 bits of fraction. */
static double half_value(uint16_t bits) {
    int exponent = bits >> 10 & 31;
    double fraction = bits & 1023;
    double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return bits & 0x8000 ? -size : size;
}

void sl_ref64_row(const struct sl_bert_matrix *w, uint32_t row, double *out) {
    const uint8_t *at = (const uint8_t *)w->data + row * w->row_bytes;
    for (uint32_t i = 0; i < w->columns; i++) {
        float single;
        uint16_t half;
        if (w->type == SL_GGML_F32) {
            memcpy(&single, at + 4 * (size_t)i, sizeof single);
            out[i] = (double)single;
        } else if (w->type == SL_GGML_F16) {
            memcpy(&half, at + 2 * (size_t)i, sizeof half);
            out[i] = half_value(half);
        } else { /* Q8_0 */
            memcpy(&half, at + (size_t)(i / 32) * 34, sizeof half);
            out[i] = half_value(half) * (int8_t)at[(size_t)(i / 32) * 34 + 2 + i % 32];
        }
    }
}

void sl_ref64_linear(const double *x, const struct sl_bert_matrix *w, const float *b, uint32_t rows,
                     uint32_t n_out, double *y) {
    uint32_t n_in = w->columns;
    double *weights = malloc(n_in * sizeof *weights);
    if (!weights) {
        abort();
    }
    for (uint32_t o = 0; o < n_out; o++) {
        sl_ref64_row(w, o, weights);
        for (uint32_t r = 0; r < rows; r++) {
            double sum = b ? (double)b[o] : 0.0;
            for (uint32_t i = 0; i < n_in; i++) {
                sum += x[(size_t)r * n_in + i] * weights[i];
            }
            y[(size_t)r * n_out + o] = sum;
        }
    }
    free(weights);
}

void sl_ref64_embedding(const struct sl_bert_model *model, int32_t id, uint32_t position,
                        double *out) {
    uint32_t e = model->config.n_embd;
    double *part = malloc(2 * (size_t)e * sizeof *part);
    if (!part) {
        abort();
    }
    sl_ref64_row(&model->token_embd, (uint32_t)id, out);
    sl_ref64_row(&model->pos_embd, position, part);
    sl_ref64_row(&model->type_embd, 0, part + e);
    for (uint32_t i = 0; i < e; i++) {
        out[i] += part[i] + part[e + i];
    }
    free(part);
}

void sl_ref64_layer_norm(double *x, const float *w, const float *b, uint32_t rows, uint32_t n,
                         double eps) {
    for (uint32_t r = 0; r < rows; r++) {
        double *row = x + (size_t)r * n;
        double mean = 0;
        double variance = 0;
        for (uint32_t i = 0; i < n; i++) {
            mean += row[i] / n;
        }
        for (uint32_t i = 0; i < n; i++) {
            variance += (row[i] - mean) * (row[i] - mean) / n;
        }
        for (uint32_t i = 0; i < n; i++) {
            row[i] = (row[i] - mean) / sqrt(variance + eps) * (double)w[i] + (double)b[i];
        }
    }
}

void sl_ref64_gelu(double *x, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) {
        x[i] = x[i] / 2 * (1 + erf(x[i] / sqrt(2.0)));
    }
}

static void attend(const double *q, const double *k, const double *v, uint32_t rows,
                   uint32_t stride, uint32_t d, double *scores, double *out) {
    double top = -INFINITY;
    double sum = 0;
    for (uint32_t j = 0; j < rows; j++) {
        scores[j] = 0;
        for (uint32_t i = 0; i < d; i++) {
            scores[j] += q[i] * k[(size_t)j * stride + i];
        }
        scores[j] /= sqrt((double)d);
        top = scores[j] > top ? scores[j] : top;
    }
    for (uint32_t j = 0; j < rows; j++) {
        scores[j] = exp(scores[j] - top);
        sum += scores[j];
    }
    memset(out, 0, d * sizeof *out);
    for (uint32_t j = 0; j < rows; j++) {
        for (uint32_t i = 0; i < d; i++) {
            out[i] += scores[j] / sum * v[(size_t)j * stride + i];
        }
    }
}

void sl_ref64_attention(const double *q, const double *k, const double *v, uint32_t rows,
                        uint32_t n_head, uint32_t d, double *out) {
    uint32_t stride = n_head * d;
    double *scores = malloc(rows * sizeof *scores);
    if (!scores) {
        abort();
    }
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t h = 0; h < n_head; h++) {
            size_t at = (size_t)r * stride + h * d;
            attend(q + at, k + h * d, v + h * d, rows, stride, d, scores, out + at);
        }
    }
    free(scores);
}

void sl_ref64_pool(const double *hidden, uint32_t rows, uint32_t n, enum sl_bert_pooling pooling,
                   double *out) {
    uint32_t used = pooling == SL_BERT_POOL_CLS ? 1 : rows;
    double length = 0;
    for (uint32_t i = 0; i < n; i++) {
        out[i] = 0;
        for (uint32_t r = 0; r < used; r++) {
            out[i] += hidden[(size_t)r * n + i] / used;
        }
        length += out[i] * out[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        out[i] /= sqrt(length);
    }
}

struct buffers {
    double *x, *q, *k, *v, *mixed, *up; /* up: [rows][n_ff], the others [rows][n_embd] */
};

static void add(double *x, const double *y, size_t n) {
    for (size_t i = 0; i < n; i++) {
        x[i] += y[i];
    }
}

static void run_layer(const struct sl_bert_config *c, const struct sl_bert_layer *l,
                      struct buffers *b, uint32_t n) {
    uint32_t e = c->n_embd;
    double eps = (double)c->norm_eps;
    sl_ref64_linear(b->x, &l->q_w, l->q_b, n, e, b->q);
    sl_ref64_linear(b->x, &l->k_w, l->k_b, n, e, b->k);
    sl_ref64_linear(b->x, &l->v_w, l->v_b, n, e, b->v);
    sl_ref64_attention(b->q, b->k, b->v, n, c->n_head, e / c->n_head, b->mixed);
    sl_ref64_linear(b->mixed, &l->out_w, l->out_b, n, e, b->q);
    add(b->x, b->q, (size_t)n * e);
    sl_ref64_layer_norm(b->x, l->attn_norm_w, l->attn_norm_b, n, e, eps);
    sl_ref64_linear(b->x, &l->up_w, l->up_b, n, c->n_ff, b->up);
    sl_ref64_gelu(b->up, (uint64_t)n * c->n_ff);
    sl_ref64_linear(b->up, &l->down_w, l->down_b, n, e, b->q);
    add(b->x, b->q, (size_t)n * e);
    sl_ref64_layer_norm(b->x, l->out_norm_w, l->out_norm_b, n, e, eps);
}

int sl_ref64_embed(const struct sl_bert_model *model, const int32_t *ids, uint32_t n, double *out) {
    const struct sl_bert_config *c = &model->config;
    uint32_t e = c->n_embd;
    size_t size = (size_t)n * e;
    double *block = calloc(5 * size + (size_t)n * c->n_ff, sizeof *block);
    if (!block || n < 1 || n > c->n_ctx) {
        free(block);
        return -1;
    }
    struct buffers b = {
        block,           block + size, block + 2 * size, block + 3 * size, block + 4 * size,
        block + 5 * size};
    for (uint32_t r = 0; r < n; r++) {
        if (ids[r] < 0 || (uint32_t)ids[r] >= c->n_vocab) {
            free(block);
            return -1;
        }
        sl_ref64_embedding(model, ids[r], r, b.x + (size_t)r * e);
    }
    sl_ref64_layer_norm(b.x, model->embd_norm_w, model->embd_norm_b, n, e, (double)c->norm_eps);
    for (uint32_t l = 0; l < c->n_layer; l++) {
        run_layer(c, &model->layers[l], &b, n);
    }
    sl_ref64_pool(b.x, n, e, c->pooling, out);
    free(block);
    return 0;
}
