/* SPDX-License-Identifier: Apache-2.0
 * The text normaliser and the word boundaries of uncased BERT tokenizers, as HuggingFace's
 * BertNormalizer (clean_text, handle_chinese_chars, strip_accents, lowercase) and BertPreTokenizer
 * have them: clean, spaces around CJK, NFD, drop accents, lower-case by code point.
 *
 * HuggingFace's tables are of several Unicode versions, and a model was trained with what they say;
 * so where utf8proc's newer data differ, exceptions.c has the difference. Thread: any. */
#ifndef SLUICE_AGENT_MODELS_NORMALIZER_H
#define SLUICE_AGENT_MODELS_NORMALIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"

/* Code points that grow. Zero-initialise, free with sl_codepoints_fini. */
struct sl_codepoints {
    uint32_t *data;
    size_t len;
    size_t cap;
};

void sl_codepoints_fini(struct sl_codepoints *points);
#define SL_AUTO_CODEPOINTS __attribute__((cleanup(sl_codepoints_fini))) struct sl_codepoints

/* Replaces *points by the normalised form of n bytes of well-formed UTF-8. -SL_NOMEM. The work is
 * linear in n but for runs of combining marks, which are sorted in n log n. */
int sl_normalize_bert(const char *text, size_t n, struct sl_codepoints *points,
                      struct sl_error *err);

/* Of normalised text: ends a word. */
bool sl_bert_is_space(uint32_t codepoint);
/* Is a word by itself. */
bool sl_bert_is_punctuation(uint32_t codepoint);

/* One well-formed code point; n > 0. Returns its bytes (1 to 4). */
size_t sl_utf8_decode(const char *text, size_t n, uint32_t *ret_codepoint);
/* Returns the bytes written (1 to 4). */
size_t sl_utf8_encode(uint32_t codepoint, char *out);

#endif
