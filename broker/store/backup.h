/* SPDX-License-Identifier: Apache-2.0
 * Backups of a running broker, and putting one back.
 *
 * A backup is one file: a copy of the store as it was at one moment, and in two more tables all
 * that its rows refer to (tenants' files, texts of open batches, the operator's key). It is a
 * SQLite database with a checksum in every page. It is made by a process of its own over a
 * read-only connection, which never checkpoints: so commits wait for nothing but the disk, and it
 * works whether or not the broker runs. What is copied is pinned by one read transaction and, for
 * files, by hard links made within it.
 *
 * A restore checks the backup wholly, prepares the new data beside the old, and moves them in by
 * renames that a kill cannot leave half done: the next start ends what was begun. The old data are
 * kept aside. Since the agents have seen more than the restored store knows, numbers that they know
 * jump ahead of all that may have been given out since: epochs and unit ids go on from the time of
 * the restore in ms x 1024, which no broker reaches by counting; also for devices that the backup
 * does not know.
 *
 * Thread: any one. */
#ifndef SLUICE_BROKER_STORE_BACKUP_H
#define SLUICE_BROKER_STORE_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/restore_keep.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

struct sl_backup_facts {
    struct sl_wall at; /* what was acknowledged later is not in it */
    uint64_t bytes;    /* of the file */
    uint32_t files;
    uint32_t batches_open;
    uint32_t batches_bare; /* of those: begun, and the backup does not hold their texts */
    int schema;
    char site_id[40];
    char site_key[64];
};

struct sl_backup_config {
    const char *data_dir;
    const char *file; /* made with mode 0600, in one step */
    bool force;       /* replace the backup that is there, or an empty file; nothing else */
    struct sl_wall now;
};
/* -SL_EXISTS: the file is there, or something that is no backup, or another backup is being made.
 * Nothing is left of a failed one. */
int sl_backup_make(const struct sl_backup_config *config, struct sl_backup_facts *ret_facts,
                   struct sl_error *err);

/* Everything: checksums, structure, schema, ledger, that its files are whole. */
int sl_backup_check(const char *file, struct sl_backup_facts *ret_facts, struct sl_error *err);

struct sl_restore_config {
    const char *data_dir; /* made when it is missing */
    const char *file;
    const char *site_key; /* the broker's public key; NULL: not looked at */
    bool adopt;           /* also a backup of another site, or made under other keys */
    struct sl_wall now;
};
struct sl_restore_facts {
    struct sl_backup_facts backup;
    char aside[320]; /* where the old data are; empty: there were none */
    struct sl_restore_kept kept;
};
/* -SL_EXISTS: a broker runs on the data; -SL_DENIED: of another site; -SL_CORRUPT, -SL_UNSUPPORTED,
 * -SL_INVALID: the backup is damaged, newer, or none. Until it succeeds the old data stand. */
int sl_restore(const struct sl_restore_config *config, struct sl_restore_facts *ret_facts,
               struct sl_error *err);

/* What a store that comes from a backup of `from` has to know about itself before a broker opens
 * it: epochs and unit ids jump. sl_restore does so; by itself for a store on another VFS
 * (simulator). */
int sl_restore_mark(const char *path, const char *vfs, struct sl_wall from, struct sl_wall now,
                    struct sl_error *err);

/* Ends a restore that was cut off after its decision; nothing otherwise. Under the store's lock,
 * whose file is lock_fd. store_path: "DATA_DIR/store.db". */
int sl_restore_finish(const char *store_path, int lock_fd, struct sl_error *err);

#endif
