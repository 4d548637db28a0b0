/* SPDX-License-Identifier: Apache-2.0
 * Inside of the simulator. One struct sim holds everything; time is `now_ns` of an observer whom no
 * fault touches, and every host has a clock of its own made from it. What happens later is an event
 * in one queue; equal times fire in the order in which they were put in. Thread: one. */
#ifndef SLUICE_TESTS_SIM_SITE_H
#define SLUICE_TESTS_SIM_SITE_H

#include "agent/core/core.h"
#include "agent/device/fake_device.h"
#include "agent/journal/journal.h"
#include "broker/core/core.h"
#include "broker/core/view.h"
#include "broker/store/store.h"
#include "proto/base/mailbox.h"
#include "proto/base/text.h"
#include "proto/link/link.h"
#include "proto/wire/codec.h"
#include "tests/sim/disk.h"
#include "tests/sim/facts.h"
#include "tests/sim/rng.h"
#include "tests/sim/sim.h"

#define SIM_BROKER 0u /* host 0; agent i is host i + 1 */
#define SIM_NOBODY UINT32_MAX
#define SIM_HOSTS_MAX (SIM_AGENTS_MAX + 1)
#define SIM_VFS "sim"
#define SIM_STORE "store.db"
#define SIM_MODEL "mini"
#define SIM_MODEL_TOKENS 64
#define SIM_DIM 4
#define SIM_FEEDS 3 /* two hashprices and a tariff */
#define SIM_TENANTS 3
#define SIM_BATCHES_MAX 64
#define SIM_TTL_MS 15000
/* Marks of what no log line may hold. */
#define SIM_PROMPT "PROMPTxyzzy"
#define SIM_PASSWORD "PASSWORDxyzzy"

struct sim;

struct sim_event {
    int64_t at_ns;
    uint64_t order;
    void (*run)(struct sim *sim, struct sim_event *event);
    uint32_t host; /* that it happens on; SIM_NOBODY: none. A paused host's events wait */
    uint32_t life; /* of the host's process: an event of an earlier one is dropped; 0: any */
    uint64_t a, b;
    uint8_t *data; /* [size], malloc'ed, freed after the event */
    size_t size;
};

struct sim_queue {
    struct sim_event *heap; /* [cap] */
    size_t count, cap;
    uint64_t order;
};

/* ---- hosts ---- */

struct sim_clock {
    int64_t base_ns;   /* observer's time at which ... */
    int64_t mono_ns;   /* ... the host's CLOCK_BOOTTIME stood at this */
    int64_t drift_ppm; /* runs so much too fast */
    int64_t wall_off_ms;
};

struct sim_host {
    struct sim_clock clock;
    struct sim_disk *disk;
    struct sim_rng rng;
    uint32_t life; /* number of its process; rises with each start */
    bool up;
    bool doomed; /* its disk died in the middle of something: the end comes at once */
    int64_t paused_until_ns;
    int64_t sync_slow_until_ns;
};

struct sim_net_side { /* one direction of one agent's line */
    int64_t cut_until_ns;
    int64_t lossy_until_ns, doubling_until_ns, shuffling_until_ns, slow_until_ns;
    int64_t last_ns; /* arrival of the newest message: order within a connection */
};

struct sim_batch {
    char id[SL_ID_MAX];
    uint32_t tenant;
    uint32_t lines;
    int64_t bid;
    int64_t deadline_span_ms; /* 0: a day */
    bool asked;               /* a create was sent at least once */
    bool acknowledged;        /* the tenant was told that it exists */
    bool told_end;            /* ... and how it ended */
    bool lost;                /* a restored backup does not know it: nobody can */
    bool wants_cancel;
    int64_t retry_ns; /* when its tenant asks again; 0: it waits for an answer */
    uint32_t asks;
    enum sl_batch_state state; /* as last durable */
    bool in_store;             /* when it was last read */
    bool ending;               /* written: nothing of it may be issued any more */
    uint8_t *done;             /* [lines] durable results */
    uint8_t *taken;            /* [lines] results that were written, durable or not */
};

struct sim_broker {
    struct sl_broker_core *core;
    struct sl_store *store;
    struct sl_link *link;
    struct sl_msg_arena *arena;
    struct sl_buf outgoing;
    struct sl_mailbox *durable; /* of uint64_t */
    bool failed;                /* the store said that it can write no more */
    uint64_t hurt;              /* operations that its disk had failed when it started */
    int64_t started_ns;
    int64_t priced_ns; /* when a feed first told this process a good price; INT64_MAX: not yet */
    bool clock_stepped;
    bool commit_due;
    int64_t cut_in; /* dies before so many more commands; negative: not */
    struct sim_disk_snapshot *backup;
    int64_t backup_ns;
    int64_t due_ns; /* next timer, observer's time */
    bool restored;  /* the next start is from a backup */
};

/* What the checkers know of a device. */
struct sim_watched {
    uint64_t epoch;                     /* highest that it ever acted on */
    uint64_t stored_epoch;              /* highest that its agent was told is durable */
    uint64_t asked_epoch, asked_ticket; /* on its way to the journal */
    uint64_t held_epoch; /* of the newest directive or renewal that was handed over */
    int64_t heard_ns;    /* by its host's clock, when */
    int64_t ttl_ms;
    enum sl_mode decided; /* of the newest directive that was written */
    bool unhealthy;       /* as its agent said last */
    int64_t safe_ns;      /* by its host's clock, since when the safe mode rules; 0: it does not */
};

#define SIM_SEEN_RESULTS 2048
struct sim_seen_result { /* that reached the broker */
    uint32_t agent, count;
    uint64_t id, unit;
    uint32_t lines[SL_MSG_LINES_MAX]; /* [count] the good ones */
};
#define SIM_SEEN_UNITS 8192
#define SIM_PRICES 512

struct sim_agent {
    struct sl_agent_core *core;
    struct sl_journal *journal;
    struct sl_mailbox *journal_done;
    struct sl_mailbox *events;
    struct sl_link *link;
    struct sl_msg_arena *arena;
    struct sl_device *devices[SIM_DEVICES_MAX];
    enum sl_fake_failure failures[SIM_DEVICES_MAX]; /* of this process's life */
    char key[SL_LINK_KEY_MAX];
    char node[16];
    bool commit_due, commit_urgent;
    uint64_t session; /* of the newest welcome to it */
    bool leaves;      /* by itself: what it still had to write is written */
    int64_t due_ns;   /* next thing that happens by itself, observer's time */
    struct sim_net_side up, down;
    struct sim_rng boots;
    struct sim_watched watched[SIM_DEVICES_MAX]; /* by the checkers */
};

struct sim_pool; /* pool.c */
struct sim_feed {
    int64_t value_nano, base_nano;
    int64_t lie_until_ns, stale_until_ns, jump_until_ns, future_until_ns;
    /* What an honest reader may make of what was said. */
    bool known, wrong;
    int64_t as_of_ms;
    int64_t said_nano;
    int64_t age_max_ms;
};

struct sim {
    struct sim_options options;
    struct sim_result *result;
    int64_t now_ns;
    int64_t span_ns; /* end of the part with faults */
    bool calm;       /* that part is over */
    bool over;
    struct sim_queue queue;
    struct sim_rng rng, net_rng, work_rng;
    uint32_t agent_count, device_count, batch_count;
    struct sim_host hosts[SIM_HOSTS_MAX];
    struct sim_broker broker;
    struct sim_agent agents[SIM_AGENTS_MAX];
    struct sl_mem_hub *hub;
    struct sim_pool *pool;
    struct sim_feed feeds[SIM_FEEDS];
    struct sim_batch batches[SIM_BATCHES_MAX];
    struct sl_core_config *broker_config;
    struct sim_facts *durable;   /* what the broker was told is on its disk */
    struct sim_facts *grants;    /* every directive that ever left */
    struct sim_pending *pending; /* transactions on their way: model.c */
    uint64_t cookie;
    uint64_t line_total;
    bool restored_once;
    int64_t last_strike_ns;
    struct sim_seen_result seen[SIM_SEEN_RESULTS]; /* ring */
    uint64_t seen_count;
    uint64_t posts; /* of units to devices */
    struct {
        uint64_t id;
        uint32_t batch;
        bool closed;
    } units[SIM_SEEN_UNITS]; /* by id, the newest */
    sl_i128 energy_nusd;     /* the most that power can have cost, x 3.6e12 */
    int64_t energy_ns;       /* up to when */
    int64_t energy_price;
    struct {
        int64_t ns, price;
    } prices[SIM_PRICES]; /* ring: effective hashprices that an honest reader took, and when */
    uint32_t price_count;
    struct { /* orders of people: one subject a node, and the last for all */
        enum sl_override_kind asked, durable, in_store;
        int64_t durable_ns;
        bool answered;
        int64_t ask_ns;
    } orders[SIM_AGENTS_MAX + 1];
};

#endif
