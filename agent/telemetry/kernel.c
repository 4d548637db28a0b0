/* SPDX-License-Identifier: Apache-2.0
 * What the kernel shows in files: which driver serves a device, its readings, and the threads that
 * take them. RAPL counts for a CPU device that was not split. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device/power.h"
#include "agent/telemetry/source.h"
#include "proto/base/log.h"
#include "proto/base/text.h"
#include "proto/base/thread.h"

#define ENERGY_SPAN_NS_MIN (100 * SL_NS_PER_MS)

enum sl_telemetry_source sl_kernel_find(const char *root, const struct sl_device_info *info,
                                        struct sl_kernel_device *ret_device) {
    static const struct {
        const char *driver;
        enum sl_telemetry_source source;
    } drivers[] = {
        {"amdgpu", SL_TELEMETRY_AMDGPU}, {"i915", SL_TELEMETRY_I915}, {"xe", SL_TELEMETRY_XE}};
    struct sl_kernel_device device = {.source = SL_TELEMETRY_NONE};
    char pci[SL_PCI_TEXT_MAX];
    char link[2 * SL_SOURCE_TEXT_MAX];
    char to[SL_SOURCE_TEXT_MAX];
    sl_pci_text(&info->place.pci, pci);
    *ret_device = device;
    int n = snprintf(device.folder, sizeof device.folder, "%s/bus/pci/devices/%s", root, pci);
    if (!pci[0] || n < 0 || (size_t)n >= sizeof device.folder) {
        return SL_TELEMETRY_NONE;
    }
    snprintf(link, sizeof link, "%s/driver", device.folder);
    ssize_t length = readlink(link, to, sizeof to - 1);
    if (length <= 0) {
        return SL_TELEMETRY_NONE;
    }
    to[length] = '\0';
    const char *name = strrchr(to, '/') ? strrchr(to, '/') + 1 : to;
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
        if (strcmp(name, drivers[i].driver) == 0) {
            device.source = drivers[i].source;
            *ret_device = device;
        }
    }
    return ret_device->source;
}

void sl_kernel_energy(struct sl_kernel_device *device, struct sl_mono now, int64_t energy_uj,
                      struct sl_msg_telemetry *out) {
    int64_t span_ns = now.ns - device->energy_ns;
    bool counted = device->energy_ns > 0 && energy_uj >= device->energy_uj;
    if (energy_uj < 0) {
        return;
    }
    sl_telemetry_set(out, SL_FIG_ENERGY_MJ, energy_uj / 1000);
    if (counted && span_ns < ENERGY_SPAN_NS_MIN) {
        return; /* the span goes on */
    }
    if (counted) { /* uJ / ns = 1e6 mW */
        sl_telemetry_set(
            out, SL_FIG_POWER_MW,
            (int64_t)((double)(energy_uj - device->energy_uj) * 1e6 / (double)span_ns));
    }
    device->energy_uj = energy_uj; /* after a reset of the counter: from its new start */
    device->energy_ns = now.ns;
}

/* Reading some files wakes a GPU that sleeps: that costs power and tells nothing. */
static bool is_asleep(const char *folder) {
    char state[24];
    return sl_sysfs_text(folder, "power/runtime_status", state, sizeof state) &&
           (strcmp(state, "suspended") == 0 || strcmp(state, "suspending") == 0);
}

void sl_kernel_read(struct sl_kernel_device *device, struct sl_mono now,
                    struct sl_msg_telemetry *ret_reading) {
    struct sl_msg_telemetry out = {.source = device->source};
    char hwmon[2 * SL_SOURCE_TEXT_MAX] = "";
    struct stat folder;
    if (stat(device->folder, &folder) != 0) {
        device->error_blocks = 0; /* its driver counts anew */
        if (errno == ENOENT || errno == ENOTDIR) {
            sl_telemetry_set(&out, SL_FIG_LOST, 1);
            sl_text_copy(out.note, sizeof out.note, "the device has gone from its bus");
        } else { /* that it cannot be looked at does not mean that it is gone */
            snprintf(out.note, sizeof out.note, "its folder in sysfs: %s", strerror(errno));
        }
    } else if (is_asleep(device->folder)) {
        sl_telemetry_set(&out, SL_FIG_LOST, 0);
        device->energy_ns = 0;
        sl_text_copy(out.note, sizeof out.note, "asleep (runtime suspended): not woken");
    } else {
        sl_telemetry_set(&out, SL_FIG_LOST, 0);
        /* Its number changes whenever drivers are loaded in another order. */
        if (!sl_sysfs_child(device->folder, "hwmon", "hwmon", hwmon, sizeof hwmon)) {
            hwmon[0] = '\0';
            sl_text_copy(out.note, sizeof out.note, "the driver shows no sensors (hwmon)");
        }
        if (device->source == SL_TELEMETRY_AMDGPU) {
            sl_amdgpu_read(device, hwmon, &out);
        } else {
            sl_intel_read(device, hwmon, now, &out);
        }
        if (!out.note[0] && !sl_telemetry_has(&out, SL_FIG_POWER_MW) &&
            !sl_telemetry_has(&out, SL_FIG_ENERGY_MJ)) {
            sl_text_copy(out.note, sizeof out.note, "its driver does not show its power");
        }
    }
    *ret_reading = out;
}

static void read_rapl(struct sl_power *power, struct sl_mono now, struct sl_msg_telemetry *out) {
    int64_t mw = 0;
    *out = (struct sl_msg_telemetry){.source = SL_TELEMETRY_RAPL};
    if (sl_power_read(power, now, &mw)) {
        sl_telemetry_set(out, SL_FIG_POWER_MW, mw);
    }
}

/* A GPU that is read by a thread of its own: files of one whose firmware is sick may answer after
 * seconds or never, and the others of the machine are not to wait for that. */
struct watch {
    struct sl_hub *hub;
    uint32_t index;
    struct sl_kernel_device device;
};

static void *watch_main(void *arg) {
    struct watch *watch = arg;
    struct sl_hub *hub = watch->hub;
    sl_thread_name("gpu sensors");
    do {
        struct sl_mono now = sl_clock_mono();
        struct sl_msg_telemetry reading;
        sl_kernel_read(&watch->device, now, &reading);
        sl_hub_publish(hub, watch->index, now, &reading);
    } while (sl_hub_sleep(hub, hub->interval_ms));
    free(watch);
    sl_hub_release(hub);
    return NULL;
}

static void watch_gpu(struct sl_hub *hub, uint32_t index) {
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch &&
        sl_kernel_find(hub->root, &hub->slots[index].info, &watch->device) != SL_TELEMETRY_NONE) {
        watch->hub = hub;
        watch->index = index;
        if (sl_hub_thread(hub, watch_main, watch)) {
            return;
        }
        sl_log(SL_LOG_ERROR, "telemetry.thread", "device=%s no thread to read its sensors",
               hub->slots[index].info.key);
    }
    free(watch);
}

static bool is_whole_cpu(const struct sl_device_info *info) {
    return info->is_cpu && !info->place.part;
}

/* Since Linux 5.10 the counters are root's alone: one can listen to other programs by them. */
static void tell_denied(struct sl_hub *hub) {
    for (uint32_t i = 0; i < hub->count; i++) {
        struct sl_sensor_slot *slot = &hub->slots[i];
        if (is_whole_cpu(&slot->info)) {
            pthread_mutex_lock(&hub->lock);
            sl_text_copy(slot->newest.note, sizeof slot->newest.note,
                         "the energy counter (RAPL) is for root alone");
            pthread_mutex_unlock(&hub->lock);
            sl_log(SL_LOG_WARN, "telemetry.denied",
                   "device=%s its power is unknown: only root may read the energy counter below "
                   "%s/class/powercap. Give this program's user the right to (docs/operating.md, "
                   "Sensors), or set devices.rated_watts",
                   slot->info.key, hub->root);
        }
    }
}

void *sl_kernel_main(void *arg) {
    struct sl_hub *hub = arg;
    struct sl_power power;
    bool any = false;
    sl_thread_name("telemetry");
    bool has_power = sl_power_open(&power, hub->root, sl_clock_mono());
    for (uint32_t i = 0; i < hub->count; i++) {
        watch_gpu(hub, i);
        any = any || is_whole_cpu(&hub->slots[i].info);
    }
    if (any && !has_power && power.denied) {
        tell_denied(hub);
    }
    while (any && has_power) {
        for (uint32_t i = 0; i < hub->count; i++) {
            struct sl_mono now = sl_clock_mono();
            struct sl_msg_telemetry reading;
            if (is_whole_cpu(&hub->slots[i].info)) {
                read_rapl(&power, now, &reading);
                sl_hub_publish(hub, i, now, &reading);
            }
        }
        if (!sl_hub_sleep(hub, hub->interval_ms)) {
            break;
        }
    }
    sl_hub_release(hub);
    return NULL;
}
