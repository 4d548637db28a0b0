/* SPDX-License-Identifier: Apache-2.0
 * Tokens as text: whole or refused, and never repeated in an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/link/token.h"

static struct sl_token sample(void) {
    struct sl_token token = {.name = "node-1",
                             .join_endpoint = "tcp://broker.example:7601",
                             .agents_endpoint = "tcp://[2001:db8::1]:7600"};
    struct sl_link_keys keys;
    assert_int_equal(sl_link_keys_generate(&keys, NULL), SL_OK);
    strcpy(token.server_key, keys.public_key);
    for (size_t i = 0; i < sizeof token.secret; i++) {
        token.secret[i] = (uint8_t)(i * 7);
    }
    return token;
}

static void text_and_back(void **state) {
    (void)state;
    struct sl_token token = sample();
    struct sl_token back = {0};
    char text[SL_TOKEN_TEXT_MAX];
    char spaced[2 * SL_TOKEN_TEXT_MAX];
    assert_int_equal(sl_token_format(&token, text, NULL), SL_OK);
    assert_memory_equal(text, SL_TOKEN_PREFIX, 5);
    assert_int_equal(
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
        strlen(text));
    assert_int_equal(sl_token_parse(text, &back, NULL), SL_OK);
    assert_memory_equal(&token, &back, sizeof token);
    /* As a terminal breaks it. */
    snprintf(spaced, sizeof spaced, "  %.50s\n  %s \r\n", text, text + 50);
    memset(&back, 0, sizeof back);
    assert_int_equal(sl_token_parse(spaced, &back, NULL), SL_OK);
    assert_memory_equal(&token, &back, sizeof token);
}

static void cut_and_mistyped(void **state) {
    (void)state;
    struct sl_token token = sample();
    struct sl_token back;
    struct sl_error err;
    char text[SL_TOKEN_TEXT_MAX];
    assert_int_equal(sl_token_format(&token, text, NULL), SL_OK);
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        char other[SL_TOKEN_TEXT_MAX];
        snprintf(other, sizeof other, "%.*s", (int)i, text);
        assert_int_not_equal(sl_token_parse(other, &back, &err), SL_OK);
        memcpy(other, text, n + 1);
        other[i] = other[i] == 'x' ? 'y' : 'x';
        assert_int_not_equal(sl_token_parse(other, &back, &err), SL_OK);
        assert_null(strstr(err.text, text + 10));
        if (i > 5 && i + 1 < n && text[i] != text[i + 1]) { /* two swapped */
            memcpy(other, text, n + 1);
            other[i] = text[i + 1];
            other[i + 1] = text[i];
            assert_int_not_equal(sl_token_parse(other, &back, &err), SL_OK);
        }
    }
    assert_int_equal(sl_token_parse("slj2-abcdef", &back, &err), -SL_UNSUPPORTED);
    assert_int_equal(sl_token_parse("hello", &back, &err), -SL_INVALID);
    assert_int_equal(sl_token_parse("", &back, &err), -SL_INVALID);
}

static void malformed_members(void **state) {
    (void)state;
    char text[SL_TOKEN_TEXT_MAX];
    struct sl_token token = sample();
    strcpy(token.name, "a b");
    assert_int_equal(sl_token_format(&token, text, NULL), -SL_INVALID);
    token = sample();
    strcpy(token.join_endpoint, "http://x");
    assert_int_equal(sl_token_format(&token, text, NULL), -SL_INVALID);
    token = sample();
    strcpy(token.server_key, "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"); /* published */
    assert_int_equal(sl_token_format(&token, text, NULL), -SL_DENIED);
    assert_int_equal(sl_token_check_name("1234567890123456789012345678901", NULL), SL_OK);
    assert_int_equal(sl_token_check_name("12345678901234567890123456789012", NULL), -SL_INVALID);
    assert_int_equal(sl_token_check_name("", NULL), -SL_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_back),
        cmocka_unit_test(cut_and_mistyped),
        cmocka_unit_test(malformed_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
