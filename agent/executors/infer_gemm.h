/* SPDX-License-Identifier: Apache-2.0
 * C = A B + bias with a fused tail, in float32, behind one interface: a variant for CPU devices
 * (register tiles of float vectors) and one for GPUs (tiles in local memory), chosen when the
 * program is opened. Both give the same bits: each element is one chain of fma over k = 0, 1, ...
 *
 * A is [rows][k], residual and C are [rows][n]; all three need room for rows rounded up to
 * SL_GEMM_ROWS_PAD, because whole tiles are computed. B is packed once with sl_gemm_pack.
 * Thread: the device's; packing: any. */
#ifndef SLUICE_AGENT_EXECUTORS_INFER_GEMM_H
#define SLUICE_AGENT_EXECUTORS_INFER_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "agent/device/cl.h"
#include "proto/base/error.h"

#define SL_GEMM_PANEL 32u    /* columns of B that lie side by side */
#define SL_GEMM_ROWS_PAD 64u /* the largest tile */

enum sl_gemm_epilogue {
    SL_GEMM_INVALID = 0,
    SL_GEMM_BIAS = 1,
    SL_GEMM_GELU = 2,     /* erf form, after the bias */
    SL_GEMM_RESIDUAL = 3, /* + residual, after the bias */
};

struct sl_gemm {
    struct sl_cl *cl;
    cl_program program;
    cl_kernel kernel;
    bool tiled; /* the GPU variant */
    uint32_t tile_rows;
    char options[64];
};

/* Arguments that every kernel of the engine begins with, see inc_stop.cl. */
struct sl_infer_span {
    cl_mem counters;       /* uint[]: work-groups that ran */
    uint32_t slot;         /* which counter */
    uint32_t first, count; /* work-groups of this launch; count > 0 */
};

struct sl_gemm_call {
    cl_mem a, b, bias, residual, c; /* residual: c again where the epilogue does not use it */
    uint32_t rows, n, k;
    enum sl_gemm_epilogue epilogue;
};

/* Floats of B packed: whole panels, zero-padded. The bias is padded to sl_gemm_padded(n). */
size_t sl_gemm_packed_floats(uint32_t n, uint32_t k);
uint32_t sl_gemm_padded(uint32_t n);
/* Adds `w` ([n][k], as in torch.nn.Linear: y = x w^T) as columns column0... of packed. */
void sl_gemm_pack(const float *w, uint32_t n, uint32_t k, uint32_t column0, float *packed);

/* Width of explicit vectors for this device: 16, 8 or 4, or 1 for the GPU variants. */
uint32_t sl_infer_vector_width(const struct sl_cl *cl);

int sl_gemm_open(struct sl_cl *cl, struct sl_gemm *ret_gemm, struct sl_error *err);
void sl_gemm_close(struct sl_gemm *gemm); /* accepts a zeroed struct */

/* Work-groups of a whole call. */
uint32_t sl_gemm_groups(const struct sl_gemm *gemm, uint32_t rows, uint32_t n, uint32_t k);
/* ret_event may be NULL. */
int sl_gemm_enqueue(struct sl_gemm *gemm, const struct sl_gemm_call *call,
                    const struct sl_infer_span *span, cl_event *ret_event, struct sl_error *err);

#endif
