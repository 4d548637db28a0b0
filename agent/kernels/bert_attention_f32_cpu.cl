/* SPDX-License-Identifier: Apache-2.0
 * Encoder self-attention over a ragged batch, for CPU devices.
 *
 * A work-item takes one head and VW queries of one line; the lanes of its vectors are the queries,
 * so neither softmax nor sums ever cross lanes, and keys and values are read as they lie (one
 * scalar for all lanes). Softmax is online over blocks of 16 keys: no score matrix is stored.
 * Blocks count from the line's own first token, so a line's bits do not depend on its neighbours.
 * Lanes behind the line's end repeat its last query and are not stored. HEAD is the head's width.
 */
#include "inc_stop.cl"
#include "inc_vec.cl"

#define KEYS 16u
#define DIMS 16u /* accumulators that stay in registers while values are added up */

/* scores[j] = query . key j, for 4 keys at a time: a query's element is loaded once for 4 keys. */
void score_keys(const floatv *query, __global const float *keys, size_t stride, uint count,
                floatv *scores) {
    uint j = 0;
    for (; j + 4u <= count; j += 4u) {
        __global const float *k0 = keys + j * stride;
        __global const float *k1 = k0 + stride;
        __global const float *k2 = k1 + stride;
        __global const float *k3 = k2 + stride;
        floatv s0 = (floatv)(0.0f), s1 = s0, s2 = s0, s3 = s0;
        for (uint d = 0; d < HEAD; d++) {
            floatv q = query[d];
            s0 = fma(q, (floatv)(k0[d]), s0);
            s1 = fma(q, (floatv)(k1[d]), s1);
            s2 = fma(q, (floatv)(k2[d]), s2);
            s3 = fma(q, (floatv)(k3[d]), s3);
        }
        scores[j] = s0;
        scores[j + 1u] = s1;
        scores[j + 2u] = s2;
        scores[j + 3u] = s3;
    }
    for (; j < count; j++) {
        floatv s = (floatv)(0.0f);
        for (uint d = 0; d < HEAD; d++) {
            s = fma(query[d], (floatv)(keys[j * stride + d]), s);
        }
        scores[j] = s;
    }
}

#define FOR_DIMS(X)                                                                                \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define VALUE_LOAD(i) floatv o##i = out[d + i] * fade;
#define VALUE_ADD(i) o##i = fma(p, (floatv)(v[i]), o##i);
#define VALUE_STORE(i) out[d + i] = o##i;

/* out[d] = out[d] * fade + sum over j of weights[j] * value j [d]. */
void add_values(floatv *out, floatv fade, const floatv *weights, __global const float *values,
                size_t stride, uint count) {
    uint d = 0;
    for (; d + DIMS <= HEAD; d += DIMS) {
        FOR_DIMS(VALUE_LOAD)
        for (uint j = 0; j < count; j++) {
            __global const float *v = values + j * stride + d;
            floatv p = weights[j];
            FOR_DIMS(VALUE_ADD)
        }
        FOR_DIMS(VALUE_STORE)
    }
    for (; d < HEAD; d++) {
        floatv o = out[d] * fade;
        for (uint j = 0; j < count; j++) {
            o = fma(weights[j], (floatv)(values[j * stride + d]), o);
        }
        out[d] = o;
    }
}

/* In input: tasks[][3], first row of the line, its length, first query. qkv: [rows][3 * width].
 * out: [rows][width]. Group number = task * heads + head. */
__kernel void attention(STOP_ARGS, uint slot, uint first, __global const int *input, uint tasks_at,
                        __global const float *qkv, __global float *out, uint heads, uint width,
                        float scale) {
    groups_ran += slot;
    STOP_BEGIN
    uint group = first + (uint)get_group_id(0);
    __global const int *task = input + tasks_at + (size_t)(group / heads) * 3u;
    uint line_row = (uint)task[0];
    uint length = (uint)task[1];
    uint query0 = (uint)task[2];
    uint column = (group % heads) * HEAD;
    size_t stride = (size_t)width * 3u;
    uint lanes = min(length - query0, (uint)VW);

    float swap[HEAD * VW];
    floatv query[HEAD], sum[HEAD], scores[KEYS];
    for (uint lane = 0; lane < VW; lane++) {
        uint row = line_row + query0 + min(lane, lanes - 1u);
        for (uint d = 0; d < HEAD; d++) {
            swap[d * VW + lane] = qkv[row * stride + column + d];
        }
    }
    for (uint d = 0; d < HEAD; d++) {
        query[d] = LOADV(swap + d * VW) * scale;
        sum[d] = (floatv)(0.0f);
    }
    floatv top = (floatv)(-3.0e38f), total = (floatv)(0.0f);
    for (uint key = 0; key < length; key += KEYS) {
        __global const float *keys = qkv + (line_row + key) * stride + width + column;
        uint count = min(length - key, KEYS);
        score_keys(query, keys, stride, count, scores);
        floatv new_top = top;
        for (uint j = 0; j < count; j++) {
            new_top = fmax(new_top, scores[j]);
        }
        floatv fade = exp_neg(top - new_top);
        top = new_top;
        total *= fade;
        for (uint j = 0; j < count; j++) {
            scores[j] = exp_neg(scores[j] - top);
            total += scores[j];
        }
        add_values(sum, fade, scores, keys + width, stride, count);
    }
    for (uint d = 0; d < HEAD; d++) {
        STOREV(sum[d] / total, swap + d * VW);
    }
    for (uint lane = 0; lane < lanes; lane++) {
        __global float *to = out + (size_t)(line_row + query0 + lane) * width + column;
        for (uint d = 0; d < HEAD; d++) {
            to[d] = swap[d * VW + lane];
        }
    }
    STOP_END
}
