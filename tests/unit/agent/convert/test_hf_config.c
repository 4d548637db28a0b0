/* SPDX-License-Identifier: Apache-2.0
 * config.json, modules.json and pooling: read exactly, or refused by file and field. */
#include "agent/convert/hf_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/agent/convert/hf_sample.h"

static void test_sound(void **state) {
    (void)state;
    struct hf_sample sample;
    struct sl_bert_config c = {0};
    bool normalizes = false;
    hf_sample_make(&sample, "F32", "");
    assert_int_equal(sl_hf_read_config(sample.folder, &c, &normalizes, NULL), SL_OK);
    assert_true(normalizes);
    assert_int_equal(c.n_layer, 1);
    assert_int_equal(c.n_embd, 4);
    assert_int_equal(c.n_ff, 6);
    assert_int_equal(c.n_types, 2);
    assert_int_equal(c.pooling, SL_BERT_POOL_MEAN);
    assert_true(c.norm_eps == 1e-12F);
    hf_sample_put(&sample, "modules.json", NULL); /* plain HuggingFace folders have none */
    c = (struct sl_bert_config){0};
    assert_int_equal(sl_hf_read_config(sample.folder, &c, &normalizes, NULL), SL_OK);
    assert_false(normalizes);
    hf_sample_remove(&sample);
}

static void test_pooling_option(void **state) {
    (void)state;
    struct hf_sample sample;
    struct sl_error err = {0};
    struct sl_bert_config c = {.pooling = SL_BERT_POOL_CLS};
    bool normalizes;
    hf_sample_make(&sample, "F32", "");
    assert_int_equal(sl_hf_read_config(sample.folder, &c, &normalizes, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "contradicts"));
    hf_sample_put(&sample, "1_Pooling/config.json", NULL);
    c.pooling = SL_BERT_POOL_CLS;
    assert_int_equal(sl_hf_read_config(sample.folder, &c, &normalizes, &err), SL_OK);
    assert_int_equal(c.pooling, SL_BERT_POOL_CLS);
    c.pooling = (enum sl_bert_pooling)0;
    assert_int_equal(sl_hf_read_config(sample.folder, &c, &normalizes, &err), -SL_NOTFOUND);
    assert_non_null(strstr(err.text, "--pooling"));
    hf_sample_remove(&sample);
}

/* As sentence-transformers 6 writes it: one name, a list, and flags of old that do not count. */
static void test_named_pooling(void **state) {
    (void)state;
    static const struct {
        const char *file;
        enum sl_bert_pooling pooling;
    } rows[] = {
        {"{\"embedding_dimension\": 4, \"pooling_mode\": \"cls\", \"include_prompt\": true}",
         SL_BERT_POOL_CLS},
        {"{\"embedding_dimension\": 4, \"pooling_mode\": \"mean\", \"include_prompt\": true}",
         SL_BERT_POOL_MEAN},
        {"{\"pooling_mode\": [\"cls\"]}", SL_BERT_POOL_CLS},
        {"{\"pooling_mode_mean_tokens\": true, \"pooling_mode\": \"cls\"}", SL_BERT_POOL_CLS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hf_sample sample;
        struct sl_bert_config c = {0};
        struct sl_error err = {0};
        bool normalizes;
        hf_sample_make(&sample, "F32", "");
        hf_sample_put(&sample, "1_Pooling/config.json", rows[i].file);
        hf_sample_put(&sample, "sentence_bert_config.json",
                      "{\"modality_config\": {\"text\": {\"method\": \"forward\","
                      " \"method_output_name\": \"last_hidden_state\"}}}");
        if (sl_hf_read_config(sample.folder, &c, &normalizes, &err)) {
            fail_msg("%s: %s", rows[i].file, err.text);
        }
        assert_int_equal(c.pooling, rows[i].pooling);
        hf_sample_remove(&sample);
    }
}

/* `with` NULL removes the file, `old` NULL replaces all of it. */
static const struct {
    const char *file, *old, *with;
    int status;
    const char *says;
} spoilt[] = {
    {"config.json", NULL, NULL, -SL_NOTFOUND, "no config.json"},
    {"config.json", NULL, "{", -SL_CORRUPT, "line 1"},
    {"config.json", NULL, "[]", -SL_NOTFOUND, "no config.json with an object"},
    {"config.json", "\"bert\"", "\"roberta\"", -SL_UNSUPPORTED, "'roberta'"},
    {"config.json", "\"bert\"", "7", -SL_UNSUPPORTED, "model_type"},
    {"config.json", "\"gelu\"", "\"gelu_new\"", -SL_UNSUPPORTED, "hidden_act is 'gelu_new'"},
    {"config.json", "\"absolute\"", "\"relative_key\"", -SL_UNSUPPORTED, "position_embedding_type"},
    {"config.json", "\"hidden_size\": 4", "\"is_decoder\": true, \"hidden_size\": 4",
     -SL_UNSUPPORTED, "is_decoder"},
    {"config.json", "\"hidden_size\": 4", "\"quantization_config\": {}, \"hidden_size\": 4",
     -SL_UNSUPPORTED, "quantized"},
    {"config.json", "\"hidden_size\": 4", "\"hidden_size\": 4, \"hidden_size\": 8", -SL_CORRUPT,
     "duplicate"},
    {"config.json", "\"hidden_size\": 4", "\"hidden_size\": \"4\"", -SL_INVALID, "hidden_size"},
    {"config.json", "\"hidden_size\": 4", "\"hidden_size\": 4.0", -SL_INVALID, "hidden_size"},
    {"config.json", "\"hidden_size\": 4", "\"hidden_size\": -4", -SL_INVALID, "1 to 4096"},
    {"config.json", "\"vocab_size\": 8", "\"vocab_size\": 99999999999999999999", -SL_INVALID,
     "vocab_size"},
    {"config.json", "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 0", -SL_INVALID,
     "num_hidden_layers"},
    {"config.json", "1e-12", "0", -SL_INVALID, "layer_norm_eps"},
    {"config.json", "1e-12", "\"x\"", -SL_INVALID, "layer_norm_eps"},
    {"modules.json", "models.Normalize", "models.Dense", -SL_UNSUPPORTED, "Dense"},
    {"modules.json", "models.Pooling", "models.LSTM", -SL_UNSUPPORTED, "LSTM"},
    {"1_Pooling/config.json", "tokens\": true", "tokens\": false", -SL_UNSUPPORTED, "no pooling"},
    {"1_Pooling/config.json", "cls_token\": false", "cls_token\": true", -SL_UNSUPPORTED, "both"},
    {"1_Pooling/config.json", "mean_tokens", "lasttoken", -SL_UNSUPPORTED, "lasttoken"},
    {"1_Pooling/config.json", NULL, "{\"pooling_mode\": \"max\"}", -SL_UNSUPPORTED, "max; mean"},
    {"1_Pooling/config.json", NULL, "{\"pooling_mode\": [\"cls\", \"mean\"]}", -SL_UNSUPPORTED,
     "lists 2 poolings"},
    {"1_Pooling/config.json", NULL, "{\"pooling_mode\": []}", -SL_INVALID, "no text"},
    {"1_Pooling/config.json", NULL, "{\"pooling_mode\": true}", -SL_INVALID, "no text"},
    {"1_Pooling/config.json", NULL, "{\"pooling_mode\": \"cls\", \"include_prompt\": false}",
     -SL_UNSUPPORTED, "include_prompt"},
    {"sentence_bert_config.json", NULL,
     "{\"modality_config\": {\"text\": {\"method_output_name\": \"pooler_output\"}}}",
     -SL_UNSUPPORTED, "pooler_output"},
};

static void test_spoilt(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        struct hf_sample sample;
        struct sl_error err = {0};
        struct sl_bert_config c = {0};
        bool normalizes;
        hf_sample_make(&sample, "F32", "");
        if (spoilt[i].old) {
            hf_sample_replace(&sample, spoilt[i].file, spoilt[i].old, spoilt[i].with);
        } else {
            hf_sample_put(&sample, spoilt[i].file, spoilt[i].with);
        }
        int rc = sl_hf_read_config(sample.folder, &c, &normalizes, &err);
        if (rc != spoilt[i].status || !strstr(err.text, spoilt[i].says)) {
            fail_msg("case %zu (%s): %d '%s'", i, spoilt[i].file, rc, err.text);
        }
        hf_sample_remove(&sample);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_pooling_option),
        cmocka_unit_test(test_named_pooling),
        cmocka_unit_test(test_spoilt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
