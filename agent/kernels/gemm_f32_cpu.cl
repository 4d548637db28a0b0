/* SPDX-License-Identifier: Apache-2.0
 * C = A B + bias, with what follows fused: nothing, GELU, or "+ residual". For CPU devices.
 *
 * A is [rows][k], C is [rows][n], B is packed once at load as [ceil(n / 32)][k][32], zero-padded. A
 * work-item makes block_rows rows of one 32-column panel in register tiles of TILE_ROWS x 2 VW, and
 * is a work-group by itself: a few ten microseconds, which bounds how long a stop has to wait. All
 * accumulators are named, since private arrays would end up in memory.
 *
 * Every element is one chain of fma over k = 0, 1, ..: the same bits in every tile, block and
 * device. Rows are computed up to a multiple of TILE_ROWS, so A, C and residual need that many;
 * surplus rows hold garbage that nobody reads. */
#include "inc_stop.cl"
#include "inc_vec.cl"

#define EPILOGUE_GELU 2u /* enum sl_gemm_epilogue; 1 is bias only */
#define EPILOGUE_RESIDUAL 3u

/* 32 registers hold 12 rows x 2 vectors; with fewer or narrower ones 6 x 2 is what fits. */
#if VW == 16
#define TILE_ROWS 12u
#define FOR_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#else
#define TILE_ROWS 6u
#define FOR_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5)
#endif
#define PANEL 32u

#define DECLARE(i)                                                                                 \
    floatv c##i##l = (floatv)(0.0f);                                                               \
    floatv c##i##r = (floatv)(0.0f);
#define MULTIPLY(i)                                                                                \
    {                                                                                              \
        floatv x = (floatv)(a_at[i * k]);                                                          \
        c##i##l = fma(x, b_left, c##i##l);                                                         \
        c##i##r = fma(x, b_right, c##i##r);                                                        \
    }
#define FINISH(i)                                                                                  \
    store_tile(c##i##l + bias_left, c##i##r + bias_right, c, residual,                             \
               (size_t)(row + i) * n + col, n - col, epilogue);

void store_vector(floatv v, __global float *out, __global const float *residual, size_t at,
                  uint count, uint epilogue) {
    if (epilogue == EPILOGUE_GELU) {
        v = gelu_erf(v);
    }
    if (count >= VW) {
        if (epilogue == EPILOGUE_RESIDUAL) {
            v += LOADV(residual + at);
        }
        STOREV(v, out + at);
        return;
    }
    float lanes[VW];
    STOREV(v, lanes);
    for (uint i = 0; i < count; i++) {
        out[at + i] = epilogue == EPILOGUE_RESIDUAL ? lanes[i] + residual[at + i] : lanes[i];
    }
}

/* `count` columns are left from here on; the last panel may be partly filled. */
void store_tile(floatv left, floatv right, __global float *out, __global const float *residual,
                size_t at, uint count, uint epilogue) {
    store_vector(left, out, residual, at, min(count, (uint)VW), epilogue);
    if (count > VW) {
        store_vector(right, out, residual, at + VW, min(count - VW, (uint)VW), epilogue);
    }
}

/* `first`: group number of this launch's first group; `slot`: which counter counts it. bias is
 * padded to whole panels. */
__kernel void gemm(STOP_ARGS, uint slot, uint first, __global const float *a,
                   __global const float *b, __global const float *bias,
                   __global const float *residual, __global float *c, uint rows, uint n, uint k,
                   uint block_rows, uint epilogue) {
    groups_ran += slot;
    STOP_BEGIN
    uint group = first + (uint)get_group_id(0);
    uint blocks = (rows + block_rows - 1u) / block_rows;
    uint panel = group / blocks;
    uint row_begin = (group % blocks) * block_rows;
    uint row_end = min(row_begin + block_rows, rows);
    for (uint col = panel * PANEL; col < min(panel * PANEL + PANEL, n); col += 2u * VW) {
        floatv bias_left = LOADV(bias + col);
        floatv bias_right = LOADV(bias + col + VW);
        for (uint row = row_begin; row < row_end; row += TILE_ROWS) {
            __global const float *a_at = a + (size_t)row * k;
            __global const float *b_at = b + (size_t)panel * k * PANEL + (col % PANEL);
            FOR_ROWS(DECLARE)
            for (uint i = 0; i < k; i++) {
                floatv b_left = LOADV(b_at);
                floatv b_right = LOADV(b_at + VW);
                FOR_ROWS(MULTIPLY)
                a_at++;
                b_at += PANEL;
            }
            FOR_ROWS(FINISH)
        }
    }
    STOP_END
}
