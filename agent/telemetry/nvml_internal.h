/* SPDX-License-Identifier: Apache-2.0
 * Inside of the NVML source: nvml.c (loading, start and end, events), nvml_readers.c (the threads
 * that read GPUs). */
#ifndef SLUICE_AGENT_TELEMETRY_NVML_INTERNAL_H
#define SLUICE_AGENT_TELEMETRY_NVML_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/telemetry/nvml_abi.h"
#include "agent/telemetry/nvml_read.h"
#include "agent/telemetry/source.h"

/* Shared by all threads of this source; the last one to leave frees it. */
struct nvml {
    struct sl_hub *hub;
    struct nvml_api api;
    atomic_uint users;
    pthread_mutex_t lock;      /* all below, but for what a GPU's reader has to itself */
    uint32_t generation;       /* rises when a handle changes */
    uint64_t reader;           /* number of the thread that goes on reading */
    uint32_t left;             /* readers that were left inside a call, and are there still */
    struct sl_nvml_gpu gpus[]; /* [hub->count] */
};

/* One more thread of this source, detached: it may never come back. `arg` is not freed. */
bool sl_nvml_thread(struct nvml *n, void *(*thread_main)(void *), void *arg);
/* Of the thread that ends. */
void sl_nvml_release(struct nvml *n);
/* Why there is nothing, where nobody has said anything yet; empty: nothing is known of it. */
void sl_nvml_say_why(struct sl_hub *hub, uint32_t device, const char *note);
/* Whether it may be NVIDIA's. */
bool sl_nvml_wants(const struct sl_sensor_slot *slot);

/* Reads until the hub closes. One thread reads all GPUs in turn. When a call about one does not
 * come back, that thread is left behind with it, and a new one goes on with the others; the GPU is
 * read again once its call has come back. At most four are left at a time: with one more that
 * hangs, all wait. `begun`: called once all have been looked for, or are known to hang. */
void sl_nvml_read_all(struct nvml *n, void (*begun)(struct nvml *));

#endif
