/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/money.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int sl_accrue(struct sl_accrual *accrual, int64_t quantity, int64_t price_nusd, sl_i128 denominator,
              struct sl_nusd *ret_amount, struct sl_error *err) {
    sl_assert(denominator > 0 && accrual->rem >= 0 && accrual->rem < denominator);
    if (quantity < 0 || price_nusd < 0) {
        return sl_fail(err, SL_INVALID, "a quantity and its price must not be negative");
    }
    /* int64 x int64 fits 126 bits, and a remainder is below 2^67: the sum cannot overflow. */
    sl_i128 total = (sl_i128)quantity * price_nusd + accrual->rem;
    sl_i128 amount = total / denominator;
    if (amount > INT64_MAX) {
        return sl_fail(err, SL_LIMIT, "one posting cannot hold this amount");
    }
    accrual->rem = total % denominator;
    ret_amount->v = (int64_t)amount;
    return SL_OK;
}

static bool push_digit(int64_t *value, char digit) {
    return !__builtin_mul_overflow(*value, 10, value) &&
           !__builtin_add_overflow(*value, digit - '0', value);
}

/* Reads the optional exponent; -SL_INVALID on anything else. */
static int parse_exponent(const char *at, int *ret_exponent) {
    int exponent = 0;
    if (*at == 'e' || *at == 'E') {
        at++;
        bool negative = *at == '-';
        if (*at == '-' || *at == '+') {
            at++;
        }
        if (!isdigit((unsigned char)*at)) {
            return -SL_INVALID;
        }
        for (; isdigit((unsigned char)*at) && exponent < 1000; at++) {
            exponent = exponent * 10 + (*at - '0');
        }
        exponent = negative ? -exponent : exponent;
    }
    if (*at != '\0') {
        return -SL_INVALID;
    }
    *ret_exponent = exponent;
    return SL_OK;
}

struct decimal {
    const char *whole;
    int whole_len;
    const char *fraction;
    int fraction_len;
    int exponent;
    bool negative;
};

static int split_decimal(const char *text, struct decimal *ret_d) {
    struct decimal d = {.fraction = ""};
    const char *at = text;
    if (*at == '-') {
        d.negative = true;
        at++;
    }
    d.whole = at;
    while (isdigit((unsigned char)*at)) {
        at++;
    }
    d.whole_len = (int)(at - d.whole);
    if (*at == '.') {
        d.fraction = ++at;
        while (isdigit((unsigned char)*at)) {
            at++;
        }
        d.fraction_len = (int)(at - d.fraction);
        if (d.fraction_len == 0) {
            return -SL_INVALID;
        }
    }
    if (d.whole_len == 0 || strlen(text) > 400) {
        return -SL_INVALID;
    }
    if (parse_exponent(at, &d.exponent)) {
        return -SL_INVALID;
    }
    *ret_d = d;
    return SL_OK;
}

/* Digit `i` of the number whose decimal point stands after `whole_len` digits. */
static char digit_at(const struct decimal *d, int i) {
    if (i < d->whole_len) {
        return d->whole[i];
    }
    return i - d->whole_len < d->fraction_len ? d->fraction[i - d->whole_len] : '0';
}

static int decimal_value(const char *text, int digits, bool lenient, int64_t *ret_value,
                         struct sl_error *err) {
    struct decimal d;
    if (split_decimal(text, &d) || (!lenient && d.exponent != 0) ||
        (!lenient && strpbrk(text, "eE"))) {
        return sl_fail(err, SL_INVALID, "'%.40s' is not a plain decimal number such as 0.05", text);
    }
    int kept = d.whole_len + digits + d.exponent;
    int total = d.whole_len + d.fraction_len;
    int64_t value = 0;
    for (int i = 0; i < kept; i++) {
        if (!push_digit(&value, digit_at(&d, i))) {
            return sl_fail(err, SL_LIMIT, "'%.40s' is too large", text);
        }
    }
    for (int i = kept < 0 ? 0 : kept; !lenient && i < total; i++) {
        if (digit_at(&d, i) != '0') {
            return sl_fail(err, SL_INVALID, "'%.40s' has more than %d decimals", text, digits);
        }
    }
    *ret_value = d.negative ? -value : value;
    return SL_OK;
}

int sl_decimal_parse(const char *text, int digits, int64_t *ret_value, struct sl_error *err) {
    return decimal_value(text, digits, false, ret_value, err);
}

int sl_decimal_parse_lenient(const char *text, int digits, int64_t *ret_value,
                             struct sl_error *err) {
    return decimal_value(text, digits, true, ret_value, err);
}

const char *sl_i128_format(sl_i128 value, char *buffer) {
    char reversed[44];
    int n = 0;
    bool negative = value < 0;
    unsigned __int128 rest = negative ? -(unsigned __int128)value : (unsigned __int128)value;
    do {
        reversed[n++] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest > 0);
    char *out = buffer;
    if (negative) {
        *out++ = '-';
    }
    while (n > 0) {
        *out++ = reversed[--n];
    }
    *out = '\0';
    return buffer;
}

int sl_i128_parse(const char *text, sl_i128 *ret_value) {
    bool negative = *text == '-';
    const char *at = text + (negative ? 1 : 0);
    sl_i128 value = 0;
    if (*at == '\0') {
        return -SL_INVALID;
    }
    for (; *at; at++) {
        if (!isdigit((unsigned char)*at) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value)) {
            return -SL_INVALID;
        }
    }
    *ret_value = negative ? -value : value;
    return SL_OK;
}

const char *sl_nusd_format(sl_i128 nusd, char *buffer) {
    bool negative = nusd < 0;
    unsigned __int128 magnitude = negative ? -(unsigned __int128)nusd : (unsigned __int128)nusd;
    char whole[48];
    sl_i128_format((sl_i128)(magnitude / SL_NUSD_PER_USD), whole);
    char fraction[16];
    snprintf(fraction, sizeof fraction, "%09d", (int)(magnitude % SL_NUSD_PER_USD));
    for (int end = 9; end > 2 && fraction[end - 1] == '0'; end--) {
        fraction[end - 1] = '\0';
    }
    snprintf(buffer, 64, "%s%s.%s", negative ? "-" : "", whole, fraction);
    return buffer;
}
