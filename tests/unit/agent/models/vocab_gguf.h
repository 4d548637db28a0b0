/* SPDX-License-Identifier: Apache-2.0
 * A GGUF file that holds only the vocabulary of a vocab.txt, for tokenizer tests without weights.
 */
#ifndef SLUICE_TESTS_UNIT_AGENT_MODELS_VOCAB_GGUF_H
#define SLUICE_TESTS_UNIT_AGENT_MODELS_VOCAB_GGUF_H

#include "proto/base/error.h"
#include "proto/base/text.h"

/* The bracketed [PAD], [UNK], [CLS], [SEP] and [MASK] become special pieces. Free with sl_buf_fini.
 */
int sl_test_vocab_gguf(const char *path, struct sl_buf *ret_bytes, struct sl_error *err);

#endif
