/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/batch/support.h"

#include "broker/batch/number.h"

static void expect_as_printf(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    char expected[64];
    snprintf(expected, sizeof expected, "%.9g", (double)value);
    char out[SL_FLOAT_TEXT_MAX + 1];
    size_t n = sl_float_format(bits, out);
    assert_true(n <= SL_FLOAT_TEXT_MAX);
    out[n] = '\0';
    if (strcmp(out, expected) != 0) {
        fail_msg("%08x: '%s' instead of '%s'", bits, out, expected);
    }
}

static void test_as_printf(void **state) {
    (void)state;
    /* Ends of the quick path, zeros, subnormals, ties and values that round up to 1 or 0.1. */
    static const uint32_t edges[] = {0,          0x80000000, 1,          0x007FFFFF, 0x00800000,
                                     0x3F800000, 0x3F7FFFFF, 0xBF7FFFFF, 0x39000000, 0x38FFFFFF,
                                     0x39000001, 0x3DCCCCCC, 0x3DCCCCCD, 0x3C23D70A, 0x3A83126E,
                                     0x38D1B717, 0x38D1B718, 0x7F7FFFFF, 0x3F000000, 0x3E800000};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        expect_as_printf(edges[i]);
    }
    uint64_t seed = 88172645463325252u; /* xorshift: the same values in every run */
    for (int i = 0; i < 1000000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        uint32_t mantissa = (uint32_t)seed & 0x807FFFFF;
        uint32_t exponent = 110 + (uint32_t)(seed >> 40) % 20;
        expect_as_printf(mantissa | exponent << 23);
    }
}

static void test_base64(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}}; /* RFC 4648, section 10 */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[16];
        size_t n = sl_base64_encode((const uint8_t *)cases[i][0], strlen(cases[i][0]), out);
        assert_int_equal(n, strlen(cases[i][1]));
        assert_memory_equal(out, cases[i][1], n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_printf),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
