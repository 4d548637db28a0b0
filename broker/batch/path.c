/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/batch/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool id_is_safe(const char *id) {
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return n > 0 && n < SL_ID_MAX && id[n] == '\0';
}

int sl_batch_path(const char *data_dir, const char *folder, const char *id, char *path,
                  struct sl_error *err) {
    if (!id_is_safe(id)) {
        return sl_fail(err, SL_INVALID, "an id may hold letters, digits, '-' and '_' only");
    }
    char joined[SL_BATCH_PATH_MAX];
    int n = snprintf(joined, sizeof joined, "%s/%s/%s", data_dir, folder, id);
    if (n < 0 || (size_t)n >= sizeof joined - 8) { /* room for a ".tmp" */
        return sl_fail(err, SL_LIMIT, "the data directory's path is too long: use a shorter one");
    }
    memcpy(path, joined, (size_t)n + 1);
    return SL_OK;
}

int sl_batch_make_dir(const char *data_dir, const char *folder, struct sl_error *err) {
    char path[SL_BATCH_PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", data_dir, folder);
    if (n < 0 || (size_t)n >= sizeof path) {
        return sl_fail(err, SL_LIMIT, "the data directory's path is too long: use a shorter one");
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return sl_fail_errno(err, "making the folder %s", path);
    }
    return SL_OK;
}

int sl_batch_sync_dir(const char *data_dir, const char *folder, struct sl_error *err) {
    char path[SL_BATCH_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", data_dir, folder);
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        return sl_fail_errno(err, "making the folder %s durable", path);
    }
    return SL_OK;
}
