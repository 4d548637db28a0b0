/* SPDX-License-Identifier: Apache-2.0
 * The row kernels of a bert encoder for GPUs: as bert_rows_f32_cpu.cl, but a work-group of 64 takes
 * one row or line, and sums go through a fixed tree in local memory. rows_per_group is 1 here.
 *
 * Loops run equally often for all items, with the test for the end inside: PoCL 3.1 drops the test
 * of a loop `for (i = item; i < width; ...)` behind a barrier and lets surplus items write. */
#include "inc_stop.cl"
#include "inc_token.cl"

#define ITEMS 64u

/* Every item gets the sum of all; the second barrier lets `part` be used again. */
float group_sum(float mine, __local float *part) {
    uint item = (uint)get_local_id(0);
    part[item] = mine;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint step = ITEMS / 2u; step > 0u; step /= 2u) {
        if (item < step) {
            part[item] += part[item + step];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    float sum = part[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    return sum;
}

#define FOR_COLUMNS(i)                                                                             \
    for (uint base = 0, i = item; base < width; base += ITEMS, i = base + item)                    \
        if (i < width)

#define ROW_NORM(LOAD)                                                                             \
    uint item = (uint)get_local_id(0);                                                             \
    float sum = 0.0f;                                                                              \
    FOR_COLUMNS(i) {                                                                               \
        sum += LOAD(i);                                                                            \
    }                                                                                              \
    float mean = group_sum(sum, part) / (float)width;                                              \
    sum = 0.0f;                                                                                    \
    FOR_COLUMNS(i) {                                                                               \
        float d = LOAD(i) - mean;                                                                  \
        sum = fma(d, d, sum);                                                                      \
    }                                                                                              \
    float scale = 1.0f / sqrt(group_sum(sum, part) / (float)width + eps);                          \
    FOR_COLUMNS(i) {                                                                               \
        out[(size_t)row * width + i] = fma((LOAD(i) - mean) * scale, w[i], b[i]);                  \
    }

#define EMBED_KERNEL(name, TYPE)                                                                   \
    __attribute__((reqd_work_group_size(64, 1, 1))) __kernel void name(                            \
        STOP_ARGS, uint slot, uint first, __global const int *input, uint ids_at,                  \
        uint positions_at, __global const char *token_table, __global const float *position_table, \
        __global const float *type_row, __global const float *w, __global const float *b,          \
        __global float *out, uint rows, uint width, float eps, uint rows_per_group) {              \
        __local float part[64];                                                                    \
        groups_ran += slot;                                                                        \
        STOP_BEGIN                                                                                 \
        uint row = first + (uint)get_group_id(0);                                                  \
        TYPE##_BEGIN(token_table, input[ids_at + row], width) __global const float *position =     \
            position_table + (size_t)input[positions_at + row] * width;                            \
        ROW_NORM(TYPE##_EMBED_ONE)                                                                 \
        STOP_END                                                                                   \
    }
#define F32_EMBED_ONE(i) (F32_ONE(i) + type_row[i] + position[i])
#define F16_EMBED_ONE(i) (F16_ONE(i) + type_row[i] + position[i])
#define Q8_EMBED_ONE(i) (Q8_ONE(i) + type_row[i] + position[i])
EMBED_KERNEL(embed_f32, F32)
EMBED_KERNEL(embed_f16, F16)
EMBED_KERNEL(embed_q8_0, Q8)

__attribute__((reqd_work_group_size(64, 1, 1))) __kernel void
norm(STOP_ARGS, uint slot, uint first, __global const float *in, __global const float *w,
     __global const float *b, __global float *out, uint rows, uint width, float eps,
     uint rows_per_group) {
    __local float part[64];
    groups_ran += slot;
    STOP_BEGIN
    uint row = first + (uint)get_group_id(0);
    __global const float *in_row = in + (size_t)row * width;
#define NORM_ONE(i) in_row[i]
    ROW_NORM(NORM_ONE)
    STOP_END
}

float column_sum(__global const float *in, uint rows, uint width) {
    float sum = 0.0f;
    for (uint row = 0; row < rows; row++) {
        sum += in[(size_t)row * width];
    }
    return sum;
}

__attribute__((reqd_work_group_size(64, 1, 1))) __kernel void
pool(STOP_ARGS, uint slot, uint first, __global const int *input, uint spans_at,
     __global const float *in, __global float *out, uint lines, uint width, uint pooled_max,
     uint lines_per_group) {
    __local float part[64];
    groups_ran += slot;
    STOP_BEGIN
    uint item = (uint)get_local_id(0);
    uint line = first + (uint)get_group_id(0);
    __global const int *span = input + spans_at + 2u * line;
    __global const float *rows_at = in + (size_t)span[0] * width;
    uint rows = min((uint)span[1], pooled_max);
    float squares = 0.0f;
    FOR_COLUMNS(i) {
        float s = column_sum(rows_at + i, rows, width);
        squares = fma(s, s, squares);
    }
    float length = sqrt(group_sum(squares, part));
    float scale = length > 0.0f ? 1.0f / length : 0.0f;
    FOR_COLUMNS(i) {
        out[(size_t)line * width + i] = column_sum(rows_at + i, rows, width) * scale;
    }
    STOP_END
}
