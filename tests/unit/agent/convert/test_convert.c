/* SPDX-License-Identifier: Apache-2.0
 * Whole conversions of a small folder, sound and spoilt. */
#include "agent/convert/convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/models/ggml_row.h"
#include "agent/models/wordpiece.h"
#include "tests/unit/agent/convert/hf_sample.h"

static int convert(const struct hf_sample *sample, struct sl_error *err) {
    struct sl_convert_request request = {.folder = sample->folder, .out = sample->out};
    struct sl_convert_report report;
    return sl_convert(&request, &report, err);
}

static void check_tensors(const struct sl_gguf *file) {
    for (size_t t = 0; t < HF_SAMPLE_TENSORS; t++) {
        const struct hf_sample_tensor *want = &hf_sample_tensors[t];
        if (!want->gguf) {
            continue;
        }
        const struct sl_gguf_tensor *got = sl_gguf_find_tensor(file, want->gguf);
        assert_non_null(got);
        assert_int_equal(got->type, SL_GGML_F32);
        assert_int_equal(got->n_dims, want->rows ? 2 : 1);
        assert_int_equal(got->dims[0], want->columns);
        assert_int_equal(got->dims[1], want->rows ? want->rows : 1);
        const float *values = got->data;
        for (size_t i = 0; i < got->bytes / sizeof(float); i++) {
            assert_true(values[i] == hf_sample_value(t, i));
        }
    }
}

static void check_result(const struct hf_sample *sample) {
    struct sl_error err = {0};
    SL_AUTO(sl_gguf) file = NULL;
    SL_AUTO(sl_bert_model) model = NULL;
    SL_AUTO(sl_wordpiece) wp = NULL;
    struct sl_gguf_text name;
    static const int32_t want[] = {2, 5, 6, 7, 3};
    int32_t ids[16];
    uint32_t n = 0;
    assert_int_equal(sl_gguf_open(sample->out, &file, &err), SL_OK);
    assert_int_equal(sl_bert_model_load(file, &model, &err), SL_OK);
    assert_int_equal(model->config.n_head, 2);
    assert_int_equal(model->config.n_ctx, 5);
    assert_int_equal(model->config.pooling, SL_BERT_POOL_MEAN);
    assert_int_equal(sl_gguf_get_text(file, "general.name", &name, &err), SL_OK);
    assert_true(sl_gguf_text_is(name, "out-model"));
    check_tensors(file);
    assert_int_equal(sl_wordpiece_create(file, &wp, &err), SL_OK);
    assert_int_equal(
        sl_wordpiece_encode(wp, "Cats!", 5, (struct sl_wordpiece_limit){5, false}, ids, &n, &err),
        SL_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(ids, want, sizeof want);
}

static void test_all_types(void **state) {
    (void)state;
    static const char *const rows[][2] = {{"F32", ""}, {"F16", ""}, {"BF16", ""}, {"F32", "bert."}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hf_sample sample;
        struct sl_error err = {0};
        hf_sample_make(&sample, rows[i][0], rows[i][1]);
        if (convert(&sample, &err)) {
            fail_msg("%s %s: %s", rows[i][0], rows[i][1], err.text);
        }
        check_result(&sample);
        hf_sample_remove(&sample);
    }
}

/* Matrices in the wanted type, tables of few rows and vectors in F32. */
static void test_half(void **state) {
    (void)state;
    struct hf_sample sample;
    struct sl_error err = {0};
    SL_AUTO(sl_gguf) file = NULL;
    uint32_t file_type = 0;
    hf_sample_make(&sample, "F32", "");
    struct sl_convert_request request = {
        .folder = sample.folder, .out = sample.out, .type = SL_GGML_F16};
    struct sl_convert_report report;
    assert_int_equal(sl_convert(&request, &report, &err), SL_OK);
    assert_int_equal(sl_gguf_open(sample.out, &file, &err), SL_OK);
    assert_int_equal(sl_gguf_get_u32(file, "general.file_type", &file_type, &err), SL_OK);
    assert_int_equal(file_type, 1);
    for (size_t t = 0; t < HF_SAMPLE_TENSORS; t++) {
        const struct hf_sample_tensor *want = &hf_sample_tensors[t];
        if (!want->gguf) {
            continue;
        }
        const struct sl_gguf_tensor *got = sl_gguf_find_tensor(file, want->gguf);
        bool plain = !want->rows || strcmp(want->gguf, "position_embd.weight") == 0 ||
                     strcmp(want->gguf, "token_types.weight") == 0;
        assert_int_equal(got->type, plain ? SL_GGML_F32 : SL_GGML_F16);
        float values[64];
        size_t n = (want->rows ? want->rows : 1) * (size_t)want->columns;
        sl_ggml_row_floats(got->type, got->data, n, values);
        for (size_t i = 0; i < n; i++) {
            assert_true(values[i] == hf_sample_value(t, i)); /* exact in all types */
        }
    }
    request.type = SL_GGML_Q8_0; /* 4 and 6 columns are no blocks of 32 */
    assert_int_equal(sl_convert(&request, &report, &err), -SL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "use --type f16"));
    hf_sample_remove(&sample);
}

static void test_tokenizer_json(void **state) {
    (void)state;
    struct hf_sample sample;
    struct sl_error err = {0};
    hf_sample_make(&sample, "F32", "");
    hf_sample_put(&sample, "tokenizer.json", hf_sample_tokenizer_json);
    hf_sample_put(&sample, "vocab.txt", NULL);
    hf_sample_put(&sample, "tokenizer_config.json", NULL);
    if (convert(&sample, &err)) {
        fail_msg("%s", err.text);
    }
    check_result(&sample);
    hf_sample_remove(&sample);
}

/* As huggingface_hub keeps a snapshot: every file is a link to a blob elsewhere. */
static void test_folder_of_links(void **state) {
    (void)state;
    static const char *const names[] = {"config.json", "model.safetensors", "vocab.txt",
                                        "tokenizer_config.json", "1_Pooling/config.json"};
    struct hf_sample sample;
    struct sl_error err = {0};
    hf_sample_make(&sample, "F32", "");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128], blob[160];
        snprintf(path, sizeof path, "%s/%s", sample.folder, names[i]);
        snprintf(blob, sizeof blob, "%s.blob%zu", sample.folder, i);
        assert_int_equal(rename(path, blob), 0);
        assert_int_equal(symlink(blob, path), 0);
    }
    if (convert(&sample, &err)) {
        fail_msg("%s", err.text);
    }
    check_result(&sample);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char blob[160];
        snprintf(blob, sizeof blob, "%s.blob%zu", sample.folder, i);
        assert_int_equal(unlink(blob), 0);
    }
    hf_sample_remove(&sample);
}

/* One change of a sound folder each. `with` NULL removes the file, `old` NULL replaces all of it.
 */
static const struct {
    const char *file, *old, *with;
    const char *says;
} spoilt[] = {
    {"model.safetensors", NULL, NULL, "no model.safetensors"},
    {"model.safetensors", NULL, "", "empty"},
    {"model.safetensors", NULL, "PK\3\4 something else entirely", "header"},
    {"model.safetensors", "[8,4]", "[4,8]", "only 4 rows"},
    {"model.safetensors", "attention.self.query.bias", "attention.self.quer9.bias",
     "no tensor encoder.layer.0.attention.self.query.bias"},
    {"model.safetensors", "pooler.dense.bias", "puuler.dense.bias", "puuler.dense.bias"},
    {"model.safetensors", "\"F32\",\"shape\":[8,4]", "\"U32\",\"shape\":[8,4]",
     "not F32, F16 or BF16"},
    {"config.json", "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2", "encoder.layer.1."},
    {"config.json", "\"vocab_size\": 8", "\"vocab_size\": 7", "has 8 pieces"},
    {"config.json", "\"vocab_size\": 8", "\"vocab_size\": 9", NULL}, /* the tensor decides */
    {"config.json", "\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "divide"},
    {"config.json", "\"max_position_embeddings\": 5", "\"max_position_embeddings\": 6",
     "position_embd"},
    {"vocab.txt", "##s", "cat", "the same"},
};

static void test_spoilt(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        struct hf_sample sample;
        struct sl_error err = {0};
        hf_sample_make(&sample, "F32", "");
        if (spoilt[i].old) {
            hf_sample_replace(&sample, spoilt[i].file, spoilt[i].old, spoilt[i].with);
        } else {
            hf_sample_put(&sample, spoilt[i].file, spoilt[i].with);
        }
        int rc = convert(&sample, &err);
        bool as_said = spoilt[i].says ? rc < 0 && strstr(err.text, spoilt[i].says) : rc == SL_OK;
        if (!as_said) {
            fail_msg("case %zu (%s): %d '%s'", i, spoilt[i].file, rc, err.text);
        }
        /* Nothing half-made is left. */
        assert_int_equal(access(sample.out, F_OK), spoilt[i].says ? -1 : 0);
        hf_sample_remove(&sample);
    }
}

static void test_not_finite(void **state) {
    (void)state;
    struct hf_sample sample;
    struct sl_error err = {0};
    char path[128];
    hf_sample_make(&sample, "F32", "");
    snprintf(path, sizeof path, "%s/model.safetensors", sample.folder);
    FILE *out = fopen(path, "r+e");
    assert_non_null(out);
    /* The last value before position_ids (5 x 8 bytes) is the pooler's, 20 values from the end; the
     * layer's last one stands before the pooler's. */
    assert_int_equal(fseek(out, -(5 * 8 + 20 * 4 + 4), SEEK_END), 0);
    assert_int_equal(fwrite("\0\0\xc0\x7f", 1, 4, out), 4);
    fclose(out);
    assert_int_equal(convert(&sample, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "output.LayerNorm.bias"));
    hf_sample_remove(&sample);
}

/* Every length and a flip of every byte of the weights: an error or a sound file, never a crash. */
static void test_damaged_weights(void **state) {
    (void)state;
    struct hf_sample sample;
    char path[128];
    static char bytes[1 << 14];
    hf_sample_make(&sample, "F16", "");
    snprintf(path, sizeof path, "%s/model.safetensors", sample.folder);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    size_t n = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    assert_true(n > 0 && n < sizeof bytes);
    for (size_t i = 0; i < n; i += 3) {
        struct sl_error err = {0};
        hf_sample_put_bytes(&sample, "model.safetensors", bytes, i);
        assert_true(convert(&sample, &err) < 0);
        assert_true(err.text[0] != '\0');
        bytes[i] = (char)(bytes[i] ^ 0x15);
        hf_sample_put_bytes(&sample, "model.safetensors", bytes, n);
        int rc = convert(&sample, &err);
        assert_true(rc == SL_OK || err.text[0] != '\0');
        bytes[i] = (char)(bytes[i] ^ 0x15);
    }
    hf_sample_remove(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_types),       cmocka_unit_test(test_half),
        cmocka_unit_test(test_folder_of_links), cmocka_unit_test(test_tokenizer_json),
        cmocka_unit_test(test_spoilt),          cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_damaged_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
