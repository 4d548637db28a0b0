/* SPDX-License-Identifier: Apache-2.0
 * What the engine is given of a file's weights. */
#include "agent/executors/model_pack.h"

#include "agent/models/ggml_row.h"
#include "tests/unit/agent/executors/infer_rig.h"

static const enum sl_ggml_type TYPES[] = {SL_GGML_F32, SL_GGML_F16, SL_GGML_Q8_0};

static double half_at(const uint8_t *at) {
    uint16_t half;
    uint32_t bits;
    float value;
    memcpy(&half, at, sizeof half);
    bits = sl_half_to_float_bits(half);
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* Element (out, in) of a packed matrix (infer_gemm.h). */
static double packed(const struct sl_model_tensor *t, uint32_t k, uint32_t out, uint32_t in) {
    enum sl_weight_type type = sl_model_weights(t);
    const uint8_t *panel =
        (const uint8_t *)t->data + out / SL_GEMM_PANEL * SL_GEMM_PANEL * sl_gemm_row_bytes(type, k);
    size_t at = (size_t)in * SL_GEMM_PANEL + out % SL_GEMM_PANEL;
    if (type == SL_WEIGHT_F32) {
        float value;
        memcpy(&value, panel + at * sizeof value, sizeof value);
        return (double)value;
    }
    if (type == SL_WEIGHT_F16) {
        return half_at(panel + at * 2);
    }
    const uint8_t *block = panel + (size_t)(in / 32) * 34 * SL_GEMM_PANEL;
    const uint8_t *quant = block + (2 + in % 32) * SL_GEMM_PANEL + out % SL_GEMM_PANEL;
    return half_at(block + out % SL_GEMM_PANEL * 2) * (double)(int8_t)*quant;
}

static void check_matrix(const struct sl_model_tensor *got, const struct sl_bert_matrix *want,
                         uint32_t rows, uint32_t column0) {
    double *row = malloc(want->columns * sizeof *row);
    assert_non_null(row);
    for (uint32_t i = 0; i < rows; i++) {
        sl_ref64_row(want, i, row);
        for (uint32_t k = 0; k < want->columns; k++) {
            assert_true(packed(got, want->columns, column0 + i, k) == row[k]);
        }
    }
    free(row);
    assert_int_equal(got->type, want->type);
    assert_int_equal((uintptr_t)got->data % 4096, 0);
}

static void check_layer(const struct sl_model_tensor *got, const struct sl_bert_layer *want,
                        uint32_t e, uint32_t f) {
    check_matrix(&got[SL_LAYER_QKV_W], &want->q_w, e, 0);
    check_matrix(&got[SL_LAYER_QKV_W], &want->k_w, e, e);
    check_matrix(&got[SL_LAYER_QKV_W], &want->v_w, e, 2 * e);
    check_matrix(&got[SL_LAYER_OUT_W], &want->out_w, e, 0);
    check_matrix(&got[SL_LAYER_UP_W], &want->up_w, f, 0);
    check_matrix(&got[SL_LAYER_DOWN_W], &want->down_w, e, 0);
    const float *b = got[SL_LAYER_QKV_B].data;
    assert_memory_equal(b, want->q_b, e * sizeof *b);
    assert_memory_equal(b + e, want->k_b, e * sizeof *b);
    assert_memory_equal(b + 2 * e, want->v_b, e * sizeof *b);
    assert_memory_equal(got[SL_LAYER_OUT_NORM_B].data, want->out_norm_b, e * sizeof *b);
}

/* Tokens keep their type, positions and the type become floats. */
static void check_tables(const struct sl_model *m, const struct sl_bert_model *want) {
    uint32_t e = want->config.n_embd;
    const struct sl_model_tensor *token = &m->embed[SL_EMBED_TOKEN];
    assert_int_equal(token->type, want->token_embd.type);
    assert_int_equal(token->bytes, want->config.n_vocab * want->token_embd.row_bytes);
    assert_memory_equal(token->data, want->token_embd.data, token->bytes);
    const float *position = m->embed[SL_EMBED_POSITION].data;
    double *row = malloc(e * sizeof *row);
    assert_non_null(row);
    for (uint32_t i = 0; i < want->config.n_ctx; i++) {
        sl_ref64_row(&want->pos_embd, i, row);
        for (uint32_t k = 0; k < e; k++) {
            assert_true((double)position[(size_t)i * e + k] == row[k]);
        }
    }
    free(row);
    assert_int_equal(m->embed[SL_EMBED_TYPE].bytes, e * sizeof(float));
    assert_int_equal(m->embed[SL_EMBED_TYPE].type, SL_GGML_F32);
}

static void test_packing(void **state) {
    (void)state;
    struct sl_tiny_bert shape = sl_tiny_bert_default();
    size_t bytes[3];
    for (size_t t = 0; t < 3; t++) {
        struct rig_weights weights;
        rig_weights_open(&weights, &shape, TYPES[t]);
        struct sl_model_set *set = rig_bytes_set(&weights.bytes);
        const struct sl_model *m = sl_model_set_at(set, 0);
        for (uint32_t l = 0; l < shape.n_layer; l++) {
            check_layer(m->layers[l], &weights.model->layers[l], shape.n_embd, shape.n_ff);
        }
        check_tables(m, weights.model);
        bytes[t] = m->packed_bytes;
        sl_model_set_destroy(set);
        rig_weights_close(&weights);
    }
    assert_true(bytes[0] > bytes[1] && bytes[1] > bytes[2]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_packing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
