/* SPDX-License-Identifier: Apache-2.0
 * The reference itself: each step against values worked out by hand, and properties of the whole.
 */
#include "tests/unit/agent/models/bert_ref64.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/models/wordpiece.h"
#include "tests/unit/agent/models/tiny_bert.h"

static void near(double got, double want) {
    if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want)))) {
        fail_msg("%.17g, expected %.17g", got, want);
    }
}

static void test_steps(void **state) {
    (void)state;
    const double x[4] = {1, 2, 3, 4};
    const float w[6] = {1, 0, 0.5F, 0.5F, -1, 2};
    const float b[3] = {10, 20, 30};
    double y[6];
    const struct sl_bert_matrix matrix = {w, SL_GGML_F32, 2, 2 * sizeof(float)};
    sl_ref64_linear(x, &matrix, b, 2, 3, y);
    const double want[6] = {11, 21.5, 33, 13, 23.5, 35};
    for (size_t i = 0; i < 6; i++) {
        near(y[i], want[i]);
    }
    double row[2] = {1, 3}; /* mean 2, variance 1 */
    const float scale[2] = {2, 4};
    const float shift[2] = {0.5F, 1};
    sl_ref64_layer_norm(row, scale, shift, 1, 2, 3); /* sqrt(1 + 3) = 2 */
    near(row[0], -0.5);
    near(row[1], 3);
    double g[3] = {0, 1, -1};
    sl_ref64_gelu(g, 3);
    near(g[0], 0);
    near(g[1], 0.8413447460685429); /* the normal distribution at 1 */
    near(g[2], -0.15865525393145707);
}

static void test_rows(void **state) {
    (void)state;
    const uint16_t halves[8] = {0x3c00, 0xc000, 0x3555, 0x0001, 0x8001, 0x03ff, 0x7bff, 0x0400};
    const struct sl_bert_matrix f16 = {halves, SL_GGML_F16, 8, sizeof halves};
    const double want[8] = {1,       -2,     0.333251953125, 0x1p-24, -0x1p-24, 0x1p-14 - 0x1p-24,
                            65504.0, 0x1p-14};
    double got[32];
    sl_ref64_row(&f16, 0, got);
    for (size_t i = 0; i < 8; i++) {
        near(got[i], want[i]);
    }
    int8_t blocks[2 * 34] = {0};
    blocks[34] = 0x00; /* the second row's scale is 0x3800: 0.5 */
    blocks[35] = 0x38;
    blocks[36] = -128;
    blocks[67] = 127;
    const struct sl_bert_matrix q8 = {blocks, SL_GGML_Q8_0, 32, 34};
    sl_ref64_row(&q8, 1, got);
    near(got[0], -64);
    near(got[1], 0);
    near(got[31], 63.5);
}

static void test_attention(void **state) {
    (void)state;
    /* One head of width 4; q.k / sqrt(4) is ln 3 for the first row and 0 for the second. */
    const double l = log(3.0);
    const double q[8] = {2 * l, 0, 0, 0, 0, 0, 0, 0};
    const double k[8] = {1, 0, 0, 0, 0, 1, 0, 0};
    const double v[8] = {4, 0, 0, 8, 0, 0, 0, 0};
    double out[8];
    sl_ref64_attention(q, k, v, 2, 1, 4, out);
    near(out[0], 3); /* 3/4 of the first row */
    near(out[3], 6);
    near(out[4], 2); /* an even mix */
}

static void test_pool(void **state) {
    (void)state;
    const double hidden[4] = {3, 4, -3, 4};
    double out[2];
    sl_ref64_pool(hidden, 2, 2, SL_BERT_POOL_MEAN, out);
    near(out[0], 0);
    near(out[1], 1);
    sl_ref64_pool(hidden, 2, 2, SL_BERT_POOL_CLS, out);
    near(out[0], 0.6);
    near(out[1], 0.8);
}

static void test_whole(void **state) {
    (void)state;
    struct sl_tiny_bert shape = sl_tiny_bert_default();
    SL_AUTO_BUF struct sl_buf bytes = {0};
    SL_AUTO(sl_gguf) file = NULL;
    SL_AUTO(sl_bert_model) model = NULL;
    SL_AUTO(sl_wordpiece) wp = NULL;
    int32_t ids[64];
    uint32_t n = 0;
    double a[64];
    double b[64];
    double length = 0;
    double cosine = 0;
    assert_int_equal(sl_tiny_bert_bytes(&shape, &bytes, NULL), SL_OK);
    assert_int_equal(sl_gguf_open_memory(bytes.data, bytes.len, &file, NULL), SL_OK);
    assert_int_equal(sl_bert_model_load(file, &model, NULL), SL_OK);
    assert_int_equal(sl_wordpiece_create(file, &wp, NULL), SL_OK);
    assert_int_equal(sl_wordpiece_encode(wp, "the cat", 7, (struct sl_wordpiece_limit){64, false},
                                         ids, &n, NULL),
                     SL_OK);
    assert_int_equal(n, 4);
    assert_int_equal(sl_ref64_embed(model, ids, n, a), 0);
    int32_t swapped[4] = {ids[0], ids[2], ids[1], ids[3]};
    assert_int_equal(sl_ref64_embed(model, swapped, n, b), 0);
    for (size_t i = 0; i < 64; i++) {
        length += a[i] * a[i];
        cosine += a[i] * b[i];
    }
    near(length, 1);
    assert_true(cosine < 0.999); /* positions matter */
    ids[1] = 96;
    assert_int_equal(sl_ref64_embed(model, ids, n, a), -1); /* no such row */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),     cmocka_unit_test(test_rows),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_pool),
        cmocka_unit_test(test_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
