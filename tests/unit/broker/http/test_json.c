/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/http/json.h"

static void test_every_kind_of_value(void **state) {
    (void)state;
    struct sl_json json = {0};
    sl_json_open(&json, NULL, '{');
    sl_json_text(&json, "quote", "a\"b\\c\n\x01\x7F\xC3\xA9");
    sl_json_text(&json, "broken", "\xC3(");
    sl_json_text(&json, "none", NULL);
    sl_json_name(&json, "empty", "");
    sl_json_open(&json, "list", '[');
    sl_json_int(&json, NULL, INT64_MIN);
    sl_json_uint(&json, NULL, UINT64_MAX);
    sl_json_bool(&json, NULL, true);
    sl_json_open(&json, NULL, '{');
    sl_json_close(&json, '}');
    sl_json_close(&json, ']');
    sl_json_i128(&json, "sum", (sl_i128)INT64_MAX * 10);
    sl_json_decimal(&json, "ms", 1234, 3);
    sl_json_decimal(&json, "us", 7, 6);
    sl_json_usd(&json, "usd", -50000000);
    sl_json_unix(&json, "never", (struct sl_wall){0});
    sl_json_unix(&json, "unix", (struct sl_wall){1500});
    sl_json_time(&json, "time", (struct sl_wall){1500});
    sl_json_raw(&json, "raw", "{\"a\":1}");
    sl_json_close(&json, '}');
    assert_false(json.buf.failed);
    assert_string_equal(json.buf.data,
                        "{\"quote\":\"a\\\"b\\\\c\\u000a\\u0001\\u007f\xC3\xA9\",\"broken\":\"?(\","
                        "\"none\":null,\"empty\":null,\"list\":[-9223372036854775808,"
                        "18446744073709551615,true,{}],\"sum\":92233720368547758070,\"ms\":1.234,"
                        "\"us\":0.000007,\"usd\":\"-0.05\",\"never\":null,\"unix\":1,"
                        "\"time\":\"1970-01-01T00:00:01.500Z\",\"raw\":{\"a\":1}}");
    sl_json_fini(&json);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_kind_of_value)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
