/* SPDX-License-Identifier: Apache-2.0
 * A bert model's keys and tensors: bound with the right shapes, refused by name otherwise. */
#include "agent/models/bert_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/models/gguf_writer.h"
#include "tests/unit/agent/models/tiny_bert.h"

static void test_tiny(void **state) {
    (void)state;
    struct sl_tiny_bert shape = sl_tiny_bert_default();
    SL_AUTO_BUF struct sl_buf bytes = {0};
    SL_AUTO(sl_gguf) file = NULL;
    SL_AUTO(sl_bert_model) model = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_tiny_bert_bytes(&shape, &bytes, &err), SL_OK);
    assert_int_equal(sl_gguf_open_memory(bytes.data, bytes.len, &file, &err), SL_OK);
    if (sl_bert_model_load(file, &model, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(model->config.n_layer, 2);
    assert_int_equal(model->config.n_embd, 64);
    assert_int_equal(model->config.n_head, 4);
    assert_int_equal(model->config.n_ff, 128);
    assert_int_equal(model->config.n_vocab, 96);
    assert_int_equal(model->config.n_ctx, 64);
    assert_int_equal(model->config.n_types, 2);
    assert_int_equal(model->config.pooling, SL_BERT_POOL_MEAN);
    assert_ptr_equal(model->token_embd.data, sl_gguf_find_tensor(file, "token_embd.weight")->data);
    assert_ptr_equal(model->layers[1].down_w.data,
                     sl_gguf_find_tensor(file, "blk.1.ffn_down.weight")->data);
    assert_ptr_equal(model->layers[1].out_norm_b,
                     sl_gguf_find_tensor(file, "blk.1.layer_output_norm.bias")->data);
    assert_ptr_equal(model->layers[0].attn_norm_w,
                     sl_gguf_find_tensor(file, "blk.0.attn_output_norm.weight")->data);
}

/* Copies a sound model key by key and tensor by tensor, with one change. */
struct change {
    const char *key;        /* its value becomes `value`; a new key if the model has none */
    uint32_t value;         /* as uint32; eps as its bits */
    const char *drop;       /* key or tensor to leave out */
    const char *tensor;     /* gets another shape */
    uint64_t columns, rows; /* rows 0: a vector */
    const char *add;        /* an additional tensor */
    const char *retyped;    /* tensor whose type becomes `type` */
    enum sl_ggml_type type;
    const char *architecture;
    size_t pieces; /* 0: one */
    int status;
    const char *says;
};

#define EPS "bert.attention.layer_norm_epsilon"
static const char *const u32_keys[] = {
    "bert.block_count",         "bert.context_length", "bert.embedding_length",
    "bert.feed_forward_length", "bert.pooling_type",   "bert.attention.head_count",
};

static bool is(const char *a, const char *b) {
    return a && strcmp(a, b) == 0;
}

static void copy_keys(const struct sl_gguf *from, const struct change *c,
                      struct sl_gguf_writer *w) {
    const char *architecture = c->architecture ? c->architecture : "bert";
    const struct sl_gguf_text pieces[2] = {{"x", 1}, {"y", 1}};
    float eps = 1e-12F;
    bool done = false;
    if (!is(c->drop, "general.architecture")) {
        sl_gguf_put_text(w, "general.architecture",
                         (struct sl_gguf_text){architecture, strlen(architecture)});
    }
    for (size_t i = 0; i < sizeof u32_keys / sizeof u32_keys[0]; i++) {
        uint32_t value = 0;
        assert_int_equal(sl_gguf_get_u32(from, u32_keys[i], &value, NULL), SL_OK);
        done |= is(c->key, u32_keys[i]);
        if (!is(c->drop, u32_keys[i])) {
            sl_gguf_put_u32(w, u32_keys[i], is(c->key, u32_keys[i]) ? c->value : value);
        }
    }
    if (is(c->key, EPS)) {
        memcpy(&eps, &c->value, sizeof eps);
        done = true;
    }
    sl_gguf_put_f32(w, EPS, eps);
    if (is(c->key, "bert.attention.causal")) {
        sl_gguf_put_bool(w, c->key, c->value);
        done = true;
    }
    if (c->key && !done) {
        sl_gguf_put_u32(w, c->key, c->value);
    }
    sl_gguf_put_texts(w, "tokenizer.ggml.tokens", pieces, c->pieces ? c->pieces : 1);
}

static void copy_tensors(const struct sl_gguf *from, const struct change *c,
                         struct sl_gguf_writer *w) {
    for (size_t i = 0; i < sl_gguf_tensor_count(from); i++) {
        const struct sl_gguf_tensor *t = sl_gguf_tensor_at(from, i);
        uint64_t dims[2] = {t->dims[0], t->dims[1]};
        uint32_t n_dims = t->n_dims;
        if (is(c->drop, t->name)) {
            continue;
        }
        if (is(c->tensor, t->name)) {
            dims[0] = c->columns;
            dims[1] = c->rows;
            n_dims = c->rows ? 2 : 1;
        }
        sl_gguf_put_tensor_data(w, t->name, is(c->retyped, t->name) ? c->type : SL_GGML_F32, n_dims,
                                dims, t->data);
    }
    if (c->add) {
        static const float zero[64];
        sl_gguf_put_tensor_data(w, c->add, SL_GGML_F32, 1, (const uint64_t[]){64}, zero);
    }
}

static int load_changed(const struct sl_gguf *from, const struct change *c, struct sl_error *err) {
    SL_AUTO(sl_gguf_writer) w = NULL;
    SL_AUTO_BUF struct sl_buf bytes = {0};
    SL_AUTO(sl_gguf) file = NULL;
    SL_AUTO(sl_bert_model) model = NULL;
    assert_int_equal(sl_gguf_writer_create(&w, NULL), SL_OK);
    copy_keys(from, c, w);
    copy_tensors(from, c, w);
    assert_int_equal(sl_gguf_writer_bytes(w, &bytes, NULL), SL_OK);
    assert_int_equal(sl_gguf_open_memory(bytes.data, bytes.len, &file, NULL), SL_OK);
    int rc = sl_bert_model_load(file, &model, err);
    assert_true((model != NULL) == (rc == SL_OK));
    return rc;
}

static const struct change changes[] = {
    {.status = SL_OK, .says = ""},
    {.key = "bert.pooling_type", .value = 2, .status = SL_OK, .says = ""},
    {.key = "bert.pooling_type",
     .value = 0,
     .status = -SL_UNSUPPORTED,
     .says = "pooling_type is 0 (none)"},
    {.key = "bert.pooling_type",
     .value = 3,
     .status = -SL_UNSUPPORTED,
     .says = "pooling_type is 3 (last)"},
    {.drop = "bert.pooling_type", .status = -SL_NOTFOUND, .says = "bert.pooling_type"},
    {.architecture = "nomic-bert", .status = -SL_UNSUPPORTED, .says = "'nomic-bert'"},
    {.drop = "general.architecture", .status = -SL_NOTFOUND, .says = "general.architecture"},
    {.key = "bert.attention.causal", .value = 1, .status = -SL_UNSUPPORTED, .says = "causal"},
    {.key = "bert.attention.causal", .value = 0, .status = SL_OK, .says = ""},
    {.key = "bert.expert_count", .value = 8, .status = -SL_UNSUPPORTED, .says = "expert_count"},
    {.key = "bert.block_count", .value = 0, .status = -SL_LIMIT, .says = "block_count is 0"},
    {.key = "bert.block_count", .value = 129, .status = -SL_LIMIT, .says = "block_count is 129"},
    {.key = "bert.block_count", .value = 3, .status = -SL_NOTFOUND, .says = "blk.2."},
    {.key = "bert.block_count", .value = 1, .status = -SL_UNSUPPORTED, .says = "blk.1."},
    {.key = "bert.attention.head_count", .value = 5, .status = -SL_CORRUPT, .says = "divide"},
    {.key = "bert.embedding_length", .value = 32, .status = -SL_CORRUPT, .says = "token_embd"},
    {.key = "bert.feed_forward_length", .value = 64, .status = -SL_CORRUPT, .says = "ffn_up"},
    {.key = "bert.context_length", .value = 65, .status = -SL_CORRUPT, .says = "position_embd"},
    {.key = "bert.context_length", .value = 32, .status = SL_OK, .says = ""},
    {.key = EPS, .value = 0, .status = -SL_CORRUPT, .says = "epsilon"},
    {.key = EPS, .value = 0x7fc00000, .status = -SL_CORRUPT, .says = "epsilon"}, /* NaN */
    {.drop = "blk.1.attn_k.bias", .status = -SL_NOTFOUND, .says = "blk.1.attn_k.bias"},
    {.drop = "token_types.weight", .status = -SL_NOTFOUND, .says = "token_types.weight"},
    {.tensor = "blk.0.ffn_down.weight",
     .columns = 64,
     .rows = 128,
     .status = -SL_CORRUPT,
     .says = "64 x 128"},
    {.tensor = "blk.0.attn_q.bias", .columns = 63, .status = -SL_CORRUPT, .says = "attn_q.bias"},
    {.tensor = "blk.0.attn_q.bias",
     .columns = 64,
     .rows = 1,
     .status = -SL_CORRUPT,
     .says = "attn_q.bias"},
    /* The bytes stay those of floats: as halves some are no numbers. */
    {.retyped = "blk.0.attn_v.weight",
     .type = SL_GGML_F16,
     .status = -SL_CORRUPT,
     .says = "attn_v.weight holds a value that is no number"},
    {.retyped = "blk.0.attn_v.weight",
     .type = SL_GGML_Q4_0,
     .status = -SL_UNSUPPORTED,
     .says = "is Q4_0; bert is served with matrices in F32, F16 or Q8_0"},
    {.retyped = "blk.0.attn_v.bias",
     .type = SL_GGML_F16,
     .status = -SL_UNSUPPORTED,
     .says = "is F16; bert is served with biases and norms in F32"},
    {.add = "blk.0.attn_qkv.weight", .status = -SL_UNSUPPORTED, .says = "attn_qkv"},
    {.add = "blk.00.attn_q.bias", .status = -SL_CORRUPT, .says = "canonical"},
    /* More pieces than rows of embeddings would let an id point beyond them. */
    {.tensor = "token_embd.weight",
     .columns = 64,
     .rows = 1,
     .pieces = 2,
     .status = -SL_CORRUPT,
     .says = "2 pieces"},
    {.tensor = "token_embd.weight",
     .columns = 64,
     .rows = 2,
     .pieces = 2,
     .status = SL_OK,
     .says = ""},
    {.add = "output.weight", .status = -SL_UNSUPPORTED, .says = "output.weight"},
};

static void test_changes(void **state) {
    (void)state;
    struct sl_tiny_bert shape = sl_tiny_bert_default();
    SL_AUTO_BUF struct sl_buf bytes = {0};
    SL_AUTO(sl_gguf) from = NULL;
    assert_int_equal(sl_tiny_bert_bytes(&shape, &bytes, NULL), SL_OK);
    assert_int_equal(sl_gguf_open_memory(bytes.data, bytes.len, &from, NULL), SL_OK);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct sl_error err = {0};
        int rc = load_changed(from, &changes[i], &err);
        if (rc != changes[i].status || !strstr(err.text, changes[i].says)) {
            fail_msg("change %zu: %d '%s', expected %d '%s'", i, rc, err.text, changes[i].status,
                     changes[i].says);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
