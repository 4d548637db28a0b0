/* SPDX-License-Identifier: Apache-2.0
 * Loading of models, packing of weights, known answers. */
#include "agent/executors/model_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/executors/infer_reference.h"
#include "agent/executors/model_pack.h"
#include "proto/base/text.h"

struct sl_model_set {
    size_t count;
    struct sl_model models[SL_DEVICE_MODELS_MAX];
};

static void model_fini(struct sl_model *m) {
    free(m->canary_vector);
    free(m->packed);
    free(m->layers);
    sl_bert_model_free(m->bert);
    sl_wordpiece_destroy(m->tokenizer);
}

void sl_model_set_destroy(struct sl_model_set *set) {
    if (!set) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        model_fini(&set->models[i]);
    }
    free(set);
}

/* Ids spread over the vocabulary: every model has them, and no tokenizer takes part. */
static int make_canary(struct sl_model *m, struct sl_error *err) {
    const struct sl_bert_config *c = &m->bert->config;
    m->canary_tokens = m->max_tokens < SL_CANARY_TOKENS ? m->max_tokens : SL_CANARY_TOKENS;
    for (uint32_t i = 0; i < m->canary_tokens; i++) {
        m->canary_ids[i] = (int32_t)((i * 7919u + 101u) % c->n_vocab);
    }
    m->canary_vector = malloc(c->n_embd * sizeof *m->canary_vector);
    if (!m->canary_vector) {
        return sl_fail(err, SL_NOMEM, "known answer");
    }
    return sl_infer_reference(m->bert, m->canary_ids, m->canary_tokens, m->canary_vector, err);
}

static int check_pinned(const struct sl_model_config *config, const struct sl_model *m,
                        struct sl_error *err) {
    if (config->sha256[0] && strcasecmp(config->sha256, m->sha256) != 0) {
        return sl_fail(err, SL_INVALID,
                       "%s has the SHA-256 %s, but the configuration pins %s: put the right file "
                       "there, or pin this one",
                       config->path, m->sha256, config->sha256);
    }
    return SL_OK;
}

static int check_limits(const struct sl_model_config *config, struct sl_model *m,
                        struct sl_error *err) {
    const struct sl_bert_config *c = &m->bert->config;
    if (sl_wordpiece_vocab_size(m->tokenizer) > c->n_vocab) {
        return sl_fail(err, SL_CORRUPT, "the tokenizer has %u pieces, the model only %u rows",
                       sl_wordpiece_vocab_size(m->tokenizer), c->n_vocab);
    }
    m->max_tokens = config->max_tokens ? config->max_tokens : c->n_ctx;
    if (m->max_tokens > c->n_ctx || m->max_tokens < 3) {
        return sl_fail(err, SL_LIMIT, "max_tokens is %u, the model takes 3 to %u", m->max_tokens,
                       c->n_ctx);
    }
    return SL_OK;
}

static int model_load(const struct sl_model_config *config, struct sl_model *m,
                      struct sl_error *err) {
    SL_AUTO(sl_gguf) file = NULL;
    sl_text_copy(m->id, sizeof m->id, config->id);
    sl_text_copy(m->path, sizeof m->path, config->path);
    m->truncate = config->truncate;
    int rc = sl_gguf_open(config->path, &file, err);
    if (rc == SL_OK) {
        m->stamp = sl_gguf_stamp(file);
        sl_gguf_sha256(file, m->sha256);
        rc = check_pinned(config, m, err);
    }
    rc = rc ? rc : sl_bert_model_load(file, &m->bert, err);
    rc = rc ? rc : sl_wordpiece_create(file, &m->tokenizer, err);
    rc = rc ? rc : check_limits(config, m, err);
    rc = rc ? rc : sl_model_pack(m, err);
    rc = rc ? rc : make_canary(m, err);
    if (m->bert) {
        sl_bert_model_drop_weights(m->bert); /* they lie in the file, which is closed now */
    }
    return rc;
}

int sl_model_set_load_some(const struct sl_model_config *configs, size_t count, sl_model_bad_fn bad,
                           void *context, struct sl_model_set **ret_set, struct sl_error *err) {
    if (count > SL_DEVICE_MODELS_MAX) {
        return sl_fail(err, SL_LIMIT, "%zu models are configured, at most %d can be offered", count,
                       SL_DEVICE_MODELS_MAX);
    }
    SL_AUTO(sl_model_set) set = calloc(1, sizeof *set);
    if (!set) {
        return sl_fail(err, SL_NOMEM, "models");
    }
    for (size_t i = 0; i < count; i++) {
        if (sl_model_set_find(set, configs[i].id)) {
            return sl_fail(err, SL_EXISTS, "model '%s' is configured twice", configs[i].id);
        }
        set->count++; /* half-built ones are freed as well */
        struct sl_model *model = &set->models[set->count - 1];
        struct sl_error why = {0};
        int rc = model_load(&configs[i], model, &why);
        if (rc < 0 && bad) {
            model_fini(model);
            memset(model, 0, sizeof *model);
            set->count--;
            bad(context, &configs[i], &why);
        } else if (rc < 0) {
            return sl_fail(err, -rc, "model '%s': %s", configs[i].id, why.text);
        }
    }
    *ret_set = sl_take(&set);
    return SL_OK;
}

int sl_model_set_load(const struct sl_model_config *configs, size_t count,
                      struct sl_model_set **ret_set, struct sl_error *err) {
    return sl_model_set_load_some(configs, count, NULL, NULL, ret_set, err);
}

size_t sl_model_set_count(const struct sl_model_set *set) {
    return set->count;
}

const struct sl_model *sl_model_set_at(const struct sl_model_set *set, size_t index) {
    return &set->models[index];
}

enum sl_model_file sl_model_set_look(const struct sl_model *model, enum sl_model_file before,
                                     struct sl_file_stamp *stamp) {
    struct sl_file_stamp now = {0};
    char sha256[65];
    if (sl_file_stamp_read(model->path, &now, NULL) != SL_OK) {
        *stamp = now;
        return SL_MODEL_FILE_GONE;
    }
    if (sl_file_stamp_same(&now, stamp)) {
        return before;
    }
    if (sl_file_sha256(model->path, sha256, &now, NULL) != SL_OK) {
        *stamp = (struct sl_file_stamp){0}; /* caught in the act: the next look reads it again */
        return SL_MODEL_FILE_CHANGED;
    }
    *stamp = now;
    return strcmp(sha256, model->sha256) == 0 ? SL_MODEL_FILE_SAME : SL_MODEL_FILE_CHANGED;
}

const struct sl_model *sl_model_set_find(const struct sl_model_set *set, const char *id) {
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->models[i].id, id) == 0) {
            return &set->models[i];
        }
    }
    return NULL;
}

int sl_model_set_tokenize(const struct sl_model_set *set, const char *id, const char *text,
                          size_t n_bytes, int32_t *ret_ids, uint32_t *ret_count,
                          struct sl_error *err) {
    const struct sl_model *m = sl_model_set_find(set, id);
    if (!m) {
        return sl_fail(err, SL_NOTFOUND, "no model '%s' is loaded", id);
    }
    struct sl_wordpiece_limit limit = {m->max_tokens, m->truncate};
    return sl_wordpiece_encode(m->tokenizer, text, n_bytes, limit, ret_ids, ret_count, err);
}

int sl_model_set_wrap(const struct sl_model_set *set, const char *id, const uint32_t *ids,
                      uint32_t n, int32_t *ret_ids, uint32_t *ret_count, struct sl_error *err) {
    const struct sl_model *m = sl_model_set_find(set, id);
    if (!m) {
        return sl_fail(err, SL_NOTFOUND, "no model '%s' is loaded", id);
    }
    struct sl_wordpiece_limit limit = {m->max_tokens, m->truncate};
    return sl_wordpiece_wrap(m->tokenizer, ids, n, limit, ret_ids, ret_count, err);
}
