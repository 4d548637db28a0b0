/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/store/log_file.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* 31 frames, since SQLite's Unix VFS takes 128 KiB less one byte at most; a transaction of more is
 * written in several parts. */
#define GATHER_BYTES (31 * (24 + 4096))

#define SYNCHRONOUS_FULL 2 /* as SQLite numbers them */

struct log_file {
    sqlite3_file base;
    uint8_t *bytes; /* [GATHER_BYTES], malloc'ed; NULL: not gathered */
    int count;
    sqlite3_int64 offset; /* where they belong */
    sqlite3_file *below;  /* in the same block, behind this */
};

static struct log_file *log_of(sqlite3_file *file) {
    return (struct log_file *)file;
}

static int write_below(struct log_file *log, const void *data, int amount, sqlite3_int64 offset) {
    return log->below->pMethods->xWrite(log->below, data, amount, offset);
}

static int flush(struct log_file *log) {
    int count = log->count;
    log->count = 0;
    return count ? write_below(log, log->bytes, count, log->offset) : SQLITE_OK;
}

static int log_close(sqlite3_file *file) {
    struct log_file *log = log_of(file);
    int flushed = flush(log);
    free(log->bytes);
    log->bytes = NULL;
    int rc = log->below->pMethods->xClose(log->below);
    return rc == SQLITE_OK ? flushed : rc;
}

static int log_read(sqlite3_file *file, void *data, int amount, sqlite3_int64 offset) {
    struct log_file *log = log_of(file);
    int rc = flush(log);
    return rc == SQLITE_OK ? log->below->pMethods->xRead(log->below, data, amount, offset) : rc;
}

static int log_write(sqlite3_file *file, const void *data, int amount, sqlite3_int64 offset) {
    struct log_file *log = log_of(file);
    if (log->count && (offset != log->offset + log->count || amount > GATHER_BYTES - log->count)) {
        int rc = flush(log);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    if (!log->bytes || amount > GATHER_BYTES) {
        return write_below(log, data, amount, offset);
    }
    if (log->count == 0) {
        log->offset = offset;
    }
    memcpy(log->bytes + log->count, data, (size_t)amount);
    log->count += amount;
    return SQLITE_OK;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size) {
    struct log_file *log = log_of(file);
    int rc = flush(log);
    return rc == SQLITE_OK ? log->below->pMethods->xTruncate(log->below, size) : rc;
}

static int log_sync(sqlite3_file *file, int flags) {
    struct log_file *log = log_of(file);
    int rc = flush(log);
    return rc == SQLITE_OK ? log->below->pMethods->xSync(log->below, flags) : rc;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *ret_size) {
    struct log_file *log = log_of(file);
    int rc = flush(log);
    return rc == SQLITE_OK ? log->below->pMethods->xFileSize(log->below, ret_size) : rc;
}

static int log_control(sqlite3_file *file, int op, void *arg) {
    struct log_file *log = log_of(file);
    int rc = flush(log);
    return rc == SQLITE_OK ? log->below->pMethods->xFileControl(log->below, op, arg) : rc;
}

static int log_lock(sqlite3_file *file, int level) {
    return log_of(file)->below->pMethods->xLock(log_of(file)->below, level);
}
static int log_unlock(sqlite3_file *file, int level) {
    return log_of(file)->below->pMethods->xUnlock(log_of(file)->below, level);
}
static int log_reserved(sqlite3_file *file, int *ret_reserved) {
    return log_of(file)->below->pMethods->xCheckReservedLock(log_of(file)->below, ret_reserved);
}
static int log_sector(sqlite3_file *file) {
    return log_of(file)->below->pMethods->xSectorSize(log_of(file)->below);
}
static int log_characteristics(sqlite3_file *file) {
    return log_of(file)->below->pMethods->xDeviceCharacteristics(log_of(file)->below);
}

/* Version 1: a log has no shared memory of its own, and SQLite maps no pages of it. */
static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_characteristics,
};

size_t sl_log_file_size(void) {
    return sizeof(struct log_file);
}

int sl_log_open(sqlite3_vfs *under, const char *name, sqlite3_file *file, int flags,
                int *ret_flags) {
    struct log_file *log = log_of(file);
    memset(log, 0, sizeof *log);
    log->below = (sqlite3_file *)(log + 1);
    log->below->pMethods = NULL;
    int rc = under->xOpen(under, name, log->below, flags, ret_flags);
    if (rc == SQLITE_OK) {
        file->pMethods = &log_methods;
    } else if (log->below->pMethods) {
        log->below->pMethods->xClose(log->below);
    }
    return rc;
}

static bool is_full(sqlite3 *db) {
    sqlite3_stmt *stmt = NULL;
    bool full = sqlite3_prepare_v2(db, "PRAGMA synchronous", -1, &stmt, NULL) == SQLITE_OK &&
                sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int(stmt, 0) == SYNCHRONOUS_FULL;
    sqlite3_finalize(stmt);
    return full;
}

void sl_log_gather(sqlite3 *db) {
    sqlite3_file *file = NULL;
    if (is_full(db) &&
        sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) == SQLITE_OK &&
        file && file->pMethods == &log_methods && !log_of(file)->bytes) {
        log_of(file)->bytes = malloc(GATHER_BYTES);
    }
}
