/* SPDX-License-Identifier: Apache-2.0
 * The choice between ways to compute a product: a few launches of each on zeros, the fastest of
 * them counts. Results do not depend on it (infer_gemm.h), so a wrong choice costs speed only. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/executors/infer_gemm_internal.h"
#include "proto/base/clock.h"

#define FEW_ROWS 32u
#define MANY_ROWS_CPU 504u /* a micro-batch of a CPU device; a multiple of every tile */
#define MANY_ROWS_GPU 4096u
#define MANY_ROWS_FORCED 128u /* GPU kernels on a CPU device are for tests */
#define ROUNDS 3u
#define QUEUED 3u                             /* launches in one wait, as when work is on */
#define TUNED_VALUES (2 * SL_GEMM_WAY_VALUES) /* for few rows, for many */

static const char *const TYPE_NAMES[SL_WEIGHT_TYPES] = {"", "f32", "f16", "q8-0"};

static void task_name(const struct sl_gemm *gemm, const struct sl_gemm_shape *s,
                      char name[SL_TUNING_TASK_MAX]) {
    snprintf(name, SL_TUNING_TASK_MAX, "gemm-v%u-%s-n%u-k%u", gemm->vector, TYPE_NAMES[s->weights],
             s->n, s->k);
}

void sl_gemm_way_write(const struct sl_gemm *gemm, const struct sl_gemm_way *way,
                       uint32_t ret_values[SL_GEMM_WAY_VALUES]) {
    const struct sl_gemm_tile *tiles = NULL;
    sl_gemm_tiles(gemm->vector, &tiles);
    ret_values[0] = tiles[way->program].rows;
    ret_values[1] = tiles[way->program].columns;
    ret_values[2] = tiles[way->program].steps;
    ret_values[3] = way->block_floats;
}

bool sl_gemm_way_read(const struct sl_gemm *gemm, enum sl_weight_type weights,
                      const uint32_t values[SL_GEMM_WAY_VALUES], struct sl_gemm_way *ret_way) {
    struct sl_gemm_way ways[SL_GEMM_WAYS_MAX];
    uint32_t count = sl_gemm_ways(gemm, weights, ways);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t want[SL_GEMM_WAY_VALUES];
        sl_gemm_way_write(gemm, &ways[i], want);
        if (memcmp(want, values, sizeof want) == 0) {
            *ret_way = ways[i];
            return true;
        }
    }
    return false;
}

static bool recall(const struct sl_gemm *gemm, struct sl_gemm_shape *shape) {
    char name[SL_TUNING_TASK_MAX];
    struct sl_tuned kept;
    task_name(gemm, shape, name);
    return sl_tuning_find(gemm->cl->tuning, name, sl_gemm_source(gemm), &kept) &&
           kept.count == TUNED_VALUES &&
           sl_gemm_way_read(gemm, shape->weights, kept.values, &shape->few) &&
           sl_gemm_way_read(gemm, shape->weights, kept.values + SL_GEMM_WAY_VALUES, &shape->many);
}

static void keep(const struct sl_gemm *gemm, const struct sl_gemm_shape *shape,
                 uint64_t flops_per_us) {
    char name[SL_TUNING_TASK_MAX];
    struct sl_tuned tuned = {.figure = flops_per_us, .count = TUNED_VALUES};
    task_name(gemm, shape, name);
    sl_gemm_way_write(gemm, &shape->few, tuned.values);
    sl_gemm_way_write(gemm, &shape->many, tuned.values + SL_GEMM_WAY_VALUES);
    /* No room: it is measured again at the next start. */
    (void)sl_tuning_put(gemm->cl->tuning, name, sl_gemm_source(gemm), &tuned);
}

/* Scratch of one shape: everything is zero, which is as fast as any other number. */
struct scratch {
    struct sl_gemm_call call;
    cl_mem counters;
};

static int scratch_open(struct sl_gemm *gemm, const struct sl_gemm_shape *s, uint32_t rows,
                        struct scratch *ret_scratch, struct sl_error *err) {
    struct scratch x = {
        .call = {
            .rows = rows, .n = s->n, .k = s->k, .epilogue = SL_GEMM_BIAS, .weights = s->weights}};
    size_t row_cap = rows + SL_GEMM_ROWS_PAD;
    const struct {
        cl_mem *mem;
        size_t bytes;
    } all[] = {{&x.call.a, row_cap * s->k * sizeof(float)},
               {&x.call.b, sl_gemm_packed_bytes(s->weights, s->n, s->k)},
               {&x.call.bias, sl_gemm_padded(s->n) * sizeof(float)},
               {&x.call.c, row_cap * s->n * sizeof(float)},
               {&x.counters, sizeof(uint32_t)}};
    int rc = SL_OK;
    for (size_t i = 0; rc == SL_OK && i < sizeof all / sizeof *all; i++) {
        rc = sl_cl_buffer(gemm->cl, all[i].bytes, CL_MEM_READ_WRITE, all[i].mem, err);
    }
    x.call.residual = x.call.c;
    *ret_scratch = x;
    return rc;
}

static void scratch_close(struct scratch *x) {
    cl_mem all[] = {x->call.a, x->call.b, x->call.bias, x->call.c, x->counters};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i]) {
            clReleaseMemObject(all[i]);
        }
    }
}

/* Time of QUEUED launches with the device to itself. */
static int run(struct sl_gemm *gemm, struct scratch *x, int64_t *ret_ns, struct sl_error *err) {
    struct sl_infer_span span = {x->counters, 0, 0, sl_gemm_groups(gemm, &x->call), NULL};
    int64_t begin = sl_clock_mono().ns;
    int rc = SL_OK;
    for (uint32_t i = 0; rc == SL_OK && i < QUEUED; i++) {
        rc = sl_gemm_enqueue(gemm, &x->call, &span, NULL, err);
    }
    cl_int code = clFinish(gemm->cl->queue);
    *ret_ns = sl_clock_mono().ns - begin;
    return rc == SL_OK && code != CL_SUCCESS ? sl_cl_fail(err, code, "tuning of products") : rc;
}

/* The fastest way for `rows` rows. Rounds go through all ways in turn, so that a disturbance does
 * not fall on one of them. */
static int fastest(struct sl_gemm *gemm, struct sl_gemm_shape *shape, uint32_t rows,
                   struct sl_gemm_way *ret_way, int64_t *ret_ns, struct sl_error *err) {
    struct sl_gemm_way ways[SL_GEMM_WAYS_MAX];
    int64_t best_ns[SL_GEMM_WAYS_MAX];
    uint32_t count = sl_gemm_ways(gemm, shape->weights, ways), best = 0;
    struct scratch x = {0};
    int rc = scratch_open(gemm, shape, rows, &x, err);
    for (uint32_t round = 0; rc == SL_OK && round < 1 + ROUNDS; round++) {
        for (uint32_t i = 0; rc == SL_OK && i < count; i++) {
            int64_t ns = 0;
            shape->few = shape->many = ways[i];
            rc = sl_gemm_build(gemm, shape->weights, ways[i].program, err);
            rc = rc == SL_OK ? run(gemm, &x, &ns, err) : rc;
            best_ns[i] = round <= 1 || ns < best_ns[i] ? ns : best_ns[i]; /* the first warms up */
        }
    }
    for (uint32_t i = 1; rc == SL_OK && i < count; i++) {
        best = best_ns[i] < best_ns[best] ? i : best;
    }
    if (rc == SL_OK) {
        *ret_way = ways[best];
        *ret_ns = best_ns[best] / QUEUED;
    }
    scratch_close(&x);
    return rc;
}

int sl_gemm_tune(struct sl_gemm *gemm, struct sl_gemm_shape *shape, struct sl_error *err) {
    struct sl_gemm_way ways[SL_GEMM_WAYS_MAX], few = {0}, many = {0};
    uint32_t count = sl_gemm_ways(gemm, shape->weights, ways);
    if (count == 0) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "the device has too little local memory (%" PRIu64 " bytes) or too small "
                       "work-groups (%zu) for matrix products",
                       gemm->cl->local_bytes, gemm->cl->work_group_max);
    }
    if (count == 1 || !gemm->cl->tuning) { /* nothing to choose, or nowhere to keep it */
        shape->few = shape->many = ways[0];
        return SL_OK;
    }
    if (recall(gemm, shape)) {
        return SL_OK;
    }
    uint32_t rows = !gemm->cl->is_cpu  ? MANY_ROWS_GPU
                    : gemm->vector > 1 ? MANY_ROWS_CPU
                                       : MANY_ROWS_FORCED;
    int64_t ns = 0;
    int rc = fastest(gemm, shape, FEW_ROWS, &few, &ns, err);
    rc = rc == SL_OK ? fastest(gemm, shape, rows, &many, &ns, err) : rc;
    shape->few = few;
    shape->many = many;
    if (rc == SL_OK) {
        uint64_t flops = (uint64_t)2 * rows * shape->n * shape->k;
        keep(gemm, shape, flops * 1000 / (uint64_t)(ns > 0 ? ns : 1));
    }
    return rc;
}
