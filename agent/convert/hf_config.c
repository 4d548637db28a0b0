/* SPDX-License-Identifier: Apache-2.0
 * config.json, modules.json and 1_Pooling/config.json of a sentence-transformers folder. */
#include "agent/convert/hf_folder.h"

#include <string.h>

#include "agent/convert/json_file.h"

static int read_sizes(const struct json_file *file, struct sl_bert_config *c,
                      struct sl_error *err) {
    const struct {
        const char *field;
        uint32_t min;
        uint32_t max;
        uint32_t *value;
    } rows[] = {
        {"num_hidden_layers", 1, SL_BERT_MAX_LAYERS, &c->n_layer},
        {"hidden_size", 1, SL_BERT_MAX_EMBD, &c->n_embd},
        {"num_attention_heads", 1, SL_BERT_MAX_EMBD, &c->n_head},
        {"intermediate_size", 1, SL_BERT_MAX_FF, &c->n_ff},
        {"vocab_size", 1, SL_GGUF_MAX_ARRAY_ITEMS, &c->n_vocab},
        {"max_position_embeddings", 2, SL_BERT_MAX_CTX, &c->n_ctx},
        {"type_vocab_size", 1, SL_BERT_MAX_TYPES, &c->n_types},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int rc = json_file_u32(file, rows[i].field, rows[i].min, rows[i].max, rows[i].value, err);
        if (rc) {
            return rc;
        }
    }
    const json_t *eps = json_object_get(file->root, "layer_norm_eps");
    if (!json_is_number(eps) || json_number_value(eps) <= 0 || json_number_value(eps) > 0.1) {
        return sl_fail(err, SL_INVALID,
                       "config.json: layer_norm_eps must be a number above 0 and at most 0.1");
    }
    c->norm_eps = (float)json_number_value(eps);
    return SL_OK;
}

static int read_main(const char *folder, struct sl_bert_config *config, struct sl_error *err) {
    JSON_FILE_AUTO file = {0};
    int rc = json_file_open(folder, "config.json", &file, err);
    if (rc) {
        return rc;
    }
    if (!json_is_object(file.root)) {
        return sl_fail(err, SL_NOTFOUND,
                       "%s has no config.json with an object in it: is it a HuggingFace model "
                       "folder?",
                       folder);
    }
    const char *type = json_string_value(json_object_get(file.root, "model_type"));
    if (!type || strcmp(type, "bert") != 0) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "config.json: model_type is '%.40s'; only 'bert' is converted",
                       type ? type : "(absent)");
    }
    rc = json_expect_text(file.root, "config.json", "hidden_act", "gelu", err);
    if (rc == SL_OK) {
        rc = json_expect_text(file.root, "config.json", "position_embedding_type", "absolute", err);
    }
    if (rc == SL_OK) {
        rc = json_expect_bool(file.root, "config.json", "is_decoder", false, err);
    }
    if (rc == SL_OK && json_object_get(file.root, "quantization_config")) {
        rc = sl_fail(err, SL_UNSUPPORTED, "config.json: quantized weights are not converted");
    }
    return rc == SL_OK ? read_sizes(&file, config, err) : rc;
}

/* Pooling after anything but Transformer -> Pooling [-> Normalize] would give other vectors. */
static int read_modules(const char *folder, bool *ret_normalizes, struct sl_error *err) {
    JSON_FILE_AUTO file = {0};
    const json_t *module;
    size_t i;
    bool normalizes = false;
    int rc = json_file_open(folder, "modules.json", &file, err);
    if (rc) {
        return rc;
    }
    json_array_foreach(file.root, i, module) {
        const char *type = json_string_value(json_object_get(module, "type"));
        const char *last = type ? strrchr(type, '.') : NULL;
        last = last ? last + 1 : type;
        static const char *const order[] = {"Transformer", "Pooling", "Normalize"};
        if (!last || i >= sizeof order / sizeof order[0] || strcmp(last, order[i]) != 0) {
            return sl_fail(err, SL_UNSUPPORTED,
                           "modules.json: step %zu is '%.60s'; Transformer, Pooling, Normalize in "
                           "this order are supported",
                           i, type ? type : "(no type)");
        }
        normalizes = i == 2;
    }
    *ret_normalizes = normalizes;
    return SL_OK;
}

/* The one pooling that older folders have a truth value for each of. */
static int flagged_pooling(const json_t *root, const char **ret_mode, struct sl_error *err) {
    const char *field;
    const json_t *value;
    const char *set = NULL;
    json_object_foreach((json_t *)(uintptr_t)root, field, value) {
        if (strncmp(field, "pooling_mode_", strlen("pooling_mode_")) == 0 && json_is_true(value)) {
            if (set) {
                return sl_fail(err, SL_UNSUPPORTED,
                               "1_Pooling/config.json: %.60s and %.60s are both set; vectors of "
                               "joined poolings are not supported",
                               set, field);
            }
            set = field;
        }
    }
    *ret_mode = set;
    return SL_OK;
}

/* Newer folders name the pooling, or list those whose vectors are joined; then flags do not count,
 * as in sentence-transformers. */
static int named_pooling(const json_t *mode, const char **ret_mode, struct sl_error *err) {
    if (json_is_array(mode) && json_array_size(mode) > 1) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "1_Pooling/config.json: pooling_mode lists %zu poolings; vectors of joined "
                       "poolings are not supported",
                       json_array_size(mode));
    }
    mode = json_is_array(mode) ? json_array_get(mode, 0) : mode;
    if (!json_is_string(mode)) {
        return sl_fail(err, SL_INVALID, "1_Pooling/config.json: pooling_mode is no text");
    }
    *ret_mode = json_string_value(mode);
    return SL_OK;
}

static int pooling_of(const json_t *root, enum sl_bert_pooling *ret_pooling, struct sl_error *err) {
    static const struct {
        const char *mode;
        enum sl_bert_pooling pooling;
    } rows[] = {{"pooling_mode_mean_tokens", SL_BERT_POOL_MEAN},
                {"mean", SL_BERT_POOL_MEAN},
                {"pooling_mode_cls_token", SL_BERT_POOL_CLS},
                {"cls", SL_BERT_POOL_CLS}};
    const json_t *named = json_object_get(root, "pooling_mode");
    const char *mode = NULL;
    int rc = named ? named_pooling(named, &mode, err) : flagged_pooling(root, &mode, err);
    for (size_t i = 0; rc == SL_OK && mode && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(mode, rows[i].mode) == 0) {
            *ret_pooling = rows[i].pooling;
            return SL_OK;
        }
    }
    return rc ? rc
              : sl_fail(err, SL_UNSUPPORTED,
                        "1_Pooling/config.json: %.60s; mean and cls pooling are supported",
                        mode ? mode : "no pooling mode is set");
}

/* Newer folders say which of the model's outputs is pooled. */
static int check_output(const char *folder, struct sl_error *err) {
    static const char where[] = "sentence_bert_config.json";
    JSON_FILE_AUTO file = {0};
    int rc = json_file_open(folder, where, &file, err);
    const json_t *text = json_object_get(json_object_get(file.root, "modality_config"), "text");
    return rc ? rc : json_expect_text(text, where, "method_output_name", "last_hidden_state", err);
}

static int read_pooling(const char *folder, struct sl_bert_config *config, struct sl_error *err) {
    JSON_FILE_AUTO file = {0};
    enum sl_bert_pooling pooling = SL_BERT_POOL_MEAN;
    int rc = json_file_open(folder, "1_Pooling/config.json", &file, err);
    if (rc) {
        return rc;
    }
    if (!file.root) {
        return config->pooling ? SL_OK
                               : sl_fail(err, SL_NOTFOUND,
                                         "%s has no 1_Pooling/config.json: say --pooling mean or "
                                         "--pooling cls, as the model's authors document it",
                                         folder);
    }
    rc = pooling_of(file.root, &pooling, err);
    if (rc) {
        return rc;
    }
    if (config->pooling && config->pooling != pooling) {
        return sl_fail(err, SL_INVALID,
                       "--pooling contradicts 1_Pooling/config.json: leave the option out");
    }
    config->pooling = pooling;
    return json_expect_bool(file.root, "1_Pooling/config.json", "include_prompt", true, err);
}

int sl_hf_read_config(const char *folder, struct sl_bert_config *config, bool *ret_normalizes,
                      struct sl_error *err) {
    int rc = read_main(folder, config, err);
    if (rc == SL_OK) {
        rc = read_modules(folder, ret_normalizes, err);
    }
    rc = rc ? rc : check_output(folder, err);
    return rc == SL_OK ? read_pooling(folder, config, err) : rc;
}
