/* SPDX-License-Identifier: Apache-2.0
 * WordPiece tokenizer of uncased BERT models, id for id what HuggingFace's BertTokenizer gives
 * (that is what the models were trained with; llama.cpp's differs in corners).
 *
 * Steps: literal special pieces ([SEP], [MASK], ...) are cut out of the raw text; the rest is
 * normalised (normalizer.h), split at white space and punctuation, and each word is cut greedily
 * into the longest pieces; a word of more than 100 code points, or one with a part that no piece
 * matches, is one [UNK]. [CLS] goes before, [SEP] behind.
 *
 * The vocabulary comes from a GGUF file's tokenizer.ggml.* keys and is copied: the file may be
 * closed. Thread: constant after create, any number of threads may encode with one object. */
#ifndef SLUICE_AGENT_MODELS_WORDPIECE_H
#define SLUICE_AGENT_MODELS_WORDPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/models/gguf.h"
#include "proto/base/cleanup.h"
#include "proto/base/error.h"

#define SL_WORDPIECE_MAX_WORD 100 /* code points */
/* Longest text that is looked at; far above what fills any model's context. */
#define SL_WORDPIECE_MAX_TEXT_BYTES (8u << 20)

struct sl_wordpiece;

/* -SL_UNSUPPORTED (another tokenizer model or pre-tokenizer), -SL_CORRUPT (pieces that repeat, ids
 * out of range), -SL_NOTFOUND (a needed key is absent), -SL_NOMEM. */
int sl_wordpiece_create(const struct sl_gguf *file, struct sl_wordpiece **ret_wp,
                        struct sl_error *err);
void sl_wordpiece_destroy(struct sl_wordpiece *wp);
SL_DEFINE_AUTO(sl_wordpiece, sl_wordpiece_destroy)

uint32_t sl_wordpiece_vocab_size(const struct sl_wordpiece *wp);

struct sl_wordpiece_limit {
    uint32_t max_tokens; /* >= 2: [CLS] and [SEP] count */
    bool truncate;       /* keep the first max_tokens - 2 pieces instead of failing */
};

/* Encodes n_bytes of UTF-8 (NUL is a legal character) into ret_ids[0..*ret_count). ret_ids has room
 * for limit.max_tokens ids; its content is undefined after a failure, *ret_count is untouched.
 * -SL_LIMIT when the text has more tokens than the limit and truncate is off (the text of err says
 * how many), or more than SL_WORDPIECE_MAX_TEXT_BYTES; -SL_INVALID when it is not UTF-8;
 * -SL_NOMEM. The error text never quotes the input. */
int sl_wordpiece_encode(const struct sl_wordpiece *wp, const char *text, size_t n_bytes,
                        struct sl_wordpiece_limit limit, int32_t *ret_ids, uint32_t *ret_count,
                        struct sl_error *err);

/* Takes n > 0 ids that somebody else's tokenizer made: [CLS] goes before them and [SEP] behind,
 * each unless it stands there already, so that ids with and without special pieces give what the
 * text itself gives. Limit, room and -SL_LIMIT as in encode, but *ret_count is then the length that
 * was too long. -SL_INVALID for an id that is none of the vocabulary's. */
int sl_wordpiece_wrap(const struct sl_wordpiece *wp, const uint32_t *ids, uint32_t n,
                      struct sl_wordpiece_limit limit, int32_t *ret_ids, uint32_t *ret_count,
                      struct sl_error *err);

#endif
