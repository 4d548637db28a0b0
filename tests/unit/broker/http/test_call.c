/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker/http/call.h"

static void test_percent_decode(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *expected; /* NULL: refused */
    } cases[] = {
        {"", ""},           {"a%2Fb%3ac", "a/b:c"}, {"%", NULL},    {"%4", NULL},
        {"%zz", NULL},      {"%00", NULL},          {"a+b", "a+b"}, {"%C3%A9", "\xC3\xA9"},
        {"12345678", NULL}, {"1234567", "1234567"}, {"%2", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[8] = "";
        bool good = sl_percent_decode(cases[i].text, strlen(cases[i].text), out, sizeof out);
        if (good != (cases[i].expected != NULL) || (good && strcmp(out, cases[i].expected) != 0)) {
            fail_msg("'%s' gave %d '%s'", cases[i].text, good, out);
        }
    }
}

static void test_query(void **state) {
    (void)state;
    struct sl_http_call *call = sl_call_create(NULL, "/x?limit=5&after=file%2D1&empty=&limits=9");
    char out[16] = "";
    uint32_t limit = 0;
    assert_true(sl_call_query(call, "after", out, sizeof out));
    assert_string_equal(out, "file-1");
    assert_true(sl_call_query(call, "empty", out, sizeof out));
    assert_string_equal(out, "");
    assert_false(sl_call_query(call, "absent", out, sizeof out));
    assert_false(sl_call_query(call, "limi", out, sizeof out));
    assert_true(sl_call_query_limit(call, 1, 10, 3, &limit));
    assert_int_equal(limit, 5);
    assert_false(sl_call_query_limit(call, 6, 10, 3, &limit));
    assert_int_equal(call->status, 400);
    sl_call_destroy(call);
}

static void test_the_core_says_no(void **state) {
    (void)state;
    static const struct {
        int core;
        int http;
        enum sl_call_retry retry;
    } cases[] = {
        {-SL_INVALID, 400, SL_RETRY_UNSAID}, {-SL_NOTFOUND, 404, SL_RETRY_UNSAID},
        {-SL_BADSTATE, 409, SL_RETRY_NO},    {-SL_LIMIT, 429, SL_RETRY_NO},
        {-SL_AGAIN, 503, SL_RETRY_UNSAID},   {-SL_TIMEOUT, 503, SL_RETRY_UNSAID},
        {-SL_CORRUPT, 500, SL_RETRY_UNSAID}, {-SL_DENIED, 403, SL_RETRY_UNSAID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_http_call *call = sl_call_create(NULL, "/");
        call->core_status = cases[i].core;
        sl_call_core_error(call);
        assert_int_equal(call->status, cases[i].http);
        assert_int_equal(call->retry, cases[i].retry);
        assert_true(call->retry_after_s <= 60); /* the SDKs obey no more */
        sl_call_destroy(call);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent_decode),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_the_core_says_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
