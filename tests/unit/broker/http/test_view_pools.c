/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "broker/http/views.h"
#include "tests/unit/broker/http/made_up_core.h"

static json_t *view(bool fresh) {
    struct sl_broker_core core = {.fresh = fresh};
    struct sl_json json = {0};
    sl_view_pools_json(&json, &core, (struct sl_now){0});
    json_t *root = json_loads(json.buf.data, JSON_DECODE_INT_AS_REAL, NULL);
    assert_non_null(root);
    sl_json_fini(&json);
    return root;
}

static void test_pools(void **state) {
    (void)state;
    json_t *root = view(false);
    json_t *one = json_array_get(json_object_get(root, "pools"), 0);
    assert_string_equal(json_string_value(json_object_get(one, "state")), "fallback");
    assert_int_equal(json_array_size(json_object_get(root, "pools")), 1); /* not what is gone */
    assert_string_equal(json_string_value(json_object_get(one, "quoted_usd")), "0.05");
    json_t *rejected = json_object_get(one, "rejected");
    assert_int_equal((int)json_number_value(json_object_get(rejected, "duplicate")), 1);
    assert_int_equal((int)json_number_value(json_object_get(rejected, "low_difficulty")), 2);
    assert_int_equal((int)json_number_value(json_object_get(rejected, "unauthorised")), 3);
    assert_int_equal((int)json_number_value(json_object_get(rejected, "other")), 4);
    assert_true(json_real_value(json_object_get(one, "difficulty")) == 0.0005);
    json_t *window = json_object_get(one, "window");
    assert_int_equal((int)json_number_value(json_object_get(window, "measured_hs")), 1000);
    assert_true(json_real_value(json_object_get(window, "effective")) == 0.95);
    assert_true(json_is_null(json_object_get(window, "refused")));
    assert_int_equal(json_array_size(json_object_get(root, "connections")), 1);
    json_decref(root);
    root = view(true);
    one = json_array_get(json_object_get(root, "pools"), 0);
    assert_true(json_is_null(json_object_get(one, "latency_us_p50")));
    assert_true(json_is_null(json_object_get(one, "difficulty")));
    assert_true(json_is_null(json_object_get(json_object_get(one, "window"), "measured_hs")));
    json_decref(root);
}

static void test_metrics(void **state) {
    (void)state;
    struct sl_broker_core core = {0};
    SL_AUTO_BUF struct sl_buf text = {0};
    static const char *const lines[] = {
        "\nsluice_pool_shares_total{pool=\"a\\\"b\",outcome=\"unknown\"} 13\n",
        "\nsluice_pool_rejected_total{pool=\"a\\\"b\",reason=\"other\"} 4\n",
        "\nsluice_pool_work_hashes_total{pool=\"a\\\"b\"} 18446744073709551614\n",
        "\nsluice_pool_latency_seconds{pool=\"a\\\"b\",quantile=\"0.99\"} 2.000000\n",
        "\nsluice_pool_effective_hashes_per_second{pool=\"a\\\"b\"} 950\n",
        "\nsluice_pool_left{pool=\"a\\\"b\"} 0\n"};
    sl_view_pools_metrics(&text, &core, (struct sl_now){0});
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (!strstr(text.data, lines[i])) {
            fail_msg("%s is not in\n%s", lines[i], text.data);
        }
    }
    core.fresh = true;
    text.len = 0;
    sl_view_pools_metrics(&text, &core, (struct sl_now){0});
    assert_null(strstr(text.data, "sluice_pool_latency_seconds{"));
    assert_null(strstr(text.data, "sluice_pool_measured_hashes_per_second{"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
