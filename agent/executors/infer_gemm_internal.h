/* SPDX-License-Identifier: Apache-2.0
 * What infer_gemm.c (running products), infer_gemm_tune.c (choosing how) and their tests and
 * benchmark share. */
#ifndef SLUICE_AGENT_EXECUTORS_INFER_GEMM_INTERNAL_H
#define SLUICE_AGENT_EXECUTORS_INFER_GEMM_INTERNAL_H

#include <stdbool.h>

#include "agent/executors/infer_gemm.h"

/* A kernel that can be compiled: its tile and the items of a work-group. */
struct sl_gemm_tile {
    uint32_t rows, columns; /* what one work-item (CPU) or work-group (GPU) has in hand at a time */
    uint32_t item_rows, item_columns; /* GPU: of one item */
    uint32_t rest_rows;    /* CPU: of the tile for what is left of the rows; divides rows */
    uint32_t steps;        /* CPU: of k laid out in a row; 1: a loop, which asks for A ahead */
    uint32_t sweep_floats; /* CPU: of A that all of B meets before the next rows */
};

/* The tiles that are worth trying on this device, best guess first. */
uint32_t sl_gemm_tiles(uint32_t vector, const struct sl_gemm_tile **ret_tiles);
/* All ways, best guess first; returns how many. Ways that the device has too little local memory
 * or too small work-groups for are left out. */
#define SL_GEMM_WAYS_MAX 8u
uint32_t sl_gemm_ways(const struct sl_gemm *gemm, enum sl_weight_type weights,
                      struct sl_gemm_way ret_ways[SL_GEMM_WAYS_MAX]);

/* A way as it is kept: by its tile's measures, since places in a table mean nothing later. No two
 * ways of a device and a type have the same. */
#define SL_GEMM_WAY_VALUES 4u
void sl_gemm_way_write(const struct sl_gemm *gemm, const struct sl_gemm_way *way,
                       uint32_t ret_values[SL_GEMM_WAY_VALUES]);
/* False: there is none such here. */
bool sl_gemm_way_read(const struct sl_gemm *gemm, enum sl_weight_type weights,
                      const uint32_t values[SL_GEMM_WAY_VALUES], struct sl_gemm_way *ret_way);

/* Compiles a kernel unless it is there. */
int sl_gemm_build(struct sl_gemm *gemm, enum sl_weight_type weights, uint32_t program,
                  struct sl_error *err);
/* Adds a shape without measuring: both row classes go this way. For tests and the benchmark. */
int sl_gemm_use_way(struct sl_gemm *gemm, enum sl_weight_type weights, uint32_t n, uint32_t k,
                    struct sl_gemm_way way, struct sl_error *err);
/* Measures; fills shape->few and ->many, and keeps them in cl->tuning. */
int sl_gemm_tune(struct sl_gemm *gemm, struct sl_gemm_shape *shape, struct sl_error *err);

const char *sl_gemm_source(const struct sl_gemm *gemm);

#endif
