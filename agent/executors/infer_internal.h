/* SPDX-License-Identifier: Apache-2.0
 * The inference executor's own state, shared by infer.c (the executor), infer_run.c (micro-batches
 * in and out) and infer_prepare.c (what happens before a device is offered), and their tests. */
#ifndef SLUICE_AGENT_EXECUTORS_INFER_INTERNAL_H
#define SLUICE_AGENT_EXECUTORS_INFER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/executors/executor.h"
#include "agent/executors/infer_batch.h"
#include "agent/executors/infer_engine.h"
#include "agent/executors/infer_queue.h"
#include "agent/executors/infer_rate.h"
#include "agent/executors/infer_times.h"

/* Micro-batches of a lane between upload and read-back: one that ends, one that runs, one that
 * begins. */
#define SL_INFER_SLOTS_LANE 3u
#define SL_INFER_SLOTS_MAX (SL_INFER_SLOTS_LANE * SL_LANES_MAX)
/* Each queued kernel takes about 30 us to run out after a stop on a CPU device, so all that are
 * queued are bounded; a launch has so many that each lane has one that runs and one behind it. */
#define SL_INFER_QUEUED_KERNELS 16u
#define SL_INFER_LAUNCHES_LANE 2u
/* To enqueue a full launch takes the host 100 us and more, time of the very core on which a CPU
 * device's first kernel, or another device's halt, waits for its turn. So the first one is short
 * and alone, and the rest is enqueued when it has ended. */
#define SL_INFER_OPENING_KERNELS 2u

struct sl_infer {
    struct sl_executor base;
    const struct sl_model_set *set;
    uint32_t launch_ms;
    uint32_t batch_tokens; /* what a micro-batch aims at */
    struct sl_infer_engine engine;
    struct sl_infer_queue queue;
    uint32_t slot_count;
    struct sl_infer_batch slots[SL_INFER_SLOTS_MAX];
    struct sl_infer_batch *line_up[SL_INFER_SLOTS_MAX]; /* used slots, oldest first */
    uint32_t line_up_count;
    uint32_t launches_queued, kernels_queued;
    struct sl_infer_times times; /* of the launches in each lane */
    bool recover;                /* something may have been cut: look before anything is enqueued */
    bool opens;                  /* the mode begins: its first launch is to be short */
    bool synthetic;
    bool work_asked;
    uint64_t epoch;
    double ns_per_cost; /* device time of one unit of sl_infer_step_cost */
    struct sl_infer_rate rates[SL_DEVICE_MODELS_MAX];
    uint64_t tokens_total, lines_total, repeats_total;
    uint32_t canaries; /* re-tests done */
    /* Made-up work: ids to take texts from, the model, and where the first vector goes. */
    int32_t *made_up; /* [batch_tokens] */
    uint32_t synthetic_model;
    bool synthetic_alone;      /* the known-answer line only */
    uint32_t synthetic_length; /* tokens of every text; 0: the known answer and several */
    float *synthetic_vector;   /* [width_cap] of the first line; NULL: not wanted */
    uint32_t synthetic_done;   /* micro-batches */
};

/* The vtable's enqueue and complete (executor.h). */
int sl_infer_enqueue(struct sl_infer *x, struct sl_launch *ret_launch, struct sl_error *err);
int sl_infer_complete(struct sl_infer *x, const struct sl_launch *launch, struct sl_error *err);
/* Is any line of any micro-batch still wanted? */
bool sl_infer_wanted(const struct sl_infer *x);
/* With nothing queued: frees micro-batches of which no line is wanted. While something may have
 * been cut it frees all or none, since one that ran may have overwritten what another left behind.
 */
void sl_infer_discard(struct sl_infer *x);

/* Warms up every kernel, checks the known answer of every model alone and in company, and measures
 * each model's rate for at least a second unless an earlier start did. */
int sl_infer_prepare(struct sl_infer *x, struct sl_error *err);
/* The known answer of one model, in turn; nothing is queued. -SL_AGAIN: a micro-batch is half done.
 * Rates and totals stay as they are. */
int sl_infer_canary(struct sl_infer *x, struct sl_error *err);

#endif
