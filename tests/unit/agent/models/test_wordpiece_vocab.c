/* SPDX-License-Identifier: Apache-2.0
 * Vocabularies of GGUF files: the ones that are read, and the ones that are refused by name. */
#include "agent/models/wordpiece_vocab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "agent/models/gguf_writer.h"
#include "agent/models/wordpiece.h"

#define MARK "\xe2\x96\x81"

struct vocab {
    const char *model; /* NULL: no such key */
    const char *pre;
    const char *pieces[8]; /* until NULL */
    int types;             /* how many types; types[0..2] are control; -1: no such key */
    const char *cls_key;
    uint32_t cls;
    const char *sep_key;
};

static struct sl_gguf_text text_of(const char *text) {
    return (struct sl_gguf_text){text, strlen(text)};
}

/* A truth value besides; key NULL: none. */
struct flag {
    const char *key;
    bool on;
};

static int create_with(const struct vocab *v, struct flag flag, struct sl_wordpiece **ret_wp,
                       struct sl_error *err) {
    SL_AUTO(sl_gguf_writer) w = NULL;
    SL_AUTO_BUF struct sl_buf bytes = {0};
    SL_AUTO(sl_gguf) file = NULL;
    static const int32_t types[] = {3, 3, 3, 1, 1, 1, 1, 1, 1};
    struct sl_gguf_text pieces[8];
    size_t n = 0;
    for (; v->pieces[n]; n++) {
        pieces[n] = text_of(v->pieces[n]);
    }
    assert_int_equal(sl_gguf_writer_create(&w, NULL), SL_OK);
    if (v->model) {
        sl_gguf_put_text(w, "tokenizer.ggml.model", text_of(v->model));
    }
    if (v->pre) {
        sl_gguf_put_text(w, "tokenizer.ggml.pre", text_of(v->pre));
    }
    sl_gguf_put_texts(w, "tokenizer.ggml.tokens", pieces, n);
    if (v->types >= 0) {
        sl_gguf_put_i32s(w, "tokenizer.ggml.token_type", types, (size_t)v->types);
    }
    sl_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    sl_gguf_put_u32(w, v->cls_key, v->cls);
    sl_gguf_put_u32(w, v->sep_key, 2);
    if (flag.key) {
        sl_gguf_put_bool(w, flag.key, flag.on);
    }
    assert_int_equal(sl_gguf_writer_bytes(w, &bytes, NULL), SL_OK);
    assert_int_equal(sl_gguf_open_memory(bytes.data, bytes.len, &file, NULL), SL_OK);
    return sl_wordpiece_create(file, ret_wp, err);
}

static int create(const struct vocab *v, struct sl_wordpiece **ret_wp, struct sl_error *err) {
    return create_with(v, (struct flag){NULL, false}, ret_wp, err);
}

#define CLS "tokenizer.ggml.cls_token_id"
#define BOS "tokenizer.ggml.bos_token_id"
#define SEP_MISSPELT "tokenizer.ggml.seperator_token_id"
#define SEP "tokenizer.ggml.separator_token_id"
#define EOS "tokenizer.ggml.eos_token_id"
#define PIECES                                                                                     \
    { "[UNK]", "[CLS]", "[SEP]", MARK "cat", "s", "" }

static void test_accepted(void **state) {
    (void)state;
    static const struct vocab good[] = {
        {"bert", NULL, PIECES, 6, CLS, 1, SEP_MISSPELT},
        {"bert", "default", PIECES, 6, CLS, 1, SEP},
        {"bert", "bert-bge", PIECES, 6, BOS, 1, EOS},
        {"bert", "jina-v2-en", PIECES, -1, CLS, 1, SEP}, /* no types: the keys name the specials */
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        SL_AUTO(sl_wordpiece) wp = NULL;
        struct sl_error err = {0};
        static const int32_t want[] = {1, 3, 4, 2, 0, 2};
        int32_t ids[16];
        uint32_t n = 0;
        if (create(&good[i], &wp, &err)) {
            fail_msg("vocabulary %zu: %s", i, err.text);
        }
        assert_int_equal(sl_wordpiece_encode(wp, "Cats[SEP]dog", 12,
                                             (struct sl_wordpiece_limit){16, false}, ids, &n, NULL),
                         SL_OK);
        assert_int_equal(n, 6);
        assert_memory_equal(ids, want, sizeof want);
    }
}

/* What newer files of llama.cpp say of the normaliser. */
static void test_normalizer_flags(void **state) {
    (void)state;
    static const struct vocab vocab = {"bert", "default", PIECES, 6, CLS, 1, SEP};
    static const char *const keys[] = {"tokenizer.ggml.normalizer.lowercase",
                                       "tokenizer.ggml.normalizer.strip_accents"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        SL_AUTO(sl_wordpiece) wp = NULL;
        struct sl_error err = {0};
        assert_int_equal(create_with(&vocab, (struct flag){keys[i], true}, &wp, &err), SL_OK);
        assert_int_equal(create_with(&vocab, (struct flag){keys[i], false}, &wp, &err),
                         -SL_UNSUPPORTED);
        assert_non_null(strstr(err.text, keys[i]));
    }
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        struct vocab vocab;
        int status;
        const char *says;
    } bad[] = {
        {{NULL, NULL, PIECES, 6, CLS, 1, SEP}, -SL_NOTFOUND, "tokenizer.ggml.model"},
        {{"gpt2", NULL, PIECES, 6, CLS, 1, SEP}, -SL_UNSUPPORTED, "'gpt2'"},
        {{"bert", "smollm", PIECES, 6, CLS, 1, SEP}, -SL_UNSUPPORTED, "'smollm'"},
        {{"bert", NULL, PIECES, 5, CLS, 1, SEP}, -SL_CORRUPT, "5 items"},
        {{"bert", NULL, PIECES, 6, CLS, 6, SEP}, -SL_CORRUPT, "ends at 5"},
        {{"bert", NULL, PIECES, 6, "other", 1, SEP}, -SL_NOTFOUND, "cls_token_id"},
        {{"bert", NULL, PIECES, 6, CLS, 1, "other"}, -SL_NOTFOUND, "seperator_token_id"},
        {{"bert", NULL, {"[UNK]", "[CLS]", "[SEP]", "s", MARK "s", "s"}, 6, CLS, 1, SEP},
         -SL_CORRUPT,
         "pieces 3 and 5"},
        {{"bert", NULL, {"[UNK]", "[CLS]", "[SEP]", "\xff"}, 4, CLS, 1, SEP}, -SL_CORRUPT, "UTF-8"},
        {{"bert", NULL, {NULL}, 0, CLS, 1, SEP}, -SL_CORRUPT, "no pieces"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sl_wordpiece *wp = NULL;
        struct sl_error err = {0};
        int rc = create(&bad[i].vocab, &wp, &err);
        if (rc != bad[i].status || !strstr(err.text, bad[i].says)) {
            fail_msg("vocabulary %zu: %d '%s'", i, rc, err.text);
        }
        assert_null(wp);
    }
}

/* Pieces of one text at a word's beginning and inside are two pieces. */
static void test_beginning_and_inside(void **state) {
    (void)state;
    static const struct vocab v = {"bert", NULL, {"[UNK]", "[CLS]", "[SEP]", MARK "s", "s"}, 5, CLS,
                                   1,      SEP};
    SL_AUTO(sl_wordpiece) wp = NULL;
    static const int32_t want[] = {1, 3, 4, 4, 3, 2};
    int32_t ids[16];
    uint32_t n = 0;
    assert_int_equal(create(&v, &wp, NULL), SL_OK);
    assert_int_equal(
        sl_wordpiece_encode(wp, "sss s", 5, (struct sl_wordpiece_limit){16, false}, ids, &n, NULL),
        SL_OK);
    assert_int_equal(n, 6);
    assert_memory_equal(ids, want, sizeof want);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_normalizer_flags),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_beginning_and_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
