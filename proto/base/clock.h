/* SPDX-License-Identifier: Apache-2.0
 * Two clocks that the compiler keeps apart. `sl_mono` (CLOCK_BOOTTIME, runs on in suspend) is for
 * every interval, ttl and deadline; `sl_wall` only for ledger, audit, logs and tenants' deadlines.
 * clock.c is the only caller of clock_gettime, but for the deadline of a timed wait in mailbox.c.
 * Pure code gets `now` as an argument and never stores a copy of it as "the present". */
#ifndef SLUICE_PROTO_BASE_CLOCK_H
#define SLUICE_PROTO_BASE_CLOCK_H

#include <stdint.h>

struct sl_mono {
    int64_t ns;
};

struct sl_wall {
    int64_t ms; /* Unix epoch, UTC */
};

/* Both readings of one turn of a loop. */
struct sl_now {
    struct sl_mono mono;
    struct sl_wall wall;
};

#define SL_NS_PER_MS INT64_C(1000000)
#define SL_NS_PER_S INT64_C(1000000000)

struct sl_mono sl_clock_mono(void);
struct sl_wall sl_clock_wall(void);
struct sl_now sl_clock_now(void);
/* The clock of PoCL's event times (design 5), to map them to sl_mono by bracketing. */
int64_t sl_clock_monotonic_raw_ns(void);

static inline int64_t sl_mono_since_ns(struct sl_mono now, struct sl_mono then) {
    return now.ns - then.ns;
}

static inline struct sl_mono sl_mono_after_ms(struct sl_mono now, int64_t span_ms) {
    return (struct sl_mono){now.ns + span_ms * SL_NS_PER_MS};
}

/* "2026-11-22T17:00:00.123Z" and back. sl_wall_parse accepts RFC 3339 with 'Z' or an offset, and a
 * plain date; returns SL_OK or -SL_INVALID. buffer holds at least 32 bytes. */
const char *sl_wall_format(struct sl_wall t, char *buffer);
int sl_wall_parse(const char *text, struct sl_wall *ret_t);

/* A span such as "500ms", "90m", "15s", "6h", "7d" in ms; a bare number is refused. */
int sl_span_parse(const char *text, int64_t *ret_ms);

#endif
