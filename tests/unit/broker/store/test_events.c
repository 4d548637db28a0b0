/* SPDX-License-Identifier: Apache-2.0
 * Events get rising ids, are pruned from the old end, and are read from where a reader stopped. */
#include "broker/store/events.h"

#include "tests/unit/broker/store/rig.h"

static struct sl_op event_op(int64_t at_ms, const char *device, const char *text) {
    struct sl_op op = {.kind = SL_OP_EVENT};
    op.event.at.ms = at_ms;
    op.event.severity = SL_SEVERITY_WARN;
    strcpy(op.event.node, "rig-1");
    strcpy(op.event.device, device);
    strcpy(op.event.kind, "health.warn");
    strcpy(op.event.text, text);
    return op;
}

struct read {
    uint32_t count;
    struct sl_event_row rows[8];
};

static int keep(void *arg, const void *row) {
    struct read *read = arg;
    assert_true(read->count < 8);
    read->rows[read->count++] = *(const struct sl_event_row *)row;
    return 0;
}

static struct sl_reader *open_reader(struct fixture *f) {
    struct sl_reader *r = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    return r;
}

static void ids_rise_and_a_reader_goes_on_where_it_stopped(void **state) {
    struct fixture *f = *state;
    struct sl_op ops[] = {event_op(5, "a", "one"), event_op(6, "b", "two"),
                          event_op(7, "a", "three")};
    submit(f, ops, 3, 1);
    wait_for(f, 1);
    SL_AUTO(sl_reader) r = open_reader(f);
    struct sl_error err;
    struct read read = {0};
    assert_int_equal(sl_reader_events(r, 0, 2, keep, &read, &err), 0);
    assert_int_equal(read.count, 2);
    assert_int_equal(read.rows[0].id, 1);
    assert_string_equal(read.rows[1].text, "two");
    assert_int_equal(read.rows[1].at.ms, 6);
    assert_int_equal(read.rows[1].severity, SL_SEVERITY_WARN);
    assert_int_equal(sl_reader_events(r, read.rows[1].id, 9, keep, &read, &err), 0);
    assert_int_equal(read.count, 3);
    assert_string_equal(read.rows[2].text, "three");
    assert_int_equal(sl_reader_events(r, UINT64_MAX, 9, keep, &read, &err), 0);
    assert_int_equal(read.count, 3);
    read.count = 0;
    assert_int_equal(sl_reader_events_newest(r, "a", 9, keep, &read, &err), 0);
    assert_int_equal(read.count, 2);
    assert_string_equal(read.rows[0].text, "three");
    uint64_t high = 0;
    assert_int_equal(sl_reader_event_high(r, &high, &err), 0);
    assert_int_equal(high, 3);
}

static void old_events_are_pruned_and_ids_are_not_used_again(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct sl_op op = event_op(1, "a", "old");
    submit(f, &op, 1, 1);
    wait_for(f, 1);
    sl_store_close(f->store);
    f->store = NULL;
    sqlite3 *db = open_raw(f->path);
    assert_int_equal(sqlite3_exec(db, "UPDATE events SET id=200000", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(open_again(f, &err), 0);
    for (int i = 0; i < 3; i++) {
        op = event_op(2, "a", "new");
        submit(f, &op, 1, (uint64_t)i + 2);
        wait_for(f, i + 2);
    }
    SL_AUTO(sl_reader) r = open_reader(f);
    struct read read = {0};
    assert_int_equal(sl_reader_events(r, 0, 9, keep, &read, &err), 0);
    assert_int_equal(read.count, 4); /* a row is not far enough behind to be pruned */
    assert_int_equal(read.rows[3].id, 200003);
    sl_reader_close(r);
    r = NULL;
    sl_store_close(f->store);
    f->store = NULL;
    db = open_raw(f->path);
    assert_int_equal(sqlite3_exec(db, "UPDATE events SET id=3 WHERE id=200000", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(open_again(f, &err), 0);
    submit(f, &op, 1, 9);
    wait_for(f, 5);
    r = open_reader(f);
    read.count = 0;
    assert_int_equal(sl_reader_events(r, 0, 9, keep, &read, &err), 0);
    assert_int_equal(read.rows[0].id, 200001);
    assert_int_equal(read.rows[read.count - 1].id, 200004);
}

static int keep_health(void *arg, const void *row) {
    *(struct sl_health_row *)arg = *(const struct sl_health_row *)row;
    return 0;
}

static void the_health_of_a_device_is_one_row(void **state) {
    struct fixture *f = *state;
    struct sl_op op = {.kind = SL_OP_HEALTH};
    op.health = (struct sl_health_row){.state = SL_HEALTH_QUARANTINE, .cause = 3, .code = 79};
    op.health.since.ms = 7;
    op.health.incidents = 2;
    op.health.rma = true;
    strcpy(op.health.device, "pci:0000:01:00.0/aa");
    strcpy(op.health.uuid, "aa");
    strcpy(op.health.text, "Xid 79");
    strcpy(op.health.seen, "1 2 3");
    struct sl_op ops[2] = {op, op};
    ops[0].health.state = SL_HEALTH_WARN;
    submit(f, ops, 2, 1);
    wait_for(f, 1);
    SL_AUTO(sl_reader) r = open_reader(f);
    struct sl_error err;
    struct sl_health_row row = {0};
    assert_int_equal(sl_reader_health(r, keep_health, &row, &err), 0);
    assert_int_equal(row.state, SL_HEALTH_QUARANTINE);
    assert_int_equal(row.code, 79);
    assert_int_equal(row.incidents, 2);
    assert_true(row.rma);
    assert_string_equal(row.seen, "1 2 3");
}

static void a_row_that_makes_no_sense_is_damage(void **state) {
    struct fixture *f = *state;
    struct sl_op op = event_op(1, "a", "x");
    op.event.severity = (enum sl_severity)9;
    struct sl_op sick = {.kind = SL_OP_HEALTH, .health = {.state = (enum sl_health_state)7}};
    struct sl_op ops[2] = {op, sick};
    submit(f, ops, 2, 1);
    wait_for(f, 1);
    SL_AUTO(sl_reader) r = open_reader(f);
    struct sl_error err;
    struct read read = {0};
    struct sl_health_row row;
    assert_int_equal(sl_reader_events(r, 0, 9, keep, &read, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "'events'"));
    assert_int_equal(sl_reader_health(r, keep_health, &row, &err), -SL_CORRUPT);
}

#define EVENT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        EVENT_TEST(ids_rise_and_a_reader_goes_on_where_it_stopped),
        EVENT_TEST(old_events_are_pruned_and_ids_are_not_used_again),
        EVENT_TEST(the_health_of_a_device_is_one_row),
        EVENT_TEST(a_row_that_makes_no_sense_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
