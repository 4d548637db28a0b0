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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_rule_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
