/* SPDX-License-Identifier: Apache-2.0
 * The parts of an OpenCL device's thread: cl_device.c (life, halts, watchdog), cl_device_start.c
 * (prepare and measure), cl_device_loop.c (service), cl_device_queue.c (launches). All but what is
 * under `lock` or atomic belongs to the device's thread. */
#ifndef SLUICE_AGENT_DEVICE_CL_DEVICE_INTERNAL_H
#define SLUICE_AGENT_DEVICE_CL_DEVICE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/device/cl_device.h"
#include "agent/device/cl_open.h"
#include "agent/device/discover_internal.h"
#include "agent/device/power.h"
#include "agent/executors/executor.h"

#define SL_FLIGHTS_MAX 4
#define SL_SWITCH_SAMPLES 7
#define SL_PREDICT_OF 8

enum sl_device_state {
    SL_STATE_RUNNING = 1,
    SL_STATE_HALTED, /* the queue is empty; waits for MODE */
    SL_STATE_DEAD,   /* failed; waits for QUIT */
};

struct sl_flight {
    struct sl_launch launch;
    int64_t enqueued_ns;
    bool follows; /* the launch before it left no reason for the queue to run empty */
};

struct sl_switch_samples {
    uint32_t count; /* ever taken */
    uint64_t us[SL_SWITCH_SAMPLES];
};

struct sl_cl_device {
    struct sl_device base;
    const struct sl_discovered *found;
    struct sl_cl_device_config config;
    char cache_dir[256];
    char sysfs_root[128];
    struct sl_mailbox *commands;
    pthread_t thread;
    pthread_t watchdog;
    struct sl_mailbox *watchdog_end; /* closed: end */
    struct sl_mailbox *thread_end;   /* closed: has ended */
    atomic_bool closing;             /* nobody takes events any more */
    atomic_bool hung;                /* given up by the watchdog */
    atomic_int_fast64_t wait_ns;     /* since when a wait lasts; 0: none */
    atomic_int_fast64_t limit_ns;

    pthread_mutex_t lock;
    uint64_t halts; /* asked for */
    uint64_t halts_done;
    int64_t halt_ns; /* when the first halt that is not done was asked for */
    bool word_open;  /* in service: a halt may set the stop word */
    bool hashing;    /* what runs is pool work */
    uint64_t cuts;   /* of pool work: asked for */
    uint64_t cuts_done;

    /* Of the loop's thread: the job that was posted last. */
    bool posted;
    uint32_t posted_session;
    uint8_t posted_prevhash[32];

    struct sl_cl cl;
    bool cl_open;
    struct sl_executor *executors[SL_MODE_COUNT];
    struct sl_executor *now; /* of the mode that runs */
    enum sl_device_state state;
    bool quit;
    struct sl_device_stats stats;
    /* Launches, oldest first. */
    struct sl_flight flights[SL_FLIGHTS_MAX];
    uint32_t flight_first;
    uint32_t flight_count;
    int64_t last_end_ns; /* the latest end; 0: nothing ended in this run of the mode */
    int64_t lane_end_ns[SL_LANES_MAX];
    int64_t gap_start_ns, gap_end_ns; /* the latest gap; a launch not yet read may reach into it */
    bool gap_counted;
    bool starved; /* the executor had nothing to do */
    int64_t lengths_ns[SL_PREDICT_OF];
    uint32_t length_count;
    /* Switching. */
    bool next_wanted; /* a MODE command waits for the halt */
    enum sl_mode next_mode;
    uint64_t next_epoch;
    bool started_wanted; /* the first launch of the mode has not ended */
    bool sample_good;    /* nothing but the switch itself has been waited for */
    enum sl_mode from_mode;
    int64_t halt_span_ns; /* of the halt before the switch */
    int64_t mode_ns;      /* when the MODE was taken up */
    struct sl_switch_samples samples[SL_MODE_COUNT][SL_MODE_COUNT];
    bool canary_wanted;    /* a re-test was asked for */
    int64_t canary_due_ns; /* not before */
    /* Once a second, once a minute. */
    int64_t stats_due_ns;
    int64_t clock_due_ns;
    struct sl_power power;
    bool power_open;
    bool power_mixed; /* the mode changed in this span: its energy belongs to nobody */
};

/* cl_device_queue.c */
/* Enqueues as much as the executor has and the queue takes. */
int sl_flights_fill(struct sl_cl_device *d, struct sl_error *err);
/* Waits for the oldest launch and hands it to its executor; *ret_start_ns may be NULL. */
int sl_flights_complete(struct sl_cl_device *d, int64_t *ret_start_ns, struct sl_error *err);
/* Adds the times of a launch that ended to the device's. Launches of two lanes overlap: the device
 * is busy while any of them runs, and a gap is where none does. */
void sl_flights_account(struct sl_cl_device *d, const struct sl_flight *flight);
/* Waits for all. */
int sl_flights_drain(struct sl_cl_device *d, struct sl_error *err);
/* When the loop should look again: before the oldest launch ends, or when the next must be enqueued
 * just in time. 0: now. */
int64_t sl_flights_wake_ns(const struct sl_cl_device *d, int64_t now_ns);
/* Forgets launches of a device that failed. */
void sl_flights_abandon(struct sl_cl_device *d);

/* cl_device_start.c */
int sl_cl_device_prepare(struct sl_cl_device *d, struct sl_error *err);
void sl_switch_sample(struct sl_cl_device *d, enum sl_mode from, enum sl_mode to, int64_t ns);

/* cl_device_loop.c: until QUIT. */
void sl_cl_device_serve(struct sl_cl_device *d);
/* Only commands are taken from now on. */
void sl_cl_device_dead(struct sl_cl_device *d, const struct sl_error *err);
void sl_cl_device_report(struct sl_cl_device *d, enum sl_device_event_kind kind);

bool sl_cl_device_halt_wanted(struct sl_cl_device *d);
bool sl_cl_device_cut_wanted(struct sl_cl_device *d);
/* cl_device_canary.c: re-tests the device if that was asked for and can be done now. */
int sl_cl_device_canary(struct sl_cl_device *d, struct sl_error *err);

/* cl_device.c, for the watchdog: the thread may be inside the driver from now on, for so long at
 * most; alive: for hang_ms, and what was before is over; end: it waits for commands, for as long as
 * it takes. Any call of OpenCL's may be the one that does not return. */
void sl_watch_begin(struct sl_cl_device *d, int64_t limit_ns);
void sl_watch_alive(struct sl_cl_device *d);
void sl_watch_end(struct sl_cl_device *d);

#endif
