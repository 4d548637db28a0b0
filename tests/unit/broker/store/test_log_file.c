/* SPDX-License-Identifier: Apache-2.0
 * The log's frames in one write: over a VFS that counts, fails, and has room for so much. */
#include "broker/store/log_file.h"

#include "broker/store/store_internal.h"
#include "tests/unit/broker/store/rig.h"

/* ---- a VFS below: the system's, with the writes to a log counted ---- */

static struct {
    sqlite3_vfs *system;
    const sqlite3_io_methods *methods; /* of the system's files */
    uint32_t writes, syncs;
    bool full;
} below;

static int counted_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset) {
    below.writes++;
    return below.full ? SQLITE_FULL : below.methods->xWrite(file, data, size, offset);
}

static int counted_sync(sqlite3_file *file, int flags) {
    below.syncs++;
    return below.methods->xSync(file, flags);
}

static int counting_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                         int *ret_flags) {
    (void)vfs;
    static sqlite3_io_methods counted;
    int rc = below.system->xOpen(below.system, name, file, flags, ret_flags);
    if (rc == SQLITE_OK && (flags & SQLITE_OPEN_WAL)) {
        below.methods = file->pMethods;
        counted = *file->pMethods;
        counted.xWrite = counted_write;
        counted.xSync = counted_sync;
        file->pMethods = &counted;
    }
    return rc;
}

static void exec(sqlite3 *db, const char *sql) {
    char *text = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK) {
        fail_msg("%s: %s (%d)", sql, text, sqlite3_extended_errcode(db));
    }
}

static int64_t number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

struct bed {
    char dir[64], path[96];
    sqlite3 *db, *reader;
};

static sqlite3 *open_one(const char *path) {
    sqlite3 *db = NULL;
    struct sl_error err;
    if (sl_store_open_db(path, "counting", &db, &err)) {
        fail_msg("%s", err.text);
    }
    exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0");
    return db;
}

static int open_bed(void **state) {
    static sqlite3_vfs counting;
    struct bed *bed = calloc(1, sizeof *bed);
    strcpy(bed->dir, "/tmp/sluice-log-XXXXXX");
    if (!mkdtemp(bed->dir)) {
        return -1;
    }
    snprintf(bed->path, sizeof bed->path, "%s/store.db", bed->dir);
    below.full = false;
    if (!below.system) {
        below.system = sqlite3_vfs_find("unix");
        counting = *below.system;
        counting.zName = "counting";
        counting.xOpen = counting_open;
        sqlite3_vfs_register(&counting, 0);
    }
    bed->db = open_one(bed->path);
    exec(bed->db, "CREATE TABLE t(n INTEGER PRIMARY KEY, x BLOB)");
    sl_log_gather(bed->db);
    bed->reader = open_one(bed->path);
    *state = bed;
    return 0;
}

static int close_bed(void **state) {
    struct bed *bed = *state;
    sqlite3_close(bed->reader);
    sqlite3_close(bed->db);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", bed->dir);
    int rc = system(command);
    free(bed);
    return rc;
}

static void check_whole(struct bed *bed, int64_t rows) {
    assert_int_equal(number(bed->reader, "SELECT count(*) FROM t"), rows);
    assert_int_equal(number(bed->db, "SELECT count(*) FROM t"), rows);
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(bed->reader, "PRAGMA integrity_check", -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
    sqlite3_finalize(stmt);
}

static void a_commit_is_one_write_and_one_sync(void **state) {
    struct bed *bed = *state;
    for (int i = 0; i < 20; i++) {
        below.writes = below.syncs = 0;
        exec(bed->db, "BEGIN; INSERT INTO t(x) VALUES(randomblob(9000));"
                      "INSERT INTO t(x) VALUES(randomblob(9000)); COMMIT");
        assert_int_equal(below.writes, 1);
        assert_int_equal(below.syncs, 1);
        check_whole(bed, 2 * (i + 1)); /* at once, through another descriptor */
    }
}

static void what_is_not_gathered_is_written_as_ever(void **state) {
    struct bed *bed = *state;
    below.writes = 0;
    exec(bed->reader, "INSERT INTO t(x) VALUES(randomblob(9000))");
    assert_true(below.writes > 4); /* head and page of each frame */
    check_whole(bed, 1);
    exec(bed->reader, "PRAGMA synchronous=NORMAL"); /* without a sync at the commit: not at all */
    sl_log_gather(bed->reader);
    below.writes = 0;
    exec(bed->reader, "INSERT INTO t(x) VALUES(randomblob(9000))");
    assert_true(below.writes > 4);
    check_whole(bed, 2);
}

/* Frames that leave the cache before the commit are read back by it. */
static void a_large_transaction_spills_and_is_whole(void **state) {
    struct bed *bed = *state;
    exec(bed->db, "PRAGMA cache_size=10");
    exec(bed->db, "BEGIN");
    for (int i = 0; i < 300; i++) {
        exec(bed->db, "INSERT INTO t(x) VALUES(randomblob(3000))");
        exec(bed->db, "UPDATE t SET x=randomblob(2900) WHERE n=(SELECT min(n) FROM t)");
    }
    assert_int_equal(number(bed->reader, "SELECT count(*) FROM t"), 0);
    exec(bed->db, "COMMIT");
    check_whole(bed, 300);
    exec(bed->db, "BEGIN");
    for (int i = 0; i < 100; i++) {
        exec(bed->db, "INSERT INTO t(x) VALUES(randomblob(3000))");
    }
    exec(bed->db, "ROLLBACK");
    exec(bed->db, "INSERT INTO t(x) VALUES(randomblob(3000))");
    check_whole(bed, 301);
}

static void a_full_disk_fails_the_commit_and_nothing_else(void **state) {
    struct bed *bed = *state;
    exec(bed->db, "INSERT INTO t(x) VALUES(randomblob(9000))");
    below.full = true;
    assert_int_equal(
        sqlite3_exec(bed->db, "INSERT INTO t(x) VALUES(randomblob(9000))", NULL, NULL, NULL),
        SQLITE_FULL);
    check_whole(bed, 1);
    below.full = false;
    exec(bed->db, "INSERT INTO t(x) VALUES(randomblob(9000))");
    check_whole(bed, 2);
}

static void a_log_that_begins_anew_is_whole(void **state) {
    struct bed *bed = *state;
    for (int i = 0; i < 50; i++) {
        exec(bed->db, "INSERT INTO t(x) VALUES(randomblob(9000))");
        if (i % 7 == 0) {
            exec(bed->db,
                 i % 2 ? "PRAGMA wal_checkpoint(RESTART)" : "PRAGMA wal_checkpoint(TRUNCATE)");
        }
    }
    check_whole(bed, 50);
    /* As after a kill: all that was committed stands in the files. */
    char command[320];
    snprintf(command, sizeof command, "cp '%s' '%s.2' && cp '%s-wal' '%s.2-wal'", bed->path,
             bed->path, bed->path, bed->path);
    assert_int_equal(system(command), 0);
    char copy[100];
    snprintf(copy, sizeof copy, "%s.2", bed->path);
    sqlite3 *db = open_one(copy);
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 50);
    sqlite3_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_commit_is_one_write_and_one_sync, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(what_is_not_gathered_is_written_as_ever, open_bed,
                                        close_bed),
        cmocka_unit_test_setup_teardown(a_large_transaction_spills_and_is_whole, open_bed,
                                        close_bed),
        cmocka_unit_test_setup_teardown(a_full_disk_fails_the_commit_and_nothing_else, open_bed,
                                        close_bed),
        cmocka_unit_test_setup_teardown(a_log_that_begins_anew_is_whole, open_bed, close_bed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
