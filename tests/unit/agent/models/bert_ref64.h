/* SPDX-License-Identifier: Apache-2.0
 * A float64 reference of the bert forward pass, written for clarity and independent of the engine,
 * and its single steps for tests of kernels. Row-major; all buffers are the caller's. Thread: any.
 */
#ifndef SLUICE_TESTS_UNIT_AGENT_MODELS_BERT_REF64_H
#define SLUICE_TESTS_UNIT_AGENT_MODELS_BERT_REF64_H

#include <stdint.h>

#include "agent/models/bert_config.h"

/* One row of a matrix by the definition of its type, with no code of the product. */
void sl_ref64_row(const struct sl_bert_matrix *w, uint32_t row, double *out);
/* y[rows][n_out] = x[rows][n_in] w^T + b, with w[n_out][n_in]; b may be NULL. */
void sl_ref64_linear(const double *x, const struct sl_bert_matrix *w, const float *b, uint32_t rows,
                     uint32_t n_out, double *y);
/* Token, position and type of one token, before the norm. */
void sl_ref64_embedding(const struct sl_bert_model *model, int32_t id, uint32_t position,
                        double *out);
/* x[rows][n] in place; the variance is that of all n values, divided by n. */
void sl_ref64_layer_norm(double *x, const float *w, const float *b, uint32_t rows, uint32_t n,
                         double eps);
/* x / 2 * (1 + erf(x / sqrt 2)) in place. */
void sl_ref64_gelu(double *x, uint64_t n);
/* Self-attention of one line without mask: q, k, v, out are [rows][n_head * d]. */
void sl_ref64_attention(const double *q, const double *k, const double *v, uint32_t rows,
                        uint32_t n_head, uint32_t d, double *out);
/* hidden[rows][n] -> out[n], by mean or the first row, then divided by its length. */
void sl_ref64_pool(const double *hidden, uint32_t rows, uint32_t n, enum sl_bert_pooling pooling,
                   double *out);

/* The whole pass: ids[n] (with [CLS] and [SEP]) -> out[n_embd], a unit vector. 1 <= n <= n_ctx, ids
 * below n_vocab. Returns 0, or -1 without memory or on bad ids. */
int sl_ref64_embed(const struct sl_bert_model *model, const int32_t *ids, uint32_t n, double *out);

#endif
