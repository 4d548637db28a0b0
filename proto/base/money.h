/* SPDX-License-Identifier: Apache-2.0
 * Integer money. One posting is int64 nano-USD; sums are 128-bit. No floats here, ever.
 *
 * Accrual: a flow is numerator/denominator nano-USD (e.g. hashes x price / (86400 x 1e15)); what
 * does not fill a whole nano-USD stays in a remainder that is stored in the posting's own
 * transaction, so that many tiny amounts add up exactly: sum of postings == one posting of the sum
 * (rounded down). One rounding rule everywhere: floor, remainder carried. */
#ifndef SLUICE_PROTO_BASE_MONEY_H
#define SLUICE_PROTO_BASE_MONEY_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"

typedef __int128 sl_i128;

struct sl_nusd {
    int64_t v; /* nano-USD: 1e-9 USD */
};

#define SL_NUSD_PER_USD INT64_C(1000000000)

/* Sum over an account: int64 would end at 9.2 billion USD. */
struct sl_nusd_sum {
    sl_i128 v;
};

/* A remainder, in units of 1/denominator nano-USD; 0 <= rem < denominator. One per flow, since
 * every flow has one denominator. */
struct sl_accrual {
    sl_i128 rem;
};

/* Denominators of the two flows there are. */
#define SL_DENOM_HASH ((sl_i128)86400 * 1000000000000000) /* price per PH/s per day x hashes */
#define SL_DENOM_TOKEN ((sl_i128)1000000)                 /* price per million tokens x tokens */

/* amount = floor((quantity * price + rem) / denominator), rem updated. quantity, price >= 0.
 * -SL_LIMIT when the amount does not fit a posting; then nothing is changed. */
int sl_accrue(struct sl_accrual *accrual, int64_t quantity, int64_t price_nusd, sl_i128 denominator,
              struct sl_nusd *ret_amount, struct sl_error *err);

/* Exact decimal -> integer with `digits` decimals: sl_decimal_parse("0.05", 9) == 50000000. Refuses
 * signs other than a leading '-', exponents, blanks, more decimals than `digits` (unless the excess
 * is zeros), nan, inf and overflow. */
int sl_decimal_parse(const char *text, int digits, int64_t *ret_value, struct sl_error *err);

/* As sl_decimal_parse, but an exponent is accepted and excess decimals are cut: for feeds, which
 * print what their language prints. */
int sl_decimal_parse_lenient(const char *text, int digits, int64_t *ret_value,
                             struct sl_error *err);

/* "12.345678901"; trailing zeros are cut down to two decimals. buffer: at least 64 bytes. */
const char *sl_nusd_format(sl_i128 nusd, char *buffer);

/* 128-bit decimal text, for columns that SQLite cannot hold as an integer. buffer: 48 bytes. */
const char *sl_i128_format(sl_i128 value, char *buffer);
int sl_i128_parse(const char *text, sl_i128 *ret_value);

#endif
