/* SPDX-License-Identifier: Apache-2.0
 * Hostile files of a kernel driver: byte 0 chooses amdgpu, i915 or xe; the rest is cut at bytes of
 * 0xff into the texts of the files that it shows, in order. Whatever they hold, a reading comes
 * out whose figures are possible or unknown. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/telemetry/source.h"

static const char *const files[] = {
    "gpu_busy_percent",
    "mem_info_vram_total",
    "mem_info_vram_used",
    "pcie_replay_count",
    "gpu_metrics",
    "ras/umc_err_count",
    "hwmon/hwmon0/power1_average",
    "hwmon/hwmon0/power1_cap",
    "hwmon/hwmon0/temp1_input",
    "hwmon/hwmon0/temp1_label",
    "hwmon/hwmon0/energy1_input",
    "hwmon/hwmon0/power1_max",
    "power/runtime_status",
    "tile0/gt0/freq0/act_freq",
    "drm/card0/gt_act_freq_mhz",
};
#define FILES (sizeof files / sizeof files[0])

static const char *root(void) {
    static char path[64];
    if (!path[0]) {
        static const char *const folders[] = {"ras",      "hwmon",     "hwmon/hwmon0",    "power",
                                              "tile0",    "tile0/gt0", "tile0/gt0/freq0", "drm",
                                              "drm/card0"};
        char folder[128];
        strcpy(path, "/tmp/sluice-fuzz-sysfs-XXXXXX");
        if (!mkdtemp(path)) {
            abort();
        }
        for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
            snprintf(folder, sizeof folder, "%s/%s", path, folders[i]);
            mkdir(folder, 0700);
        }
    }
    return path;
}

static void put(const char *name, const uint8_t *data, size_t size, bool there) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root(), name);
    if (!there) {
        unlink(path);
        return;
    }
    FILE *file = fopen(path, "we");
    if (file) {
        fwrite(data, 1, size, file);
        fclose(file);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum sl_telemetry_source sources[] = {SL_TELEMETRY_AMDGPU, SL_TELEMETRY_I915,
                                                       SL_TELEMETRY_XE};
    struct sl_kernel_device device = {.source = sources[size ? data[0] % 3 : 0]};
    size_t at = size > 0;
    snprintf(device.folder, sizeof device.folder, "%s", root());
    for (size_t i = 0; i < FILES; i++) {
        const uint8_t *end = at < size ? memchr(data + at, 0xff, size - at) : NULL;
        size_t n = at < size ? (end ? (size_t)(end - data) - at : size - at) : 0;
        put(files[i], data + at, n, at < size);
        at += n + 1;
    }
    for (int64_t s = 1; s < 3; s++) {
        struct sl_msg_telemetry reading;
        sl_kernel_read(&device, (struct sl_mono){s * SL_NS_PER_S}, &reading);
        sl_telemetry_bound(&reading);
        for (uint32_t f = 0; f < SL_FIG_COUNT; f++) {
            const struct sl_figure_info *info = sl_figure_info(f);
            bool known = sl_telemetry_has(&reading, (enum sl_figure)f);
            if (known ? reading.figures[f] < info->min || reading.figures[f] > info->max
                      : reading.figures[f] != 0) {
                abort();
            }
        }
    }
    return 0;
}
