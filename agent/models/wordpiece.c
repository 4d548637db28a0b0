/* SPDX-License-Identifier: Apache-2.0
 * WordPiece encoding: cut out special pieces, normalise, split into words, match greedily. */
#include "agent/models/wordpiece.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/models/normalizer.h"
#include "agent/models/wordpiece_vocab.h"
#include "proto/base/text.h"

/* State of one encode call. */
struct output {
    const struct sl_wordpiece *wp;
    struct sl_wordpiece_limit limit;
    int32_t *ids;
    uint64_t count; /* may run beyond the limit, to tell how many there were */
};

static void put_id(struct output *out, int32_t id) {
    /* The last place is [SEP]'s. */
    if (out->count + 1 < out->limit.max_tokens) {
        out->ids[out->count] = id;
    }
    out->count++;
}

static bool is_full(const struct output *out) {
    return out->limit.truncate && out->count + 1 >= out->limit.max_tokens;
}

/* One word in UTF-8: ends[i] is the byte behind its code point i. */
struct word {
    char bytes[4 * SL_WORDPIECE_MAX_WORD];
    size_t ends[SL_WORDPIECE_MAX_WORD];
    size_t n;
};

/* Longest piece that begins at code point `first`; its end (in code points) or 0. */
static size_t match(const struct wordpiece_vocab *vocab, const struct word *word, size_t first,
                    int32_t *ret_id) {
    size_t start = first ? word->ends[first - 1] : 0;
    uint64_t hashes[SL_WORDPIECE_MAX_WORD];
    uint64_t hash = wordpiece_hash_start(first > 0);
    size_t at = start;
    size_t last = first;
    while (last < word->n && word->ends[last] - start <= vocab->longest) {
        for (; at < word->ends[last]; at++) {
            hash = wordpiece_hash_step(hash, (unsigned char)word->bytes[at]);
        }
        hashes[last++] = hash;
    }
    for (; last > first; last--) {
        size_t bytes = word->ends[last - 1] - start;
        if (wordpiece_vocab_find(vocab, word->bytes + start, bytes, first > 0, hashes[last - 1],
                                 ret_id)) {
            return last;
        }
    }
    return 0;
}

static void encode_word(struct output *out, const uint32_t *points, size_t n) {
    const struct wordpiece_vocab *vocab = &out->wp->vocab;
    int32_t ids[SL_WORDPIECE_MAX_WORD];
    size_t n_ids = 0;
    struct word word;
    if (n > SL_WORDPIECE_MAX_WORD) {
        put_id(out, vocab->unk);
        return;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += sl_utf8_encode(points[i], word.bytes + bytes);
        word.ends[i] = bytes;
    }
    word.n = n;
    for (size_t at = 0; at < n;) {
        at = match(vocab, &word, at, &ids[n_ids]);
        if (at == 0) { /* one part without a piece makes the whole word unknown */
            put_id(out, vocab->unk);
            return;
        }
        n_ids++;
    }
    for (size_t i = 0; i < n_ids; i++) {
        put_id(out, ids[i]);
    }
}

static void encode_points(struct output *out, const struct sl_codepoints *points) {
    size_t start = 0;
    for (size_t i = 0; i <= points->len && !is_full(out); i++) {
        bool end = i == points->len || sl_bert_is_space(points->data[i]);
        bool punctuation = !end && sl_bert_is_punctuation(points->data[i]);
        if (!end && !punctuation) {
            continue;
        }
        if (i > start) {
            encode_word(out, points->data + start, i - start);
        }
        if (punctuation) {
            encode_word(out, points->data + i, 1);
        }
        start = i + 1;
    }
}

/* Longest special piece that stands at `text`; NULL when none does. */
static const struct wordpiece_special *special_at(const struct wordpiece_vocab *vocab,
                                                  const char *text, size_t n) {
    const struct wordpiece_special *best = NULL;
    for (size_t i = 0; i < vocab->n_specials; i++) {
        const struct wordpiece_special *special = &vocab->specials[i];
        if (special->len <= n && memcmp(text, vocab->text + special->start, special->len) == 0 &&
            (!best || special->len > best->len)) {
            best = special;
        }
    }
    return best;
}

/* Special pieces are matched in the raw text, first come, longest first; each stretch between them
 * is normalised by itself. */
static int encode_text(struct output *out, const char *text, size_t n, struct sl_error *err) {
    const struct wordpiece_vocab *vocab = &out->wp->vocab;
    SL_AUTO_CODEPOINTS points = {0};
    size_t start = 0;
    for (size_t at = 0; at <= n && !is_full(out);) {
        const struct wordpiece_special *special = NULL;
        if (at < n) {
            special = vocab->special_first[(unsigned char)text[at]]
                          ? special_at(vocab, text + at, n - at)
                          : NULL;
            if (!special) {
                at++;
                continue;
            }
        }
        if (at > start) {
            int rc = sl_normalize_bert(text + start, at - start, &points, err);
            if (rc) {
                return rc;
            }
            encode_points(out, &points);
        }
        if (!special) {
            break;
        }
        if (!is_full(out)) {
            put_id(out, special->id);
        }
        at += special->len;
        start = at;
    }
    return SL_OK;
}

int sl_wordpiece_encode(const struct sl_wordpiece *wp, const char *text, size_t n_bytes,
                        struct sl_wordpiece_limit limit, int32_t *ret_ids, uint32_t *ret_count,
                        struct sl_error *err) {
    struct output out = {.wp = wp, .limit = limit, .ids = ret_ids};
    if (limit.max_tokens < 2) {
        return sl_fail(err, SL_INVALID, "a limit of %" PRIu32 " tokens; 2 are always needed",
                       limit.max_tokens);
    }
    if (n_bytes > SL_WORDPIECE_MAX_TEXT_BYTES) {
        return sl_fail(err, SL_LIMIT, "the input has %zu bytes; at most %u are accepted", n_bytes,
                       SL_WORDPIECE_MAX_TEXT_BYTES);
    }
    if (!sl_utf8_valid(text, n_bytes)) {
        return sl_fail(err, SL_INVALID, "the input is not valid UTF-8");
    }
    put_id(&out, wp->vocab.cls);
    int rc = encode_text(&out, text, n_bytes, err);
    if (rc) {
        return rc;
    }
    if (limit.truncate && out.count > limit.max_tokens - 1) {
        out.count = limit.max_tokens - 1;
    }
    if (out.count > limit.max_tokens - 1) {
        return sl_fail(err, SL_LIMIT,
                       "the input has %" PRIu64 " tokens; this model takes at most %" PRIu32
                       ": shorten it",
                       out.count + 1, limit.max_tokens);
    }
    ret_ids[out.count] = wp->vocab.sep;
    *ret_count = (uint32_t)out.count + 1;
    return SL_OK;
}

int sl_wordpiece_wrap(const struct sl_wordpiece *wp, const uint32_t *ids, uint32_t n,
                      struct sl_wordpiece_limit limit, int32_t *ret_ids, uint32_t *ret_count,
                      struct sl_error *err) {
    const struct wordpiece_vocab *vocab = &wp->vocab;
    if (limit.max_tokens < 2 || n == 0) {
        return sl_fail(err, SL_INVALID, "no token ids, or a limit below 2");
    }
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i] >= sl_wordpiece_vocab_size(wp)) {
            return sl_fail(err, SL_INVALID,
                           "token id %" PRIu32 " is not one of the model's %" PRIu32, ids[i],
                           sl_wordpiece_vocab_size(wp));
        }
    }
    uint32_t before = ids[0] != (uint32_t)vocab->cls;
    /* A lone [CLS] is not its own end, nor a lone [SEP] its own beginning. */
    uint32_t behind = ids[n - 1] != (uint32_t)vocab->sep;
    uint64_t total = (uint64_t)n + before + behind;
    if (total > limit.max_tokens && !limit.truncate) {
        *ret_count = total > UINT32_MAX ? UINT32_MAX : (uint32_t)total;
        return sl_fail(err, SL_LIMIT,
                       "the input has %" PRIu64 " tokens; this model takes at most %" PRIu32
                       ": shorten it",
                       total, limit.max_tokens);
    }
    uint32_t kept = n - (behind ? 0 : 1); /* without a [SEP] at the end, which is put by itself */
    if (kept > limit.max_tokens - 1 - before) {
        kept = limit.max_tokens - 1 - before;
    }
    uint32_t at = 0;
    if (before) {
        ret_ids[at++] = vocab->cls;
    }
    for (uint32_t i = 0; i < kept; i++) {
        ret_ids[at++] = (int32_t)ids[i];
    }
    ret_ids[at++] = vocab->sep;
    *ret_count = at;
    return SL_OK;
}
