/* SPDX-License-Identifier: Apache-2.0
 * From schema 1 to the form with page checksums. A VACUUM in place would make room in the pages,
 * but undo a crash by writing pages back that have none: so a copy is made beside the store,
 * synced, and renamed over it. The old log has to be gone by then, or SQLite would read it into the
 * new store: leaving WAL mode takes it in and removes it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/store/store_internal.h"

static int sync_path(const char *path, int flags, struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        return sl_fail_errno(err, "making %s durable", path);
    }
    return SL_OK;
}

int sl_store_sync_file(const char *path, struct sl_error *err) {
    return sync_path(path, O_RDONLY, err);
}

int sl_store_sync_dir_of(const char *path, struct sl_error *err) {
    char dir[512];
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) : 1;
    snprintf(dir, sizeof dir, "%.*s", n ? n : 1, slash ? path : ".");
    return sync_path(dir, O_RDONLY | O_DIRECTORY, err);
}

static int copy(const char *path, const char *made, struct sl_error *err) {
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int rc = sl_store_open_db(path, NULL, &db, err);
    rc = rc ? rc : sl_schema_refuse_foreign(db, path, err);
    rc = rc ? rc : sl_schema_quick_check(db, path, err);
    if (rc == SL_OK && sqlite3_exec(db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL)) {
        rc = sl_store_fail(err, db, "converting the store: taking its log in");
    }
    if (rc == SL_OK && sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &stmt, NULL)) {
        rc = sl_store_fail(err, db, "converting the store");
    }
    if (rc == SL_OK) {
        sqlite3_bind_text(stmt, 1, made, -1, SQLITE_STATIC);
        rc = sl_store_run(db, stmt, "converting the store", err);
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return rc;
}

int sl_store_rebuild(const char *path, struct sl_error *err) {
    char made[512];
    char journal[520];
    if (snprintf(made, sizeof made, "%s.converted", path) >= (int)sizeof made) {
        return sl_fail(err, SL_LIMIT, "the path of the store is too long: %s", path);
    }
    snprintf(journal, sizeof journal, "%s-journal", made);
    unlink(made); /* of a start that was cut off */
    unlink(journal);
    sqlite3 *db = NULL;
    int rc = copy(path, made, err);
    rc = rc ? rc : sl_store_open_db(made, NULL, &db, err);
    rc = rc ? rc : sl_schema_migrate(db, err);
    sqlite3_close(db);
    rc = rc ? rc : sl_store_sync_file(made, err);
    if (rc == SL_OK && rename(made, path) != 0) {
        rc = sl_fail_errno(err, "replacing %s by its converted copy", path);
    }
    if (rc) {
        unlink(made);
        unlink(journal);
        return rc;
    }
    return sl_store_sync_dir_of(path, err);
}
