/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/journal/fake_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static uint64_t disk_random(struct disk *disk) {
    uint64_t z = (disk->seed += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Counts a changing operation; 0, or the code it must fail with. */
static int disk_step(struct disk *disk) {
    disk->ops++;
    if (disk->crash_at && disk->ops >= disk->crash_at) {
        return -EIO;
    }
    return disk->fail_at == disk->ops ? -disk->fail_code : 0;
}

static const char *disk_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

struct disk_file *disk_find(struct disk *disk, const char *name) {
    for (int i = 0; i < DISK_FILES; i++) {
        if (disk->files[i].used && strcmp(disk->files[i].name, name) == 0) {
            return &disk->files[i];
        }
    }
    return NULL;
}

static int disk_open(void *context, const char *path, int flags, int mode) {
    (void)mode;
    struct disk *disk = context;
    if (flags & O_DIRECTORY) {
        return DISK_DIR_FD;
    }
    struct disk_file *file = disk_find(disk, disk_base(path));
    if (!file && !(flags & O_CREAT)) {
        return -ENOENT;
    }
    if (!file || (flags & O_TRUNC)) {
        int rc = disk_step(disk);
        if (rc) {
            return rc;
        }
    }
    if (!file) {
        for (int i = 0; i < DISK_FILES && !file; i++) {
            if (!disk->files[i].used) {
                file = &disk->files[i];
            }
        }
        if (!file) {
            abort();
        }
        file->used = true;
        strcpy(file->name, disk_base(path));
        file->data = calloc(1, DISK_BYTES);
        file->synced = calloc(1, DISK_BYTES);
    }
    if (flags & O_TRUNC) {
        memset(file->data, 0, DISK_BYTES);
        file->size = 0;
    }
    return (int)(file - disk->files);
}

static int disk_close(void *context, int fd) {
    struct disk *disk = context;
    if (fd < DISK_FILES && strcmp(disk->files[fd].name, "lock") == 0) {
        disk->locked = false;
    }
    return 0;
}

static int64_t disk_size(void *context, int fd) {
    return ((struct disk *)context)->files[fd].size;
}

static ssize_t disk_read(void *context, int fd, void *data, size_t size, int64_t offset) {
    struct disk_file *file = &((struct disk *)context)->files[fd];
    if (offset >= file->size) {
        return 0;
    }
    int64_t n = file->size - offset < (int64_t)size ? file->size - offset : (int64_t)size;
    n = n > 1000 ? 1000 : n; /* short reads are legal */
    memcpy(data, file->data + offset, (size_t)n);
    return (ssize_t)n;
}

static ssize_t disk_write(void *context, int fd, const void *data, size_t size, int64_t offset) {
    struct disk *disk = context;
    struct disk_file *file = &disk->files[fd];
    int rc = disk_step(disk);
    if (rc) {
        return rc;
    }
    int64_t n = size > 700 ? 700 : (int64_t)size; /* short writes are legal */
    if (offset + n > DISK_BYTES) {
        return -ENOSPC;
    }
    memcpy(file->data + offset, data, (size_t)n);
    file->size = offset + n > file->size ? offset + n : file->size;
    return (ssize_t)n;
}

static int disk_sync(void *context, int fd) {
    struct disk *disk = context;
    int rc = disk_step(disk);
    if (rc) {
        return rc;
    }
    disk->syncs++;
    if (fd == DISK_DIR_FD) {
        for (int i = 0; i < DISK_FILES; i++) {
            memcpy(disk->files[i].durable, disk->files[i].name, sizeof disk->files[i].name);
        }
        return 0;
    }
    memcpy(disk->files[fd].synced, disk->files[fd].data, DISK_BYTES);
    disk->files[fd].synced_size = disk->files[fd].size;
    return 0;
}

static int disk_rename(void *context, const char *from, const char *to) {
    struct disk *disk = context;
    int rc = disk_step(disk);
    if (rc) {
        return rc;
    }
    struct disk_file *target = disk_find(disk, disk_base(to));
    if (target) {
        target->name[0] = '\0';
    }
    struct disk_file *source = disk_find(disk, disk_base(from));
    strcpy(source->name, disk_base(to));
    return 0;
}

static int disk_make_dir(void *context, const char *path, int mode) {
    (void)context;
    (void)path;
    (void)mode;
    return -EEXIST;
}

static int disk_lock(void *context, int fd, int64_t wait_ms) {
    (void)fd;
    (void)wait_ms;
    struct disk *disk = context;
    if (disk->locked) {
        return -EWOULDBLOCK;
    }
    disk->locked = true;
    return 0;
}

struct sl_journal_ops disk_ops(struct disk *disk) {
    return (struct sl_journal_ops){
        .context = disk,
        .open = disk_open,
        .close = disk_close,
        .size = disk_size,
        .read = disk_read,
        .write = disk_write,
        .sync = disk_sync,
        .rename = disk_rename,
        .make_dir = disk_make_dir,
        .lock = disk_lock,
    };
}

void disk_crash(struct disk *disk) {
    bool names_kept = disk_random(disk) & 1;
    for (int i = 0; i < DISK_FILES; i++) {
        struct disk_file *file = &disk->files[i];
        if (!file->used) {
            continue;
        }
        if (!names_kept) {
            memcpy(file->name, file->durable, sizeof file->name);
        }
        if (file->size < file->synced_size) {
            file->size = file->synced_size; /* truncation got lost */
        }
        for (int64_t at = 0; at < file->size; at += DISK_SECTOR) {
            if (disk_random(disk) & 1) {
                memcpy(file->data + at, file->synced + at, DISK_SECTOR);
            }
        }
        if (file->size > file->synced_size && (disk_random(disk) & 1)) {
            memset(file->data + file->synced_size, 0, (size_t)(DISK_BYTES - file->synced_size));
            file->size = file->synced_size;
        }
        memcpy(file->synced, file->data, DISK_BYTES);
        file->synced_size = file->size;
        memcpy(file->durable, file->name, sizeof file->name);
    }
    disk->locked = false;
    disk->crash_at = 0;
    disk->fail_at = 0;
}

void disk_free(struct disk *disk) {
    for (int i = 0; i < DISK_FILES; i++) {
        free(disk->files[i].data);
        free(disk->files[i].synced);
    }
    memset(disk, 0, sizeof *disk);
}
