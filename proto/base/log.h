/* SPDX-License-Identifier: Apache-2.0
 * One line an event: "2026-11-22T17:00:00.123Z I lease.start device=... price=...".
 *
 * To stderr. Call from shells and handlers only: library and core code returns errors instead, and
 * a core emits log commands. Never pass a key, a prompt, a result or a file's content. Control
 * characters in the text are replaced. Thread: any (one write(2) a line). */
#ifndef SLUICE_PROTO_BASE_LOG_H
#define SLUICE_PROTO_BASE_LOG_H

/* So many warnings of one event at once, and then so many a second; the rest is counted and told as
 * `log.suppressed event=NAME lines=N`: peers must not fill a disk by what they are warned about.
 * Decisions and errors are always written. */
#define SL_LOG_WARNINGS_AT_ONCE 500
#define SL_LOG_WARNINGS_PER_S 10

enum sl_log_level { SL_LOG_ERROR = 1, SL_LOG_WARN, SL_LOG_INFO, SL_LOG_DEBUG };

/* Default SL_LOG_INFO; set once at start, before threads are started. */
void sl_log_set_level(enum sl_log_level level);
/* event: a stable dotted name; the rest is key=value text. */
/* Every line that is written goes to `tap` too, without its line end and cleaned. Set once at
 * start, before threads are started; NULL: none. The tap is called by whichever thread logs, must
 * not log itself, and must be ended (NULL) before what `arg` points to is gone. */
typedef void sl_log_tap_fn(void *arg, enum sl_log_level level, const char *line);
void sl_log_set_tap(sl_log_tap_fn *tap, void *arg);
void sl_log(enum sl_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
