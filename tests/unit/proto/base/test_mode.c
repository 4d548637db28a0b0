/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/mode.h"

static void names_of_modes(void **state) {
    (void)state;
    assert_string_equal(sl_mode_name(SL_MODE_IDLE), "idle");
    assert_string_equal(sl_mode_name(SL_MODE_HASH), "hash");
    assert_string_equal(sl_mode_name(SL_MODE_INFER), "infer");
    for (int m = 1; m < SL_MODE_COUNT; m++) {
        assert_int_equal(sl_mode_parse(sl_mode_name((enum sl_mode)m)), m);
    }
    assert_string_equal(sl_mode_name(SL_MODE_INVALID), "invalid");
    assert_string_equal(sl_mode_name((enum sl_mode)SL_MODE_COUNT), "invalid");
    assert_string_equal(sl_mode_name((enum sl_mode) - 1), "invalid");
    static const char *const bad[] = {"", "invalid", "Hash", "hash ", "has", "1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sl_mode_parse(bad[i]), SL_MODE_INVALID);
    }
}

static void names_of_sources(void **state) {
    (void)state;
    assert_string_equal(sl_source_name(SL_SOURCE_MEASURED), "measured");
    assert_string_equal(sl_source_name(SL_SOURCE_RATED), "rated");
    assert_string_equal(sl_source_name(SL_SOURCE_UNKNOWN), "unknown");
    assert_string_equal(sl_source_name((enum sl_source)77), "unknown");
    /* What nobody filled in is unknown, never measured. */
    struct sl_watts zeroed = {0};
    assert_int_equal(zeroed.source, SL_SOURCE_UNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_modes),
        cmocka_unit_test(names_of_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
