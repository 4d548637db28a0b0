/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "schedulers/shock.h"

#include <cmocka.h>

static void test_sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ppm;
    } good[] = {
        {"-60%", 400000},
        {"+20%", 1200000},
        {"-0%", 1000000},
        {"-100%", 0},
        {"-12.5%", 875000},
        {"x3", 3000000},
        {"x0", 0},
        {"x60", 60000000},
        {"1.5", 1500000},
        {"0.4", 400000},
        {"9.999999", 9999999},
        {"x1000", 1000000000},
        {"+0.0001%", 1000001},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ppm = -1;
        struct sl_error err = {0};
        if (sl_shock_parse("lease", good[i].text, &ppm, &err) != SL_OK || ppm != good[i].ppm) {
            fail_msg("%s: %lld %s", good[i].text, (long long)ppm, err.text);
        }
    }
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *said;
    } bad[] = {
        {"60", "write -60% for so much less"},
        {"10", "a bare number"},
        {"60%", "write -60% for less, +60% for more"},
        {"-60", "write -60% for percent"},
        {"+5", "write +5% for percent"},
        {"-101%", "-100% is the least"},
        {"", "x3 or 1.5"},
        {"x", "x3 or 1.5"},
        {"x3%", "x3 or 1.5"},
        {"3x", "x3 or 1.5"},
        {"1.", "x3 or 1.5"},
        {".5", "x3 or 1.5"},
        {"1.2.3", "x3 or 1.5"},
        {"1.1234567", "x3 or 1.5"},
        {"--5%", "x3 or 1.5"},
        {"-5%%", "x3 or 1.5"},
        {"much", "x3 or 1.5"},
        {" 2", "x3 or 1.5"},
        {"x1001", "thousand"},
        {"+100000%", "thousand"},
        {"x99999999999999999999999999", "x3 or 1.5"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ppm = 77;
        struct sl_error err = {0};
        int rc = sl_shock_parse("lease", bad[i].text, &ppm, &err);
        if (rc != -SL_INVALID || ppm != 77 || !strstr(err.text, bad[i].said) ||
            strncmp(err.text, "lease: ", 7) != 0) {
            fail_msg("'%s': %d %lld %s", bad[i].text, rc, (long long)ppm, err.text);
        }
    }
}

static void test_scale(void **state) {
    (void)state;
    assert_int_equal(sl_shock_scale(7, 500000), 3);
    assert_int_equal(sl_shock_scale(-7, 500000), -4); /* towards minus infinity */
    assert_int_equal(sl_shock_scale(INT64_MAX, 3000000), INT64_MAX);
    assert_int_equal(sl_shock_scale(INT64_MIN, 3000000), INT64_MIN);
    assert_int_equal(sl_shock_scale(123456789, SL_SHOCK_SAME), 123456789);
}

static void test_halving(void **state) {
    (void)state;
    struct sl_shock shock = sl_shock_none();
    assert_int_equal(sl_shock_hash(&shock, 1000, 20000), 1000);
    shock.halving = true;
    assert_int_equal(sl_shock_hash(&shock, 1000, 0), 500);
    assert_int_equal(sl_shock_hash(&shock, 1000, 20000), 510); /* 20 stay of fees, 490 of 980 */
    assert_int_equal(sl_shock_hash(&shock, 1000, 1000000), 1000);
    assert_int_equal(sl_shock_hash(&shock, 999, 0), 499);
    shock.hash_ppm = 500000;
    assert_int_equal(sl_shock_hash(&shock, 1000, 20000), 255);
    shock.hash_ppm = SL_SHOCK_MAX;
    assert_int_equal(sl_shock_hash(&shock, INT64_MAX, 1000000), INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_halving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
