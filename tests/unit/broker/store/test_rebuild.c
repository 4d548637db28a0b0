/* SPDX-License-Identifier: Apache-2.0
 * A store of schema 1, as the first release wrote it: its tables stand in old_store.sql. */
#include "broker/store/file_check.h"
#include "broker/store/store_internal.h"

#include "tests/unit/broker/store/image.h"

#define ROWS 300

/* With and without what its broker had not yet taken out of the log when it was killed. */
static void make_old(const char *path, bool killed) {
    char sql[16384];
    char other[160];
    sqlite3 *db = NULL;
    struct bytes text = load(SLUICE_FIXTURES "/store/old_store.sql");
    assert_true(text.size > 0 && text.size < sizeof sql);
    memcpy(sql, text.data, text.size);
    sql[text.size] = '\0';
    free(text.data);
    snprintf(other, sizeof other, "%s.old", path);
    assert_int_equal(sqlite3_open(other, &db), SQLITE_OK);
    char *said = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &said) != SQLITE_OK) {
        fail_msg("%s", said);
    }
    for (int i = 0; i < ROWS; i++) {
        snprintf(sql, sizeof sql,
                 "BEGIN; INSERT INTO transfers VALUES(%d,1,'tenant:demo','revenue:lease',%d,"
                 "'batch_1/%d',1); INSERT INTO results VALUES('batch_1',%d,9,1,7,1,2,x'0011',%d,1);"
                 "COMMIT",
                 i + 1, i, i, i, i);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    }
    snprintf(sql, sizeof sql,
             "INSERT INTO accounts VALUES('tenant:demo','%d','0'),('revenue:lease','0','%d');"
             "UPDATE batches SET billed_nusd=%d",
             ROWS * (ROWS - 1) / 2, ROWS * (ROWS - 1) / 2, ROWS * (ROWS - 1) / 2);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    if (!killed) {
        sqlite3_close(db);
    }
    struct bytes b = load(other);
    save(path, &b);
    free(b.data);
    snprintf(other, sizeof other, "%s.old-wal", path);
    b = load(other);
    snprintf(other, sizeof other, "%s-wal", path);
    if (killed) {
        assert_true(b.size > 100000);
        save(other, &b);
        sqlite3_close(db);
    }
    free(b.data);
    snprintf(sql, sizeof sql, "rm %s.old*", path);
    assert_int_equal(system(sql), 0);
}

static int64_t number(const char *path, const char *sql) {
    sqlite3 *db = open_raw(path);
    sqlite3_stmt *stmt = NULL;
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return value;
}

static void check_new(struct fixture *f) {
    struct sl_error err;
    SL_AUTO(sl_reader) r = NULL;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), SL_OK);
    if (sl_reader_ledger_check(r, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(number(f->path, "SELECT count(*) FROM transfers"), ROWS);
    assert_int_equal(number(f->path, "SELECT count(*) FROM meta WHERE key='site.id'"), 1);
    assert_int_equal(number(f->path, "PRAGMA user_version"), SL_SCHEMA_VERSION);
}

static void start_over(struct fixture *f) {
    char command[160];
    sl_store_close(f->store);
    f->store = NULL;
    snprintf(command, sizeof command, "rm -f %s*", f->path);
    assert_int_equal(system(command), 0);
}

static void an_old_store_is_converted(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    for (int killed = 0; killed < 2; killed++) {
        start_over(f);
        make_old(f->path, killed);
        if (open_again(f, &err)) {
            fail_msg("%s", err.text);
        }
        check_new(f);
        sl_store_close(f->store);
        f->store = NULL;
        struct sl_file_facts facts;
        assert_int_equal(sl_file_check(NULL, f->path, &facts, &err), SL_OK);
        assert_true(facts.has_sums && facts.schema == SL_SCHEMA_VERSION);
    }
}

/* What a kill at any moment leaves: the old store with or without its log, and a part of the copy;
 * or the new one. Each is taken up. */
static void a_crash_while_it_is_converted_is_safe(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    char path[160];
    for (int moment = 0; moment < 3; moment++) {
        start_over(f);
        make_old(f->path, true);
        sqlite3 *db = NULL;
        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        if (moment > 0) { /* the log was taken in */
            assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL), 0);
        } else {
            sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        }
        sqlite3_close(db);
        struct bytes part = load(f->path);
        part.size = moment == 2 ? part.size / 2 : 0;
        snprintf(path, sizeof path, "%s.converted", f->path);
        save(path, &part);
        free(part.data);
        if (open_again(f, &err)) {
            fail_msg("moment %d: %s", moment, err.text);
        }
        check_new(f);
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

static void a_damaged_old_store_is_not_converted(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    start_over(f);
    make_old(f->path, false);
    int64_t root = number(f->path, "SELECT rootpage FROM sqlite_master WHERE name='transfers'");
    FILE *file = fopen(f->path, "r+b");
    assert_non_null(file);
    fseek(file, (long)(root - 1) * SL_PAGE_BYTES, SEEK_SET);
    fputc(0x77, file);
    fclose(file);
    assert_int_equal(open_again(f, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, f->path));
    assert_int_equal(number(f->path, "PRAGMA user_version"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_old_store_is_converted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_while_it_is_converted_is_safe, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_old_store_is_not_converted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
