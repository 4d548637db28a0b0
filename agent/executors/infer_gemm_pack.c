/* SPDX-License-Identifier: Apache-2.0
 * The layout of packed weights. */
#include <string.h>

#include "agent/executors/infer_gemm.h"

#define Q8_BLOCK 32u
#define Q8_SCALE_BYTES 2u
#define Q8_BLOCK_BYTES (Q8_SCALE_BYTES + Q8_BLOCK)

uint32_t sl_gemm_padded(uint32_t n) {
    return (n + SL_GEMM_PANEL - 1) / SL_GEMM_PANEL * SL_GEMM_PANEL;
}

size_t sl_gemm_row_bytes(enum sl_weight_type type, uint32_t k) {
    switch (type) {
    case SL_WEIGHT_F32:
        return (size_t)k * sizeof(float);
    case SL_WEIGHT_F16:
        return (size_t)k * sizeof(uint16_t);
    case SL_WEIGHT_Q8_0:
        return k % Q8_BLOCK == 0 ? (size_t)(k / Q8_BLOCK) * Q8_BLOCK_BYTES : 0;
    case SL_WEIGHT_INVALID:
        break;
    }
    return 0;
}

size_t sl_gemm_packed_bytes(enum sl_weight_type type, uint32_t n, uint32_t k) {
    return (size_t)sl_gemm_padded(n) * sl_gemm_row_bytes(type, k);
}

/* One row of weights becomes column `lane` of a panel. */
static void pack_plain(const uint8_t *w, uint32_t k, size_t bytes, uint8_t *panel, uint32_t lane) {
    for (uint32_t j = 0; j < k; j++) {
        memcpy(panel + ((size_t)j * SL_GEMM_PANEL + lane) * bytes, w + j * bytes, bytes);
    }
}

static void pack_q8(const uint8_t *w, uint32_t k, uint8_t *panel, uint32_t lane) {
    for (uint32_t block = 0; block < k / Q8_BLOCK; block++) {
        uint8_t *scales = panel + (size_t)block * Q8_BLOCK_BYTES * SL_GEMM_PANEL;
        uint8_t *steps = scales + (size_t)Q8_SCALE_BYTES * SL_GEMM_PANEL;
        memcpy(scales + (size_t)lane * Q8_SCALE_BYTES, w, Q8_SCALE_BYTES);
        for (uint32_t j = 0; j < Q8_BLOCK; j++) {
            steps[j * SL_GEMM_PANEL + lane] = w[Q8_SCALE_BYTES + j];
        }
        w += Q8_BLOCK_BYTES;
    }
}

void sl_gemm_pack(enum sl_weight_type type, const void *w, uint32_t n, uint32_t k, uint32_t column0,
                  void *packed) {
    size_t row_bytes = sl_gemm_row_bytes(type, k);
    size_t panel_bytes = SL_GEMM_PANEL * row_bytes;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t column = column0 + i;
        const uint8_t *row = (const uint8_t *)w + i * row_bytes;
        uint8_t *panel = (uint8_t *)packed + column / SL_GEMM_PANEL * panel_bytes;
        if (type == SL_WEIGHT_Q8_0) {
            pack_q8(row, k, panel, column % SL_GEMM_PANEL);
        } else {
            pack_plain(row, k, row_bytes / (k ? k : 1), panel, column % SL_GEMM_PANEL);
        }
    }
}
