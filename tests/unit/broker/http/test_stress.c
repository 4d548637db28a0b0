/* SPDX-License-Identifier: Apache-2.0
 * What may be asked of a stress test, and what is said to the rest. */
#include "tests/unit/broker/http/support.h"

static void test_what_is_asked_reaches_the_loop(void **state) {
    struct ground *g = *state;
    static const struct {
        const char *query;
        const char *arg; /* factors in ppm plus 1, hexadecimal */
    } cases[] = {
        {"", "0 0 0 0 0 "},
        {"?lease=-60%25", "61a81 0 0 0 0 "},
        {"?hashprice=%2B20%25&power=x3", "0 124f81 2dc6c1 0 0 "},
        {"?hashprice=+20%25", "0 124f81 0 0 0 "},
        {"?power=x0&halving=1&all=1&tenant=acme", "0 0 1 1 1 acme"},
        {"?halving=0", "0 0 0 0 0 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char target[128];
        char arg[128];
        snprintf(target, sizeof target, "/api/v1/stress%s", cases[i].query);
        expect_text(g, "GET", target, g->operator_key, NULL, "arg", arg, sizeof arg);
        assert_string_equal(arg, cases[i].arg);
    }
}

static void test_what_makes_no_sense_is_refused(void **state) {
    struct ground *g = *state;
    static const struct {
        const char *query;
        const char *said;
    } cases[] = {
        {"lease=60", "write -60% for so much less"},
        {"lease=60%25", "says no direction"},
        {"lease=-60%", "% is not written as %25"},
        {"hashprice=half", "hashprice: 'half' is no change"},
        {"power=-101%25", "-100% is the least"},
        {"power=", "x3 or 1.5"},
        {"leese=-60%25", "'leese=-60%25' is no shock"},
        {"lease", "'lease' is no shock"},
        {"halving=yes", "'halving' is 1 or 0"},
        {"all=2", "'all' is 1 or 0"},
        {"tenant=nobody", "There is no tenant 'nobody'"},
        {"tenant=", "There is no tenant ''"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char target[128];
        struct answer answer;
        snprintf(target, sizeof target, "/api/v1/stress?%s", cases[i].query);
        expect(g, "GET", target, g->operator_key, NULL, 400, &answer);
        if (!strstr(answer.body.data, cases[i].said)) {
            fail_msg("%s: %s", cases[i].query, answer.body.data);
        }
        answer_fini(&answer);
    }
}

static void test_operators_only(void **state) {
    struct ground *g = *state;
    static const char *const targets[] = {"/api/v1/stress", "/api/v1/exposure",
                                          "/api/v1/market/rates"};
    for (size_t i = 0; i < 3; i++) {
        expect_code(g, "GET", targets[i], g->acme, NULL, 403, "operator_key_required");
        expect_code(g, "GET", targets[i], NULL, NULL, 401, "missing_api_key");
        struct answer answer;
        expect(g, "GET", targets[i], g->operator_key, NULL, 200, &answer);
        answer_fini(&answer);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_asked_reaches_the_loop),
        cmocka_unit_test(test_what_makes_no_sense_is_refused),
        cmocka_unit_test(test_operators_only),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
