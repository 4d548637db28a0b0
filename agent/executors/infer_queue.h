/* SPDX-License-Identifier: Apache-2.0
 * The units that wait for an inference device, and which of their lines make the next micro-batch.
 * No OpenCL here.
 *
 * Units are worked in the order in which they came. Inside a unit lines go by length, longest
 * first, and what is left of a micro-batch is filled with the shortest; a unit that does not fill
 * one is joined by the next unit of the same model. Batches are ragged (nothing is padded), so
 * lengths only matter for balance, never for results.
 *
 * Ownership: the queue owns units; a pick refers to one until sl_infer_queue_settle.
 * Thread: the device's. */
#ifndef SLUICE_AGENT_EXECUTORS_INFER_QUEUE_H
#define SLUICE_AGENT_EXECUTORS_INFER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/device/device.h"
#include "agent/executors/model_set.h"
#include "proto/base/error.h"

struct sl_infer_unit {
    struct sl_infer_unit *next;
    struct sl_device_unit *unit;
    uint32_t model;      /* index in the model set */
    uint32_t head, tail; /* order[head..tail) are not picked yet */
    uint32_t open;       /* good lines not settled yet */
    uint32_t held;       /* picked, not settled */
    bool dropped;
    uint32_t order[]; /* good lines, longest first */
};

/* One text of a micro-batch. unit is NULL for made-up work. */
struct sl_infer_pick {
    struct sl_infer_unit *unit;
    uint32_t line; /* index in the unit's lines */
    const int32_t *ids;
    uint32_t n_ids;
};

struct sl_infer_queue {
    struct sl_infer_unit *first, *last;
    uint64_t tokens_waiting; /* of lines not picked */
};

/* Ids in the vocabulary, 1..max_tokens of them. */
bool sl_infer_line_valid(const struct sl_model *model, const struct sl_unit_line *line);

/* Appends; the unit is the queue's on success and the caller's on failure. Lines that are not
 * valid are left out. ret_unit is not to be kept. -SL_NOMEM. */
int sl_infer_queue_add(struct sl_infer_queue *queue, struct sl_device_unit *unit,
                       const struct sl_model *model, uint32_t model_index,
                       struct sl_infer_unit **ret_unit, struct sl_error *err);

struct sl_infer_room {
    uint32_t tokens; /* aim; one longer line is taken alone */
    uint32_t lines;
};
/* Takes lines of one model off the queue. Returns how many (0: nothing waits). */
uint32_t sl_infer_queue_pick(struct sl_infer_queue *queue, struct sl_infer_room room,
                             struct sl_infer_pick *ret_picks, uint32_t *ret_model);

/* The line was reported, or its unit is dropped. True when that was the last line of a living
 * unit: it is done. */
bool sl_infer_queue_settle(struct sl_infer_queue *queue, const struct sl_infer_pick *pick);

/* Drops units: of one id (0: any), and of epochs below `epoch` (0: any). Lines in a micro-batch are
 * let go when they are settled. Returns how many units were dropped. */
uint32_t sl_infer_queue_drop(struct sl_infer_queue *queue, uint64_t unit_id, uint64_t epoch_below);
/* Frees units that are done or dropped and no longer in a micro-batch. */
void sl_infer_queue_reap(struct sl_infer_queue *queue);
void sl_infer_queue_fini(struct sl_infer_queue *queue);

#endif
