/* SPDX-License-Identifier: Apache-2.0
 * Kernel arguments one after another; the first failure is kept, so that one check at the end is
 * enough. Argument 0, the stop word, is set once when the kernel is made. */
#ifndef SLUICE_AGENT_EXECUTORS_INFER_ARGS_H
#define SLUICE_AGENT_EXECUTORS_INFER_ARGS_H

#include "agent/executors/infer_gemm.h"

struct sl_infer_args {
    struct sl_cl *cl;
    cl_command_queue queue;
    cl_kernel kernel;
    size_t groups;
    cl_uint next;
    cl_int code;
};

/* Counters, slot and first group: what stands behind the stop word in every kernel. */
struct sl_infer_args sl_infer_args_begin(struct sl_cl *cl, cl_kernel kernel,
                                         const struct sl_infer_span *span);
void sl_infer_args_mem(struct sl_infer_args *args, cl_mem mem);
void sl_infer_args_u32(struct sl_infer_args *args, uint32_t value);
void sl_infer_args_f32(struct sl_infer_args *args, float value);
/* Enqueues the span's groups of `local` items each; ret_event may be NULL. */
int sl_infer_args_launch(struct sl_infer_args *args, size_t local, const char *what,
                         cl_event *ret_event, struct sl_error *err);

/* A kernel by name with its stop word set. */
int sl_infer_kernel(struct sl_cl *cl, cl_program program, const char *name, cl_kernel *ret_kernel,
                    struct sl_error *err);

#endif
