/* SPDX-License-Identifier: Apache-2.0
 * Hyper-parameters and weights of a `bert` encoder in a GGUF file, checked and laid out for an
 * engine.
 *
 * Supported: architecture `bert` with learned positions, post-layer-norm, erf GELU, matrices in
 * F32, F16 or Q8_0 (each for itself), biases and norms in F32, pooling mean or CLS. Everything else
 * is refused by name: a silently wrong model is worse than a refused one. Unknown tensors are
 * refused too.
 *
 * Shapes are row-major, outermost first: w[out][in] is used as y = x w^T + b, as in HuggingFace's
 * torch.nn.Linear. (GGUF prints the same shape innermost first.)
 *
 * Ownership: the model borrows the file, whose mapping holds the weights: keep it open. Weights are
 * aligned to at least 8 bytes and constant. Thread: constant after load. */
#ifndef SLUICE_AGENT_MODELS_BERT_CONFIG_H
#define SLUICE_AGENT_MODELS_BERT_CONFIG_H

#include <stdint.h>

#include "agent/models/gguf.h"
#include "proto/base/cleanup.h"
#include "proto/base/error.h"

#define SL_BERT_MAX_LAYERS 128
#define SL_BERT_MAX_EMBD 4096 /* SL_MSG_VECTOR_MAX: more is no result */
#define SL_BERT_MAX_FF 65536
#define SL_BERT_MAX_CTX 32768
#define SL_BERT_MAX_TYPES 16

/* Numbers of GGUF's bert.pooling_type; none (0), last (3) and rank (4) are refused by name. */
enum sl_bert_pooling {
    SL_BERT_POOL_MEAN = 1, /* mean over all tokens of the line, [CLS] and [SEP] included */
    SL_BERT_POOL_CLS = 2,  /* the first token's vector */
};

struct sl_bert_config {
    uint32_t n_layer;
    uint32_t n_embd; /* width of the hidden state and of the result */
    uint32_t n_head; /* divides n_embd; attention scale is 1 / sqrt(n_embd / n_head) */
    uint32_t n_ff;
    uint32_t n_vocab;
    uint32_t n_ctx;   /* most tokens of one line, [CLS] and [SEP] included */
    uint32_t n_types; /* rows of type_embd; row 0 is used */
    float norm_eps;   /* added to the variance in every layer norm */
    enum sl_bert_pooling pooling;
};

/* Rows of `columns` values each. */
struct sl_bert_matrix {
    const void *data;
    enum sl_ggml_type type; /* F32, F16 or Q8_0: sl_ggml_row_floats reads a row */
    uint32_t columns;
    size_t row_bytes;
};

struct sl_bert_layer {
    struct sl_bert_matrix q_w, k_w, v_w; /* [n_embd][n_embd] */
    const float *q_b, *k_b, *v_b;        /* [n_embd] */
    struct sl_bert_matrix out_w;         /* [n_embd][n_embd] */
    const float *out_b;                  /* [n_embd] */
    const float *attn_norm_w;            /* [n_embd], after attention and its residual */
    const float *attn_norm_b;            /* [n_embd] */
    struct sl_bert_matrix up_w;          /* [n_ff][n_embd]; GELU (erf) follows */
    const float *up_b;                   /* [n_ff] */
    struct sl_bert_matrix down_w;        /* [n_embd][n_ff] */
    const float *down_b;                 /* [n_embd] */
    const float *out_norm_w;             /* [n_embd], after the feed-forward and its residual */
    const float *out_norm_b;             /* [n_embd] */
};

struct sl_bert_model {
    struct sl_bert_config config;
    struct sl_bert_matrix token_embd;   /* [n_vocab][n_embd] */
    struct sl_bert_matrix pos_embd;     /* [>= n_ctx][n_embd] */
    struct sl_bert_matrix type_embd;    /* [n_types][n_embd] */
    const float *embd_norm_w;           /* [n_embd], after the sum of the three */
    const float *embd_norm_b;           /* [n_embd] */
    const struct sl_bert_layer *layers; /* [n_layer] */
};

/* Values of one row. */
void sl_bert_row(const struct sl_bert_matrix *matrix, uint32_t row, float *ret_values);

/* -SL_UNSUPPORTED, -SL_NOTFOUND (a key or tensor is absent), -SL_CORRUPT (a shape does not fit, a
 * weight is no finite number), -SL_LIMIT, -SL_NOMEM; the text names key or tensor. */
int sl_bert_model_load(const struct sl_gguf *file, struct sl_bert_model **ret_model,
                       struct sl_error *err);
/* Forgets the weights, so that the file may be closed: only config stays. */
void sl_bert_model_drop_weights(struct sl_bert_model *model);
void sl_bert_model_free(struct sl_bert_model *model);
SL_DEFINE_AUTO(sl_bert_model, sl_bert_model_free)

#endif
