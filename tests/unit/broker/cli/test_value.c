/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "broker/cli/cli.h"

static const char answer_text[] =
    "{\"usd\":\"0.012345678\",\"big\":\"12345.678901234\",\"huge\":\"12345678901234.5\","
    "\"neg\":\"-0.0004404\",\"zero\":\"0.00\",\"whole\":\"7\",\"null\":null,\"empty\":\"\","
    "\"yes\":true,\"no\":false,\"n\":42,\"real\":0.0002,\"rate0\":0,\"rate\":61234567,"
    "\"rate999\":999999,\"rate5\":999,\"ms\":999,\"s\":12345,\"min\":125000,\"h\":14700000,"
    "\"d\":190000000,\"never\":-1,\"us\":412,\"us2\":1500,\"us3\":2500000,"
    "\"time\":\"2026-11-22T17:00:00.123Z\",\"unix\":1795366800,"
    "\"in\":{\"side\":{\"deep\":\"x\"}},\"evil\":\"a\\u001b[31mb\\nc\\u009bd\\u00e9\"}";

static void check(const char *path, enum sl_cli_format format, const char *wanted) {
    json_t *root = json_loads(answer_text, 0, NULL);
    SL_AUTO_BUF struct sl_buf out = {0};
    assert_non_null(root);
    sl_cli_value(root, path, format, &out);
    assert_string_equal(out.data, wanted);
    json_decref(root);
}

static void test_values(void **state) {
    (void)state;
    static const struct {
        const char *path;
        enum sl_cli_format format;
        const char *wanted;
    } cases[] = {
        {"in.side.deep", SL_CLI_TEXT, "x"},
        {"yes", SL_CLI_TEXT, "yes"},
        {"no", SL_CLI_NUMBER, "no"},
        {"n", SL_CLI_NUMBER, "42"},
        {"real", SL_CLI_NUMBER, "0.0002"},
        /* nothing: a name is simply not there, a figure is unknown and never 0 */
        {"null", SL_CLI_TEXT, "-"},
        {"empty", SL_CLI_TEXT, "-"},
        {"nothing.at.all", SL_CLI_TEXT, "-"},
        {"null", SL_CLI_NUMBER, "unknown"},
        {"null", SL_CLI_USD, "unknown"},
        {"null", SL_CLI_MS, "unknown"},
        {"null", SL_CLI_TIME, "-"},
        {"never", SL_CLI_MS, "unknown"},
        {"rate0", SL_CLI_RATE_ZERO, "unknown"},
        {"rate0", SL_CLI_RATE_HS, "0 H/s"},
        /* exact, short, aligned */
        {"usd", SL_CLI_USD, "0.012345678"},
        {"usd", SL_CLI_USD_SHORT, "0.012345"},
        {"big", SL_CLI_USD_SHORT, "12345.67"},
        {"huge", SL_CLI_USD_SHORT, "12345678901234.50"},
        {"neg", SL_CLI_USD_SHORT, "-0.0004404"},
        {"zero", SL_CLI_USD_SHORT, "0.00"},
        {"usd", SL_CLI_USD_FULL, "0.012345678"},
        {"whole", SL_CLI_USD_FULL, "7.000000000"},
        {"zero", SL_CLI_USD_FULL, "0.000000000"},
        /* units */
        {"rate", SL_CLI_RATE_HS, "61.2 MH/s"},
        {"rate999", SL_CLI_RATE_HS, "1.00 MH/s"},
        {"rate5", SL_CLI_RATE_HS, "999 H/s"},
        {"ms", SL_CLI_MS, "999 ms"},
        {"s", SL_CLI_MS, "12.3 s"},
        {"min", SL_CLI_MS, "2 min 05 s"},
        {"h", SL_CLI_MS, "4 h 05 min"},
        {"d", SL_CLI_MS, "2 d 04 h"},
        {"us", SL_CLI_US, "412 us"},
        {"us2", SL_CLI_US, "1.50 ms"},
        {"us3", SL_CLI_US, "2.5 s"},
        {"time", SL_CLI_TIME, "2026-11-22 17:00:00"},
        {"unix", SL_CLI_TIME, "2026-11-22 17:00:00"},
        /* another machine's text does not steer the terminal; letters beyond ASCII stay */
        {"evil", SL_CLI_TEXT, "a?[31mb?c?d\xC3\xA9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(cases[i].path, cases[i].format, cases[i].wanted);
    }
}

static void test_nusd(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool good;
        long long nusd;
    } cases[] = {
        {"0.05", true, 50000000}, {"-12.000000001", true, -12000000001},
        {"9", true, 9000000000},  {"", false, 0},
        {"-", false, 0},          {"1.2.3", false, 0},
        {"1e5", false, 0},        {"0.0000000001", false, 0}, /* less than there is */
        {"nan", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sl_i128 nusd = 0;
        bool good = sl_cli_nusd(cases[i].text, &nusd);
        assert_int_equal(good, cases[i].good);
        if (good) {
            assert_true(nusd == cases[i].nusd);
        }
    }
    sl_i128 huge = 0;
    assert_true(sl_cli_nusd("92233720368547758079.000000001", &huge)); /* beyond int64 */
    char text[64];
    assert_string_equal(sl_nusd_format(huge, text), "92233720368547758079.000000001");
}

static void check_watts(const char *json, const char *wanted) {
    json_t *root = json_loads(json, 0, NULL);
    SL_AUTO_BUF struct sl_buf out = {0};
    sl_cli_watts(root, &out);
    assert_string_equal(out.data, wanted);
    json_decref(root);
}

static void test_watts(void **state) {
    (void)state;
    check_watts("{\"watts\":65.000,\"source\":\"rated\"}", "65 W (rated)");
    check_watts("{\"watts\":3.250,\"source\":\"measured\"}", "3.2 W");
    check_watts("{\"watts\":null,\"source\":\"unknown\"}", "unknown");
    check_watts("{}", "unknown");
}

static void test_escape(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf out = {0};
    sl_cli_escape(&out, "n-1/pci:0000:01 \xC3\xA9?");
    assert_string_equal(out.data, "n-1%2Fpci%3A0000%3A01%20%C3%A9%3F");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_nusd),
        cmocka_unit_test(test_watts),
        cmocka_unit_test(test_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
