/* SPDX-License-Identifier: Apache-2.0
 * Weights in one file and in several: the same tensors, or a refusal that says what is wrong. */
#include "agent/convert/hf_weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/convert/convert.h"
#include "tests/unit/agent/convert/hf_sample.h"

#define INDEX "model.safetensors.index.json"

static size_t read_out(const struct hf_sample *sample, enum sl_ggml_type type, char *bytes,
                       size_t size) {
    struct sl_convert_request request = {
        .folder = sample->folder, .out = sample->out, .type = type};
    struct sl_convert_report report;
    struct sl_error err = {0};
    if (sl_convert(&request, &report, &err)) {
        fail_msg("%s", err.text);
    }
    SL_AUTO_FILE FILE *in = fopen(sample->out, "re");
    assert_non_null(in);
    return fread(bytes, 1, size, in);
}

/* One file, two, and one for each tensor: the same output, byte by byte. */
static void test_split_or_not_is_the_same(void **state) {
    (void)state;
    static char whole[1 << 16], split[1 << 16];
    static const struct {
        const char *dtype, *prefix;
        enum sl_ggml_type type;
    } rows[] = {{"F32", "", SL_GGML_F32}, {"BF16", "bert.", SL_GGML_F16}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t files = 1; files <= HF_SAMPLE_TENSORS; files += files < 3 ? 1 : 21) {
            struct hf_sample sample;
            hf_sample_make(&sample, rows[i].dtype, rows[i].prefix);
            size_t n = read_out(&sample, rows[i].type, whole, sizeof whole);
            hf_sample_split(&sample, rows[i].dtype, rows[i].prefix, files);
            assert_int_equal(read_out(&sample, rows[i].type, split, sizeof split), n);
            assert_true(n > 1000 && n < sizeof whole);
            assert_memory_equal(whole, split, n);
            hf_sample_remove(&sample);
        }
    }
}

static void test_one_file_comes_first(void **state) {
    (void)state;
    struct hf_sample sample;
    SL_AUTO(sl_hf_weights) weights = NULL;
    hf_sample_make(&sample, "F32", "");
    hf_sample_put(&sample, INDEX, "no JSON at all");
    assert_int_equal(sl_hf_weights_open(sample.folder, &weights, NULL), SL_OK);
    assert_string_equal(sl_hf_weights_name(weights), "model.safetensors");
    assert_int_equal(sl_hf_weights_count(weights), HF_SAMPLE_TENSORS);
    assert_null(sl_hf_weights_find(weights, "nothing"));
    hf_sample_remove(&sample);
}

/* One change of a folder in three files each. `old` NULL replaces all of the file, `with` NULL
 * removes it. */
static const struct {
    const char *file, *old, *with;
    enum sl_status status;
    const char *says;
} spoilt[] = {
    {INDEX, NULL, NULL, SL_NOTFOUND, "no model.safetensors and no " INDEX},
    {INDEX, NULL, "{", SL_CORRUPT, INDEX},
    {INDEX, NULL, "[]", SL_CORRUPT, "weight_map must be"},
    {INDEX, NULL, "{\"weight_map\": []}", SL_CORRUPT, "weight_map must be"},
    {INDEX, NULL, "{\"weight_map\": {}}", SL_CORRUPT, "weight_map must be"},
    {"model-1.safetensors", NULL, NULL, SL_NOTFOUND, "has no model-1.safetensors, in which tensor"},
    {"model-1.safetensors", NULL, "", SL_CORRUPT, "model-1.safetensors"},
    {"model-1.safetensors", "self.key.weight", "self.kez.weight", SL_CORRUPT, "is in no file"},
    {INDEX, "{\"embeddings", "{\"more\": \"model-0.safetensors\", \"embeddings", SL_CORRUPT,
     "model-0.safetensors has no tensor more"},
    {INDEX, "pooler.dense.bias", "pooler.dense.bia2", SL_CORRUPT,
     "tensor pooler.dense.bias, which by " INDEX " is in no file"},
    {INDEX, "model-0.safetensors", "model-1.safetensors", SL_CORRUPT, "fetch all files"},
    {INDEX, "{\"embeddings",
     "{\"pooler.dense.bias\": \"model-0.safetensors\", "
     "\"embeddings",
     SL_CORRUPT, "duplicate"},
    {INDEX, "\"model-0.safetensors\"", "\"../model-0.safetensors\"", SL_INVALID, "no file of this"},
    {INDEX, "\"model-0.safetensors\"", "\"/etc/passwd\"", SL_INVALID, "no file of this"},
    {INDEX, "\"model-0.safetensors\"", "\"1_Pooling/x\"", SL_INVALID, "no file of this"},
    {INDEX, "\"model-0.safetensors\"", "\"..\"", SL_INVALID, "no file of this"},
    {INDEX, "\"model-0.safetensors\"", "\"\"", SL_INVALID, "no file of this"},
    {INDEX, "\"model-0.safetensors\"", "\"a\\nb\"", SL_INVALID, "no file of this"},
    {INDEX, "\"model-0.safetensors\"", "3", SL_INVALID, "no file of this"},
    {INDEX, "\"model-0.safetensors\"", "null", SL_INVALID, "no file of this"},
    {INDEX, "\"pooler.dense.bias\"", "\"pooler\\u001b[2J\"", SL_INVALID, "the name of a tensor"},
    {INDEX, "\"pooler.dense.bias\"", "\"\"", SL_INVALID, "the name of a tensor"},
};

static void test_spoilt(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        struct hf_sample sample;
        struct sl_error err = {0};
        struct sl_hf_weights *weights = NULL;
        hf_sample_make(&sample, "F32", "");
        hf_sample_split(&sample, "F32", "", 3);
        if (spoilt[i].old) {
            hf_sample_replace(&sample, spoilt[i].file, spoilt[i].old, spoilt[i].with);
        } else {
            hf_sample_put(&sample, spoilt[i].file, spoilt[i].with);
        }
        int rc = sl_hf_weights_open(sample.folder, &weights, &err);
        if (rc != -(int)spoilt[i].status || !strstr(err.text, spoilt[i].says)) {
            fail_msg("case %zu (%s): %d '%s'", i, spoilt[i].file, rc, err.text);
        }
        assert_null(weights);
        hf_sample_remove(&sample);
    }
}

/* A second copy of a tensor, in a file of its own: which one counts would be chance. */
static void test_a_tensor_in_two_files(void **state) {
    (void)state;
    struct hf_sample sample;
    struct sl_error err = {0};
    struct sl_hf_weights *weights = NULL;
    char command[256];
    hf_sample_make(&sample, "F32", "");
    hf_sample_split(&sample, "F32", "", 3);
    snprintf(command, sizeof command, "cp %s/model-0.safetensors %s/model-9.safetensors",
             sample.folder, sample.folder);
    assert_int_equal(system(command), 0);
    hf_sample_replace(&sample, INDEX, "\"model-0.safetensors\"", "\"model-9.safetensors\"");
    assert_int_equal(sl_hf_weights_open(sample.folder, &weights, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "fetch all files of one version"));
    hf_sample_remove(&sample);
}

/* Of the largest number of files; one more is refused. */
static void test_many_files(void **state) {
    (void)state;
    struct hf_sample sample;
    hf_sample_make(&sample, "F32", "");
    hf_sample_put(&sample, "model.safetensors", NULL);
    for (int files = SL_HF_FILES_MAX; files <= SL_HF_FILES_MAX + 1; files++) {
        static char index[1 << 14];
        size_t n = (size_t)snprintf(index, sizeof index, "{\"weight_map\": {");
        for (int i = 0; i < files; i++) {
            char name[32], head[128], bytes[160] = {0};
            snprintf(name, sizeof name, "part%d", i);
            int len = snprintf(head, sizeof head,
                               "{\"t%d\":{\"dtype\":\"F32\",\"shape\":[1],"
                               "\"data_offsets\":[0,4]}}",
                               i);
            bytes[0] = (char)len;
            memcpy(bytes + 8, head, (size_t)len);
            hf_sample_put_bytes(&sample, name, bytes, 8 + (size_t)len + 4);
            n += (size_t)snprintf(index + n, sizeof index - n, "%s\"t%d\": \"%s\"", i ? "," : "", i,
                                  name);
        }
        snprintf(index + n, sizeof index - n, "}}");
        hf_sample_put(&sample, INDEX, index);
        struct sl_error err = {0};
        SL_AUTO(sl_hf_weights) weights = NULL;
        int rc = sl_hf_weights_open(sample.folder, &weights, &err);
        assert_int_equal(rc, files == SL_HF_FILES_MAX ? SL_OK : -SL_LIMIT);
        if (rc == SL_OK) {
            assert_int_equal(sl_hf_weights_count(weights), files);
            assert_string_equal(sl_hf_weights_at(weights, 100)->name,
                                sl_hf_weights_find(weights, "t100")->name);
        }
    }
    hf_sample_remove(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_or_not_is_the_same),
        cmocka_unit_test(test_one_file_comes_first),
        cmocka_unit_test(test_spoilt),
        cmocka_unit_test(test_a_tensor_in_two_files),
        cmocka_unit_test(test_many_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
