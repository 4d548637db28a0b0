/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/http/support.h"

static void test_orders(void **state) {
    struct ground *g = *state;
    static const struct {
        const char *target;
        const char *body;
        const char *subject;
        enum sl_override_kind kind;
        enum sl_mode mode;
    } cases[] = {
        {"/api/v1/drain", "{\"subject\":\"node/pocl:0/1\"}", "node/pocl:0/1", SL_OVERRIDE_DRAIN,
         SL_MODE_INVALID},
        {"/api/v1/resume", "{\"subject\":\"node\"}", "node", SL_OVERRIDE_NONE, SL_MODE_INVALID},
        {"/api/v1/pin", "{\"subject\":\"d\",\"mode\":\"hash\"}", "d", SL_OVERRIDE_PIN,
         SL_MODE_HASH},
        {"/api/v1/stop", "{}", "*", SL_OVERRIDE_STOP, SL_MODE_INVALID},
        {"/api/v1/resume", "{\"subject\":\"*\"}", "*", SL_OVERRIDE_NONE, SL_MODE_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer answer;
        expect(g, "POST", cases[i].target, g->operator_key, cases[i].body, 200, &answer);
        answer_fini(&answer);
        struct sl_core_event event = site_last_event(&g->site);
        assert_int_equal(event.kind, SL_CEV_OVERRIDE);
        assert_string_equal(event.override_.subject, cases[i].subject);
        assert_int_equal(event.override_.kind, cases[i].kind);
        assert_int_equal(event.override_.mode, cases[i].mode);
        assert_memory_equal(event.override_.actor, "key_", 4);
        assert_string_equal(event.override_.actor, event.actor);
        assert_true(event.override_.at.ms > 0);
    }
}

static void test_orders_that_make_no_sense(void **state) {
    struct ground *g = *state;
    static const struct {
        const char *target;
        const char *body;
        int status;
        const char *code;
    } cases[] = {
        {"/api/v1/drain", "{}", 400, "invalid_value"},
        {"/api/v1/drain", "{\"subject\":\"\"}", 400, "invalid_value"},
        {"/api/v1/drain", "{\"subject\":\"d\",\"mode\":\"hash\"}", 400, "invalid_value"},
        {"/api/v1/drain", "{\"subject\":\"nowhere\"}", 404, "not_found"},
        {"/api/v1/pin", "{\"subject\":\"d\"}", 400, "invalid_value"},
        {"/api/v1/pin", "{\"subject\":\"d\",\"mode\":\"fast\"}", 400, "invalid_value"},
        {"/api/v1/stop", "{\"subject\":\"d\"}", 400, "invalid_value"},
        {"/api/v1/stop", "{\"force\":true}", 400, "unknown_parameter"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_code(g, "POST", cases[i].target, g->operator_key, cases[i].body, cases[i].status,
                    cases[i].code);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_orders_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
