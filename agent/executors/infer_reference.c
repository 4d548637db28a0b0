/* SPDX-License-Identifier: Apache-2.0
 * A bert encoder on the host in double precision. */
#include "agent/executors/infer_reference.h"

#include <math.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"

/* out[n][rows] = in[n][cols] w^T + b, w as in torch.nn.Linear. row: scratch [cols]. */
static void linear(const double *in, uint32_t n, const struct sl_bert_matrix *w, const float *b,
                   uint32_t rows, float *row, double *out) {
    uint32_t cols = w->columns;
    for (uint32_t r = 0; r < rows; r++) {
        sl_bert_row(w, r, row);
        for (uint32_t t = 0; t < n; t++) {
            double sum = 0;
            for (uint32_t c = 0; c < cols; c++) {
                sum += in[(size_t)t * cols + c] * (double)row[c];
            }
            out[(size_t)t * rows + r] = sum + (double)b[r];
        }
    }
}

static void layer_norm(double *x, uint32_t n, uint32_t width, const float *w, const float *b,
                       double eps) {
    for (uint32_t t = 0; t < n; t++) {
        double *row = x + (size_t)t * width;
        double mean = 0, variance = 0;
        for (uint32_t i = 0; i < width; i++) {
            mean += row[i] / width;
        }
        for (uint32_t i = 0; i < width; i++) {
            variance += (row[i] - mean) * (row[i] - mean) / width;
        }
        double scale = 1 / sqrt(variance + eps);
        for (uint32_t i = 0; i < width; i++) {
            row[i] = (row[i] - mean) * scale * (double)w[i] + (double)b[i];
        }
    }
}

/* One head of one query. weights: scratch [n]. */
static void attend(const double *q, const double *k, const double *v, uint32_t n, uint32_t width,
                   uint32_t head, double *weights, double *out) {
    double top = -INFINITY, total = 0;
    for (uint32_t j = 0; j < n; j++) {
        double dot = 0;
        for (uint32_t d = 0; d < head; d++) {
            dot += q[d] * k[(size_t)j * width + d];
        }
        weights[j] = dot / sqrt(head);
        top = fmax(top, weights[j]);
    }
    for (uint32_t j = 0; j < n; j++) {
        weights[j] = exp(weights[j] - top);
        total += weights[j];
    }
    for (uint32_t d = 0; d < head; d++) {
        double sum = 0;
        for (uint32_t j = 0; j < n; j++) {
            sum += weights[j] * v[(size_t)j * width + d];
        }
        out[d] = sum / total;
    }
}

struct scratch {
    double *q, *k, *v, *mixed, *wide, *weights;
    float *row; /* of a matrix: the wider of n_embd and n_ff, three times */
};

static void run_layer(const struct sl_bert_config *c, const struct sl_bert_layer *layer, uint32_t n,
                      const struct scratch *s, double *x) {
    uint32_t width = c->n_embd, head = width / c->n_head;
    linear(x, n, &layer->q_w, layer->q_b, width, s->row, s->q);
    linear(x, n, &layer->k_w, layer->k_b, width, s->row, s->k);
    linear(x, n, &layer->v_w, layer->v_b, width, s->row, s->v);
    for (uint32_t t = 0; t < n; t++) {
        for (uint32_t h = 0; h < width; h += head) {
            attend(s->q + (size_t)t * width + h, s->k + h, s->v + h, n, width, head, s->weights,
                   s->mixed + (size_t)t * width + h);
        }
    }
    linear(s->mixed, n, &layer->out_w, layer->out_b, width, s->row, s->q);
    for (size_t i = 0; i < (size_t)n * width; i++) {
        x[i] += s->q[i];
    }
    layer_norm(x, n, width, layer->attn_norm_w, layer->attn_norm_b, (double)c->norm_eps);
    linear(x, n, &layer->up_w, layer->up_b, c->n_ff, s->row, s->wide);
    for (size_t i = 0; i < (size_t)n * c->n_ff; i++) {
        s->wide[i] *= 0.5 * (1 + erf(s->wide[i] / sqrt(2)));
    }
    linear(s->wide, n, &layer->down_w, layer->down_b, width, s->row, s->q);
    for (size_t i = 0; i < (size_t)n * width; i++) {
        x[i] += s->q[i];
    }
    layer_norm(x, n, width, layer->out_norm_w, layer->out_norm_b, (double)c->norm_eps);
}

static int pool(const struct sl_bert_config *c, const double *x, uint32_t n, double *sums,
                float *ret_vector, struct sl_error *err) {
    uint32_t rows = c->pooling == SL_BERT_POOL_CLS ? 1 : n;
    double squares = 0;
    for (uint32_t i = 0; i < c->n_embd; i++) {
        sums[i] = 0;
        for (uint32_t t = 0; t < rows; t++) {
            sums[i] += x[(size_t)t * c->n_embd + i];
        }
        squares += sums[i] * sums[i];
    }
    if (!isfinite(squares) || squares <= 0) {
        return sl_fail(err, SL_INVALID, "the model gives no finite vector: its weights are broken");
    }
    for (uint32_t i = 0; i < c->n_embd; i++) {
        ret_vector[i] = (float)(sums[i] / sqrt(squares));
    }
    return SL_OK;
}

/* token + position + type, one row a token. */
static int embed(const struct sl_bert_model *model, const int32_t *ids, uint32_t n, float *rows,
                 double *x, struct sl_error *err) {
    uint32_t width = model->config.n_embd;
    float *token = rows, *position = rows + width, *type = rows + 2 * (size_t)width;
    sl_bert_row(&model->type_embd, 0, type);
    for (uint32_t t = 0; t < n; t++) {
        if (ids[t] < 0 || (uint32_t)ids[t] >= model->config.n_vocab) {
            return sl_fail(err, SL_INVALID, "token id %d is outside the vocabulary of %u", ids[t],
                           model->config.n_vocab);
        }
        sl_bert_row(&model->token_embd, (uint32_t)ids[t], token);
        sl_bert_row(&model->pos_embd, t, position);
        for (uint32_t i = 0; i < width; i++) {
            x[(size_t)t * width + i] = (double)token[i] + (double)position[i] + (double)type[i];
        }
    }
    return SL_OK;
}

int sl_infer_reference(const struct sl_bert_model *model, const int32_t *ids, uint32_t n,
                       float *ret_vector, struct sl_error *err) {
    const struct sl_bert_config *c = &model->config;
    uint32_t width = c->n_embd;
    if (n == 0 || n > c->n_ctx) {
        return sl_fail(err, SL_INVALID, "%u tokens do not fit the model's context of %u", n,
                       c->n_ctx);
    }
    size_t plane = (size_t)n * width;
    size_t widest = width > c->n_ff ? width : c->n_ff;
    SL_AUTO_FREE double *all = calloc(plane * 5 + (size_t)n * c->n_ff + n, sizeof *all);
    SL_AUTO_FREE float *rows = calloc(3 * widest, sizeof *rows);
    if (!all || !rows) {
        return sl_fail(err, SL_NOMEM, "reference pass");
    }
    double *x = all;
    struct scratch s = {all + plane,
                        all + plane * 2,
                        all + plane * 3,
                        all + plane * 4,
                        all + plane * 5,
                        all + plane * 5 + (size_t)n * c->n_ff,
                        rows};
    int rc = embed(model, ids, n, rows, x, err);
    if (rc < 0) {
        return rc;
    }
    layer_norm(x, n, width, model->embd_norm_w, model->embd_norm_b, (double)c->norm_eps);
    for (uint32_t l = 0; l < c->n_layer; l++) {
        run_layer(c, &model->layers[l], n, &s, x);
    }
    return pool(c, x, n, s.q, ret_vector, err);
}

double sl_infer_cosine_gap(const float *a, const float *b, uint32_t n) {
    double ab = 0, aa = 0, bb = 0;
    for (uint32_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    if (!(aa > 0) || !(bb > 0)) {
        return 2;
    }
    return 1 - ab / sqrt(aa * bb);
}
