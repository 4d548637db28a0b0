/* SPDX-License-Identifier: Apache-2.0
 * What a folder says to its operator: length and prompts. */
#include "agent/convert/hf_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/agent/convert/hf_sample.h"

static void test_none(void **state) {
    (void)state;
    struct hf_sample sample;
    struct sl_hf_advice advice = {.max_tokens = 7};
    hf_sample_make(&sample, "F32", "");
    assert_int_equal(sl_hf_read_advice(sample.folder, &advice, NULL), SL_OK);
    assert_int_equal(advice.max_tokens, 0);
    assert_int_equal(advice.prompt_count, 0);
    hf_sample_remove(&sample);
}

static void test_said(void **state) {
    (void)state;
    struct hf_sample sample;
    struct sl_hf_advice advice;
    hf_sample_make(&sample, "F32", "");
    hf_sample_put(&sample, "sentence_bert_config.json",
                  "{\"max_seq_length\":256,\"do_lower_case\":false}");
    hf_sample_put(&sample, "config_sentence_transformers.json",
                  "{\"prompts\":{\"document\":\"\",\"query\":\"query: \",\"passage\":"
                  "\"passage: \"},\"default_prompt_name\":\"passage\"}");
    assert_int_equal(sl_hf_read_advice(sample.folder, &advice, NULL), SL_OK);
    assert_int_equal(advice.max_tokens, 256);
    assert_int_equal(advice.prompt_count, 2); /* an empty one is none */
    assert_string_equal(advice.prompts[0].name, "query");
    assert_string_equal(advice.prompts[0].text, "query: ");
    assert_false(advice.prompts[0].by_default);
    assert_string_equal(advice.prompts[1].name, "passage");
    assert_true(advice.prompts[1].by_default);
    hf_sample_put(&sample, "config_sentence_transformers.json",
                  "{\"prompts\":{},\"default_prompt_name\":null}");
    assert_int_equal(sl_hf_read_advice(sample.folder, &advice, NULL), SL_OK);
    assert_int_equal(advice.prompt_count, 0);
    hf_sample_remove(&sample);
}

/* Newer folders have the length in the tokenizer's settings: there 10^30 means none. */
static void test_length_of_the_tokenizer(void **state) {
    (void)state;
    static const struct {
        const char *bert, *tokenizer;
        uint32_t want;
    } rows[] = {
        {NULL, "{\"model_max_length\": 128}", 128},
        {"{}", "{\"model_max_length\": 128}", 128},
        {"{\"max_seq_length\": 64}", "{\"model_max_length\": 128}", 64},
        {NULL, "{\"model_max_length\": 1000000000000000019884624838656}", 0},
        {NULL, "{\"model_max_length\": 1e30}", 0},
        {NULL, "{\"do_lower_case\": true}", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hf_sample sample;
        struct sl_hf_advice advice;
        struct sl_error err = {0};
        hf_sample_make(&sample, "F32", "");
        if (rows[i].bert) {
            hf_sample_put(&sample, "sentence_bert_config.json", rows[i].bert);
        }
        hf_sample_put(&sample, "tokenizer_config.json", rows[i].tokenizer);
        if (sl_hf_read_advice(sample.folder, &advice, &err) || advice.max_tokens != rows[i].want) {
            fail_msg("%s: %u %s", rows[i].tokenizer, advice.max_tokens, err.text);
        }
        hf_sample_remove(&sample);
    }
}

static void test_spoilt(void **state) {
    (void)state;
    static const char *const rows[][3] = {
        {"sentence_bert_config.json", "{\"max_seq_length\":\"many\"}", "max_seq_length"},
        {"config_sentence_transformers.json", "{\"prompts\":{\"query\":1}}", "prompts.query"},
        {"config_sentence_transformers.json", "{\"default_prompt_name\":\"q\"}",
         "default_prompt_name 'q' is none"},
        {"config_sentence_transformers.json", "{", "line 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hf_sample sample;
        struct sl_hf_advice advice;
        struct sl_error err = {0};
        hf_sample_make(&sample, "F32", "");
        hf_sample_put(&sample, rows[i][0], rows[i][1]);
        assert_true(sl_hf_read_advice(sample.folder, &advice, &err) < 0);
        if (!strstr(err.text, rows[i][2])) {
            fail_msg("%s: %s", rows[i][1], err.text);
        }
        hf_sample_remove(&sample);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_said),
        cmocka_unit_test(test_length_of_the_tokenizer),
        cmocka_unit_test(test_spoilt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
