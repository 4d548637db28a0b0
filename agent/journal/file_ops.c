/* SPDX-License-Identifier: Apache-2.0
 * The real file operations of the journal. */
#include "agent/journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/lock.h"

static int file_open(void *context, const char *path, int flags, int mode) {
    (void)context;
    int fd = open(path, flags | O_CLOEXEC, (mode_t)mode);
    return fd < 0 ? -errno : fd;
}

static int file_close(void *context, int fd) {
    (void)context;
    return close(fd) < 0 ? -errno : 0;
}

static int64_t file_size(void *context, int fd) {
    (void)context;
    struct stat st;
    return fstat(fd, &st) < 0 ? -errno : (int64_t)st.st_size;
}

static ssize_t file_read(void *context, int fd, void *data, size_t size, int64_t offset) {
    (void)context;
    ssize_t n = pread(fd, data, size, offset);
    return n < 0 ? -errno : n;
}

static ssize_t file_write(void *context, int fd, const void *data, size_t size, int64_t offset) {
    (void)context;
    ssize_t n = pwrite(fd, data, size, offset);
    return n < 0 ? -errno : n;
}

static int file_sync(void *context, int fd) {
    (void)context;
    return fdatasync(fd) < 0 ? -errno : 0;
}

static int file_rename(void *context, const char *from, const char *to) {
    (void)context;
    return rename(from, to) < 0 ? -errno : 0;
}

static int file_make_dir(void *context, const char *path, int mode) {
    (void)context;
    return mkdir(path, (mode_t)mode) < 0 ? -errno : 0;
}

static int file_lock(void *context, int fd, int64_t wait_ms) {
    (void)context;
    return sl_lock_take(fd, "the lock of the data directory", wait_ms);
}

const struct sl_journal_ops *sl_journal_file_ops(void) {
    static const struct sl_journal_ops ops = {
        .open = file_open,
        .close = file_close,
        .size = file_size,
        .read = file_read,
        .write = file_write,
        .sync = file_sync,
        .rename = file_rename,
        .make_dir = file_make_dir,
        .lock = file_lock,
    };
    return &ops;
}
