/* SPDX-License-Identifier: Apache-2.0
 * Loading of models, tokenising under their limits, packed weights, the known answer. */
#include "agent/executors/model_set.h"

#include "agent/executors/infer_gemm.h"
#include "agent/executors/infer_reference.h"
#include "tests/unit/agent/executors/infer_rig.h"

struct file {
    char path[64];
    struct sl_tiny_bert shape;
};

static struct sl_model_config config_of(const struct file *file, const char *id) {
    struct sl_model_config c = {0};
    snprintf(c.id, sizeof c.id, "%s", id);
    snprintf(c.path, sizeof c.path, "%s", file->path);
    return c;
}

static void test_load_and_find(void **state) {
    const struct file *file = *state;
    struct sl_model_config configs[] = {config_of(file, "a"), config_of(file, "b")};
    configs[1].max_tokens = 10;
    configs[1].truncate = true;
    struct sl_model_set *set = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_model_set_load(configs, 2, &set, &err), SL_OK);
    assert_int_equal(sl_model_set_count(set), 2);
    assert_string_equal(sl_model_set_at(set, 0)->id, "a");
    assert_int_equal(sl_model_set_at(set, 0)->max_tokens, file->shape.n_ctx);
    assert_int_equal(sl_model_set_find(set, "b")->max_tokens, 10);
    assert_null(sl_model_set_find(set, "c"));

    int32_t ids[256];
    uint32_t count = 77;
    assert_int_equal(sl_model_set_tokenize(set, "a", "abc", 3, ids, &count, &err), SL_OK);
    assert_true(count >= 3 && count <= 5);
    char words[80];
    for (size_t i = 0; i < sizeof words; i++) {
        words[i] = i % 2 ? ' ' : 'a';
    }
    count = 77;
    assert_int_equal(sl_model_set_tokenize(set, "b", words, sizeof words, ids, &count, &err),
                     SL_OK);
    assert_int_equal(count, 10); /* cut, because its entry says so */
    struct sl_model_config strict = configs[1];
    strict.truncate = false;
    struct sl_model_set *other = NULL;
    assert_int_equal(sl_model_set_load(&strict, 1, &other, &err), SL_OK);
    assert_int_equal(sl_model_set_tokenize(other, "b", words, sizeof words, ids, &count, &err),
                     -SL_LIMIT);
    assert_int_equal(count, 10); /* untouched */
    assert_int_equal(sl_model_set_tokenize(set, "c", "a", 1, ids, &count, &err), -SL_NOTFOUND);
    assert_int_equal(sl_model_set_tokenize(set, "a", "\xff", 1, ids, &count, &err), -SL_INVALID);
    sl_model_set_destroy(other);
    sl_model_set_destroy(set);

    assert_int_equal(sl_model_set_load(NULL, 0, &set, &err), SL_OK); /* none is fine */
    assert_int_equal(sl_model_set_count(set), 0);
    sl_model_set_destroy(set);
    sl_model_set_destroy(NULL);
}

static void test_refusals(void **state) {
    const struct file *file = *state;
    struct sl_model_config twice[] = {config_of(file, "a"), config_of(file, "a")};
    struct sl_model_set *set = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_model_set_load(twice, 2, &set, &err), -SL_EXISTS);
    twice[1] = config_of(file, "b");
    twice[1].max_tokens = file->shape.n_ctx + 1;
    assert_int_equal(sl_model_set_load(twice, 2, &set, &err), -SL_LIMIT);
    assert_non_null(strstr(err.text, "model 'b'"));
    twice[1].max_tokens = 2; /* [CLS] and [SEP] leave no room */
    assert_int_equal(sl_model_set_load(twice, 2, &set, &err), -SL_LIMIT);
    snprintf(twice[1].path, sizeof twice[1].path, "/no/such/file.gguf");
    assert_true(sl_model_set_load(twice, 2, &set, &err) < 0);
    assert_non_null(strstr(err.text, "/no/such/file.gguf"));
    struct sl_model_config many[SL_DEVICE_MODELS_MAX + 1];
    memset(many, 0, sizeof many);
    assert_int_equal(sl_model_set_load(many, SL_DEVICE_MODELS_MAX + 1, &set, &err), -SL_LIMIT);
    assert_null(set);
}

/* Element (out, in) of a packed matrix. */
static float packed(const struct sl_model_tensor *t, uint32_t k, uint32_t out, uint32_t in) {
    return t->data[(size_t)(out / SL_GEMM_PANEL) * k * SL_GEMM_PANEL + in * SL_GEMM_PANEL +
                   out % SL_GEMM_PANEL];
}

static void test_packing(void **state) {
    const struct file *file = *state;
    struct sl_model_config config = config_of(file, "a");
    struct sl_model_set *set = NULL;
    assert_int_equal(sl_model_set_load(&config, 1, &set, NULL), SL_OK);
    const struct sl_model *m = sl_model_set_at(set, 0);
    uint32_t e = m->bert->config.n_embd, f = m->bert->config.n_ff;
    for (uint32_t l = 0; l < m->bert->config.n_layer; l++) {
        const struct sl_bert_layer *want = &m->bert->layers[l];
        const struct sl_model_tensor *got = m->layers[l];
        const float *qkv[] = {want->q_w, want->k_w, want->v_w};
        const float *qkv_b[] = {want->q_b, want->k_b, want->v_b};
        for (uint32_t out = 0; out < 3 * e; out++) {
            assert_true(got[SL_LAYER_QKV_B].data[out] == qkv_b[out / e][out % e]);
            for (uint32_t in = 0; in < e; in++) {
                assert_true(packed(&got[SL_LAYER_QKV_W], e, out, in) ==
                            qkv[out / e][(out % e) * e + in]);
            }
        }
        for (uint32_t out = 0; out < e; out++) {
            for (uint32_t in = 0; in < f; in++) {
                assert_true(packed(&got[SL_LAYER_DOWN_W], f, out, in) ==
                            want->down_w[out * f + in]);
            }
        }
        assert_int_equal((uintptr_t)got[SL_LAYER_UP_W].data % 4096, 0);
    }
    sl_model_set_destroy(set);
}

/* The agent's own double precision pass and the tests' are two programs; they must agree. */
static void test_known_answer(void **state) {
    const struct file *file = *state;
    struct sl_model_config config = config_of(file, "a");
    struct sl_model_set *set = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_model_set_load(&config, 1, &set, NULL), SL_OK);
    const struct sl_model *m = sl_model_set_at(set, 0);
    double want[64];
    assert_int_equal(sl_ref64_embed(m->bert, m->canary_ids, m->canary_tokens, want), 0);
    assert_true(rig_gap(m->canary_vector, want, m->bert->config.n_embd) < 1e-12);
    float out[64];
    static const int32_t outside[] = {1, 96};
    assert_int_equal(sl_infer_reference(m->bert, outside, 2, out, &err), -SL_INVALID);
    assert_int_equal(sl_infer_reference(m->bert, outside, 0, out, &err), -SL_INVALID);
    static const float x[] = {1, 0}, y[] = {0, 2}, zero[] = {0, 0};
    assert_true(fabs(sl_infer_cosine_gap(x, y, 2) - 1) < 1e-12);
    assert_true(fabs(sl_infer_cosine_gap(y, y, 2)) < 1e-12);
    assert_true(sl_infer_cosine_gap(x, zero, 2) > 1);
    sl_model_set_destroy(set);
}

static int setup(void **state) {
    static struct file file;
    file.shape = sl_tiny_bert_default();
    snprintf(file.path, sizeof file.path, "/tmp/sluice-tiny-XXXXXX");
    int fd = mkstemp(file.path);
    if (fd < 0 || close(fd) < 0) {
        return -1;
    }
    *state = &file;
    return sl_tiny_bert_save(&file.shape, file.path, NULL);
}

static int teardown(void **state) {
    const struct file *file = *state;
    return unlink(file->path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_and_find),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_known_answer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
