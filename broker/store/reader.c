/* SPDX-License-Identifier: Apache-2.0
 * Read-only connections: single rows, counters, and what the core restores from. Lists are in
 * list.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/page_sum.h"
#include "broker/store/store_internal.h"

int sl_reader_open(const char *path, const char *vfs, struct sl_reader **ret_reader,
                   struct sl_error *err) {
    struct sl_reader *r = calloc(1, sizeof *r);
    if (!r) {
        return sl_fail(err, SL_NOMEM, "no memory for a reader of the store");
    }
    char page_vfs[SL_PAGE_VFS_NAME_MAX];
    int rc = sl_page_vfs(vfs, page_vfs);
    rc = rc ? rc
            : sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, page_vfs);
    if (rc != SQLITE_OK ||
        sqlite3_exec(r->db, "PRAGMA query_only = ON", NULL, NULL, NULL) != SQLITE_OK) {
        sl_fail(err, SL_IO, "cannot read the store %s: %s", path,
                r->db ? sqlite3_errmsg(r->db) : "out of memory");
        sqlite3_close(r->db);
        free(r);
        return -SL_IO;
    }
    sqlite3_busy_timeout(r->db, 5000);
    sqlite3_wal_autocheckpoint(r->db, 0);
    sqlite3_db_config(r->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    r->statements.db = r->db;
    *ret_reader = r;
    return SL_OK;
}

void sl_reader_close(struct sl_reader *reader) {
    if (!reader) {
        return;
    }
    sl_statements_fini(&reader->statements);
    sqlite3_close(reader->db);
    free(reader);
}

int sl_reader_meta(struct sl_reader *r, const char *key, char *ret_value, size_t size) {
    sqlite3_stmt *stmt =
        sl_statements_get(&r->statements, "SELECT value FROM meta WHERE key=?1", NULL);
    if (!stmt) {
        return -SL_IO;
    }
    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    int step = sqlite3_step(stmt);
    int rc = step == SQLITE_DONE ? -SL_NOTFOUND : -SL_IO;
    if (step == SQLITE_ROW) {
        rc = sl_column_text(stmt, 0, ret_value, size) ? SL_OK : -SL_CORRUPT;
    }
    sqlite3_reset(stmt);
    return rc;
}

static int read_u64(struct sl_reader *r, const char *sql, uint64_t *ret_value,
                    struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(&r->statements, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    int rc = SL_OK;
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        *ret_value = (uint64_t)sqlite3_column_int64(stmt, 0);
    } else {
        rc = sl_store_fail(err, r->db, "reading a counter");
    }
    sqlite3_reset(stmt);
    return rc;
}

int sl_reader_high(struct sl_reader *r, struct sl_store_high *ret_high, struct sl_error *err) {
    struct sl_store_high high = {0};
    int rc = read_u64(r, "SELECT max(unit_id) FROM units", &high.unit_id, err);
    if (rc == SL_OK) {
        /* After a restore: above all that agents may have seen of a history that is lost. */
        char floor[192] = "0";
        sl_reader_meta(r, SL_META_FLOOR, floor, sizeof floor);
        uint64_t above = strtoull(floor, NULL, 10);
        high.unit_id = above > high.unit_id ? above : high.unit_id;
        high.epoch_floor = above;
        rc = read_u64(r, "SELECT max(id) FROM transfers", &high.transfer_id, err);
    }
    if (rc == SL_OK) {
        rc = read_u64(r, "SELECT count(*) FROM shares", &high.share_rows, err);
    }
    if (rc == SL_OK) {
        *ret_high = high;
    }
    return rc;
}

bool sl_reader_has_share(struct sl_reader *r, const char *node_key, uint64_t share_id) {
    sqlite3_stmt *stmt = sl_statements_get(
        &r->statements, "SELECT 1 FROM shares WHERE node_key=?1 AND share_id=?2", NULL);
    if (!stmt) {
        return false;
    }
    sqlite3_bind_text(stmt, 1, node_key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, (int64_t)share_id);
    bool found = sqlite3_step(stmt) == SQLITE_ROW;
    sqlite3_reset(stmt);
    return found;
}

int sl_reader_share_totals(struct sl_reader *r, struct sl_share_totals *ret_totals,
                           struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(
        &r->statements, "SELECT outcome, count(*), max(at_ms) FROM shares GROUP BY outcome", err);
    if (!stmt) {
        return -SL_IO;
    }
    struct sl_share_totals totals = {0};
    int step;
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        int outcome = sqlite3_column_int(stmt, 0);
        if (outcome < 0 || outcome > SL_SHARE_UNKNOWN) {
            continue;
        }
        totals.count[outcome] = (uint64_t)sqlite3_column_int64(stmt, 1);
        if (sqlite3_column_int64(stmt, 2) > totals.last_share_ms) {
            totals.last_share_ms = sqlite3_column_int64(stmt, 2);
        }
    }
    int rc = step == SQLITE_DONE ? SL_OK : sl_store_fail(err, r->db, "counting shares");
    sqlite3_reset(stmt);
    if (rc == SL_OK) {
        *ret_totals = totals;
    }
    return rc;
}
