/* SPDX-License-Identifier: Apache-2.0
 * Which shares a settlement is about: of its span and scope, once, and those that came late. */
#include "broker/store/settlements.h"

#include "tests/unit/broker/store/rig.h"

struct books { /* what a core would keep */
    struct fixture *f;
    uint64_t transfer, ticket;
    struct sl_pool_row pools[2];
};

static void put(struct books *b, struct sl_op *ops, uint32_t count) {
    submit(b->f, ops, count, ++b->ticket);
    wait_for(b->f, (int)b->ticket);
}

static void device(struct books *b, const char *key, const char *node, const char *node_key) {
    struct sl_op op = {.kind = SL_OP_DEVICE};
    strcpy(op.device.key, key);
    strcpy(op.device.node, node);
    strcpy(op.device.node_key, node_key);
    put(b, &op, 1);
}

static void share_of(struct books *b, const char *pool, const char *node_key, uint64_t id,
                     int64_t at_ms, int64_t amount) {
    struct sl_op ops[3] = {{.kind = SL_OP_SHARE}, {.kind = SL_OP_TRANSFER}, {.kind = SL_OP_POOL}};
    strcpy(ops[0].share.node_key, node_key);
    ops[0].share.share_id = id;
    ops[0].share.outcome = SL_SHARE_ACCEPTED;
    ops[0].share.amount_nusd = amount;
    ops[0].share.at.ms = at_ms;
    ops[1].transfer = (struct sl_transfer_row){.id = ++b->transfer, .kind = SL_TRANSFER_SHARE};
    ops[1].transfer.amount.v = amount;
    strcpy(ops[1].transfer.debit, "receivable:pool");
    strcpy(ops[1].transfer.credit, "revenue:hash");
    snprintf(ops[1].transfer.ref, sizeof ops[1].transfer.ref, "%s/%d", node_key, (int)id);
    strcpy(ops[0].share.pool, pool);
    struct sl_pool_row *sums = &b->pools[pool[0] == 'b'];
    strcpy(sums->name, pool);
    sums->accepted++;
    sums->amount_nusd += amount;
    ops[2].pool = *sums;
    put(b, ops, 3);
}

static void share(struct books *b, const char *node_key, uint64_t id, int64_t at_ms,
                  int64_t amount) {
    share_of(b, "a", node_key, id, at_ms, amount);
}

static struct sl_op posting(struct books *b, enum sl_transfer_kind kind, uint64_t id,
                            const char *debit, const char *credit, int64_t amount) {
    struct sl_op op = {.kind = SL_OP_TRANSFER};
    op.transfer = (struct sl_transfer_row){.id = ++b->transfer, .kind = kind};
    op.transfer.amount.v = amount;
    strcpy(op.transfer.debit, debit);
    strcpy(op.transfer.credit, credit);
    snprintf(op.transfer.ref, sizeof op.transfer.ref, "settlement/%d", (int)id);
    return op;
}

static struct sl_settlement_row span(const char *scope, int64_t from_ms, int64_t to_ms) {
    struct sl_settlement_row row = {.from = {from_ms}, .to = {to_ms}, .rate_nano = 1000000000};
    strcpy(row.scope, scope);
    strcpy(row.currency, "USD");
    strcpy(row.pool, "p");
    strcpy(row.actor, "key_1");
    return row;
}

static uint64_t look(struct books *b, struct sl_settlement_row *rows, uint32_t count) {
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    uint64_t high = 0;
    assert_int_equal(sl_reader_open(b->f->path, NULL, &r, &err), 0);
    assert_int_equal(sl_reader_quoted(r, rows, count, &high, &err), 0);
    return high;
}

/* As the core would: the pool paid 10 less than was quoted. */
static void settle(struct books *b, struct sl_settlement_row *row, uint64_t id) {
    row->id = id;
    row->settled_nusd = row->amount_nano = row->quoted_nusd + row->late_nusd - 10;
    struct sl_op ops[3] = {{.kind = SL_OP_SETTLEMENT, .settlement = *row}};
    ops[1] = posting(b, SL_TRANSFER_SETTLED, id, "cash:pool", "receivable:pool", row->settled_nusd);
    ops[2] =
        posting(b, SL_TRANSFER_ADJUSTMENT, id, "revenue:hash-adjustment", "receivable:pool", 10);
    put(b, ops, 3);
}

static void check(struct books *b, int want) {
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open(b->f->path, NULL, &r, &err), 0);
    int rc = sl_reader_ledger_check(r, &err);
    if (rc != want) {
        fail_msg("%d %s", rc, rc ? err.text : "");
    }
}

/* What agents claim can come to more than SQLite can add up. */
static void quotes_beyond_64_bits_are_cut(void **state) {
    struct books b = {.f = *state};
    device(&b, "one/0", "one", "K1");
    for (uint64_t id = 1; id <= 3; id++) {
        share(&b, "K1", id, 1000, INT64_MAX / 2);
    }
    struct sl_settlement_row row = span("*", 1000, 2000);
    look(&b, &row, 1);
    assert_true(row.quoted_nusd == INT64_MAX);
    row = span("*", 2000, 3000);
    look(&b, &row, 1);
    assert_int_equal(row.quoted_nusd, 0);
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    struct sl_share_totals totals;
    assert_int_equal(sl_reader_open(b.f->path, NULL, &r, &err), 0);
    assert_int_equal(sl_reader_share_totals(r, &totals, &err), 0);
    assert_int_equal(totals.count[SL_SHARE_ACCEPTED], 3);
    check(&b, SL_OK);
}

static void a_share_is_settled_once(void **state) {
    struct books b = {.f = *state};
    device(&b, "one/0", "one", "K1");
    device(&b, "one/1", "one", "K1b"); /* the node had another key once */
    device(&b, "two/0", "two", "K2");
    share(&b, "K1", 1, 999, 1000); /* before */
    share(&b, "K1", 2, 1000, 100);
    share(&b, "K1b", 1, 1500, 200);
    share(&b, "K2", 1, 1500, 4000);
    share(&b, "K1", 3, 2000, 10000); /* the next span */
    struct sl_settlement_row rows[] = {span("one", 1000, 2000), span("*", 1000, 2000),
                                       span("two", 0, 9999), span("none", 0, 9999)};
    assert_int_equal(look(&b, rows, 4), 0);
    assert_int_equal(rows[0].quoted_nusd, 300);
    assert_int_equal(rows[1].quoted_nusd, 4300);
    assert_int_equal(rows[2].quoted_nusd, 4000);
    assert_int_equal(rows[3].quoted_nusd, 0);
    share(&b, "K1", 4, 1600, 50); /* comes between the look and the import */
    settle(&b, &rows[0], 1);
    check(&b, SL_OK);
    struct sl_settlement_row next[] = {span("one", 2000, 3000), span("one", 3000, 4000)};
    assert_int_equal(look(&b, next, 2), 1);
    assert_int_equal(next[0].quoted_nusd, 10000);
    assert_int_equal(next[0].late_nusd, 50); /* of the settled span: once, with the first */
    assert_int_equal(next[1].late_nusd, 0);
    settle(&b, &next[0], 2);
    check(&b, SL_OK);
    struct sl_settlement_row last = span("one", 3000, 4000);
    assert_int_equal(look(&b, &last, 1), 2);
    assert_int_equal(last.quoted_nusd + last.late_nusd, 0); /* share 1 was in no settled span */
}

static void spoil(struct books *b, const char *sql) {
    sqlite3 *db = open_raw(b->f->path);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void each_pool_pays_for_its_own(void **state) {
    struct books b = {.f = *state};
    device(&b, "one/0", "one", "K1");
    share_of(&b, "a", "K1", 1, 1000, 1000);
    share_of(&b, "b", "K1", 2, 1500, 300);
    struct sl_settlement_row rows[] = {span("*", 1000, 2000), span("*", 1000, 2000)};
    strcpy(rows[0].pool, "a");
    strcpy(rows[1].pool, "b");
    assert_int_equal(look(&b, rows, 2), 0);
    assert_string_equal(rows[0].only_pool, "a");
    assert_int_equal(rows[0].quoted_nusd, 1000);
    assert_int_equal(rows[1].quoted_nusd, 300);
    settle(&b, &rows[0], 1);
    check(&b, SL_OK);
    share_of(&b, "a", "K1", 3, 1600, 50); /* late, of a settled span */
    share_of(&b, "b", "K1", 4, 1600, 70); /* its pool has not paid yet */
    struct sl_settlement_row next[] = {span("*", 2000, 3000), span("*", 1000, 2000)};
    strcpy(next[0].pool, "a");
    strcpy(next[1].pool, "b");
    assert_int_equal(look(&b, next, 2), 1);
    assert_int_equal(next[0].late_nusd, 50);
    assert_int_equal(next[1].quoted_nusd, 370);
    assert_int_equal(next[1].late_nusd, 0);
    settle(&b, &next[0], 2);
    check(&b, SL_OK);
    spoil(&b, "UPDATE pools SET amount='1' WHERE name='b'");
    check(&b, -SL_CORRUPT);
    spoil(&b, "DELETE FROM pools WHERE name='b'");
    check(&b, -SL_CORRUPT);
}

static int keep_last(void *arg, const void *row) {
    *(struct sl_settlement_row *)arg = *(const struct sl_settlement_row *)row;
    return 0;
}

static void rows_read_back(void **state) {
    struct books b = {.f = *state};
    device(&b, "one/0", "one", "K1");
    share(&b, "K1", 1, 1000, 500);
    struct sl_settlement_row row = span("one", 1000, 2000);
    look(&b, &row, 1);
    settle(&b, &row, 1);
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    struct sl_settlement_row read = {0};
    assert_int_equal(sl_reader_open(b.f->path, NULL, &r, &err), 0);
    assert_int_equal(sl_reader_settlements(r, 0, 10, keep_last, &read, &err), 0);
    assert_int_equal(read.id, 1);
    assert_string_equal(read.scope, "one");
    assert_string_equal(read.pool, "p");
    assert_string_equal(read.actor, "key_1");
    assert_int_equal(read.from.ms, 1000);
    assert_int_equal(read.to.ms, 2000);
    assert_int_equal(read.settled_nusd, 490);
    assert_int_equal(read.quoted_nusd, 500);
    read.id = 0;
    assert_int_equal(sl_reader_settlements(r, 1, 10, keep_last, &read, &err), 0);
    assert_int_equal(read.id, 0);
}

static void a_forged_settlement_is_found(void **state) {
    struct books b = {.f = *state};
    device(&b, "one/0", "one", "K1");
    share(&b, "K1", 1, 1000, 500);
    struct sl_settlement_row row = span("one", 1000, 2000);
    look(&b, &row, 1);
    settle(&b, &row, 1);
    check(&b, SL_OK);
    sl_store_close(b.f->store);
    b.f->store = NULL;
    static const char *const forgeries[] = {
        "UPDATE settlements SET quoted_nusd=499",
        "UPDATE settlements SET settled_nusd=1",
        "UPDATE shares SET settlement=0",
        "UPDATE shares SET settlement=7",
        "DELETE FROM settlements",
    };
    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
        sqlite3 *db = open_raw(b.f->path);
        sqlite3_exec(db,
                     "CREATE TEMP TABLE keep_s AS SELECT * FROM settlements;"
                     "CREATE TEMP TABLE keep_h AS SELECT seq,settlement FROM shares",
                     NULL, NULL, NULL);
        assert_int_equal(sqlite3_exec(db, forgeries[i], NULL, NULL, NULL), SQLITE_OK);
        check(&b, -SL_CORRUPT);
        sqlite3_exec(db,
                     "DELETE FROM settlements; INSERT INTO settlements SELECT * FROM keep_s;"
                     "UPDATE shares SET settlement=(SELECT settlement FROM keep_h WHERE"
                     " keep_h.seq=shares.seq)",
                     NULL, NULL, NULL);
        sqlite3_close(db);
        check(&b, SL_OK);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_share_is_settled_once),      TEST(quotes_beyond_64_bits_are_cut),
        TEST(each_pool_pays_for_its_own),   TEST(rows_read_back),
        TEST(a_forged_settlement_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
