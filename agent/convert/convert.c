/* SPDX-License-Identifier: Apache-2.0
 * The conversion: keys, vocabulary, then every tensor of the weights by a table of names.
 */
#include "agent/convert/convert.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/convert/hf_folder.h"
#include "agent/convert/hf_weights.h"
#include "agent/models/ggml_row.h"
#include "agent/models/gguf_writer.h"
#include "agent/models/wordpiece.h"

struct rename_row {
    const char *hf;
    const char *gguf;
    bool small; /* a table of few rows: stays F32, as llama.cpp has it */
};

static const struct rename_row model_rows[] = {
    {"embeddings.word_embeddings.weight", "token_embd.weight", false},
    {"embeddings.position_embeddings.weight", "position_embd.weight", true},
    {"embeddings.token_type_embeddings.weight", "token_types.weight", true},
    {"embeddings.LayerNorm.weight", "token_embd_norm.weight", false},
    {"embeddings.LayerNorm.bias", "token_embd_norm.bias", false},
};
/* Below "encoder.layer.N." and "blk.N.". */
static const struct rename_row layer_rows[] = {
    {"attention.self.query.weight", "attn_q.weight", false},
    {"attention.self.query.bias", "attn_q.bias", false},
    {"attention.self.key.weight", "attn_k.weight", false},
    {"attention.self.key.bias", "attn_k.bias", false},
    {"attention.self.value.weight", "attn_v.weight", false},
    {"attention.self.value.bias", "attn_v.bias", false},
    {"attention.output.dense.weight", "attn_output.weight", false},
    {"attention.output.dense.bias", "attn_output.bias", false},
    {"attention.output.LayerNorm.weight", "attn_output_norm.weight", false},
    {"attention.output.LayerNorm.bias", "attn_output_norm.bias", false},
    {"intermediate.dense.weight", "ffn_up.weight", false},
    {"intermediate.dense.bias", "ffn_up.bias", false},
    {"output.dense.weight", "ffn_down.weight", false},
    {"output.dense.bias", "ffn_down.bias", false},
    {"output.LayerNorm.weight", "layer_output_norm.weight", false},
    {"output.LayerNorm.bias", "layer_output_norm.bias", false},
};
#define N_MODEL_ROWS (sizeof model_rows / sizeof model_rows[0])
#define N_LAYER_ROWS (sizeof layer_rows / sizeof layer_rows[0])

static void read_floats(const void *context, uint64_t offset, void *out, size_t n) {
    sl_safetensors_floats((const struct sl_safetensors_tensor *)context, offset / sizeof(float),
                          n / sizeof(float), (float *)out);
}

/* Bytes [offset, offset + n) of the tensor as F16 or Q8_0: whole units are made, of which the first
 * and the last may stick out. */
static void read_encoded(const struct sl_safetensors_tensor *t, enum sl_ggml_type type,
                         uint64_t offset, uint8_t *out, size_t n) {
    size_t values_each = type == SL_GGML_Q8_0 ? SL_Q8_0_BLOCK : 1;
    size_t bytes_each = type == SL_GGML_Q8_0 ? SL_Q8_0_BLOCK_BYTES : 2;
    float values[SL_Q8_0_BLOCK];
    uint8_t unit[SL_Q8_0_BLOCK_BYTES];
    for (size_t done = 0; done < n;) {
        uint64_t index = (offset + done) / bytes_each;
        size_t skip = (size_t)((offset + done) % bytes_each);
        size_t take = bytes_each - skip < n - done ? bytes_each - skip : n - done;
        sl_safetensors_floats(t, index * values_each, values_each, values);
        sl_ggml_row_encode(type, values, values_each, unit); /* checked before: it fits */
        memcpy(out + done, unit + skip, take);
        done += take;
    }
}

static void read_f16(const void *context, uint64_t offset, void *out, size_t n) {
    read_encoded(context, SL_GGML_F16, offset, out, n);
}

static void read_q8_0(const void *context, uint64_t offset, void *out, size_t n) {
    read_encoded(context, SL_GGML_Q8_0, offset, out, n);
}

/* A weight that is no number spoils every vector; better to say so now. So does one that the wanted
 * type cannot hold. */
static int check_values(const struct sl_safetensors_tensor *t, enum sl_ggml_type type,
                        struct sl_error *err) {
    float values[1024]; /* a multiple of Q8_0's blocks */
    uint8_t encoded[sizeof values];
    uint64_t columns = t->shape[t->n_dims - 1];
    if (type == SL_GGML_Q8_0 && columns % SL_Q8_0_BLOCK) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "tensor %s has rows of %" PRIu64 ", which do not fill the blocks of %u that "
                       "q8_0 has: use --type f16",
                       t->name, columns, SL_Q8_0_BLOCK);
    }
    for (uint64_t at = 0; at < t->elements; at += 1024) {
        uint64_t n = t->elements - at < 1024 ? t->elements - at : 1024;
        sl_safetensors_floats(t, at, n, values);
        for (uint64_t i = 0; i < n; i++) {
            if (!isfinite(values[i])) {
                return sl_fail(err, SL_CORRUPT, "tensor %s holds a value that is no number",
                               t->name);
            }
        }
        if (!sl_ggml_row_encode(type, values, n, encoded)) {
            return sl_fail(err, SL_UNSUPPORTED,
                           "tensor %s holds values beyond what %s can: use --type f32", t->name,
                           sl_ggml_type_name(type));
        }
    }
    return SL_OK;
}

/* type: what matrices become; vectors stay F32. */
static int add_tensor(const struct sl_hf_weights *weights, const char *hf, const char *gguf,
                      enum sl_ggml_type type, struct sl_gguf_writer *writer,
                      uint64_t *weights_count, struct sl_error *err) {
    uint64_t dims[2];
    const struct sl_safetensors_tensor *t = sl_hf_weights_find(weights, hf);
    if (!t) {
        return sl_fail(err, SL_NOTFOUND, "%s has no tensor %s", sl_hf_weights_name(weights), hf);
    }
    if (t->type == SL_SAFETENSORS_OTHER) {
        return sl_fail(err, SL_UNSUPPORTED, "tensor %s is not F32, F16 or BF16", hf);
    }
    if (t->n_dims < 1 || t->n_dims > 2 || t->elements == 0) {
        return sl_fail(err, SL_CORRUPT, "tensor %s has %" PRIu32 " dimensions; 1 or 2 are expected",
                       hf, t->n_dims);
    }
    type = t->n_dims == 1 ? SL_GGML_F32 : type;
    int rc = check_values(t, type, err);
    if (rc) {
        return rc;
    }
    for (uint32_t i = 0; i < t->n_dims; i++) {
        dims[i] = t->shape[t->n_dims - 1 - i];
    }
    struct sl_gguf_source source = {read_floats, t};
    if (type != SL_GGML_F32) {
        source.read = type == SL_GGML_F16 ? read_f16 : read_q8_0;
    }
    sl_gguf_put_tensor(writer, gguf, type, t->n_dims, dims, source);
    *weights_count += t->elements;
    return SL_OK;
}

/* position_ids is 0, 1, 2, ...; the pooler and the cls heads do not take part in an embedding. */
static bool skipped(const char *name) {
    return strcmp(name, "embeddings.position_ids") == 0 || strncmp(name, "pooler.", 7) == 0 ||
           strncmp(name, "cls.", 4) == 0;
}

/* Names that no row expects mean a variant that would be converted wrongly. */
static int refuse_others(const struct sl_hf_weights *weights, const char *prefix, uint32_t n_layer,
                         struct sl_error *err) {
    size_t used = 0;
    size_t prefix_len = strlen(prefix);
    for (size_t i = 0; i < sl_hf_weights_count(weights); i++) {
        const char *full = sl_hf_weights_at(weights, i)->name;
        const char *name = strncmp(full, prefix, prefix_len) == 0 ? full + prefix_len : full;
        unsigned layer;
        int tail = 0;
        bool known = false;
        if (skipped(name)) {
            continue;
        }
        if (sscanf(name, "encoder.layer.%u.%n", &layer, &tail) == 1 && tail > 0 &&
            layer < n_layer) {
            for (size_t k = 0; k < N_LAYER_ROWS && !known; k++) {
                known = strcmp(name + tail, layer_rows[k].hf) == 0;
            }
        }
        for (size_t k = 0; k < N_MODEL_ROWS && !known; k++) {
            known = strcmp(name, model_rows[k].hf) == 0;
        }
        used += known;
        if (!known) {
            return sl_fail(err, SL_UNSUPPORTED,
                           "%s: tensor %s is not part of a bert encoder with %" PRIu32 " layers",
                           sl_hf_weights_name(weights), full, n_layer);
        }
    }
    return used == N_MODEL_ROWS + n_layer * N_LAYER_ROWS
               ? SL_OK
               : sl_fail(err, SL_CORRUPT, "%s names tensors twice", sl_hf_weights_name(weights));
}

static int add_tensors(const struct sl_hf_weights *weights, uint32_t n_layer,
                       enum sl_ggml_type type, struct sl_gguf_writer *writer,
                       uint64_t *weights_count, struct sl_error *err) {
    /* Models saved with a head have all encoder names below "bert.". */
    const char *prefix =
        sl_hf_weights_find(weights, "bert.embeddings.word_embeddings.weight") ? "bert." : "";
    char hf[SL_SAFETENSORS_MAX_NAME_BYTES + 1];
    char gguf[SL_GGUF_MAX_NAME_BYTES + 1];
    int rc = SL_OK;
    for (size_t i = 0; i < N_MODEL_ROWS && rc == SL_OK; i++) {
        snprintf(hf, sizeof hf, "%s%s", prefix, model_rows[i].hf);
        rc = add_tensor(weights, hf, model_rows[i].gguf, model_rows[i].small ? SL_GGML_F32 : type,
                        writer, weights_count, err);
    }
    for (uint32_t l = 0; l < n_layer && rc == SL_OK; l++) {
        for (size_t i = 0; i < N_LAYER_ROWS && rc == SL_OK; i++) {
            snprintf(hf, sizeof hf, "%sencoder.layer.%" PRIu32 ".%s", prefix, l, layer_rows[i].hf);
            snprintf(gguf, sizeof gguf, "blk.%" PRIu32 ".%s", l, layer_rows[i].gguf);
            rc = add_tensor(weights, hf, gguf, type, writer, weights_count, err);
        }
    }
    return rc == SL_OK ? refuse_others(weights, prefix, n_layer, err) : rc;
}

static struct sl_gguf_text text_of(const char *text) {
    return (struct sl_gguf_text){text, strlen(text)};
}

/* llama.cpp's numbers: what most matrices are. */
static uint32_t file_type(enum sl_ggml_type type) {
    if (type == SL_GGML_F16) {
        return 1;
    }
    return type == SL_GGML_Q8_0 ? 7 : 0;
}

static void put_config(struct sl_gguf_writer *w, const struct sl_bert_config *c,
                       enum sl_ggml_type type, const char *name) {
    sl_gguf_put_text(w, "general.architecture", text_of("bert"));
    sl_gguf_put_text(w, "general.name", text_of(name));
    sl_gguf_put_u32(w, "general.file_type", file_type(type));
    sl_gguf_put_u32(w, "general.quantization_version", 2);
    sl_gguf_put_u32(w, "general.alignment", 32);
    sl_gguf_put_u32(w, "bert.block_count", c->n_layer);
    sl_gguf_put_u32(w, "bert.context_length", c->n_ctx);
    sl_gguf_put_u32(w, "bert.embedding_length", c->n_embd);
    sl_gguf_put_u32(w, "bert.feed_forward_length", c->n_ff);
    sl_gguf_put_u32(w, "bert.attention.head_count", c->n_head);
    sl_gguf_put_f32(w, "bert.attention.layer_norm_epsilon", c->norm_eps);
    sl_gguf_put_bool(w, "bert.attention.causal", false);
    sl_gguf_put_u32(w, "bert.pooling_type", (uint32_t)c->pooling);
}

/* ids of special pieces stand under llama.cpp's keys, whose misspelling files carry. */
static void put_special_ids(struct sl_gguf_writer *w, const struct sl_hf_vocab *vocab) {
    sl_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", vocab->cls);
    sl_gguf_put_u32(w, "tokenizer.ggml.cls_token_id", vocab->cls);
    sl_gguf_put_u32(w, "tokenizer.ggml.seperator_token_id", vocab->sep);
    sl_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", vocab->unk);
    sl_gguf_put_u32(w, "tokenizer.ggml.padding_token_id", vocab->pad);
    if (vocab->has_mask) {
        sl_gguf_put_u32(w, "tokenizer.ggml.mask_token_id", vocab->mask);
    }
}

/* GGUF spells pieces as SentencePiece does: a word's beginning is marked, its continuation is not.
 */
static int put_vocab(struct sl_gguf_writer *w, const struct sl_hf_vocab *vocab, uint32_t n_types,
                     struct sl_error *err) {
    SL_AUTO_FREE struct sl_gguf_text *pieces = calloc(vocab->count, sizeof *pieces);
    SL_AUTO_FREE int32_t *types = calloc(vocab->count, sizeof *types);
    SL_AUTO_BUF struct sl_buf marked = {0};
    if (!pieces || !types) {
        return sl_fail(err, SL_NOMEM, "a vocabulary");
    }
    for (uint32_t i = 0; i < vocab->count; i++) {
        const char *piece = vocab->pieces[i];
        bool whole = vocab->special[i];
        bool inner = !whole && strncmp(piece, "##", 2) == 0;
        size_t start = marked.len;
        sl_buf_printf(&marked, "%s%s", whole || inner ? "" : "\xe2\x96\x81",
                      inner ? piece + 2 : piece);
        pieces[i] = (struct sl_gguf_text){NULL, marked.len - start};
        types[i] = whole ? 3 : 1; /* 3 control, 1 normal */
    }
    if (marked.failed) {
        return sl_fail(err, SL_NOMEM, "a vocabulary");
    }
    size_t at = 0;
    for (uint32_t i = 0; i < vocab->count; i++) {
        pieces[i].bytes = marked.data + at;
        at += pieces[i].len;
    }
    sl_gguf_put_text(w, "tokenizer.ggml.model", text_of("bert"));
    sl_gguf_put_text(w, "tokenizer.ggml.pre", text_of("bert-bge"));
    sl_gguf_put_u32(w, "tokenizer.ggml.token_type_count", n_types);
    sl_gguf_put_texts(w, "tokenizer.ggml.tokens", pieces, vocab->count);
    sl_gguf_put_i32s(w, "tokenizer.ggml.token_type", types, vocab->count);
    put_special_ids(w, vocab);
    return SL_OK;
}

/* The file must satisfy the readers that will serve it. */
static int check_result(const char *path, struct sl_error *err) {
    SL_AUTO(sl_gguf) file = NULL;
    SL_AUTO(sl_bert_model) model = NULL;
    SL_AUTO(sl_wordpiece) tokenizer = NULL;
    int rc = sl_gguf_open(path, &file, err);
    if (rc == SL_OK) {
        rc = sl_bert_model_load(file, &model, err);
    }
    return rc == SL_OK ? sl_wordpiece_create(file, &tokenizer, err) : rc;
}

static char *name_of(const struct sl_convert_request *request) {
    if (request->name) {
        return strdup(request->name);
    }
    const char *base = strrchr(request->out, '/');
    base = base ? base + 1 : request->out;
    size_t n = strlen(base);
    if (n > 5 && strcmp(base + n - 5, ".gguf") == 0) {
        n -= 5;
    }
    return strndup(base, n);
}

static int build(const struct sl_convert_request *request, const struct sl_hf_vocab *vocab,
                 struct sl_convert_report *report, struct sl_error *err) {
    SL_AUTO(sl_hf_weights) weights = NULL;
    SL_AUTO(sl_gguf_writer) writer = NULL;
    SL_AUTO_FREE char *name = name_of(request);
    if (!name) {
        return sl_fail(err, SL_NOMEM, "a name");
    }
    int rc = sl_hf_weights_open(request->folder, &weights, err);
    if (rc == SL_OK) {
        rc = sl_gguf_writer_create(&writer, err);
    }
    if (rc == SL_OK) {
        put_config(writer, &report->config, request->type, name);
        rc = put_vocab(writer, vocab, report->config.n_types, err);
    }
    if (rc == SL_OK) {
        rc = add_tensors(weights, report->config.n_layer, request->type, writer, &report->weights,
                         err);
    }
    return rc == SL_OK ? sl_gguf_writer_save(writer, request->out, check_result, err) : rc;
}

int sl_convert(const struct sl_convert_request *request, struct sl_convert_report *ret_report,
               struct sl_error *err) {
    struct sl_convert_report report = {.config.pooling = request->pooling};
    struct sl_hf_vocab vocab = {0};
    int rc = sl_hf_read_config(request->folder, &report.config, &report.normalizes, err);
    rc = rc ? rc : sl_hf_read_advice(request->folder, &report.advice, err);
    if (rc == SL_OK) {
        rc = sl_hf_read_vocab(request->folder, &vocab, err);
    }
    if (rc == SL_OK && vocab.count > report.config.n_vocab) {
        rc = sl_fail(err, SL_CORRUPT,
                     "config.json: vocab_size is %" PRIu32 ", but the vocabulary has %" PRIu32
                     " pieces",
                     report.config.n_vocab, vocab.count);
    }
    if (rc == SL_OK) {
        rc = build(request, &vocab, &report, err);
    }
    sl_hf_vocab_fini(&vocab);
    if (rc == SL_OK) {
        *ret_report = report;
    }
    return rc;
}
