/* SPDX-License-Identifier: Apache-2.0
 * What a batch's lines are like, and how fast a device works them off: the bridge from the rates
 * that agents measure by length of text to what the market values (schedulers/throughput.h).
 *
 * Before a line is done only its bound is known, in tokens by the bytes of its texts. Bounds are
 * scaled by what was really seen of the batch, else of the site, else by a usual word's length; so
 * the mix is an estimate that becomes right as results come. Thread: the loop's. */
#ifndef SLUICE_BROKER_CORE_THROUGHPUT_H
#define SLUICE_BROKER_CORE_THROUGHPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "schedulers/throughput.h"

struct sl_broker_core;
struct sl_core_batch;
struct sl_core_model;
struct sl_core_report;
struct sl_msg_result_line;

/* Bounds of the lines that are not done, by size: four bins an octave. */
#define SL_CORE_BOUND_BINS 128

struct sl_core_lengths {
    int64_t bound[SL_CORE_BOUND_BINS]; /* sum */
    uint32_t lines[SL_CORE_BOUND_BINS];
    uint64_t seen_lines, seen_inputs; /* of results since this process began */
    bool changed;                     /* since `mix` was made */
    struct sl_length_mix mix;
};

/* A line with this bound waits (1), or is done (-1). */
void sl_core_lengths_line(struct sl_core_batch *batch, uint32_t bound, int change);
/* A result was accepted for a line of the batch. */
void sl_core_lengths_seen(struct sl_broker_core *core, struct sl_core_batch *batch,
                          const struct sl_msg_result_line *line);
/* Makes the mix anew where something changed: once a tick. */
void sl_core_lengths_refresh(const struct sl_broker_core *core, struct sl_core_batch *batch);

/* NULL when the device does not have it. */
const struct sl_core_model *sl_core_model_of(const struct sl_core_report *report,
                                             const char *model);
/* tokens/s x 1000 of a device on what is left of a batch; 0: it does not have the model, or nothing
 * was measured. */
int64_t sl_core_rate_milli(const struct sl_core_report *report, const struct sl_core_batch *batch);
/* How much better another batch must pay before a device leaves its own for it: rates by length are
 * estimates, and two that are worth the same must not take turns. 0 where no lengths are known. */
int64_t sl_core_rate_margin(const struct sl_core_report *report, const struct sl_core_batch *batch,
                            int64_t value);

#endif
