/* SPDX-License-Identifier: Apache-2.0
 * Inside of the simulator: what a host, its process and what the checkers know of it consist of.
 * Time is `now_ns` of an observer whom no fault touches, and every host has a clock of its own made
 * from it. What happens later is an event in one queue; equal times fire in the order in which they
 * were put in. Thread: one. */
#ifndef SLUICE_TESTS_SIM_HOST_H
#define SLUICE_TESTS_SIM_HOST_H

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
#define SIM_MESSAGE_BYTES 400 /* agents put so much of vectors into one message... */
#define SIM_INPUTS_WIDE 15    /* ...and some lines have so many inputs, which take more */
#define SIM_HASH_FEEDS 3
#define SIM_FEEDS (SIM_HASH_FEEDS + 1) /* and a tariff */
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
    uint32_t patience; /* how often its tenant left it alone since the faults ended */
    int64_t retry_ns;  /* when its tenant asks again; 0: it waits for an answer */
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
    struct sl_wall backup_wall;
    struct sl_wall restored_wall; /* of the last restore, by the broker's clock */
    int64_t due_ns;               /* next timer, observer's time */
    bool restored;                /* the next start is from a backup */
};

/* What the checkers know of a device. */
struct sim_watched {
    uint64_t epoch;                     /* highest that it ever acted on */
    uint64_t stored_epoch;              /* highest that its agent was told is durable */
    uint64_t asked_epoch, asked_ticket; /* on its way to the journal */
    uint64_t held_epoch; /* of the newest directive or renewal that was handed over */
    int64_t heard_ns;    /* by its host's clock, when */
    int64_t ttl_ms;
    uint64_t stay_epoch;  /* of the newest directive, when that told it to stay idle */
    bool stay_renewed;    /* a renewal told it: not durable at once */
    enum sl_mode decided; /* of the newest directive that was written */
    bool unhealthy;       /* as its agent said last */
    int64_t safe_ns;      /* by its host's clock, since when the safe mode rules; 0: it does not */
    /* Its sensors (sensors.c), of one process of its agent. */
    uint32_t sensor_life, xids;
    uint16_t xid;      /* the last one */
    int64_t absurd_mw; /* said in place of the power, until ... */
    int64_t absurd_until_ns, silent_until_ns;
    /* The rule "health". */
    uint64_t judged_life; /* of the broker */
    uint32_t judged;      /* driver errors that this broker was told of */
    int64_t sick_ns;      /* when it was told of one that quarantines; 0: it was not */
    /* Re-tests: as the broker wrote it last, and what a person allowed since. */
    bool written_out; /* it wrote that the device is quarantined */
    bool pardoned;    /* a person has resumed its node since */
    int64_t written_ns;
    bool ever_wrong;     /* it has computed wrongly in this run */
    int64_t unfit_ns;    /* since when it computes wrongly where a re-test could see it; 0: not */
    uint32_t unfit_told; /* re-tests that its agent said have failed */
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
    bool loses_unit;  /* the next work unit that is sent to it */
    uint64_t session; /* of the newest welcome to it */
    bool leaves;      /* by itself: what it still had to write is written */
    bool old;         /* of the version before token ids, until the faults are over */
    int64_t due_ns;   /* next thing that happens by itself, observer's time */
    struct sim_net_side up, down;
    struct sim_rng boots;
    struct sim_watched watched[SIM_DEVICES_MAX]; /* by the checkers */
};

#endif
