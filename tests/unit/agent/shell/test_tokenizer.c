/* SPDX-License-Identifier: Apache-2.0
 * The tokenizer thread on a small model: exact counts, also of what is too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/shell/tokenizer.h"
#include "tests/unit/agent/models/tiny_bert.h"

static struct sl_model_set *load(bool truncate) {
    char path[] = "/tmp/sluice-tok-XXXXXX";
    close(mkstemp(path));
    struct sl_tiny_bert shape = sl_tiny_bert_default();
    struct sl_error err = {0};
    assert_int_equal(sl_tiny_bert_save(&shape, path, &err), 0);
    struct sl_model_config config = {.id = "tiny", .max_tokens = 8, .truncate = truncate};
    snprintf(config.path, sizeof config.path, "%s", path);
    struct sl_model_set *set = NULL;
    if (sl_model_set_load(&config, 1, &set, &err)) {
        fail_msg("%s", err.text);
    }
    unlink(path);
    return set;
}

static struct sl_agent_tokens *make(const char *model, const char *const *texts, uint32_t count) {
    size_t bytes = sizeof(struct sl_agent_tokens) + count * sizeof(struct sl_agent_text);
    struct sl_agent_tokens *tokens = calloc(1, bytes);
    tokens->block_bytes = bytes;
    snprintf(tokens->model, sizeof tokens->model, "%s", model);
    tokens->text_count = count;
    for (uint32_t i = 0; i < count; i++) {
        tokens->texts[i] = (struct sl_agent_text){
            .line = i, .text = texts[i], .bytes = (uint32_t)strlen(texts[i])};
    }
    return tokens;
}

static void exact_counts_below_and_above_the_limit(void **state) {
    (void)state;
    struct sl_model_set *set = load(false);
    struct sl_tokenizer *tokenizer = NULL;
    assert_int_equal(sl_tokenizer_start(set, &tokenizer, NULL), 0);
    /* Letters are pieces of their own: n letters are n tokens, and two marks. */
    static const char *const texts[] = {"a b c", "a b c d e f", "a b c d e f g h i j", ""};
    static const uint32_t counts[] = {5, 8, 12, 2};
    struct sl_agent_tokens *tokens = make("tiny", texts, 4);
    assert_int_equal(sl_tokenizer_put(tokenizer, tokens), 0);
    struct sl_agent_tokens *back = NULL;
    assert_int_equal(sl_mailbox_take_wait(sl_tokenizer_done(tokenizer), 10 * SL_NS_PER_S, &back),
                     0);
    assert_ptr_equal(back, tokens);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(back->texts[i].tokens, counts[i]);
        assert_int_equal(back->texts[i].status, i == 2 ? -SL_LIMIT : SL_OK);
    }
    assert_int_equal(back->unit->n_lines, 3);
    assert_int_equal(back->unit->lines[0].ids[0], 2); /* [CLS] */
    assert_int_equal(back->unit->lines[0].ids[4], 3); /* [SEP] */
    sl_agent_tokens_free(back);
    sl_tokenizer_destroy(tokenizer);
    sl_model_set_destroy(set);
}

static void ids_that_the_tenant_made(void **state) {
    (void)state;
    struct sl_model_set *set = load(false);
    struct sl_tokenizer *tokenizer = NULL;
    assert_int_equal(sl_tokenizer_start(set, &tokenizer, NULL), 0);
    static const char *const texts[] = {"", "", "", "a b c"};
    static const uint32_t ids[] = {5, 6, 7, 8, 9, 10, 11, 12};
    static const uint32_t outside[] = {5, 96};
    struct sl_agent_tokens *tokens = make("tiny", texts, 4);
    tokens->texts[0].ids = ids;
    tokens->texts[0].id_count = 3; /* "a b c" */
    tokens->texts[1].ids = ids;
    tokens->texts[1].id_count = 8; /* too long with its two marks */
    tokens->texts[2].ids = outside;
    tokens->texts[2].id_count = 2;
    assert_int_equal(sl_tokenizer_put(tokenizer, tokens), 0);
    struct sl_agent_tokens *back = NULL;
    assert_int_equal(sl_mailbox_take_wait(sl_tokenizer_done(tokenizer), 10 * SL_NS_PER_S, &back),
                     0);
    assert_int_equal(back->texts[0].status, SL_OK);
    assert_int_equal(back->texts[1].status, -SL_LIMIT);
    assert_int_equal(back->texts[1].tokens, 10);
    assert_int_equal(back->texts[2].status, -SL_INVALID);
    assert_int_equal(back->unit->n_lines, 2);
    assert_int_equal(back->unit->lines[0].n_ids, 5);
    assert_memory_equal(back->unit->lines[0].ids, back->unit->lines[1].ids, 5 * sizeof(int32_t));
    sl_agent_tokens_free(back);
    sl_tokenizer_destroy(tokenizer);
    sl_model_set_destroy(set);
}

static void truncation_where_the_entry_says_so(void **state) {
    (void)state;
    struct sl_model_set *set = load(true);
    int32_t ids[8];
    uint32_t count = 0;
    static const char text[] = "a b c d e f g h i j";
    assert_int_equal(sl_tokenizer_encode(set, "tiny", text, strlen(text), ids, &count, NULL), 0);
    assert_int_equal(count, 8);
    sl_model_set_destroy(set);
}

static void an_unknown_model_is_handed_back(void **state) {
    (void)state;
    struct sl_model_set *set = load(false);
    struct sl_tokenizer *tokenizer = NULL;
    assert_int_equal(sl_tokenizer_start(set, &tokenizer, NULL), 0);
    static const char *const texts[] = {"a"};
    assert_int_equal(sl_tokenizer_put(tokenizer, make("other", texts, 1)), 0);
    struct sl_agent_tokens *back = NULL;
    assert_int_equal(sl_mailbox_take_wait(sl_tokenizer_done(tokenizer), 10 * SL_NS_PER_S, &back),
                     0);
    assert_int_equal(back->texts[0].status, -SL_NOTFOUND);
    assert_null(back->unit);
    sl_agent_tokens_free(back);
    sl_tokenizer_destroy(tokenizer);
    sl_model_set_destroy(set);
}

static void destroy_with_work_waiting(void **state) {
    (void)state;
    struct sl_model_set *set = load(false);
    struct sl_tokenizer *tokenizer = NULL;
    assert_int_equal(sl_tokenizer_start(set, &tokenizer, NULL), 0);
    static const char *const texts[] = {"a b c d", "e f g"};
    for (int i = 0; i < 500; i++) {
        assert_int_equal(sl_tokenizer_put(tokenizer, make("tiny", texts, 2)), 0);
    }
    sl_tokenizer_destroy(tokenizer);
    sl_tokenizer_destroy(NULL);
    sl_model_set_destroy(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_counts_below_and_above_the_limit),
        cmocka_unit_test(ids_that_the_tenant_made),
        cmocka_unit_test(truncation_where_the_entry_says_so),
        cmocka_unit_test(an_unknown_model_is_handed_back),
        cmocka_unit_test(destroy_with_work_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
