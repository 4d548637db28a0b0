/* SPDX-License-Identifier: Apache-2.0
 * Files of the kernel come and go with their device, and answer with errors while it sleeps or is
 * reset. So each value is one open, one read, one close, of a bounded size, and whatever fails is
 * unknown. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/telemetry/source.h"

#define TEMPERATURES_MAX 4 /* sensors of one board that are looked at */

int sl_sysfs_bytes(const char *folder, const char *name, void *out, size_t size) {
    char path[2 * SL_SOURCE_TEXT_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path) {
        return -1;
    }
    /* NONBLOCK: something that is no sysfs file (a pipe in its place) must not stop us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return -1;
    }
    ssize_t got = read(fd, out, size);
    close(fd);
    return got < 0 ? -1 : (int)got;
}

bool sl_sysfs_text(const char *folder, const char *name, char *out, size_t size) {
    int n = sl_sysfs_bytes(folder, name, out, size);
    if (n <= 0 || (size_t)n == size || memchr(out, '\0', (size_t)n)) {
        return false;
    }
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == ' ')) {
        n--;
    }
    out[n] = '\0';
    return n > 0;
}

/* Up to the end of the text or, with `line`, of its line. */
static bool parse(const char *text, bool line, int64_t *ret_value) {
    char *end = NULL;
    errno = 0;
    if (*text != '-' && (*text < '0' || *text > '9')) {
        return false;
    }
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || (*end != '\0' && !(line && *end == '\n'))) {
        return false;
    }
    *ret_value = value;
    return true;
}

bool sl_sysfs_number(const char *folder, const char *name, int64_t *ret_value) {
    char text[40];
    return sl_sysfs_text(folder, name, text, sizeof text) && parse(text, false, ret_value);
}

bool sl_sysfs_field(const char *text, const char *key, int64_t *ret_value) {
    size_t n = strlen(key);
    for (const char *at = text; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, key, n) == 0 && at[n] == ':') {
            at += n + 1;
            at += strspn(at, " ");
            return parse(at, true, ret_value);
        }
    }
    return false;
}

bool sl_sysfs_child(const char *folder, const char *in, const char *prefix, char *out,
                    size_t size) {
    char path[2 * SL_SOURCE_TEXT_MAX];
    bool found = false;
    int n = snprintf(path, sizeof path, "%s/%s", folder, in);
    DIR *dir = n > 0 && (size_t)n < sizeof path ? opendir(path) : NULL;
    if (!dir) {
        return false;
    }
    for (const struct dirent *e = readdir(dir); e && !found; e = readdir(dir)) {
        size_t length = strlen(prefix);
        if (strncmp(e->d_name, prefix, length) == 0 && e->d_name[length] >= '0' &&
            e->d_name[length] <= '9' && !strchr(e->d_name, '-')) {
            n = snprintf(out, size, "%s/%s", path, e->d_name);
            found = n > 0 && (size_t)n < size;
        }
    }
    closedir(dir);
    return found;
}

void sl_sysfs_temperatures(const char *hwmon, const struct sl_sysfs_heat *heat, size_t count,
                           struct sl_msg_telemetry *out) {
    for (int i = 1; i <= TEMPERATURES_MAX; i++) {
        char name[24];
        char label[24];
        int64_t mc = 0;
        snprintf(name, sizeof name, "temp%d_input", i);
        if (!sl_sysfs_number(hwmon, name, &mc)) {
            continue;
        }
        snprintf(name, sizeof name, "temp%d_label", i);
        if (!sl_sysfs_text(hwmon, name, label, sizeof label)) {
            snprintf(label, sizeof label, "%s", i == 1 ? heat[0].label : "");
        }
        for (size_t k = 0; k < count; k++) {
            if (strcmp(label, heat[k].label) == 0) {
                sl_telemetry_set(out, heat[k].figure, mc);
            }
        }
    }
}
