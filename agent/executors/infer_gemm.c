/* SPDX-License-Identifier: Apache-2.0
 * Matrix products: kernels, how rows are split into work-groups, launches. */
#include "agent/executors/infer_gemm.h"

#include <stdio.h>

#include "agent/executors/infer_args.h"
#include "agent/executors/infer_gemm_internal.h"
#include "agent/kernels/kernels.h"

#define CPU_GROUPS_PER_UNIT 8u
/* Row blocks of one CPU work-group: this many floats of A, about 10 us of one core. Shorter groups
 * cost counting, longer ones delay a stop and leave cores idle at a kernel's end. */
#define CPU_BLOCK_FLOATS 18432u
/* A first cache has 64 sets of lines of 16 floats. */
#define CACHE_FLOATS 1024u
#define LINE_FLOATS 16u

/* Half a megabyte of A stays in a second cache of one beside what else goes through it, a megabyte
 * in one of two. */
#define SWEEP_FLOATS 131072u
#define WIDE_SWEEP_FLOATS 262144u

/* 32 registers of 16 floats hold 12 rows x 2 vectors, or 24 x 1, which converts stored weights half
 * as often but reads more rows of A; 16 registers hold 6 x 2, or 12 x 1. The rest of a block's rows
 * goes in tiles just large enough to keep the multipliers busy (and, where weights are converted,
 * to do that rarely).
 *
 * 8 steps of k in a row are for cores on which counting and asking for A ahead cost more than they
 * save (docs/benchmarks.md): with 14 x 2 on Intel's server line with AMX, 11 to 18 %, and with
 * 6 x 2, where they come with every twelve products in place of every 24, on Zen 3, 7 to 33 %. */
#define CPU_TILE(rows, columns, rest)                                                              \
    { rows, columns, 0, 0, rest, 1, SWEEP_FLOATS }
static const struct sl_gemm_tile TILES_16[] = {
    CPU_TILE(12, 32, 4), {14, 32, 0, 0, 7, 8, WIDE_SWEEP_FLOATS}, CPU_TILE(24, 16, 8)};
static const struct sl_gemm_tile TILES_8[] = {
    CPU_TILE(6, 16, 6), {6, 16, 0, 0, 6, 8, SWEEP_FLOATS}, CPU_TILE(12, 8, 6)};
static const struct sl_gemm_tile TILES_4[] = {CPU_TILE(6, 8, 6), CPU_TILE(12, 4, 6)};
/* Larger tiles read less, smaller ones fill a GPU with fewer rows. */
static const struct sl_gemm_tile TILES_GPU[] = {{64, 64, 4, 4, 0, 0, 0},
                                                {128, 64, 8, 4, 0, 0, 0},
                                                {128, 128, 8, 8, 0, 0, 0},
                                                {32, 64, 4, 4, 0, 0, 0}};

uint32_t sl_gemm_tiles(uint32_t vector, const struct sl_gemm_tile **ret_tiles) {
#define TAKE(tiles) (*ret_tiles = (tiles), (uint32_t)(sizeof(tiles) / sizeof(*(tiles))))
    switch (vector) {
    case 16:
        return TAKE(TILES_16);
    case 8:
        return TAKE(TILES_8);
    case 4:
        return TAKE(TILES_4);
    default:
        return TAKE(TILES_GPU);
    }
#undef TAKE
}

uint32_t sl_infer_vector_width(const struct sl_cl *cl) {
    if (!cl->is_cpu || cl->force_gpu_kernels) {
        return 1;
    }
    if (cl->vector_width_float >= 16) {
        return 16;
    }
    return cl->vector_width_float >= 8 ? 8 : 4;
}

uint32_t sl_gemm_stride(uint32_t width) {
    return width % CACHE_FLOATS == 0 ? width + LINE_FLOATS : width;
}

const char *sl_gemm_source(const struct sl_gemm *gemm) {
    return gemm->vector == 1 ? sl_kernel_gemm_f32_gpu : sl_kernel_gemm_f32_cpu;
}

static const char *program_name(const struct sl_gemm *gemm) {
    return gemm->vector == 1 ? "gemm_f32_gpu" : "gemm_f32_cpu";
}

static const struct sl_gemm_tile *tile_at(const struct sl_gemm *gemm, uint32_t program) {
    const struct sl_gemm_tile *tiles = NULL;
    sl_gemm_tiles(gemm->vector, &tiles);
    return &tiles[program];
}

static uint32_t tile_items(const struct sl_gemm *gemm, const struct sl_gemm_tile *tile) {
    return gemm->vector == 1 ? tile->rows / tile->item_rows * (tile->columns / tile->item_columns)
                             : 1;
}

int sl_gemm_open(struct sl_cl *cl, struct sl_gemm *ret_gemm, struct sl_error *err) {
    (void)err;
    *ret_gemm = (struct sl_gemm){.cl = cl, .vector = sl_infer_vector_width(cl)};
    return SL_OK;
}

/* Floats need no converting, so a narrow tile is never faster for them; stored weights are
 * converted a step at a time. */
static bool suits(const struct sl_gemm *gemm, const struct sl_gemm_tile *tile,
                  enum sl_weight_type weights) {
    if (gemm->vector == 1) {
        size_t local = (size_t)16 * sizeof(float) * (tile->rows + 4 + tile->columns);
        return tile_items(gemm, tile) <= gemm->cl->work_group_max && local <= gemm->cl->local_bytes;
    }
    return weights == SL_WEIGHT_F32 ? tile->columns > gemm->vector : tile->steps == 1;
}

uint32_t sl_gemm_ways(const struct sl_gemm *gemm, enum sl_weight_type weights,
                      struct sl_gemm_way ret_ways[SL_GEMM_WAYS_MAX]) {
    const struct sl_gemm_tile *tiles = NULL;
    uint32_t tile_count = sl_gemm_tiles(gemm->vector, &tiles), count = 0;
    for (uint32_t i = 0; i < tile_count; i++) {
        if (suits(gemm, &tiles[i], weights)) {
            ret_ways[count++] = (struct sl_gemm_way){i, CPU_BLOCK_FLOATS};
        }
    }
    return count;
}

int sl_gemm_build(struct sl_gemm *gemm, enum sl_weight_type weights, uint32_t program,
                  struct sl_error *err) {
    struct sl_gemm_program *p = &gemm->built[weights][program];
    const struct sl_gemm_tile *tile = tile_at(gemm, program);
    if (p->kernel) {
        return SL_OK;
    }
    if (gemm->vector == 1) {
        snprintf(p->options, sizeof p->options,
                 "-DVW=1 -DWEIGHTS=%u -DTILE_M=%u -DTILE_N=%u -DITEM_M=%u -DITEM_N=%u",
                 (unsigned)weights, tile->rows, tile->columns, tile->item_rows, tile->item_columns);
    } else {
        snprintf(p->options, sizeof p->options,
                 "-DVW=%u -DWEIGHTS=%u -DTILE_ROWS=%u -DREST_ROWS=%u -DTILE_VECS=%u "
                 "-DSTEPS=%u -DSWEEP_FLOATS=%uu -DSTOP_SINGLE",
                 gemm->vector, (unsigned)weights, tile->rows, tile->rest_rows,
                 tile->columns / gemm->vector, tile->steps, tile->sweep_floats);
    }
    int rc = sl_cl_program(gemm->cl, program_name(gemm), sl_gemm_source(gemm), p->options,
                           &p->program, err);
    if (rc == SL_OK) {
        rc = sl_infer_kernel(gemm->cl, p->program, "gemm", &p->kernel, err);
    }
    return rc;
}

static struct sl_gemm_shape *find_shape(const struct sl_gemm *gemm, enum sl_weight_type weights,
                                        uint32_t n, uint32_t k) {
    for (uint32_t i = 0; i < gemm->shape_count; i++) {
        const struct sl_gemm_shape *s = &gemm->shapes[i];
        if (s->weights == weights && s->n == n && s->k == k) {
            return (struct sl_gemm_shape *)(uintptr_t)s;
        }
    }
    return NULL;
}

static int add_shape(struct sl_gemm *gemm, struct sl_gemm_shape shape,
                     struct sl_gemm_shape **ret_shape, struct sl_error *err) {
    if (shape.weights <= SL_WEIGHT_INVALID || shape.weights >= SL_WEIGHT_TYPES || shape.n == 0 ||
        shape.k == 0 || sl_gemm_row_bytes(shape.weights, shape.k) == 0) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "a product of %u x %u with weights of type %u; Q8_0 needs a width that is a "
                       "multiple of 32",
                       shape.n, shape.k, (unsigned)shape.weights);
    }
    if (gemm->shape_count == SL_GEMM_SHAPES_MAX) {
        return sl_fail(err, SL_LIMIT,
                       "more than %u kinds of products on one device; offer fewer "
                       "models",
                       SL_GEMM_SHAPES_MAX);
    }
    *ret_shape = &gemm->shapes[gemm->shape_count++];
    **ret_shape = shape;
    return SL_OK;
}

int sl_gemm_use_way(struct sl_gemm *gemm, enum sl_weight_type weights, uint32_t n, uint32_t k,
                    struct sl_gemm_way way, struct sl_error *err) {
    struct sl_gemm_shape *shape = find_shape(gemm, weights, n, k);
    int rc = shape ? SL_OK
                   : add_shape(gemm, (struct sl_gemm_shape){weights, n, k, way, way}, &shape, err);
    if (rc == SL_OK) {
        sl_assert(shape);
        shape->few = shape->many = way;
        rc = sl_gemm_build(gemm, weights, way.program, err);
    }
    return rc;
}

int sl_gemm_use(struct sl_gemm *gemm, enum sl_weight_type weights, uint32_t n, uint32_t k,
                struct sl_error *err) {
    if (find_shape(gemm, weights, n, k)) {
        return SL_OK;
    }
    struct sl_gemm_shape *shape = NULL;
    int rc =
        add_shape(gemm, (struct sl_gemm_shape){.weights = weights, .n = n, .k = k}, &shape, err);
    if (rc != SL_OK) {
        return rc;
    }
    sl_assert(shape);
    rc = sl_gemm_tune(gemm, shape, err);
    rc = rc == SL_OK ? sl_gemm_build(gemm, weights, shape->few.program, err) : rc;
    return rc == SL_OK ? sl_gemm_build(gemm, weights, shape->many.program, err) : rc;
}

void sl_gemm_save(struct sl_gemm *gemm) {
    for (size_t t = 1; t < SL_WEIGHT_TYPES; t++) {
        for (size_t i = 0; i < SL_GEMM_PROGRAMS_MAX; i++) {
            struct sl_gemm_program *p = &gemm->built[t][i];
            if (p->program) {
                sl_cl_program_save(gemm->cl, program_name(gemm), sl_gemm_source(gemm), p->options,
                                   p->program);
            }
        }
    }
}

void sl_gemm_close(struct sl_gemm *gemm) {
    for (size_t t = 1; t < SL_WEIGHT_TYPES; t++) {
        for (size_t i = 0; i < SL_GEMM_PROGRAMS_MAX; i++) {
            if (gemm->built[t][i].kernel) {
                clReleaseKernel(gemm->built[t][i].kernel);
            }
            if (gemm->built[t][i].program) {
                clReleaseProgram(gemm->built[t][i].program);
            }
        }
    }
    *gemm = (struct sl_gemm){0};
}

static uint32_t divide_up(uint32_t a, uint32_t b) {
    return (a + b - 1) / b;
}

/* How a call is cut up. */
struct cut {
    const struct sl_gemm_program *program;
    uint32_t items, rows, block_rows, groups;
};

/* Row blocks of a CPU work-group are a multiple of the tile, short enough that every core gets
 * several groups. */
static uint32_t cpu_block_rows(const struct sl_gemm *gemm, const struct sl_gemm_call *call,
                               const struct sl_gemm_way *way, uint32_t tile_rows) {
    uint32_t tiles = way->block_floats / call->k / tile_rows;
    uint32_t wanted = CPU_GROUPS_PER_UNIT * gemm->cl->compute_units;
    uint32_t most = divide_up(call->rows, tile_rows) * divide_up(call->n, SL_GEMM_PANEL) / wanted;
    tiles = tiles > most ? most : tiles;
    return tiles > 1 ? tiles * tile_rows : tile_rows;
}

static bool cut_up(const struct sl_gemm *gemm, const struct sl_gemm_call *call,
                   struct cut *ret_cut) {
    const struct sl_gemm_shape *shape = find_shape(gemm, call->weights, call->n, call->k);
    if (!shape) {
        return false;
    }
    const struct sl_gemm_way *way = call->rows < SL_GEMM_FEW_ROWS ? &shape->few : &shape->many;
    const struct sl_gemm_tile *tile = tile_at(gemm, way->program);
    bool gpu = gemm->vector == 1;
    ret_cut->program = &gemm->built[call->weights][way->program];
    ret_cut->items = tile_items(gemm, tile);
    ret_cut->rows = gpu ? call->rows : divide_up(call->rows, tile->rest_rows) * tile->rest_rows;
    ret_cut->block_rows = gpu ? tile->rows : cpu_block_rows(gemm, call, way, tile->rows);
    ret_cut->groups = divide_up(call->n, gpu ? tile->columns : SL_GEMM_PANEL) *
                      divide_up(call->rows, ret_cut->block_rows);
    return true;
}

uint32_t sl_gemm_groups(const struct sl_gemm *gemm, const struct sl_gemm_call *call) {
    struct cut cut;
    return cut_up(gemm, call, &cut) ? cut.groups : 0;
}

int sl_gemm_enqueue(struct sl_gemm *gemm, const struct sl_gemm_call *call,
                    const struct sl_infer_span *span, cl_event *ret_event, struct sl_error *err) {
    struct cut cut;
    if (!cut_up(gemm, call, &cut)) {
        return sl_fail(err, SL_INVALID, "a product of %u x %u that was not prepared", call->n,
                       call->k);
    }
    struct sl_infer_args args = sl_infer_args_begin(gemm->cl, cut.program->kernel, span);
    sl_infer_args_mem(&args, call->a);
    sl_infer_args_mem(&args, call->b);
    sl_infer_args_mem(&args, call->bias);
    sl_infer_args_mem(&args, call->residual);
    sl_infer_args_mem(&args, call->c);
    sl_infer_args_u32(&args, cut.rows);
    sl_infer_args_u32(&args, call->n);
    sl_infer_args_u32(&args, call->k);
    sl_infer_args_u32(&args, call->a_stride ? call->a_stride : call->k);
    sl_infer_args_u32(&args, call->c_stride ? call->c_stride : call->n);
    sl_infer_args_u32(&args, cut.block_rows);
    sl_infer_args_u32(&args, call->epilogue);
    return sl_infer_args_launch(&args, cut.items, "gemm", ret_event, err);
}
