/* SPDX-License-Identifier: Apache-2.0
 * Whether a file is a backup, whole and sound. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/store/backup_internal.h"
#include "broker/store/file_check.h"

void sl_backup_value(sqlite3 *db, const char *key, char *ret_value, size_t size) {
    sqlite3_stmt *stmt = NULL;
    ret_value[0] = '\0';
    if (sqlite3_prepare_v2(db, "SELECT value FROM backup WHERE key=?1", -1, &stmt, NULL) == 0) {
        sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
        if (sqlite3_step(stmt) == SQLITE_ROW) {
            sl_column_text(stmt, 0, ret_value, size);
        }
    }
    sqlite3_finalize(stmt);
}

static long long value_number(sqlite3 *db, const char *key) {
    char value[64];
    sl_backup_value(db, key, value, sizeof value);
    return strtoll(value, NULL, 10);
}

static int check_whole(sqlite3 *db, const char *file, struct sl_backup_facts *facts,
                       struct sl_error *err) {
    int64_t application = 0;
    int64_t format = 0;
    int rc = sl_store_int(db, "PRAGMA application_id", &application, err);
    format = value_number(db, "format");
    if (rc == SL_OK && (application != SL_BACKUP_APPLICATION || format < 1)) {
        return sl_fail(err, SL_INVALID, "%s was not made by `sluice-broker backup`", file);
    }
    if (rc == SL_OK && format > SL_BACKUP_FORMAT) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "%s has format %lld and this program knows %d; use the newer sluice-broker",
                       file, (long long)format, SL_BACKUP_FORMAT);
    }
    int64_t files = 0;
    int64_t bytes = 0;
    int64_t open_batches = 0;
    int64_t bare = 0;
    int64_t schema = 0;
    rc = rc ? rc : sl_store_int(db, "SELECT count(DISTINCT name) FROM backup_file", &files, err);
    rc =
        rc ? rc
           : sl_store_int(db, "SELECT coalesce(sum(length(data)),0) FROM backup_file", &bytes, err);
    rc = rc ? rc
            : sl_store_int(db, "SELECT count(*) FROM batches WHERE " SL_SQL_BATCH_OPEN,
                           &open_batches, err);
    rc = rc ? rc
            : sl_store_int(db,
                           "SELECT count(*) FROM batches WHERE lines_total>0"
                           " AND " SL_SQL_BATCH_OPEN
                           " AND 'lines/'||id NOT IN (SELECT name FROM backup_file)",
                           &bare, err);
    rc = rc ? rc : sl_store_int(db, "PRAGMA user_version", &schema, err);
    if (rc == SL_OK &&
        (files != value_number(db, "files") || bytes != value_number(db, "file_bytes"))) {
        rc = sl_fail(err, SL_CORRUPT, "%s lacks files that were in it", file);
    }
    facts->at.ms = value_number(db, "at_ms");
    facts->files = (uint32_t)files;
    facts->batches_open = (uint32_t)open_batches;
    facts->batches_bare = (uint32_t)bare;
    facts->schema = (int)schema;
    return rc;
}

static int check_open(struct sl_reader *r, const char *file, struct sl_backup_facts *facts,
                      struct sl_error *err) {
    int rc = check_whole(r->db, file, facts, err);
    if (rc) {
        return rc;
    }
    rc = sl_schema_quick_check(r->db, file, err);
    rc = rc ? rc : sl_reader_ledger_check(r, err);
    if (rc) {
        return sl_wrap(err, "the backup %s is damaged", file);
    }
    sl_reader_meta(r, SL_META_SITE_ID, facts->site_id, sizeof facts->site_id);
    sl_reader_meta(r, SL_META_SITE_KEY, facts->site_key, sizeof facts->site_key);
    return SL_OK;
}

int sl_backup_check(const char *file, struct sl_backup_facts *ret_facts, struct sl_error *err) {
    struct sl_backup_facts facts = {0};
    struct sl_file_facts pages = {0};
    struct stat st;
    if (stat(file, &st) != 0) {
        return sl_fail_errno(err, "reading the backup %s", file);
    }
    if (st.st_size == 0) {
        return sl_fail(err, SL_INVALID, "%s is empty: no backup", file);
    }
    int rc = sl_file_check(NULL, file, &pages, err);
    if (rc == -SL_CORRUPT && !pages.is_database) {
        return sl_fail(err, SL_INVALID, "%s was not made by `sluice-broker backup`", file);
    }
    if (rc == -SL_CORRUPT) {
        return sl_fail(err, SL_CORRUPT, "the backup %s is damaged at byte %lld (%s); use another",
                       file, (long long)pages.bad_at, pages.bad);
    }
    if (rc) {
        return rc;
    }
    if (!pages.has_sums) {
        return sl_fail(err, SL_INVALID, "%s was not made by `sluice-broker backup`", file);
    }
    SL_AUTO(sl_reader) r = NULL;
    rc = sl_reader_open(file, NULL, &r, err);
    rc = rc ? rc : check_open(r, file, &facts, err);
    facts.bytes = (uint64_t)st.st_size;
    if (rc == SL_OK) {
        *ret_facts = facts;
    }
    return rc;
}
