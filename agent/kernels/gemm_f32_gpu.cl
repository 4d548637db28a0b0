/* SPDX-License-Identifier: Apache-2.0
 * C = A B + bias and what follows, for GPUs: the arguments, the layout of B and the bits of the
 * result are those of gemm_f32_cpu.cl.
 *
 * A work-group of 256 items makes a 64 x 64 tile through local memory, 16 steps of k at a time, and
 * an item 4 x 4 elements of it. Steps behind the end of k are filled with zeros: fma(0, 0, x) is
 * x, so the chain of every element is the one of the CPU kernel. */
#include "inc_stop.cl"
#include "inc_vec.cl"

#define EPILOGUE_GELU 2u /* enum sl_gemm_epilogue; 1 is bias only */
#define EPILOGUE_RESIDUAL 3u
#define TILE 64u
#define DEPTH 16u
#define PANEL 32u

__attribute__((reqd_work_group_size(256, 1, 1))) __kernel void
gemm(STOP_ARGS, uint slot, uint first, __global const float *a, __global const float *b,
     __global const float *bias, __global const float *residual, __global float *c, uint rows,
     uint n, uint k, uint block_rows, uint epilogue) {
    __local float a_tile[16 * 64]; /* [DEPTH][TILE] */
    __local float b_tile[16 * 64];
    groups_ran += slot;
    STOP_BEGIN
    uint item = (uint)get_local_id(0);
    uint group = first + (uint)get_group_id(0);
    uint row_tiles = (rows + TILE - 1u) / TILE;
    uint row0 = (group % row_tiles) * TILE;
    uint col0 = (group / row_tiles) * TILE;
    uint my_row = (item / 16u) * 4u;
    uint my_col = (item % 16u) * 4u;
    uint panels = (n + PANEL - 1u) / PANEL;
    float4 acc0 = (float4)(0.0f), acc1 = acc0, acc2 = acc0, acc3 = acc0;

    for (uint k0 = 0; k0 < k; k0 += DEPTH) {
        for (uint i = item; i < DEPTH * TILE; i += 256u) {
            uint step = k0 + i % DEPTH; /* neighbours read one row of A in order */
            uint row = row0 + i / DEPTH;
            a_tile[(i % DEPTH) * TILE + i / DEPTH] =
                step < k && row < rows ? a[(size_t)row * k + step] : 0.0f;
        }
        for (uint i = item; i < DEPTH * TILE; i += 256u) {
            uint step = k0 + i / TILE; /* neighbours read one row of a panel in order */
            uint col = col0 + i % TILE;
            b_tile[i] = step < k && col / PANEL < panels
                            ? b[((size_t)(col / PANEL) * k + step) * PANEL + col % PANEL]
                            : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint step = 0; step < DEPTH; step++) {
            float4 x = vload4(0, a_tile + step * TILE + my_row);
            float4 y = vload4(0, b_tile + step * TILE + my_col);
            acc0 = fma((float4)(x.x), y, acc0);
            acc1 = fma((float4)(x.y), y, acc1);
            acc2 = fma((float4)(x.z), y, acc2);
            acc3 = fma((float4)(x.w), y, acc3);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    float lanes[16];
    vstore4(acc0, 0, lanes);
    vstore4(acc1, 1, lanes);
    vstore4(acc2, 2, lanes);
    vstore4(acc3, 3, lanes);
    for (uint i = 0; i < 16u; i++) {
        uint row = row0 + my_row + i / 4u;
        uint col = col0 + my_col + i % 4u;
        if (row < rows && col < n) {
            size_t at = (size_t)row * n + col;
            float v = lanes[i] + bias[col];
            if (epilogue == EPILOGUE_GELU) {
                v = gelu_erf(v);
            } else if (epilogue == EPILOGUE_RESIDUAL) {
                v += residual[at];
            }
            c[at] = v;
        }
    }
    STOP_END
}
