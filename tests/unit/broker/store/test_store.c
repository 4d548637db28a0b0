/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/store/store_internal.h"
#include "tests/unit/broker/store/rig.h"

static void what_is_posted_is_read_back_and_balances(void **state) {
    struct fixture *f = *state;
    struct sl_op ops[] = {batch_op(3000), line_op(0, 1000), transfer_op(1, "batch_1/0", 1000),
                          line_op(1, 2000), transfer_op(2, "batch_1/1", 2000)};
    ops[0].batch->output_life_ms = INT64_C(2592000000);
    submit(f, ops, 5, 1);
    wait_for(f, 1);
    assert_int_equal(atomic_load(&f->durable), 1);
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    struct sl_batch_row row = {0};
    assert_int_equal(sl_reader_batch(r, "batch_1", &row, &err), 0);
    assert_string_equal(row.metadata, "{\"a\":\"b\"}");
    assert_true(row.accrual.rem == 999999);
    assert_int_equal(row.output_life_ms, INT64_C(2592000000));
    sl_batch_row_fini(&row);
    int rows = 0;
    assert_int_equal(sl_reader_results(r, "batch_1", true, count_rows, &rows, &err), 0);
    assert_int_equal(rows, 2);
    struct sl_store_high high = {0};
    assert_int_equal(sl_reader_high(r, &high, &err), 0);
    assert_int_equal(high.transfer_id, 2);
    if (sl_reader_ledger_check(r, &err)) {
        fail_msg("%s", err.text);
    }
    bool more = false;
    rows = 0;
    assert_int_equal(sl_reader_batches(r, "demo", NULL, 1, count_rows, &rows, &more, &err), 0);
    assert_true(rows == 1 && !more);
    rows = 0;
    assert_int_equal(sl_reader_batches(r, "other", NULL, 9, count_rows, &rows, &more, &err), 0);
    assert_int_equal(rows, 0);
}

/* Of a store that did not know how long results stay: for ever, as was promised then. */
static void batches_of_before_keep_their_results(void **state) {
    struct fixture *f = *state;
    struct sl_op op = batch_op(3000);
    op.batch->output_life_ms = 3600000;
    submit(f, &op, 1, 1);
    wait_for(f, 1);
    sl_store_close(f->store);
    f->store = NULL;
    sqlite3 *db = open_raw(f->path);
    char sql[128];
    snprintf(sql, sizeof sql,
             "ALTER TABLE batches DROP COLUMN output_life_ms; PRAGMA user_version=%d",
             SL_SCHEMA_OUTPUT_LIFE - 1);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    struct sl_error err;
    if (open_again(f, &err)) {
        fail_msg("%s", err.text);
    }
    SL_AUTO(sl_reader) r = NULL;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    struct sl_batch_row row = {0};
    assert_int_equal(sl_reader_batch(r, "batch_1", &row, &err), 0);
    assert_int_equal(row.output_life_ms, 0);
    assert_int_equal(row.billed_nusd, 3000);
    sl_batch_row_fini(&row);
}

/* An update of figures leaves the index of states alone; one that changes the state does not. */
static void a_batch_is_found_by_the_state_that_it_has(void **state) {
    struct fixture *f = *state;
    struct sl_op first = batch_op(0);
    first.batch->state = SL_BATCH_IN_PROGRESS;
    submit(f, &first, 1, 1);
    for (uint32_t i = 0; i < 3; i++) {
        struct sl_op more = batch_op(1000 * (i + 1));
        more.batch->state = i < 2 ? SL_BATCH_IN_PROGRESS : SL_BATCH_COMPLETED;
        more.batch->lines_completed = i + 1;
        submit(f, &more, 1, i + 2);
    }
    wait_for(f, 4);
    assert_int_equal(atomic_load(&f->durable), 4);
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    struct sl_batch_row row = {0};
    assert_int_equal(sl_reader_batch(r, "batch_1", &row, &err), 0);
    assert_int_equal(row.state, SL_BATCH_COMPLETED);
    assert_int_equal(row.billed_nusd, 3000);
    assert_int_equal(row.lines_completed, 3);
    assert_true(row.accrual.rem == 999999);
    sl_batch_row_fini(&row);
    int rows = 0;
    assert_int_equal(sl_reader_open_batches(r, count_rows, &rows, &err), 0);
    assert_int_equal(rows, 0);
}

static void more_accounts_in_one_commit_than_are_summed_at_a_time(void **state) {
    struct fixture *f = *state;
    struct sl_op ops[200];
    for (uint32_t i = 0; i < 200; i++) {
        char ref[32];
        snprintf(ref, sizeof ref, "device/%u", i);
        ops[i] = transfer_op(i + 1, ref, i);
        ops[i].transfer.kind = SL_TRANSFER_POWER;
        snprintf(ops[i].transfer.debit, sizeof ops[i].transfer.debit, "tenant:%u", i % 77);
    }
    submit(f, ops, 200, 1);
    wait_for(f, 1);
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    int accounts = 0;
    assert_int_equal(sl_reader_accounts(r, count_rows, &accounts, &err), 0);
    assert_int_equal(accounts, 78);
    if (sl_reader_ledger_check(r, &err)) {
        fail_msg("%s", err.text);
    }
}

static void a_forged_amount_is_found(void **state) {
    struct fixture *f = *state;
    struct sl_op ops[] = {
        batch_op(1000), line_op(0, 1000), transfer_op(1, "batch_1/0", 1000), {.kind = SL_OP_UNIT}};
    ops[0].batch->tokens = 7;
    ops[0].batch->lines_completed = 1;
    ops[1].result.unit_id = 1;
    ops[3].unit =
        (struct sl_unit_row){.unit_id = 1, .price_nusd_per_mtok = 142900000, .line_count = 1};
    strcpy(ops[3].unit.batch, "batch_1");
    submit(f, ops, 4, 1);
    wait_for(f, 1);
    sl_store_close(f->store);
    f->store = NULL;
    static const char *const forgeries[] = {
        "UPDATE transfers SET amount_nusd=999",
        "UPDATE accounts SET credits='5' WHERE id='revenue:lease'",
        "UPDATE results SET amount_nusd=1",
        "DELETE FROM transfers",
        "DELETE FROM batches",
        "UPDATE batches SET tenant='other'",
        "UPDATE batches SET tokens=8",
        "UPDATE batches SET lines_completed=2",
        "UPDATE results SET tokens=8",
        "UPDATE units SET price_nusd_per_mtok=price_nusd_per_mtok+1000000",
        "UPDATE transfers SET credit='c'; UPDATE accounts SET id='c' WHERE id='revenue:lease'",
    };
    SL_AUTO(sl_reader) good = NULL;
    assert_int_equal(sl_reader_open(f->path, NULL, &good, NULL), 0);
    assert_int_equal(sl_reader_ledger_check(good, NULL), SL_OK);
    sl_reader_close(sl_take(&good));
    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
        sqlite3 *db = open_raw(f->path);
        sqlite3_exec(db, "SAVEPOINT s", NULL, NULL, NULL);
        char copy[160];
        snprintf(copy, sizeof copy, "VACUUM INTO '%s/copy%zu.db'", f->dir, i);
        sqlite3_exec(db, "RELEASE s", NULL, NULL, NULL);
        assert_int_equal(sqlite3_exec(db, copy, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        char path[128];
        snprintf(path, sizeof path, "%s/copy%zu.db", f->dir, i);
        db = open_raw(path);
        assert_int_equal(sqlite3_exec(db, forgeries[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        SL_AUTO(sl_reader) r = NULL;
        struct sl_error err;
        assert_int_equal(sl_reader_open(path, NULL, &r, &err), 0);
        assert_int_equal(sl_reader_ledger_check(r, &err), -SL_CORRUPT);
    }
}

static void broken_rules_stop_the_store_and_commit_nothing(void **state) {
    struct fixture *f = *state;
    struct sl_op first[] = {line_op(0, 1)};
    submit(f, first, 1, 1);
    wait_for(f, 1);
    struct sl_op again[] = {transfer_op(1, "batch_1/0", 1), line_op(0, 1)};
    submit(f, again, 2, 2);
    wait_for(f, 2);
    assert_int_equal(atomic_load(&f->fatal), 1);
    assert_int_equal(atomic_load(&f->durable), 1);
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    struct sl_store_high high = {0};
    assert_int_equal(sl_reader_high(r, &high, &err), 0);
    assert_int_equal(high.transfer_id, 0);
}

static void epochs_only_rise(void **state) {
    struct fixture *f = *state;
    struct sl_op device = {.kind = SL_OP_DEVICE};
    strcpy(device.device.key, "n/pocl/0");
    device.device.epoch_max = 5;
    struct sl_op directive = {.kind = SL_OP_DIRECTIVE};
    strcpy(directive.directive.device, "n/pocl/0");
    directive.directive.epoch = 6;
    directive.directive.mode = SL_MODE_HASH;
    struct sl_op ops[] = {device, directive};
    submit(f, ops, 2, 1);
    wait_for(f, 1);
    assert_int_equal(atomic_load(&f->fatal), 0);
    submit(f, &directive, 1, 2);
    wait_for(f, 2);
    assert_int_equal(atomic_load(&f->fatal), 1);
    assert_non_null(strstr(f->reason, "epoch 6"));
}

static void a_second_broker_and_a_damaged_store_are_refused_by_name(void **state) {
    struct fixture *f = *state;
    struct sl_store *second = NULL;
    struct sl_error err;
    assert_int_equal(
        sl_store_open(&(struct sl_store_config){.path = f->path, .fatal = on_fatal, .fatal_arg = f},
                      &second, &err),
        -SL_EXISTS);
    assert_non_null(strstr(err.text, f->path));
    sl_store_close(f->store);
    f->store = NULL;
    FILE *file = fopen(f->path, "r+b");
    assert_non_null(file);
    fseek(file, 0, SEEK_SET);
    fputs("this is no database at all", file);
    fclose(file);
    assert_int_equal(
        sl_store_open(&(struct sl_store_config){.path = f->path, .fatal = on_fatal, .fatal_arg = f},
                      &second, &err),
        -SL_CORRUPT);
    assert_non_null(strstr(err.text, f->path));
}

static void a_newer_store_is_refused(void **state) {
    struct fixture *f = *state;
    sl_store_close(f->store);
    f->store = NULL;
    sqlite3 *db = open_raw(f->path);
    sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL);
    sqlite3_close(db);
    struct sl_store *store = NULL;
    struct sl_error err;
    assert_int_equal(
        sl_store_open(&(struct sl_store_config){.path = f->path, .fatal = on_fatal, .fatal_arg = f},
                      &store, &err),
        -SL_UNSUPPORTED);
}

static void run_sql(struct fixture *f, const char *sql) {
    sqlite3 *db = open_raw(f->path);
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s: %s", sql, why);
    }
    sqlite3_close(db);
}

static void a_schema_below_the_first_is_no_store(void **state) {
    struct fixture *f = *state;
    struct sl_store *store = NULL;
    struct sl_error err = {0};
    sl_store_close(f->store);
    f->store = NULL;
    run_sql(f, "PRAGMA user_version = -5");
    const struct sl_store_config config = {.path = f->path, .fatal = on_fatal, .fatal_arg = f};
    assert_int_equal(sl_store_open(&config, &store, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "schema -5"));
}

static int ignore_row(void *arg, const void *row) {
    (void)arg;
    (void)row;
    return 0;
}

/* Found by the fuzzer: rows that SQLite finds sound and that do not say what their table promises
 * were read as zeros, cut texts or missing lines. */
static void rows_that_cannot_be_read_are_never_guessed_at(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct sl_op ops[] = {transfer_op(1, "batch_1/0", 1), line_op(0, 1)};
    submit(f, ops, 2, 1);
    wait_for(f, 1);
    SL_AUTO(sl_reader) r = NULL;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    assert_int_equal(sl_reader_accounts(r, ignore_row, NULL, &err), SL_OK);
    run_sql(f, "UPDATE accounts SET debits='9e9'");
    assert_int_equal(sl_reader_accounts(r, ignore_row, NULL, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "'accounts'"));
    run_sql(f, "INSERT INTO units VALUES(1,'k','d',1,'b',1,1,zeroblob(5000),0)");
    assert_int_equal(sl_reader_open_units(r, ignore_row, NULL, &err), -SL_CORRUPT);
    run_sql(f, "UPDATE units SET lines=x'0000000001'");
    assert_int_equal(sl_reader_open_units(r, ignore_row, NULL, &err), -SL_CORRUPT);
    run_sql(f, "UPDATE units SET lines=x'00000000', device=printf('%.200c','d')");
    assert_int_equal(sl_reader_open_units(r, ignore_row, NULL, &err), -SL_CORRUPT);
    run_sql(f, "UPDATE units SET device='d'");
    assert_int_equal(sl_reader_open_units(r, ignore_row, NULL, &err), SL_OK);
    run_sql(f, "INSERT INTO keys VALUES('key_1',x'00',1,'','',0,0)");
    assert_int_equal(sl_reader_keys(r, ignore_row, NULL, &err), -SL_CORRUPT);
    run_sql(f, "INSERT INTO meta VALUES('rem.hash',printf('%.500c','1'))");
    char value[192];
    assert_int_equal(sl_reader_meta(r, "rem.hash", value, sizeof value), -SL_CORRUPT);
    assert_int_equal(sl_reader_meta(r, "rem.power", value, sizeof value), -SL_NOTFOUND);
}

/* Files that have expired and are not swept yet took the places of others on a page: it was empty,
 * said that there were more, and clients stopped there. */
static void expired_files_take_no_place_on_a_page(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct sl_op ops[6];
    bool more = true;
    for (int i = 0; i < 6; i++) {
        ops[i] = (struct sl_op){.kind = SL_OP_FILE};
        snprintf(ops[i].file.id, sizeof ops[i].file.id, "file-%d", i);
        strcpy(ops[i].file.tenant, "acme");
        strcpy(ops[i].file.purpose, "batch");
        ops[i].file.expires.ms = i == 0 ? 0 : i == 1 ? 2000 : 1000;
    }
    submit(f, ops, 6, 1);
    wait_for(f, 1);
    SL_AUTO(sl_reader) r = NULL;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    for (int ascending = 0; ascending < 2; ascending++) {
        struct sl_file_list which = {
            .tenant = "acme", .limit = 1, .ascending = ascending, .living_at.ms = 1000};
        int rows = 0;
        assert_int_equal(sl_reader_files(r, &which, count_rows, &rows, &more, &err), 0);
        assert_int_equal(rows, 1);
        assert_true(more);
        which.limit = 2;
        assert_int_equal(sl_reader_files(r, &which, count_rows, &rows, &more, &err), 0);
        assert_int_equal(rows, 3);
        assert_false(more);
        which.living_at.ms = 0;
        which.limit = 6;
        assert_int_equal(sl_reader_files(r, &which, count_rows, &rows, &more, &err), 0);
        assert_int_equal(rows, 9);
        assert_false(more);
    }
}

/* "There is no such row" is an answer that the API hands on, so it must be true. */
static void what_cannot_be_read_is_not_called_absent(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct sl_batch_row batch;
    struct sl_file_row file;
    SL_AUTO(sl_reader) r = NULL;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    assert_int_equal(sl_reader_batch(r, "b", &batch, &err), -SL_NOTFOUND);
    assert_int_equal(sl_reader_file(r, "f", &file, &err), -SL_NOTFOUND);
    run_sql(f, "DROP TABLE batches; DROP TABLE files; DROP TABLE shares");
    struct sl_share_totals totals;
    assert_int_equal(sl_reader_batch(r, "b", &batch, &err), -SL_IO);
    assert_int_equal(sl_reader_file(r, "f", &file, &err), -SL_IO);
    assert_int_equal(sl_reader_share_totals(r, &totals, &err), -SL_IO);
}

static struct sl_op share_op(const char *node, uint64_t id) {
    struct sl_op op = {.kind = SL_OP_SHARE};
    strcpy(op.share.node_key, node);
    strcpy(op.share.device, "d");
    op.share.share_id = id;
    op.share.outcome = SL_SHARE_ACCEPTED;
    return op;
}

struct seen_shares {
    char text[256];
    size_t len;
};

static int note_share(void *arg, const void *row) {
    struct seen_shares *seen = arg;
    const struct sl_share_ref *ref = row;
    seen->len += (size_t)snprintf(seen->text + seen->len, sizeof seen->text - seen->len, "%s%llu ",
                                  ref->node_key, (unsigned long long)ref->share_id);
    return 0;
}

static void the_highest_shares_of_each_node(void **state) {
    struct fixture *f = *state;
    struct sl_op ops[] = {share_op("b", 7), share_op("a", 2), share_op("b", 9), share_op("c", 1),
                          share_op("a", 1), share_op("b", 8), share_op("a", 3)};
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    struct seen_shares seen = {0};
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    assert_int_equal(sl_reader_share_refs(r, 2, note_share, &seen, &err), 0);
    assert_string_equal(seen.text, "");
    submit(f, ops, sizeof ops / sizeof ops[0], 1);
    wait_for(f, 1);
    assert_int_equal(sl_reader_share_refs(r, 2, note_share, &seen, &err), 0);
    assert_string_equal(seen.text, "a3 a2 b9 b8 c1 ");
    run_sql(f, "DROP TABLE shares");
    assert_int_equal(sl_reader_share_refs(r, 2, note_share, &seen, &err), -SL_IO);
}

int main(void) {
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(what_is_posted_is_read_back_and_balances),
        STORE_TEST(batches_of_before_keep_their_results),
        STORE_TEST(a_batch_is_found_by_the_state_that_it_has),
        STORE_TEST(more_accounts_in_one_commit_than_are_summed_at_a_time),
        STORE_TEST(a_forged_amount_is_found),
        STORE_TEST(broken_rules_stop_the_store_and_commit_nothing),
        STORE_TEST(epochs_only_rise),
        STORE_TEST(a_second_broker_and_a_damaged_store_are_refused_by_name),
        STORE_TEST(a_newer_store_is_refused),
        STORE_TEST(a_schema_below_the_first_is_no_store),
        STORE_TEST(rows_that_cannot_be_read_are_never_guessed_at),
        STORE_TEST(expired_files_take_no_place_on_a_page),
        STORE_TEST(what_cannot_be_read_is_not_called_absent),
        STORE_TEST(the_highest_shares_of_each_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
