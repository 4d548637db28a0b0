/* SPDX-License-Identifier: Apache-2.0
 * Whatever moved a device, a person is told in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/cli/decision.h"
#include "schedulers/policy.h"

static void test_every_rule_has_words(void **state) {
    (void)state;
    static const char *const others[] = {"restart", "better-bid", "reprice"}; /* lease.c's */
    for (int rule = 1; rule < SL_RULE_COUNT; rule++) {
        if (sl_cli_rule_words(sl_rule_name((enum sl_rule)rule))[0] == '\0') {
            fail_msg("nothing is said of the rule '%s'", sl_rule_name((enum sl_rule)rule));
        }
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(sl_cli_rule_words(others[i])[0] != '\0');
    }
    assert_string_equal(sl_cli_rule_words("a rule of a newer broker"), "");
}

/* What is shown of a decision is what was decided, unless something else was laid over it. */
static void test_what_is_shown_is_what_was_recorded(void **state) {
    (void)state;
    static const struct {
        const char *mode, *rule;
        int status;
    } rows[] = {
        {"hash", "start", SL_OK},       {"infer", "start", -SL_CORRUPT},
        {"hash", "stay", -SL_CORRUPT},  {"", "start", -SL_CORRUPT},
        {"idle", "curtail", SL_OK},     {"idle", "cap", SL_OK},
        {"infer", "better-bid", SL_OK}, {"infer", "reprice", SL_OK},
        {"idle", "x", -SL_CORRUPT},     {"", "", SL_OK}, /* a step's line */
    };
    struct sl_cli_decision d = {.decision.plan = {.mode = SL_MODE_HASH, .rule = SL_RULE_START}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_error err = {0};
        json_t *object = json_pack("{s:s, s:s}", "mode", rows[i].mode, "rule", rows[i].rule);
        assert_int_equal(sl_cli_decision_shown(object, &d, &err), rows[i].status);
        json_decref(object);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_rule_has_words),
        cmocka_unit_test(test_what_is_shown_is_what_was_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
