/* SPDX-License-Identifier: Apache-2.0
 * Vocabulary and tokenizer settings of a HuggingFace folder. */
#include "agent/convert/hf_folder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/convert/json_file.h"
#include "agent/models/mapping.h"
#include "proto/base/cleanup.h"
#include "proto/base/text.h"

#define MAX_PIECE_BYTES 1024

static int find_piece(const struct sl_hf_vocab *vocab, const char *text, uint32_t *ret_id) {
    for (uint32_t i = 0; i < vocab->count; i++) {
        /* check_pieces() has refused a vocabulary with a hole.
         * NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
        if (strcmp(vocab->pieces[i], text) == 0) {
            *ret_id = i;
            return SL_OK;
        }
    }
    return -SL_NOTFOUND;
}

static int alloc_pieces(struct sl_hf_vocab *vocab, size_t count, const char *name,
                        struct sl_error *err) {
    if (count == 0 || count > SL_GGUF_MAX_ARRAY_ITEMS) {
        return sl_fail(err, SL_LIMIT, "%s has %zu pieces; 1 to %u are accepted", name, count,
                       SL_GGUF_MAX_ARRAY_ITEMS);
    }
    vocab->pieces = calloc(count, sizeof *vocab->pieces);
    vocab->special = calloc(count, sizeof *vocab->special);
    if (!vocab->pieces || !vocab->special) {
        return sl_fail(err, SL_NOMEM, "a vocabulary");
    }
    vocab->count = (uint32_t)count;
    return SL_OK;
}

/* One piece a line; the last line may lack its newline. */
static int split_lines(struct sl_hf_vocab *vocab, size_t n, struct sl_error *err) {
    size_t lines = 0;
    for (size_t i = 0; i < n; i++) {
        lines += vocab->text[i] == '\n' || i + 1 == n;
    }
    int rc = alloc_pieces(vocab, lines, "vocab.txt", err);
    if (rc) {
        return rc;
    }
    char *at = vocab->text;
    for (uint32_t id = 0; id < vocab->count; id++) {
        char *end = strchrnul(at, '\n');
        char *next = *end ? end + 1 : end;
        *end = '\0';
        if (end > at && end[-1] == '\r') {
            end[-1] = '\0';
        }
        vocab->pieces[id] = at;
        at = next;
    }
    return SL_OK;
}

static int read_vocab_txt(const char *folder, struct sl_hf_vocab *vocab, struct sl_error *err) {
    SL_AUTO_FREE char *path = NULL;
    struct sl_mapping mapping = {0};
    if (asprintf(&path, "%s/vocab.txt", folder) < 0) {
        path = NULL;
        return sl_fail(err, SL_NOMEM, "a path");
    }
    int rc = sl_mapping_open(path, &mapping, err);
    if (rc) {
        sl_wrap(err, "%s", path);
        return rc;
    }
    size_t n = mapping.n;
    if (n > SL_HF_MAX_JSON_BYTES || memchr(mapping.bytes, 0, n) ||
        !sl_utf8_valid((const char *)mapping.bytes, n)) {
        rc = sl_fail(err, SL_CORRUPT, "%s is not a text of UTF-8 lines", path);
    } else {
        vocab->text = strndup((const char *)mapping.bytes, n);
        rc = vocab->text ? split_lines(vocab, n, err) : sl_fail(err, SL_NOMEM, "a vocabulary");
    }
    sl_mapping_close(&mapping);
    return rc;
}

/* {"piece": id, ...}; every id from 0 on exactly once. */
static int read_vocab_json(const json_t *root, struct sl_hf_vocab *vocab, struct sl_error *err) {
    json_t *map = json_object_get(json_object_get(root, "model"), "vocab");
    SL_AUTO_BUF struct sl_buf text = {0};
    const char *piece;
    const json_t *id;
    int rc = alloc_pieces(vocab, json_object_size(map), "tokenizer.json: model.vocab", err);
    if (rc) {
        return rc;
    }
    SL_AUTO_FREE size_t *starts = calloc(vocab->count, sizeof *starts);
    if (!starts) {
        return sl_fail(err, SL_NOMEM, "a vocabulary");
    }
    sl_buf_append(&text, "", 1); /* so that a start of 0 means that the id is free */
    json_object_foreach(map, piece, id) {
        json_int_t at = json_is_integer(id) ? json_integer_value(id) : -1;
        if (at < 0 || at >= (json_int_t)vocab->count || starts[at]) {
            return sl_fail(err, SL_CORRUPT,
                           "tokenizer.json: the ids of model.vocab are not 0 to %" PRIu32
                           ", each once",
                           vocab->count - 1);
        }
        starts[at] = text.len;
        sl_buf_append(&text, piece, strlen(piece) + 1);
    }
    if (text.failed) {
        return sl_fail(err, SL_NOMEM, "a vocabulary");
    }
    vocab->text = text.data;
    text = (struct sl_buf){0};
    for (uint32_t i = 0; i < vocab->count; i++) {
        vocab->pieces[i] = vocab->text + starts[i];
    }
    return SL_OK;
}

/* "##" + U+2581... would become, in GGUF's spelling, a piece that begins a word. */
static int check_pieces(const struct sl_hf_vocab *vocab, struct sl_error *err) {
    for (uint32_t i = 0; i < vocab->count; i++) {
        const char *piece = vocab->pieces[i];
        size_t n = piece ? strlen(piece) : 0;
        if (n == 0 || n > MAX_PIECE_BYTES) {
            return sl_fail(err, SL_CORRUPT,
                           "piece %" PRIu32
                           " of the vocabulary has %zu bytes; 1 to %d are accepted",
                           i, n, MAX_PIECE_BYTES);
        }
        if (strncmp(piece, "##\xe2\x96\x81", 5) == 0) {
            return sl_fail(err, SL_UNSUPPORTED,
                           "piece %" PRIu32 " cannot be told from a word's beginning in GGUF", i);
        }
    }
    return SL_OK;
}

/* Pieces that HuggingFace cuts out of the raw text. */
static int mark_added(const json_t *root, struct sl_hf_vocab *vocab, struct sl_error *err) {
    const json_t *added;
    size_t i;
    json_array_foreach(json_object_get(root, "added_tokens"), i, added) {
        const char *content = json_string_value(json_object_get(added, "content"));
        uint32_t id;
        if (!content || find_piece(vocab, content, &id) ||
            json_integer_value(json_object_get(added, "id")) != (json_int_t)id) {
            return sl_fail(
                err, SL_UNSUPPORTED,
                "tokenizer.json: added_tokens[%zu] is not in the vocabulary under its id", i);
        }
        int rc = SL_OK;
        static const char *const off[] = {"normalized", "single_word", "lstrip", "rstrip"};
        for (size_t k = 0; k < sizeof off / sizeof off[0] && rc == SL_OK; k++) {
            rc = json_expect_bool(added, "tokenizer.json: added_tokens", off[k], false, err);
        }
        if (rc) {
            return rc;
        }
        vocab->special[id] = true;
    }
    return SL_OK;
}

static int check_normalizer(const json_t *root, struct sl_error *err) {
    const json_t *normalizer = json_object_get(root, "normalizer");
    const json_t *model = json_object_get(root, "model");
    const char *where = "tokenizer.json: normalizer";
    if (!json_is_object(normalizer) || !json_object_get(normalizer, "type") ||
        !json_is_object(model) || !json_object_get(model, "type")) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "tokenizer.json: a BertNormalizer and a WordPiece model are expected");
    }
    int rc = json_expect_text(normalizer, where, "type", "BertNormalizer", err);
    static const char *const on[] = {"clean_text", "handle_chinese_chars", "strip_accents",
                                     "lowercase"};
    for (size_t i = 0; i < sizeof on / sizeof on[0] && rc == SL_OK; i++) {
        rc = json_expect_bool(normalizer, where, on[i], true, err);
    }
    if (rc == SL_OK) {
        rc = json_expect_text(json_object_get(root, "pre_tokenizer"),
                              "tokenizer.json: pre_tokenizer", "type", "BertPreTokenizer", err);
    }
    if (rc == SL_OK) {
        rc = json_expect_text(model, "tokenizer.json: model", "type", "WordPiece", err);
    }
    if (rc == SL_OK) {
        rc = json_expect_text(model, "tokenizer.json: model", "unk_token", "[UNK]", err);
    }
    if (rc == SL_OK) {
        rc = json_expect_text(model, "tokenizer.json: model", "continuing_subword_prefix", "##",
                              err);
    }
    const json_t *longest = json_object_get(model, "max_input_chars_per_word");
    if (rc == SL_OK && longest && json_integer_value(longest) != 100) {
        rc = sl_fail(err, SL_UNSUPPORTED,
                     "tokenizer.json: model: max_input_chars_per_word is not 100");
    }
    return rc;
}

static bool is_special(const json_t *step, const char *piece) {
    const char *id =
        json_string_value(json_object_get(json_object_get(step, "SpecialToken"), "id"));
    return id && strcmp(id, piece) == 0;
}

static bool is_pair_of(const json_t *root, const char *field, const char *piece) {
    const char *text = json_string_value(json_array_get(json_object_get(root, field), 0));
    return text && strcmp(text, piece) == 0;
}

/* What is put around a text; the engine puts [CLS] before it and [SEP] behind. A folder that says
 * nothing is of an older tool. */
static int check_frame(const json_t *root, struct sl_error *err) {
    const json_t *frame = json_object_get(root, "post_processor");
    const char *type = json_string_value(json_object_get(frame, "type"));
    const json_t *single = json_object_get(frame, "single");
    if (!frame) {
        return SL_OK;
    }
    bool good = false;
    if (type && strcmp(type, "TemplateProcessing") == 0) {
        good = json_array_size(single) == 3 && is_special(json_array_get(single, 0), "[CLS]") &&
               json_object_get(json_array_get(single, 1), "Sequence") &&
               is_special(json_array_get(single, 2), "[SEP]");
    } else if (type && strcmp(type, "BertProcessing") == 0) {
        good = is_pair_of(frame, "cls", "[CLS]") && is_pair_of(frame, "sep", "[SEP]");
    }
    return good ? SL_OK
                : sl_fail(err, SL_UNSUPPORTED,
                          "tokenizer.json: post_processor (%.40s) puts something else than [CLS] "
                          "and [SEP] around a text",
                          type ? type : "none");
}

/* The older settings file. */
static int check_settings(const struct json_file *file, struct sl_error *err) {
    static const char *const on[] = {"do_lower_case", "tokenize_chinese_chars", "strip_accents",
                                     "do_basic_tokenize"};
    int rc = SL_OK;
    for (size_t i = 0; i < sizeof on / sizeof on[0] && rc == SL_OK; i++) {
        rc = json_expect_bool(file->root, file->name, on[i], true, err);
    }
    const char *class = json_string_value(json_object_get(file->root, "tokenizer_class"));
    if (rc == SL_OK && class && strcmp(class, "BertTokenizer") != 0 &&
        strcmp(class, "BertTokenizerFast") != 0) {
        rc = sl_fail(err, SL_UNSUPPORTED,
                     "%s: tokenizer_class is '%.60s'; only BertTokenizer is supported", file->name,
                     class);
    }
    return rc;
}

static int find_specials(struct sl_hf_vocab *vocab, bool mark, struct sl_error *err) {
    const struct {
        const char *text;
        uint32_t *id;
    } rows[] = {{"[UNK]", &vocab->unk},
                {"[CLS]", &vocab->cls},
                {"[SEP]", &vocab->sep},
                {"[PAD]", &vocab->pad}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (find_piece(vocab, rows[i].text, rows[i].id)) {
            return sl_fail(err, SL_UNSUPPORTED, "the vocabulary has no piece %s", rows[i].text);
        }
        vocab->special[*rows[i].id] |= mark;
    }
    vocab->has_mask = find_piece(vocab, "[MASK]", &vocab->mask) == SL_OK;
    if (vocab->has_mask) {
        vocab->special[vocab->mask] |= mark;
    }
    return SL_OK;
}

int sl_hf_read_vocab(const char *folder, struct sl_hf_vocab *vocab, struct sl_error *err) {
    JSON_FILE_AUTO tokenizer = {0};
    JSON_FILE_AUTO settings = {0};
    *vocab = (struct sl_hf_vocab){0};
    int rc = json_file_open(folder, "tokenizer.json", &tokenizer, err);
    if (rc == SL_OK) {
        rc = json_file_open(folder, "tokenizer_config.json", &settings, err);
    }
    if (rc == SL_OK && !tokenizer.root && !settings.root) {
        rc =
            sl_fail(err, SL_NOTFOUND,
                    "%s has neither tokenizer.json nor tokenizer_config.json: whether the model is "
                    "uncased cannot be told",
                    folder);
    }
    if (rc == SL_OK && tokenizer.root) {
        rc = check_normalizer(tokenizer.root, err);
        rc = rc ? rc : check_frame(tokenizer.root, err);
    }
    if (rc == SL_OK && settings.root) {
        rc = check_settings(&settings, err);
    }
    if (rc == SL_OK) {
        rc = tokenizer.root ? read_vocab_json(tokenizer.root, vocab, err)
                            : read_vocab_txt(folder, vocab, err);
    }
    if (rc == SL_OK) {
        rc = check_pieces(vocab, err);
    }
    if (rc == SL_OK && tokenizer.root) {
        rc = mark_added(tokenizer.root, vocab, err);
    }
    return rc == SL_OK ? find_specials(vocab, !tokenizer.root, err) : rc;
}

void sl_hf_vocab_fini(struct sl_hf_vocab *vocab) {
    free(vocab->text);
    free(vocab->pieces);
    free(vocab->special);
    *vocab = (struct sl_hf_vocab){0};
}
