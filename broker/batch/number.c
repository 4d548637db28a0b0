/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/batch/number.h"

#include <stdio.h>
#include <string.h>

#define MANTISSA_BITS 23
#define EXPONENT_BIAS 150 /* value = mantissa x 2^(exponent - 150) */

static size_t format_any(uint32_t bits, char *out) {
    float value;
    memcpy(&value, &bits, sizeof value);
    char text[SL_FLOAT_TEXT_MAX + 1];
    size_t n = (size_t)snprintf(text, sizeof text, "%.9g", (double)value);
    memcpy(out, text, n);
    return n;
}

/* round(mantissa x 10^decimals / 2^shift), ties to even, as printf rounds. mantissa < 2^24 and
 * decimals <= 13 keep the product below 2^68; shift < 100. */
static uint64_t scaled(uint32_t mantissa, int decimals, int shift) {
    static const uint64_t power[] = {1000000000u, 10000000000u, 100000000000u, 1000000000000u,
                                     10000000000000u};
    unsigned __int128 product = (unsigned __int128)mantissa * power[decimals - 9];
    unsigned __int128 rest = product & (((unsigned __int128)1 << shift) - 1);
    unsigned __int128 half = (unsigned __int128)1 << (shift - 1);
    uint64_t whole = (uint64_t)(product >> shift);
    return whole + (rest > half || (rest == half && (whole & 1)) ? 1 : 0);
}

size_t sl_float_format(uint32_t bits, char *out) {
    int exponent = (int)(bits >> MANTISSA_BITS & 0xFF);
    uint32_t mantissa = (bits & 0x7FFFFF) | 0x800000;
    /* 2^-13 <= |x| < 1: "%g" prints these without an exponent. */
    if (exponent < 127 - 13 || exponent >= 127) {
        return format_any(bits, out);
    }
    int shift = EXPONENT_BIAS - exponent;
    int decimals = 9;
    uint64_t digits = scaled(mantissa, decimals, shift);
    while (digits < 100000000u) {
        digits = scaled(mantissa, ++decimals, shift);
    }
    if (digits == 1000000000u) { /* rounded up to the next power of ten */
        return format_any(bits, out);
    }
    size_t at = 0;
    if (bits >> 31) {
        out[at++] = '-';
    }
    out[at++] = '0';
    out[at++] = '.';
    for (int i = decimals; i > 9; i--) {
        out[at++] = '0';
    }
    for (int i = 8; i >= 0; i--) {
        out[at + (size_t)i] = (char)('0' + digits % 10);
        digits /= 10;
    }
    at += 9;
    while (out[at - 1] == '0') {
        at--;
    }
    return at;
}

size_t sl_base64_encode(const uint8_t *bytes, size_t n, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;
        group |= i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= i + 2 < n ? bytes[i + 2] : 0;
        out[at++] = digits[group >> 18];
        out[at++] = digits[group >> 12 & 63];
        out[at++] = i + 1 < n ? digits[group >> 6 & 63] : '=';
        out[at++] = i + 2 < n ? digits[group & 63] : '=';
    }
    return at;
}
