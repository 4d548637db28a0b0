/* SPDX-License-Identifier: Apache-2.0
 * The OpenCL side of one device, as its executors see it: context, the one in-order kernel queue
 * (profiling on), a second queue for markers, the stop word, program builds with an on-disk
 * cache, and the device's clock. OpenCL 1.2 API, -cl-std=CL1.2.
 *
 * Thread: the device's thread only, except sl_cl_stop_set (any thread for SVM and mapped words).
 * Ownership: everything belongs to the sl_cl; executors release what they created. */
#ifndef SLUICE_AGENT_DEVICE_CL_H
#define SLUICE_AGENT_DEVICE_CL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 200 /* 2.0 only for the probe of fine-grained SVM */
#endif
#include <CL/cl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/device/device.h"
#include "agent/device/figures.h"
#include "agent/device/tuning.h"
#include "proto/base/error.h"

struct sl_cl {
    cl_platform_id platform;
    cl_device_id device; /* a sub-device when the device is split */
    cl_context context;
    cl_command_queue queue;    /* kernels; in-order, profiling */
    cl_command_queue transfer; /* markers that tell the device's clock */
    cl_mem stop_mem; /* the stop word as the kernels' first argument: const volatile uint* */
    volatile uint32_t *stop_host; /* where the host writes it (SVM or mapped), else NULL */
    bool stop_is_svm;             /* then kernels get it by clSetKernelArgSVMPointer */
    enum sl_stop_method stop_method;
    bool is_cpu;
    bool has_sha; /* a CPU with x86's instructions for SHA-256 */
    uint32_t compute_units;
    uint32_t vector_width_int;   /* CL_DEVICE_NATIVE_VECTOR_WIDTH_INT, at least 1 */
    uint32_t vector_width_float; /* likewise */
    size_t work_group_max;
    uint64_t local_bytes;
    bool force_gpu_kernels;  /* tests: take the GPU variants on a CPU device */
    char cache_dir[256];     /* empty: no cache on disk */
    char cache_key[256];     /* device name, driver, platform version: part of every cache key */
    int64_t clock_offset_ns; /* device event time + offset = sl_mono time (design 5) */
    cl_event clock_event;    /* a marker whose QUEUED time was bracketed by these, not read yet */
    int64_t clock_before_ns;
    int64_t clock_after_ns;
    bool queued_clock; /* an event's QUEUED time is good enough to map clocks while busy */
    uint32_t index;
    struct sl_mailbox *events;
    struct sl_stop *stop; /* stop.h */
    uint32_t stop_us_p50; /* measured: stop word set -> queue of two launches empty */
    uint32_t stop_us_max;
    const atomic_bool *closing; /* set: the loop takes no more events; drop them. May be NULL */
    /* What was tuned for this device (tuning.h); NULL where it has no name or there is no memory.
     */
    struct sl_tuning *tuning;
    struct sl_figures figures; /* what was measured, now or at an earlier start */
    bool figures_new;          /* some of it now */
};

/* Kernel argument 0 is always the stop word. */
int sl_cl_set_stop_arg(struct sl_cl *cl, cl_kernel kernel, struct sl_error *err);
void sl_cl_stop_set(struct sl_cl *cl, bool stop);

/* Builds `source` (embedded at build time, see agent/kernels) with `options`, from the on-disk
 * cache when device, driver, source and options match. A corrupt entry is rebuilt. */
int sl_cl_program(struct sl_cl *cl, const char *name, const char *source, const char *options,
                  cl_program *ret_program, struct sl_error *err);
/* Writes the program's binary to the cache again: PoCL adds specialised code at first launches, so
 * this is called after warm-up. */
void sl_cl_program_save(struct sl_cl *cl, const char *name, const char *source, const char *options,
                        cl_program program);

/* Anything else about this device that is worth keeping beside the programs, under `key`. False:
 * there is none, or it is damaged, of another device or driver, or older than age_max_s. */
bool sl_cl_cache_read(const struct sl_cl *cl, const char *name, const char *key, int64_t age_max_s,
                      uint8_t **ret_data, size_t *ret_size);
void sl_cl_cache_write(const struct sl_cl *cl, const char *name, const char *key,
                       const uint8_t *data, size_t size);

/* One more in-order queue of the device, with profiling. The caller releases it. */
int sl_cl_queue(struct sl_cl *cl, cl_command_queue *ret_queue, struct sl_error *err);

/* Buffer that is really there: filled with zeros once. */
int sl_cl_buffer(struct sl_cl *cl, size_t bytes, cl_mem_flags flags, cl_mem *ret_mem,
                 struct sl_error *err);

/* Start and end of a finished event in sl_mono time. */
int sl_cl_event_times(struct sl_cl *cl, cl_event event, int64_t *ret_start_ns, int64_t *ret_end_ns,
                      struct sl_error *err);

/* A device's or a platform's text, cut to the buffer; empty where the driver has none. */
void sl_cl_device_text(cl_device_id device, cl_device_info what, char *ret_text, size_t size);
void sl_cl_platform_text(cl_platform_id platform, cl_platform_info what, char *ret_text,
                         size_t size);

/* "CL_OUT_OF_RESOURCES" and so on; never NULL. */
const char *sl_cl_error_name(cl_int code);
/* sl_fail with SL_DEVICE and the code's name. */
int sl_cl_fail(struct sl_error *err, cl_int code, const char *what);

/* Hands an event to the loop; waits for room. Moves ownership. */
void sl_cl_emit(struct sl_cl *cl, struct sl_device_event *event);

#endif
