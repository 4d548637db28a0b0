/* SPDX-License-Identifier: Apache-2.0
 * Where a device's host thread runs: near a GPU's PCI slot; spread over the cores for CPU devices,
 * whose threads sleep nearly always and must not wait for one another.
 *
 * Thread: binds the calling thread. Only after the first OpenCL call (see discover.h). */
#ifndef SLUICE_AGENT_DEVICE_BIND_H
#define SLUICE_AGENT_DEVICE_BIND_H

#include "agent/device/discover_internal.h"

/* An error leaves the thread where it was, which is only less good. */
int sl_bind_thread(const struct sl_discovered *found, struct sl_error *err);

#endif
