/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/money.h"

static void tiny_amounts_add_up_exactly(void **state) {
    (void)state;
    /* A share at difficulty 0.001 at 50 USD/PH/day is 2e-3 nano-USD; a million of them must not
     * vanish, and must equal one posting of the sum. */
    struct sl_accrual many = {0};
    struct sl_accrual once = {0};
    int64_t sum = 0;
    struct sl_nusd amount;
    for (int i = 0; i < 1000000; i++) {
        assert_int_equal(
            sl_accrue(&many, 4295032, 50 * SL_NUSD_PER_USD, SL_DENOM_HASH, &amount, NULL), 0);
        sum += amount.v;
    }
    assert_int_equal(sl_accrue(&once, INT64_C(4295032) * 1000000, 50 * SL_NUSD_PER_USD,
                               SL_DENOM_HASH, &amount, NULL),
                     0);
    assert_int_equal(sum, amount.v);
    assert_true(many.rem == once.rem);
    assert_true(sum > 2000);
}

static void an_amount_that_does_not_fit_changes_nothing(void **state) {
    (void)state;
    struct sl_accrual accrual = {7};
    struct sl_nusd amount = {42};
    struct sl_error err;
    assert_int_equal(sl_accrue(&accrual, INT64_MAX, INT64_MAX, SL_DENOM_TOKEN, &amount, &err),
                     -SL_LIMIT);
    assert_true(accrual.rem == 7 && amount.v == 42);
    assert_int_equal(sl_accrue(&accrual, -1, 1, SL_DENOM_TOKEN, &amount, &err), -SL_INVALID);
}

static void decimals_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int digits;
        int rc;
        int64_t value;
    } cases[] = {
        {"0.05", 9, 0, 50000000},
        {"12", 9, 0, INT64_C(12000000000)},
        {"-3.5", 1, 0, -35},
        {"1.10", 1, 0, 11},
        {"1.11", 1, -SL_INVALID, 0},
        {"", 9, -SL_INVALID, 0},
        {".5", 9, -SL_INVALID, 0},
        {"5.", 9, -SL_INVALID, 0},
        {"1e3", 9, -SL_INVALID, 0},
        {"nan", 9, -SL_INVALID, 0},
        {"inf", 9, -SL_INVALID, 0},
        {"+1", 9, -SL_INVALID, 0},
        {" 1", 9, -SL_INVALID, 0},
        {"0x10", 9, -SL_INVALID, 0},
        {"99999999999999999999", 9, -SL_LIMIT, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 0;
        assert_int_equal(sl_decimal_parse(cases[i].text, cases[i].digits, &value, NULL),
                         cases[i].rc);
        assert_int_equal(value, cases[i].value);
    }
    int64_t value = 0;
    assert_int_equal(sl_decimal_parse_lenient("4.5e-2", 9, &value, NULL), 0);
    assert_int_equal(value, 45000000);
    assert_int_equal(sl_decimal_parse_lenient("1.23456789012345", 9, &value, NULL), 0);
    assert_int_equal(value, 1234567890);
}

static void money_is_shown_and_128_bits_survive_text(void **state) {
    (void)state;
    char buffer[64];
    assert_string_equal(sl_nusd_format(1500, buffer), "0.0000015");
    assert_string_equal(sl_nusd_format(-INT64_C(2500000000), buffer), "-2.50");
    assert_string_equal(sl_nusd_format(0, buffer), "0.00");
    sl_i128 big = ((sl_i128)INT64_MAX) * 1000 + 17;
    sl_i128 back = 0;
    char text[48];
    assert_int_equal(sl_i128_parse(sl_i128_format(big, text), &back), 0);
    assert_true(back == big);
    assert_int_equal(sl_i128_parse(sl_i128_format(-big, text), &back), 0);
    assert_true(back == -big);
    assert_int_equal(sl_i128_parse("12x", &back), -SL_INVALID);
    assert_int_equal(sl_i128_parse("", &back), -SL_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_amounts_add_up_exactly),
        cmocka_unit_test(an_amount_that_does_not_fit_changes_nothing),
        cmocka_unit_test(decimals_are_read_strictly),
        cmocka_unit_test(money_is_shown_and_128_bits_survive_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
