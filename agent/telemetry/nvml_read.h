/* SPDX-License-Identifier: Apache-2.0
 * One GPU by NVML: finding it and reading it. Each call may hang. */
#ifndef SLUICE_AGENT_TELEMETRY_NVML_READ_H
#define SLUICE_AGENT_TELEMETRY_NVML_READ_H

#include "agent/device/device.h"
#include "agent/telemetry/nvml_abi.h"
#include "proto/wire/msg_telemetry.h"

struct sl_nvml_gpu {
    void *handle;  /* NULL: to be looked for */
    bool seen;     /* it was there once */
    bool lost;     /* and is not now */
    bool mismatch; /* the driver was replaced under the library */
    /* Of nvml_readers.c. */
    int64_t since_ns; /* its reader is busy with it since then; 0: nobody is */
    uint64_t reader;  /* which; holds with since_ns */
    bool read;        /* looked for or read at least once */
    bool broken;      /* `mismatch` when it was last read */
    bool told;        /* the log has its present hang */
    int64_t told_ns;  /* 0: none yet */
};

/* By PCI place, and the UUID must then be the same where both are known; else by UUID. NULL: not
 * one of NVIDIA's, or not there (NVML_NOT_FOUND), or what else the library answered. */
void *sl_nvml_find(const struct nvml_api *api, const struct sl_device_info *info, int *ret_answer);
/* What an answer that concerns the whole library means to the operator. */
const char *sl_nvml_trouble(int answer, const char *otherwise);
/* What the library does not have, or refuses to say, stays unknown. False: the GPU is lost. */
bool sl_nvml_read(const struct nvml_api *api, const struct sl_device_info *info,
                  struct sl_nvml_gpu *gpu, struct sl_msg_telemetry *ret_reading);

#endif
