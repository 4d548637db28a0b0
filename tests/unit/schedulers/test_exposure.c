/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "schedulers/exposure.h"

#include <cmocka.h>

static void test_shares(void **state) {
    (void)state;
    struct sl_exposure_row rows[4];
    struct sl_exposure e = {.rows = rows, .cap = 4};
    sl_exposure_add(&e, SL_EXPOSURE_TENANT, "acme", 200);
    sl_exposure_add(&e, SL_EXPOSURE_COIN, "sha256d", 300);
    sl_exposure_add(&e, SL_EXPOSURE_COIN, "sha256d", 300);
    sl_exposure_add(&e, SL_EXPOSURE_TENANT, "sha256d", 200); /* a tenant of a coin's name */
    sl_exposure_close(&e, 600000, 199999);
    assert_int_equal(e.count, 3);
    assert_int_equal((int64_t)e.total_nusd, 1000);
    assert_string_equal(rows[0].name, "sha256d");
    assert_int_equal(rows[0].kind, SL_EXPOSURE_COIN);
    assert_int_equal(rows[0].share_ppm, 600000);
    assert_false(rows[0].over); /* at its limit */
    assert_string_equal(rows[1].name, "acme");
    assert_true(rows[1].over);
    assert_int_equal(e.hhi_ppm, 360000 + 40000 + 40000);
    sl_exposure_close(&e, 599999, 200000);
    assert_true(rows[0].over);
    assert_false(rows[1].over);
}

static void test_nothing(void **state) {
    (void)state;
    struct sl_exposure_row rows[2];
    struct sl_exposure e = {.rows = rows, .cap = 2};
    sl_exposure_close(&e, 0, 0);
    assert_int_equal(e.hhi_ppm, 0);
    sl_exposure_add(&e, SL_EXPOSURE_TENANT, "a", 5);
    sl_exposure_add(&e, SL_EXPOSURE_TENANT, "a", -5);
    sl_exposure_close(&e, 0, 0);
    assert_int_equal(rows[0].share_ppm, 0);
    assert_false(rows[0].over);
}

static void test_full(void **state) {
    (void)state;
    struct sl_exposure_row rows[2];
    struct sl_exposure e = {.rows = rows, .cap = 2};
    sl_exposure_add(&e, SL_EXPOSURE_TENANT, "a", 5);
    sl_exposure_add(&e, SL_EXPOSURE_TENANT, "b", 2);
    sl_exposure_add(&e, SL_EXPOSURE_TENANT, "c", 2);
    sl_exposure_add(&e, SL_EXPOSURE_TENANT, "d", 1);
    sl_exposure_close(&e, 1000000, 1000000);
    assert_int_equal((int64_t)e.total_nusd, 10);
    assert_string_equal(rows[1].name, "others");
    assert_int_equal(rows[0].share_ppm + rows[1].share_ppm, 1000000);
    assert_int_equal(e.hhi_ppm, 500000);
}

/* A limit is compared with the exact share, whatever its millionths round to. */
static void test_large(void **state) {
    (void)state;
    struct sl_exposure_row rows[2];
    struct sl_exposure e = {.rows = rows, .cap = 2};
    sl_i128 large = (sl_i128)INT64_MAX * 1000000;
    sl_exposure_add(&e, SL_EXPOSURE_COIN, "a", large + 1);
    sl_exposure_add(&e, SL_EXPOSURE_COIN, "b", large);
    sl_exposure_close(&e, 500000, 0);
    assert_int_equal(rows[0].share_ppm, 500000);
    assert_true(rows[0].over);
    assert_false(rows[1].over);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
