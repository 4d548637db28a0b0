/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/models/ggml_row.h"

#include <endian.h>
#include <math.h>
#include <string.h>

#include "proto/base/error.h"

#define HALF_INFINITY 0x7c00u

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint16_t take_u16(const uint8_t *p) {
    uint16_t value;
    memcpy(&value, p, sizeof value);
    return le16toh(value);
}

static void put_u16(uint8_t *p, uint16_t value) {
    value = htole16(value);
    memcpy(p, &value, sizeof value);
}

/* Subnormals are scaled by hand; infinities and NaN stay what they are. */
uint32_t sl_half_to_float_bits(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000U) << 16;
    uint32_t exponent = (half >> 10) & 0x1fU;
    uint32_t fraction = half & 0x3ffU;
    if (exponent == 0x1f) {
        return sign | 0x7f800000U | fraction << 13;
    }
    if (exponent == 0) {
        if (fraction == 0) {
            return sign;
        }
        exponent = 1;
        while (!(fraction & 0x400U)) {
            fraction <<= 1;
            exponent--;
        }
        fraction &= 0x3ffU;
    }
    return sign | (exponent + 112) << 23 | fraction << 13;
}

uint16_t sl_half_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return (uint16_t)(sign | HALF_INFINITY | 0x200u); /* NaN */
    }
    if (magnitude >= 0x477ff000u) { /* 65520: half way to what would come after 65504 */
        return (uint16_t)(sign | HALF_INFINITY);
    }
    if (magnitude < 0x38800000u) { /* below 2^-14: a multiple of 2^-24 */
        /* The product is exact, and rint rounds ties to even. */
        return (uint16_t)(sign | (uint32_t)rint((double)float_of(magnitude) * 0x1p24));
    }
    uint32_t rest = magnitude & 0x1fffu;
    uint32_t half = (magnitude >> 13) - (112u << 10);
    half += rest > 0x1000u || (rest == 0x1000u && (half & 1u));
    return (uint16_t)(sign | half);
}

bool sl_ggml_row_known(enum sl_ggml_type type) {
    return type == SL_GGML_F32 || type == SL_GGML_F16 || type == SL_GGML_Q8_0;
}

static void q8_0_floats(const uint8_t *block, size_t n, float *ret_values) {
    for (size_t i = 0; i < n; i += SL_Q8_0_BLOCK, block += SL_Q8_0_BLOCK_BYTES) {
        float scale = float_of(sl_half_to_float_bits(take_u16(block)));
        for (size_t k = 0; k < SL_Q8_0_BLOCK; k++) {
            ret_values[i + k] = scale * (float)(int8_t)block[2 + k];
        }
    }
}

void sl_ggml_row_floats(enum sl_ggml_type type, const void *data, size_t n, float *ret_values) {
    const uint8_t *bytes = data;
    sl_assert(sl_ggml_row_known(type));
    if (type == SL_GGML_Q8_0) {
        sl_assert(n % SL_Q8_0_BLOCK == 0);
        q8_0_floats(bytes, n, ret_values);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        if (type == SL_GGML_F16) {
            bits = sl_half_to_float_bits(take_u16(bytes + 2 * i));
        } else {
            memcpy(&bits, bytes + 4 * i, sizeof bits);
            bits = le32toh(bits);
        }
        ret_values[i] = float_of(bits);
    }
}

static bool q8_0_encode(const float *values, size_t n, uint8_t *block) {
    for (size_t i = 0; i < n; i += SL_Q8_0_BLOCK, block += SL_Q8_0_BLOCK_BYTES) {
        float top = 0;
        for (size_t k = 0; k < SL_Q8_0_BLOCK; k++) {
            top = fmaxf(top, fabsf(values[i + k]));
        }
        float scale = top / 127;
        uint16_t stored = sl_half_from_float(scale);
        if (stored >= HALF_INFINITY) {
            return false;
        }
        put_u16(block, stored);
        for (size_t k = 0; k < SL_Q8_0_BLOCK; k++) {
            block[2 + k] = (uint8_t)(int8_t)(scale > 0 ? roundf(values[i + k] / scale) : 0.0F);
        }
    }
    return true;
}

bool sl_ggml_row_encode(enum sl_ggml_type type, const float *values, size_t n, void *out) {
    uint8_t *bytes = out;
    sl_assert(sl_ggml_row_known(type));
    if (type == SL_GGML_Q8_0) {
        sl_assert(n % SL_Q8_0_BLOCK == 0);
        return q8_0_encode(values, n, bytes);
    }
    for (size_t i = 0; i < n; i++) {
        if (type == SL_GGML_F16) {
            uint16_t half = sl_half_from_float(values[i]);
            if ((half & 0x7fffu) >= HALF_INFINITY) {
                return false;
            }
            put_u16(bytes + 2 * i, half);
        } else {
            uint32_t bits;
            memcpy(&bits, &values[i], sizeof bits);
            bits = htole32(bits);
            memcpy(bytes + 4 * i, &bits, sizeof bits);
        }
    }
    return true;
}

bool sl_ggml_row_finite(enum sl_ggml_type type, const void *data, size_t n) {
    const uint8_t *bytes = data;
    uint32_t bad = 0;
    sl_assert(sl_ggml_row_known(type));
    if (type == SL_GGML_F32) {
        for (size_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, bytes + 4 * i, sizeof bits);
            bad |= (le32toh(bits) & 0x7f800000u) == 0x7f800000u;
        }
        return !bad;
    }
    size_t step = type == SL_GGML_F16 ? 2 : SL_Q8_0_BLOCK_BYTES;
    size_t count = type == SL_GGML_F16 ? n : n / SL_Q8_0_BLOCK;
    for (size_t i = 0; i < count; i++) {
        bad |= (take_u16(bytes + step * i) & HALF_INFINITY) == HALF_INFINITY;
    }
    return !bad;
}
