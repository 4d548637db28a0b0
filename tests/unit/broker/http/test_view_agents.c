/* SPDX-License-Identifier: Apache-2.0
 * Agents and tokens as JSON: no secret, unknown figures are null. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "broker/core/agents.h"
#include "broker/http/views.h"

bool sl_view_agent_next(const struct sl_broker_core *core, struct sl_now now, uint32_t *cursor,
                        struct sl_view_agent *ret_view) {
    (void)core;
    (void)now;
    uint32_t index = (*cursor)++;
    *ret_view = (struct sl_view_agent){.name = "n1",
                                       .key = "K2",
                                       .id = "K1",
                                       .state = "approved",
                                       .session = "live",
                                       .next_key = "kept"};
    if (index == 1) {
        strcpy(ret_view->key_before, "K0");
        ret_view->before_left_ms = 1500;
        ret_view->rotating = true;
    }
    return index < 2;
}

bool sl_view_token_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                       struct sl_view_token *ret_view) {
    (void)core;
    (void)now;
    *ret_view = (struct sl_view_token){.id = "token_1", .name = "n2", .actor = "key_1"};
    return index == 0;
}

bool sl_view_refusal_get(const struct sl_broker_core *core, uint32_t index,
                         struct sl_view_refusal *ret_view) {
    (void)core;
    *ret_view = index ? (struct sl_view_refusal){"used_token", 3}
                      : (struct sl_view_refusal){"unknown_token", 0};
    return index < 2;
}

static void agents_and_tokens(void **state) {
    (void)state;
    SL_AUTO_JSON struct sl_json json = {0};
    sl_view_agents_json(&json, NULL, (struct sl_now){{0}, {0}});
    json_t *root = json_loads(json.buf.data, 0, NULL);
    assert_non_null(root);
    const json_t *first = json_array_get(json_object_get(root, "agents"), 0);
    const json_t *second = json_array_get(json_object_get(root, "agents"), 1);
    assert_string_equal(json_string_value(json_object_get(first, "public_key")), "K2");
    assert_string_equal(json_string_value(json_object_get(first, "identity")), "K1");
    assert_string_equal(json_string_value(json_object_get(first, "next_broker_key")), "kept");
    assert_true(json_is_null(json_object_get(first, "key_before")));
    assert_true(json_is_null(json_object_get(first, "key_before_left_ms")));
    assert_int_equal(json_integer_value(json_object_get(second, "key_before_left_ms")), 1500);
    assert_true(json_is_true(json_object_get(second, "rotating")));
    const json_t *token = json_array_get(json_object_get(root, "tokens"), 0);
    assert_string_equal(json_string_value(json_object_get(token, "id")), "token_1");
    assert_null(json_object_get(token, "token"));
    const json_t *refused = json_object_get(root, "refused");
    assert_int_equal(json_object_size(refused), 2);
    assert_int_equal(json_integer_value(json_object_get(refused, "used_token")), 3);
    json_decref(root);
}

static void refusals_as_metrics(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf buf = {0};
    sl_view_agents_metrics(&buf, NULL);
    assert_non_null(strstr(buf.data, "# TYPE sluice_joins_refused_total counter\n"));
    assert_non_null(strstr(buf.data, "sluice_joins_refused_total{reason=\"used_token\"} 3\n"));
    assert_non_null(strstr(buf.data, "{reason=\"unknown_token\"} 0\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(agents_and_tokens),
                                       cmocka_unit_test(refusals_as_metrics)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
