/* SPDX-License-Identifier: Apache-2.0
 * What a device's thread runs in one mode: hash, infer, idle. All executors of a device share its
 * one context and its one in-order queue (design 8), and may have another one ("lane") beside it;
 * switching is enqueueing from another executor.
 *
 * Life: create -> prepare (programs built and warmed, buffers touched, known-answer self-test, rate
 * measured for at least a second or known from an earlier start, agent/device/figures.h: all before
 * the device is offered) -> any number of
 * [enqueue ... complete]* and halted -> destroy. Thread: the device's thread only.
 *
 * Every kernel begins with the stop check of agent/kernels/inc_stop.cl and adds one to the launch's
 * counter for each work-group that ran. A launch whose counter is short was cut by the stop word.
 */
#ifndef SLUICE_AGENT_EXECUTORS_EXECUTOR_H
#define SLUICE_AGENT_EXECUTORS_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/device/cl.h"
#include "agent/device/device.h"

#define SL_LANES_MAX 2u

/* One step of work in the queue: one or a few kernels that are waited for together. The executor
 * fills it in enqueue; the device thread waits for `last`, reads the times, and hands it to
 * complete. */
struct sl_launch {
    cl_event first;   /* its START is the start of the launch */
    cl_event last;    /* its END is the end; may equal first (retained twice then) */
    uint64_t tag;     /* the executor's own */
    uint32_t lane;    /* below SL_LANES_MAX; launches of one lane run one after the other, those of
                         two at the same time */
    bool opening;     /* nothing is to be enqueued behind it until it has ended */
    int64_t start_ns; /* sl_mono time, filled by the device thread before complete */
    int64_t end_ns;
};

struct sl_executor;

struct sl_executor_ops {
    const char *name;
    enum sl_mode mode;
    int (*prepare)(struct sl_executor *ex, struct sl_error *err);
    /* JOB, UNIT and DROP for this mode, and every MODE command (so that units of lower epochs are
     * dropped); also while another mode runs. Takes what it needs out of *cmd. */
    void (*command)(struct sl_executor *ex, struct sl_device_cmd *cmd);
    /* Enqueues the next launch without waiting. 1: filled *ret_launch; 0: nothing to do now;
     * negative: the device failed. Must not build, allocate device memory or block. */
    int (*enqueue)(struct sl_executor *ex, struct sl_launch *ret_launch, struct sl_error *err);
    /* A launch ended; always the oldest. May emit events through sl_cl_emit. */
    int (*complete)(struct sl_executor *ex, struct sl_launch *launch, struct sl_error *err);
    /* The queue is empty after a stop and the stop word is still set or just cleared: decide what
     * must be repeated. All launches have been handed to complete before. */
    int (*halted)(struct sl_executor *ex, struct sl_error *err);
    /* Adds what this executor knows (rates, totals) to the report. */
    void (*stats)(struct sl_executor *ex, struct sl_device_stats *stats);
    void (*destroy)(struct sl_executor *ex);
    /* Optional. While on, enqueue has made-up work of the usual launch length without end and
     * complete reports nothing: switching costs are measured with it before the device is offered.
     */
    void (*synthetic)(struct sl_executor *ex, bool on);
    /* Optional. The queue is empty: known answers once more, a few ms of device time. -SL_AGAIN:
     * not now, something is half done; another failure: what is wrong with the device. Cut short by
     * the stop word it fails, and its caller knows that. */
    int (*canary)(struct sl_executor *ex, struct sl_error *err);
};

/* First member of every executor. */
struct sl_executor {
    const struct sl_executor_ops *ops;
    struct sl_cl *cl;
    /* Set by command: what is in the queue has become worthless. The device thread then sets the
     * stop word, completes everything, calls halted, and goes on. */
    bool cut;
    uint64_t epoch; /* of the mode that runs, for events; kept by the device thread */
};

/* The three executors. `launch_ms` is the length a launch aims at (50 with a stop word, 1 without).
 */
int sl_idle_executor_create(struct sl_cl *cl, struct sl_executor **ret_ex, struct sl_error *err);
int sl_hash_executor_create(struct sl_cl *cl, uint32_t launch_ms, struct sl_executor **ret_ex,
                            struct sl_error *err);

/* A model that the operator's config offers. Strings are copied. */
struct sl_model_config {
    char id[64];
    char path[256];      /* GGUF */
    uint32_t max_tokens; /* 0: the model's context length */
    bool truncate;       /* cut over-long input instead of refusing the line */
    char sha256[65];     /* hex; empty: any file will do */
};
struct sl_model_set; /* agent/executors/model_set.h: loaded models, shared read-only by devices */
int sl_infer_executor_create(struct sl_cl *cl, const struct sl_model_set *models,
                             uint32_t launch_ms, struct sl_executor **ret_ex, struct sl_error *err);

#endif
