/* SPDX-License-Identifier: Apache-2.0
 * Finds this machine's OpenCL devices through the ICD loader and gives each its stable identity
 * (design 7): a GPU's is PCI id + UUID, a CPU device's is node id + platform + sub-device index.
 *
 * This makes the process's first OpenCL call, and makes it on a niced, unbound thread of its own,
 * because PoCL's workers inherit niceness and affinity from that thread. It also sets environment
 * variables, so call it before any other thread runs, once per process.
 * Ownership: the discovery owns the sub-devices that it made; it must outlive every device created
 * from it. */
#ifndef SLUICE_AGENT_DEVICE_DISCOVER_H
#define SLUICE_AGENT_DEVICE_DISCOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/device/device.h"
#include "proto/base/cleanup.h"
#include "proto/base/error.h"

#define SL_DISCOVER_DEVICES_MAX 64
#define SL_DISCOVER_SPLIT_MAX 32

enum sl_cpu_use {
    SL_CPU_USE_INVALID = 0,
    SL_CPU_USE_AUTO, /* only where there is no GPU (that was asked for) */
    SL_CPU_USE_ALWAYS,
    SL_CPU_USE_NEVER,
};

struct sl_discover_config {
    const char *node;      /* the node's id: part of a CPU device's identity */
    const char *cache_dir; /* compiled programs; NULL: none kept. Made with mode 0700 */
    enum sl_cpu_use cpu;
    bool gpus;              /* GPUs and accelerators */
    uint32_t split_cpu;     /* sub-devices that the CPU device is split into; 0 and 1: not split */
    const char *sysfs_root; /* NULL: "/sys" */
};

struct sl_discovery;

/* -SL_NOTFOUND when nothing is found, with what to install; -SL_INVALID for a split that the CPU
 * device cannot make. */
int sl_discover(const struct sl_discover_config *config, struct sl_discovery **ret_discovery,
                struct sl_error *err);
void sl_discovery_destroy(struct sl_discovery *discovery);
SL_DEFINE_AUTO(sl_discovery, sl_discovery_destroy)

uint32_t sl_discovery_count(const struct sl_discovery *discovery);
const struct sl_device_info *sl_discovery_info(const struct sl_discovery *discovery, uint32_t i);

#endif
