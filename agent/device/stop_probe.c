/* SPDX-License-Identifier: Apache-2.0
 * Tries the ways to reach a running kernel, in turn, with two queued launches of a probe kernel,
 * and times the first that works. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/device/stop_internal.h"
#include "agent/kernels/kernels.h"

#define PROBE_LAUNCH_NS (20 * SL_NS_PER_MS)
#define PROBE_ROUNDS 2000 /* keeps one work-group busy for some 10 to 30 us */
#define PROBE_GROUPS_MAX (1u << 20)
#define FIRST_TRIES 3
#define KNOWN_TRIES 10 /* it was fast enough once: only a broken way fails as often as this */
#define STOP_NS_P50_MAX (SL_NS_PER_MS * 3 / 2)

struct probe {
    cl_program program;
    cl_kernel kernel;
    cl_mem ran; /* uint: work-groups that ran, counting on */
    cl_mem sink;
    uint32_t groups;
    size_t local;
    int64_t launch_ns; /* one whole launch */
};

static int set_args(struct sl_cl *cl, struct probe *p, struct sl_error *err) {
    const cl_uint rounds = PROBE_ROUNDS;
    int status = sl_cl_set_stop_arg(cl, p->kernel, err);
    if (status != SL_OK) {
        return status;
    }
    cl_int rc = clSetKernelArg(p->kernel, 1, sizeof(cl_mem), &p->ran);
    rc |= clSetKernelArg(p->kernel, 2, sizeof(cl_mem), &p->sink);
    rc |= clSetKernelArg(p->kernel, 3, sizeof rounds, &rounds);
    return rc == CL_SUCCESS ? SL_OK : sl_cl_fail(err, CL_INVALID_KERNEL_ARGS, "stop probe");
}

static int enqueue(struct sl_cl *cl, const struct probe *p, cl_event *ret_event,
                   struct sl_error *err) {
    size_t global = (size_t)p->groups * p->local;
    cl_int rc = clEnqueueNDRangeKernel(cl->queue, p->kernel, 1, NULL, &global, &p->local, 0, NULL,
                                       ret_event);
    return rc == CL_SUCCESS ? SL_OK : sl_cl_fail(err, rc, "cannot start the stop probe");
}

static int read_ran(struct sl_cl *cl, const struct probe *p, uint32_t *ret_ran,
                    struct sl_error *err) {
    cl_uint ran = 0;
    cl_int rc = clEnqueueReadBuffer(cl->queue, p->ran, CL_TRUE, 0, sizeof ran, &ran, 0, NULL, NULL);
    if (rc != CL_SUCCESS) {
        return sl_cl_fail(err, rc, "cannot read the stop probe's count");
    }
    *ret_ran = ran;
    return SL_OK;
}

/* One whole launch; also proves that groups are counted at all. */
static int time_launch(struct sl_cl *cl, struct probe *p, int64_t *ret_ns, struct sl_error *err) {
    uint32_t before = 0;
    uint32_t after = 0;
    int rc = read_ran(cl, p, &before, err);
    int64_t start = sl_clock_mono().ns;
    rc = rc == SL_OK ? enqueue(cl, p, NULL, err) : rc;
    if (rc == SL_OK) {
        cl_int code = clFinish(cl->queue);
        rc = code == CL_SUCCESS ? SL_OK : sl_cl_fail(err, code, "the stop probe failed");
    }
    int64_t end = sl_clock_mono().ns;
    rc = rc == SL_OK ? read_ran(cl, p, &after, err) : rc;
    if (rc != SL_OK) {
        return rc;
    }
    if (after - before != p->groups) {
        return sl_fail(err, SL_DEVICE,
                       "the device counted %u of %u work-groups of a test kernel; its driver is "
                       "faulty: update it or leave the device out",
                       after - before, p->groups);
    }
    *ret_ns = end - start;
    return SL_OK;
}

static void probe_fini(struct probe *p) {
    if (p->sink) {
        clReleaseMemObject(p->sink);
    }
    if (p->ran) {
        clReleaseMemObject(p->ran);
    }
    if (p->kernel) {
        clReleaseKernel(p->kernel);
    }
    if (p->program) {
        clReleaseProgram(p->program);
    }
}

static int probe_init(struct sl_cl *cl, struct probe *p, struct sl_error *err) {
    cl_int code = CL_SUCCESS;
    p->local = cl->work_group_max < 64 ? 1 : 64;
    p->groups = cl->compute_units * 64;
    int rc = sl_cl_program(cl, "probe", sl_kernel_probe, "", &p->program, err);
    if (rc == SL_OK) {
        p->kernel = clCreateKernel(p->program, "probe", &code);
        rc = code == CL_SUCCESS ? SL_OK : sl_cl_fail(err, code, "stop probe");
    }
    rc = rc == SL_OK ? sl_cl_buffer(cl, 4, CL_MEM_READ_WRITE, &p->ran, err) : rc;
    rc = rc == SL_OK
             ? sl_cl_buffer(cl, (size_t)PROBE_GROUPS_MAX * 4, CL_MEM_READ_WRITE, &p->sink, err)
             : rc;
    return rc;
}

/* Grows the launch until it is long enough to be cut in its middle. */
static int probe_tune(struct sl_cl *cl, struct probe *p, struct sl_error *err) {
    int64_t ns = 0;
    /* The first launch pays for whatever the driver puts off until then. */
    int rc = time_launch(cl, p, &ns, err);
    for (int i = 0; rc == SL_OK && i < 8; i++) {
        rc = time_launch(cl, p, &ns, err);
        if (rc != SL_OK || (ns > PROBE_LAUNCH_NS * 3 / 4 && ns < PROBE_LAUNCH_NS * 2)) {
            break;
        }
        int64_t groups = (int64_t)p->groups * PROBE_LAUNCH_NS / (ns > 0 ? ns : 1);
        int64_t most = (int64_t)p->groups * 16;
        groups = groups > most ? most : groups;
        groups = groups > PROBE_GROUPS_MAX ? PROBE_GROUPS_MAX : groups;
        p->groups = (uint32_t)(groups < cl->compute_units ? cl->compute_units : groups);
    }
    p->launch_ns = ns;
    return rc;
}

/* Two launches as in service; the word is set after `after_ns`. *ret_ns: from setting it to an
 * empty queue; *ret_cut: whether groups were kept from running. */
static int trial(struct sl_cl *cl, struct probe *p, int64_t after_ns, int64_t *ret_ns,
                 bool *ret_cut, struct sl_error *err) {
    uint32_t before = 0;
    uint32_t after = 0;
    cl_event last = NULL;
    int rc = read_ran(cl, p, &before, err);
    rc = rc == SL_OK ? enqueue(cl, p, NULL, err) : rc;
    rc = rc == SL_OK ? enqueue(cl, p, &last, err) : rc;
    if (rc != SL_OK) {
        return rc;
    }
    clFlush(cl->queue);
    const struct timespec nap = {after_ns / SL_NS_PER_S, after_ns % SL_NS_PER_S};
    nanosleep(&nap, NULL);
    int64_t start = sl_clock_mono().ns;
    sl_cl_stop_set(cl, true);
    cl_int code = clWaitForEvents(1, &last);
    int64_t end = sl_clock_mono().ns;
    clReleaseEvent(last);
    clFinish(cl->queue);
    sl_cl_stop_set(cl, false);
    if (code != CL_SUCCESS) {
        return sl_cl_fail(err, code, "the stop probe failed");
    }
    rc = read_ran(cl, p, &after, err);
    if (rc == SL_OK) {
        *ret_ns = end - start;
        *ret_cut = after - before < 2 * p->groups;
    }
    return rc;
}

static int compare_ns(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void sort_and_report(struct sl_cl *cl, int64_t ns[SL_STOP_TRIALS]) {
    qsort(ns, SL_STOP_TRIALS, sizeof ns[0], compare_ns);
    cl->stop_us_p50 = (uint32_t)((ns[SL_STOP_TRIALS / 2] + 500) / 1000);
    cl->stop_us_max = (uint32_t)((ns[SL_STOP_TRIALS - 1] + 500) / 1000);
}

/* SL_OK: works and is timed, or known to be soon enough from an earlier start; -SL_UNSUPPORTED:
 * running kernels do not see it (soon enough). */
static int try_word(struct sl_cl *cl, struct probe *p, bool known, struct sl_error *err) {
    int64_t ns[SL_STOP_TRIALS];
    bool cut = false;
    int rc = set_args(cl, p, err);
    bool works = false;
    int tries = known ? KNOWN_TRIES : FIRST_TRIES;
    for (int i = 0; rc == SL_OK && !works && i < tries; i++) {
        rc = trial(cl, p, p->launch_ns / 2, &ns[0], &cut, err);
        works = rc == SL_OK && cut && (known || ns[0] < p->launch_ns / 2);
    }
    if (rc != SL_OK) {
        return rc;
    }
    if (!works) {
        return sl_fail(err, SL_UNSUPPORTED, "a running kernel does not see the stop word (%s)",
                       sl_stop_method_name(cl->stop_method));
    }
    if (known) {
        cl->stop_us_p50 = cl->figures.stop_us_p50;
        cl->stop_us_max = cl->figures.stop_us_max;
        return SL_OK;
    }
    for (int i = 0; rc == SL_OK && i < SL_STOP_TRIALS; i++) {
        /* Moments spread over the first launch. */
        rc = trial(cl, p, p->launch_ns * (2 + i) / (SL_STOP_TRIALS + 4), &ns[i], &cut, err);
    }
    if (rc != SL_OK) {
        return rc;
    }
    sort_and_report(cl, ns);
    /* A driver that gets round to the write now and then is no better than short launches. */
    if (ns[SL_STOP_TRIALS / 2] > STOP_NS_P50_MAX) {
        return sl_fail(err, SL_UNSUPPORTED, "a running kernel sees the stop word too late (%s)",
                       sl_stop_method_name(cl->stop_method));
    }
    return SL_OK;
}

static int try_ways(struct sl_cl *cl, struct probe *p, enum sl_stop_way from, enum sl_stop_way to,
                    bool known, struct sl_error *err) {
    for (enum sl_stop_way way = from; way <= to; way++) {
        if (sl_stop_open_word(cl, way, err) != SL_OK) {
            continue;
        }
        int rc = try_word(cl, p, known, err);
        if (rc == SL_OK && !known) {
            cl->figures.stop_way = (uint32_t)way + 1;
            cl->figures.stop_us_p50 = cl->stop_us_p50;
            cl->figures.stop_us_max = cl->stop_us_max;
            cl->figures_new = true;
        }
        if (rc == SL_OK) {
            return SL_OK;
        }
        sl_stop_close(cl);
        if (rc != -SL_UNSUPPORTED) {
            return rc;
        }
    }
    return -SL_UNSUPPORTED;
}

static int probe_ways(struct sl_cl *cl, enum sl_stop_way from, enum sl_stop_way to, bool known,
                      struct sl_error *err) {
    struct probe p = {0};
    /* A word that is never set serves while the probe is tuned. */
    int rc = sl_stop_open_word(cl, SL_STOP_WAY_NONE, err);
    rc = rc == SL_OK ? probe_init(cl, &p, err) : rc;
    rc = rc == SL_OK ? set_args(cl, &p, err) : rc;
    rc = rc == SL_OK ? probe_tune(cl, &p, err) : rc;
    sl_stop_close(cl);
    rc = rc == SL_OK ? try_ways(cl, &p, from, to, known, err) : rc;
    probe_fini(&p);
    return rc;
}

int sl_stop_open(struct sl_cl *cl, bool force_none, struct sl_error *err) {
    int rc = -SL_UNSUPPORTED;
    uint32_t kept = cl->figures.stop_way;
    if (!force_none && kept > 0 && kept <= SL_STOP_WAY_QUEUE + 1) {
        enum sl_stop_way way = (enum sl_stop_way)(kept - 1);
        rc = probe_ways(cl, way, way, true, err);
    }
    if (!force_none && rc == -SL_UNSUPPORTED) {
        rc = probe_ways(cl, SL_STOP_WAY_SVM, SL_STOP_WAY_QUEUE, false, err);
    }
    if (rc == -SL_UNSUPPORTED) {
        rc = sl_stop_open_word(cl, SL_STOP_WAY_NONE, err);
    }
    return rc;
}

int sl_stop_open_method(struct sl_cl *cl, enum sl_stop_method method, struct sl_error *err) {
    switch (method) {
    case SL_STOP_SVM:
        return probe_ways(cl, SL_STOP_WAY_SVM, SL_STOP_WAY_SVM, false, err);
    case SL_STOP_MAPPED:
        return probe_ways(cl, SL_STOP_WAY_ALLOC, SL_STOP_WAY_USE, false, err);
    case SL_STOP_QUEUE:
        return probe_ways(cl, SL_STOP_WAY_QUEUE, SL_STOP_WAY_QUEUE, false, err);
    case SL_STOP_NONE:
        return sl_stop_open_word(cl, SL_STOP_WAY_NONE, err);
    case SL_STOP_UNKNOWN:
        break;
    }
    return sl_fail(err, SL_INVALID, "no such way to stop a kernel");
}
