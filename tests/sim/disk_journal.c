/* SPDX-License-Identifier: Apache-2.0
 * The disk as the agent's journal sees it. A handle carries the boot that it was opened in, so that
 * what a dead process still closes cannot hit the files of the next one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/disk_internal.h"

static struct disk_fd *fd_get(struct sim_disk *disk, int fd) {
    struct disk_fd *handle = &disk->fds[fd % DISK_FDS];
    bool ours = fd >= 0 && (uint32_t)fd / DISK_FDS == disk->boot;
    return ours && handle->used ? handle : NULL;
}

/* "a/b/.." is "a"; the root is the empty name. */
static void dir_name(const char *path, char *ret_dir) {
    snprintf(ret_dir, DISK_NAME_MAX, "%s", path);
    size_t n = strlen(ret_dir);
    if (n >= 3 && strcmp(ret_dir + n - 3, "/..") == 0) {
        ret_dir[n - 3] = '\0';
        char *slash = strrchr(ret_dir, '/');
        *(slash ? slash : ret_dir) = '\0';
    }
}

static int find_or_make(struct sim_disk *disk, const char *path, int flags,
                        struct disk_file **ret_file) {
    struct disk_file *file = disk_find(disk, path);
    if (!file && !(flags & O_CREAT)) {
        return -ENOENT;
    }
    if (!file) {
        int rc = disk_create_file(disk, path, false, &file);
        if (rc) {
            return rc;
        }
    }
    if ((flags & O_TRUNC) && file->size > 0) {
        int rc = disk_truncate(disk, file, 0);
        if (rc) {
            return rc;
        }
    }
    *ret_file = file;
    return 0;
}

static int disk_open(void *context, const char *path, int flags, int mode) {
    (void)mode;
    struct sim_disk *disk = context;
    if (disk->dead) {
        return -EIO;
    }
    int slot = 0;
    while (slot < DISK_FDS && disk->fds[slot].used) {
        slot++;
    }
    if (slot == DISK_FDS) {
        return -EMFILE;
    }
    struct disk_fd *handle = &disk->fds[slot];
    if (flags & O_DIRECTORY) {
        handle->is_dir = true;
        dir_name(path, handle->dir);
    } else {
        struct disk_file *file = NULL;
        int rc = find_or_make(disk, path, flags, &file);
        if (rc) {
            return rc;
        }
        handle->is_dir = false;
        handle->file = file;
        file->opens++;
    }
    handle->used = true;
    return (int)(disk->boot * DISK_FDS) + slot;
}

static int disk_close(void *context, int fd) {
    struct sim_disk *disk = context;
    struct disk_fd *handle = fd_get(disk, fd);
    if (!handle) {
        return -EBADF;
    }
    handle->used = false;
    if (!handle->is_dir) {
        if (handle->file->lock_fd == fd + 1) {
            handle->file->lock_fd = 0;
        }
        handle->file->opens--;
        disk_file_drop_if_unused(disk, handle->file);
    }
    return 0;
}

static int64_t disk_size(void *context, int fd) {
    struct sim_disk *disk = context;
    struct disk_fd *handle = fd_get(disk, fd);
    return !handle ? -EBADF : disk->dead ? -EIO : handle->file->size;
}

static ssize_t disk_pread(void *context, int fd, void *data, size_t size, int64_t offset) {
    struct disk_fd *handle = fd_get(context, fd);
    return handle ? disk_read(context, handle->file, data, size, offset) : -EBADF;
}

static ssize_t disk_pwrite(void *context, int fd, const void *data, size_t size, int64_t offset) {
    struct disk_fd *handle = fd_get(context, fd);
    if (!handle) {
        return -EBADF;
    }
    int rc = disk_write(context, handle->file, data, size, offset);
    return rc ? rc : (ssize_t)size;
}

static int disk_fsync(void *context, int fd) {
    struct disk_fd *handle = fd_get(context, fd);
    if (!handle) {
        return -EBADF;
    }
    return handle->is_dir ? disk_sync_dir(context, handle->dir) : disk_sync(context, handle->file);
}

static int disk_move(void *context, const char *from, const char *to) {
    return disk_rename(context, from, to);
}

static int disk_mkdir(void *context, const char *path, int mode) {
    (void)mode;
    struct sim_disk *disk = context;
    if (disk->dead) {
        return -EIO;
    }
    struct disk_file *file = disk_find(disk, path);
    return file ? -EEXIST : disk_create_file(disk, path, true, &file);
}

static int disk_flock(void *context, int fd, int64_t wait_ms) {
    (void)wait_ms; /* the dead let go at once here */
    struct disk_fd *handle = fd_get(context, fd);
    if (!handle) {
        return -EBADF;
    }
    if (handle->file->lock_fd && handle->file->lock_fd != fd + 1) {
        return -EWOULDBLOCK;
    }
    handle->file->lock_fd = fd + 1;
    return 0;
}

void disk_journal_init(struct sim_disk *disk) {
    disk->ops = (struct sl_journal_ops){
        .context = disk,
        .open = disk_open,
        .close = disk_close,
        .size = disk_size,
        .read = disk_pread,
        .write = disk_pwrite,
        .sync = disk_fsync,
        .rename = disk_move,
        .make_dir = disk_mkdir,
        .lock = disk_flock,
    };
}

const struct sl_journal_ops *sim_disk_journal_ops(struct sim_disk *disk) {
    return &disk->ops;
}
