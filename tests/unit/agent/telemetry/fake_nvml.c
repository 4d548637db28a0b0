/* SPDX-License-Identifier: Apache-2.0
 * A library that speaks NVML's binary interface, for tests: what its GPUs say stands in the file
 * that SLUICE_FAKE_NVML names, read anew at every call, so that a test changes a running agent's
 * GPUs by writing it. Lines of words:
 *
 *   init RC                 what nvmlInit answers
 *   hang 1                  every call but dlopen blocks while this line is there
 *   hangs pci=...           calls about this GPU block, likewise
 *   rc NAME RC              what the function of this name answers
 *   gpu pci=... uuid=GPU-... [watts_mw= limit_mw= energy_mj= temp= temp_memory= clock=
 * memory_clock= busy= total_mib= used_mib= fan= reasons= ecc= ecc_corrected= pending= failed=
 * replays= rc=] event ID GPU TYPE DATA  given out once for each ID, in rising order
 *
 * Built twice: with OLD it lacks the newer names and what old libraries lack. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "agent/telemetry/nvml_abi.h"

#define GPUS 8
#define EXPORT __attribute__((visibility("default")))

/* A library has no other place; two threads of one agent may call it. */
static _Thread_local char text[8192];
static const char handles[GPUS];
#ifndef OLD
static unsigned long last_event;   /* given out already */
static _Atomic bool watched[GPUS]; /* in the set of events, of which there is one */
#endif

static const char *line_of(const char *start, int skip) {
    size_t n = strlen(start);
    for (const char *at = text; at && *at; at = strchr(at, '\n'), at += at != NULL) {
        if (strncmp(at, start, n) == 0 && skip-- == 0) {
            return at + n;
        }
    }
    return NULL;
}

static void refresh(void) {
    const char *path = getenv("SLUICE_FAKE_NVML");
    for (;;) {
        FILE *file = path ? fopen(path, "re") : NULL;
        size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
        text[n] = '\0';
        if (file) {
            fclose(file);
        }
        if (!line_of("hang 1", 0)) {
            return;
        }
        usleep(5000);
    }
}

/* Beginning of every call. */
static int begin(const char *name) {
    char start[96];
    refresh();
    snprintf(start, sizeof start, "rc %s ", name);
    const char *rc = line_of(start, 0);
    return rc ? atoi(rc) : NVML_OK;
}

static bool word(const char *line, const char *key, char *out, size_t size);

/* While the GPU's calls hang. */
static void wait_for(int index) {
    for (;;) {
        char pci[64];
        char start[96];
        const char *gpu = line_of("gpu ", index);
        if (!gpu || !word(gpu, "pci", pci, sizeof pci)) {
            return;
        }
        snprintf(start, sizeof start, "hangs pci=%s", pci);
        if (!line_of(start, 0)) {
            return;
        }
        usleep(5000);
        refresh();
    }
}

/* Handles are addresses that say the index. */
static void *handle_of(int index) {
    return (void *)(uintptr_t)&handles[index];
}
static const char *gpu_of(const void *handle) {
    return line_of("gpu ", (int)((const char *)handle - handles));
}

static bool word(const char *line, const char *key, char *out, size_t size) {
    size_t n = strlen(key);
    for (const char *at = line; at && *at && *at != '\n'; at++) {
        if ((at == line || at[-1] == ' ') && strncmp(at, key, n) == 0 && at[n] == '=') {
            size_t length = strcspn(at + n + 1, " \n");
            snprintf(out, size, "%.*s", (int)length, at + n + 1);
            return true;
        }
    }
    return false;
}

/* A figure of a GPU, or what it answers in its place. */
static int figure(const char *name, const void *device, const char *key, long long *ret_value) {
    char value[64];
    int rc = begin(name);
    wait_for((int)((const char *)device - handles));
    const char *gpu = gpu_of(device);
    if (rc == NVML_OK && !gpu) {
        return NVML_GPU_IS_LOST;
    }
    if (rc == NVML_OK && word(gpu, "rc", value, sizeof value)) {
        rc = atoi(value);
    }
    if (rc != NVML_OK) {
        return rc;
    }
    if (!word(gpu, key, value, sizeof value)) {
        return NVML_NOT_SUPPORTED;
    }
    *ret_value = atoll(value);
    return NVML_OK;
}

static int find(const char *name, const char *key, const char *wanted, void **ret_device) {
    int rc = begin(name);
    for (int i = 0; rc == NVML_OK && i < GPUS; i++) {
        char value[96];
        const char *gpu = line_of("gpu ", i);
        if (gpu && word(gpu, "rc", value, sizeof value) && atoi(value) == NVML_GPU_IS_LOST) {
            continue;
        }
        if (gpu && word(gpu, key, value, sizeof value) && strcasecmp(value, wanted) == 0) {
            *ret_device = handle_of(i);
            return NVML_OK;
        }
    }
    return rc ? rc : NVML_NOT_FOUND;
}

#define UNSIGNED(function, key)                                                                    \
    EXPORT int function(void *device, unsigned *out);                                              \
    EXPORT int function(void *device, unsigned *out) {                                             \
        long long value = 0;                                                                       \
        int rc = figure(#function, device, key, &value);                                           \
        *out = rc ? *out : (unsigned)value;                                                        \
        return rc;                                                                                 \
    }

static int start(void) {
    refresh();
    const char *rc = line_of("init ", 0);
    return rc ? atoi(rc) : NVML_OK;
}

UNSIGNED(nvmlDeviceGetPowerUsage, "watts_mw")
UNSIGNED(nvmlDeviceGetFanSpeed, "fan")

EXPORT int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *out);
EXPORT int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *out) {
    long long value = 0;
    int rc = sensor == 0 ? figure("nvmlDeviceGetTemperature", device, "temp", &value) : 2;
    *out = rc ? *out : (unsigned)value;
    return rc;
}

EXPORT int nvmlShutdown(void);
EXPORT int nvmlShutdown(void) {
    return NVML_OK;
}

/* The address may have a domain of four or of eight digits. */
static int by_pci(const char *name, const char *pci, void **ret_device) {
    const char *wanted = strlen(pci) > 12 && strncmp(pci, "0000", 4) == 0 ? pci + 4 : pci;
    return find(name, "pci", wanted, ret_device);
}

EXPORT int nvmlDeviceGetMemoryInfo(void *device, struct nvml_memory *out);
EXPORT int nvmlDeviceGetMemoryInfo(void *device, struct nvml_memory *out) {
    long long total = 0;
    long long used = 0;
    int rc = figure("nvmlDeviceGetMemoryInfo", device, "total_mib", &total);
    rc = rc ? rc : figure("nvmlDeviceGetMemoryInfo", device, "used_mib", &used);
    if (rc == NVML_OK) {
        out->total = (unsigned long long)total << 20;
        out->used = (unsigned long long)used << 20;
        out->free = out->total - out->used;
    }
    return rc;
}

static int wide(const char *name, void *device, const char *key, unsigned long long *out) {
    long long value = 0;
    int rc = figure(name, device, key, &value);
    *out = rc ? *out : (unsigned long long)value;
    return rc;
}

#ifdef OLD

EXPORT int nvmlInit(void);
EXPORT int nvmlInit(void) {
    return start();
}
EXPORT int nvmlDeviceGetHandleByPciBusId(const char *pci, void **ret_device);
EXPORT int nvmlDeviceGetHandleByPciBusId(const char *pci, void **ret_device) {
    return by_pci("nvmlDeviceGetHandleByPciBusId", pci, ret_device);
}
EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *out);
EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *out) {
    return wide("nvmlDeviceGetCurrentClocksThrottleReasons", device, "reasons", out);
}

#else

UNSIGNED(nvmlDeviceGetEnforcedPowerLimit, "limit_mw")
UNSIGNED(nvmlDeviceGetPcieReplayCounter, "replays")

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlInit_v2(void) {
    return start();
}
EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **ret_device);
EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **ret_device) {
    return by_pci("nvmlDeviceGetHandleByPciBusId_v2", pci, ret_device);
}
EXPORT int nvmlDeviceGetHandleByUUID(const char *uuid, void **ret_device);
EXPORT int nvmlDeviceGetHandleByUUID(const char *uuid, void **ret_device) {
    return find("nvmlDeviceGetHandleByUUID", "uuid", uuid, ret_device);
}
EXPORT int nvmlDeviceGetUUID(void *device, char *out, unsigned size);
EXPORT int nvmlDeviceGetUUID(void *device, char *out, unsigned size) {
    int rc = begin("nvmlDeviceGetUUID");
    const char *gpu = gpu_of(device);
    return rc ? rc : gpu && word(gpu, "uuid", out, size) ? NVML_OK : NVML_NOT_SUPPORTED;
}
EXPORT int nvmlDeviceGetPciInfo_v3(void *device, struct nvml_pci *out);
EXPORT int nvmlDeviceGetPciInfo_v3(void *device, struct nvml_pci *out) {
    char value[64];
    int rc = begin("nvmlDeviceGetPciInfo_v3");
    const char *gpu = gpu_of(device);
    if (rc || !gpu || !word(gpu, "pci", value, sizeof value)) {
        return rc ? rc : NVML_NOT_FOUND;
    }
    memset(out, 0, sizeof *out);
    unsigned parts[3] = {0};
    if (sscanf(value, "%x:%x:%x", &parts[0], &parts[1], &parts[2]) != 3) {
        return NVML_NOT_FOUND;
    }
    out->domain = parts[0];
    out->bus = parts[1];
    out->device = parts[2];
    return NVML_OK;
}
EXPORT int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *out);
EXPORT int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *out) {
    return wide("nvmlDeviceGetTotalEnergyConsumption", device, "energy_mj", out);
}
EXPORT int nvmlDeviceGetTemperatureV(void *device, struct nvml_temperature *out);
EXPORT int nvmlDeviceGetTemperatureV(void *device, struct nvml_temperature *out) {
    long long value = 0;
    int rc = figure("nvmlDeviceGetTemperatureV", device, "temp", &value);
    rc = rc == NVML_OK && out->version != NVML_TEMPERATURE_VERSION ? 25 : rc;
    out->celsius = (int)value;
    return rc;
}
EXPORT int nvmlDeviceGetClockInfo(void *device, int type, unsigned *out);
EXPORT int nvmlDeviceGetClockInfo(void *device, int type, unsigned *out) {
    long long value = 0;
    int rc = figure("nvmlDeviceGetClockInfo", device, type == 2 ? "memory_clock" : "clock", &value);
    *out = (unsigned)value;
    return rc;
}
EXPORT int nvmlDeviceGetUtilizationRates(void *device, struct nvml_utilization *out);
EXPORT int nvmlDeviceGetUtilizationRates(void *device, struct nvml_utilization *out) {
    long long value = 0;
    int rc = figure("nvmlDeviceGetUtilizationRates", device, "busy", &value);
    out->gpu = (unsigned)value;
    out->memory = 0;
    return rc;
}
EXPORT int nvmlDeviceGetMemoryInfo_v2(void *device, struct nvml_memory_v2 *out);
EXPORT int nvmlDeviceGetMemoryInfo_v2(void *device, struct nvml_memory_v2 *out) {
    struct nvml_memory memory;
    int rc = begin("nvmlDeviceGetMemoryInfo_v2");
    rc = rc ? rc : nvmlDeviceGetMemoryInfo(device, &memory);
    if (rc == NVML_OK && out->version != NVML_MEMORY_VERSION) {
        return 25;
    }
    if (rc == NVML_OK) {
        out->total = memory.total;
        out->used = memory.used;
    }
    return rc;
}
EXPORT int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *out);
EXPORT int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *out) {
    return wide("nvmlDeviceGetCurrentClocksEventReasons", device, "reasons", out);
}
EXPORT int nvmlDeviceGetTotalEccErrors(void *device, int type, int counter,
                                       unsigned long long *out);
EXPORT int nvmlDeviceGetTotalEccErrors(void *device, int type, int counter,
                                       unsigned long long *out) {
    if (counter != 0) {
        return 2;
    }
    return wide("nvmlDeviceGetTotalEccErrors", device, type == 1 ? "ecc" : "ecc_corrected", out);
}
EXPORT int nvmlDeviceGetRemappedRows(void *device, unsigned *corrected, unsigned *uncorrected,
                                     unsigned *pending, unsigned *failed);
EXPORT int nvmlDeviceGetRemappedRows(void *device, unsigned *corrected, unsigned *uncorrected,
                                     unsigned *pending, unsigned *failed) {
    long long value[2] = {0, 0};
    int rc = figure("nvmlDeviceGetRemappedRows", device, "pending", &value[0]);
    rc = rc ? rc : figure("nvmlDeviceGetRemappedRows", device, "failed", &value[1]);
    *corrected = *uncorrected = 0;
    *pending = (unsigned)value[0];
    *failed = (unsigned)value[1];
    return rc;
}
EXPORT int nvmlDeviceGetRetiredPagesPendingStatus(void *device, int *out);
EXPORT int nvmlDeviceGetRetiredPagesPendingStatus(void *device, int *out) {
    long long value = 0;
    int rc = figure("nvmlDeviceGetRetiredPagesPendingStatus", device, "pages_pending", &value);
    *out = (int)value;
    return rc;
}
EXPORT int nvmlDeviceGetFieldValues(void *device, int count, struct nvml_field *fields);
EXPORT int nvmlDeviceGetFieldValues(void *device, int count, struct nvml_field *fields) {
    int rc = begin("nvmlDeviceGetFieldValues");
    for (int i = 0; rc == NVML_OK && i < count; i++) {
        long long value = 0;
        const char *key = fields[i].id == NVML_FIELD_MEMORY_TEMP       ? "temp_memory"
                          : fields[i].id == NVML_FIELD_RECOVERY_ACTION ? "recovery"
                                                                       : NULL;
        fields[i].rc =
            key ? figure("nvmlDeviceGetFieldValues", device, key, &value) : NVML_NOT_SUPPORTED;
        fields[i].value_type = 1;
        fields[i].value.ui = (unsigned)value;
    }
    return rc;
}

EXPORT int nvmlEventSetCreate(void **ret_set);
EXPORT int nvmlEventSetCreate(void **ret_set) {
    int rc = begin("nvmlEventSetCreate");
    for (int i = 0; i < GPUS; i++) {
        watched[i] = false;
    }
    *ret_set = rc ? NULL : handle_of(0);
    return rc;
}
EXPORT int nvmlEventSetFree(void *set);
EXPORT int nvmlEventSetFree(void *set) {
    return set == handle_of(0) ? NVML_OK : 2;
}
EXPORT int nvmlDeviceGetSupportedEventTypes(void *device, unsigned long long *out);
EXPORT int nvmlDeviceGetSupportedEventTypes(void *device, unsigned long long *out) {
    *out = NVML_EVENT_XID_CRITICAL | NVML_EVENT_DOUBLE_BIT_ECC;
    return device ? begin("nvmlDeviceGetSupportedEventTypes") : 2;
}
EXPORT int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *set);
EXPORT int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *set) {
    int rc = device && types && set == handle_of(0) ? begin("nvmlDeviceRegisterEvents") : 2;
    watched[rc ? 0 : (const char *)device - handles] |= rc == NVML_OK;
    return rc;
}
/* One GPU of the set that is gone is an error for all, as NVIDIA's library may have it. */
static int watched_are_there(void) {
    char rc[8];
    for (int i = 0; i < GPUS; i++) {
        const char *gpu = line_of("gpu ", i);
        if (watched[i] && gpu && word(gpu, "rc", rc, sizeof rc)) {
            return atoi(rc);
        }
    }
    return NVML_OK;
}
EXPORT int nvmlEventSetWait_v2(void *set, struct nvml_event *out, unsigned timeout_ms);
EXPORT int nvmlEventSetWait_v2(void *set, struct nvml_event *out, unsigned timeout_ms) {
    for (unsigned waited = 0; set == handle_of(0); waited += 5) {
        int rc = begin("nvmlEventSetWait_v2");
        rc = rc ? rc : watched_are_there();
        for (int i = 0; rc == NVML_OK && i < 64; i++) {
            const char *line = line_of("event ", i);
            unsigned long id = 0;
            int gpu = 0;
            if (!line || sscanf(line, "%lu %d %llu %llu", &id, &gpu, &out->type, &out->data) != 4) {
                break;
            }
            if (id > last_event) {
                last_event = id;
                out->device = handle_of(gpu);
                return NVML_OK;
            }
        }
        if (rc != NVML_OK || waited >= timeout_ms) {
            return rc ? rc : NVML_TIMED_OUT;
        }
        usleep(5000);
    }
    return 2;
}

#endif
