/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/power.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/cleanup.h"

#define SPAN_NS_MIN (100 * SL_NS_PER_MS)
/* No package draws as much: a counter that went back so far has not wrapped. */
#define PACKAGE_W_MAX 2000

static bool read_number(const char *path, uint64_t *ret_value) {
    unsigned long long value = 0;
    FILE *file = fopen(path, "re");
    if (!file) {
        return false;
    }
    bool read = fscanf(file, "%llu", &value) == 1;
    fclose(file);
    if (read) {
        *ret_value = value;
    }
    return read;
}

static bool is_package(const char *zone) {
    char path[300];
    char name[32] = "";
    snprintf(path, sizeof path, "%s/name", zone);
    SL_AUTO_FILE FILE *file = fopen(path, "re");
    return file && fgets(name, sizeof name, file) && strncmp(name, "package-", 8) == 0;
}

static void add_package(struct sl_power *power, const char *zone) {
    char path[300];
    uint32_t i = power->count;
    if (i == SL_POWER_PACKAGES_MAX || !is_package(zone)) {
        return;
    }
    snprintf(path, sizeof path, "%s/max_energy_range_uj", zone);
    if (!read_number(path, &power->range_uj[i])) {
        return;
    }
    int n = snprintf(power->path[i], sizeof power->path[i], "%s/energy_uj", zone);
    if (n < 0 || (size_t)n >= sizeof power->path[i]) {
        return;
    }
    errno = 0;
    if (read_number(power->path[i], &power->last_uj[i])) {
        power->count++;
    } else {
        power->denied = power->denied || errno == EACCES || errno == EPERM;
    }
}

bool sl_power_open(struct sl_power *power, const char *root, struct sl_mono now) {
    char folder[200];
    memset(power, 0, sizeof *power);
    power->last = now;
    int n = snprintf(folder, sizeof folder, "%s/class/powercap", root);
    if (n < 0 || (size_t)n >= sizeof folder) {
        return false;
    }
    DIR *dir = opendir(folder);
    if (!dir) {
        return false;
    }
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        /* "intel-rapl:0" is a package; "intel-rapl:0:1" a part of it, counted already. */
        const char *colon = strchr(entry->d_name, ':');
        if (strncmp(entry->d_name, "intel-rapl:", 11) == 0 && !strchr(colon + 1, ':')) {
            char zone[280];
            int length = snprintf(zone, sizeof zone, "%s/%s", folder, entry->d_name);
            if (length > 0 && (size_t)length < sizeof zone) {
                add_package(power, zone);
            }
        }
    }
    closedir(dir);
    return power->count > 0;
}

bool sl_power_read(struct sl_power *power, struct sl_mono now, int64_t *ret_mw) {
    uint64_t now_uj[SL_POWER_PACKAGES_MAX];
    uint64_t sum_uj = 0;
    bool anew = false;
    int64_t span_ns = sl_mono_since_ns(now, power->last);
    if (power->count == 0 || span_ns < SPAN_NS_MIN) {
        return false;
    }
    for (uint32_t i = 0; i < power->count; i++) {
        if (!read_number(power->path[i], &now_uj[i])) {
            return false;
        }
        /* The counter starts again at 0 after its range; at a suspend wherever it was. */
        uint64_t last = power->last_uj[i];
        uint64_t used =
            now_uj[i] >= last ? now_uj[i] - last : now_uj[i] + power->range_uj[i] - last;
        anew = anew || (double)used * 1e3 > (double)span_ns * PACKAGE_W_MAX;
        sum_uj += used;
    }
    memcpy(power->last_uj, now_uj, power->count * sizeof now_uj[0]);
    power->last = now;
    if (anew) {
        return false;
    }
    /* uJ / ns = 1e3 W = 1e6 mW */
    *ret_mw = (int64_t)((double)sum_uj * 1e6 / (double)span_ns);
    return true;
}
