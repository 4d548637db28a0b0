/* SPDX-License-Identifier: Apache-2.0
 * The store's files as they lie on the disk, before SQLite opens them: every page against its
 * checksum, the log (wal_view.h), the lengths. A page that the log holds counts as it stands there,
 * since a checkpoint that was cut off may leave it torn in the file. The -shm file is not looked
 * at: SQLite empties it when the first process opens the store.
 *
 * Thread: the one that opens the store; nobody else may have it open for writing. */
#ifndef SLUICE_BROKER_STORE_FILE_CHECK_H
#define SLUICE_BROKER_STORE_FILE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/error.h"

struct sl_file_facts {
    bool present;    /* there is a file with something in it */
    bool has_sums;   /* false: of schema 1 */
    uint32_t schema; /* as the header says */
    uint32_t pages;
    uint32_t wal_frames;
    int64_t wal_bytes;
    /* Also when damaged: whether it begins as a database does, and what is wrong where. */
    bool is_database;
    int64_t bad_at;
    char bad[80];
};

/* vfs: SQLite's name of the VFS below, NULL: files. -SL_CORRUPT names the file, the byte and what
 * is wrong; -SL_UNSUPPORTED: a newer schema. A missing or empty file without a log is no failure.
 */
int sl_file_check(const char *vfs, const char *path, struct sl_file_facts *ret_facts,
                  struct sl_error *err);

/* For --check-config, beside a broker that may run: whether this user can use the files and the
 * first bytes are of a store whose schema is known. Opens them for reading only. None: SL_OK. */
int sl_file_check_head(const char *path, struct sl_error *err);

#endif
