/* SPDX-License-Identifier: Apache-2.0
 * Where each weight lies after packing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "agent/executors/infer_gemm.h"

#include <cmocka.h>

static void test_sizes(void **state) {
    (void)state;
    assert_int_equal(sl_gemm_padded(1), 32);
    assert_int_equal(sl_gemm_padded(32), 32);
    assert_int_equal(sl_gemm_padded(33), 64);
    assert_int_equal(sl_gemm_row_bytes(SL_WEIGHT_F32, 7), 28);
    assert_int_equal(sl_gemm_row_bytes(SL_WEIGHT_F16, 7), 14);
    assert_int_equal(sl_gemm_row_bytes(SL_WEIGHT_Q8_0, 64), 68);
    assert_int_equal(sl_gemm_row_bytes(SL_WEIGHT_Q8_0, 65), 0);
    assert_int_equal(sl_gemm_row_bytes(SL_WEIGHT_INVALID, 64), 0);
    assert_int_equal(sl_gemm_packed_bytes(SL_WEIGHT_F16, 33, 5), 64 * 10);
    assert_int_equal(sl_gemm_packed_bytes(SL_WEIGHT_Q8_0, 32, 32), 32 * 34);
    assert_int_equal(sl_gemm_stride(384), 384);
    assert_int_equal(sl_gemm_stride(3072), 3088);
}

static void test_plain(void **state) {
    (void)state;
    float w[3 * 2] = {1, 2, 3, 4, 5, 6}; /* 3 rows of 2 */
    float packed[2 * 32 * 2] = {0};
    sl_gemm_pack(SL_WEIGHT_F32, w, 3, 2, 31, packed); /* across the end of a panel */
    for (uint32_t i = 0; i < 2 * 32 * 2; i++) {
        float want = i == 31 ? 1 : i == 32 + 31 ? 2 : i == 64 ? 3 : i == 65 ? 5 : 0;
        want = i == 96 ? 4 : i == 97 ? 6 : want;
        assert_float_equal(packed[i], want, 0);
    }
    uint16_t h[2] = {0x1234, 0xfedc}, halves[64] = {0};
    sl_gemm_pack(SL_WEIGHT_F16, h, 1, 2, 4, halves);
    assert_int_equal(halves[4], 0x1234);
    assert_int_equal(halves[32 + 4], 0xfedc);
    assert_int_equal(halves[5], 0);
}

static void test_blocks(void **state) {
    (void)state;
    uint8_t w[2 * 34], packed[2 * 34 * 32] = {0}; /* one row of 64 */
    for (uint32_t i = 0; i < sizeof w; i++) {
        w[i] = (uint8_t)(i + 1);
    }
    sl_gemm_pack(SL_WEIGHT_Q8_0, w, 1, 64, 3, packed);
    for (uint32_t block = 0; block < 2; block++) {
        const uint8_t *at = packed + (size_t)block * 34 * 32;
        assert_memory_equal(at + 3 * 2, w + block * 34, 2);
        for (uint32_t i = 0; i < 32; i++) {
            assert_int_equal(at[64 + i * 32 + 3], w[block * 34 + 2 + i]);
            assert_int_equal(at[64 + i * 32 + 4], 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
