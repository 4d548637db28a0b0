/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/cl.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/device/cl_open.h"
#include "agent/device/pages.h"
#include "agent/device/stop.h"
#include "proto/base/text.h"

/* Two readings of the host's clocks around a device event; tighter than this is good enough to
 * trust an event's QUEUED time against its END. */
#define CLOCK_BRACKET_NS_MAX (2 * SL_NS_PER_MS)
#define SENT_BRACKET_NS_MAX (SL_NS_PER_MS / 5)
#define CLOCK_TRIES 5

static uint32_t read_u32(cl_device_id device, cl_device_info what, uint32_t fallback) {
    cl_uint value = 0;
    if (clGetDeviceInfo(device, what, sizeof value, &value, NULL) != CL_SUCCESS || value == 0) {
        return fallback;
    }
    return value;
}

/* What a compiled program depends on; any change must miss the cache. */
static void read_cache_key(struct sl_cl *cl) {
    char name[72];
    char driver[64];
    char platform[96];
    sl_cl_device_text(cl->device, CL_DEVICE_NAME, name, sizeof name);
    sl_cl_device_text(cl->device, CL_DRIVER_VERSION, driver, sizeof driver);
    sl_cl_platform_text(cl->platform, CL_PLATFORM_VERSION, platform, sizeof platform);
    snprintf(cl->cache_key, sizeof cl->cache_key, "%s|%s|%s|%u", name, driver, platform,
             cl->compute_units);
}

/* OpenCL has no question for it, and compilers of drivers may be set to an older processor; a CPU
 * device runs on this one. Intel's manual, volume 2, CPUID, leaf 7. */
static bool cpu_has_sha(void) {
#if defined(__x86_64__)
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 29)) != 0;
#else
    return false;
#endif
}

static void read_device(struct sl_cl *cl) {
    cl_device_type type = 0;
    cl_ulong local = 0;
    size_t group = 0;
    clGetDeviceInfo(cl->device, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    clGetDeviceInfo(cl->device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL);
    clGetDeviceInfo(cl->device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL);
    cl->is_cpu = (type & CL_DEVICE_TYPE_CPU) != 0;
    cl->has_sha = cl->is_cpu && cpu_has_sha();
    cl->compute_units = read_u32(cl->device, CL_DEVICE_MAX_COMPUTE_UNITS, 1);
    cl->vector_width_int = read_u32(cl->device, CL_DEVICE_NATIVE_VECTOR_WIDTH_INT, 1);
    cl->vector_width_float = read_u32(cl->device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, 1);
    cl->work_group_max = group ? group : 1;
    cl->local_bytes = local;
    read_cache_key(cl);
}

int sl_cl_queue(struct sl_cl *cl, cl_command_queue *ret_queue, struct sl_error *err) {
    cl_int rc = CL_SUCCESS;
/* The 2.0 call does not exist on 1.2 platforms. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    cl_command_queue queue =
        clCreateCommandQueue(cl->context, cl->device, CL_QUEUE_PROFILING_ENABLE, &rc);
#pragma GCC diagnostic pop
    if (rc != CL_SUCCESS) {
        return sl_cl_fail(err, rc, "cannot open a command queue with profiling on the device");
    }
    *ret_queue = queue;
    return SL_OK;
}

static int open_queues(struct sl_cl *cl, struct sl_error *err) {
    cl_int code = CL_SUCCESS;
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)cl->platform, 0};
    cl->context = clCreateContext(properties, 1, &cl->device, NULL, NULL, &code);
    if (code != CL_SUCCESS) {
        cl->context = NULL;
        return sl_cl_fail(err, code, "cannot open an OpenCL context on the device");
    }
    int rc = sl_cl_queue(cl, &cl->queue, err);
    return rc == SL_OK ? sl_cl_queue(cl, &cl->transfer, err) : rc;
}

int sl_cl_open(struct sl_cl *ret_cl, const struct sl_cl_spec *spec, struct sl_error *err) {
    memset(ret_cl, 0, sizeof *ret_cl);
    ret_cl->platform = spec->platform;
    ret_cl->device = spec->device;
    ret_cl->force_gpu_kernels = spec->force_gpu_kernels;
    ret_cl->index = spec->index;
    ret_cl->events = spec->events;
    ret_cl->closing = spec->closing;
    if (spec->cache_dir &&
        !sl_text_copy(ret_cl->cache_dir, sizeof ret_cl->cache_dir, spec->cache_dir)) {
        return sl_fail(err, SL_LIMIT, "the cache folder's path is too long (at most %zu bytes): %s",
                       sizeof ret_cl->cache_dir - 1, spec->cache_dir);
    }
    read_device(ret_cl);
    int rc = SL_OK;
    if (spec->figures) {
        if (!spec->tune_again) {
            sl_figures_recall(ret_cl, spec->figures, spec->launch_ms);
        }
        rc = sl_tuning_open(ret_cl->cache_dir, spec->figures, ret_cl->cache_key, &ret_cl->tuning,
                            err);
    }
    if (rc == SL_OK && spec->tune_again && ret_cl->tuning) {
        sl_tuning_forget(ret_cl->tuning);
    }
    rc = rc == SL_OK ? open_queues(ret_cl, err) : rc;
    if (rc == SL_OK) {
        rc = sl_cl_clock_sync(ret_cl, true, err);
    }
    if (rc == SL_OK) {
        rc = sl_stop_open(ret_cl, spec->force_no_stop_word, err);
    }
    if (rc != SL_OK) {
        sl_cl_close(ret_cl);
    }
    return rc;
}

static void drop_clock_event(struct sl_cl *cl) {
    if (cl->clock_event) {
        clReleaseEvent(cl->clock_event);
        cl->clock_event = NULL;
    }
}

void sl_cl_close(struct sl_cl *cl) {
    sl_stop_close(cl);
    drop_clock_event(cl);
    if (cl->transfer) {
        clReleaseCommandQueue(cl->transfer);
    }
    if (cl->queue) {
        clReleaseCommandQueue(cl->queue);
    }
    if (cl->context) {
        clReleaseContext(cl->context);
    }
    sl_tuning_close(cl->tuning);
    cl->tuning = NULL;
    cl->transfer = NULL;
    cl->queue = NULL;
    cl->context = NULL;
}

/* One bracketed marker. Host times are sl_mono; the device's are raw event times. */
struct clock_reading {
    int64_t before_ns;
    int64_t enqueued_ns;
    int64_t after_ns;
    cl_ulong queued;
    cl_ulong end;
};

static cl_int read_marker(struct sl_cl *cl, struct clock_reading *ret_reading) {
    cl_event event = NULL;
    struct clock_reading r = {0};
    r.before_ns = sl_clock_mono().ns;
    cl_int rc = clEnqueueMarkerWithWaitList(cl->queue, 0, NULL, &event);
    r.enqueued_ns = sl_clock_mono().ns;
    if (rc != CL_SUCCESS) {
        return rc;
    }
    rc = clWaitForEvents(1, &event);
    r.after_ns = sl_clock_mono().ns;
    if (rc == CL_SUCCESS) {
        rc = clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_QUEUED, sizeof r.queued, &r.queued,
                                     NULL);
    }
    if (rc == CL_SUCCESS) {
        rc = clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof r.end, &r.end, NULL);
    }
    clReleaseEvent(event);
    if (rc == CL_SUCCESS) {
        *ret_reading = r;
    }
    return rc;
}

static int64_t middle_ns(int64_t before_ns, int64_t after_ns) {
    return before_ns + (after_ns - before_ns) / 2;
}

static int sync_idle(struct sl_cl *cl, struct sl_error *err) {
    struct clock_reading best = {0};
    int64_t best_span = INT64_MAX;
    drop_clock_event(cl);
    for (int i = 0; i < CLOCK_TRIES; i++) {
        struct clock_reading r;
        cl_int rc = read_marker(cl, &r);
        if (rc != CL_SUCCESS) {
            return sl_cl_fail(err, rc, "cannot read the device's event clock");
        }
        if (r.after_ns - r.before_ns < best_span) {
            best_span = r.after_ns - r.before_ns;
            best = r;
        }
    }
    cl->clock_offset_ns = middle_ns(best.before_ns, best.after_ns) - (int64_t)best.end;
    int64_t queued_ns = (int64_t)best.queued + cl->clock_offset_ns;
    cl->queued_clock = best_span < CLOCK_BRACKET_NS_MAX &&
                       queued_ns >= best.before_ns - best_span &&
                       queued_ns <= best.enqueued_ns + best_span;
    return SL_OK;
}

static int send_marker(struct sl_cl *cl, struct sl_error *err) {
    cl->clock_before_ns = sl_clock_mono().ns;
    cl_int rc = clEnqueueMarkerWithWaitList(cl->transfer, 0, NULL, &cl->clock_event);
    cl->clock_after_ns = sl_clock_mono().ns;
    if (rc != CL_SUCCESS) {
        cl->clock_event = NULL;
        return sl_cl_fail(err, rc, "cannot read the device's event clock");
    }
    clFlush(cl->transfer);
    return SL_OK;
}

/* Some drivers give no time at all of an event that is not complete. */
static void read_sent_marker(struct sl_cl *cl) {
    cl_int status = CL_QUEUED;
    cl_ulong queued = 0;
    clGetEventInfo(cl->clock_event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status,
                   NULL);
    if (status > CL_COMPLETE) {
        return;
    }
    /* A thread that lost its core in between would make the map worse than it is. */
    if (status == CL_COMPLETE && cl->clock_after_ns - cl->clock_before_ns < SENT_BRACKET_NS_MAX &&
        clGetEventProfilingInfo(cl->clock_event, CL_PROFILING_COMMAND_QUEUED, sizeof queued,
                                &queued, NULL) == CL_SUCCESS) {
        cl->clock_offset_ns = middle_ns(cl->clock_before_ns, cl->clock_after_ns) - (int64_t)queued;
    }
    drop_clock_event(cl);
}

int sl_cl_clock_sync(struct sl_cl *cl, bool queue_empty, struct sl_error *err) {
    if (queue_empty) {
        return sync_idle(cl, err);
    }
    if (cl->clock_event) {
        read_sent_marker(cl);
        return SL_OK;
    }
    return cl->queued_clock ? send_marker(cl, err) : SL_OK;
}

/* On a CPU device, mapping shows the buffer's own memory. */
static void ask_for_large_pages(struct sl_cl *cl, cl_mem mem, size_t size) {
    cl_int rc = CL_SUCCESS;
    if (!cl->is_cpu) {
        return;
    }
    void *at = clEnqueueMapBuffer(cl->queue, mem, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, size,
                                  0, NULL, NULL, &rc);
    if (rc == CL_SUCCESS) {
        sl_pages_large(at, size);
        (void)clEnqueueUnmapMemObject(cl->queue, mem, at, 0, NULL, NULL);
    }
}

int sl_cl_buffer(struct sl_cl *cl, size_t bytes, cl_mem_flags flags, cl_mem *ret_mem,
                 struct sl_error *err) {
    static const cl_uint zero = 0;
    cl_int rc = CL_SUCCESS;
    size_t size = (bytes + 3) & ~(size_t)3;
    cl_mem mem = clCreateBuffer(cl->context, flags, size ? size : 4, NULL, &rc);
    if (rc == CL_SUCCESS) {
        ask_for_large_pages(cl, mem, size ? size : 4);
        /* Memory is often only promised until it is touched. */
        rc = clEnqueueFillBuffer(cl->queue, mem, &zero, sizeof zero, 0, size ? size : 4, 0, NULL,
                                 NULL);
        if (rc == CL_SUCCESS) {
            rc = clFinish(cl->queue);
        }
        if (rc != CL_SUCCESS) {
            clReleaseMemObject(mem);
        }
    }
    if (rc != CL_SUCCESS) {
        return sl_fail(err, SL_DEVICE, "the device has no room for a buffer of %zu bytes: %s (%d)",
                       bytes, sl_cl_error_name(rc), (int)rc);
    }
    *ret_mem = mem;
    return SL_OK;
}

int sl_cl_event_times(struct sl_cl *cl, cl_event event, int64_t *ret_start_ns, int64_t *ret_end_ns,
                      struct sl_error *err) {
    cl_ulong start = 0;
    cl_ulong end = 0;
    cl_int rc =
        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL);
    if (rc == CL_SUCCESS) {
        rc = clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL);
    }
    if (rc != CL_SUCCESS) {
        return sl_cl_fail(err, rc, "cannot read a launch's times");
    }
    *ret_start_ns = (int64_t)start + cl->clock_offset_ns;
    *ret_end_ns = (int64_t)end + cl->clock_offset_ns;
    return SL_OK;
}

void sl_cl_emit(struct sl_cl *cl, struct sl_device_event *event) {
    event->device = cl->index;
    while (cl->events) {
        int rc = sl_mailbox_put(cl->events, event);
        if (rc == SL_OK) {
            return;
        }
        if (rc != -SL_AGAIN || (cl->closing && atomic_load(cl->closing))) {
            break;
        }
        /* The loop is behind; it must not lose an event, and this thread has launches queued. */
        const struct timespec nap = {0, SL_NS_PER_MS / 2};
        nanosleep(&nap, NULL);
    }
    sl_device_event_fini(event);
}
