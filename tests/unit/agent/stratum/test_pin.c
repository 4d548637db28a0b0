/* SPDX-License-Identifier: Apache-2.0
 * Pins: read, written, held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/stratum/pin.h"

/* SHA-256 of the empty string, as `openssl dgst -sha256 -binary </dev/null | base64` gives it. */
#define EMPTY "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define OTHER "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void any_of_several_is_held(void **state) {
    (void)state;
    static const uint8_t zero[SL_POOL_PIN_BYTES];
    struct sl_pool_pins pins;
    char text[SL_POOL_PIN_TEXT_MAX + 1];
    assert_int_equal(sl_pool_pins_parse("  " EMPTY "  " OTHER " ", &pins, NULL), SL_OK);
    assert_int_equal(pins.count, 2);
    assert_int_equal(pins.keys[0][0], 0xe3);
    assert_true(sl_pool_pins_hold(&pins, zero));
    sl_pool_pin_write(pins.keys[0], text);
    assert_string_equal(text, EMPTY);
    uint8_t wrong[SL_POOL_PIN_BYTES] = {0};
    wrong[SL_POOL_PIN_BYTES - 1] = 1; /* one bit */
    assert_false(sl_pool_pins_hold(&pins, wrong));
}

static void without_pins_no_key_is_held(void **state) {
    (void)state;
    static const uint8_t zero[SL_POOL_PIN_BYTES];
    struct sl_pool_pins pins;
    assert_int_equal(sl_pool_pins_parse("", &pins, NULL), SL_OK);
    assert_int_equal(pins.count, 0);
    assert_false(sl_pool_pins_hold(&pins, zero));
}

static void what_is_no_pin_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "sha256//",
        "sha256//AAAA",
        "sha1//AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=x",
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-=",
        EMPTY "," OTHER,
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sl_pool_pins pins = {.count = 7};
        struct sl_error err = {0};
        assert_int_equal(sl_pool_pins_parse(bad[i], &pins, &err), -SL_INVALID);
        assert_int_equal(pins.count, 7);
        assert_non_null(strstr(err.text, "pool-pin"));
    }
    char many[(SL_POOL_PIN_TEXT_MAX + 1) * (SL_POOL_PINS_MAX + 1) + 1] = "";
    for (int i = 0; i <= SL_POOL_PINS_MAX; i++) {
        strcat(many, OTHER " ");
    }
    struct sl_pool_pins pins;
    assert_int_equal(sl_pool_pins_parse(many, &pins, NULL), -SL_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_of_several_is_held),
        cmocka_unit_test(without_pins_no_key_is_held),
        cmocka_unit_test(what_is_no_pin_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
