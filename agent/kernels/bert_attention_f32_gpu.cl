/* SPDX-License-Identifier: Apache-2.0
 * Encoder self-attention over a ragged batch, for GPUs: arguments as in bert_attention_f32_cpu.cl,
 * but a work-group of 64 takes 64 queries of one line and head, one for each item, and shares 16
 * keys and values at a time through local memory. HEAD is the head's width. */
#include "inc_stop.cl"
#include "inc_vec.cl"

#define QUERIES 64u
#define KEYS 16u

__attribute__((reqd_work_group_size(64, 1, 1))) __kernel void
attention(STOP_ARGS, uint slot, uint first, __global const int *input, uint tasks_at,
          __global const float *qkv, __global float *out, uint heads, uint width, float scale) {
    __local float keys[16 * HEAD];
    __local float values[16 * HEAD];
    groups_ran += slot;
    STOP_BEGIN
    uint item = (uint)get_local_id(0);
    uint group = first + (uint)get_group_id(0);
    __global const int *task = input + tasks_at + (size_t)(group / heads) * 3u;
    uint line_row = (uint)task[0];
    uint length = (uint)task[1];
    uint column = (group % heads) * HEAD;
    size_t stride = (size_t)width * 3u;
    uint my_query = (uint)task[2] + item;
    size_t row = line_row + min(my_query, length - 1u);

    float query[HEAD], sum[HEAD], scores[KEYS];
    for (uint d = 0; d < HEAD; d++) {
        query[d] = qkv[row * stride + column + d] * scale;
        sum[d] = 0.0f;
    }
    float top = -3.0e38f, total = 0.0f;
    for (uint key = 0; key < length; key += KEYS) {
        uint count = min(length - key, KEYS);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint base = 0; base < KEYS * HEAD; base += QUERIES) { /* see bert_rows_f32_gpu.cl */
            uint i = base + item;
            if (i < count * HEAD) {
                __global const float *from =
                    qkv + (line_row + key + i / HEAD) * stride + width + column + i % HEAD;
                keys[i] = from[0];
                values[i] = from[width];
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        float new_top = top;
        for (uint j = 0; j < count; j++) {
            float s = 0.0f;
            for (uint d = 0; d < HEAD; d++) {
                s = fma(query[d], keys[j * HEAD + d], s);
            }
            scores[j] = s;
            new_top = fmax(new_top, s);
        }
        float fade = exp_neg(top - new_top);
        top = new_top;
        total *= fade;
        for (uint d = 0; d < HEAD; d++) {
            sum[d] *= fade;
        }
        for (uint j = 0; j < count; j++) {
            float p = exp_neg(scores[j] - top);
            total += p;
            for (uint d = 0; d < HEAD; d++) {
                sum[d] = fma(p, values[j * HEAD + d], sum[d]);
            }
        }
    }
    if (my_query < length) {
        __global float *to = out + row * width + column;
        for (uint d = 0; d < HEAD; d++) {
            to[d] = sum[d] / total;
        }
    }
    STOP_END
}
