/* SPDX-License-Identifier: Apache-2.0
 * i915 and xe, by the kernel's ABI documentation (sysfs-driver-intel-i915-hwmon and
 * -intel-xe-hwmon): energy counters instead of power, limits in uW where 0 means none. */
#include <stdio.h>
#include <string.h>

#include "agent/telemetry/source.h"

#define FANS_MAX 4 /* of one board that are looked at */

/* Files that hold 0 or 1. Unknown where the summary cannot be read, or says that the GPU is slowed
 * while no reason of ours is set: newer chips have more of them, and 0 would say that it runs
 * freely. */
static void throttle(const char *folder, const char *status, const char *prefix,
                     struct sl_msg_telemetry *out) {
    static const struct {
        const char *name;
        int64_t bit;
    } reasons[] = {{"thermal", SL_THROTTLE_THERMAL},       {"ratl", SL_THROTTLE_THERMAL},
                   {"vr_thermalert", SL_THROTTLE_THERMAL}, {"prochot", SL_THROTTLE_HARDWARE},
                   {"vr_tdc", SL_THROTTLE_HARDWARE},       {"pl1", SL_THROTTLE_POWER_CAP},
                   {"pl2", SL_THROTTLE_POWER_CAP},         {"pl4", SL_THROTTLE_BRAKE}};
    char name[48];
    int64_t value = 0;
    int64_t bits = 0;
    if (!sl_sysfs_number(folder, status, &value)) {
        return;
    }
    for (size_t i = 0; value != 0 && i < sizeof reasons / sizeof reasons[0]; i++) {
        int64_t set = 0;
        snprintf(name, sizeof name, "%s%s", prefix, reasons[i].name);
        if (sl_sysfs_number(folder, name, &set) && set != 0) {
            bits |= reasons[i].bit;
        }
    }
    if (value == 0 || bits != 0) {
        sl_telemetry_set(out, SL_FIG_THROTTLE, bits);
    }
}

static void frequency(const struct sl_kernel_device *device, struct sl_msg_telemetry *out) {
    char card[2 * SL_SOURCE_TEXT_MAX];
    char folder[2 * SL_SOURCE_TEXT_MAX + 64];
    int64_t mhz = 0;
    if (device->source == SL_TELEMETRY_XE) {
        snprintf(folder, sizeof folder, "%s/tile0/gt0/freq0", device->folder);
        if (sl_sysfs_number(folder, "act_freq", &mhz)) {
            sl_telemetry_set(out, SL_FIG_CLOCK_MHZ, mhz);
        }
        snprintf(folder, sizeof folder, "%s/tile0/gt0/freq0/throttle", device->folder);
        throttle(folder, "status", "reason_", out);
    } else if (sl_sysfs_child(device->folder, "drm", "card", card, sizeof card)) {
        snprintf(folder, sizeof folder, "%s/gt/gt0", card);
        if (sl_sysfs_number(folder, "rps_act_freq_mhz", &mhz) ||
            sl_sysfs_number(card, "gt_act_freq_mhz", &mhz)) {
            sl_telemetry_set(out, SL_FIG_CLOCK_MHZ, mhz);
        }
        throttle(folder, "throttle_reason_status", "throttle_reason_", out);
    }
}

/* energy1 is the card, energy2 the package. A driver may have the second only, and a card may have
 * both but count nothing in the first (a B580 under xe of Linux 6.16): then it is 0 for ever. */
static void energy(struct sl_kernel_device *device, const char *hwmon, struct sl_mono now,
                   struct sl_msg_telemetry *out) {
    static const char *const names[] = {"energy1_input", "energy2_input"};
    int64_t values[2] = {0, 0};
    bool there[2];
    for (int i = 0; i < 2; i++) {
        there[i] = sl_sysfs_number(hwmon, names[i], &values[i]);
    }
    if (!there[0] && !there[1]) {
        return;
    }
    uint8_t counter = there[1] && values[1] > 0 && (!there[0] || values[0] == 0);
    if (counter != device->energy_counter) {
        device->energy_counter = counter;
        device->energy_ns = 0; /* the difference of two counters is no energy */
    }
    sl_kernel_energy(device, now, values[counter], out);
}

/* A card with several fans: the fastest, since those of unused headers stand at 0. */
static void fans(const char *hwmon, struct sl_msg_telemetry *out) {
    int64_t fastest = -1;
    for (int i = 1; i <= FANS_MAX; i++) {
        char name[16];
        int64_t rpm = 0;
        snprintf(name, sizeof name, "fan%d_input", i);
        if (sl_sysfs_number(hwmon, name, &rpm) && rpm > fastest) {
            fastest = rpm;
        }
    }
    if (fastest >= 0) {
        sl_telemetry_set(out, SL_FIG_FAN_RPM, fastest);
    }
}

void sl_intel_read(struct sl_kernel_device *device, const char *hwmon, struct sl_mono now,
                   struct sl_msg_telemetry *out) {
    int64_t value = 0;
    frequency(device, out);
    if (!hwmon[0]) {
        return;
    }
    energy(device, hwmon, now, out);
    fans(hwmon, out);
    if ((sl_sysfs_number(hwmon, "power1_max", &value) && value > 0) ||
        (sl_sysfs_number(hwmon, "power2_max", &value) && value > 0)) {
        sl_telemetry_set(out, SL_FIG_POWER_LIMIT_MW, value / 1000);
    }
    static const struct sl_sysfs_heat heat[] = {{"pkg", SL_FIG_TEMP_MC},
                                                {"vram", SL_FIG_TEMP_MEMORY_MC}};
    sl_sysfs_temperatures(hwmon, heat, sizeof heat / sizeof heat[0], out);
}
