/* SPDX-License-Identifier: Apache-2.0
 * Loads a WordPiece vocabulary from a GGUF file's tokenizer.ggml.* keys. */
#include "agent/models/wordpiece_vocab.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/models/wordpiece.h"
#include "proto/base/text.h"

/* GGUF spells a word's first piece with U+2581 before it, as SentencePiece does. */
#define WORD_MARK "\xe2\x96\x81"
#define WORD_MARK_BYTES 3

/* A half-full table of honest pieces stays far below this. */
#define MAX_PROBES 512

#define TYPE_CONTROL 3 /* of tokenizer.ggml.token_type */

static const struct wordpiece_slot *find_slot(const struct wordpiece_vocab *vocab, const char *text,
                                              size_t len, bool inner, uint64_t hash) {
    /* High bits decide as well: FNV's low bits alone spread short texts badly. */
    for (size_t i = (size_t)(hash ^ hash >> 32);; i++) {
        const struct wordpiece_slot *slot = &vocab->slots[i & vocab->mask];
        if (slot->len == 0 || (slot->hash == hash && slot->len == len && slot->inner == inner &&
                               memcmp(vocab->text + slot->start, text, len) == 0)) {
            return slot;
        }
    }
}

bool wordpiece_vocab_find(const struct wordpiece_vocab *vocab, const char *text, size_t len,
                          bool inner, uint64_t hash, int32_t *ret_id) {
    const struct wordpiece_slot *slot = find_slot(vocab, text, len, inner, hash);
    if (slot->len == 0) {
        return false;
    }
    *ret_id = slot->id;
    return true;
}

static int insert(struct wordpiece_vocab *vocab, uint32_t start, size_t len, bool inner,
                  uint32_t id, struct sl_error *err) {
    const char *text = vocab->text + start;
    uint64_t hash = wordpiece_hash_start(inner);
    for (size_t i = 0; i < len; i++) {
        hash = wordpiece_hash_step(hash, (unsigned char)text[i]);
    }
    const struct wordpiece_slot *found = find_slot(vocab, text, len, inner, hash);
    if (found->len) {
        return sl_fail(err, SL_CORRUPT,
                       "pieces %" PRId32 " and %" PRIu32 " of the vocabulary are the same",
                       found->id, id);
    }
    size_t at = (size_t)(found - vocab->slots);
    if (((at - (size_t)(hash ^ hash >> 32)) & vocab->mask) > MAX_PROBES) {
        return sl_fail(err, SL_LIMIT, "the vocabulary's pieces are made to collide");
    }
    struct wordpiece_slot *slot = &vocab->slots[at];
    *slot = (struct wordpiece_slot){hash, start, (uint16_t)len, inner, (int32_t)id};
    vocab->longest = len > vocab->longest ? len : vocab->longest;
    return SL_OK;
}

static int add_special(struct wordpiece_vocab *vocab, uint32_t start, size_t len, uint32_t id,
                       struct sl_error *err) {
    if (vocab->n_specials == WORDPIECE_MAX_SPECIALS) {
        return sl_fail(err, SL_LIMIT, "the vocabulary has more than %d special pieces",
                       WORDPIECE_MAX_SPECIALS);
    }
    vocab->specials[vocab->n_specials++] =
        (struct wordpiece_special){start, (uint32_t)len, (int32_t)id};
    vocab->special_first[(unsigned char)vocab->text[start]] = true;
    return SL_OK;
}

static int add_piece(struct wordpiece_vocab *vocab, uint32_t start, size_t len, bool special,
                     uint32_t id, struct sl_error *err) {
    if (special) {
        int rc = add_special(vocab, start, len, id, err);
        return rc ? rc : insert(vocab, start, len, false, id, err);
    }
    if (len > WORD_MARK_BYTES && memcmp(vocab->text + start, WORD_MARK, WORD_MARK_BYTES) == 0) {
        return insert(vocab, start + WORD_MARK_BYTES, len - WORD_MARK_BYTES, false, id, err);
    }
    return insert(vocab, start, len, true, id, err);
}

/* Newer files of llama.cpp say what the normaliser does; ours does both. */
static int check_normalizer(const struct sl_gguf *file, struct sl_error *err) {
    static const char *const keys[] = {"tokenizer.ggml.normalizer.lowercase",
                                       "tokenizer.ggml.normalizer.strip_accents"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bool on = true;
        int rc = sl_gguf_has(file, keys[i]) ? sl_gguf_get_bool(file, keys[i], &on, err) : SL_OK;
        if (rc) {
            return rc;
        }
        if (!on) {
            return sl_fail(err, SL_UNSUPPORTED,
                           "%s is false: only uncased vocabularies without accents are supported",
                           keys[i]);
        }
    }
    return SL_OK;
}

static int check_model(const struct sl_gguf *file, struct sl_error *err) {
    /* All of these are uncased BERT with the same normaliser and splitter. */
    static const char *const pres[] = {"default", "bert-bge", "jina-v2-en"};
    struct sl_gguf_text text;
    int rc = sl_gguf_get_text(file, "tokenizer.ggml.model", &text, err);
    if (rc) {
        return rc;
    }
    if (!sl_gguf_text_is(text, "bert")) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "tokenizer.ggml.model is '%.*s'; for bert models it must be 'bert'",
                       (int)(text.len < 40 ? text.len : 40), text.bytes);
    }
    if (!sl_gguf_has(file, "tokenizer.ggml.pre")) {
        return SL_OK;
    }
    rc = sl_gguf_get_text(file, "tokenizer.ggml.pre", &text, err);
    for (size_t i = 0; i < sizeof pres / sizeof pres[0] && rc == SL_OK; i++) {
        if (sl_gguf_text_is(text, pres[i])) {
            return SL_OK;
        }
    }
    return rc ? rc
              : sl_fail(err, SL_UNSUPPORTED, "tokenizer.ggml.pre '%.*s' is not supported",
                        (int)(text.len < 40 ? text.len : 40), text.bytes);
}

/* Reads the first of the keys that is present; names is NULL-terminated. */
static int read_id(const struct sl_gguf *file, const char *const *names, uint32_t count,
                   int32_t *ret_id, struct sl_error *err) {
    for (size_t i = 0; names[i]; i++) {
        uint32_t id = 0;
        if (!sl_gguf_has(file, names[i])) {
            continue;
        }
        int rc = sl_gguf_get_u32(file, names[i], &id, err);
        if (rc) {
            return rc;
        }
        if (id >= count) {
            return sl_fail(err, SL_CORRUPT, "%s is %" PRIu32 "; the vocabulary ends at %" PRIu32,
                           names[i], id, count - 1);
        }
        *ret_id = (int32_t)id;
        return SL_OK;
    }
    return sl_fail(err, SL_NOTFOUND, "the file has no key %s", names[0]);
}

/* The misspelt key is what files carry; the format's document spells it right. Newer files have
 * only bos and eos. */
static int read_ids(const struct sl_gguf *file, struct wordpiece_vocab *vocab,
                    struct sl_error *err) {
    static const char *const cls[] = {"tokenizer.ggml.cls_token_id", "tokenizer.ggml.bos_token_id",
                                      NULL};
    static const char *const sep[] = {"tokenizer.ggml.seperator_token_id",
                                      "tokenizer.ggml.separator_token_id",
                                      "tokenizer.ggml.eos_token_id", NULL};
    static const char *const unk[] = {"tokenizer.ggml.unknown_token_id", NULL};
    int rc = read_id(file, cls, vocab->count, &vocab->cls, err);
    if (rc == SL_OK) {
        rc = read_id(file, sep, vocab->count, &vocab->sep, err);
    }
    return rc == SL_OK ? read_id(file, unk, vocab->count, &vocab->unk, err) : rc;
}

static int allocate(struct wordpiece_vocab *vocab, const struct sl_gguf_array *pieces,
                    struct sl_error *err) {
    size_t slots = 16;
    if (pieces->count == 0 || pieces->bytes > UINT32_MAX) {
        return sl_fail(err, SL_CORRUPT, "the vocabulary has no pieces or is too large");
    }
    while (slots < 2 * pieces->count) {
        slots *= 2;
    }
    vocab->count = (uint32_t)pieces->count;
    vocab->mask = slots - 1;
    vocab->text = malloc((size_t)pieces->bytes);
    vocab->slots = calloc(slots, sizeof *vocab->slots);
    vocab->specials = calloc(WORDPIECE_MAX_SPECIALS, sizeof *vocab->specials);
    if (!vocab->text || !vocab->slots || !vocab->specials) {
        return sl_fail(err, SL_NOMEM, "a vocabulary of %" PRIu32 " pieces", vocab->count);
    }
    return SL_OK;
}

/* A file without types marks its special pieces by lacking the word mark; then the ids that the
 * keys name are all that is known to be special. */
static bool is_special(const struct wordpiece_vocab *vocab, const struct sl_gguf_array *types,
                       uint32_t id) {
    if (types->count) {
        return sl_gguf_array_i32(types, id) == TYPE_CONTROL;
    }
    return (int32_t)id == vocab->cls || (int32_t)id == vocab->sep || (int32_t)id == vocab->unk;
}

static int add_pieces(struct wordpiece_vocab *vocab, const struct sl_gguf_array *pieces,
                      const struct sl_gguf_array *types, struct sl_error *err) {
    struct sl_gguf_text piece;
    uint64_t offset = 0;
    uint32_t start = 0;
    for (uint32_t id = 0; sl_gguf_array_next_text(pieces, &offset, &piece); id++) {
        if (piece.len > WORDPIECE_MAX_PIECE_BYTES || !sl_utf8_valid(piece.bytes, piece.len)) {
            return sl_fail(err, SL_CORRUPT,
                           "piece %" PRIu32 " of the vocabulary is not UTF-8 of at most %d bytes",
                           id, WORDPIECE_MAX_PIECE_BYTES);
        }
        if (piece.len == 0) { /* "##" alone: no word can ever hold it */
            continue;
        }
        memcpy(vocab->text + start, piece.bytes, piece.len);
        int rc = add_piece(vocab, start, piece.len, is_special(vocab, types, id), id, err);
        if (rc) {
            return rc;
        }
        start += (uint32_t)piece.len;
    }
    return SL_OK;
}

int wordpiece_vocab_load(const struct sl_gguf *file, struct wordpiece_vocab *vocab,
                         struct sl_error *err) {
    struct sl_gguf_array pieces = {0};
    struct sl_gguf_array types = {0};
    int rc = check_model(file, err);
    rc = rc ? rc : check_normalizer(file, err);
    if (rc == SL_OK) {
        rc = sl_gguf_get_array(file, "tokenizer.ggml.tokens", SL_GGUF_TEXT, &pieces, err);
    }
    if (rc == SL_OK && sl_gguf_has(file, "tokenizer.ggml.token_type")) {
        rc = sl_gguf_get_array(file, "tokenizer.ggml.token_type", SL_GGUF_INT32, &types, err);
        if (rc == SL_OK && types.count != pieces.count) {
            rc = sl_fail(err, SL_CORRUPT,
                         "tokenizer.ggml.token_type has %" PRIu64 " items for %" PRIu64 " pieces",
                         types.count, pieces.count);
        }
    }
    if (rc == SL_OK) {
        rc = allocate(vocab, &pieces, err);
    }
    if (rc == SL_OK) {
        rc = read_ids(file, vocab, err);
    }
    return rc == SL_OK ? add_pieces(vocab, &pieces, &types, err) : rc;
}

void wordpiece_vocab_fini(struct wordpiece_vocab *vocab) {
    free(vocab->text);
    free(vocab->slots);
    free(vocab->specials);
    *vocab = (struct wordpiece_vocab){0};
}

int sl_wordpiece_create(const struct sl_gguf *file, struct sl_wordpiece **ret_wp,
                        struct sl_error *err) {
    SL_AUTO(sl_wordpiece) wp = calloc(1, sizeof *wp);
    if (!wp) {
        return sl_fail(err, SL_NOMEM, "a tokenizer");
    }
    int rc = wordpiece_vocab_load(file, &wp->vocab, err);
    if (rc == SL_OK) {
        *ret_wp = sl_take(&wp);
    }
    return rc;
}

void sl_wordpiece_destroy(struct sl_wordpiece *wp) {
    if (wp) {
        wordpiece_vocab_fini(&wp->vocab);
        free(wp);
    }
}

uint32_t sl_wordpiece_vocab_size(const struct sl_wordpiece *wp) {
    return wp->vocab.count;
}
