/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/cli/settle_file.h"

#define HEAD "from,to,pool,amount,currency\n"
#define GOOD "2026-11-01,2026-11-02,p,0.5,USD\n"

static int parse(const char *text, json_t **rows, struct sl_error *err) {
    return sl_cli_settle_parse("f.csv", text, strlen(text), rows, err);
}

static const char *at(const json_t *rows, size_t row, const char *key) {
    return json_string_value(json_object_get(json_array_get(rows, row), key));
}

static void test_good_files(void **state) {
    (void)state;
    json_t *rows = NULL;
    struct sl_error err;
    assert_int_equal(
        parse("\xEF\xBB\xBF" HEAD GOOD "\r\n2026-11-02T00:00:00Z,2026-11-03,,12,BTC", &rows, &err),
        SL_OK);
    assert_int_equal(json_array_size(rows), 2);
    assert_string_equal(at(rows, 0, "from"), "2026-11-01");
    assert_string_equal(at(rows, 0, "pool"), "p");
    assert_string_equal(at(rows, 1, "amount"), "12");
    assert_string_equal(at(rows, 1, "pool"), "");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 1), "line")), 4);
    json_decref(rows);
    /* Columns in another order; two nodes may share a span. */
    assert_int_equal(parse("node,currency,amount,to,from\n"
                           "a,USD,0,2026-11-02,2026-11-01\n"
                           "b,USD,0,2026-11-02,2026-11-01\n",
                           &rows, &err),
                     SL_OK);
    assert_string_equal(at(rows, 1, "node"), "b");
    assert_null(at(rows, 1, "pool"));
    json_decref(rows);
}

static void test_bad_files(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *said;
    } cases[] = {
        {"", "there are no rows"},
        {HEAD, "there are no rows"},
        {"\n\n", "there are no rows"},
        {"from,to,pool,amount\n", "f.csv:1: the column 'currency' is missing"},
        {"to,pool,amount,currency\n", "f.csv:1: the column 'from' is missing"},
        {"from,to,amount,currency\n", "f.csv:1: there must be one column 'pool'"},
        {"from,to,pool,node,amount,currency\n", "f.csv:1: there must be one column 'pool'"},
        {"from,to,pool,amount,currency,x\n", "f.csv:1: unknown column 'x'"},
        {"from,to,pool,amount,currency,x,y\n", "f.csv:1: too many columns"},
        {"From,to,pool,amount,currency\n", "f.csv:1: unknown column 'From'"},
        {"from,from,to,pool,amount,currency\n", "f.csv:1: the column 'from' is there twice"},
        {HEAD "2026-11-01,2026-11-02,p,1\n", "f.csv:2: 4 values, but 5 columns"},
        {HEAD "2026-11-01,2026-11-02,p,1,USD,\n", "f.csv:2: 6 values, but 5 columns"},
        {HEAD "yesterday,2026-11-02,p,1,USD\n", "f.csv:2: 'yesterday' to '2026-11-02'"},
        {HEAD "2026-11-02,2026-11-02,p,1,USD\n", "f.csv:2: the span ends before"},
        {HEAD "2026-11-01,2026-11-02,p,-0.1,USD\n", "f.csv:2: amount '-0.1' is negative"},
        {HEAD "2026-11-01,2026-11-02,p,,USD\n", "f.csv:2: amount ''"},
        {HEAD "2026-11-01,2026-11-02,p,nan,USD\n", "f.csv:2: amount 'nan'"},
        {HEAD "2026-11-01,2026-11-02,p,0.0000000001,USD\n", "f.csv:2: amount"},
        {HEAD "2026-11-01,2026-11-02,p,99999999999,USD\n", "f.csv:2: amount"},
        {HEAD "2026-11-01,2026-11-02,p,1,US\n", "f.csv:2: currency 'US'"},
        {HEAD "2026-11-01,2026-11-02,p,1,DOLLARSS\n", "f.csv:2: currency"},
        {HEAD "2026-11-01,2026-11-02,\"p\",1,USD\n", "f.csv:2: a value is too long, or in quotes"},
        {HEAD "2026-11-01,2026-11-02,\xFF,1,USD\n", "f.csv:2: a value is no UTF-8 text"},
        {HEAD GOOD GOOD, "f.csv:3: its span overlaps that of line 2"},
        {HEAD GOOD "2026-11-01T12:00:00Z,2026-11-03,q,1,USD\n", "f.csv:3: its span overlaps"},
        {HEAD GOOD "2026-10-01,2026-10-02,p,1,USD\n", "f.csv:3: 'from' is earlier"},
        {"from,to,node,amount,currency\n2026-11-01,2026-11-02,,1,USD\n",
         "f.csv:2: the node is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *rows = NULL;
        struct sl_error err = {0};
        assert_int_equal(parse(cases[i].text, &rows, &err), -SL_INVALID);
        assert_null(rows);
        if (!strstr(err.text, cases[i].said)) {
            fail_msg("case %zu: %s", i, err.text);
        }
    }
    static const char zero[] = HEAD "2026-11-01,2026-11-02,p\0q,1,USD\n";
    json_t *rows = NULL;
    struct sl_error err;
    assert_int_equal(sl_cli_settle_parse("f", zero, sizeof zero - 1, &rows, &err), -SL_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_files),
        cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
