/* SPDX-License-Identifier: Apache-2.0
 * Encoder self-attention over a ragged batch, for CPU devices.
 *
 * A work-item takes one head and up to 2 VW queries of one line; the lanes of its vectors are the
 * queries, so neither softmax nor sums ever cross lanes, and keys and values are read as they lie
 * (one scalar for all lanes). Two vectors of queries share each key and value that is loaded; a
 * line's rest of VW queries or less goes with one vector. Softmax is online over blocks of 16 keys:
 * no score matrix is stored. Blocks count from the line's own first token, so a line's bits do not
 * depend on its neighbours. Lanes behind the line's end hold zeros and are not stored.
 * HEAD is the head's width. */
#include "inc_stop.cl"
#include "inc_vec.cl"

#define KEYS 16u

/* Scores of `count` keys; query and scores: [..][PAIR], the two vectors of queries side by side.
 * Four keys at a time, so that a query's element is loaded once for four products. */
#define SCORE_PAIR(i)                                                                              \
    s##i##a = fma(qa, (floatv)(k##i[d]), s##i##a);                                                 \
    s##i##b = fma(qb, (floatv)(k##i[d]), s##i##b);
#define SCORE_ONE(i) s##i##a = fma(qa, (floatv)(k##i[d]), s##i##a);

void score_pair(const floatv *query, __global const float *keys, size_t stride, uint count,
                floatv *scores) {
    const floatv zero = (floatv)(0.0f);
    uint j = 0;
    for (; j + 4u <= count; j += 4u) {
        __global const float *k0 = keys + j * stride;
        __global const float *k1 = k0 + stride;
        __global const float *k2 = k1 + stride;
        __global const float *k3 = k2 + stride;
        floatv s0a = zero, s1a = zero, s2a = zero, s3a = zero;
        floatv s0b = zero, s1b = zero, s2b = zero, s3b = zero;
        for (uint d = 0; d < HEAD; d++) {
            floatv qa = query[2u * d], qb = query[2u * d + 1u];
            SCORE_PAIR(0) SCORE_PAIR(1) SCORE_PAIR(2) SCORE_PAIR(3)
        }
        floatv *to = scores + 2u * j;
        to[0] = s0a;
        to[1] = s0b;
        to[2] = s1a;
        to[3] = s1b;
        to[4] = s2a;
        to[5] = s2b;
        to[6] = s3a;
        to[7] = s3b;
    }
    for (; j < count; j++) {
        __global const float *k0 = keys + j * stride;
        floatv s0a = zero, s0b = zero;
        for (uint d = 0; d < HEAD; d++) {
            floatv qa = query[2u * d], qb = query[2u * d + 1u];
            SCORE_PAIR(0)
        }
        scores[2u * j] = s0a;
        scores[2u * j + 1u] = s0b;
    }
}

void score_one(const floatv *query, __global const float *keys, size_t stride, uint count,
               floatv *scores) {
    const floatv zero = (floatv)(0.0f);
    uint j = 0;
    for (; j + 4u <= count; j += 4u) {
        __global const float *k0 = keys + j * stride;
        __global const float *k1 = k0 + stride;
        __global const float *k2 = k1 + stride;
        __global const float *k3 = k2 + stride;
        floatv s0a = zero, s1a = zero, s2a = zero, s3a = zero;
        for (uint d = 0; d < HEAD; d++) {
            floatv qa = query[2u * d];
            SCORE_ONE(0) SCORE_ONE(1) SCORE_ONE(2) SCORE_ONE(3)
        }
        scores[2u * j] = s0a;
        scores[2u * j + 2u] = s1a;
        scores[2u * j + 4u] = s2a;
        scores[2u * j + 6u] = s3a;
    }
    for (; j < count; j++) {
        __global const float *k0 = keys + j * stride;
        floatv s0a = zero;
        for (uint d = 0; d < HEAD; d++) {
            floatv qa = query[2u * d];
            SCORE_ONE(0)
        }
        scores[2u * j] = s0a;
    }
}

/* sum[d] = sum[d] * fade + weights . values[d]; 8 elements at a time stay in registers. */
#define DIMS 8u
#define FOR_DIMS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define VALUE_LOAD_A(i) floatv o##i##a = sum[2u * (d + i)] * fade[0];
#define VALUE_LOAD_B(i) floatv o##i##b = sum[2u * (d + i) + 1u] * fade[1];
#define VALUE_ADD_A(i) o##i##a = fma(pa, (floatv)(v[i]), o##i##a);
#define VALUE_ADD_B(i) o##i##b = fma(pb, (floatv)(v[i]), o##i##b);
#define VALUE_STORE_A(i) sum[2u * (d + i)] = o##i##a;
#define VALUE_STORE_B(i) sum[2u * (d + i) + 1u] = o##i##b;

void add_pair(floatv *sum, const floatv *fade, const floatv *weights, __global const float *values,
              size_t stride, uint count) {
    uint d = 0;
    for (; d + DIMS <= HEAD; d += DIMS) {
        FOR_DIMS(VALUE_LOAD_A)
        FOR_DIMS(VALUE_LOAD_B)
        for (uint j = 0; j < count; j++) {
            __global const float *v = values + j * stride + d;
            floatv pa = weights[2u * j], pb = weights[2u * j + 1u];
            FOR_DIMS(VALUE_ADD_A)
            FOR_DIMS(VALUE_ADD_B)
        }
        FOR_DIMS(VALUE_STORE_A)
        FOR_DIMS(VALUE_STORE_B)
    }
    for (; d < HEAD; d++) {
        VALUE_LOAD_A(0)
        VALUE_LOAD_B(0)
        for (uint j = 0; j < count; j++) {
            __global const float *v = values + j * stride + d;
            floatv pa = weights[2u * j], pb = weights[2u * j + 1u];
            VALUE_ADD_A(0)
            VALUE_ADD_B(0)
        }
        VALUE_STORE_A(0)
        VALUE_STORE_B(0)
    }
}

void add_one(floatv *sum, const floatv *fade, const floatv *weights, __global const float *values,
             size_t stride, uint count) {
    uint d = 0;
    for (; d + DIMS <= HEAD; d += DIMS) {
        FOR_DIMS(VALUE_LOAD_A)
        for (uint j = 0; j < count; j++) {
            __global const float *v = values + j * stride + d;
            floatv pa = weights[2u * j];
            FOR_DIMS(VALUE_ADD_A)
        }
        FOR_DIMS(VALUE_STORE_A)
    }
    for (; d < HEAD; d++) {
        VALUE_LOAD_A(0)
        for (uint j = 0; j < count; j++) {
            __global const float *v = values + j * stride + d;
            floatv pa = weights[2u * j];
            VALUE_ADD_A(0)
        }
        VALUE_STORE_A(0)
    }
}

/* Scores of vector `which` become weights; top and total go on. */
void soften(floatv *scores, uint which, uint count, floatv *top, floatv *total, floatv *fade) {
    floatv new_top = *top;
    for (uint j = 0; j < count; j++) {
        new_top = fmax(new_top, scores[2u * j + which]);
    }
    floatv f = exp_neg(*top - new_top);
    floatv t = *total * f;
    for (uint j = 0; j < count; j++) {
        floatv weight = exp_neg(scores[2u * j + which] - new_top);
        scores[2u * j + which] = weight;
        t += weight;
    }
    *top = new_top;
    *total = t;
    *fade = f;
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
    uint queries = min(length - query0, 2u * VW);
    bool pair = queries > VW;

    float swap[HEAD * 2 * VW]; /* [HEAD][2][VW]: queries, then results, with lanes last */
    floatv query[HEAD * 2], sum[HEAD * 2], scores[KEYS * 2];
    floatv top[2], total[2], fade[2];
    for (uint i = 0; i < 2u * HEAD; i++) {
        STOREV((floatv)(0.0f), swap + i * VW); /* lanes without a query */
        sum[i] = (floatv)(0.0f);
    }
    for (uint lane = 0; lane < queries; lane++) {
        __global const float *from = qkv + (line_row + query0 + lane) * stride + column;
        for (uint d = 0; d < HEAD; d++) {
            swap[d * 2u * VW + lane] = from[d];
        }
    }
    for (uint i = 0; i < 2u * HEAD; i++) {
        query[i] = LOADV(swap + i * VW) * scale;
    }
    for (uint i = 0; i < 2u; i++) {
        top[i] = (floatv)(-3.0e38f);
        total[i] = (floatv)(0.0f);
    }
    for (uint key = 0; key < length; key += KEYS) {
        __global const float *keys = qkv + (line_row + key) * stride + width + column;
        uint count = min(length - key, KEYS);
        if (pair) {
            score_pair(query, keys, stride, count, scores);
            soften(scores, 0u, count, &top[0], &total[0], &fade[0]);
            soften(scores, 1u, count, &top[1], &total[1], &fade[1]);
            add_pair(sum, fade, scores, keys + width, stride, count);
        } else {
            score_one(query, keys, stride, count, scores);
            soften(scores, 0u, count, &top[0], &total[0], &fade[0]);
            add_one(sum, fade, scores, keys + width, stride, count);
        }
    }
    floatv share[2] = {1.0f / total[0], 1.0f / (pair ? total[1] : (floatv)(1.0f))};
    for (uint i = 0; i < 2u * HEAD; i++) {
        STOREV(sum[i] * share[i % 2u], swap + i * VW);
    }
    for (uint lane = 0; lane < queries; lane++) {
        __global float *to = out + (size_t)(line_row + query0 + lane) * width + column;
        for (uint d = 0; d < HEAD; d++) {
            to[d] = swap[d * 2u * VW + lane];
        }
    }
    STOP_END
}
