/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/core/tokenize.h"

/* "x" repeated is too long above the room; '!' fails. */
static int encode(void *context, const char *model, const struct sl_agent_text *input,
                  int32_t *ret_ids, uint32_t room, uint32_t *ret_count, struct sl_error *err) {
    const char *text = input->text;
    size_t bytes = input->bytes;
    (*(int *)context)++;
    assert_string_equal(model, "m");
    if (bytes && text[0] == '!') {
        return sl_fail(err, SL_INVALID, "bad");
    }
    *ret_count = (uint32_t)bytes;
    if (bytes > room) {
        return sl_fail(err, SL_LIMIT, "long");
    }
    for (size_t i = 0; i < bytes; i++) {
        ret_ids[i] = text[i];
    }
    return SL_OK;
}

static struct sl_agent_tokens *make(size_t count) {
    size_t bytes = sizeof(struct sl_agent_tokens) + count * sizeof(struct sl_agent_text);
    struct sl_agent_tokens *tokens = calloc(1, bytes);
    tokens->block_bytes = bytes;
    tokens->unit_id = 3;
    tokens->epoch = 4;
    strcpy(tokens->model, "m");
    return tokens;
}

static void add(struct sl_agent_tokens *tokens, uint32_t line, uint32_t input, const char *text) {
    tokens->texts[tokens->text_count++] = (struct sl_agent_text){
        .line = line, .input = input, .bytes = (uint32_t)strlen(text), .text = text};
}

static void a_line_with_one_bad_text_is_left_out_as_a_whole(void **state) {
    (void)state;
    struct sl_agent_tokens *tokens = make(8);
    add(tokens, 10, 0, "ab");
    add(tokens, 10, 1, "xxxxx");
    add(tokens, 10, 2, "q");
    add(tokens, 7, 0, "cd");
    add(tokens, 7, 1, "e");
    add(tokens, 2, 0, "!");
    add(tokens, 1, 0, "");
    int calls = 0;
    assert_int_equal(sl_agent_tokens_run(tokens, 4, encode, &calls, NULL), 0);
    assert_int_equal(calls, 7);
    assert_int_equal(tokens->texts[1].status, -SL_LIMIT);
    assert_int_equal(tokens->texts[1].tokens, 5);
    assert_int_equal(tokens->texts[5].status, -SL_INVALID);
    const struct sl_device_unit *unit = tokens->unit;
    assert_int_equal(unit->unit_id, 3);
    assert_int_equal(unit->epoch, 4);
    assert_int_equal(unit->n_lines, 3);
    assert_int_equal(unit->lines[0].line, 7);
    assert_int_equal(unit->lines[0].n_ids, 2);
    assert_int_equal(unit->lines[0].ids[1], 'd');
    assert_int_equal(unit->lines[1].input, 1);
    assert_int_equal(unit->lines[1].ids[0], 'e');
    assert_int_equal(unit->lines[2].line, 1);
    assert_int_equal(unit->lines[2].n_ids, 0);
    sl_agent_tokens_free(tokens);
}

static void nothing_good_makes_no_unit(void **state) {
    (void)state;
    struct sl_agent_tokens *tokens = make(1);
    add(tokens, 0, 0, "xxxxxxxx");
    int calls = 0;
    assert_int_equal(sl_agent_tokens_run(tokens, 4, encode, &calls, NULL), 0);
    assert_null(tokens->unit);
    sl_agent_tokens_free(tokens);
    sl_agent_tokens_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_with_one_bad_text_is_left_out_as_a_whole),
        cmocka_unit_test(nothing_good_makes_no_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
