/* SPDX-License-Identifier: Apache-2.0
 * Shared by the backup's own files. The form of a backup: the store's tables, and
 *   backup(key, value): "format" 1, "at_ms", "files", "file_bytes";
 *   backup_file(seq, name, part, data): "files/ID", "lines/ID" or "operator.key" in parts of 1 MiB.
 * Its application_id is "SLUB", so that no broker opens it as its store. */
#ifndef SLUICE_BROKER_STORE_BACKUP_INTERNAL_H
#define SLUICE_BROKER_STORE_BACKUP_INTERNAL_H

#include "broker/store/backup.h"
#include "broker/store/store_internal.h"
#include "broker/store/tree.h"

#define SL_BACKUP_FORMAT 1
#define SL_BACKUP_APPLICATION 1397511490 /* "SLUB" */
#define SL_BACKUP_PART_BYTES (1 << 20)

/* One text of a backup's own table; empty when it is not there. */
void sl_backup_value(sqlite3 *db, const char *key, char *ret_value, size_t size);

/* All statements, in order; what: for the message. */
int sl_store_exec(sqlite3 *db, const char *sql, const char *what, struct sl_error *err);

#endif
