/* SPDX-License-Identifier: Apache-2.0
 * The store's write-ahead log as the VFS of page_sum.h opens it: frames of one commit reach the
 * file in one write.
 *
 * SQLite writes each frame in two calls, 24 bytes and a page, so the dozen pages of a decision are
 * two dozen system calls between it and its sync. Gathered, bytes wait in memory until something
 * needs them in the file: a sync, a read, a size, a cut, or a write elsewhere. A reader of another
 * connection looks only at frames that the log's index names, and SQLite extends the index after
 * the sync, if there is one: so only a connection with synchronous=FULL may gather.
 *
 * A write that fails is told by the call that needed it, and forgotten: the transaction is rolled
 * back, and the next one writes the same places anew.
 *
 * Thread: that of the connection. */
#ifndef SLUICE_BROKER_STORE_LOG_FILE_H
#define SLUICE_BROKER_STORE_LOG_FILE_H

#include <sqlite3.h>
#include <stddef.h>

/* Room that a VFS must add to its szOsFile for sl_log_open. */
size_t sl_log_file_size(void);

/* As xOpen of `under`, of which `file` becomes a shell; for SQLITE_OPEN_WAL. */
int sl_log_open(sqlite3_vfs *under, const char *name, sqlite3_file *file, int flags,
                int *ret_flags);

/* From now on the log of `db` is gathered; `db` must have read once. What cannot be gathered (not
 * synchronous=FULL, another VFS, no memory, no log) is written as ever. */
void sl_log_gather(sqlite3 *db);

#endif
