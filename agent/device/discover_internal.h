/* SPDX-License-Identifier: Apache-2.0
 * What discovery keeps for those who open its devices: cl_device.c, tests, benchmarks. */
#ifndef SLUICE_AGENT_DEVICE_DISCOVER_INTERNAL_H
#define SLUICE_AGENT_DEVICE_DISCOVER_INTERNAL_H

#include "agent/device/cl.h"
#include "agent/device/discover.h"

struct sl_discovered {
    cl_platform_id platform;
    cl_device_id device;
    bool is_sub;        /* made by clCreateSubDevices: released with the discovery */
    uint32_t sub_index; /* 0 when not split */
    uint32_t sub_count; /* 1 when not split */
    struct sl_device_info info;
};

struct sl_discovery {
    struct sl_discover_config config; /* node, cache_dir, sysfs_root: copies below */
    char node[SL_DEVICE_TEXT_MAX];
    char cache_dir[256];
    char sysfs_root[256];
    uint32_t count;
    struct sl_discovered devices[SL_DISCOVER_DEVICES_MAX];
};

/* identity.c: fills info.key and place from what the driver says, and the kernel below sysfs_root.
 * `ordinal` counts the platform's devices and serves only where neither PCI place nor UUID is
 * known. */
void sl_identity_read(struct sl_discovered *d, const char *node, const char *sysfs_root,
                      uint32_t ordinal);
/* The pure part: the key's text, by info.place. platform is the platform's name. */
void sl_identity_key(const struct sl_discovered *d, const char *node, const char *platform,
                     uint32_t ordinal, char ret_key[SL_DEVICE_TEXT_MAX]);

#endif
