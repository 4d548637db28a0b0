/* SPDX-License-Identifier: Apache-2.0
 * The models that an agent offers, loaded once and shared read-only by all its devices: checked
 * GGUF, tokenizer, weights packed for the engine's matrix products, and a known answer.
 *
 * Loading reads the whole file and computes the known answer in double precision on the host, which
 * takes a moment (MiniLM: under a second). What stays is one packed copy of the weights, in the
 * types of the file; CPU devices use it in place, others copy it to their memory. Nothing points
 * into the file any more, so whatever happens to it later changes no result: sl_model_set_look
 * tells that something did, and docs/models.md what then.
 *
 * Thread: constant after load; any number of threads may tokenise and read. */
#ifndef SLUICE_AGENT_EXECUTORS_MODEL_SET_H
#define SLUICE_AGENT_EXECUTORS_MODEL_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/executors/executor.h"
#include "agent/models/bert_config.h"
#include "agent/models/gguf.h"
#include "agent/models/mapping.h"
#include "agent/models/wordpiece.h"
#include "proto/base/cleanup.h"
#include "proto/base/error.h"

/* One layer's tensors as the engine wants them. Weights are packed (infer_gemm.h), biases of
 * packed weights are padded to whole panels; QKV is three matrices side by side. */
enum sl_layer_tensor {
    SL_LAYER_INVALID = 0,
    SL_LAYER_QKV_W,
    SL_LAYER_QKV_B,
    SL_LAYER_OUT_W,
    SL_LAYER_OUT_B,
    SL_LAYER_ATTN_NORM_W,
    SL_LAYER_ATTN_NORM_B,
    SL_LAYER_UP_W,
    SL_LAYER_UP_B,
    SL_LAYER_DOWN_W,
    SL_LAYER_DOWN_B,
    SL_LAYER_OUT_NORM_W,
    SL_LAYER_OUT_NORM_B,
};
#define SL_LAYER_TENSORS 13 /* slot 0 stays unused */

enum sl_embed_tensor {
    SL_EMBED_INVALID = 0,
    SL_EMBED_TOKEN,
    SL_EMBED_POSITION,
    SL_EMBED_TYPE, /* row 0 only; as positions always F32 */
    SL_EMBED_NORM_W,
    SL_EMBED_NORM_B,
};
#define SL_EMBED_TENSORS 6

struct sl_model_tensor {
    const void *data;
    size_t bytes;
    enum sl_ggml_type type;
};

#define SL_CANARY_TOKENS 24u

struct sl_model {
    char id[64];
    uint32_t max_tokens; /* of one line, [CLS] and [SEP] included; <= config.n_ctx */
    bool truncate;
    char path[256];
    char sha256[65];            /* of the file as it was loaded */
    struct sl_file_stamp stamp; /* likewise */
    struct sl_wordpiece *tokenizer;
    struct sl_bert_model *bert; /* only its config: weights were dropped after packing */
    struct sl_model_tensor embed[SL_EMBED_TENSORS];
    struct sl_model_tensor (*layers)[SL_LAYER_TENSORS]; /* [n_layer] */
    unsigned char *packed; /* what embed and layers point into, page-aligned */
    size_t packed_bytes;
    /* Known answer: the vector of these ids by the host's own double precision pass. */
    uint32_t canary_tokens;
    int32_t canary_ids[SL_CANARY_TOKENS];
    float *canary_vector; /* [n_embd] */
};

/* Hears of a model that cannot be loaded, in place of the failure of all. */
typedef void (*sl_model_bad_fn)(void *context, const struct sl_model_config *model,
                                const struct sl_error *why);

/* Loads all or nothing; with `bad`, all that can be loaded. Refuses two entries with one id, a
 * max_tokens over the model's context, a tokenizer with more pieces than the model has rows, and
 * what the parts refuse; the text names the model. count may be 0. */
int sl_model_set_load(const struct sl_model_config *configs, size_t count,
                      struct sl_model_set **ret_set, struct sl_error *err);
int sl_model_set_load_some(const struct sl_model_config *configs, size_t count, sl_model_bad_fn bad,
                           void *context, struct sl_model_set **ret_set, struct sl_error *err);
void sl_model_set_destroy(struct sl_model_set *set); /* after every device that uses it */
SL_DEFINE_AUTO(sl_model_set, sl_model_set_destroy)

size_t sl_model_set_count(const struct sl_model_set *set);
const struct sl_model *sl_model_set_at(const struct sl_model_set *set, size_t index);
/* What has become of a model's file since it was loaded. */
enum sl_model_file {
    SL_MODEL_FILE_INVALID = 0,
    SL_MODEL_FILE_SAME,    /* as it was, by its stamp or by its SHA-256 */
    SL_MODEL_FILE_GONE,    /* not there, or not readable */
    SL_MODEL_FILE_CHANGED, /* other bytes */
};
/* Looks at the file; may read all of it and block on its disk. *stamp: what the look before found
 * (model->stamp at first); with an equal stamp nothing is read and `before` is the answer. */
enum sl_model_file sl_model_set_look(const struct sl_model *model, enum sl_model_file before,
                                     struct sl_file_stamp *stamp);

/* NULL when there is none. */
const struct sl_model *sl_model_set_find(const struct sl_model_set *set, const char *id);

/* Tokenises n_bytes of UTF-8 for a model, under its limit. ret_ids has room for the model's
 * max_tokens ids. -SL_NOTFOUND for an unknown model, -SL_LIMIT for over-long input where the
 * model's entry does not say `truncate`, -SL_INVALID for what is not UTF-8. */
int sl_model_set_tokenize(const struct sl_model_set *set, const char *id, const char *text,
                          size_t n_bytes, int32_t *ret_ids, uint32_t *ret_count,
                          struct sl_error *err);
/* As tokenize, for ids that the tenant made itself (sl_wordpiece_wrap). */
int sl_model_set_wrap(const struct sl_model_set *set, const char *id, const uint32_t *ids,
                      uint32_t n, int32_t *ret_ids, uint32_t *ret_count, struct sl_error *err);

#endif
