/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stratum/message.h"

struct line_case {
    const char *line;
    enum sl_message_type type; /* 0: refused */
    int64_t id;
};

static void read_as_said(const struct line_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct sl_message message;
        struct sl_error err = {0};
        int rc = sl_message_parse(cases[i].line, strlen(cases[i].line), &message, &err);
        if (!cases[i].type) {
            assert_int_equal(rc, -SL_INVALID);
            assert_true(strstr(err.text, "the pool sent"));
            continue;
        }
        assert_int_equal(rc, SL_OK);
        assert_int_equal(message.type, cases[i].type);
        assert_int_equal(sl_message_id(&message), cases[i].id);
        sl_message_fini(&message);
    }
}

static void lines_are_told_apart(void **state) {
    (void)state;
    static const struct line_case cases[] = {
        {"{\"id\":1,\"result\":true,\"error\":null}", SL_MESSAGE_RESPONSE, 1},
        {"{\"id\":\"17\",\"result\":null}", SL_MESSAGE_RESPONSE, 17},
        {"{\"id\":17.0,\"result\":null}", SL_MESSAGE_RESPONSE, 17},
        {"{\"id\":17.5,\"result\":null}", SL_MESSAGE_RESPONSE, -1},
        {"{\"id\":\"17x\",\"result\":null}", SL_MESSAGE_RESPONSE, -1},
        {"{\"id\":\"\",\"result\":null}", SL_MESSAGE_RESPONSE, -1},
        {"{\"id\":1e300,\"result\":null}", SL_MESSAGE_RESPONSE, -1},
        {"{\"id\":2,\"method\":\"mining.submit\",\"result\":true}", SL_MESSAGE_RESPONSE, 2},
        {"{\"id\":2,\"method\":\"mining.submit\",\"result\":null,\"error\":[21]}",
         SL_MESSAGE_RESPONSE, 2},
        {"{\"id\":2,\"method\":\"mining.submit\",\"params\":[],\"result\":null,\"error\":null}",
         SL_MESSAGE_RESPONSE, 2},
        {"{\"id\":2,\"method\":\"mining.ping\",\"params\":[],\"result\":null,\"error\":[20]}",
         SL_MESSAGE_RESPONSE, 2},
        {"{\"id\":null,\"method\":\"mining.notify\",\"params\":[],\"result\":null,\"error\":null}",
         SL_MESSAGE_NOTIFY, -1},
        {"{\"method\":\"mining.set_difficulty\",\"params\":[1],\"result\":null}",
         SL_MESSAGE_SET_DIFFICULTY, -1},
        {"{\"error\":null}", SL_MESSAGE_RESPONSE, -1},
        {"{\"id\":null,\"method\":\"mining.notify\",\"params\":[]}", SL_MESSAGE_NOTIFY, -1},
        {"{\"method\":\"mining.set_difficulty\",\"params\":[1]}", SL_MESSAGE_SET_DIFFICULTY, -1},
        {"{\"method\":\"mining.set_extranonce\"}", SL_MESSAGE_SET_EXTRANONCE, -1},
        {"{\"method\":\"mining.set_version_mask\"}", SL_MESSAGE_SET_VERSION_MASK, -1},
        {"{\"method\":\"client.reconnect\"}", SL_MESSAGE_RECONNECT, -1},
        {"{\"method\":\"client.show_message\"}", SL_MESSAGE_SHOW, -1},
        {"{\"id\":3,\"method\":\"client.get_version\"}", SL_MESSAGE_GET_VERSION, 3},
        {"{\"id\":3,\"method\":\"mining.ping\"}", SL_MESSAGE_PING, 3},
        {"{\"id\":3,\"method\":\"Mining.Ping\"}", SL_MESSAGE_OTHER, 3},
        {"{\"id\":3,\"method\":\"x\",\"params\":{}}", SL_MESSAGE_OTHER, 3},
        {"{\"id\":3,\"method\":\"mining.ping\",\"params\":{}}", SL_MESSAGE_PING, 3},
        {"{\"id\":3,\"method\":\"client.get_version\",\"params\":\"\"}", SL_MESSAGE_GET_VERSION, 3},
        {"{\"method\":\"client.show_message\",\"params\":\"hello\"}", SL_MESSAGE_SHOW, -1},
        {" {\"id\":1,\"result\":true}\r", SL_MESSAGE_RESPONSE, 1},
        {"{\"id\":1,\"method\":null,\"result\":true}", SL_MESSAGE_RESPONSE, 1},
        {"{\"id\":1,\"method\":5,\"result\":true}", 0, 0},
        {"{\"id\":1}", 0, 0},
        {"{}", 0, 0},
        {"[]", 0, 0},
        {"null", 0, 0},
        {"\"text\"", 0, 0},
        {"{\"id\":1,\"result\":true", 0, 0},
        {"{\"id\":1,\"result\":true}}", 0, 0},
        {"{\"id\":99999999999999999999,\"result\":true}", 0, 0},
        {"{\"id\":1,\"result\":1e999}", 0, 0},
        /* Latin-1, GBK: fit for people's eyes alone. */
        {"{\"id\":1,\"result\":null,\"error\":[20,\"St\xf6rung \xb4\xed\"]}", SL_MESSAGE_RESPONSE,
         1},
        {"{\"method\":\"client.show_message\",\"params\":[\"\xff\"]}", SL_MESSAGE_SHOW, -1},
        {"{\"method\":\"mining.notify\",\"params\":[\"\xff\"]}", 0, 0},
        {"{\"method\":\"client.reconnect\",\"params\":[\"\xff\"]}", 0, 0},
        {"{\"id\":1,\"result\":\"\xff", 0, 0},
        {"{\"method\":\"mining.notify\",\"params\":{}}", 0, 0},
        {"{\"method\":\"mining.notify\",\"params\":\"x\"}", 0, 0},
        {"GET / HTTP/1.1", 0, 0},
    };
    read_as_said(cases, sizeof cases / sizeof cases[0]);
    struct sl_message message;
    assert_int_equal(sl_message_parse("{\"id\":\0}", 8, &message, NULL), -SL_INVALID);
}

static void lines_with_characters_that_no_text_has(void **state) {
    (void)state;
    static const struct line_case cases[] = {
        {"{\"id\":1,\"result\":\"\\ud800\"}", SL_MESSAGE_RESPONSE, 1},
        {"{\"id\":1,\"result\":\"\\u0000\"}", SL_MESSAGE_RESPONSE, 1},
        {"{\"id\":1,\"result\\u0000\":1,\"error\":\"\\udc00\\ud800x\t\"}", SL_MESSAGE_RESPONSE, 1},
        {"{\"method\":\"x\\u0000\",\"params\":[\"\xff\\u0000\"]}", SL_MESSAGE_OTHER, -1},
        {"{\"id\":1,\"result\":\"\\u000\"}", 0, 0},
        {"{\"id\":1,\"result\":\"\\u0000", 0, 0},
        {"{\"id\":1,\"result\":\"\\u00", 0, 0},
        {"{\"id\":1,\"result\":\"\\", 0, 0},
        {"{\"id\":1,\"result\":\\u0000}", 0, 0},
        {"{\"method\":\"mining.notify\",\"params\":[\"\xff\\u0000\"]}", 0, 0},
    };
    read_as_said(cases, sizeof cases / sizeof cases[0]);
}

/* Each beside what jansson takes as it is, so that nothing else changes. */
static void characters_that_no_text_has_are_replaced(void **state) {
    (void)state;
    static const struct {
        const char *text; /* in JSON */
        const char *taken;
        bool mended;
    } cases[] = {
        {"a\\u0000b",
         "a\xef\xbf\xbd"
         "b",
         true},
        {"\\ud83d\\ude00", "\xf0\x9f\x98\x80", false},
        {"\\ud83d\\ude00\\u0000", "\xf0\x9f\x98\x80\xef\xbf\xbd", true},
        {"\\ud83d", "\xef\xbf\xbd", true},
        {"\\ud83dx", "\xef\xbf\xbdx", true},
        {"\\ud83d\\n", "\xef\xbf\xbd\n", true},
        {"\\ud83d\\ud83d\\ude00", "\xef\xbf\xbd\xf0\x9f\x98\x80", true},
        {"\\uDE00\\uD83D", "\xef\xbf\xbd\xef\xbf\xbd", true},
        {"\\\\u0000\\u0000", "\\u0000\xef\xbf\xbd", true},
        {"\\\\u0000", "\\u0000", false},
        {"\\u00e4\t\x01\xc3\xa4", "\xc3\xa4  \xc3\xa4", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[120];
        struct sl_message message;
        snprintf(line, sizeof line, "{\"method\":\"client.show_message\",\"params\":[\"%s\"]}",
                 cases[i].text);
        assert_int_equal(sl_message_parse(line, strlen(line), &message, NULL), SL_OK);
        assert_string_equal(json_string_value(json_array_get(message.params, 0)), cases[i].taken);
        assert_int_equal(message.mended, cases[i].mended);
        assert_false(message.unfit);
        sl_message_fini(&message);
        snprintf(line, sizeof line, "{\"id\":1,\"method\":\"mining.notify\",\"params\":[\"%s\"]}",
                 cases[i].text);
        assert_int_equal(sl_message_parse(line, strlen(line), &message, NULL), SL_OK);
        assert_int_equal(message.unfit, cases[i].mended);
        sl_message_fini(&message);
    }
}

static void deep_nesting_is_refused(void **state) {
    (void)state;
    enum { DEPTH = 100000 };
    char *line = malloc(2 * DEPTH + 64);
    struct sl_message message;
    size_t n = (size_t)sprintf(line, "{\"id\":1,\"result\":");
    memset(line + n, '[', DEPTH);
    memset(line + n + DEPTH, ']', DEPTH);
    line[n + 2 * DEPTH] = '}';
    assert_int_equal(sl_message_parse(line, n + 2 * DEPTH + 1, &message, NULL), -SL_INVALID);
    free(line);
}

static void text_for_logs_is_cleaned(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        const char *clean;
    } cases[] = {
        {"plain", 20, "plain"},
        {"a\tb\r\nc\x1b[0m\x7f", 20, "a?b??c?[0m?"},
        {"\xc2\x9b"
         "1m",
         20, "?1m"},
        {"a\xe2\x80\xae"
         "b\xe2\x81\xa6"
         "c\xd8\x9c",
         20, "a?b?c?"}, /* right to left */
        {"\xef\xbb\xbfx\xe2\x80\xa8y\xe2\x80\x8bz", 20, "?x?y?z"},
        {"\xf3\xa0\x81\x81z\xff\xe2\x82", 20, "?z???"}, /* tags; broken UTF-8 */
        {"\xc3\xa4\xc3\xb6", 4, "\xc3\xa4"},            /* a character is not cut in two */
        {"\xf0\x9f\x98\x80x", 4, ""},
        {"\xf0\x9f\x98\x80x", 6, "\xf0\x9f\x98\x80x"},
        {"abcdef", 4, "abc"},
        {"", 1, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[20];
        memset(out, '#', sizeof out);
        sl_message_clean(cases[i].text, out, cases[i].size);
        assert_string_equal(out, cases[i].clean);
    }
}

static void written_lines_escape_what_users_type(void **state) {
    (void)state;
    size_t size = 0;
    char *line = sl_message_write_request(7, "mining.authorize",
                                          json_pack("[s]", "a\"b\\\n\xc3\xa4"), &size);
    assert_string_equal(line, "{\"id\":7,\"method\":\"mining.authorize\",\"params\":"
                              "[\"a\\\"b\\\\\\n\xc3\xa4\"]}\n");
    assert_int_equal(size, strlen(line));
    free(line);
    line = sl_message_write_answer(json_integer(INT64_MAX), json_true(), json_null(), &size);
    assert_string_equal(line, "{\"id\":9223372036854775807,\"result\":true,\"error\":null}\n");
    free(line);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_told_apart),
        cmocka_unit_test(lines_with_characters_that_no_text_has),
        cmocka_unit_test(characters_that_no_text_has_are_replaced),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(text_for_logs_is_cleaned),
        cmocka_unit_test(written_lines_escape_what_users_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
