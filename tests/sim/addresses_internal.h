/* SPDX-License-Identifier: Apache-2.0
 * Inside of the small world of addresses: addresses_pool.c (the pool's side), addresses.c (the
 * agent's side, faults, rules). */
#ifndef SLUICE_TESTS_SIM_ADDRESSES_INTERNAL_H
#define SLUICE_TESTS_SIM_ADDRESSES_INTERNAL_H

#include "agent/stratum/failover.h"
#include "agent/stratum/pin.h"
#include "proto/base/text.h"
#include "tests/sim/addresses.h"
#include "tests/sim/rng.h"

#define LINKS 3
#define SPAN_NS (3600 * SL_NS_PER_S)
#define RETRY_MS 60000
#define WELL_NS (150 * SL_NS_PER_S)   /* the longest back-off, a head start, and room */
#define RETURN_NS (330 * SL_NS_PER_S) /* twice RETRY_MS, and all of the above */
#define SLOW_MS 4000
#define PATIENCE_NS (SL_NS_PER_S) /* least time to wait for the answer to a share */
#define SLOW_PATIENCE_NS (3 * (SLOW_MS + 100) * SL_NS_PER_MS) /* that a slow one has taught */
#define CONNECTS_MAX 80 /* a minute; up to 3 s apart where nobody listens */
#define OPENINGS_MAX 30 /* a minute */
#define REFUSALS_MAX 10 /* in a row, before an address is left */
#define PROBES_MAX 4    /* a minute, of one that has been left; one may have been under way */
#define UNPAID_NS (60 * SL_NS_PER_S) /* so long, where they are called stale */
#define EVENTS_MAX 8192
#define SHARES_MAX 4096

enum mood {
    WELL,
    DOWN,
    HANGS,
    SILENT,
    SLOW, /* speaks with a delay of seconds */
    KICKS,
    STORMS,
    SENDS_AWAY,
    SENDS_HOME,
    IMPOSTOR,
    REFUSES,
    MOODS
};
enum kind {
    TO_AGENT = 1,
    TO_POOL,
    REACHED,
    NEW_JOB,
    STRIKE,
    SHARE,
    SPITE, /* an address takes no share any more, until it does */
    CHECK_JOB,
    CHECK_SILENT,
    CHECK_REFUSED,
};

struct event {
    int64_t at_ns;
    enum kind kind;
    uint32_t link;
    uint64_t tag; /* connection; CHECK_JOB: the oldest job that may be worked on; CHECK_SILENT:
                     since when it must have been silent; SPITE: begins */
    char *text;
};

struct address {
    enum mood mood;
    int64_t mood_until_ns, mood_since_ns, well_since_ns;
    bool ever_slow;
    uint64_t connection; /* number of the newest attempt */
    bool open, authorised;
    int64_t up_ns, down_ns;
    uint64_t number, retired_below; /* jobs */
    uint64_t heard_clean;           /* by the agent */
    int64_t connects_ns[CONNECTS_MAX], openings_ns[OPENINGS_MAX];
    uint32_t connects, openings; /* since the last accepted share */
    bool spiteful;
    int64_t refused_since_ns, refused_ns; /* first and last, since the last accepted share */
    uint32_t refusals, unpaid;            /* unpaid: those, and stale ones */
    bool heeded;                          /* enough of them */
    int64_t probes_ns[PROBES_MAX];
    uint32_t probes;
    struct sl_buf input;
};

struct share {
    bool ended, could; /* could: the address took shares when it was found */
    uint32_t link;
};

struct world {
    struct sim_addresses *result;
    struct sim_rng rng, spite; /* apart: older worlds stay what they were */
    int64_t now_ns;
    struct sl_failover *pool;
    struct sl_pool_pins pins;
    struct address addresses[LINKS];
    struct event events[EVENTS_MAX];
    size_t event_count;
    struct sl_job *job; /* that devices have */
    int64_t idle_since_ns;
    bool quiet;     /* until the next strike, which is a silence */
    bool forgetful; /* who is spiteful knows no job any more */
    struct share shares[SHARES_MAX];
    uint32_t share_count;
    uint64_t outcomes[5], pool_accepted;
};

void sim_addresses_broken(struct world *world, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct sl_mono sim_addresses_mono(const struct world *world);
void sim_addresses_at(struct world *world, int64_t at_ns, enum kind kind, uint32_t link,
                      uint64_t tag, char *text);
int64_t sim_addresses_latency(struct world *world);
/* The pool announces a job, now and then a new block, and plans the next. */
void sim_addresses_new_job(struct world *world, uint32_t link);
void sim_addresses_hang_up(struct world *world, uint32_t link, const char *reason);
/* What it received. */
void sim_addresses_to_pool(struct world *world, const struct event *event);

#endif
