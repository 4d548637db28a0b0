/* SPDX-License-Identifier: Apache-2.0
 * The sensors of the agent's devices: NVML (opened at run time, never linked), the kernel's files
 * of amdgpu, i915 and xe, RAPL. A device is found by its PCI place, else by its UUID, never by an
 * index. What is not known is unknown, with a note that says why.
 *
 * Each source has a thread of its own, so that a driver that hangs makes its figures unknown and
 * stops nothing else: sl_telemetry_get never waits for one, and destroy leaves a thread that does
 * not come back behind, with its memory. Thread: create, get and destroy from one thread. */
#ifndef SLUICE_AGENT_TELEMETRY_TELEMETRY_H
#define SLUICE_AGENT_TELEMETRY_TELEMETRY_H

#include <stdint.h>

#include "agent/device/device.h"
#include "proto/base/cleanup.h"
#include "proto/base/error.h"
#include "proto/wire/msg_telemetry.h"

#define SL_TELEMETRY_DEVICES_MAX 64
#define SL_NVML_LIBRARY "libnvidia-ml.so.1"

struct sl_telemetry_config {
    const char *root;         /* "/sys" in life */
    const char *nvml_library; /* empty: not opened */
    int64_t interval_ms;      /* between two readings; 0: no sensors at all */
    int64_t stale_ms;         /* a source that said nothing for so long is unknown */
};

struct sl_telemetry;

/* infos are copied. Never waits for a driver. */
int sl_telemetry_create(const struct sl_telemetry_config *config,
                        const struct sl_device_info *const *infos, uint32_t count,
                        struct sl_telemetry **ret_telemetry, struct sl_error *err);
void sl_telemetry_destroy(struct sl_telemetry *telemetry);
SL_DEFINE_AUTO(sl_telemetry, sl_telemetry_destroy)

/* What is known of a device now. Counting facts count since create. */
void sl_telemetry_get(struct sl_telemetry *telemetry, uint32_t device,
                      struct sl_msg_telemetry *ret_telemetry);

#endif
