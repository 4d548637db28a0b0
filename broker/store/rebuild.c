/* SPDX-License-Identifier: Apache-2.0
 * From schema 1 to the form with page checksums. A VACUUM in place would make room in the pages,
 * but undo a crash by writing pages back that have none: so a copy is made beside the store,
 * synced, and renamed over it. The old log has to be gone by then, or SQLite would read it into the
 * new store: leaving WAL mode takes it in and removes it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/store/store_internal.h"
#include "broker/store/tree.h"

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
    rc = rc ? rc : sl_tree_sync(made, err);
    if (rc == SL_OK && rename(made, path) != 0) {
        rc = sl_fail_errno(err, "replacing %s by its converted copy", path);
    }
    if (rc) {
        unlink(made);
        unlink(journal);
        return rc;
    }
    return sl_tree_sync_parent(path, err);
}
