/* SPDX-License-Identifier: Apache-2.0
 * amdgpu, by the kernel's documentation (GPU driver, "thermal" and "RAS"): files of the PCI device
 * and of its hwmon. Power in uW, temperatures in mC, clocks in Hz, memory in bytes. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "agent/telemetry/source.h"

#define MIB (INT64_C(1) << 20)

static void scaled(const char *folder, const char *name, int64_t divisor, enum sl_figure figure,
                   struct sl_msg_telemetry *out) {
    int64_t value = 0;
    if (sl_sysfs_number(folder, name, &value)) {
        sl_telemetry_set(out, figure, value / divisor);
    }
}

/* ras/BLOCK_err_count: "ue: N" and "ce: N"; the sum over all blocks that can be read. A block that
 * could be read before and cannot now makes the sum unknown: when it came back, its old errors
 * would look like new ones. */
static void errors(struct sl_kernel_device *device, struct sl_msg_telemetry *out) {
    char ras[SL_SOURCE_TEXT_MAX + 8];
    int64_t sums[2] = {0, 0};
    uint32_t blocks = 0;
    snprintf(ras, sizeof ras, "%s/ras", device->folder);
    DIR *dir = opendir(ras);
    if (!dir) {
        return;
    }
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char text[128];
        int64_t ue = 0;
        int64_t ce = 0;
        size_t n = strlen(e->d_name);
        if (n > 10 && strcmp(e->d_name + n - 10, "_err_count") == 0 &&
            sl_sysfs_text(ras, e->d_name, text, sizeof text) && sl_sysfs_field(text, "ue", &ue) &&
            sl_sysfs_field(text, "ce", &ce) && ue >= 0 && ce >= 0 && ue < INT32_MAX &&
            ce < INT32_MAX) {
            sums[0] += ue;
            sums[1] += ce;
            blocks++;
        }
    }
    closedir(dir);
    if (blocks > 0 && blocks >= device->error_blocks) {
        device->error_blocks = blocks;
        sl_telemetry_set(out, SL_FIG_ECC_UNCORRECTED, sums[0]);
        sl_telemetry_set(out, SL_FIG_ECC_CORRECTED, sums[1]);
    }
}

/* gpu_metrics is a struct of the driver with its size and version in front. Version 1.3 has, at
 * 112, one 64-bit word of reasons that mean the same on every chip: bits 0-7 power limits, 16-23
 * current limits, 32-47 temperatures. Of other versions the reasons stay unknown. */
#define METRICS_1_3_BYTES 120
#define METRICS_REASONS_AT 112
static void throttle(const char *folder, struct sl_msg_telemetry *out) {
    uint8_t bytes[256];
    int n = sl_sysfs_bytes(folder, "gpu_metrics", bytes, sizeof bytes);
    if (n < METRICS_1_3_BYTES || bytes[0] + 256 * bytes[1] != METRICS_1_3_BYTES || bytes[2] != 1 ||
        bytes[3] != 3) {
        return;
    }
    uint64_t reasons = 0;
    memcpy(&reasons, bytes + METRICS_REASONS_AT, sizeof reasons);
    int64_t bits = 0;
    bits |= reasons & 0xff ? SL_THROTTLE_POWER_CAP : 0;
    bits |= reasons & 0xff0000 ? SL_THROTTLE_HARDWARE : 0;
    bits |= reasons & UINT64_C(0xffff00000000) ? SL_THROTTLE_THERMAL : 0;
    sl_telemetry_set(out, SL_FIG_THROTTLE, reasons == UINT64_MAX ? 0 : bits);
    if (reasons == UINT64_MAX) { /* how the driver says that it does not know */
        sl_telemetry_forget(out, SL_FIG_THROTTLE);
    }
}

void sl_amdgpu_read(struct sl_kernel_device *device, const char *hwmon,
                    struct sl_msg_telemetry *out) {
    const char *folder = device->folder;
    scaled(folder, "gpu_busy_percent", 1, SL_FIG_BUSY_PPT, out);
    if (sl_telemetry_has(out, SL_FIG_BUSY_PPT)) {
        int64_t percent = out->figures[SL_FIG_BUSY_PPT];
        bool sane = percent >= 0 && percent <= 100;
        out->figures[SL_FIG_BUSY_PPT] = sane ? percent * 10 : -1; /* refused by its limits */
    }
    scaled(folder, "mem_info_vram_total", MIB, SL_FIG_MEMORY_TOTAL_MIB, out);
    scaled(folder, "mem_info_vram_used", MIB, SL_FIG_MEMORY_USED_MIB, out);
    scaled(folder, "pcie_replay_count", 1, SL_FIG_PCIE_REPLAYS, out);
    errors(device, out);
    throttle(folder, out);
    if (!hwmon[0]) {
        return;
    }
    scaled(hwmon, "power1_input", 1000, SL_FIG_POWER_MW, out);
    scaled(hwmon, "power1_average", 1000, SL_FIG_POWER_MW, out); /* where both are: the average */
    scaled(hwmon, "power1_cap", 1000, SL_FIG_POWER_LIMIT_MW, out);
    scaled(hwmon, "fan1_input", 1, SL_FIG_FAN_RPM, out);
    scaled(hwmon, "freq1_input", 1000000, SL_FIG_CLOCK_MHZ, out);
    scaled(hwmon, "freq2_input", 1000000, SL_FIG_CLOCK_MEMORY_MHZ, out);
    static const struct sl_sysfs_heat heat[] = {{"edge", SL_FIG_TEMP_MC},
                                                {"junction", SL_FIG_TEMP_JUNCTION_MC},
                                                {"mem", SL_FIG_TEMP_MEMORY_MC}};
    sl_sysfs_temperatures(hwmon, heat, sizeof heat / sizeof heat[0], out);
}
