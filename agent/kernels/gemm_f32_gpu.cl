/* SPDX-License-Identifier: Apache-2.0
 * C = A B + bias and what follows, for GPUs: the arguments, the layout of B and the bits of the
 * result are those of gemm_f32_cpu.cl.
 *
 * A work-group of ITEMS makes a TILE_M x TILE_N tile through local memory, 16 steps of k at a time,
 * and an item ITEM_M x ITEM_N elements of it (multiples of 4). B becomes float32 on its way into
 * the tile, whatever it is stored as. Steps behind the end of k are filled with zeros: fma(0, 0, x)
 * is x, so the chain of every element is the one of the CPU kernel. */
#include "inc_stop.cl"
#include "inc_vec.cl"
#include "inc_weights.cl"

#define EPILOGUE_GELU 2u /* enum sl_gemm_epilogue; 1 is bias only */
#define EPILOGUE_RESIDUAL 3u
#define DEPTH 16
#define ITEMS (TILE_M / ITEM_M * (TILE_N / ITEM_N))
#define ACROSS (TILE_N / ITEM_N) /* items side by side */
#define A_STRIDE (TILE_M + 4)    /* so that the transposing stores fall into different banks */

/* Element (step, col) of packed B. */
float weight_at(__global const WEIGHT *b, uint step, uint col, uint k) {
    uint lane = col % PANEL;
    WEIGHT_BEGIN(b, col / PANEL, k, lane)
#if WEIGHTS == 3
    w_at += step / 32u * (34u * PANEL);
    float scale = LOAD_HALF((__global const ushort *)w_at + lane);
    return scale * LOAD_CHAR(w_at + (2u + step % 32u) * PANEL + lane);
#else
    w_at += (size_t)step * PANEL;
    return WEIGHT_LEFT;
#endif
}

/* Four columns of one row, where they are inside C. */
void finish(float4 sums, __global float *c, __global const float *residual,
            __global const float *bias, uint row, uint col, uint rows, uint n, uint c_stride,
            uint epilogue) {
    float lanes[4];
    vstore4(sums, 0, lanes);
    for (uint lane = 0; lane < 4u; lane++) {
        if (row < rows && col + lane < n) {
            size_t at = (size_t)row * c_stride + col + lane;
            float v = lanes[lane] + bias[col + lane];
            if (epilogue == EPILOGUE_GELU) {
                v = gelu_erf(v);
            } else if (epilogue == EPILOGUE_RESIDUAL) {
                v += residual[at];
            }
            c[at] = v;
        }
    }
}

__attribute__((reqd_work_group_size(ITEMS, 1, 1))) __kernel void
gemm(STOP_ARGS, uint slot, uint first, __global const float *a, __global const WEIGHT *b,
     __global const float *bias, __global const float *residual, __global float *c, uint rows,
     uint n, uint k, uint a_stride, uint c_stride, uint block_rows, uint epilogue) {
    __local float a_tile[DEPTH * A_STRIDE]; /* [DEPTH][TILE_M] */
    __local float b_tile[DEPTH * TILE_N];
    groups_ran += slot;
    STOP_BEGIN
    uint item = (uint)get_local_id(0);
    uint group = first + (uint)get_group_id(0);
    uint row_tiles = (rows + TILE_M - 1u) / TILE_M;
    uint row0 = (group % row_tiles) * TILE_M;
    uint col0 = (group / row_tiles) * TILE_N;
    uint my_row = item / ACROSS * ITEM_M;
    uint my_col = item % ACROSS * 4u; /* then 4 more every TILE_N / (ITEM_N / 4) columns */
    uint panels = (n + PANEL - 1u) / PANEL;
    float4 acc[ITEM_M][ITEM_N / 4];
#pragma unroll
    for (int i = 0; i < ITEM_M; i++) {
#pragma unroll
        for (int j = 0; j < ITEM_N / 4; j++) {
            acc[i][j] = (float4)(0.0f);
        }
    }

    for (uint k0 = 0; k0 < k; k0 += DEPTH) {
        for (uint base = 0; base < DEPTH * TILE_M; base += ITEMS) {
            uint i = base + item;
            uint step = k0 + i % DEPTH; /* neighbours read one row of A in order */
            uint row = row0 + i / DEPTH;
            a_tile[(i % DEPTH) * A_STRIDE + i / DEPTH] =
                step < k && row < rows ? a[(size_t)row * a_stride + step] : 0.0f;
        }
        for (uint base = 0; base < DEPTH * TILE_N; base += ITEMS) {
            uint i = base + item;
            uint step = k0 + i / TILE_N; /* neighbours read one row of a panel in order */
            uint col = col0 + i % TILE_N;
            b_tile[i] = step < k && col / PANEL < panels ? weight_at(b, step, col, k) : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint step = 0; step < DEPTH; step++) {
            float4 y[ITEM_N / 4];
#pragma unroll
            for (int j = 0; j < ITEM_N / 4; j++) {
                y[j] = vload4(0, b_tile + step * TILE_N + my_col + j * ACROSS * 4);
            }
#pragma unroll
            for (int i = 0; i < ITEM_M; i += 4) {
                float4 x = vload4(0, a_tile + step * A_STRIDE + my_row + i);
#pragma unroll
                for (int j = 0; j < ITEM_N / 4; j++) {
                    acc[i][j] = fma((float4)(x.x), y[j], acc[i][j]);
                    acc[i + 1][j] = fma((float4)(x.y), y[j], acc[i + 1][j]);
                    acc[i + 2][j] = fma((float4)(x.z), y[j], acc[i + 2][j]);
                    acc[i + 3][j] = fma((float4)(x.w), y[j], acc[i + 3][j]);
                }
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

#pragma unroll
    for (int i = 0; i < ITEM_M; i++) {
#pragma unroll
        for (int j = 0; j < ITEM_N / 4; j++) {
            finish(acc[i][j], c, residual, bias, row0 + my_row + i, col0 + my_col + j * ACROSS * 4,
                   rows, n, c_stride, epilogue);
        }
    }
    STOP_END
}
