/* SPDX-License-Identifier: Apache-2.0
 * The VFS of page_sum.h: main database files are wrapped, the log gets the shell of log_file.h, all
 * else is opened by the VFS below and never seen again. */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/log_file.h"
#include "broker/store/page_sum.h"

struct page_file {
    sqlite3_file base;
    bool sums;
    sqlite3_file *below; /* in the same block, behind this */
};

static sqlite3_file *below(sqlite3_file *file) {
    return ((struct page_file *)file)->below;
}

static bool whole_page(int amount, sqlite3_int64 offset) {
    return amount == SL_PAGE_BYTES && offset % SL_PAGE_BYTES == 0;
}

static uint32_t page_number(sqlite3_int64 offset) {
    return (uint32_t)(offset / SL_PAGE_BYTES) + 1;
}

static int file_close(sqlite3_file *file) {
    return below(file)->pMethods->xClose(below(file));
}

static int file_read(sqlite3_file *file, void *data, int amount, sqlite3_int64 offset) {
    int rc = below(file)->pMethods->xRead(below(file), data, amount, offset);
    if (rc == SQLITE_OK && ((struct page_file *)file)->sums && whole_page(amount, offset) &&
        sl_page_check(data, page_number(offset)) == SL_PAGE_BAD) {
        sqlite3_log(SQLITE_IOERR_DATA, "page %u of the store does not fit its checksum",
                    page_number(offset));
        return SQLITE_IOERR_DATA;
    }
    return rc;
}

/* The buffer is SQLite's cache: the sum goes into a copy. */
static int file_write(sqlite3_file *file, const void *data, int amount, sqlite3_int64 offset) {
    bool sums = ((struct page_file *)file)->sums;
    if (whole_page(amount, offset)) {
        bool reserved = ((const uint8_t *)data)[20] == SL_PAGE_SUM_BYTES;
        if (offset == 0 && reserved != sums) {
            return SQLITE_IOERR_WRITE; /* a page's last bytes would be overwritten, or unchecked */
        }
        if (sums) {
            uint8_t page[SL_PAGE_BYTES];
            memcpy(page, data, sizeof page);
            sl_page_seal(page, page_number(offset));
            return below(file)->pMethods->xWrite(below(file), page, amount, offset);
        }
    }
    return below(file)->pMethods->xWrite(below(file), data, amount, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
    return below(file)->pMethods->xTruncate(below(file), size);
}
static int file_sync(sqlite3_file *file, int flags) {
    return below(file)->pMethods->xSync(below(file), flags);
}
static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size) {
    return below(file)->pMethods->xFileSize(below(file), ret_size);
}
static int file_lock(sqlite3_file *file, int level) {
    return below(file)->pMethods->xLock(below(file), level);
}
static int file_unlock(sqlite3_file *file, int level) {
    return below(file)->pMethods->xUnlock(below(file), level);
}
static int file_reserved(sqlite3_file *file, int *ret_reserved) {
    return below(file)->pMethods->xCheckReservedLock(below(file), ret_reserved);
}
static int file_control(sqlite3_file *file, int op, void *arg) {
    return below(file)->pMethods->xFileControl(below(file), op, arg);
}
static int file_sector(sqlite3_file *file) {
    return below(file)->pMethods->xSectorSize(below(file));
}
static int file_characteristics(sqlite3_file *file) {
    return below(file)->pMethods->xDeviceCharacteristics(below(file));
}
static int file_shm_map(sqlite3_file *file, int page, int bytes, int extend, void volatile **ret) {
    return below(file)->pMethods->xShmMap(below(file), page, bytes, extend, ret);
}
static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags) {
    return below(file)->pMethods->xShmLock(below(file), offset, n, flags);
}
static void file_shm_barrier(sqlite3_file *file) {
    below(file)->pMethods->xShmBarrier(below(file));
}
static int file_shm_unmap(sqlite3_file *file, int remove) {
    return below(file)->pMethods->xShmUnmap(below(file), remove);
}

/* Version 2: with shared memory for the log, without mapped pages, which would pass us by. */
#define FILE_METHODS(version)                                                                      \
    {                                                                                              \
        .iVersion = (version), .xClose = file_close, .xRead = file_read, .xWrite = file_write,     \
        .xTruncate = file_truncate, .xSync = file_sync, .xFileSize = file_size,                    \
        .xLock = file_lock, .xUnlock = file_unlock, .xCheckReservedLock = file_reserved,           \
        .xFileControl = file_control, .xSectorSize = file_sector,                                  \
        .xDeviceCharacteristics = file_characteristics, .xShmMap = file_shm_map,                   \
        .xShmLock = file_shm_lock, .xShmBarrier = file_shm_barrier, .xShmUnmap = file_shm_unmap    \
    }
static const sqlite3_io_methods methods_1 = FILE_METHODS(1);
static const sqlite3_io_methods methods_2 = FILE_METHODS(2);

/* The VFS below, by the name that stands behind ours; empty: the default one. */
static sqlite3_vfs *vfs_below(sqlite3_vfs *vfs) {
    const char *name = vfs->pAppData;
    return sqlite3_vfs_find(*name ? name : NULL);
}

/* Whatever is no store with another head will be written by us, and so have sums. */
static int learn(struct page_file *file) {
    uint8_t head[100];
    sqlite3_int64 size = 0;
    int rc = file->below->pMethods->xFileSize(file->below, &size);
    file->sums = true;
    if (rc == SQLITE_OK && size >= (sqlite3_int64)sizeof head) {
        rc = file->below->pMethods->xRead(file->below, head, sizeof head, 0);
        if (rc == SQLITE_OK && memcmp(head, "SQLite format 3", 16) == 0) {
            file->sums =
                head[20] == SL_PAGE_SUM_BYTES && head[16] * 256 + head[17] == SL_PAGE_BYTES;
        }
    }
    return rc;
}

static size_t shell_size(void) {
    size_t log = sl_log_file_size();
    return log > sizeof(struct page_file) ? log : sizeof(struct page_file);
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                    int *ret_flags) {
    sqlite3_vfs *under = vfs_below(vfs);
    file->pMethods = NULL;
    if (!under || (int)shell_size() + under->szOsFile > vfs->szOsFile) {
        return SQLITE_CANTOPEN;
    }
    if (flags & SQLITE_OPEN_WAL) {
        return sl_log_open(under, name, file, flags, ret_flags);
    }
    if (!(flags & SQLITE_OPEN_MAIN_DB)) {
        return under->xOpen(under, name, file, flags, ret_flags);
    }
    struct page_file *page_file = (struct page_file *)file;
    page_file->below = (sqlite3_file *)(page_file + 1);
    page_file->below->pMethods = NULL;
    int rc = under->xOpen(under, name, page_file->below, flags, ret_flags);
    rc = rc == SQLITE_OK ? learn(page_file) : rc;
    if (rc != SQLITE_OK) {
        if (page_file->below->pMethods) {
            page_file->below->pMethods->xClose(page_file->below);
        }
        return rc;
    }
    file->pMethods = page_file->below->pMethods->iVersion >= 2 ? &methods_2 : &methods_1;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    sqlite3_vfs *under = vfs_below(vfs);
    return under ? under->xDelete(under, name, sync) : SQLITE_IOERR_DELETE;
}
static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret) {
    sqlite3_vfs *under = vfs_below(vfs);
    return under ? under->xAccess(under, name, flags, ret) : SQLITE_IOERR_ACCESS;
}
static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int n, char *ret) {
    sqlite3_vfs *under = vfs_below(vfs);
    return under ? under->xFullPathname(under, name, n, ret) : SQLITE_CANTOPEN;
}
static int vfs_randomness(sqlite3_vfs *vfs, int n, char *ret) {
    sqlite3_vfs *under = vfs_below(vfs);
    return under ? under->xRandomness(under, n, ret) : 0;
}
static int vfs_sleep(sqlite3_vfs *vfs, int us) {
    sqlite3_vfs *under = vfs_below(vfs);
    return under ? under->xSleep(under, us) : 0;
}
static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms) {
    sqlite3_vfs *under = vfs_below(vfs);
    return under && under->iVersion >= 2 && under->xCurrentTimeInt64
               ? under->xCurrentTimeInt64(under, ret_ms)
               : SQLITE_ERROR;
}
static int vfs_last_error(sqlite3_vfs *vfs, int n, char *ret) {
    sqlite3_vfs *under = vfs_below(vfs);
    return under && under->xGetLastError ? under->xGetLastError(under, n, ret) : 0;
}

struct page_vfs {
    sqlite3_vfs vfs;
    char name[SL_PAGE_VFS_NAME_MAX];
    char below[SL_PAGE_VFS_NAME_MAX];
};

static int add(const char *name, const char *below_name) {
    sqlite3_vfs *under = sqlite3_vfs_find(below_name);
    if (!under) {
        return SQLITE_NOTFOUND;
    }
    /* Lives as long as the process: SQLite's list points to it. */
    struct page_vfs *made = sqlite3_malloc(sizeof *made);
    if (!made) {
        return SQLITE_NOMEM;
    }
    memset(made, 0, sizeof *made);
    snprintf(made->name, sizeof made->name, "%s", name);
    snprintf(made->below, sizeof made->below, "%s", below_name ? below_name : "");
    made->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)shell_size() + under->szOsFile,
        .mxPathname = under->mxPathname,
        .zName = made->name,
        .pAppData = made->below,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_time,
    };
    return sqlite3_vfs_register(&made->vfs, 0);
}

int sl_page_vfs(const char *below_name, char ret_name[SL_PAGE_VFS_NAME_MAX]) {
    int rc = sqlite3_initialize();
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (snprintf(ret_name, SL_PAGE_VFS_NAME_MAX, "sluice%s%s", below_name ? "+" : "",
                 below_name ? below_name : "") >= SL_PAGE_VFS_NAME_MAX) {
        return SQLITE_MISUSE;
    }
    sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP1);
    sqlite3_mutex_enter(mutex);
    rc = sqlite3_vfs_find(ret_name) ? SQLITE_OK : add(ret_name, below_name);
    sqlite3_mutex_leave(mutex);
    return rc;
}
