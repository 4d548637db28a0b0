/* SPDX-License-Identifier: Apache-2.0
 * One device as the agent's loop sees it: commands in, events out, nothing shared but two mailboxes
 * and the stop word. Behind the vtable stands an OpenCL device with its own thread (cl_device.c) or
 * the scripted fake (fake_device.c), which is always built and drives tests and the simulator.
 *
 * A switch has two halves. sl_device_halt() sets the stop word at once (a memory store; safe from
 * the loop thread, no OpenCL call on methods that allow it) so that whatever is queued runs out;
 * the device reports HALTED. The new mode starts only with the MODE command, which the core posts
 * when the epoch is durable. A MODE command without a halt before it halts by itself.
 * Ownership: pointers inside a command or event move with it (free with sl_device_cmd_fini /
 * sl_device_event_fini). Thread: post and halt from the loop only. */
#ifndef SLUICE_AGENT_DEVICE_DEVICE_H
#define SLUICE_AGENT_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/device/place.h"
#include "agent/stratum/work.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/length.h"
#include "proto/base/mailbox.h"
#include "proto/base/mode.h"

#define SL_DEVICE_MODELS_MAX 16
#define SL_DEVICE_TEXT_MAX 96

enum sl_stop_method {
    SL_STOP_UNKNOWN = 0,
    SL_STOP_SVM,    /* fine-grained SVM */
    SL_STOP_MAPPED, /* mapped host memory */
    SL_STOP_QUEUE,  /* a write through a second queue */
    SL_STOP_NONE,   /* not seen by a running kernel: launches are kept short instead */
};

/* What does not change while the device lives. */
struct sl_device_info {
    char key[SL_DEVICE_TEXT_MAX];  /* of a GPU: place.h; "NODE/pocl/0" of a CPU */
    char name[SL_DEVICE_TEXT_MAX]; /* CL_DEVICE_NAME */
    char platform[SL_DEVICE_TEXT_MAX];
    char driver[SL_DEVICE_TEXT_MAX];
    bool is_cpu;
    uint32_t compute_units;
    uint64_t memory_bytes;
    uint32_t max_alloc_mib;
    struct sl_device_place place;
};

struct sl_device_model {
    char id[64];                             /* the id under which tenants ask for it */
    uint64_t tokens_per_s_milli;             /* measured; kept up to date from work done */
    uint64_t length_rates_milli[SL_LENGTHS]; /* likewise, by length of text; 0: not measured */
    uint32_t max_tokens;
};

/* Everything measured about a device; sent with READY and again with STATS. */
struct sl_device_stats {
    enum sl_mode mode;
    uint64_t epoch;        /* of the mode that runs now */
    uint64_t hash_rate_hs; /* nonces executed / device time of their launches, moving average */
    uint64_t hashes_total; /* counted by work-groups that ran, also in launches cut short */
    uint64_t tokens_total;
    uint64_t lines_total;
    uint64_t busy_ns[SL_MODE_COUNT]; /* device time by event profiling */
    uint64_t idle_gap_ns;            /* queue empty although the mode had work */
    uint64_t launches_total;
    uint64_t candidates_bad; /* found by the device, refuted by the host: a sick device */
    struct sl_watts watts[SL_MODE_COUNT];
    uint64_t switch_us[SL_MODE_COUNT][SL_MODE_COUNT]; /* [from][to] median measured; 0 = not yet */
    uint32_t stop_us_p50;
    uint32_t stop_us_max;
    enum sl_stop_method stop_method;
    uint32_t model_count;
    struct sl_device_model models[SL_DEVICE_MODELS_MAX];
};

/* One tokenised line. ids is inside the unit's own allocation. */
struct sl_unit_line {
    uint32_t line;  /* line number in the batch, from 0 */
    uint32_t input; /* index of the text inside the line's input array */
    uint32_t n_ids;
    const int32_t *ids; /* [n_ids], CLS and SEP included */
};

/* Work for an inference executor. One malloc'ed block; freed with free(). */
struct sl_device_unit {
    uint64_t unit_id;
    uint64_t epoch;
    char model[64];
    uint32_t n_lines;
    struct sl_unit_line lines[]; /* [n_lines], then the ids */
};

enum sl_device_cmd_kind {
    SL_DEVCMD_INVALID = 0,
    SL_DEVCMD_MODE,   /* enter mode under epoch; units of lower epochs are dropped */
    SL_DEVCMD_JOB,    /* newest pool job (kept while in another mode, so that a return uses it) */
    SL_DEVCMD_UNIT,   /* append a unit; worked in order */
    SL_DEVCMD_DROP,   /* forget unit_id (0: all units): no result events for it from then on */
    SL_DEVCMD_CANARY, /* re-test with known answers as soon as nothing is queued */
    SL_DEVCMD_QUIT,   /* halt, release, end */
};

struct sl_device_cmd {
    enum sl_device_cmd_kind kind;
    uint64_t epoch;
    enum sl_mode mode;
    uint64_t unit_id;
    struct sl_job *job;          /* the device's own copy, moves; NULL: no pool work */
    uint32_t extranonce2_slot;   /* this device's share of the extranonce2 space... */
    uint32_t extranonce2_slots;  /* ...out of so many */
    struct sl_device_unit *unit; /* moves with the command */
};

enum sl_device_event_kind {
    SL_DEVEV_INVALID = 0,
    SL_DEVEV_READY,   /* self-tests passed, everything measured: may be offered. info + stats */
    SL_DEVEV_FAILED,  /* text says why; the device is not offered (any more) */
    SL_DEVEV_HALTED,  /* the queue is empty after a halt; at = when. One for all halts till then */
    SL_DEVEV_STARTED, /* first kernel of (epoch, mode) started at `at` and has finished */
    SL_DEVEV_CANDIDATE,   /* a nonce that the host has re-hashed and found at or below the target */
    SL_DEVEV_LINE,        /* one input of a unit is done */
    SL_DEVEV_UNIT_DONE,   /* all lines of the unit have been reported */
    SL_DEVEV_NEED_WORK,   /* infer mode, queue of units is (nearly) empty */
    SL_DEVEV_CANARY,      /* text empty: passed; else what was wrong. unit_id: it took so many us */
    SL_DEVEV_JOB_STARTED, /* first launch of a pool job, unit_id = its serial, started at `at` */
    SL_DEVEV_STATS,       /* about once a second while something runs, and on change */
};

/* sl_job's reference count is plain, so no job crosses to the loop: serial and session in the flat
 * work say which job it was. */
struct sl_device_candidate {
    struct sl_work work;
    uint32_t nonce;
};

struct sl_device_line {
    uint64_t unit_id;
    uint32_t line;
    uint32_t input;
    uint32_t tokens;
    int status; /* SL_OK, or -SL_DEVICE when the vector failed its sanity check */
    uint32_t dim;
    float *vector; /* [dim], malloc'ed, moves with the event; NULL on failure */
};

struct sl_device_event {
    enum sl_device_event_kind kind;
    uint32_t device; /* index given at creation */
    uint64_t epoch;
    enum sl_mode mode;
    uint64_t unit_id;
    struct sl_mono at;
    bool hung; /* FAILED, since a launch never returned */
    union {
        struct sl_device_candidate candidate;
        struct sl_device_line line;
        char text[SL_ERROR_TEXT_MAX];
        struct sl_device_report *report; /* READY and STATS: malloc'ed, moves with the event */
    };
};

struct sl_device_report {
    struct sl_device_info info;
    struct sl_device_stats stats;
};

struct sl_device;

struct sl_device_ops {
    void (*halt)(struct sl_device *device);
    int (*post)(struct sl_device *device, struct sl_device_cmd *cmd); /* -SL_AGAIN when full */
    void (*destroy)(struct sl_device *device); /* after QUIT; joins its thread */
};

/* First member of every implementation. */
struct sl_device {
    const struct sl_device_ops *ops;
    uint32_t index;
    struct sl_mailbox
        *events; /* of struct sl_device_event; shared by all devices, owned by the loop */
};

static inline void sl_device_halt(struct sl_device *device) {
    device->ops->halt(device);
}
static inline int sl_device_post(struct sl_device *device, struct sl_device_cmd *cmd) {
    return device->ops->post(device, cmd);
}
static inline void sl_device_destroy(struct sl_device *device) {
    if (device) {
        device->ops->destroy(device);
    }
}

void sl_device_cmd_fini(struct sl_device_cmd *cmd);
void sl_device_event_fini(struct sl_device_event *event);

#endif
