/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *sl_status_text(int status) {
    switch (status < 0 ? -status : status) {
#define SL_STATUS_CASE(name, value, text)                                                          \
    case value:                                                                                    \
        return text;
        SL_STATUS_MAP(SL_STATUS_CASE)
#undef SL_STATUS_CASE
    default:
        return "unknown status";
    }
}

/* A cut text ends in '+', so that nobody mistakes it for the whole. */
__attribute__((format(printf, 2, 0))) static void format_text(char text[SL_ERROR_TEXT_MAX],
                                                              const char *format, va_list args) {
    int n = vsnprintf(text, SL_ERROR_TEXT_MAX, format, args);
    if (n >= SL_ERROR_TEXT_MAX) {
        text[SL_ERROR_TEXT_MAX - 2] = '+';
    }
}

int sl_fail(struct sl_error *err, enum sl_status status, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        format_text(err->text, format, args);
        va_end(args);
        err->status = -(int)status;
    }
    return -(int)status;
}

int sl_wrap(struct sl_error *err, const char *format, ...) {
    if (!err) {
        return -SL_INVALID;
    }
    char prefix[SL_ERROR_TEXT_MAX];
    char joined[2 * SL_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    format_text(prefix, format, args);
    va_end(args);
    snprintf(joined, sizeof joined, "%s: %s", prefix, err->text);
    if (strlen(joined) >= SL_ERROR_TEXT_MAX) {
        joined[SL_ERROR_TEXT_MAX - 2] = '+';
        joined[SL_ERROR_TEXT_MAX - 1] = '\0';
    }
    memcpy(err->text, joined, strlen(joined) + 1);
    return err->status;
}

int sl_fail_errno(struct sl_error *err, const char *format, ...) {
    int saved = errno;
    if (err) {
        char what[SL_ERROR_TEXT_MAX];
        va_list args;
        va_start(args, format);
        format_text(what, format, args);
        va_end(args);
        char reason[96];
        sl_fail(err, SL_IO, "%s: %s", what, strerror_r(saved, reason, sizeof reason));
    }
    errno = saved;
    return -SL_IO;
}

void sl_assert_failed(const char *expr, const char *file, int line) {
    fprintf(stderr, "sluice: a rule of the program was broken at %s:%d: %s (please report it)\n",
            file, line, expr);
    abort();
}
