/* SPDX-License-Identifier: Apache-2.0
 * One micro-batch on its way through a device: its input and results, how far it has been enqueued,
 * and from where it goes on after it was cut by the stop word.
 *
 * Host sides of input and results are pinned (mapped for good), so that transfers are asynchronous
 * and need no memory. Thread: the device's. */
#ifndef SLUICE_AGENT_EXECUTORS_INFER_BATCH_H
#define SLUICE_AGENT_EXECUTORS_INFER_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/executors/infer_engine.h"
#include "agent/executors/infer_queue.h"
#include "proto/base/error.h"

struct sl_infer_batch {
    struct sl_infer_shape shape;
    struct sl_infer_pick *picks; /* [lines_cap] */
    uint32_t lines_cap, words_cap;
    cl_mem words_pinned, counts_pinned, vectors_pinned;
    uint32_t *words;  /* what is uploaded to shape.work */
    uint32_t *counts; /* counters read back */
    float *vectors;   /* [lines][n_embd] read back */
    bool used;
    bool uploaded;
    bool repeated; /* was cut at least once: no good for timing */
    bool fetched;  /* the read-back is enqueued: nothing is left to enqueue */
    uint32_t steps;
    uint32_t next_step, next_group; /* first work-group that is not enqueued */
    uint32_t strikes;               /* came back incomplete without a stop */
    int64_t busy_ns;
};

int sl_infer_batch_open(struct sl_infer_engine *engine, uint32_t lines_cap,
                        struct sl_infer_batch *ret_batch, struct sl_error *err);
void sl_infer_batch_close(struct sl_infer_engine *engine, struct sl_infer_batch *batch);

/* Lays out picks[0..lines) (already in batch->picks) for a model and a lane. Their tokens fit
 * rows_cap. */
void sl_infer_batch_fill(const struct sl_infer_engine *engine, uint32_t model, uint32_t lane,
                         uint32_t lines, struct sl_infer_batch *batch);
uint64_t sl_infer_batch_cost(const struct sl_infer_batch *batch);

/* Enqueue without waiting. */
int sl_infer_batch_upload(struct sl_infer_engine *engine, struct sl_infer_batch *batch,
                          struct sl_error *err);
int sl_infer_batch_fetch(struct sl_infer_engine *engine, struct sl_infer_batch *batch,
                         cl_event *ret_event, struct sl_error *err);

/* After a fetch: did every work-group of every step run? */
bool sl_infer_batch_whole(const struct sl_infer_engine *engine, const struct sl_infer_batch *batch);

/* The rule of design 8, by itself: the first step whose count is short is where to go on, but if
 * anything behind it ran (in this micro-batch or a later one of its lane) its input may be
 * overwritten, so the micro-batch starts again. Returns the step, `steps` when all are whole.
 * counts and groups: [steps], groups of steps that were never enqueued count as not run. */
uint32_t sl_infer_resume_step(const uint32_t *counts, const uint32_t *groups, uint32_t steps,
                              bool later_ran);

/* With an empty queue: reads the counters back (waits). */
int sl_infer_batch_read_counts(struct sl_infer_engine *engine, struct sl_infer_batch *batch,
                               struct sl_error *err);
/* Sets next_step after a cut, from counters just read; repeats from the start unless it is the
 * oldest of its lane. Enqueues the clearing of the cut step's counter. */
int sl_infer_batch_rewind(struct sl_infer_engine *engine, struct sl_infer_batch *batch,
                          bool later_ran, bool oldest, struct sl_error *err);
/* Any counter above zero. */
bool sl_infer_batch_ran(const struct sl_infer_batch *batch);

#endif
