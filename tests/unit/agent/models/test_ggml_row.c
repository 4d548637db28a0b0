/* SPDX-License-Identifier: Apache-2.0
 * Tensor types from and to float, against definitions and against every half there is. */
#include "agent/models/ggml_row.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static float of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* By the definition of binary16. */
static double half_value(uint16_t bits) {
    int exponent = bits >> 10 & 31;
    double fraction = bits & 1023;
    double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return bits & 0x8000 ? -size : size;
}

static void test_every_half(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float value = of_bits(sl_half_to_float_bits((uint16_t)h));
        if ((h & 0x7c00) == 0x7c00) {
            assert_true((h & 0x3ff) ? isnan(value) : isinf(value) != 0);
            assert_false(sl_ggml_row_finite(SL_GGML_F16, &(uint16_t){(uint16_t)h}, 1));
            continue;
        }
        assert_true((double)value == half_value((uint16_t)h));
        assert_int_equal(sl_half_from_float(value), h);
        assert_true(sl_ggml_row_finite(SL_GGML_F16, &(uint16_t){(uint16_t)h}, 1));
    }
}

/* Half way between two halves goes to the even one, a hair beside it to the nearer one. */
static void test_rounding(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x7bff; h++) {
        double low = half_value((uint16_t)h), high = half_value((uint16_t)(h + 1));
        float middle = (float)((low + high) / 2);
        assert_int_equal(sl_half_from_float(middle), h & 1 ? h + 1 : h);
        assert_int_equal(sl_half_from_float(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(sl_half_from_float(nextafterf(middle, -INFINITY)), h);
        assert_int_equal(sl_half_from_float(-middle), 0x8000 | (h & 1 ? h + 1 : h));
    }
    assert_int_equal(sl_half_from_float(65519.996F), 0x7bff);
    assert_int_equal(sl_half_from_float(65520.0F), 0x7c00);
    assert_int_equal(sl_half_from_float(-INFINITY), 0xfc00);
    assert_int_equal(sl_half_from_float(1e-30F), 0);
    assert_true((sl_half_from_float(NAN) & 0x7fff) > 0x7c00);
}

static void test_rows(void **state) {
    (void)state;
    float in[64], back[64];
    uint8_t out[256];
    for (int i = 0; i < 64; i++) {
        in[i] = (float)sin(i * 1.7) * (i < 32 ? 1.0F : 0.02F);
    }
    assert_true(sl_ggml_row_encode(SL_GGML_F32, in, 64, out));
    sl_ggml_row_floats(SL_GGML_F32, out, 64, back);
    assert_memory_equal(in, back, sizeof in);
    assert_true(sl_ggml_row_encode(SL_GGML_F16, in, 64, out));
    sl_ggml_row_floats(SL_GGML_F16, out, 64, back);
    for (int i = 0; i < 64; i++) {
        assert_true(fabsf(in[i] - back[i]) <= fabsf(in[i]) / 2048 + 0x1p-25F);
    }
    assert_true(sl_ggml_row_encode(SL_GGML_Q8_0, in, 64, out));
    assert_true(sl_ggml_row_finite(SL_GGML_Q8_0, out, 64));
    sl_ggml_row_floats(SL_GGML_Q8_0, out, 64, back);
    for (int i = 0; i < 64; i++) { /* half a step of the scale, and what its half rounds away */
        float top = i < 32 ? 1.0F : 0.02F;
        assert_true(fabsf(in[i] - back[i]) <= top / 127 * 0.57F);
    }
    out[1] |= 0x7c; /* the first block's scale */
    assert_false(sl_ggml_row_finite(SL_GGML_Q8_0, out, 64));
    memset(in, 0, sizeof in); /* a block of nothing has no scale to divide by */
    assert_true(sl_ggml_row_encode(SL_GGML_Q8_0, in, 32, out));
    sl_ggml_row_floats(SL_GGML_Q8_0, out, 32, back);
    assert_memory_equal(in, back, 32 * sizeof *in);
}

static void test_what_does_not_fit(void **state) {
    (void)state;
    float in[32] = {[7] = 70000.0F};
    uint8_t out[128];
    assert_false(sl_ggml_row_encode(SL_GGML_F16, in, 32, out));
    assert_true(sl_ggml_row_encode(SL_GGML_Q8_0, in, 32, out));
    in[7] = -1e7F; /* a scale of 78,740 */
    assert_false(sl_ggml_row_encode(SL_GGML_Q8_0, in, 32, out));
    assert_true(sl_ggml_row_known(SL_GGML_F32) && sl_ggml_row_known(SL_GGML_Q8_0));
    assert_false(sl_ggml_row_known(SL_GGML_BF16) || sl_ggml_row_known(SL_GGML_Q4_0));
    const float odd[2] = {1, NAN};
    assert_false(sl_ggml_row_finite(SL_GGML_F32, odd, 2));
    assert_true(sl_ggml_row_finite(SL_GGML_F32, odd, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
