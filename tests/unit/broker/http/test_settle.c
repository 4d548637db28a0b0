/* SPDX-License-Identifier: Apache-2.0
 * POST and GET /api/v1/settlements: what reaches the core, and what does not. */
#include "tests/unit/broker/http/support.h"

#define ROW(more) "{\"from\":\"2026-11-01\",\"to\":\"2026-11-02\"" more "}"
#define MONEY ",\"amount\":\"1.5\",\"currency\":\"USD\""

static void test_an_import_reaches_the_core(void **state) {
    struct ground *g = *state;
    struct answer answer;
    static const char check[] =
        "{\"check\":true,\"rows\":[" ROW(",\"pool\":\"p\",\"line\":7" MONEY) "]}";
    expect(g, "POST", "/api/v1/settlements", g->operator_key, check, 200, &answer);
    json_t *root = answer_json(&answer);
    const json_t *row = json_array_get(json_object_get(root, "settlements"), 0);
    assert_true(json_is_true(json_object_get(root, "check")));
    assert_true(json_is_null(json_object_get(row, "id")));
    assert_string_equal(json_string_value(json_object_get(row, "node")), "*");
    assert_string_equal(json_string_value(json_object_get(row, "pool")), "p");
    assert_string_equal(json_string_value(json_object_get(row, "amount")), "1.50");
    assert_string_equal(json_string_value(json_object_get(row, "quoted_usd")), "0.00");
    json_decref(root);
    answer_fini(&answer);
    struct sl_core_event event = site_last_event(&g->site);
    assert_int_equal(event.kind, SL_CEV_SETTLE);
    assert_memory_equal(event.actor, "key_", 4);
    static const char node[] = "{\"rows\":[" ROW(",\"node\":\"n\"" MONEY) "]}";
    expect(g, "POST", "/api/v1/settlements", g->operator_key, node, 200, &answer);
    answer_fini(&answer);
    expect(g, "GET", "/api/v1/settlements", g->operator_key, NULL, 200, &answer);
    answer_fini(&answer);
}

static void test_bodies_that_make_no_sense(void **state) {
    struct ground *g = *state;
    static const char *const bodies[] = {
        "{}",
        "{\"rows\":[]}",
        "{\"rows\":7}",
        "{\"rows\":[7]}",
        "{\"rows\":[{}]}",
        "{\"rows\":[" ROW(MONEY) "]}",
        "{\"rows\":[" ROW(",\"pool\":\"p\",\"node\":\"n\"" MONEY) "]}",
        "{\"rows\":[" ROW(",\"node\":\"\"" MONEY) "]}",
        "{\"rows\":[" ROW(",\"pool\":\"p\",\"x\":1" MONEY) "]}",
        "{\"rows\":[" ROW(",\"pool\":\"p\"") "]}",
        "{\"rows\":[" ROW(",\"pool\":\"p\",\"amount\":1.5,\"currency\":\"USD\"") "]}",
        "{\"rows\":[" ROW(",\"pool\":\"p\",\"amount\":\"-1\",\"currency\":\"USD\"") "]}",
        "{\"rows\":[" ROW(",\"pool\":\"p\",\"amount\":\"1\",\"currency\":\"usd\"") "]}",
        "{\"rows\":[" ROW(",\"pool\":\"p\",\"amount\":\"1\",\"currency\":\"DOLLARSS\"") "]}",
        "{\"rows\":[{\"from\":\"x\",\"to\":\"2026-11-02\",\"pool\":\"p\"" MONEY "}]}",
        "{\"check\":1,\"rows\":[" ROW(",\"pool\":\"p\"" MONEY) "]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        expect_code(g, "POST", "/api/v1/settlements", g->operator_key, bodies[i], 400,
                    "invalid_value");
    }
    expect_code(g, "POST", "/api/v1/settlements", g->operator_key, "{\"row\":[]}", 400,
                "unknown_parameter");
    expect_code(g, "POST", "/api/v1/settlements", g->acme, "{}", 403, "operator_key_required");
    expect_code(g, "GET", "/api/v1/settlements", g->acme, NULL, 403, "operator_key_required");
    expect_code(g, "GET", "/api/v1/settlements?limit=0", g->operator_key, NULL, 400,
                "invalid_value");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_import_reaches_the_core),
        cmocka_unit_test(test_bodies_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
