/* SPDX-License-Identifier: Apache-2.0
 * Decimal numbers as price sources write them: up to 19 significant digits and a power of ten, so
 * that "0.00000000123" BTC per MH/s loses nothing on its way to PH/s. What does not fit into 19
 * digits is cut. No float. Thread: any; pure. */
#ifndef SLUICE_BROKER_FEEDS_NUMBER_H
#define SLUICE_BROKER_FEEDS_NUMBER_H

#include <stdint.h>

#include "proto/base/error.h"
#include "proto/base/money.h"

struct sl_feed_number {
    sl_i128 digits; /* below 10^19, either sign */
    int exponent;   /* of ten */
};

/* The whole text is one decimal number, an exponent allowed; blanks, NaN, inf, units are not. */
int sl_feed_number_parse(const char *text, struct sl_feed_number *ret_number, struct sl_error *err);
/* digits x 10^exponent. */
struct sl_feed_number sl_feed_number_of(int64_t digits, int exponent);
struct sl_feed_number sl_feed_number_mul(struct sl_feed_number a, struct sl_feed_number b);
/* b must not be 0. */
struct sl_feed_number sl_feed_number_div(struct sl_feed_number a, struct sl_feed_number b);
/* < 0, 0, > 0 as a is less than, equal to, more than b. */
int sl_feed_number_compare(struct sl_feed_number a, struct sl_feed_number b);
/* x 1e9, cut towards 0; -SL_LIMIT when that does not fit. */
int sl_feed_number_nano(struct sl_feed_number number, int64_t *ret_nano, struct sl_error *err);

#endif
