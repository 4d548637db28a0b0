/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/number.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define TEXT_MAX 400
#define EXPONENT_MAX 1000
#define POW10_18 ((sl_i128)INT64_C(1000000000000000000))
#define POW10_19 (POW10_18 * 10)

static sl_i128 magnitude(sl_i128 value) {
    return value < 0 ? -value : value;
}

/* Back below 10^19. */
static struct sl_feed_number shrink(struct sl_feed_number n) {
    while (magnitude(n.digits) >= POW10_19) {
        n.digits /= 10;
        n.exponent++;
    }
    return n;
}

/* The same number with all 19 digits, so that dividing and comparing see the leading ones. */
static struct sl_feed_number stretch(struct sl_feed_number n) {
    while (n.digits != 0 && magnitude(n.digits) < POW10_18) {
        n.digits *= 10;
        n.exponent--;
    }
    return n;
}

/* Digits from *at on; those beyond the nineteenth only move the point. */
static int take_digits(const char **at, struct sl_feed_number *n, bool fraction) {
    int count = 0;
    for (; isdigit((unsigned char)**at); (*at)++, count++) {
        if (n->digits < POW10_18) {
            n->digits = n->digits * 10 + (**at - '0');
            n->exponent -= fraction ? 1 : 0;
        } else {
            n->exponent += fraction ? 0 : 1;
        }
    }
    return count;
}

static bool take_exponent(const char **at, struct sl_feed_number *n) {
    int exponent = 0;
    if (**at != 'e' && **at != 'E') {
        return true;
    }
    (*at)++;
    bool negative = **at == '-';
    *at += **at == '-' || **at == '+';
    if (!isdigit((unsigned char)**at)) {
        return false;
    }
    for (; isdigit((unsigned char)**at); (*at)++) {
        exponent = exponent < EXPONENT_MAX ? exponent * 10 + (**at - '0') : exponent;
    }
    n->exponent += negative ? -exponent : exponent;
    return true;
}

int sl_feed_number_parse(const char *text, struct sl_feed_number *ret_number,
                         struct sl_error *err) {
    struct sl_feed_number n = {0};
    bool negative = *text == '-';
    const char *at = text + (negative ? 1 : 0);
    bool good = strnlen(text, TEXT_MAX + 1) <= TEXT_MAX && take_digits(&at, &n, false) > 0;
    if (good && *at == '.') {
        at++;
        good = take_digits(&at, &n, true) > 0;
    }
    if (!good || !take_exponent(&at, &n) || *at != '\0') {
        return sl_fail(err, SL_INVALID, "'%.40s' is not a plain decimal number such as 0.05", text);
    }
    n.digits = negative ? -n.digits : n.digits;
    *ret_number = n;
    return SL_OK;
}

struct sl_feed_number sl_feed_number_of(int64_t digits, int exponent) {
    return (struct sl_feed_number){digits, exponent};
}

struct sl_feed_number sl_feed_number_mul(struct sl_feed_number a, struct sl_feed_number b) {
    return shrink((struct sl_feed_number){a.digits * b.digits, a.exponent + b.exponent});
}

struct sl_feed_number sl_feed_number_div(struct sl_feed_number a, struct sl_feed_number b) {
    sl_assert(b.digits != 0);
    struct sl_feed_number top = stretch(a);
    return shrink(
        (struct sl_feed_number){top.digits * POW10_19 / b.digits, top.exponent - 19 - b.exponent});
}

int sl_feed_number_compare(struct sl_feed_number a, struct sl_feed_number b) {
    struct sl_feed_number left = stretch(a);
    struct sl_feed_number right = stretch(b);
    int sign_left = (left.digits > 0) - (left.digits < 0);
    int sign_right = (right.digits > 0) - (right.digits < 0);
    if (sign_left != sign_right || sign_left == 0) {
        return sign_left - sign_right;
    }
    if (left.exponent != right.exponent) {
        return left.exponent > right.exponent ? sign_left : -sign_left;
    }
    return (left.digits > right.digits) - (left.digits < right.digits);
}

int sl_feed_number_nano(struct sl_feed_number number, int64_t *ret_nano, struct sl_error *err) {
    sl_i128 value = number.digits;
    int exponent = number.exponent + 9;
    for (; exponent < 0 && value != 0; exponent++) {
        value /= 10;
    }
    for (; exponent > 0 && value != 0 && magnitude(value) <= INT64_MAX; exponent--) {
        value *= 10;
    }
    if (value > INT64_MAX || value < -INT64_MAX) {
        return sl_fail(err, SL_LIMIT, "the figure is too large: is its unit right?");
    }
    *ret_nano = (int64_t)value;
    return SL_OK;
}
