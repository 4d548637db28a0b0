/* SPDX-License-Identifier: Apache-2.0
 * Vocabulary and tokenizer settings: only what the tokenizer reproduces exactly is taken. */
#include "agent/convert/hf_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/agent/convert/hf_sample.h"

static void check_sound(const struct hf_sample *sample, bool mask_is_special) {
    struct sl_hf_vocab vocab;
    struct sl_error err = {0};
    if (sl_hf_read_vocab(sample->folder, &vocab, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(vocab.count, 8);
    assert_string_equal(vocab.pieces[0], "[PAD]");
    assert_string_equal(vocab.pieces[6], "##s");
    assert_string_equal(vocab.pieces[7], "!");
    assert_int_equal(vocab.unk, 1);
    assert_int_equal(vocab.cls, 2);
    assert_int_equal(vocab.sep, 3);
    assert_int_equal(vocab.pad, 0);
    assert_true(vocab.has_mask);
    assert_true(vocab.special[2]);
    assert_int_equal(vocab.special[4], mask_is_special);
    assert_false(vocab.special[5]);
    sl_hf_vocab_fini(&vocab);
}

static void test_sound(void **state) {
    (void)state;
    struct hf_sample sample;
    hf_sample_make(&sample, "F32", "");
    check_sound(&sample, true);
    hf_sample_put(&sample, "vocab.txt",
                  "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\ncat\r\n##s\r\n!"); /* DOS lines */
    check_sound(&sample, true);
    /* tokenizer.json says itself which pieces are cut out of the text. */
    hf_sample_put(&sample, "tokenizer.json", hf_sample_tokenizer_json);
    hf_sample_put(&sample, "vocab.txt", NULL);
    check_sound(&sample, false);
    hf_sample_remove(&sample);
}

#define PRE "\"pre_tokenizer\""
#define CLS "{\"SpecialToken\": {\"id\": \"[CLS]\", \"type_id\": 0}}"
#define SEP "{\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 0}}"
#define TEXT "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}"
#define TEMPLATE(single)                                                                           \
    "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [" single "]}, "

/* [CLS] and [SEP] around a text, in both of HuggingFace's forms. */
static void test_frames(void **state) {
    (void)state;
    static const char *const rows[] = {
        TEMPLATE(CLS ", " TEXT ", " SEP) PRE,
        "\"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 3],"
        " \"cls\": [\"[CLS]\", 2]}, " PRE,
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hf_sample sample;
        struct sl_hf_vocab vocab;
        struct sl_error err = {0};
        hf_sample_make(&sample, "F32", "");
        hf_sample_put(&sample, "tokenizer.json", hf_sample_tokenizer_json);
        hf_sample_replace(&sample, "tokenizer.json", PRE, rows[i]);
        if (sl_hf_read_vocab(sample.folder, &vocab, &err)) {
            fail_msg("%s: %s", rows[i], err.text);
        }
        sl_hf_vocab_fini(&vocab);
        hf_sample_remove(&sample);
    }
}

/* `with` NULL removes the file, `old` NULL replaces all of it. json: the folder has a
 * tokenizer.json. */
static const struct {
    bool json;
    const char *file, *old, *with;
    int status;
    const char *says;
} spoilt[] = {
    {false, "vocab.txt", NULL, NULL, -SL_NOTFOUND, "vocab.txt"},
    {false, "vocab.txt", NULL, "", -SL_CORRUPT, "empty"},
    {false, "vocab.txt", "cat", "c\xff", -SL_CORRUPT, "UTF-8"},
    {false, "vocab.txt", "cat\n", "\n", -SL_CORRUPT, "piece 5"},
    {false, "vocab.txt", "##s", "##\xe2\x96\x81s", -SL_UNSUPPORTED, "piece 6"},
    {false, "vocab.txt", "[CLS]", "<s>", -SL_UNSUPPORTED, "no piece [CLS]"},
    {false, "tokenizer_config.json", NULL, NULL, -SL_NOTFOUND, "uncased"},
    {false, "tokenizer_config.json", "true", "false", -SL_UNSUPPORTED, "do_lower_case"},
    {false, "tokenizer_config.json", "null", "false", -SL_UNSUPPORTED, "strip_accents"},
    {false, "tokenizer_config.json", "BertTokenizer", "BertJapaneseTokenizer", -SL_UNSUPPORTED,
     "BertJapaneseTokenizer"},
    {true, "tokenizer.json", PRE, "\"post_processor\": null, " PRE, -SL_UNSUPPORTED, "(none)"},
    {true, "tokenizer.json", PRE, TEMPLATE(CLS ", " TEXT) PRE, -SL_UNSUPPORTED, "post_processor"},
    {true, "tokenizer.json", PRE, TEMPLATE(TEXT ", " TEXT ", " SEP) PRE, -SL_UNSUPPORTED,
     "(TemplateProcessing)"},
    {true, "tokenizer.json", PRE,
     "\"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"</s>\", 3],"
     " \"cls\": [\"[CLS]\", 2]}, " PRE,
     -SL_UNSUPPORTED, "(BertProcessing)"},
    {true, "tokenizer.json", PRE,
     "\"post_processor\": {\"type\": \"RobertaProcessing\", \"sep\": [\"[SEP]\", 3],"
     " \"cls\": [\"[CLS]\", 2]}, " PRE,
     -SL_UNSUPPORTED, "(RobertaProcessing)"},
    {true, "tokenizer.json", "BertNormalizer", "NFKC", -SL_UNSUPPORTED, "'NFKC'"},
    {true, "tokenizer.json", "\"clean_text\": true", "\"clean_text\": false", -SL_UNSUPPORTED,
     "clean_text"},
    {true, "tokenizer.json", "\"lowercase\": true", "\"lowercase\": false", -SL_UNSUPPORTED,
     "lowercase"},
    {true, "tokenizer.json", "BertPreTokenizer", "Whitespace", -SL_UNSUPPORTED, "'Whitespace'"},
    {true, "tokenizer.json", "WordPiece", "Unigram", -SL_UNSUPPORTED, "'Unigram'"},
    {true, "tokenizer.json", "\"##\"", "\"@@\"", -SL_UNSUPPORTED, "continuing_subword_prefix"},
    {true, "tokenizer.json", "100", "200", -SL_UNSUPPORTED, "max_input_chars_per_word"},
    {true, "tokenizer.json", "\"normalized\": false", "\"normalized\": true", -SL_UNSUPPORTED,
     "normalized"},
    {true, "tokenizer.json", "\"normalized\": false", "\"lstrip\": true", -SL_UNSUPPORTED,
     "lstrip"},
    {true, "tokenizer.json", "\"content\": \"[SEP]\"", "\"content\": \"[EOT]\"", -SL_UNSUPPORTED,
     "added_tokens[1]"},
    {true, "tokenizer.json", "\"!\": 7", "\"!\": 8", -SL_CORRUPT, "each once"},
    {true, "tokenizer.json", "\"!\": 7", "\"!\": 6", -SL_CORRUPT, "each once"},
    {true, "tokenizer.json", "\"!\": 7", "\"!\": -1", -SL_CORRUPT, "each once"},
    {true, "tokenizer.json", "\"!\": 7", "\"!\": \"7\"", -SL_CORRUPT, "each once"},
    {true, "tokenizer.json", NULL, "{}", -SL_UNSUPPORTED, "BertNormalizer"},
};

static void test_spoilt(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        struct hf_sample sample;
        struct sl_hf_vocab vocab;
        struct sl_error err = {0};
        hf_sample_make(&sample, "F32", "");
        if (spoilt[i].json) {
            hf_sample_put(&sample, "tokenizer.json", hf_sample_tokenizer_json);
        }
        if (spoilt[i].old) {
            hf_sample_replace(&sample, spoilt[i].file, spoilt[i].old, spoilt[i].with);
        } else {
            hf_sample_put(&sample, spoilt[i].file, spoilt[i].with);
        }
        int rc = sl_hf_read_vocab(sample.folder, &vocab, &err);
        if (rc != spoilt[i].status || !strstr(err.text, spoilt[i].says)) {
            fail_msg("case %zu (%s): %d '%s'", i, spoilt[i].file, rc, err.text);
        }
        sl_hf_vocab_fini(&vocab);
        hf_sample_remove(&sample);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_spoilt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
