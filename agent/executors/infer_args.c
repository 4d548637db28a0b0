/* SPDX-License-Identifier: Apache-2.0
 * Kernel arguments one after another. */
#include "agent/executors/infer_args.h"

static void put(struct sl_infer_args *args, size_t size, const void *value) {
    cl_int code = clSetKernelArg(args->kernel, args->next++, size, value);
    if (args->code == CL_SUCCESS) {
        args->code = code;
    }
}

void sl_infer_args_mem(struct sl_infer_args *args, cl_mem mem) {
    put(args, sizeof mem, &mem);
}

void sl_infer_args_u32(struct sl_infer_args *args, uint32_t value) {
    cl_uint v = value;
    put(args, sizeof v, &v);
}

void sl_infer_args_f32(struct sl_infer_args *args, float value) {
    cl_float v = value;
    put(args, sizeof v, &v);
}

struct sl_infer_args sl_infer_args_begin(struct sl_cl *cl, cl_kernel kernel,
                                         const struct sl_infer_span *span) {
    struct sl_infer_args args = {.cl = cl,
                                 .queue = span->queue ? span->queue : cl->queue,
                                 .kernel = kernel,
                                 .groups = span->count,
                                 .next = 1,
                                 .code = CL_SUCCESS};
    sl_infer_args_mem(&args, span->counters);
    sl_infer_args_u32(&args, span->slot);
    sl_infer_args_u32(&args, span->first);
    return args;
}

int sl_infer_args_launch(struct sl_infer_args *args, size_t local, const char *what,
                         cl_event *ret_event, struct sl_error *err) {
    size_t global = args->groups * local;
    if (args->code == CL_SUCCESS) {
        args->code = clEnqueueNDRangeKernel(args->queue, args->kernel, 1, NULL, &global, &local, 0,
                                            NULL, ret_event);
    }
    return args->code == CL_SUCCESS ? SL_OK : sl_cl_fail(err, args->code, what);
}

int sl_infer_kernel(struct sl_cl *cl, cl_program program, const char *name, cl_kernel *ret_kernel,
                    struct sl_error *err) {
    cl_int code = CL_SUCCESS;
    cl_kernel kernel = clCreateKernel(program, name, &code);
    if (code != CL_SUCCESS) {
        return sl_cl_fail(err, code, name);
    }
    int rc = sl_cl_set_stop_arg(cl, kernel, err);
    if (rc < 0) {
        clReleaseKernel(kernel);
        return rc;
    }
    *ret_kernel = kernel;
    return SL_OK;
}
