/* SPDX-License-Identifier: Apache-2.0
 * /api/v1/agents: what becomes of a request before and after the core. */
#include "proto/link/token.h"
#include "tests/unit/broker/http/support.h"

static void test_a_token_is_made_and_only_its_hash_goes_on(void **state) {
    struct ground *g = *state;
    char text[SL_TOKEN_TEXT_MAX];
    struct sl_token token;
    expect_text(g, "POST", "/api/v1/agents/enroll", g->operator_key,
                "{\"name\":\"n1\",\"ttl\":\"30m\"}", "token", text, sizeof text);
    assert_int_equal(sl_token_parse(text, &token, NULL), SL_OK);
    assert_string_equal(token.name, "n1");
    struct sl_core_event event = site_last_event(&g->site);
    assert_int_equal(event.kind, SL_CEV_AGENT);
    assert_int_equal(event.order.verb, SL_AGENT_ENROLL);
    assert_int_equal(event.order.span_ms, 30 * 60 * 1000);
    assert_string_equal(event.order.subject, "n1");
    assert_memory_equal(event.actor, "key_", 4);
    assert_memory_not_equal(event.order.hash, token.secret, sizeof token.secret);
    uint8_t first[32];
    memcpy(first, event.order.hash, sizeof first);
    expect_text(g, "POST", "/api/v1/agents/enroll", g->operator_key, "{\"name\":\"n1\"}", "token",
                text, sizeof text);
    event = site_last_event(&g->site);
    assert_memory_not_equal(event.order.hash, first, sizeof first);
    assert_int_equal(event.order.span_ms, 15 * 60 * 1000);
}

static void test_orders(void **state) {
    struct ground *g = *state;
    static const struct {
        const char *target, *body;
        enum sl_agent_verb verb;
    } cases[] = {
        {"/api/v1/agents/approve", "{\"agent\":\"n1\"}", SL_AGENT_APPROVE},
        {"/api/v1/agents/reject", "{\"agent\":\"n1\"}", SL_AGENT_REJECT},
        {"/api/v1/agents/revoke", "{\"agent\":\"n1\"}", SL_AGENT_REVOKE},
        {"/api/v1/agents/rotate", "{\"agent\":\"n1\",\"overlap\":\"2h\"}", SL_AGENT_ROTATE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer answer;
        expect(g, "POST", cases[i].target, g->operator_key, cases[i].body, 200, &answer);
        answer_fini(&answer);
        struct sl_core_event event = site_last_event(&g->site);
        assert_int_equal(event.kind, SL_CEV_AGENT);
        assert_int_equal(event.order.verb, cases[i].verb);
        assert_string_equal(event.order.subject, "n1");
    }
    assert_int_equal(site_last_event(&g->site).order.span_ms, 2 * 3600 * 1000);
}

static void test_what_is_refused(void **state) {
    struct ground *g = *state;
    static const struct {
        const char *target, *body;
        int status;
        const char *code;
    } cases[] = {
        {"/api/v1/agents/enroll", "{}", 400, "invalid_value"},
        {"/api/v1/agents/enroll", "{\"name\":\"a b\"}", 400, "invalid_value"},
        {"/api/v1/agents/enroll", "{\"name\":\"n\",\"ttl\":15}", 400, "invalid_value"},
        {"/api/v1/agents/enroll", "{\"name\":\"n\",\"ttl\":\"15\"}", 400, "invalid_value"},
        {"/api/v1/agents/enroll", "{\"name\":\"n\",\"overlap\":\"1h\"}", 400, "unknown_parameter"},
        {"/api/v1/agents/approve", "{\"agent\":\"\"}", 400, "invalid_value"},
        {"/api/v1/agents/approve", "{\"agent\":\"n\",\"ttl\":\"1h\"}", 400, "unknown_parameter"},
        {"/api/v1/agents/revoke", "{\"agent\":\"nowhere\"}", 404, "not_found"},
        {"/api/v1/agents/hug", "{\"agent\":\"n\"}", 404, "unknown_url"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_code(g, "POST", cases[i].target, g->operator_key, cases[i].body, cases[i].status,
                    cases[i].code);
    }
    expect_code(g, "POST", "/api/v1/agents/enroll", g->acme, "{\"name\":\"n\"}", 403,
                "operator_key_required");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_is_made_and_only_its_hash_goes_on),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
