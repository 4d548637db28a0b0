/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire/codec.h"

/* Refused with `status`, and nothing appended. */
static void refused(const struct sl_msg *msg, int status, const char *part) {
    SL_AUTO_BUF struct sl_buf out = {0};
    sl_buf_append(&out, "x", 1);
    struct sl_error err = {0};
    assert_int_equal(sl_msg_encode(msg, &out, &err), -status);
    assert_int_equal(out.len, 1);
    if (!strstr(err.text, part)) {
        fail_msg("'%s' lacks '%s'", err.text, part);
    }
    assert_int_equal(sl_msg_encode(msg, &out, NULL), -status);
}

static void a_wrong_version_or_kind_is_refused(void **state) {
    (void)state;
    struct sl_msg msg = {.kind = SL_MSG_GOODBYE};
    refused(&msg, SL_INVALID, "version 0");
    msg.version = SL_WIRE_VERSION;
    msg.kind = SL_MSG_INVALID;
    refused(&msg, SL_INVALID, "kind 0");
    msg.kind = (enum sl_msg_kind)77;
    refused(&msg, SL_INVALID, "kind 77");
}

static void a_message_over_four_mebibytes_is_refused(void **state) {
    (void)state;
    enum { N = 12 };
    char *text = malloc(SL_MSG_INPUT_BYTES_MAX);
    assert_non_null(text);
    memset(text, 'a', SL_MSG_INPUT_BYTES_MAX);
    struct sl_msg_input inputs[N];
    for (int i = 0; i < N; i++) {
        inputs[i] = (struct sl_msg_input){.text = text, .bytes = SL_MSG_INPUT_BYTES_MAX};
    }
    struct sl_msg_unit_line line = {.line = 0, .input_count = N, .inputs = inputs};
    struct sl_msg msg = {.version = SL_WIRE_VERSION, .kind = SL_MSG_UNIT};
    msg.unit = (struct sl_msg_unit){
        .unit_id = 1, .device = "d", .epoch = 1, .model = "m", .line_count = 1, .lines = &line};
    refused(&msg, SL_LIMIT, "send less");
    line.input_count = 7;
    SL_AUTO_BUF struct sl_buf out = {0};
    assert_int_equal(sl_msg_encode(&msg, &out, NULL), 0); /* just below it goes through */
    assert_true(out.len > 7 * SL_MSG_INPUT_BYTES_MAX && out.len <= SL_MSG_BYTES_MAX);
    free(text);
}

static void mended(const char *text, const char *expected) {
    SL_AUTO(sl_msg_arena) arena = NULL;
    assert_int_equal(sl_msg_arena_create(1 << 20, &arena, NULL), 0);
    struct sl_msg msg = {.version = SL_WIRE_VERSION, .kind = SL_MSG_GOODBYE};
    assert_true(sl_text_copy(msg.goodbye.reason, sizeof msg.goodbye.reason, text));
    SL_AUTO_BUF struct sl_buf out = {0};
    assert_int_equal(sl_msg_encode(&msg, &out, NULL), 0);
    struct sl_msg back;
    assert_int_equal(sl_msg_decode((uint8_t *)out.data, out.len, arena, &back, NULL), 0);
    assert_string_equal(back.goodbye.reason, expected);
}

static void texts_for_people_are_mended(void **state) {
    (void)state;
    mended("two\nlines\tand a tab", "two\nlines\tand a tab");
    mended("caf\xC3\xA9 \xF0\x9F\xA6\xA6", "caf\xC3\xA9 \xF0\x9F\xA6\xA6");
    mended("cut in the middle \xF0\x9F\xA6", "cut in the middle ???");
    mended("Latin-1 \xE9t\xE9", "Latin-1 ?t?");
    mended("\x1B[31mred\x1B[0m\r\n", "?[31mred?[0m?\n");
    mended("C1 \xC2\x9B"
           "2J",
           "C1 ??2J"); /* a terminal would take U+009B for an escape */
    mended("\x7F", "?");
}

static void names_are_never_mended(void **state) {
    (void)state;
    struct sl_msg msg = {.version = SL_WIRE_VERSION, .kind = SL_MSG_DRAIN};
    strcpy(msg.drain.device, "gpu\xE9");
    refused(&msg, SL_INVALID, "drain: device is not UTF-8");
    strcpy(msg.drain.device, "gpu\n0");
    refused(&msg, SL_INVALID, "control character");
    strcpy(msg.drain.device, "gpu\xC2\x9B");
    refused(&msg, SL_INVALID, "control character");
    memset(msg.drain.device, 'a', sizeof msg.drain.device); /* no end */
    refused(&msg, SL_LIMIT, "longer than 95 bytes");
}

static void many_items_need_no_end_of_memory(void **state) {
    (void)state;
    /* 64 lines of 2,048 empty inputs: the widest message there is. */
    SL_AUTO_FREE struct sl_msg_input *inputs = calloc(SL_MSG_INPUTS_MAX, sizeof *inputs);
    struct sl_msg_unit_line lines[SL_MSG_LINES_MAX];
    for (uint32_t i = 0; i < SL_MSG_LINES_MAX; i++) {
        lines[i] = (struct sl_msg_unit_line){
            .line = i, .input_count = SL_MSG_INPUTS_MAX, .inputs = inputs};
    }
    struct sl_msg msg = {.version = SL_WIRE_VERSION, .kind = SL_MSG_UNIT};
    msg.unit = (struct sl_msg_unit){.unit_id = 1,
                                    .device = "d",
                                    .epoch = 1,
                                    .model = "m",
                                    .line_count = SL_MSG_LINES_MAX,
                                    .lines = lines};
    SL_AUTO_BUF struct sl_buf out = {0};
    assert_int_equal(sl_msg_encode(&msg, &out, NULL), 0);
    SL_AUTO(sl_msg_arena) arena = NULL;
    assert_int_equal(sl_msg_arena_create(SL_MSG_ARENA_BYTES, &arena, NULL), 0);
    struct sl_msg back;
    struct sl_error err = {0};
    if (sl_msg_decode((uint8_t *)out.data, out.len, arena, &back, &err)) {
        fail_msg("%s", err.text); /* SL_MSG_ARENA_BYTES must be enough */
    }
    assert_int_equal(back.unit.lines[63].input_count, SL_MSG_INPUTS_MAX);
    assert_non_null(back.unit.lines[63].inputs[2047].text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_version_or_kind_is_refused),
        cmocka_unit_test(a_message_over_four_mebibytes_is_refused),
        cmocka_unit_test(texts_for_people_are_mended),
        cmocka_unit_test(names_are_never_mended),
        cmocka_unit_test(many_items_need_no_end_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
