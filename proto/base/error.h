/* SPDX-License-Identifier: Apache-2.0
 * Status codes and the error text that travels with them.
 *
 * A fallible function returns SL_OK (0) or a negative `enum sl_status`. Where a user may have to
 * act on it, it takes a `struct sl_error *err` as its last parameter (NULL when the caller does not
 * care); parsers of single values, mailboxes and the like give the status only. The text tells a
 * user what to do, never only what happened. Out-parameters (`ret_*`) are untouched on failure.
 * Thread: any; an sl_error belongs to the caller. */
#ifndef SLUICE_PROTO_BASE_ERROR_H
#define SLUICE_PROTO_BASE_ERROR_H

#include <stddef.h>

#define SL_STATUS_MAP(X)                                                                           \
    X(SL_OK, 0, "ok")                                                                              \
    X(SL_INVALID, 1, "invalid input")                                                              \
    X(SL_NOMEM, 2, "out of memory")                                                                \
    X(SL_IO, 3, "input/output error")                                                              \
    X(SL_LIMIT, 4, "over a limit")                                                                 \
    X(SL_NOTFOUND, 5, "not found")                                                                 \
    X(SL_EXISTS, 6, "exists already")                                                              \
    X(SL_STALE, 7, "stale")                                                                        \
    X(SL_AGAIN, 8, "try again")                                                                    \
    X(SL_BADSTATE, 9, "not possible in this state")                                                \
    X(SL_DENIED, 10, "denied")                                                                     \
    X(SL_UNSUPPORTED, 11, "not supported")                                                         \
    X(SL_DEVICE, 12, "device error")                                                               \
    X(SL_CORRUPT, 13, "damaged data")                                                              \
    X(SL_TIMEOUT, 14, "timed out")                                                                 \
    X(SL_CLOSED, 15, "closed")

enum sl_status {
#define SL_STATUS_ENUM(name, value, text) name = value,
    SL_STATUS_MAP(SL_STATUS_ENUM)
#undef SL_STATUS_ENUM
};

#define SL_ERROR_TEXT_MAX 320

struct sl_error {
    int status; /* negative enum sl_status, or SL_OK */
    char text[SL_ERROR_TEXT_MAX];
};

/* Fixed text of a status; accepts both signs. Never NULL. */
const char *sl_status_text(int status);

/* Sets the text and returns -status, so that `return sl_fail(err, SL_INVALID, "...")` reads well.
 */
int sl_fail(struct sl_error *err, enum sl_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the present text; returns err->status (or -SL_INVALID when err is NULL).
 */
int sl_wrap(struct sl_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As sl_fail with SL_IO and ": <strerror(errno)>" added. Keeps errno. */
int sl_fail_errno(struct sl_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Always on: a violated sl_assert is our bug, never bad input. Aborts after one line on stderr. */
#define sl_assert(expr) ((expr) ? (void)0 : sl_assert_failed(#expr, __FILE__, __LINE__))
__attribute__((noreturn)) void sl_assert_failed(const char *expr, const char *file, int line);

#endif
