/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/real.h"

#include <math.h>
#include <string.h>

#define LN2_HI 6.93147180369123816490e-01 /* 33 bits of ln 2, and the rest */
#define LN2_LO 1.90821492927058770002e-10
#define PI_HI 3.14159265358979311600e+00
#define PI_LO 1.22464679914735317723e-16

static double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t to_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* 2^n for -1022 <= n <= 1023. */
static double power_of_two(int n) {
    return from_bits((uint64_t)(n + 1023) << 52);
}

double sl_real_exp(double x) {
    if (x > 709.7) {
        return 1.7976931348623157e308;
    }
    if (!(x > -745.0)) {
        return 0.0;
    }
    double scaled = x * 1.44269504088896338700;
    int n = (int)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    double r = (x - n * LN2_HI) - n * LN2_LO; /* |r| <= ln 2 / 2 */
    double sum = 1.0;
    for (int i = 14; i >= 1; i--) {
        sum = 1.0 + sum * r / i;
    }
    /* In two steps: 2^n itself may lie outside the normal numbers. */
    int half = n / 2;
    return sum * power_of_two(half) * power_of_two(n - half);
}

double sl_real_log(double x) {
    uint64_t bits = to_bits(x);
    int n = (int)(bits >> 52) - 1023;
    double m = from_bits((bits & 0xfffffffffffffu) | 0x3ff0000000000000u); /* 1 <= m < 2 */
    if (m > 1.41421356237309504880) {
        m *= 0.5;
        n++;
    }
    /* ln m = 2 artanh(s), s = (m - 1) / (m + 1), |s| <= 0.1716 */
    double s = (m - 1.0) / (m + 1.0);
    double s2 = s * s;
    double sum = 0.0;
    for (int i = 21; i >= 3; i -= 2) {
        sum = (sum + 1.0 / i) * s2;
    }
    return n * LN2_HI + (2.0 * s + (2.0 * s * sum + n * LN2_LO));
}

double sl_real_sin(double x) {
    double turns = x / PI_HI;
    int64_t n = (int64_t)(turns < 0 ? turns - 0.5 : turns + 0.5);
    double r = (x - (double)n * PI_HI) - (double)n * PI_LO; /* |r| <= pi / 2 */
    double r2 = r * r;
    double sum = 1.0;
    for (int i = 22; i >= 2; i -= 2) {
        sum = 1.0 - sum * r2 / (i * (i + 1));
    }
    return n % 2 ? -r * sum : r * sum;
}

double sl_real_cbrt(double x) {
    if (!(x > 0)) {
        return x < 0 ? -sl_real_cbrt(-x) : 0.0;
    }
    double y = sl_real_exp(sl_real_log(x) / 3.0);
    return y - (y * y * y - x) / (3.0 * y * y); /* one Newton step takes the rest */
}

double sl_real_dawson(double x) {
    double a = x < 0 ? -x : x;
    if (a < 0.2) {
        double x2 = x * x;
        double sum = 1.0;
        for (int i = 12; i >= 1; i--) {
            sum = 1.0 - sum * 2.0 * x2 / (2 * i + 1);
        }
        return x * sum;
    }
    if (a > 50) {
        /* Asymptotic: 1/(2x) * (1 + 1/(2x^2) + 3/(4x^4) + 15/(8x^6) + 105/(16x^8) ...) */
        double r = 1 / (2 * a * a);
        return (1 + r * (1 + r * (3 + r * (15 + r * 105)))) / (2 * x);
    }
    /* Steps h = 0.2: F(x) = 1/sqrt(pi) * sum over odd n of exp(-(x - n h)^2) / n; what is left out
     * is of the order exp(-(pi / 2 / h)^2) = 1e-27, and beyond 34 steps exp(-46). */
    const double h = 0.2;
    int nearest = 2 * (int)(0.5 * a / h + 0.5);
    double offset = a - nearest * h;
    double sum = 0.0;
    for (int i = 1; i <= 33; i += 2) {
        double up = offset - i * h;
        double down = offset + i * h;
        sum += sl_real_exp(-up * up) / (nearest + i) + sl_real_exp(-down * down) / (nearest - i);
    }
    double value = 0.5641895835477562869 * sum;
    return x < 0 ? -value : value;
}

int64_t sl_real_round(double x) {
    if (!(x > -9.2233720368547748e18)) {
        return x < 0 ? INT64_MIN : 0;
    }
    if (x >= 9.2233720368547748e18) {
        return INT64_MAX;
    }
    int64_t whole = (int64_t)x;
    double rest = x - (double)whole;
    return rest >= 0.5 ? whole + 1 : rest <= -0.5 ? whole - 1 : whole;
}
