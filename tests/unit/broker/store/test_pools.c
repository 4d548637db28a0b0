/* SPDX-License-Identifier: Apache-2.0
 * What was booked under each pool: written, read back, and made up for a store of before. */
#include "broker/store/pools.h"

#include "broker/store/store_internal.h"
#include "tests/unit/broker/store/rig.h"

static int keep(void *arg, const void *row) {
    struct sl_pool_row *rows = arg;
    while (rows->name[0]) {
        rows++;
    }
    *rows = *(const struct sl_pool_row *)row;
    return 0;
}

static int list(struct fixture *f, struct sl_pool_row rows[4], struct sl_error *err) {
    SL_AUTO(sl_reader) r = NULL;
    memset(rows, 0, 4 * sizeof rows[0]);
    assert_int_equal(sl_reader_open(f->path, NULL, &r, err), 0);
    return sl_reader_pools(r, keep, rows, err);
}

/* Takes the step that made the table back, and those after it. */
static void undo(sqlite3 *db) {
    char sql[256];
    snprintf(sql, sizeof sql,
             "DROP TABLE pools; ALTER TABLE shares DROP COLUMN pool;"
             "ALTER TABLE settlements DROP COLUMN only_pool; ALTER TABLE batches DROP COLUMN "
             "model_sha256; ALTER TABLE batches DROP COLUMN output_life_ms;"
             "PRAGMA user_version=%d",
             SL_SCHEMA_POOLS - 1);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void run(struct fixture *f, bool before, const char *sql) {
    sqlite3 *db = open_raw(f->path);
    if (before) {
        undo(db);
    }
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s: %s", sql, why);
    }
    sqlite3_close(db);
}

static void rows_read_back(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct sl_pool_row rows[4];
    struct sl_pool_row a = {.name = "a",
                            .accepted = 1,
                            .stale = 2,
                            .rejected = 3,
                            .unknown = 4,
                            .duplicate = 5,
                            .low = 6,
                            .unauthorised = 7,
                            .last_share = {8}};
    a.work = ((sl_i128)1 << 90) + 9;
    a.amount_nusd = ((sl_i128)1 << 80) + 10;
    struct sl_op ops[] = {{.kind = SL_OP_POOL, .pool = {.name = "b"}},
                          {.kind = SL_OP_POOL, .pool = {.name = "a", .accepted = 99}},
                          {.kind = SL_OP_POOL, .pool = a}};
    submit(f, ops, 3, 1);
    wait_for(f, 1);
    assert_int_equal(list(f, rows, &err), SL_OK);
    assert_string_equal(rows[1].name, "b");
    assert_string_equal(rows[2].name, "");
    assert_string_equal(rows[0].name, "a");
    assert_int_equal(rows[0].accepted, 1);
    assert_int_equal(rows[0].stale, 2);
    assert_int_equal(rows[0].rejected, 3);
    assert_int_equal(rows[0].unknown, 4);
    assert_int_equal(rows[0].duplicate, 5);
    assert_int_equal(rows[0].low, 6);
    assert_int_equal(rows[0].unauthorised, 7);
    assert_int_equal(rows[0].last_share.ms, 8);
    assert_true(rows[0].work == a.work && rows[0].amount_nusd == a.amount_nusd);
    run(f, false, "UPDATE pools SET work='much' WHERE name='a'");
    assert_int_equal(list(f, rows, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "'pools'"));
}

/* As the version before left it: shares without a pool. */
static void a_store_of_before_has_one_pool(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct sl_pool_row rows[4];
    sl_store_close(f->store);
    f->store = NULL;
    run(f, true,
        "INSERT INTO shares(node_key,share_id,device,outcome,code,work_hashes,difficulty_nano,"
        "price_nusd_per_ph_day,amount_nusd,at_ms) VALUES('k',1,'d',1,0,4295032833000,1,1,70,5),"
        "('k',2,'d',1,0,4295032833000,1,1,30,9),('k',3,'d',3,22,7,1,0,0,6),"
        "('k',4,'d',3,23,7,1,0,0,6),('k',5,'d',2,21,7,1,0,0,6),('k',6,'d',4,0,7,1,0,0,6);"
        "INSERT INTO transfers VALUES(1,2,'receivable:pool','revenue:hash',70,'k/1',5),"
        "(2,2,'receivable:pool','revenue:hash',30,'k/2',9);"
        "INSERT INTO accounts VALUES('receivable:pool','100','0'),('revenue:hash','0','100');");
    assert_int_equal(open_again(f, &err), SL_OK);
    assert_int_equal(list(f, rows, &err), SL_OK);
    assert_string_equal(rows[0].name, SL_POOL_UNNAMED);
    assert_string_equal(rows[1].name, "");
    assert_int_equal(rows[0].accepted, 2);
    assert_int_equal(rows[0].rejected, 2);
    assert_int_equal(rows[0].duplicate, 1);
    assert_int_equal(rows[0].low, 1);
    assert_int_equal(rows[0].stale, 1);
    assert_int_equal(rows[0].unknown, 1);
    assert_true(rows[0].work == (sl_i128)2 * 4295032833000);
    assert_true(rows[0].amount_nusd == 100);
    assert_int_equal(rows[0].last_share.ms, 9);
    SL_AUTO(sl_reader) r = NULL;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    assert_int_equal(sl_reader_ledger_check(r, &err), SL_OK);
}

static void an_empty_store_of_before_has_none(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct sl_pool_row rows[4];
    sl_store_close(f->store);
    f->store = NULL;
    run(f, true, "SELECT 1");
    assert_int_equal(open_again(f, &err), SL_OK);
    assert_int_equal(list(f, rows, &err), SL_OK);
    assert_string_equal(rows[0].name, "");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(rows_read_back),
        TEST(a_store_of_before_has_one_pool),
        TEST(an_empty_store_of_before_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
