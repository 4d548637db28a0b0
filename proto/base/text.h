/* SPDX-License-Identifier: Apache-2.0
 * Small text helpers: hex, bounded copies, UTF-8 check, a growing byte buffer. */
#ifndef SLUICE_PROTO_BASE_TEXT_H
#define SLUICE_PROTO_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/cleanup.h"

/* Copies with termination. False when the text was cut. */
bool sl_text_copy(char *out, size_t out_size, const char *text);

/* Whether it is one of them, as a word of a command line is. */
bool sl_text_among(const char *text, char *const *texts, int count);

/* Lower-case hex; out holds 2 * n + 1. */
void sl_hex_encode(const uint8_t *bytes, size_t n, char *out);
/* Exactly 2 * n hex digits, then the end of the text. SL_OK or -SL_INVALID. */
int sl_hex_decode(const char *text, uint8_t *out, size_t n);

/* Well-formed UTF-8 (no surrogates, no overlong forms), NUL allowed inside. */
bool sl_utf8_valid(const char *text, size_t n);

/* Bytes that grow; `failed` stays set after an allocation failed, so that one check at the end of a
 * run of appends is enough. Zero-initialise; free with sl_buf_fini. */
struct sl_buf {
    char *data; /* NUL-terminated whenever non-NULL */
    size_t len;
    size_t cap;
    bool failed;
};

void sl_buf_append(struct sl_buf *buf, const void *data, size_t n);
/* n more bytes at the end, for the caller to fill; NULL when there is no memory (`failed` is set).
 */
char *sl_buf_extend(struct sl_buf *buf, size_t n);
void sl_buf_printf(struct sl_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Drops the first n bytes. */
void sl_buf_consume(struct sl_buf *buf, size_t n);
void sl_buf_fini(struct sl_buf *buf);
#define SL_AUTO_BUF __attribute__((cleanup(sl_buf_fini)))

#endif
