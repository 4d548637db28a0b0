/* SPDX-License-Identifier: Apache-2.0
 * Reads a bert encoder out of a GGUF file: keys first, then a table of expected tensors. Names are
 * llama.cpp's, so that its files load here and ours load there. */
#include "agent/models/bert_config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/models/ggml_row.h"

/* Sizes a tensor's shape is made of. */
enum extent { NONE = 0, EMBD, FF, VOCAB, POSITIONS, TYPES };

struct expected {
    const char *name; /* below "blk.N." for layers */
    enum extent rows; /* NONE for a vector */
    enum extent columns;
    size_t field; /* offset in its struct: of a matrix where it has rows, else of a const float * */
};

#define FIELD(type, member) offsetof(struct type, member)
static const struct expected model_tensors[] = {
    {"token_embd.weight", VOCAB, EMBD, FIELD(sl_bert_model, token_embd)},
    {"position_embd.weight", POSITIONS, EMBD, FIELD(sl_bert_model, pos_embd)},
    {"token_types.weight", TYPES, EMBD, FIELD(sl_bert_model, type_embd)},
    {"token_embd_norm.weight", NONE, EMBD, FIELD(sl_bert_model, embd_norm_w)},
    {"token_embd_norm.bias", NONE, EMBD, FIELD(sl_bert_model, embd_norm_b)},
};
static const struct expected layer_tensors[] = {
    {"attn_q.weight", EMBD, EMBD, FIELD(sl_bert_layer, q_w)},
    {"attn_q.bias", NONE, EMBD, FIELD(sl_bert_layer, q_b)},
    {"attn_k.weight", EMBD, EMBD, FIELD(sl_bert_layer, k_w)},
    {"attn_k.bias", NONE, EMBD, FIELD(sl_bert_layer, k_b)},
    {"attn_v.weight", EMBD, EMBD, FIELD(sl_bert_layer, v_w)},
    {"attn_v.bias", NONE, EMBD, FIELD(sl_bert_layer, v_b)},
    {"attn_output.weight", EMBD, EMBD, FIELD(sl_bert_layer, out_w)},
    {"attn_output.bias", NONE, EMBD, FIELD(sl_bert_layer, out_b)},
    {"attn_output_norm.weight", NONE, EMBD, FIELD(sl_bert_layer, attn_norm_w)},
    {"attn_output_norm.bias", NONE, EMBD, FIELD(sl_bert_layer, attn_norm_b)},
    {"ffn_up.weight", FF, EMBD, FIELD(sl_bert_layer, up_w)},
    {"ffn_up.bias", NONE, FF, FIELD(sl_bert_layer, up_b)},
    {"ffn_down.weight", EMBD, FF, FIELD(sl_bert_layer, down_w)},
    {"ffn_down.bias", NONE, EMBD, FIELD(sl_bert_layer, down_b)},
    {"layer_output_norm.weight", NONE, EMBD, FIELD(sl_bert_layer, out_norm_w)},
    {"layer_output_norm.bias", NONE, EMBD, FIELD(sl_bert_layer, out_norm_b)},
};
#define N_MODEL_TENSORS (sizeof model_tensors / sizeof model_tensors[0])
#define N_LAYER_TENSORS (sizeof layer_tensors / sizeof layer_tensors[0])

/* Keys whose presence means a variant that the engine does not compute. */
static const char *const refused_keys[] = {
    "bert.rope.scaling.type",       "bert.rope.freq_base",       "bert.attention.sliding_window",
    "bert.attn_logit_softcapping",  "bert.expert_count",         "bert.attention.max_alibi_bias",
    "bert.attention.head_count_kv", "bert.attention.key_length", "bert.attention.value_length",
};

struct range_key {
    const char *key;
    uint32_t min;
    uint32_t max;
    size_t field; /* offset of the uint32_t in struct sl_bert_config */
};

static const struct range_key range_keys[] = {
    {"bert.block_count", 1, SL_BERT_MAX_LAYERS, FIELD(sl_bert_config, n_layer)},
    {"bert.embedding_length", 1, SL_BERT_MAX_EMBD, FIELD(sl_bert_config, n_embd)},
    {"bert.attention.head_count", 1, SL_BERT_MAX_EMBD, FIELD(sl_bert_config, n_head)},
    {"bert.feed_forward_length", 1, SL_BERT_MAX_FF, FIELD(sl_bert_config, n_ff)},
    {"bert.context_length", 2, SL_BERT_MAX_CTX, FIELD(sl_bert_config, n_ctx)},
};

static int check_architecture(const struct sl_gguf *file, struct sl_error *err) {
    struct sl_gguf_text text;
    int rc = sl_gguf_get_text(file, "general.architecture", &text, err);
    if (rc) {
        return rc;
    }
    if (!sl_gguf_text_is(text, "bert")) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "architecture '%.*s' is not built in; only 'bert' is: serve this model "
                       "through an external server",
                       (int)(text.len < 40 ? text.len : 40), text.bytes);
    }
    for (size_t i = 0; i < sizeof refused_keys / sizeof refused_keys[0]; i++) {
        if (sl_gguf_has(file, refused_keys[i])) {
            return sl_fail(err, SL_UNSUPPORTED,
                           "the file sets %s, which the bert engine does not compute",
                           refused_keys[i]);
        }
    }
    bool causal = false;
    if (sl_gguf_has(file, "bert.attention.causal")) {
        rc = sl_gguf_get_bool(file, "bert.attention.causal", &causal, err);
        if (rc) {
            return rc;
        }
    }
    return causal ? sl_fail(err, SL_UNSUPPORTED,
                            "bert.attention.causal is true: causal attention "
                            "is not supported for bert")
                  : SL_OK;
}

static int read_pooling(const struct sl_gguf *file, struct sl_bert_config *config,
                        struct sl_error *err) {
    uint32_t pooling;
    if (!sl_gguf_has(file, "bert.pooling_type")) {
        return sl_fail(err, SL_NOTFOUND,
                       "the file has no key bert.pooling_type: convert the model again with its "
                       "1_Pooling/config.json present");
    }
    int rc = sl_gguf_get_u32(file, "bert.pooling_type", &pooling, err);
    if (rc) {
        return rc;
    }
    if (pooling != SL_BERT_POOL_MEAN && pooling != SL_BERT_POOL_CLS) {
        static const char *const names[] = {"none", "mean", "cls", "last", "rank"};
        bool known = pooling < sizeof names / sizeof names[0];
        return sl_fail(err, SL_UNSUPPORTED,
                       "bert.pooling_type is %" PRIu32 " (%s); 1 (mean) and 2 (cls) are supported",
                       pooling, known ? names[pooling] : "unknown");
    }
    config->pooling = (enum sl_bert_pooling)pooling;
    return SL_OK;
}

static int read_config(const struct sl_gguf *file, struct sl_bert_config *config,
                       struct sl_error *err) {
    for (size_t i = 0; i < sizeof range_keys / sizeof range_keys[0]; i++) {
        const struct range_key *key = &range_keys[i];
        uint32_t value;
        int rc = sl_gguf_get_u32(file, key->key, &value, err);
        if (rc) {
            return rc;
        }
        if (value < key->min || value > key->max) {
            return sl_fail(err, SL_LIMIT,
                           "%s is %" PRIu32 "; %" PRIu32 " to %" PRIu32 " are supported", key->key,
                           value, key->min, key->max);
        }
        memcpy((char *)config + key->field, &value, sizeof value);
    }
    if (config->n_embd % config->n_head) {
        return sl_fail(err, SL_CORRUPT,
                       "bert.attention.head_count %" PRIu32 " does not divide "
                       "bert.embedding_length %" PRIu32,
                       config->n_head, config->n_embd);
    }
    int rc = sl_gguf_get_f32(file, "bert.attention.layer_norm_epsilon", &config->norm_eps, err);
    if (rc) {
        return rc;
    }
    if (!isfinite(config->norm_eps) || config->norm_eps <= 0 || config->norm_eps > 0.1F) {
        return sl_fail(err, SL_CORRUPT,
                       "bert.attention.layer_norm_epsilon is %g; it must be above 0 and at most "
                       "0.1",
                       (double)config->norm_eps);
    }
    return read_pooling(file, config, err);
}

/* Sizes that the file tells only by its tensors' shapes. */
static int read_rows(const struct sl_gguf *file, const char *name, uint32_t max, uint32_t *ret_rows,
                     struct sl_error *err) {
    const struct sl_gguf_tensor *t = sl_gguf_find_tensor(file, name);
    if (!t) {
        return sl_fail(err, SL_NOTFOUND, "the file has no tensor %s", name);
    }
    if (t->n_dims != 2 || t->dims[1] > max) {
        return sl_fail(err, SL_CORRUPT, "tensor %s is not a table of at most %" PRIu32 " rows",
                       name, max);
    }
    *ret_rows = (uint32_t)t->dims[1];
    return SL_OK;
}

static int read_extents(const struct sl_gguf *file, struct sl_bert_config *config,
                        uint32_t *ret_positions, struct sl_error *err) {
    struct sl_gguf_array pieces;
    int rc = read_rows(file, "token_embd.weight", SL_GGUF_MAX_ARRAY_ITEMS, &config->n_vocab, err);
    if (rc == SL_OK) {
        rc = read_rows(file, "token_types.weight", SL_BERT_MAX_TYPES, &config->n_types, err);
    }
    if (rc == SL_OK) {
        rc = read_rows(file, "position_embd.weight", SL_BERT_MAX_CTX, ret_positions, err);
    }
    if (rc == SL_OK) {
        rc = sl_gguf_get_array(file, "tokenizer.ggml.tokens", SL_GGUF_TEXT, &pieces, err);
    }
    if (rc) {
        return rc;
    }
    /* Every id that the tokenizer can give must have a row. */
    if (pieces.count > config->n_vocab) {
        return sl_fail(err, SL_CORRUPT,
                       "the vocabulary has %" PRIu64 " pieces, token_embd.weight only %" PRIu32
                       " rows",
                       pieces.count, config->n_vocab);
    }
    if (*ret_positions < config->n_ctx) {
        return sl_fail(err, SL_CORRUPT,
                       "bert.context_length is %" PRIu32 ", but position_embd.weight has %" PRIu32
                       " rows",
                       config->n_ctx, *ret_positions);
    }
    return SL_OK;
}

static uint64_t extent_of(const struct sl_bert_config *config, uint32_t positions,
                          enum extent extent) {
    switch (extent) {
    case EMBD:
        return config->n_embd;
    case FF:
        return config->n_ff;
    case VOCAB:
        return config->n_vocab;
    case POSITIONS:
        return positions;
    case TYPES:
        return config->n_types;
    case NONE:
    default:
        return 1;
    }
}

static int bind(const struct sl_gguf *file, const char *prefix, const struct expected *want,
                const struct sl_bert_config *config, uint32_t positions, void *owner,
                struct sl_error *err) {
    char name[SL_GGUF_MAX_NAME_BYTES + 1];
    snprintf(name, sizeof name, "%s%s", prefix, want->name);
    const struct sl_gguf_tensor *t = sl_gguf_find_tensor(file, name);
    if (!t) {
        return sl_fail(err, SL_NOTFOUND, "the file has no tensor %s", name);
    }
    bool vector = want->rows == NONE;
    if (vector ? t->type != SL_GGML_F32 : !sl_ggml_row_known(t->type)) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "tensor %s is %s; bert is served with %s: convert the model with "
                       "sluice-convert",
                       name, sl_ggml_type_name(t->type),
                       vector ? "biases and norms in F32" : "matrices in F32, F16 or Q8_0");
    }
    uint64_t columns = extent_of(config, positions, want->columns);
    uint64_t rows = extent_of(config, positions, want->rows);
    uint32_t n_dims = vector ? 1 : 2;
    if (t->n_dims != n_dims || t->dims[0] != columns || t->dims[1] != rows) {
        return sl_fail(err, SL_CORRUPT,
                       "tensor %s is %" PRIu64 " x %" PRIu64 "; by the file's keys it must be "
                       "%" PRIu64 " x %" PRIu64,
                       name, t->dims[1], t->dims[0], rows, columns);
    }
    if (!sl_ggml_row_finite(t->type, t->data, columns * rows)) {
        return sl_fail(err, SL_CORRUPT, "tensor %s holds a value that is no number", name);
    }
    const float *data = (const float *)t->data;
    sl_assert(rows > 0); /* GGUF has no empty tensors */
    struct sl_bert_matrix matrix = {t->data, t->type, (uint32_t)columns, t->bytes / rows};
    if (vector) {
        memcpy((char *)owner + want->field, &data, sizeof data);
    } else {
        memcpy((char *)owner + want->field, &matrix, sizeof matrix);
    }
    return SL_OK;
}

/* The file may hold nothing that we do not use: its result would not be the model's. */
static int refuse_others(const struct sl_gguf *file, const struct sl_bert_config *config,
                         struct sl_error *err) {
    size_t used = N_MODEL_TENSORS + config->n_layer * N_LAYER_TENSORS;
    for (size_t i = 0; i < sl_gguf_tensor_count(file); i++) {
        const char *name = sl_gguf_tensor_at(file, i)->name;
        bool known = false;
        unsigned layer;
        int tail = 0;
        if (sscanf(name, "blk.%u.%n", &layer, &tail) == 1 && tail > 0 && layer < config->n_layer) {
            for (size_t k = 0; k < N_LAYER_TENSORS && !known; k++) {
                known = strcmp(name + tail, layer_tensors[k].name) == 0;
            }
        }
        for (size_t k = 0; k < N_MODEL_TENSORS && !known; k++) {
            known = strcmp(name, model_tensors[k].name) == 0;
        }
        if (!known) {
            return sl_fail(err, SL_UNSUPPORTED,
                           "tensor %s is not part of a bert encoder that we compute", name);
        }
    }
    return sl_gguf_tensor_count(file) == used
               ? SL_OK
               : sl_fail(err, SL_CORRUPT, "the file names tensors in a form that is not canonical");
}

static int bind_all(const struct sl_gguf *file, struct sl_bert_model *model,
                    struct sl_bert_layer *layers, uint32_t positions, struct sl_error *err) {
    const struct sl_bert_config *config = &model->config;
    int rc = SL_OK;
    for (size_t i = 0; i < N_MODEL_TENSORS && rc == SL_OK; i++) {
        rc = bind(file, "", &model_tensors[i], config, positions, model, err);
    }
    for (uint32_t l = 0; l < config->n_layer && rc == SL_OK; l++) {
        char prefix[24];
        snprintf(prefix, sizeof prefix, "blk.%" PRIu32 ".", l);
        for (size_t i = 0; i < N_LAYER_TENSORS && rc == SL_OK; i++) {
            rc = bind(file, prefix, &layer_tensors[i], config, positions, &layers[l], err);
        }
    }
    return rc == SL_OK ? refuse_others(file, config, err) : rc;
}

int sl_bert_model_load(const struct sl_gguf *file, struct sl_bert_model **ret_model,
                       struct sl_error *err) {
    struct sl_bert_config config = {0};
    uint32_t positions = 0;
    int rc = check_architecture(file, err);
    if (rc == SL_OK) {
        rc = read_config(file, &config, err);
    }
    if (rc == SL_OK) {
        rc = read_extents(file, &config, &positions, err);
    }
    if (rc) {
        return rc;
    }
    sl_assert(config.n_layer > 0); /* read_config has checked it */
    SL_AUTO(sl_bert_model) model = calloc(1, sizeof *model);
    struct sl_bert_layer *layers = calloc(config.n_layer, sizeof *layers);
    if (!model || !layers) {
        free(layers);
        return sl_fail(err, SL_NOMEM, "a bert model's table of tensors");
    }
    model->config = config;
    model->layers = layers;
    rc = bind_all(file, model, layers, positions, err);
    if (rc == SL_OK) {
        *ret_model = sl_take(&model);
    }
    return rc;
}

void sl_bert_row(const struct sl_bert_matrix *matrix, uint32_t row, float *ret_values) {
    sl_ggml_row_floats(matrix->type, (const uint8_t *)matrix->data + row * matrix->row_bytes,
                       matrix->columns, ret_values);
}

void sl_bert_model_drop_weights(struct sl_bert_model *model) {
    struct sl_bert_config config = model->config;
    free((void *)(uintptr_t)model->layers);
    *model = (struct sl_bert_model){.config = config};
}

void sl_bert_model_free(struct sl_bert_model *model) {
    if (model) {
        sl_bert_model_drop_weights(model);
        free(model);
    }
}
