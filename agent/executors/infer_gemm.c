/* SPDX-License-Identifier: Apache-2.0
 * Matrix products: which variant, how rows are split into work-groups, packing of B. */
#include "agent/executors/infer_gemm.h"

#include <stdio.h>

#include "agent/executors/infer_args.h"
#include "agent/kernels/kernels.h"

#define GPU_TILE 64u
#define GPU_ITEMS 256u
/* Row blocks of one CPU work-group: this many floats of A, about 15 us of one core. Shorter groups
 * cost counting, longer ones delay a stop and leave cores idle at a kernel's end. */
#define CPU_BLOCK_FLOATS 36864u
#define CPU_GROUPS_PER_UNIT 8u

uint32_t sl_gemm_padded(uint32_t n) {
    return (n + SL_GEMM_PANEL - 1) / SL_GEMM_PANEL * SL_GEMM_PANEL;
}

size_t sl_gemm_packed_floats(uint32_t n, uint32_t k) {
    return (size_t)sl_gemm_padded(n) * k;
}

void sl_gemm_pack(const float *w, uint32_t n, uint32_t k, uint32_t column0, float *packed) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t column = column0 + i;
        float *out =
            packed + (size_t)(column / SL_GEMM_PANEL) * k * SL_GEMM_PANEL + column % SL_GEMM_PANEL;
        for (uint32_t j = 0; j < k; j++) {
            out[(size_t)j * SL_GEMM_PANEL] = w[(size_t)i * k + j];
        }
    }
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

int sl_gemm_open(struct sl_cl *cl, struct sl_gemm *ret_gemm, struct sl_error *err) {
    struct sl_gemm gemm = {.cl = cl};
    uint32_t width = sl_infer_vector_width(cl);
    gemm.tiled = width == 1;
    gemm.tile_rows = gemm.tiled ? GPU_TILE : width == 16 ? 12 : 6;
    snprintf(gemm.options, sizeof gemm.options, "-DVW=%u%s", width,
             gemm.tiled ? "" : " -DSTOP_SINGLE");
    int rc = sl_cl_program(cl, gemm.tiled ? "gemm_f32_gpu" : "gemm_f32_cpu",
                           gemm.tiled ? sl_kernel_gemm_f32_gpu : sl_kernel_gemm_f32_cpu,
                           gemm.options, &gemm.program, err);
    if (rc < 0) {
        return rc;
    }
    rc = sl_infer_kernel(cl, gemm.program, "gemm", &gemm.kernel, err);
    if (rc < 0) {
        clReleaseProgram(gemm.program);
        return rc;
    }
    *ret_gemm = gemm;
    return SL_OK;
}

void sl_gemm_close(struct sl_gemm *gemm) {
    if (gemm->kernel) {
        clReleaseKernel(gemm->kernel);
    }
    if (gemm->program) {
        clReleaseProgram(gemm->program);
    }
    *gemm = (struct sl_gemm){0};
}

static uint32_t divide_up(uint32_t a, uint32_t b) {
    return (a + b - 1) / b;
}

/* A multiple of the tile: short enough that every core gets several groups. */
static uint32_t block_rows(const struct sl_gemm *gemm, uint32_t rows, uint32_t n, uint32_t k) {
    uint32_t tile = gemm->tile_rows;
    if (gemm->tiled) {
        return tile;
    }
    uint32_t tiles = CPU_BLOCK_FLOATS / k / tile;
    uint32_t wanted = CPU_GROUPS_PER_UNIT * gemm->cl->compute_units;
    uint32_t most = divide_up(rows, tile) * divide_up(n, SL_GEMM_PANEL) / wanted;
    tiles = tiles > most ? most : tiles;
    return tiles > 1 ? tiles * tile : tile;
}

uint32_t sl_gemm_groups(const struct sl_gemm *gemm, uint32_t rows, uint32_t n, uint32_t k) {
    uint32_t columns = gemm->tiled ? GPU_TILE : SL_GEMM_PANEL;
    return divide_up(n, columns) * divide_up(rows, block_rows(gemm, rows, n, k));
}

int sl_gemm_enqueue(struct sl_gemm *gemm, const struct sl_gemm_call *call,
                    const struct sl_infer_span *span, cl_event *ret_event, struct sl_error *err) {
    struct sl_infer_args args = sl_infer_args_begin(gemm->cl, gemm->kernel, span);
    uint32_t rows = call->rows;
    if (!gemm->tiled) { /* the CPU kernel makes whole tiles */
        rows = divide_up(rows, gemm->tile_rows) * gemm->tile_rows;
    }
    sl_infer_args_mem(&args, call->a);
    sl_infer_args_mem(&args, call->b);
    sl_infer_args_mem(&args, call->bias);
    sl_infer_args_mem(&args, call->residual);
    sl_infer_args_mem(&args, call->c);
    sl_infer_args_u32(&args, rows);
    sl_infer_args_u32(&args, call->n);
    sl_infer_args_u32(&args, call->k);
    sl_infer_args_u32(&args, block_rows(gemm, call->rows, call->n, call->k));
    sl_infer_args_u32(&args, call->epilogue);
    return sl_infer_args_launch(&args, gemm->tiled ? GPU_ITEMS : 1, "gemm", ret_event, err);
}
