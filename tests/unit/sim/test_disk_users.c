/* SPDX-License-Identifier: Apache-2.0
 * SQLite, the real store and the real journal on the disk in memory, through kills and power
 * failures; and how fast that is. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/journal/journal.h"
#include "broker/store/store.h"
#include "tests/sim/disk.h"
#include "tests/unit/agent/journal/helpers.h"

static void check_sql(sqlite3 *db, const char *sql) {
    char *said = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &said) != SQLITE_OK) {
        fail_msg("%s: %s", sql, said);
    }
}

static int64_t read_int(sqlite3 *db, const char *sql) {
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static sqlite3 *open_sql(const char *name) {
    sqlite3 *db = NULL;
    assert_int_equal(
        sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "users"), SQLITE_OK);
    return db;
}

/* Locks: a writer shuts out a second writer, not readers; readers keep what they began to read. */
static void test_locks(void **state) {
    (void)state;
    struct sim_disk *disk = sim_disk_create(1);
    assert_int_equal(sim_disk_vfs_register(disk, "users", false), SQLITE_OK);
    sqlite3 *a = open_sql("a.db");
    sqlite3 *b = open_sql("a.db");
    check_sql(a, "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    check_sql(a, "BEGIN IMMEDIATE; INSERT INTO t VALUES(2)");
    assert_int_equal(sqlite3_exec(b, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY);
    check_sql(b, "BEGIN");
    assert_int_equal(read_int(b, "SELECT count(*) FROM t"), 1);
    check_sql(a, "COMMIT");
    assert_int_equal(read_int(b, "SELECT count(*) FROM t"), 1);
    check_sql(b, "COMMIT");
    assert_int_equal(read_int(b, "SELECT count(*) FROM t"), 2);
    sqlite3_close(a);
    sqlite3_close(b);
    /* Rollback journals too, in which readers do shut out the writer. */
    a = open_sql("b.db");
    b = open_sql("b.db");
    check_sql(a, "PRAGMA journal_mode=DELETE; CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    check_sql(b, "BEGIN");
    assert_int_equal(read_int(b, "SELECT count(*) FROM t"), 1);
    assert_int_equal(sqlite3_exec(a, "INSERT INTO t VALUES(2)", NULL, NULL, NULL), SQLITE_BUSY);
    check_sql(b, "COMMIT");
    check_sql(a, "INSERT INTO t VALUES(2)");
    assert_int_equal(read_int(b, "SELECT count(*) FROM t"), 2);
    sqlite3_close(a);
    sqlite3_close(b);
    size_t size = 0;
    assert_null(sim_disk_read_file(disk, "a.db-wal", &size));
    assert_null(sim_disk_read_file(disk, "b.db-journal", &size));
    sim_disk_destroy(disk);
}

/* Time and random numbers are the disk's. */
static void test_time_and_randomness(void **state) {
    (void)state;
    int64_t drawn[2];
    for (int i = 0; i < 2; i++) {
        struct sim_disk *disk = sim_disk_create(77);
        sim_disk_vfs_register(disk, "users", true);
        sim_disk_set_wall_ms(disk, INT64_C(1700000000123));
        sqlite3_randomness(0, NULL);
        sqlite3 *db = open_sql("a.db");
        assert_int_equal(read_int(db, "SELECT strftime('%s','now')"), 1700000000);
        drawn[i] = read_int(db, "SELECT random()");
        sqlite3_close(db);
        sim_disk_destroy(disk);
    }
    assert_true(drawn[0] == drawn[1]);
    sqlite3_randomness(0, NULL);
}

/* ---- the store ---- */

struct world {
    struct sim_disk *disk;
    struct sl_store *store;
    uint64_t durable;
    int fatal;
};

static void on_done(void *arg, uint64_t ticket) {
    ((struct world *)arg)->durable = ticket;
}

static void on_fatal(void *arg, const char *reason) {
    (void)reason;
    ((struct world *)arg)->fatal++;
}

static int open_store(struct world *w, struct sl_error *err) {
    struct sl_store_config config = {
        .path = "store.db", .fatal = on_fatal, .fatal_arg = w, .vfs = "users", .threadless = true};
    return sl_store_open(&config, &w->store, err);
}

static void submit_meta(struct world *w, uint64_t n) {
    struct sl_txn *txn = NULL;
    assert_int_equal(sl_txn_create(&txn, NULL), 0);
    struct sl_op op = {.kind = SL_OP_META};
    snprintf(op.meta.key, sizeof op.meta.key, "key%llu", (unsigned long long)(n % 50));
    snprintf(op.meta.value, sizeof op.meta.value, "%llu", (unsigned long long)n);
    assert_int_equal(sl_txn_add(txn, &op, NULL), 0);
    strcpy(op.meta.key, "last");
    assert_int_equal(sl_txn_add(txn, &op, NULL), 0);
    txn->ticket = n;
    txn->done = on_done;
    txn->arg = w;
    (void)sl_store_submit(w->store, txn);
}

static uint64_t read_last(void) {
    struct sl_error err = {0};
    SL_AUTO(sl_reader) reader = NULL;
    if (sl_reader_open("store.db", "users", &reader, &err)) {
        fail_msg("%s", err.text);
    }
    char value[192] = "0";
    (void)sl_reader_meta(reader, "last", value, sizeof value);
    uint64_t last = strtoull(value, NULL, 10);
    if (last) {
        char key[64];
        snprintf(key, sizeof key, "key%llu", (unsigned long long)(last % 50));
        assert_int_equal(sl_reader_meta(reader, key, value, sizeof value), SL_OK);
        assert_int_equal(strtoull(value, NULL, 10), last);
    }
    return last;
}

static void test_store(void **state) {
    (void)state;
    struct world w = {.disk = sim_disk_create(3)};
    assert_int_equal(sim_disk_vfs_register(w.disk, "users", false), SQLITE_OK);
    uint64_t n = 0;
    for (uint64_t life = 1; life <= 300; life++) {
        struct sl_error err = {0};
        sim_disk_die_at(w.disk, 1 + life * 7919 % 200);
        int rc = open_store(&w, &err);
        if (rc && !sim_disk_is_dead(w.disk)) {
            fail_msg("life %llu: %s", (unsigned long long)life, err.text);
        }
        for (int i = 0; rc == SL_OK && !sim_disk_is_dead(w.disk); i++) {
            submit_meta(&w, ++n);
            if (i % 3 == 2) {
                sl_store_commit(w.store);
            }
        }
        if (life % 2) { /* the dead process's memory is torn down before or after the next boot */
            sl_store_close(w.store);
            w.store = NULL;
        }
        if (life % 3) {
            sim_disk_power_failed(w.disk, life % 3 == 1);
        } else {
            sim_disk_killed(w.disk);
        }
        sl_store_close(w.store);
        w.store = NULL;
        if (open_store(&w, &err)) {
            fail_msg("life %llu: %s", (unsigned long long)life, err.text);
        }
        uint64_t last = read_last();
        if (last < w.durable) {
            fail_msg("life %llu: %llu was acknowledged, %llu is there", (unsigned long long)life,
                     (unsigned long long)w.durable, (unsigned long long)last);
        }
        sl_store_close(w.store);
        w.store = NULL;
    }
    assert_true(w.durable > 300);
    assert_true(sim_disk_get_stats(w.disk)->lost_sectors > 100);
    assert_true(sim_disk_get_stats(w.disk)->torn_sectors > 0);
    sim_disk_destroy(w.disk);
}

/* ---- the journal ---- */

static int open_journal(struct sim_disk *disk, struct sl_mailbox *done, struct map *ret_map,
                        struct sl_journal **ret_journal, struct sl_error *err) {
    struct sl_journal_config config = {.dir = "var/agent",
                                       .ops = sim_disk_journal_ops(disk),
                                       .compact_bytes = 20000,
                                       .grow_bytes = 4096};
    int rc = sl_journal_open(&config, ret_journal, err);
    memset(ret_map, 0, sizeof *ret_map);
    rc = rc ? rc : sl_journal_replay(*ret_journal, map_visit, ret_map, err);
    return rc ? rc : sl_journal_start(*ret_journal, done, false, err);
}

static void test_journal(void **state) {
    (void)state;
    struct sim_disk *disk = sim_disk_create(5);
    struct sl_mailbox *done = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_journal_done), 64, &done, NULL), SL_OK);
    struct map durable = {0};
    uint64_t ticket = 0;
    uint64_t acknowledged = 0;
    for (uint64_t life = 1; life <= 300; life++) {
        struct sl_journal *journal = NULL;
        struct map found;
        struct sl_error err = {0};
        if (open_journal(disk, done, &found, &journal, &err)) {
            fail_msg("life %llu: %s", (unsigned long long)life, err.text);
        }
        for (int k = 0; k < MAP_KEYS; k++) {
            /* One key changes a life at most once after the last acknowledgement. */
            assert_true(found.generation[k] >= durable.generation[k]);
        }
        durable = found;
        sim_disk_die_at(disk, 1 + life * 7919 % 60);
        while (!sim_disk_is_dead(disk)) {
            int key = (int)(ticket % MAP_KEYS);
            struct map next = durable;
            ticket++;
            if (map_queue(journal, &next, key, durable.generation[key] + 1, ticket * 37 % 900,
                          ticket, true)) {
                break;
            }
            sl_journal_commit(journal);
            struct sl_journal_done message;
            while (sl_mailbox_take(done, &message)) {
                if (message.status == SL_OK) {
                    durable = next;
                    acknowledged++;
                }
            }
        }
        sl_journal_close(journal);
        if (life % 3) {
            sim_disk_power_failed(disk, false);
        } else {
            sim_disk_killed(disk);
        }
        struct sl_journal_done message;
        while (sl_mailbox_take(done, &message)) {}
    }
    assert_true(acknowledged > 1000);
    assert_true(sim_disk_get_stats(disk)->lost_sectors > 20);
    sl_mailbox_destroy(done);
    sim_disk_destroy(disk);
}

/* ---- both on one disk, timed: a figure for people, nothing is asserted of it ---- */

static double seconds_since(struct sl_mono start) {
    return (double)sl_mono_since_ns(sl_clock_mono(), start) / 1e9;
}

static void test_speed(void **state) {
    (void)state;
    struct world w = {.disk = sim_disk_create(9)};
    sim_disk_vfs_register(w.disk, "users", false);
    struct sl_error err = {0};
    assert_int_equal(open_store(&w, &err), SL_OK);
    struct sl_mono start = sl_clock_mono();
    const int commits = 5000;
    for (int i = 1; i <= commits; i++) {
        submit_meta(&w, (uint64_t)i);
        sl_store_commit(w.store);
    }
    assert_int_equal(w.durable, commits);
    double store_s = seconds_since(start);
    struct sl_mailbox *done = NULL;
    sl_mailbox_create(sizeof(struct sl_journal_done), 64, &done, NULL);
    struct sl_journal *journal = NULL;
    struct map map;
    assert_int_equal(open_journal(w.disk, done, &map, &journal, &err), SL_OK);
    start = sl_clock_mono();
    const int batches = 10000;
    for (int i = 1; i <= batches; i++) {
        assert_int_equal(map_queue(journal, &map, i % MAP_KEYS, i, 100, (uint64_t)i, true), SL_OK);
        sl_journal_commit(journal);
        struct sl_journal_done message;
        assert_true(sl_mailbox_take(done, &message) && message.status == SL_OK);
    }
    print_message("%.0f store commits/s, %.0f journal batches/s\n", commits / store_s,
                  batches / seconds_since(start));
    sl_journal_close(journal);
    sl_mailbox_destroy(done);
    sl_store_close(w.store);
    sim_disk_destroy(w.disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locks), cmocka_unit_test(test_time_and_randomness),
        cmocka_unit_test(test_store), cmocka_unit_test(test_journal),
        cmocka_unit_test(test_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
