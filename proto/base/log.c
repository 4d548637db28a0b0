/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
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

/* ---- how many warnings ---- */
#define EVENTS_MAX 64 /* told apart; others share the last place */
#define EVENT_MAX 48
#define LINE_NS (SL_NS_PER_S / SL_LOG_WARNINGS_PER_S)

struct limited {
    char event[EVENT_MAX];
    int64_t spent_ns; /* credit used: a line costs LINE_NS, time gives it back */
    int64_t at_ns;
    uint64_t suppressed;
};
/* Whoever logs has this lock for some comparisons only. */
static pthread_mutex_t limits_lock = PTHREAD_MUTEX_INITIALIZER;
static struct limited limits[EVENTS_MAX]; /* tidy: allow mutable (process-wide, under the lock) */
static _Atomic int64_t tell_at_ns; /* tidy: allow mutable (process-wide); 0: nothing suppressed */

static struct limited *limit_of(const char *event) {
    unsigned i = 0;
    while (i < EVENTS_MAX - 1 && limits[i].event[0] &&
           strncmp(limits[i].event, event, EVENT_MAX - 1) != 0) {
        i++;
    }
    if (!limits[i].event[0]) {
        snprintf(limits[i].event, EVENT_MAX, "%s", i < EVENTS_MAX - 1 ? event : "others");
    }
    return &limits[i];
}

/* False: it is only counted. */
static bool may_warn(const char *event) {
    int64_t now_ns = sl_clock_mono().ns;
    pthread_mutex_lock(&limits_lock);
    struct limited *limit = limit_of(event);
    int64_t spent_ns = limit->spent_ns - (now_ns - limit->at_ns);
    limit->at_ns = now_ns;
    limit->spent_ns = spent_ns < 0 ? 0 : spent_ns;
    bool may = limit->spent_ns <= (SL_LOG_WARNINGS_AT_ONCE - 1) * LINE_NS;
    limit->spent_ns += may ? LINE_NS : 0;
    limit->suppressed += !may;
    pthread_mutex_unlock(&limits_lock);
    if (!may && atomic_load(&tell_at_ns) == 0) {
        atomic_store(&tell_at_ns, now_ns + SL_NS_PER_S);
    }
    return may;
}

static void write_line(enum sl_log_level level, const char *event, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void write_plain(enum sl_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Once a second, by whoever logs next. */
static void tell_suppressed(void) {
    if (atomic_exchange(&tell_at_ns, 0) == 0) {
        return; /* another thread does */
    }
    for (unsigned i = 0; i < EVENTS_MAX; i++) {
        pthread_mutex_lock(&limits_lock);
        struct limited told = limits[i];
        limits[i].suppressed = 0;
        pthread_mutex_unlock(&limits_lock);
        if (told.suppressed > 0) {
            write_plain(SL_LOG_WARN, "log.suppressed", "event=%s lines=%llu", told.event,
                        (unsigned long long)told.suppressed);
        }
    }
}

/* ---- lines ---- */
void sl_log(enum sl_log_level level, const char *event, const char *format, ...) {
    if ((int)level > atomic_load(&level_max)) {
        return;
    }
    int64_t tell_ns = atomic_load(&tell_at_ns);
    if (tell_ns != 0 && sl_clock_mono().ns >= tell_ns) {
        tell_suppressed();
    }
    if (level == SL_LOG_WARN && !may_warn(event)) {
        return;
    }
    va_list args;
    va_start(args, format);
    write_line(level, event, format, args);
    va_end(args);
}

static void write_plain(enum sl_log_level level, const char *event, const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_line(level, event, format, args);
    va_end(args);
}

static void write_line(enum sl_log_level level, const char *event, const char *format,
                       va_list args) {
    static const char letters[] = "?EWID";
    char line[1200];
    char when[32];
    int n = snprintf(line, sizeof line, "%s %c %s ", sl_wall_format(sl_clock_wall(), when),
                     letters[level], event);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
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
