/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "schedulers/opportunity.h"

#include <cmocka.h>

struct row {
    int64_t a;
    int64_t b;
    int64_t want;
    const char *why;
};

static void check(const struct row *rows, size_t n, int64_t (*f)(int64_t, int64_t)) {
    for (size_t i = 0; i < n; i++) {
        int64_t got = f(rows[i].a, rows[i].b);
        if (got != rows[i].want) {
            fail_msg("%s: got %lld, want %lld", rows[i].why, (long long)got,
                     (long long)rows[i].want);
        }
    }
}
#define CHECK(rows, f) check(rows, sizeof rows / sizeof rows[0], f)

static void test_hash(void **state) {
    (void)state;
    static const struct row rows[] = {
        /* 45 USD/PH/day, 100 TH/s: 4.5 USD a day, 0.1875 an hour. */
        {45000000000, 100000000000000, 187500000, "a real miner"},
        {40000000000, 30000000, 50, "a CPU earns 50 nUSD/h"},
        {40000000000000000, 30000000, 50000000, "the same with the demo's factor of a million"},
        {24, 1000000000000000, 1, "exactly one nano-USD"},
        {23, 1000000000000000, 0, "just below it"},
        {-24, 1000000000000000, -1, "a negative price stays negative"},
        {-1, 1, -1, "rounded towards minus infinity"},
        {INT64_MAX, INT64_MAX, INT64_MAX, "cut at the limit"},
        {INT64_MIN, INT64_MAX, INT64_MIN, "cut at the lower limit"},
        {5, -7, 0, "no negative rates"},
        {0, INT64_MAX, 0, "worthless"},
    };
    CHECK(rows, sl_opportunity_hash);
}

static void test_hash_price(void **state) {
    (void)state;
    static const struct row rows[] = {
        {40000000000, 1000, 40000000000, "factor 1"},
        {40000000000, 1000000000, 40000000000000000, "factor a million"},
        {3, 500, 1, "rounded down"},
        {INT64_MAX, INT64_MAX, INT64_MAX, "cut"},
        {40000000000, -5, 0, "no negative factor"},
    };
    CHECK(rows, sl_opportunity_hash_price);
}

static void test_lease(void **state) {
    (void)state;
    static const struct row rows[] = {
        /* 0.05 USD/Mtok at 20,000 tokens/s: 72 Mtok an hour, 3.60 USD. */
        {50000000, 20000000, 3600000000, "a real lease"},
        {1, 277778, 1, "one nano-USD for just over a million tokens an hour"},
        {1, 277777, 0, "just below it"},
        {1000000000000, 1000000000000, 3600000000000000000, "near the limit"},
        {INT64_MAX, INT64_MAX, INT64_MAX, "cut"},
        {-1, 1, -1, "rounded towards minus infinity"},
        {7, -7, 0, "no negative rates"},
    };
    CHECK(rows, sl_opportunity_lease);
}

static void test_power(void **state) {
    (void)state;
    static const struct row rows[] = {
        {70000000, 300000, 21000000, "0.07 USD/kWh x 300 W"},
        {-20000000, 300000, -6000000, "a negative tariff pays"},
        {INT64_MAX, INT64_MAX, INT64_MAX, "cut"},
        {70000000, -1, 0, "no negative draw"},
    };
    CHECK(rows, sl_opportunity_power);
}

static void test_switch(void **state) {
    (void)state;
    static const struct row rows[] = {
        {2000, 3600000000, 2000, "2 ms of 3.60 USD/h"},
        {1, 1, 1, "rounded up"},
        {0, 1000, 0, "costs nothing"},
        {1000, -5, 0, "nothing is lost of nothing"},
        {INT64_MAX, INT64_MAX, INT64_MAX, "cut"},
    };
    CHECK(rows, sl_opportunity_switch);
    /* 2 ms in every 60 s of 3.60 USD/h are 1/30000 of it. */
    assert_int_equal(sl_opportunity_spread(2000, 3600000000, 60000), 120000);
    assert_int_equal(sl_opportunity_spread(2000, 3600000000, 0), 7200000000);
    assert_int_equal(sl_opportunity_spread(INT64_MAX, INT64_MAX, 1), INT64_MAX);
}

static void test_sums(void **state) {
    (void)state;
    assert_int_equal(sl_opportunity_minus(INT64_MIN, 1), INT64_MIN);
    assert_int_equal(sl_opportunity_minus(INT64_MAX, -1), INT64_MAX);
    assert_int_equal(sl_opportunity_minus(5, 7), -2);
    assert_int_equal(sl_opportunity_plus(INT64_MAX, 1), INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),   cmocka_unit_test(test_hash_price),
        cmocka_unit_test(test_lease),  cmocka_unit_test(test_power),
        cmocka_unit_test(test_switch), cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
