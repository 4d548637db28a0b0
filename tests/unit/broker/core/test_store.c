/* SPDX-License-Identifier: Apache-2.0
 * The core on the real store: what it writes is taken, the ledger replays, and a restart from the
 * file is the same as one from the made-up store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/shell/restore.h"
#include "broker/store/settlements.h"
#include "broker/store/store.h"
#include "proto/base/mailbox.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

struct real {
    char folder[64];
    char path[96];
    struct sl_store *store;
    struct sl_mailbox *done;
    struct world w;
};

static void on_fatal(void *arg, const char *reason) {
    (void)arg;
    fprintf(stderr, "the store refused what the core wrote: %s\n", reason);
    abort();
}

static void on_done(void *arg, uint64_t ticket) {
    sl_mailbox_put_wait(arg, &ticket);
}

static void commit(void *arg, struct sl_txn *txn) {
    struct real *r = arg;
    uint64_t want = txn->ticket;
    txn->done = on_done;
    txn->arg = r->done;
    assert_int_equal(sl_store_submit(r->store, txn), SL_OK);
    uint64_t got = 0;
    assert_int_equal(sl_mailbox_take_wait(r->done, 10 * SL_NS_PER_S, &got), SL_OK);
    assert_int_equal(got, want);
}

static struct real *open_real(void) {
    struct real *r = calloc(1, sizeof *r);
    assert_non_null(r);
    strcpy(r->folder, "/tmp/sluice-core-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->path, sizeof r->path, "%s/store", r->folder);
    struct sl_error err;
    assert_int_equal(sl_mailbox_create(sizeof(uint64_t), 16, &r->done, &err), SL_OK);
    assert_int_equal(
        sl_store_open(
            &(struct sl_store_config){.path = r->path, .fatal = on_fatal, .fatal_arg = NULL},
            &r->store, &err),
        SL_OK);
    struct sl_core_config config = world_config();
    config.power_nusd_per_kwh = 70000000;
    world_init(&r->w, &config);
    r->w.commit = commit;
    r->w.commit_arg = r;
    return r;
}

static void close_real(struct real *r) {
    world_fini(&r->w);
    sl_store_close(r->store);
    sl_mailbox_destroy(r->done);
    const char *const ends[] = {"", "-wal", "-shm", ".lock", "-lock"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", r->path, ends[i]);
        unlink(path);
    }
    rmdir(r->folder);
    free(r);
}

/* As the shell does it at its start. */
static void restart_from_file(struct real *r) {
    struct world *w = &r->w;
    world_restart(w);
    sl_broker_core_destroy(w->core);
    w->core = NULL;
    assert_int_equal(sl_broker_core_create(&w->config, &w->core, NULL), SL_OK);
    SL_AUTO(sl_reader) reader = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open(r->path, NULL, &reader, &err), SL_OK);
    SL_AUTO(sl_reader) second = NULL;
    assert_int_equal(sl_reader_open(r->path, NULL, &second, &err), SL_OK);
    assert_int_equal(sl_broker_restore(w->core, reader, second, &err), SL_OK);
}

static void check_ledger(struct real *r) {
    SL_AUTO(sl_reader) reader = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open(r->path, NULL, &reader, &err), SL_OK);
    if (sl_reader_ledger_check(reader, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
}

static void finish_open_units(struct world *w, uint32_t most) {
    for (uint32_t n = 0; n < most; n++) {
        const struct sl_core_unit *open = NULL;
        for (uint32_t i = 0; i < w->core->unit_count && !open; i++) {
            open = w->core->units[i]->closed ? NULL : w->core->units[i];
        }
        for (uint32_t i = 0; open && i < w->store->unit_count; i++) {
            if (w->store->units[i].unit_id == open->id) {
                world_finish(w, &w->store->units[i], 7 + n % 5, true);
                break;
            }
        }
    }
}

static void back_at_work(struct world *w, uint64_t boot) {
    world_price(w, 0, WORLD_PRICE);
    world_hello(w, "a", boot, boot, 2);
    world_report(w, "a", 2);
}

static void test_whole_life(void **state) {
    (void)state;
    struct real *r = open_real();
    struct world *w = &r->w;
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 2);
    world_batch(w, "b1", "acme", 60, 123457); /* a price that leaves remainders */
    world_batch(w, "b2", "poor", 60, WORLD_BID_HIGH);
    world_order(w, "a/1", SL_OVERRIDE_PIN, SL_MODE_HASH);
    for (uint64_t id = 1; id <= 30; id++) {
        world_share(w, "a", id, (enum sl_share_outcome)(1 + id % 4), 123456789 * id, id * 10);
    }
    finish_open_units(w, 3);
    check_ledger(r);
    for (uint64_t round = 0; round < 4; round++) {
        restart_from_file(r);
        world_validated(w, "b1", 60, 0);
        world_validated(w, "b2", 60, 0);
        back_at_work(w, 100 + round);
        for (uint64_t id = 20; id <= 35 + round; id++) { /* resent: most are known */
            world_share(w, "a", id, SL_SHARE_ACCEPTED, 123456789, 5);
        }
        world_bid(w, "b2", "poor", WORLD_BID_HIGH + (int64_t)round);
        finish_open_units(w, 2);
        world_wait(w, 1500); /* units that no agent holds */
        world_report(w, "a", 2);
        world_check(w);
        check_ledger(r);
    }
    world_cancel(w, "b1", "acme");
    world_wait(w, 4500);
    restart_from_file(r);
    struct sl_core_event event = {.kind = SL_CEV_TIMER};
    world_step(w, &event);
    world_finalized(w, "b1");
    assert_int_equal(world_stored_batch(w, "b1")->state, SL_BATCH_CANCELLED);
    assert_int_equal(w->store->share_count, 38);
    world_check(w);
    check_ledger(r);
    close_real(r);
}

/* Figures from the store, an import, a late share, a restart from the file: each balances. */
static void test_settlement(void **state) {
    (void)state;
    struct real *r = open_real();
    struct world *w = &r->w;
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
    for (uint64_t id = 1; id <= 20; id++) {
        world_share(w, "a", id, SL_SHARE_ACCEPTED, UINT64_C(987654321) * id * 1000, id * 60000);
    }
    struct sl_core_settle *import = calloc(1, sizeof *import + sizeof import->rows[0]);
    assert_non_null(import);
    import->count = 1;
    struct sl_settlement_row *row = &import->rows[0];
    *row = (struct sl_settlement_row){.scope = "*", .currency = "USD", .amount_nano = 123456789};
    row->to.ms = w->now.wall.ms - 5 * 60000;
    row->from.ms = row->to.ms - 10 * 60000;
    struct sl_error err;
    {
        SL_AUTO(sl_reader) reader = NULL;
        assert_int_equal(sl_reader_open(r->path, NULL, &reader, &err), SL_OK);
        assert_int_equal(sl_reader_quoted(reader, row, 1, &import->high, &err), SL_OK);
    }
    int64_t quoted = row->quoted_nusd;
    sl_i128 receivable = world_balance(w, "receivable:pool");
    assert_true(quoted > 0);
    world_share(w, "a", 99, SL_SHARE_ACCEPTED, UINT64_C(1) << 40, 7 * 60000); /* not in it */
    sl_i128 late = receivable - world_balance(w, "receivable:pool");
    struct sl_core_event event = {.kind = SL_CEV_SETTLE, .cookie = 5, .settle = import};
    world_step(w, &event);
    assert_int_equal(world_last(w, SL_CCMD_REPLY)->status, SL_OK);
    assert_true(world_balance(w, "receivable:pool") == receivable + quoted - late);
    assert_true(world_balance(w, "cash:pool") == -123456789);
    check_ledger(r);
    restart_from_file(r);
    assert_int_equal(r->w.core->settlement_high, 1);
    struct sl_core_settle *again = calloc(1, sizeof *again + sizeof again->rows[0]);
    assert_non_null(again);
    again->count = 1;
    again->rows[0] = w->store->settlements[0];
    struct sl_core_event second = {.kind = SL_CEV_SETTLE, .cookie = 6, .settle = again};
    again->high = 1;
    back_at_work(w, 100);
    world_step(w, &second);
    assert_int_equal(world_last(w, SL_CCMD_REPLY)->status, -SL_EXISTS);
    world_check(w);
    check_ledger(r);
    close_real(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole_life),
                                       cmocka_unit_test(test_settlement)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
