/* SPDX-License-Identifier: Apache-2.0
 * An OpenCL device behind the vtable of device.h: one thread, which alone calls OpenCL for it.
 *
 * After creation the thread opens the device, prepares every executor, measures, and reports READY
 * or FAILED; that takes seconds. Every MODE command gets exactly one STARTED, when the first launch
 * of the new mode has finished (at once for idle); a MODE that comes without a halt halts by
 * itself, without a HALTED. A MODE with the epoch and mode that ran before a halt resumes them. A
 * launch that does not end within hang_ms makes the device FAILED for good.
 *
 * Ownership: the discovery must outlive the device; the config's contents are copied, the
 * factories' `arg` must outlive the device. sl_device_destroy ends the thread, with or without a
 * QUIT before; if its driver hangs the thread is left behind and its memory with it. */
#ifndef SLUICE_AGENT_DEVICE_CL_DEVICE_H
#define SLUICE_AGENT_DEVICE_CL_DEVICE_H

#include "agent/device/device.h"
#include "agent/device/discover.h"

#define SL_DEVICE_LAUNCH_MS 50 /* as long as is efficient; the stop word cuts it (design 8) */
#define SL_DEVICE_LAUNCH_MS_NO_STOP 1

struct sl_cl;
struct sl_executor;

/* Makes one executor of a device; called on the device's thread. */
struct sl_executor_factory {
    int (*create)(struct sl_cl *cl, uint32_t launch_ms, const void *arg,
                  struct sl_executor **ret_ex, struct sl_error *err);
    const void *arg;
    enum sl_mode mode;
};

struct sl_cl_device_config {
    struct sl_executor_factory factories[SL_MODE_COUNT]; /* idle is needed */
    uint32_t factory_count;
    uint32_t launch_ms; /* 0: SL_DEVICE_LAUNCH_MS */
    bool force_gpu_kernels;
    bool force_no_stop_word;
    bool tune_again; /* what was tuned and measured at earlier starts does not count */
    int64_t rated_mw[SL_MODE_COUNT]; /* 0: not rated */
    const char *sysfs_root;          /* NULL: "/sys" */
    uint32_t hang_ms;                /* 0: 30 s */
};

int sl_cl_device_create(const struct sl_discovery *discovery, uint32_t which,
                        const struct sl_cl_device_config *config, uint32_t index,
                        struct sl_mailbox *events, struct sl_device **ret_device,
                        struct sl_error *err);

#endif
