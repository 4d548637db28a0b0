/* SPDX-License-Identifier: Apache-2.0
 * Makes small bert models with random weights, for tests of kernels, engine and readers. The same
 * shape and seed give the same bytes. Vocabulary: ids 0..4 are [PAD] [UNK] [CLS] [SEP] [MASK], then
 * the letters a..z as word beginnings, a..z as continuations, the digits, some words, then
 * [unusedN]. */
#ifndef SLUICE_TESTS_UNIT_AGENT_MODELS_TINY_BERT_H
#define SLUICE_TESTS_UNIT_AGENT_MODELS_TINY_BERT_H

#include <stdint.h>

#include "agent/models/bert_config.h"
#include "proto/base/text.h"

#define SL_TINY_BERT_MIN_VOCAB 80

struct sl_tiny_bert {
    uint32_t n_layer, n_embd, n_head, n_ff;
    uint32_t n_vocab; /* >= SL_TINY_BERT_MIN_VOCAB */
    uint32_t n_ctx;
    enum sl_bert_pooling pooling;
    uint64_t seed;
};

/* 2 layers, 64 wide, 4 heads, 128 in the middle, 96 pieces, 64 tokens, mean. */
struct sl_tiny_bert sl_tiny_bert_default(void);
/* The GGUF file's bytes; free with sl_buf_fini. Negative status on failure. */
int sl_tiny_bert_bytes(const struct sl_tiny_bert *shape, struct sl_buf *ret_bytes,
                       struct sl_error *err);
/* The same weights with matrices in F16 or Q8_0. */
int sl_tiny_bert_bytes_as(const struct sl_tiny_bert *shape, enum sl_ggml_type type,
                          struct sl_buf *ret_bytes, struct sl_error *err);
int sl_tiny_bert_save(const struct sl_tiny_bert *shape, const char *path, struct sl_error *err);

#endif
