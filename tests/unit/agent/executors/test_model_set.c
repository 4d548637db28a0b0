/* SPDX-License-Identifier: Apache-2.0
 * Loading of models, tokenising under their limits, packed weights, the known answer. */
#include "agent/executors/model_set.h"

#include <ctype.h>

#include "agent/executors/infer_reference.h"
#include "proto/base/text.h"
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

static void keep_bad(void *context, const struct sl_model_config *model,
                     const struct sl_error *why) {
    struct sl_buf *said = context;
    sl_buf_printf(said, "%s: %s\n", model->id, why->text);
}

/* The good ones are there whatever stands before, between and behind them. */
static void test_bad_ones_are_left_out(void **state) {
    const struct file *file = *state;
    struct sl_model_config configs[] = {config_of(file, "w"), config_of(file, "a"),
                                        config_of(file, "x"), config_of(file, "b"),
                                        config_of(file, "y")};
    SL_AUTO_BUF struct sl_buf said = {0};
    struct sl_model_set *set = NULL;
    snprintf(configs[0].path, sizeof configs[0].path, "/no/such/file.gguf");
    memset(configs[2].sha256, '0', 64); /* refused half-built */
    configs[4].max_tokens = 1;
    assert_int_equal(sl_model_set_load_some(configs, 5, keep_bad, &said, &set, NULL), SL_OK);
    assert_int_equal(sl_model_set_count(set), 2);
    assert_string_equal(sl_model_set_at(set, 0)->id, "a");
    assert_string_equal(sl_model_set_at(set, 1)->id, "b");
    assert_null(sl_model_set_find(set, "x"));
    assert_non_null(strstr(said.data, "w: "));
    assert_non_null(strstr(said.data, "x: "));
    assert_non_null(strstr(said.data, "y: "));
    sl_model_set_destroy(set);
    assert_int_equal(sl_model_set_load_some(configs, 1, keep_bad, &said, &set, NULL), SL_OK);
    assert_int_equal(sl_model_set_count(set), 0);
    sl_model_set_destroy(set);
}

static void test_pinned(void **state) {
    const struct file *file = *state;
    struct sl_model_config config = config_of(file, "a");
    struct sl_model_set *set = NULL;
    struct sl_error err = {0};
    struct sl_file_stamp stamp;
    char sha256[65];
    assert_int_equal(sl_file_sha256(file->path, sha256, &stamp, &err), SL_OK);
    snprintf(config.sha256, sizeof config.sha256, "%s", sha256);
    config.sha256[0] = (char)toupper(config.sha256[0]);
    assert_int_equal(sl_model_set_load(&config, 1, &set, &err), SL_OK);
    assert_string_equal(sl_model_set_at(set, 0)->sha256, sha256);
    sl_model_set_destroy(set);
    config.sha256[5] = config.sha256[5] == '0' ? '1' : '0';
    assert_int_equal(sl_model_set_load(&config, 1, &set, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "pins"));
    assert_non_null(strstr(err.text, sha256));
}

static void put_bytes(const char *path, const void *bytes, size_t n) {
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

/* The loaded model does not care what becomes of its file, and sl_model_set_look tells. */
static void test_file_that_changes(void **state) {
    const struct file *file = *state;
    struct sl_tiny_bert shape = file->shape;
    SL_AUTO_BUF struct sl_buf bytes = {0}, others = {0};
    char path[] = "/tmp/sluice-tiny-XXXXXX";
    close(mkstemp(path));
    assert_int_equal(sl_tiny_bert_bytes(&shape, &bytes, NULL), SL_OK);
    shape.seed++;
    assert_int_equal(sl_tiny_bert_bytes(&shape, &others, NULL), SL_OK);
    put_bytes(path, bytes.data, bytes.len);
    struct sl_model_config config = config_of(file, "a");
    snprintf(config.path, sizeof config.path, "%s", path);
    struct sl_model_set *set = NULL;
    assert_int_equal(sl_model_set_load(&config, 1, &set, NULL), SL_OK);
    const struct sl_model *m = sl_model_set_at(set, 0);
    struct sl_file_stamp stamp = m->stamp;
    enum sl_model_file seen = sl_model_set_look(m, SL_MODEL_FILE_SAME, &stamp);
    assert_int_equal(seen, SL_MODEL_FILE_SAME);
    assert_int_equal(truncate(path, 100), 0); /* would be a SIGBUS for who has it mapped */
    double sum = 0;
    for (size_t i = 0; i < m->packed_bytes; i++) {
        sum += m->packed[i];
    }
    assert_true(sum > 0);
    int32_t ids[16];
    uint32_t count = 0;
    assert_int_equal(sl_model_set_tokenize(set, "a", "a cat", 5, ids, &count, NULL), SL_OK);
    seen = sl_model_set_look(m, seen, &stamp);
    assert_int_equal(seen, SL_MODEL_FILE_CHANGED);
    assert_int_equal(sl_model_set_look(m, seen, &stamp), SL_MODEL_FILE_CHANGED);
    put_bytes(path, bytes.data, bytes.len); /* put back: same bytes, other stamp */
    seen = sl_model_set_look(m, seen, &stamp);
    assert_int_equal(seen, SL_MODEL_FILE_SAME);
    put_bytes(path, others.data, others.len); /* as long, other weights */
    seen = sl_model_set_look(m, seen, &stamp);
    assert_int_equal(seen, SL_MODEL_FILE_CHANGED);
    unlink(path);
    seen = sl_model_set_look(m, seen, &stamp);
    assert_int_equal(seen, SL_MODEL_FILE_GONE);
    put_bytes(path, bytes.data, bytes.len);
    assert_int_equal(sl_model_set_look(m, seen, &stamp), SL_MODEL_FILE_SAME);
    unlink(path);
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
    struct rig_weights weights;
    rig_weights_open(&weights, &file->shape, SL_GGML_F32);
    assert_int_equal(sl_ref64_embed(weights.model, m->canary_ids, m->canary_tokens, want), 0);
    assert_true(rig_gap(m->canary_vector, want, m->bert->config.n_embd) < 1e-12);
    float out[64];
    static const int32_t outside[] = {1, 96};
    assert_int_equal(sl_infer_reference(weights.model, outside, 2, out, &err), -SL_INVALID);
    assert_int_equal(sl_infer_reference(weights.model, outside, 0, out, &err), -SL_INVALID);
    static const float x[] = {1, 0}, y[] = {0, 2}, zero[] = {0, 0};
    assert_true(fabs(sl_infer_cosine_gap(x, y, 2) - 1) < 1e-12);
    assert_true(fabs(sl_infer_cosine_gap(y, y, 2)) < 1e-12);
    assert_true(sl_infer_cosine_gap(x, zero, 2) > 1);
    rig_weights_close(&weights);
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
        cmocka_unit_test(test_load_and_find),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bad_ones_are_left_out), cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_file_that_changes),     cmocka_unit_test(test_known_answer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
