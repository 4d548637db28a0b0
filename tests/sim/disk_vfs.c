/* SPDX-License-Identifier: Apache-2.0
 * The disk as SQLite sees it. What it promises to SQLite is what the Unix VFS promises on ext4 and
 * XFS: sectors of 4096 bytes whose unwritten bytes survive (SQLITE_IOCAP_POWERSAFE_OVERWRITE), no
 * atomic writes. Locks hold among the connections of this process; the shared memory of the WAL is
 * plain memory, forgotten when its last user closes it or dies. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_internal.h"

#define SECTOR_SIZE 4096
#define JULIAN_EPOCH_MS INT64_C(210866760000000)

struct disk_shm {
    uint32_t users;
    int region_count;
    uint8_t **regions;
    uint32_t shared[SQLITE_SHM_NLOCK];
    bool exclusive[SQLITE_SHM_NLOCK];
};

struct disk_handle {
    sqlite3_file base;
    struct sim_disk *disk;
    struct disk_file *file; /* of the boot below; later it may be gone */
    uint32_t boot;
    struct disk_handle *next; /* of the file's handles */
    struct disk_shm *shm;
    uint32_t shm_shared; /* bits of the locks that this handle holds */
    uint32_t shm_exclusive;
    int lock;
    bool sync_dir; /* its name is made durable with its first sync, as the Unix VFS does */
    bool delete_on_close;
    char name[DISK_NAME_MAX];
};

static struct disk_handle *handle_of(sqlite3_file *base) {
    return (struct disk_handle *)base;
}

/* Whether the process that opened it still lives. */
static bool alive(const struct disk_handle *handle) {
    return handle->boot == handle->disk->boot && !handle->disk->dead;
}

/* ---- contents ---- */

static int vfs_read(sqlite3_file *base, void *data, int size, sqlite3_int64 offset) {
    struct disk_handle *handle = handle_of(base);
    if (!alive(handle)) {
        return SQLITE_IOERR_READ;
    }
    ssize_t n = disk_read(handle->disk, handle->file, data, (size_t)size, offset);
    if (n < size) {
        memset((uint8_t *)data + n, 0, (size_t)(size - n));
        return SQLITE_IOERR_SHORT_READ;
    }
    return SQLITE_OK;
}

static int write_code(int rc, int other) {
    return rc == 0 ? SQLITE_OK : rc == -ENOSPC ? SQLITE_FULL : other;
}

static int vfs_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 offset) {
    struct disk_handle *handle = handle_of(base);
    if (!alive(handle)) {
        return SQLITE_IOERR_WRITE;
    }
    return write_code(disk_write(handle->disk, handle->file, data, (size_t)size, offset),
                      SQLITE_IOERR_WRITE);
}

static int vfs_truncate(sqlite3_file *base, sqlite3_int64 size) {
    struct disk_handle *handle = handle_of(base);
    if (!alive(handle)) {
        return SQLITE_IOERR_TRUNCATE;
    }
    return write_code(disk_truncate(handle->disk, handle->file, size), SQLITE_IOERR_TRUNCATE);
}

static int sync_parent(struct sim_disk *disk, const char *name) {
    char dir[DISK_NAME_MAX] = "";
    const char *slash = strrchr(name, '/');
    memcpy(dir, name, slash ? (size_t)(slash - name) : 0);
    return disk_sync_dir(disk, dir) ? SQLITE_IOERR_DIR_FSYNC : SQLITE_OK;
}

static int vfs_sync(sqlite3_file *base, int flags) {
    (void)flags;
    struct disk_handle *handle = handle_of(base);
    if (!alive(handle) || disk_sync(handle->disk, handle->file) != 0) {
        return SQLITE_IOERR_FSYNC;
    }
    if (handle->sync_dir) {
        if (sync_parent(handle->disk, handle->name)) {
            return SQLITE_IOERR_DIR_FSYNC;
        }
        handle->sync_dir = false;
    }
    return SQLITE_OK;
}

static int vfs_file_size(sqlite3_file *base, sqlite3_int64 *ret_size) {
    struct disk_handle *handle = handle_of(base);
    if (!alive(handle)) {
        return SQLITE_IOERR_FSTAT;
    }
    *ret_size = handle->file->size;
    return SQLITE_OK;
}

static int vfs_file_control(sqlite3_file *base, int op, void *arg) {
    (void)base;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int vfs_sector_size(sqlite3_file *base) {
    (void)base;
    return SECTOR_SIZE;
}

static int vfs_device_characteristics(sqlite3_file *base) {
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- locks of the database file ---- */

static int others_lock(const struct disk_handle *self) {
    int highest = SQLITE_LOCK_NONE;
    for (struct disk_handle *h = self->file->handles; h; h = h->next) {
        if (h != self && h->lock > highest) {
            highest = h->lock;
        }
    }
    return highest;
}

static int vfs_lock(sqlite3_file *base, int level) {
    struct disk_handle *handle = handle_of(base);
    if (!alive(handle)) {
        return SQLITE_IOERR_LOCK;
    }
    if (handle->lock >= level) {
        return SQLITE_OK;
    }
    int others = others_lock(handle);
    if (level == SQLITE_LOCK_SHARED) {
        if (others >= SQLITE_LOCK_PENDING) {
            return SQLITE_BUSY;
        }
    } else if (others >= SQLITE_LOCK_RESERVED) {
        return SQLITE_BUSY;
    } else if (level == SQLITE_LOCK_EXCLUSIVE && others >= SQLITE_LOCK_SHARED) {
        handle->lock = SQLITE_LOCK_PENDING; /* no new readers; those that are there may end */
        return SQLITE_BUSY;
    }
    handle->lock = level;
    return SQLITE_OK;
}

static int vfs_unlock(sqlite3_file *base, int level) {
    struct disk_handle *handle = handle_of(base);
    if (handle->lock > level) {
        handle->lock = level;
    }
    return SQLITE_OK;
}

static int vfs_check_reserved_lock(sqlite3_file *base, int *ret_held) {
    struct disk_handle *handle = handle_of(base);
    if (!alive(handle)) {
        return SQLITE_IOERR_CHECKRESERVEDLOCK;
    }
    *ret_held = handle->lock >= SQLITE_LOCK_RESERVED || others_lock(handle) >= SQLITE_LOCK_RESERVED;
    return SQLITE_OK;
}

/* ---- shared memory ---- */

static int vfs_shm_map(sqlite3_file *base, int region, int size, int extend,
                       void volatile **ret_memory) {
    struct disk_handle *handle = handle_of(base);
    *ret_memory = NULL;
    if (!handle->shm) {
        if (!alive(handle)) {
            return SQLITE_IOERR_SHMOPEN;
        }
        if (!handle->file->shm) {
            handle->file->shm = disk_alloc(sizeof *handle->file->shm);
        }
        handle->shm = handle->file->shm;
        handle->shm->users++;
    }
    struct disk_shm *shm = handle->shm;
    if (region >= shm->region_count) {
        if (!extend) {
            return SQLITE_OK;
        }
        shm->regions = realloc(shm->regions, (size_t)(region + 1) * sizeof *shm->regions);
        if (!shm->regions) {
            abort();
        }
        while (shm->region_count <= region) {
            shm->regions[shm->region_count++] = disk_alloc((size_t)size);
        }
    }
    *ret_memory = shm->regions[region];
    return SQLITE_OK;
}

static void shm_release(struct disk_handle *handle, int first, int count) {
    for (int i = first; i < first + count; i++) {
        if (handle->shm_shared & 1u << i) {
            handle->shm->shared[i]--;
        }
        if (handle->shm_exclusive & 1u << i) {
            handle->shm->exclusive[i] = false;
        }
        handle->shm_shared &= ~(1u << i);
        handle->shm_exclusive &= ~(1u << i);
    }
}

static int vfs_shm_lock(sqlite3_file *base, int first, int count, int flags) {
    struct disk_handle *handle = handle_of(base);
    struct disk_shm *shm = handle->shm;
    if (!shm) {
        return SQLITE_IOERR_SHMLOCK;
    }
    if (flags & SQLITE_SHM_UNLOCK) {
        shm_release(handle, first, count);
        return SQLITE_OK;
    }
    if (!alive(handle)) {
        return SQLITE_IOERR_SHMLOCK;
    }
    bool shared = flags & SQLITE_SHM_SHARED;
    for (int i = first; i < first + count; i++) {
        bool own_exclusive = handle->shm_exclusive & 1u << i;
        uint32_t own_shared = handle->shm_shared >> i & 1;
        if ((shm->exclusive[i] && !own_exclusive) || (!shared && shm->shared[i] > own_shared)) {
            return SQLITE_BUSY;
        }
    }
    for (int i = first; i < first + count; i++) {
        if (shared && !(handle->shm_shared & 1u << i)) {
            shm->shared[i]++;
            handle->shm_shared |= 1u << i;
        } else if (!shared) {
            shm->exclusive[i] = true;
            handle->shm_exclusive |= 1u << i;
        }
    }
    return SQLITE_OK;
}

static void vfs_shm_barrier(sqlite3_file *base) {
    (void)base;
}

static int vfs_shm_unmap(sqlite3_file *base, int delete) {
    (void)delete;
    struct disk_handle *handle = handle_of(base);
    struct disk_shm *shm = handle->shm;
    if (!shm) {
        return SQLITE_OK;
    }
    shm_release(handle, 0, SQLITE_SHM_NLOCK);
    handle->shm = NULL;
    if (--shm->users == 0) {
        if (handle->boot == handle->disk->boot) {
            handle->file->shm = NULL;
        }
        for (int i = 0; i < shm->region_count; i++) {
            free(shm->regions[i]);
        }
        free(shm->regions);
        free(shm);
    }
    return SQLITE_OK;
}

/* The users of the memory that are left, all dead, free it when they close. */
void disk_vfs_forget(struct sim_disk *disk, struct disk_file *file) {
    (void)disk;
    file->handles = NULL;
    file->shm = NULL;
}

/* ---- opening and closing ---- */

static int vfs_close(sqlite3_file *base) {
    struct disk_handle *handle = handle_of(base);
    vfs_shm_unmap(base, 0);
    if (handle->boot != handle->disk->boot) {
        return SQLITE_OK;
    }
    struct disk_handle **at = &handle->file->handles;
    while (*at != handle) {
        at = &(*at)->next;
    }
    *at = handle->next;
    handle->file->opens--;
    if (handle->delete_on_close && !handle->file->temporary) {
        (void)disk_remove(handle->disk, handle->name);
    }
    disk_file_drop_if_unused(handle->disk, handle->file);
    return SQLITE_OK;
}

static int open_named(struct sim_disk *disk, const char *name, int flags, bool *ret_created,
                      struct disk_file **ret_file) {
    if (strlen(name) >= DISK_NAME_MAX) {
        return SQLITE_CANTOPEN;
    }
    struct disk_file *file = disk_find(disk, name);
    if (file && (flags & SQLITE_OPEN_EXCLUSIVE) && (flags & SQLITE_OPEN_CREATE)) {
        return SQLITE_CANTOPEN;
    }
    if (!file) {
        if (!(flags & SQLITE_OPEN_CREATE) || disk_create_file(disk, name, false, &file) != 0) {
            return SQLITE_CANTOPEN;
        }
        *ret_created = true;
    }
    *ret_file = file;
    return SQLITE_OK;
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags,
                    int *ret_flags) {
    static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = vfs_close,
        .xRead = vfs_read,
        .xWrite = vfs_write,
        .xTruncate = vfs_truncate,
        .xSync = vfs_sync,
        .xFileSize = vfs_file_size,
        .xLock = vfs_lock,
        .xUnlock = vfs_unlock,
        .xCheckReservedLock = vfs_check_reserved_lock,
        .xFileControl = vfs_file_control,
        .xSectorSize = vfs_sector_size,
        .xDeviceCharacteristics = vfs_device_characteristics,
        .xShmMap = vfs_shm_map,
        .xShmLock = vfs_shm_lock,
        .xShmBarrier = vfs_shm_barrier,
        .xShmUnmap = vfs_shm_unmap,
    };
    struct sim_disk *disk = vfs->pAppData;
    struct disk_handle *handle = handle_of(base);
    *handle = (struct disk_handle){.disk = disk, .boot = disk->boot};
    if (disk->dead) {
        return SQLITE_CANTOPEN;
    }
    bool created = false;
    if (name) {
        int rc = open_named(disk, name, flags, &created, &handle->file);
        if (rc) {
            return rc;
        }
        strcpy(handle->name, name);
    } else {
        handle->file = disk_file_new(disk);
        handle->file->temporary = true;
    }
    const int logs = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL;
    handle->sync_dir = created && (flags & logs);
    handle->delete_on_close = flags & SQLITE_OPEN_DELETEONCLOSE;
    handle->next = handle->file->handles;
    handle->file->handles = handle;
    handle->file->opens++;
    handle->base.pMethods = &methods;
    if (ret_flags) {
        *ret_flags = flags;
    }
    return SQLITE_OK;
}

/* ---- names, time, random numbers ---- */

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_dir) {
    struct sim_disk *disk = vfs->pAppData;
    int rc = disk_remove(disk, name);
    if (rc == -ENOENT) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    if (rc != 0) {
        return SQLITE_IOERR_DELETE;
    }
    return sync_dir ? sync_parent(disk, name) : SQLITE_OK;
}

/* An empty file does not exist for SQLite, as with the Unix VFS. */
static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret_there) {
    struct sim_disk *disk = vfs->pAppData;
    const struct disk_file *file = disk_find(disk, name);
    if (disk->dead) {
        return SQLITE_IOERR_ACCESS;
    }
    *ret_there = file && (flags != SQLITE_ACCESS_EXISTS || file->size > 0);
    return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int room, char *ret_path) {
    (void)vfs;
    if (strlen(name) >= (size_t)room) {
        return SQLITE_CANTOPEN;
    }
    strcpy(ret_path, name);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *ret_bytes) {
    struct sim_disk *disk = vfs->pAppData;
    for (int i = 0; i < size; i++) {
        ret_bytes[i] = (char)(disk_draw(&disk->random) >> 32);
    }
    return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us) {
    (void)vfs;
    return us;
}

static int vfs_current_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms) {
    *ret_ms = ((struct sim_disk *)vfs->pAppData)->now_ms + JULIAN_EPOCH_MS;
    return SQLITE_OK;
}

static int vfs_current_time(sqlite3_vfs *vfs, double *ret_days) {
    sqlite3_int64 ms = 0;
    vfs_current_time_ms(vfs, &ms);
    *ret_days = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *ret_text) {
    (void)vfs;
    (void)size;
    (void)ret_text;
    return 0;
}

int sim_disk_vfs_register(struct sim_disk *disk, const char *name, bool make_default) {
    disk->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = sizeof(struct disk_handle),
        .mxPathname = DISK_NAME_MAX,
        .zName = strdup(name),
        .pAppData = disk,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_current_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_current_time_ms,
    };
    return sqlite3_vfs_register(&disk->vfs, make_default);
}

void sim_disk_vfs_unregister(struct sim_disk *disk) {
    if (disk->vfs.zName) {
        sqlite3_vfs_unregister(&disk->vfs);
        free((void *)disk->vfs.zName);
        disk->vfs.zName = NULL;
    }
}
