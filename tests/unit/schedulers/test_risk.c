/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "schedulers/risk.h"

#include <cmocka.h>

static void test_premium(void **state) {
    (void)state;
    const struct sl_risk_params none = {0};
    const struct sl_risk_params params = {.hash_ppm = 50000, .lease_ppm = 1};
    assert_int_equal(sl_risk_premium(&none, SL_MODE_HASH, 1000), 0);
    assert_int_equal(sl_risk_premium(&params, SL_MODE_HASH, 1000), 50);
    assert_int_equal(sl_risk_premium(&params, SL_MODE_HASH, 1001), 51); /* 50.05, up */
    assert_int_equal(sl_risk_premium(&params, SL_MODE_INFER, 1), 1);
    assert_int_equal(sl_risk_premium(&params, SL_MODE_INFER, 1000000), 1);
    assert_int_equal(sl_risk_premium(&params, SL_MODE_IDLE, 1000), 0);
    assert_int_equal(sl_risk_premium(&params, SL_MODE_HASH, -1000), 0);
    assert_int_equal(sl_risk_premium(&params, SL_MODE_HASH, INT64_MAX),
                     (INT64_MAX - INT64_MAX % 20) / 20 + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_premium)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
