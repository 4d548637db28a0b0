/* SPDX-License-Identifier: Apache-2.0
 * C = A B + bias with a fused tail, computed in float32, behind one interface: variants for CPU
 * devices (register tiles of float vectors) and for GPUs (tiles in local memory), each with
 * weights B stored as float32, float16 or Q8_0. Which variant runs is chosen per device and class
 * of shape by a short measurement when a model is opened (sl_gemm_use), and kept with the device.
 *
 * All variants give the same bits: each element is one chain of fma over k = 0, 1, .. on the
 * weights' exact float32 values, so a choice never changes a result, and neither do the rows
 * beside a row.
 *
 * A is [rows][k], residual and C are [rows][n], with row strides that may be larger (see
 * sl_gemm_stride); all three need room for rows rounded up to SL_GEMM_ROWS_PAD, because whole tiles
 * are computed. B is packed once with sl_gemm_pack:
 * panels of SL_GEMM_PANEL columns, zero-padded, and inside a panel
 *   F32   [k][32] float
 *   F16   [k][32] IEEE half
 *   Q8_0  [k / 32] of { [32] half scales, [32 steps of k][32 columns] int8 }; k is a multiple of 32
 * The layout depends on neither device nor variant: one packed copy serves all.
 * Thread: the device's; packing: any. */
#ifndef SLUICE_AGENT_EXECUTORS_INFER_GEMM_H
#define SLUICE_AGENT_EXECUTORS_INFER_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "agent/device/cl.h"
#include "proto/base/error.h"

#define SL_GEMM_PANEL 32u     /* columns of B that lie side by side */
#define SL_GEMM_ROWS_PAD 128u /* the largest tile */

/* How B is stored. */
enum sl_weight_type {
    SL_WEIGHT_INVALID = 0,
    SL_WEIGHT_F32 = 1,
    SL_WEIGHT_F16 = 2,
    SL_WEIGHT_Q8_0 = 3, /* GGUF's: blocks of 32 along k, a half scale and 32 int8 */
};
#define SL_WEIGHT_TYPES 4 /* slot 0 stays unused */

enum sl_gemm_epilogue {
    SL_GEMM_INVALID = 0,
    SL_GEMM_BIAS = 1,
    SL_GEMM_GELU = 2,     /* erf form, after the bias */
    SL_GEMM_RESIDUAL = 3, /* + residual, after the bias */
};

/* Arguments that every kernel of the engine begins with, see inc_stop.cl. */
struct sl_infer_span {
    cl_mem counters;        /* uint[]: work-groups that ran */
    uint32_t slot;          /* which counter */
    uint32_t first, count;  /* work-groups of this launch; count > 0 */
    cl_command_queue queue; /* NULL: the device's own */
};

struct sl_gemm_call {
    cl_mem a, b, bias, residual, c; /* residual: c again where the epilogue does not use it */
    uint32_t rows, n, k;
    enum sl_gemm_epilogue epilogue;
    enum sl_weight_type weights;
    uint32_t a_stride, c_stride; /* floats from row to row; 0: k and n. residual: as c */
};

/* A good row stride for a matrix that is `width` wide and the A of a product: one that does not put
 * the same column of all rows of a tile into the same few lines of a CPU's first cache. */
uint32_t sl_gemm_stride(uint32_t width);

/* Bytes of one row of k weights as they come (GGUF's layout), and of B packed. The bias is padded
 * to sl_gemm_padded(n) floats. 0 for k that the type cannot hold. */
size_t sl_gemm_row_bytes(enum sl_weight_type type, uint32_t k);
size_t sl_gemm_packed_bytes(enum sl_weight_type type, uint32_t n, uint32_t k);
uint32_t sl_gemm_padded(uint32_t n);
/* Adds `w` ([n] rows of k, as in torch.nn.Linear: y = x w^T) as columns column0... of packed,
 * which was zeroed. w has GGUF's layout of the type: float, half, or blocks of 34 bytes. */
void sl_gemm_pack(enum sl_weight_type type, const void *w, uint32_t n, uint32_t k, uint32_t column0,
                  void *packed);

/* Width of explicit vectors for this device: 16, 8 or 4, or 1 for the GPU variants. */
uint32_t sl_infer_vector_width(const struct sl_cl *cl);

#define SL_GEMM_PROGRAMS_MAX 4u /* compiled kernels of one kind of device and weight type */
#define SL_GEMM_SHAPES_MAX 64u
#define SL_GEMM_FEW_ROWS 128u

/* How a product is cut up: the compiled kernel's tile, and how much of A one work-group of a CPU
 * device takes. */
struct sl_gemm_way {
    uint32_t program;      /* index into the device's kernels */
    uint32_t block_floats; /* of A; unused on GPUs, where a work-group makes one tile */
};

struct sl_gemm_shape {
    enum sl_weight_type weights;
    uint32_t n, k;
    struct sl_gemm_way few, many; /* below SL_GEMM_FEW_ROWS rows, and from there on */
};

struct sl_gemm_program {
    cl_program program;
    cl_kernel kernel;
    char options[160];
};

struct sl_gemm {
    struct sl_cl *cl;
    uint32_t vector; /* 1: the GPU kernels */
    struct sl_gemm_program built[SL_WEIGHT_TYPES][SL_GEMM_PROGRAMS_MAX];
    uint32_t shape_count;
    struct sl_gemm_shape shapes[SL_GEMM_SHAPES_MAX];
};

/* Opens without building anything; sl_gemm_use does that. */
int sl_gemm_open(struct sl_cl *cl, struct sl_gemm *ret_gemm, struct sl_error *err);
/* Makes products of this kind possible: chooses among the ways to compute it, from what was kept
 * for this device and driver (agent/device/tuning.h) or by measuring for a fraction of a second
 * (without a tuning store: takes the best guess), and builds what is needed. Before the device is
 * offered; a second call for the same shape is free. -SL_UNSUPPORTED for a type or k that it cannot
 * do. */
int sl_gemm_use(struct sl_gemm *gemm, enum sl_weight_type weights, uint32_t n, uint32_t k,
                struct sl_error *err);
/* Stores the programs again, now that drivers have specialised them (after the first launches). */
void sl_gemm_save(struct sl_gemm *gemm);
void sl_gemm_close(struct sl_gemm *gemm); /* accepts a zeroed struct */

/* Work-groups of a whole call; only rows, n, k and weights count. */
uint32_t sl_gemm_groups(const struct sl_gemm *gemm, const struct sl_gemm_call *call);
/* ret_event may be NULL. The call's shape was given to sl_gemm_use. */
int sl_gemm_enqueue(struct sl_gemm *gemm, const struct sl_gemm_call *call,
                    const struct sl_infer_span *span, cl_event *ret_event, struct sl_error *err);

#endif
