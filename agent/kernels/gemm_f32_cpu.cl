/* SPDX-License-Identifier: Apache-2.0
 * C = A B + bias, with what follows fused: nothing, GELU, or "+ residual". For CPU devices.
 *
 * A is [rows][k] and C [rows][n] with row strides of their own, B is packed once at load in panels
 * of 32 columns (infer_gemm.h: float, half or Q8_0 by WEIGHTS), zero-padded. A work-item makes
 * block_rows rows of one panel in register tiles of TILE_ROWS x TILE_VECS vectors, what is left of
 * them in smaller tiles of REST_ROWS, and is a work-group by itself: some ten microseconds, which
 * bounds how long a stop has to wait. All accumulators are named, since private arrays would end up
 * in memory.
 *
 * Every element is one chain of fma over k = 0, 1, ..: the same bits in every tile, block and
 * device. Rows are computed up to a multiple of REST_ROWS, so A, C and residual need that many;
 * surplus rows hold garbage that nobody reads. */
#include "inc_stop.cl"
#include "inc_vec.cl"
#include "inc_weights.cl"

/* Groups go through all panels with SWEEP_FLOATS of A, then on to the next rows: neighbours share
 * A, and B comes from further away only once for so many rows. What does not stay in the second
 * cache beside what else goes through it comes anew for each panel. */
#define EPILOGUE_GELU 2u /* enum sl_gemm_epilogue; 1 is bias only */
#define EPILOGUE_RESIDUAL 3u

#define ROWS_4(X) X(0) X(1) X(2) X(3)
#define ROWS_6(X) ROWS_4(X) X(4) X(5)
#define ROWS_7(X) ROWS_6(X) X(6)
#define ROWS_8(X) ROWS_7(X) X(7)
#define ROWS_12(X) ROWS_8(X) X(8) X(9) X(10) X(11)
#define ROWS_14(X) ROWS_12(X) X(12) X(13)
#define ROWS_24(X)                                                                                 \
    ROWS_12(X) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23)
#define FOR_TILE VEC_JOIN(ROWS_, TILE_ROWS)
#define FOR_REST VEC_JOIN(ROWS_, REST_ROWS)

/* Lines are asked for well before they are needed, so that nothing waits for them, and a few at a
 * time, because a core has some twenty misses under way and the product needs them too: every
 * ASK_STEPS of k one row of C, to be stored at the tile's end, and what the next tile reads of A at
 * this k, into the second cache. Long rows (a block of one tile) the hardware fetches by itself,
 * and asking costs more than it saves. A kernel with STEPS > 1 leaves A to the hardware always. */
#define ASK_STEPS 32u
#define LINE_FLOATS 16u
#ifdef __has_builtin
#if __has_builtin(__builtin_prefetch)
#define ASK_WRITE(p) __builtin_prefetch(p, 1, 3);
#define ASK_READ(p) __builtin_prefetch(p, 0, 2);
#endif
#endif
#ifndef ASK_WRITE
#define ASK_WRITE(p)
#define ASK_READ(p)
#endif

#if STEPS == 8
#define STEPS_IN_A_ROW _Pragma("unroll 8")
#else
#define STEPS_IN_A_ROW
#endif

#define ASK_C                                                                                      \
    ASK_WRITE(c + c_at)                                                                            \
    IF_RIGHT(ASK_WRITE(c + c_at + VW))
#define ASK_A(i)                                                                                   \
    ASK_READ(a_at + a_next + i * a_stride)                                                         \
    ASK_READ(a_at + a_next + i * a_stride + LINE_FLOATS)
#define DECLARE(i)                                                                                 \
    floatv c##i##l = (floatv)(0.0f);                                                               \
    IF_RIGHT(floatv c##i##r = (floatv)(0.0f);)
#define MULTIPLY(i)                                                                                \
    {                                                                                              \
        floatv x = (floatv)(a_at[i * a_stride]);                                                   \
        c##i##l = fma(x, b_left, c##i##l);                                                         \
        IF_RIGHT(c##i##r = fma(x, b_right, c##i##r);)                                              \
    }
#define FINISH(i)                                                                                  \
    {                                                                                              \
        size_t at = (size_t)(row + i) * c_stride + col;                                            \
        store_vector(c##i##l + bias_left, c, residual, at, n - col, epilogue);                     \
        IF_RIGHT(if (n - col > VW) {                                                               \
            store_vector(c##i##r + bias_right, c, residual, at + VW, n - col - VW, epilogue);      \
        })                                                                                         \
    }
#define MAKE_TILE(FOR_ROWS)                                                                        \
    __global const float *a_at = a + (size_t)row * a_stride;                                       \
    size_t a_next = row + 2u * TILE_ROWS <= rows ? (size_t)TILE_ROWS * a_stride : 0;               \
    uint c_row = row;                                                                              \
    WEIGHT_BEGIN(b, panel, k, col % PANEL)                                                         \
    FOR_ROWS(DECLARE)                                                                              \
    for (uint begin = 0; begin < k; begin += ASK_STEPS) {                                          \
        uint end = min(begin + ASK_STEPS, k);                                                      \
        size_t c_at = (size_t)c_row * c_stride + col;                                              \
        ASK_C                                                                                      \
        c_row = min(c_row + 1u, row_end - 1u);                                                     \
        if (STEPS == 1 && block_rows > TILE_ROWS) {                                                \
            FOR_ROWS(ASK_A)                                                                        \
        }                                                                                          \
        STEPS_IN_A_ROW                                                                             \
        for (uint i = begin; i < end; i += WEIGHT_BLOCK) {                                         \
            WEIGHT_SCALES                                                                          \
            for (uint step = 0; step < WEIGHT_BLOCK; step++) {                                     \
                floatv b_left = WEIGHT_LEFT;                                                       \
                IF_RIGHT(floatv b_right = WEIGHT_RIGHT;)                                           \
                FOR_ROWS(MULTIPLY)                                                                 \
                a_at++;                                                                            \
                WEIGHT_NEXT                                                                        \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    FOR_ROWS(FINISH)
#if TILE_VECS == 2
#define IF_RIGHT(...) __VA_ARGS__
#else
#define IF_RIGHT(...)
#endif

/* A vector where floats are: a driver's vstore may go by quarters. */
struct __attribute__((packed)) loose {
    floatv v;
};

/* `count` columns are left from here on; the last panel may be partly filled. */
void store_vector(floatv v, __global float *out, __global const float *residual, size_t at,
                  uint count, uint epilogue) {
    if (epilogue == EPILOGUE_GELU) {
        v = gelu_erf(v);
    }
    if (count >= VW) {
        if (epilogue == EPILOGUE_RESIDUAL) {
            v += LOADV(residual + at);
        }
        ((__global struct loose *)(out + at))->v = v;
        return;
    }
    float lanes[VW];
    STOREV(v, lanes);
    for (uint i = 0; i < count; i++) {
        out[at + i] = epilogue == EPILOGUE_RESIDUAL ? lanes[i] + residual[at + i] : lanes[i];
    }
}

/* `first`: group number of this launch's first group; `slot`: which counter counts it. bias is
 * padded to whole panels; residual has C's stride. */
__kernel void gemm(STOP_ARGS, uint slot, uint first, __global const float *a,
                   __global const WEIGHT *b, __global const float *bias,
                   __global const float *residual, __global float *c, uint rows, uint n, uint k,
                   uint a_stride, uint c_stride, uint block_rows, uint epilogue) {
    groups_ran += slot;
    STOP_BEGIN
    uint group = first + (uint)get_group_id(0);
    uint blocks = (rows + block_rows - 1u) / block_rows;
    uint panels = (n + PANEL - 1u) / PANEL;
    uint most = max(SWEEP_FLOATS / (block_rows * k), 1u);
    uint sweep = group / (panels * most);
    uint within = group % (panels * most);
    uint here = min(most, blocks - sweep * most);
    uint panel = within / here;
    uint row_begin = (sweep * most + within % here) * block_rows;
    uint row_end = min(row_begin + block_rows, rows);
    for (uint col = panel * PANEL; col < min(panel * PANEL + PANEL, n); col += TILE_VECS * VW) {
        floatv bias_left = LOADV(bias + col);
        IF_RIGHT(floatv bias_right = LOADV(bias + col + VW);)
        uint row = row_begin;
        for (; row + TILE_ROWS <= row_end; row += TILE_ROWS) {
            if (row + 2u * TILE_ROWS > row_end) {
                ASK_WRITE(groups_ran) /* the next group on this core counts itself soon */
            }
            MAKE_TILE(FOR_TILE)
        }
        for (; row < row_end; row += REST_ROWS) {
            MAKE_TILE(FOR_REST)
        }
    }
    STOP_END
}
