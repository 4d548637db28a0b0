/* SPDX-License-Identifier: Apache-2.0
 * Where a device's host thread runs: near a GPU's PCI slot; spread over the cores for CPU devices,
 * whose threads sleep nearly always and must not wait for one another.
 *
 * Thread: binds the calling thread. Only after the first OpenCL call (see discover.h). */
#ifndef SLUICE_AGENT_DEVICE_BIND_H
#define SLUICE_AGENT_DEVICE_BIND_H

#include "agent/device/discover_internal.h"

struct hwloc_topology;
/* locality.c: the machine with its PCI devices; NULL: cannot be read. hwloc_topology_destroy. */
struct hwloc_topology *sl_locality_topology(void);
/* The CPUs close to a GPU, or those of a CPU device's part; NULL: not known. hwloc_bitmap_free. */
struct hwloc_bitmap_s *sl_locality_cpus(struct hwloc_topology *topology,
                                        const struct sl_discovered *found);
/* Says it for people in every device's info; leaves it empty where it is not known. */
void sl_locality_describe(struct sl_discovery *found);

/* An error leaves the thread where it was, which is only less good. */
int sl_bind_thread(const struct sl_discovered *found, struct sl_error *err);

#endif
