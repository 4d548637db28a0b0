/* SPDX-License-Identifier: Apache-2.0
 * The row kernels of a bert encoder for CPU devices: embedding + layer norm, layer norm, pooling +
 * L2 norm. A work-item takes several whole rows and is a work-group by itself: no barriers, which
 * cost a CPU device ten times as much as the arithmetic. Sums run in a fixed order over VW lanes.
 */
#include "inc_stop.cl"
#include "inc_token.cl"
#include "inc_vec.cl"

/* Mean and 1 / standard deviation of a row whose elements are given by LOAD_VECTOR(i) and LOAD(i);
 * two passes, since the one-pass formula loses digits. */
#define ROW_MOMENTS(LOAD_VECTOR, LOAD)                                                             \
    floatv sums = (floatv)(0.0f);                                                                  \
    float rest = 0.0f;                                                                             \
    uint i = 0;                                                                                    \
    for (; i + VW <= width; i += VW) {                                                             \
        sums += LOAD_VECTOR(i);                                                                    \
    }                                                                                              \
    for (; i < width; i++) {                                                                       \
        rest += LOAD(i);                                                                           \
    }                                                                                              \
    float mean = (sum_lanes(sums) + rest) / (float)width;                                          \
    sums = (floatv)(0.0f);                                                                         \
    rest = 0.0f;                                                                                   \
    for (i = 0; i + VW <= width; i += VW) {                                                        \
        floatv d = LOAD_VECTOR(i) - mean;                                                          \
        sums = fma(d, d, sums);                                                                    \
    }                                                                                              \
    for (; i < width; i++) {                                                                       \
        float d = LOAD(i) - mean;                                                                  \
        rest = fma(d, d, rest);                                                                    \
    }                                                                                              \
    float scale = 1.0f / sqrt((sum_lanes(sums) + rest) / (float)width + eps);

#define ROW_WRITE(LOAD_VECTOR, LOAD)                                                               \
    for (i = 0; i + VW <= width; i += VW) {                                                        \
        STOREV(fma((LOAD_VECTOR(i) - mean) * scale, LOADV(w + i), LOADV(b + i)), out_row + i);     \
    }                                                                                              \
    for (; i < width; i++) {                                                                       \
        out_row[i] = fma((LOAD(i) - mean) * scale, w[i], b[i]);                                    \
    }

/* In input: ids[rows] and positions[rows]; tables as in bert_config.h, type row 0. out:
 * [rows][width]. One kernel for each type of the token table. */
#define EMBED_KERNEL(name, TYPE)                                                                   \
    __kernel void name(STOP_ARGS, uint slot, uint first, __global const int *input, uint ids_at,   \
                       uint positions_at, __global const char *token_table,                        \
                       __global const float *position_table, __global const float *type_row,       \
                       __global const float *w, __global const float *b, __global float *out,      \
                       uint rows, uint width, float eps, uint rows_per_group) {                    \
        groups_ran += slot;                                                                        \
        STOP_BEGIN                                                                                 \
        uint row = (first + (uint)get_group_id(0)) * rows_per_group;                               \
        uint row_end = min(row + rows_per_group, rows);                                            \
        for (; row < row_end; row++) {                                                             \
            TYPE##_BEGIN(token_table, input[ids_at + row], width) __global const float *position = \
                position_table + (size_t)input[positions_at + row] * width;                        \
            __global float *out_row = out + (size_t)row * width;                                   \
            ROW_MOMENTS(TYPE##_EMBED_VECTOR, TYPE##_EMBED_ONE)                                     \
            ROW_WRITE(TYPE##_EMBED_VECTOR, TYPE##_EMBED_ONE)                                       \
        }                                                                                          \
        STOP_END                                                                                   \
    }
#define F32_EMBED_VECTOR(i) (F32_VECTOR(i) + LOADV(type_row + (i)) + LOADV(position + (i)))
#define F32_EMBED_ONE(i) (F32_ONE(i) + type_row[i] + position[i])
#define F16_EMBED_VECTOR(i) (F16_VECTOR(i) + LOADV(type_row + (i)) + LOADV(position + (i)))
#define F16_EMBED_ONE(i) (F16_ONE(i) + type_row[i] + position[i])
#define Q8_EMBED_VECTOR(i) (Q8_VECTOR(i) + LOADV(type_row + (i)) + LOADV(position + (i)))
#define Q8_EMBED_ONE(i) (Q8_ONE(i) + type_row[i] + position[i])
EMBED_KERNEL(embed_f32, F32)
EMBED_KERNEL(embed_f16, F16)
EMBED_KERNEL(embed_q8_0, Q8)

__kernel void norm(STOP_ARGS, uint slot, uint first, __global const float *in,
                   __global const float *w, __global const float *b, __global float *out, uint rows,
                   uint width, float eps, uint rows_per_group) {
    groups_ran += slot;
    STOP_BEGIN
    uint row = (first + (uint)get_group_id(0)) * rows_per_group;
    uint row_end = min(row + rows_per_group, rows);
    for (; row < row_end; row++) {
        __global const float *in_row = in + (size_t)row * width;
        __global float *out_row = out + (size_t)row * width;
#define NORM_VECTOR(i) LOADV(in_row + (i))
#define NORM_ONE(i) in_row[i]
        ROW_MOMENTS(NORM_VECTOR, NORM_ONE)
        ROW_WRITE(NORM_VECTOR, NORM_ONE)
    }
    STOP_END
}

floatv column_sums(__global const float *in, uint rows, uint width) {
    floatv sums = (floatv)(0.0f);
    for (uint row = 0; row < rows; row++) {
        sums += LOADV(in + (size_t)row * width);
    }
    return sums;
}

float column_sum(__global const float *in, uint rows, uint width) {
    float sum = 0.0f;
    for (uint row = 0; row < rows; row++) {
        sum += in[(size_t)row * width];
    }
    return sum;
}

/* In input: spans[lines][2], first row and number of rows; pooled_max: most rows that are averaged
 * (1 for CLS). out: [lines][width], unit length, so the division by the number of rows drops out.
 * The column sums are made twice rather than stored, since no kernel may read what it writes. */
__kernel void pool(STOP_ARGS, uint slot, uint first, __global const int *input, uint spans_at,
                   __global const float *in, __global float *out, uint lines, uint width,
                   uint pooled_max, uint lines_per_group) {
    groups_ran += slot;
    STOP_BEGIN
    uint line = (first + (uint)get_group_id(0)) * lines_per_group;
    uint line_end = min(line + lines_per_group, lines);
    for (; line < line_end; line++) {
        __global const int *span = input + spans_at + 2u * line;
        __global const float *rows_at = in + (size_t)span[0] * width;
        uint rows = min((uint)span[1], pooled_max);
        __global float *out_row = out + (size_t)line * width;
        floatv squares = (floatv)(0.0f);
        float rest = 0.0f;
        uint i = 0;
        for (; i + VW <= width; i += VW) {
            floatv s = column_sums(rows_at + i, rows, width);
            squares = fma(s, s, squares);
        }
        for (; i < width; i++) {
            float s = column_sum(rows_at + i, rows, width);
            rest = fma(s, s, rest);
        }
        float length = sqrt(sum_lanes(squares) + rest);
        float scale = length > 0.0f ? 1.0f / length : 0.0f;
        for (i = 0; i + VW <= width; i += VW) {
            STOREV(column_sums(rows_at + i, rows, width) * scale, out_row + i);
        }
        for (; i < width; i++) {
            out_row[i] = column_sum(rows_at + i, rows, width) * scale;
        }
    }
    STOP_END
}
