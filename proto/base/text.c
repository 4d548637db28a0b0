/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

bool sl_text_copy(char *out, size_t out_size, const char *text) {
    size_t n = strlen(text);
    bool fits = n < out_size;
    size_t kept = fits ? n : out_size - 1;
    memcpy(out, text, kept);
    out[kept] = '\0';
    return fits;
}

bool sl_text_among(const char *text, char *const *texts, int count) {
    for (int i = 0; i < count; i++) {
        if (strcmp(texts[i], text) == 0) {
            return true;
        }
    }
    return false;
}

void sl_hex_encode(const uint8_t *bytes, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int sl_hex_decode(const char *text, uint8_t *out, size_t n) {
    if (strlen(text) != 2 * n) {
        return -SL_INVALID;
    }
    for (size_t i = 0; i < 2 * n; i++) {
        if (hex_value(text[i]) < 0) {
            return -SL_INVALID;
        }
    }
    for (size_t i = 0; i < n; i++) {
        unsigned high = (unsigned)hex_value(text[2 * i]);
        out[i] = (uint8_t)(high << 4 | (unsigned)hex_value(text[2 * i + 1]));
    }
    return SL_OK;
}

/* Length of the well-formed sequence at `s`, or 0 (Unicode standard, table 3-7). */
static size_t utf8_sequence(const unsigned char *s, size_t left) {
    unsigned char lead = s[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || left < need) {
        return 0;
    }
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < need; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return need;
}

bool sl_utf8_valid(const char *text, size_t n) {
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < n;) {
        size_t step = utf8_sequence(s + i, n - i);
        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}

static bool reserve(struct sl_buf *buf, size_t more) {
    if (buf->failed) {
        return false;
    }
    if (buf->cap - buf->len > more) {
        return true;
    }
    size_t cap = buf->cap ? buf->cap : 256;
    while (cap - buf->len <= more) {
        if (cap > SIZE_MAX / 2) {
            buf->failed = true;
            return false;
        }
        cap *= 2;
    }
    char *data = realloc(buf->data, cap);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

void sl_buf_append(struct sl_buf *buf, const void *data, size_t n) {
    if (!reserve(buf, n)) {
        return;
    }
    if (n) {
        memcpy(buf->data + buf->len, data, n);
    }
    buf->len += n;
    buf->data[buf->len] = '\0';
}

char *sl_buf_extend(struct sl_buf *buf, size_t n) {
    if (!reserve(buf, n)) {
        return NULL;
    }
    char *at = buf->data + buf->len;
    buf->len += n;
    buf->data[buf->len] = '\0';
    return at;
}

void sl_buf_printf(struct sl_buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    va_list copy;
    va_copy(copy, args);
    int n = vsnprintf(NULL, 0, format, copy);
    va_end(copy);
    if (n >= 0 && reserve(buf, (size_t)n)) {
        vsnprintf(buf->data + buf->len, (size_t)n + 1, format, args);
        buf->len += (size_t)n;
    }
    va_end(args);
}

void sl_buf_consume(struct sl_buf *buf, size_t n) {
    sl_assert(n <= buf->len);
    buf->len -= n;
    if (buf->data) {
        memmove(buf->data, buf->data + n, buf->len);
        buf->data[buf->len] = '\0';
    }
}

void sl_buf_fini(struct sl_buf *buf) {
    free(buf->data);
    *buf = (struct sl_buf){0};
}
