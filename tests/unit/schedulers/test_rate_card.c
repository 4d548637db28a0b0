/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "schedulers/rate_card.h"

#include <cmocka.h>

static void test_patterns(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        const char *name;
        bool want;
    } cases[] = {
        {"*", "", true},
        {"*", "H100", true},
        {"H100", "H100", true},
        {"H100", "H1000", false},
        {"H1000", "H100", false},
        {"*H100*", "NVIDIA H100 PCIe", true},
        {"N*H*0", "NVH100", true},
        {"N*H*1", "NVH100", false},
        {"a**b", "ab", true},
        {"h100", "H100", false},
        {"", "", true},
        {"", "x", false},
        {"*a", "aab", false},
        {"*a*a", "aba", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (sl_rate_card_matches(cases[i].pattern, cases[i].name) != cases[i].want) {
            fail_msg("%s on %s", cases[i].pattern, cases[i].name);
        }
    }
}

static const struct sl_rate card[] = {
    {"*", "*", "*", 1},          {"*", "NVIDIA*", "*", 2}, {"*", "NVIDIA H100*", "*", 3},
    {"m", "*", "*", 4},          {"m", "CPU", "*", 5},     {"*", "*", "acme", 6},
    {"m", "NVIDIA*", "acme", 7},
};
#define COUNT (sizeof card / sizeof card[0])

static void test_the_most_specific_counts(void **state) {
    (void)state;
    static const struct {
        const char *model, *class_, *tenant;
        int64_t want;
    } cases[] = {
        {"x", "AMD", "t", 1},
        {"x", "NVIDIA A100", "t", 2},
        {"x", "NVIDIA H100", "t", 3},
        {"m", "NVIDIA H100", "t", 4},
        {"m", "CPU", "t", 5},
        {"m", "CPU", "acme", 6},
        {"m", "NVIDIA H100", "acme", 7},
        {"x", "NVIDIA H100", "acme", 6},
    };
    struct sl_error err = {0};
    assert_int_equal(sl_rate_card_check(card, COUNT, &err), SL_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sl_rate *rate =
            sl_rate_card_find(card, COUNT, cases[i].model, cases[i].class_, cases[i].tenant);
        assert_non_null(rate);
        assert_int_equal(rate->nusd_per_mtok, cases[i].want);
    }
    struct sl_rate turned[COUNT]; /* the order of the rows does not count */
    for (size_t i = 0; i < COUNT; i++) {
        turned[i] = card[COUNT - 1 - i];
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            sl_rate_card_find(turned, COUNT, cases[i].model, cases[i].class_, cases[i].tenant)
                ->nusd_per_mtok,
            cases[i].want);
    }
    assert_null(sl_rate_card_find(card, 0, "m", "CPU", "acme"));
    assert_null(sl_rate_card_find(card + 4, 1, "m", "GPU", "acme"));
}

static void test_ties(void **state) {
    (void)state;
    static const struct sl_rate twice[] = {{"m", "CPU", "*", 1}, {"m", "CPU", "*", 2}};
    static const struct sl_rate both[] = {
        {"*", "NV*", "*", 1}, {"*", "*10", "*", 2}, {"*", "*00", "*", 2}};
    static const struct sl_rate apart[] = {
        {"*", "NV*", "*", 1}, {"*", "AM*", "*", 2}, {"a", "*", "*", 3},    {"b", "*", "*", 4},
        {"*", "*", "t", 5},   {"*", "*", "u", 6},   {"*", "*X100", "*", 7}};
    static const struct sl_rate stars[] = {{"*", "*a*b*c*d*", "*", 1}};
    struct sl_error err = {0};
    assert_int_equal(sl_rate_card_check(twice, 2, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "rows 1 (model m, class CPU, tenant *) and 2"));
    assert_int_equal(sl_rate_card_check(both, 1, &err), SL_OK);
    assert_int_equal(sl_rate_card_check(both, 2, &err), -SL_INVALID); /* NV10 */
    assert_int_equal(sl_rate_card_check(both + 1, 2, &err), SL_OK);   /* no name ends with both */
    assert_int_equal(sl_rate_card_check(apart, 7, &err), SL_OK);
    assert_int_equal(sl_rate_card_check(stars, 1, &err), -SL_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_the_most_specific_counts),
        cmocka_unit_test(test_ties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
