/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/base/clock.h"

/* The one process-wide setting, written before threads start. */
static _Atomic int level_max = SL_LOG_INFO; /* tidy: allow mutable (process-wide log level) */

struct tapped {
    _Atomic(sl_log_tap_fn *) tap;
    void *arg;
};
static struct tapped tapped; /* tidy: allow mutable (process-wide, set before threads start) */

void sl_log_set_tap(sl_log_tap_fn *tap, void *arg) {
    tapped.arg = tap ? arg : tapped.arg;
    atomic_store(&tapped.tap, tap);
}

void sl_log_set_level(enum sl_log_level level) {
    atomic_store(&level_max, (int)level);
}

void sl_log(enum sl_log_level level, const char *event, const char *format, ...) {
    if ((int)level > atomic_load(&level_max)) {
        return;
    }
    static const char letters[] = "?EWID";
    char line[1200];
    char when[32];
    int n = snprintf(line, sizeof line, "%s %c %s ", sl_wall_format(sl_clock_wall(), when),
                     letters[level], event);
    va_list args;
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    va_end(args);
    int room = (int)sizeof line - n - 2;
    int len = n + (m < 0 ? 0 : m > room ? room : m);
    for (int i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];
        if (c < 0x20 || c == 0x7F) {
            line[i] = '?';
        }
    }
    line[len] = '\n';
    ssize_t written = write(STDERR_FILENO, line, (size_t)len + 1);
    (void)written; /* a log that cannot be written has nowhere to say so */
    sl_log_tap_fn *tap = atomic_load(&tapped.tap);
    if (tap) {
        line[len] = '\0';
        tap(tapped.arg, level, line);
    }
}
