/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/length.h"

#include <cmocka.h>

static void test_every_length_has_one_class(void **state) {
    (void)state;
    assert_int_equal(sl_length_class(0), 0);
    assert_int_equal(sl_length_class(UINT64_MAX), SL_LENGTHS - 1);
    for (uint32_t k = 0; k + 1 < SL_LENGTHS; k++) {
        assert_int_equal(sl_length_class(sl_length_most(k)), k);
        assert_int_equal(sl_length_class(sl_length_most(k) + 1), k + 1);
    }
    /* Part of the wire: these must never move. */
    assert_int_equal(sl_length_most(0), 16);
    assert_int_equal(sl_length_most(6), 1024);
    assert_int_equal(sl_length_most(7), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_length_has_one_class)};
    return cmocka_run_group_tests_name("length", tests, NULL, NULL);
}
