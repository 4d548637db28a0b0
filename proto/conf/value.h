/* SPDX-License-Identifier: Apache-2.0
 * Inside of conf: one scalar -> one field, and the words for what an option wants. */
#ifndef SLUICE_PROTO_CONF_VALUE_H
#define SLUICE_PROTO_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/conf/conf.h"

/* Sets the field of `base` that the option describes. plain: not in quotes. `shown` is the option's
 * full path; a value of a secret never gets into an error text. */
int sl_conf_value_set(const struct sl_conf_option *option, const char *shown, const char *text,
                      size_t size, bool plain, void *base, struct sl_error *err);

/* Path ends in "secret" or "password". */
bool sl_conf_is_secret(const struct sl_conf_option *option);

/* The name of a choice, its length in *ret_size; NULL when there is none so far. */
const char *sl_conf_choice(const char *choices, int64_t index, size_t *ret_size);

/* A copy for error texts: control characters replaced, cut to fit (out_size > 4). Returns out. */
const char *sl_conf_shown(const char *text, size_t size, char *out, size_t out_size);

/* "a whole number of W from 1 to 1000": what the option wants. Returns out. */
const char *sl_conf_wanted(const struct sl_conf_option *option, char *out, size_t out_size);

/* "12.5" for 12500000 with 6 digits. buffer: at least 32 bytes. */
const char *sl_conf_decimal_format(int64_t value, int digits, char *buffer);
/* "90m" for 5400000: the largest unit that loses nothing. buffer: at least 32 bytes. */
const char *sl_conf_span_format(int64_t ms, char *buffer);

#endif
