/* SPDX-License-Identifier: Apache-2.0
 * Opens and closes the OpenCL side of one device (cl.h), and keeps its clock mapped.
 *
 * Thread: the device's thread. Ownership: the platform and device ids belong to the discovery that
 * they came from, which must outlive the sl_cl. */
#ifndef SLUICE_AGENT_DEVICE_CL_OPEN_H
#define SLUICE_AGENT_DEVICE_CL_OPEN_H

#include "agent/device/cl.h"

struct sl_cl_spec {
    cl_platform_id platform;
    cl_device_id device;
    const char *cache_dir; /* NULL or empty: programs are not kept on disk */
    const char *figures;   /* the device's key: take over what was measured (figures.h); or NULL */
    uint32_t launch_ms;    /* with it */
    bool tune_again;       /* with it: what was tuned earlier does not count */
    bool force_gpu_kernels;
    bool force_no_stop_word; /* as if no way to a running kernel had been found */
    uint32_t index;
    struct sl_mailbox *events;  /* may be NULL where nothing is emitted (tests, benchmarks) */
    const atomic_bool *closing; /* see struct sl_cl; may be NULL */
};

/* Context, queues, clock, and the stop word, which is probed and timed (about a second, less
 * where a way is known from an earlier start). On failure
 * nothing stays open. */
int sl_cl_open(struct sl_cl *ret_cl, const struct sl_cl_spec *spec, struct sl_error *err);
/* Accepts a zeroed struct. The kernel queue must be empty. */
void sl_cl_close(struct sl_cl *cl);

/* Maps the device's event clock to sl_mono again. With `queue_empty` a marker is waited for.
 * Otherwise only its QUEUED time is used, where that was seen to be good; the marker is behind what
 * runs, so one call sends it and a later one reads it (while cl->clock_event is set there is one to
 * read). */
int sl_cl_clock_sync(struct sl_cl *cl, bool queue_empty, struct sl_error *err);

#endif
