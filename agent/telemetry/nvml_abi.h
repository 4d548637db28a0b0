/* SPDX-License-Identifier: Apache-2.0
 * The part of NVML's binary interface that we use, declared by us (Debian's main has no header of
 * it): names and layouts as NVIDIA documents them for API versions 11 to 13. What a library lacks
 * is a capability that is absent. Also spoken by the fake library of the tests. */
#ifndef SLUICE_AGENT_TELEMETRY_NVML_ABI_H
#define SLUICE_AGENT_TELEMETRY_NVML_ABI_H

#include <stdint.h>

enum {
    NVML_OK = 0,
    NVML_UNINITIALIZED = 1,
    NVML_NOT_SUPPORTED = 3,
    NVML_NO_PERMISSION = 4,
    NVML_NOT_FOUND = 6,
    NVML_DRIVER_NOT_LOADED = 9,
    NVML_TIMED_OUT = 10,
    NVML_GPU_IS_LOST = 15,
    NVML_RESET_REQUIRED = 16,
    NVML_OPERATING_SYSTEM = 17,
    NVML_VERSION_MISMATCH = 18,
};

struct nvml_pci {
    char legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};
struct nvml_temperature {
    unsigned version; /* size | 1 << 24 */
    int sensor;       /* 0: the GPU */
    int celsius;
};
struct nvml_utilization {
    unsigned gpu, memory; /* percent */
};
struct nvml_memory {
    unsigned long long total, free, used;
};
struct nvml_memory_v2 {
    unsigned version; /* size | 2 << 24 */
    unsigned long long total, reserved, free, used;
};
struct nvml_field {
    unsigned id, scope;
    long long timestamp_us, latency_us;
    int value_type; /* 1: unsigned */
    int rc;         /* of this one */
    union {
        double real;
        unsigned ui;
        unsigned long ul;
        unsigned long long ull;
        long long sll;
    } value;
};
struct nvml_event {
    void *device;
    unsigned long long type, data; /* data of a critical error: its number */
    unsigned gpu_instance, compute_instance;
};

#define NVML_TEMPERATURE_VERSION ((unsigned)sizeof(struct nvml_temperature) | 1u << 24)
#define NVML_MEMORY_VERSION ((unsigned)sizeof(struct nvml_memory_v2) | 2u << 24)
#define NVML_FIELD_MEMORY_TEMP 82
#define NVML_FIELD_RECOVERY_ACTION 230
#define NVML_EVENT_DOUBLE_BIT_ECC 2ull
#define NVML_EVENT_XID_CRITICAL 8ull
#define NVML_EVENT_UNAVAILABLE 0x4000ull
#define NVML_EVENT_RECOVERY 0x8000ull

#define NVML_REASON_POWER_CAP 0x4ull
#define NVML_REASON_HW_SLOWDOWN 0x8ull
#define NVML_REASON_SW_THERMAL 0x20ull
#define NVML_REASON_HW_THERMAL 0x40ull
#define NVML_REASON_POWER_BRAKE 0x80ull

/* member, type, the name to look for first, and the one where that is missing. */
#define NVML_FUNCTIONS(X)                                                                          \
    X(init, (void), "nvmlInit_v2", "nvmlInit")                                                     \
    X(shutdown, (void), "nvmlShutdown", NULL)                                                      \
    X(by_pci, (const char *, void **), "nvmlDeviceGetHandleByPciBusId_v2",                         \
      "nvmlDeviceGetHandleByPciBusId")                                                             \
    X(by_uuid, (const char *, void **), "nvmlDeviceGetHandleByUUID", NULL)                         \
    X(uuid, (void *, char *, unsigned), "nvmlDeviceGetUUID", NULL)                                 \
    X(pci, (void *, struct nvml_pci *), "nvmlDeviceGetPciInfo_v3", NULL)                           \
    X(power, (void *, unsigned *), "nvmlDeviceGetPowerUsage", NULL)                                \
    X(power_limit, (void *, unsigned *), "nvmlDeviceGetEnforcedPowerLimit", NULL)                  \
    X(energy, (void *, unsigned long long *), "nvmlDeviceGetTotalEnergyConsumption", NULL)         \
    X(temperature_v, (void *, struct nvml_temperature *), "nvmlDeviceGetTemperatureV", NULL)       \
    X(temperature, (void *, int, unsigned *), "nvmlDeviceGetTemperature", NULL)                    \
    X(clock, (void *, int, unsigned *), "nvmlDeviceGetClockInfo", NULL)                            \
    X(utilization, (void *, struct nvml_utilization *), "nvmlDeviceGetUtilizationRates", NULL)     \
    X(memory_v2, (void *, struct nvml_memory_v2 *), "nvmlDeviceGetMemoryInfo_v2", NULL)            \
    X(memory, (void *, struct nvml_memory *), "nvmlDeviceGetMemoryInfo", NULL)                     \
    X(fan, (void *, unsigned *), "nvmlDeviceGetFanSpeed", NULL)                                    \
    X(reasons, (void *, unsigned long long *), "nvmlDeviceGetCurrentClocksEventReasons",           \
      "nvmlDeviceGetCurrentClocksThrottleReasons")                                                 \
    X(ecc, (void *, int, int, unsigned long long *), "nvmlDeviceGetTotalEccErrors", NULL)          \
    X(remapped, (void *, unsigned *, unsigned *, unsigned *, unsigned *),                          \
      "nvmlDeviceGetRemappedRows", NULL)                                                           \
    X(retired_pending, (void *, int *), "nvmlDeviceGetRetiredPagesPendingStatus", NULL)            \
    X(replays, (void *, unsigned *), "nvmlDeviceGetPcieReplayCounter", NULL)                       \
    X(fields, (void *, int, struct nvml_field *), "nvmlDeviceGetFieldValues", NULL)                \
    X(event_set, (void **), "nvmlEventSetCreate", NULL)                                            \
    X(event_types, (void *, unsigned long long *), "nvmlDeviceGetSupportedEventTypes", NULL)       \
    X(event_register, (void *, unsigned long long, void *), "nvmlDeviceRegisterEvents", NULL)      \
    X(event_wait, (void *, struct nvml_event *, unsigned), "nvmlEventSetWait_v2",                  \
      "nvmlEventSetWait")                                                                          \
    X(event_free, (void *), "nvmlEventSetFree", NULL)

#define NVML_POINTER(member, type, name, fallback) int(*member) type;
struct nvml_api {
    void *library;
    NVML_FUNCTIONS(NVML_POINTER)
};

#endif
