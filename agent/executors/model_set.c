/* SPDX-License-Identifier: Apache-2.0
 * Loading of models, packing of weights, known answers. */
#include "agent/executors/model_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/executors/infer_gemm.h"
#include "agent/executors/infer_reference.h"
#include "proto/base/text.h"

/* Tensors start at page ends, so that a CPU device can use them in place. */
#define ALIGN_BYTES 4096u
#define ALIGN_FLOATS (ALIGN_BYTES / sizeof(float))

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
    sl_gguf_close(m->file);
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

/* One source of a packed tensor: up to three matrices side by side, or plain vectors. */
struct source {
    const float *part[3];
    uint32_t parts;
    uint32_t n; /* rows (columns of the product) of one part */
    uint32_t k; /* 0: a vector */
};

static void layer_sources(const struct sl_bert_config *c, const struct sl_bert_layer *l,
                          struct source out[SL_LAYER_TENSORS]) {
    uint32_t e = c->n_embd, f = c->n_ff;
    out[SL_LAYER_QKV_W] = (struct source){{l->q_w, l->k_w, l->v_w}, 3, e, e};
    out[SL_LAYER_QKV_B] = (struct source){{l->q_b, l->k_b, l->v_b}, 3, e, 0};
    out[SL_LAYER_OUT_W] = (struct source){{l->out_w}, 1, e, e};
    out[SL_LAYER_OUT_B] = (struct source){{l->out_b}, 1, e, 0};
    out[SL_LAYER_ATTN_NORM_W] = (struct source){{l->attn_norm_w}, 1, e, 0};
    out[SL_LAYER_ATTN_NORM_B] = (struct source){{l->attn_norm_b}, 1, e, 0};
    out[SL_LAYER_UP_W] = (struct source){{l->up_w}, 1, f, e};
    out[SL_LAYER_UP_B] = (struct source){{l->up_b}, 1, f, 0};
    out[SL_LAYER_DOWN_W] = (struct source){{l->down_w}, 1, e, f};
    out[SL_LAYER_DOWN_B] = (struct source){{l->down_b}, 1, e, 0};
    out[SL_LAYER_OUT_NORM_W] = (struct source){{l->out_norm_w}, 1, e, 0};
    out[SL_LAYER_OUT_NORM_B] = (struct source){{l->out_norm_b}, 1, e, 0};
}

static size_t source_floats(const struct source *s) {
    uint32_t n = s->parts * s->n;
    return s->k ? sl_gemm_packed_bytes(SL_WEIGHT_F32, n, s->k) / sizeof(float) : sl_gemm_padded(n);
}

static void source_pack(const struct source *s, float *out) {
    for (uint32_t i = 0; i < s->parts; i++) {
        if (s->k) {
            sl_gemm_pack(SL_WEIGHT_F32, s->part[i], s->n, s->k, i * s->n, out);
        } else {
            memcpy(out + (size_t)i * s->n, s->part[i], s->n * sizeof *out);
        }
    }
}

static size_t aligned(size_t floats) {
    return (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

static int pack_layers(struct sl_model *m, struct sl_error *err) {
    const struct sl_bert_config *c = &m->bert->config;
    struct source sources[SL_LAYER_TENSORS] = {0};
    layer_sources(c, &m->bert->layers[0], sources);
    size_t per_layer = 0; /* limits of bert_config.h keep these products far below 2^63 */
    for (size_t t = 1; t < SL_LAYER_TENSORS; t++) {
        per_layer += aligned(source_floats(&sources[t]));
    }
    size_t bytes = per_layer * c->n_layer * sizeof(float);
    m->layers = calloc(c->n_layer, sizeof *m->layers);
    m->packed = aligned_alloc(ALIGN_BYTES, bytes);
    if (!m->layers || !m->packed) {
        return sl_fail(err, SL_NOMEM, "packed weights need %zu MiB", bytes >> 20);
    }
    memset(m->packed, 0, bytes);
    float *at = m->packed;
    for (uint32_t l = 0; l < c->n_layer; l++) {
        layer_sources(c, &m->bert->layers[l], sources);
        for (size_t t = 1; t < SL_LAYER_TENSORS; t++) {
            size_t floats = source_floats(&sources[t]);
            source_pack(&sources[t], at);
            m->layers[l][t] = (struct sl_model_tensor){at, floats};
            at += aligned(floats);
        }
    }
    size_t width = c->n_embd;
    m->embed[SL_EMBED_TOKEN] =
        (struct sl_model_tensor){m->bert->token_embd, (size_t)c->n_vocab * width};
    m->embed[SL_EMBED_POSITION] =
        (struct sl_model_tensor){m->bert->pos_embd, (size_t)c->n_ctx * width};
    m->embed[SL_EMBED_TYPE] = (struct sl_model_tensor){m->bert->type_embd, width};
    m->embed[SL_EMBED_NORM_W] = (struct sl_model_tensor){m->bert->embd_norm_w, width};
    m->embed[SL_EMBED_NORM_B] = (struct sl_model_tensor){m->bert->embd_norm_b, width};
    return SL_OK;
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

static int model_load(const struct sl_model_config *config, struct sl_model *m,
                      struct sl_error *err) {
    sl_text_copy(m->id, sizeof m->id, config->id);
    m->truncate = config->truncate;
    int rc = sl_gguf_open(config->path, &m->file, err);
    if (rc == SL_OK) {
        rc = sl_bert_model_load(m->file, &m->bert, err);
    }
    if (rc == SL_OK) {
        rc = sl_wordpiece_create(m->file, &m->tokenizer, err);
    }
    if (rc < 0) {
        return rc;
    }
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
    rc = pack_layers(m, err);
    return rc < 0 ? rc : make_canary(m, err);
}

int sl_model_set_load(const struct sl_model_config *configs, size_t count,
                      struct sl_model_set **ret_set, struct sl_error *err) {
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
        int rc = model_load(&configs[i], &set->models[i], err);
        if (rc < 0) {
            sl_wrap(err, "model '%s'", configs[i].id);
            return rc;
        }
    }
    *ret_set = sl_take(&set);
    return SL_OK;
}

size_t sl_model_set_count(const struct sl_model_set *set) {
    return set->count;
}

const struct sl_model *sl_model_set_at(const struct sl_model_set *set, size_t index) {
    return &set->models[index];
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
