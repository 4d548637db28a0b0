/* SPDX-License-Identifier: Apache-2.0
 * A writer of JSON text. No tree is built: views are rendered on the loop's thread, which should
 * not allocate a node for each figure. Zero-initialise; free with sl_json_fini. buf.failed tells
 * once at the end whether memory sufficed. key NULL: an element of an array. */
#ifndef SLUICE_BROKER_HTTP_JSON_H
#define SLUICE_BROKER_HTTP_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/clock.h"
#include "proto/base/money.h"
#include "proto/base/text.h"

struct sl_json {
    struct sl_buf buf;
    bool comma; /* the next value needs one before it */
};

/* bracket: '{' or '['. */
void sl_json_open(struct sl_json *json, const char *key, char bracket);
void sl_json_close(struct sl_json *json, char bracket);
/* Escapes; broken UTF-8 becomes '?'. NULL is null. */
void sl_json_text(struct sl_json *json, const char *key, const char *text);
/* As sl_json_text, but an empty text is null. */
void sl_json_name(struct sl_json *json, const char *key, const char *text);
void sl_json_int(struct sl_json *json, const char *key, int64_t value);
void sl_json_uint(struct sl_json *json, const char *key, uint64_t value);
void sl_json_i128(struct sl_json *json, const char *key, sl_i128 value);
void sl_json_bool(struct sl_json *json, const char *key, bool value);
void sl_json_null(struct sl_json *json, const char *key);
/* Text that is JSON already. */
void sl_json_raw(struct sl_json *json, const char *key, const char *text);
/* value / 10^digits as an exact decimal number, e.g. 12.345. */
void sl_json_decimal(struct sl_json *json, const char *key, uint64_t value, int digits);
/* Nano-USD as a decimal text, "0.05". */
void sl_json_usd(struct sl_json *json, const char *key, sl_i128 nusd);
/* Unix seconds, or null for a time that has not come (ms 0). */
void sl_json_unix(struct sl_json *json, const char *key, struct sl_wall time);
/* RFC 3339, or null. */
void sl_json_time(struct sl_json *json, const char *key, struct sl_wall time);
void sl_json_fini(struct sl_json *json);
#define SL_AUTO_JSON __attribute__((cleanup(sl_json_fini)))

#endif
