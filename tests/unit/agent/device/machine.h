/* SPDX-License-Identifier: Apache-2.0
 * The machine's first OpenCL device (PoCL where there is no GPU) for unit tests. */
#ifndef SLUICE_TESTS_UNIT_AGENT_DEVICE_MACHINE_H
#define SLUICE_TESTS_UNIT_AGENT_DEVICE_MACHINE_H

#include "agent/device/cl_open.h"
#include "agent/device/discover_internal.h"

#define MACHINE_CACHE SLUICE_BINARY_DIR "/test-cache"

/* split 0: whole; NULL with a message on failure. */
static inline struct sl_discovery *machine_find(uint32_t split) {
    struct sl_discovery *found = NULL;
    struct sl_error err = {0};
    const struct sl_discover_config config = {.node = "node",
                                              .cache_dir = MACHINE_CACHE,
                                              .cpu = SL_CPU_USE_AUTO,
                                              .gpus = split == 0,
                                              .split_cpu = split};
    if (sl_discover(&config, &found, &err) != SL_OK) {
        print_error("%s\n", err.text);
    }
    return found;
}

static inline struct sl_cl_spec machine_spec(const struct sl_discovery *found, uint32_t which) {
    return (struct sl_cl_spec){.platform = found->devices[which].platform,
                               .device = found->devices[which].device,
                               .cache_dir = MACHINE_CACHE};
}

#endif
