/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/journal/journal_internal.h"

#include <errno.h>
#include <string.h>

#define GROW_CHUNK (64 * 1024)

static int write_failed(struct sl_error *err, ssize_t n) {
    int code = n < 0 ? (int)-n : ENOSPC;
    const char *hint = code == ENOSPC || code == EDQUOT
                           ? "; free some space in the data directory, then start again"
                           : "; check the disk, then start again";
    return sl_fail(err, SL_IO, "writing the journal: %s%s", strerror(code), hint);
}

int journal_file_write(struct journal_file *file, const void *data, size_t size, int64_t offset,
                       struct sl_error *err) {
    const uint8_t *bytes = data;
    while (size > 0) {
        ssize_t n = file->ops->write(file->ops->context, file->fd, bytes, size, offset);
        if (n == -EINTR) {
            continue;
        }
        if (n <= 0) {
            return write_failed(err, n);
        }
        bytes += n;
        size -= (size_t)n;
        offset += n;
    }
    return SL_OK;
}

int journal_file_read(const struct journal_file *file, void *data, size_t size, int64_t offset,
                      struct sl_error *err) {
    uint8_t *bytes = data;
    while (size > 0) {
        ssize_t n = file->ops->read(file->ops->context, file->fd, bytes, size, offset);
        if (n == -EINTR) {
            continue;
        }
        if (n < 0) {
            return sl_fail(err, SL_IO, "reading the journal: %s", strerror((int)-n));
        }
        if (n == 0) {
            memset(bytes, 0, size);
            return SL_OK;
        }
        bytes += n;
        size -= (size_t)n;
        offset += n;
    }
    return SL_OK;
}

int journal_file_grow(struct journal_file *file, int64_t size, struct sl_error *err) {
    static const uint8_t zeros[GROW_CHUNK];
    for (int64_t at = file->size; at < size;) {
        int64_t n = size - at < GROW_CHUNK ? size - at : GROW_CHUNK;
        int rc = journal_file_write(file, zeros, (size_t)n, at, err);
        if (rc) {
            return rc;
        }
        at += n;
    }
    int rc = file->ops->sync(file->ops->context, file->fd);
    if (rc < 0) {
        return sl_fail(err, SL_IO, "syncing the journal: %s; check the disk, then start again",
                       strerror(-rc));
    }
    file->size = size;
    return SL_OK;
}
