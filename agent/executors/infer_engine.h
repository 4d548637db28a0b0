/* SPDX-License-Identifier: Apache-2.0
 * The device's side of inference: programs, resident weights, activation buffers, and the list of
 * kernels ("steps") that take one micro-batch from token ids to vectors.
 *
 * Steps of a model with L layers: embed, L x (qkv, attention, out, norm, up, down, norm), pool. A
 * step may be enqueued in parts (ranges of its work-groups), in order. No kernel reads what it
 * writes, so a step can be repeated as long as none behind it has run; a later step may overwrite
 * an earlier one's input.
 *
 * A CPU device with several cores has two lanes, so that cores that find nothing left to do of one
 * micro-batch's kernel go on with the other's, instead of falling asleep while the driver closes a
 * kernel and opens the next: some 30 us for each kernel of one lane. A GPU has one: its
 * micro-batches are large, and its driver keeps the next kernel at hand.
 *
 * Thread: the device's. Memory is allocated when it is opened, never while work runs. */
#ifndef SLUICE_AGENT_EXECUTORS_INFER_ENGINE_H
#define SLUICE_AGENT_EXECUTORS_INFER_ENGINE_H

#include <stdint.h>

#include "agent/device/cl.h"
#include "agent/executors/executor.h"
#include "agent/executors/infer_gemm.h"
#include "agent/executors/model_set.h"
#include "proto/base/error.h"

#define SL_INFER_STEPS_PER_LAYER 7u

/* Types of token tables, by kernel. */
enum sl_embed_type {
    SL_EMBED_F32 = 0,
    SL_EMBED_F16,
    SL_EMBED_Q8_0,
    SL_EMBED_TYPES,
};
enum sl_embed_type sl_infer_embed_type(const struct sl_model *model);

struct sl_infer_attention {
    uint32_t head; /* width of a head: a constant inside the kernel */
    char options[64];
    cl_program program;
    cl_kernel kernel;
};

struct sl_infer_model {
    const struct sl_model *model;
    const struct sl_infer_attention *attention;
    cl_mem embed[SL_EMBED_TENSORS];
    cl_mem (*layers)[SL_LAYER_TENSORS]; /* [n_layer] */
};

/* How many lanes the engine has on this device. */
uint32_t sl_infer_lanes(const struct sl_cl *cl);

/* What micro-batches that run at the same time do not share: a queue, and activations
 * [rows_cap + padding][...], which serve all models. */
struct sl_infer_lane {
    cl_command_queue queue; /* in order; lane 0 has the device's own */
    cl_mem hidden, sum, qkv, mixed, wide;
};

struct sl_infer_engine {
    struct sl_cl *cl;
    struct sl_gemm gemm;
    cl_program rows_program;
    cl_kernel embed[SL_EMBED_TYPES], norm, pool;
    char rows_options[64];
    uint32_t attention_count;
    struct sl_infer_attention attention[SL_DEVICE_MODELS_MAX];
    uint32_t model_count;
    struct sl_infer_model models[SL_DEVICE_MODELS_MAX];
    bool tiled;           /* GPU variants */
    uint32_t query_block; /* queries of one attention work-group */
    uint32_t rows_cap;    /* most tokens of a micro-batch */
    uint32_t steps_cap;   /* of the deepest model */
    uint32_t width_cap;   /* n_embd of the widest model */
    uint32_t lane_count;
    struct sl_infer_lane lanes[SL_LANES_MAX];
};

/* One micro-batch as the kernels see it. `work` holds 32-bit words: counters, one a step; ids and
 * positions, one a row; spans, two a line (first row, rows); tasks, three each (first row of the
 * line, its length, first query), one per query block of each line. */
struct sl_infer_shape {
    const struct sl_infer_model *model;
    uint32_t rows, lines, tasks;
    uint64_t pairs; /* sum of squared lengths: what attention costs */
    uint32_t lane;
    cl_mem work;
    cl_mem out; /* [lines][n_embd] */
};

/* Builds, uploads the weights of every model of the set, allocates. rows_cap is raised to the
 * longest line that any model takes. -SL_UNSUPPORTED for heads wider than 256. The engine holds
 * pointers into itself: it stays where it was opened; on failure it is zeroed. */
int sl_infer_engine_open(struct sl_cl *cl, const struct sl_model_set *set, uint32_t rows_cap,
                         struct sl_infer_engine *ret_engine, struct sl_error *err);
void sl_infer_engine_close(struct sl_infer_engine *engine); /* accepts a zeroed struct */
/* Stores the programs again, now that drivers have specialised them (after the first launches). */
void sl_infer_engine_save(struct sl_infer_engine *engine);

uint32_t sl_infer_steps(const struct sl_model *model);
/* Words of `work` up to ids, positions, spans, tasks, end. */
struct sl_infer_offsets {
    uint32_t ids, positions, spans, tasks, end;
};
struct sl_infer_offsets sl_infer_offsets(const struct sl_infer_shape *shape);

/* Work-groups of a step, and its cost in multiply-adds or what takes as long. */
uint32_t sl_infer_step_groups(const struct sl_infer_engine *engine,
                              const struct sl_infer_shape *shape, uint32_t step);
uint64_t sl_infer_step_cost(const struct sl_infer_shape *shape, uint32_t step);
/* Groups [first, first + count) of a step. */
struct sl_infer_part {
    uint32_t step, first, count;
};
/* ret_event may be NULL. */
int sl_infer_step_enqueue(struct sl_infer_engine *engine, const struct sl_infer_shape *shape,
                          struct sl_infer_part part, cl_event *ret_event, struct sl_error *err);

#endif
