/* SPDX-License-Identifier: Apache-2.0
 * kill -9 of the broker: what was durable goes on, what was not never happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void start(struct world *w) {
    world_init(w, NULL);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
    world_batch(w, "b1", "poor", 100, WORLD_BID_HIGH);
    world_running(w, "a/0", w->now.mono.ns);
}

/* The agent as it is after the broker's death: at work under `epoch`, holding `units`. */
static void agent_is_back(struct world *w, uint64_t epoch, const uint64_t *units, uint32_t count) {
    struct sl_msg_device device;
    world_device(&device, "a/0");
    device.safe = epoch == 0;
    device.mode = epoch == 0 ? SL_MODE_HASH : SL_MODE_INFER;
    device.epoch = epoch;
    device.epoch_max = 2;
    device.units_held = count;
    world_hello_units(w, "a", 9, 77, &device, 1, units, count);
    world_report_as(w, "a", &device, 1, true);
}

static void test_lease_goes_on(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
    struct sl_unit_row other = *world_unit(&w, "a/0", 0);
    world_line(&w, &unit, unit.lines[0], SL_LINE_OK, 10, false, 0);
    uint32_t directives = w.store->directive_count;
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    struct sl_core_tenant_state *poor = sl_core_tenant_get(w.core, "poor");
    assert_int_equal((int64_t)poor->reserved, unit.reserved_nusd + other.reserved_nusd);
    uint64_t units[] = {unit.unit_id, other.unit_id};
    agent_is_back(&w, 2, units, 2);
    /* Its lines are not known yet, but the device is not disturbed: same epoch, no new directive.
     */
    assert_string_equal(world_last(&w, SL_CCMD_VALIDATE)->batch, "b1");
    assert_string_equal(world_last(&w, SL_CCMD_VALIDATE)->model, "mini");
    assert_int_equal(w.store->directive_count, directives);
    assert_int_equal(world_directive(&w, "a/0")->epoch, 2);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    /* A result that comes before the lines are read again is taken. */
    world_line(&w, &unit, unit.lines[1], SL_LINE_OK, 10, false, 0);
    assert_int_equal(world_view_batch(&w, "b1").done, 2);
    world_validated(&w, "b1", 100, 0);
    world_finish(&w, &unit, 10, true);
    assert_int_equal(world_view_batch(&w, "b1").done, 8);
    assert_non_null(world_unit(&w, "a/0", 0)); /* and it is topped up */
    assert_int_equal((int64_t)world_balance(&w, "revenue:lease"), 8000);
    world_check(&w);
    world_fini(&w);
}

/* What is out when its tenant is taken out of the configuration is billed; nothing more is given
 * out, least of all without the budget that it had. */
static void test_a_tenant_that_is_gone_buys_nothing(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
    struct sl_unit_row other = *world_unit(&w, "a/0", 0);
    w.config.tenant_count = 1; /* acme stays */
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    uint64_t units[] = {unit.unit_id, other.unit_id};
    uint32_t issued = w.store->unit_count;
    agent_is_back(&w, 2, units, 2);
    world_validated(&w, "b1", 100, 0);
    world_finish(&w, &unit, 10, true);
    world_finish(&w, &other, 10, true);
    assert_int_equal(world_view_batch(&w, "b1").done, 16);
    assert_int_equal((int64_t)world_balance(&w, "revenue:lease"), 16000);
    world_wait(&w, 5000);
    assert_int_equal(w.store->unit_count, issued);
    assert_true(world_view_batch(&w, "b1").tenant_gone);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    world_batch_only(&w, "b2", "poor", WORLD_BID_HIGH, 0);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, -SL_DENIED);
    world_batch(&w, "b3", "acme", 20, WORLD_BID_HIGH); /* the others are not concerned */
    assert_true(sl_core_batch_issuable(w.core, sl_core_batch_find(w.core, "b3")));
    assert_false(sl_core_batch_issuable(w.core, sl_core_batch_find(w.core, "b1")));
    assert_false(world_view_batch(&w, "b3").tenant_gone);
    world_check(&w);
    w.config.tenant_count = 2; /* and back */
    world_restart(&w);
    assert_false(world_view_batch(&w, "b1").tenant_gone);
    world_fini(&w);
}

static void test_units_nobody_holds(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    world_validated(&w, "b1", 100, 0);
    assert_int_equal(world_view_batch(&w, "b1").issued, 16);
    agent_is_back(&w, 0, NULL, 0);
    assert_int_equal(world_directive(&w, "a/0")->epoch, 3); /* above all that was */
    world_wait(&w, 1500);
    world_check(&w);
    for (uint32_t i = 0; i < w.store->unit_count; i++) {
        assert_true(w.store->units[i].closed == (w.store->units[i].unit_id <= 2));
    }
    world_fini(&w);
}

/* The store lost the row of their device: their agent is asked all the same. */
static void test_units_of_an_unknown_device(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
    w.store->device_count = 0;
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    world_validated(&w, "b1", 100, 0);
    uint32_t a = sl_core_node_find(w.core, "a");
    assert_ptr_equal(w.core->nodes[a].strays, sl_core_unit_find(w.core, 2));
    assert_ptr_equal(w.core->nodes[a].strays->next, sl_core_unit_find(w.core, 1));
    world_hello(&w, "b", 3, 5, 1); /* another's hello is none of theirs */
    assert_true(sl_core_unit_find(w.core, 1)->close_ns > w.now.mono.ns + 2 * SL_NS_PER_S);
    agent_is_back(&w, 0, &unit.unit_id, 1);
    world_wait(&w, 1500);
    assert_false(w.store->units[0].closed); /* it holds that one */
    assert_true(w.store->units[1].closed);
    assert_ptr_equal(w.core->nodes[a].strays, sl_core_unit_find(w.core, 1));
    world_finish(&w, &unit, 10, true);
    assert_true(w.store->units[0].closed);
    assert_null(w.core->nodes[a].strays);
    assert_int_equal(world_view_batch(&w, "b1").done, 8);
    world_check(&w);
    world_fini(&w);
}

static void test_agent_never_comes_back(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_restart(&w);
    world_validated(&w, "b1", 100, 0);
    world_wait(&w, 7000);
    assert_int_equal(world_view_batch(&w, "b1").issued, 16); /* still its own */
    world_wait(&w, 2000);
    assert_int_equal(world_view_batch(&w, "b1").issued, 0);
    assert_int_equal((int64_t)sl_core_tenant_get(w.core, "poor")->reserved, 0);
    world_check(&w);
    world_fini(&w);
}

static void test_refused_lines_count_once(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_batch_only(&w, "b2", "acme", WORLD_BID_HIGH, 0);
    world_validated(&w, "b2", 10, 4);
    world_restart(&w);
    world_validated(&w, "b2", 10, 4);
    assert_int_equal(world_view_batch(&w, "b2").failed, 4);
    assert_int_equal(world_view_batch(&w, "b2").waiting + world_view_batch(&w, "b2").issued, 6);
    world_check(&w);
    world_fini(&w);
}

static void test_spool_does_not_match(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_restart(&w);
    world_validated(&w, "b1", 99, 0); /* not the lines that were accepted */
    assert_int_equal(world_stored_batch(&w, "b1")->state, SL_BATCH_FAILED);
    world_check(&w);
    world_fini(&w);
}

static void test_money_and_counters(void **state) {
    (void)state;
    struct world w;
    start(&w);
    for (uint64_t id = 1; id <= 10; id++) {
        world_share(&w, "a", id, SL_SHARE_ACCEPTED, UINT64_C(4295032833123), 0);
    }
    world_share(&w, "a", 11, SL_SHARE_STALE, 1, 0);
    world_finish(&w, world_unit(&w, "a/0", 1), 10, true);
    for (int i = 0; i < 30; i++) {
        world_wait(&w, 1000);
        world_report(&w, "a", 1);
    }
    struct sl_view_status before;
    sl_view_status_get(w.core, w.now, &before);
    assert_true(before.money.always_hash_nusd > 0);
    assert_true(before.money.always_lease_nusd > 0);
    world_restart(&w);
    struct sl_core_event event = {.kind = SL_CEV_TIMER};
    world_step(&w, &event);
    struct sl_view_status after;
    sl_view_status_get(w.core, w.now, &after);
    assert_int_equal(after.shares_accepted, 10);
    assert_int_equal(after.shares_stale, 1);
    assert_int_equal(after.lines_done, 8);
    assert_int_equal(after.tokens_done, 80);
    assert_int_equal(after.switches.count, before.switches.count);
    assert_true(after.money.hash_nusd == before.money.hash_nusd);
    assert_true(after.money.lease_nusd == before.money.lease_nusd);
    /* Shadows are written every few seconds: at most those are missing. */
    sl_i128 lost = before.money.always_hash_nusd - after.money.always_hash_nusd;
    assert_true(lost >= 0 && lost * 3 < before.money.always_hash_nusd);
    /* The remainder goes on: 20 shares are worth exactly 20 times one, rounded down once. */
    world_price(&w, 0, WORLD_PRICE);
    world_hello(&w, "a", 9, 77, 1);
    for (uint64_t id = 5; id <= 21; id++) {
        world_share(&w, "a", id, SL_SHARE_ACCEPTED, UINT64_C(4295032833123), 0);
    }
    assert_int_equal(w.store->share_count, 21); /* 5 to 11 were known */
    assert_int_equal((int64_t)world_balance(&w, "revenue:hash"),
                     (int64_t)((sl_i128)20 * 4295032833123 * WORLD_PRICE / SL_DENOM_HASH));
    world_check(&w);
    world_fini(&w);
}

static void test_uncommitted_is_gone(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
    w.hold = true;
    world_finish(&w, &unit, 10, true);
    assert_null(world_last_msg(&w, "a", SL_MSG_RESULT_ACK));
    world_restart(&w); /* the commit never happened, and nobody was told that it did */
    w.hold = false;
    world_price(&w, 0, WORLD_PRICE);
    world_validated(&w, "b1", 100, 0);
    uint64_t held[] = {unit.unit_id};
    agent_is_back(&w, 2, held, 1);
    world_finish(&w, &unit, 10, true); /* so the agent sends it again */
    assert_int_equal((int64_t)world_balance(&w, "revenue:lease"), 8000);
    assert_int_equal(world_view_batch(&w, "b1").done, 8);
    world_check(&w);
    world_fini(&w);
}

static void test_ends_go_on(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_batch(&w, "b1", "acme", 4, WORLD_BID_HIGH);
    world_finish(&w, world_unit(&w, "a/0", 0), 10, true);
    assert_int_equal(world_stored_batch(&w, "b1")->state, SL_BATCH_FINALIZING);
    world_batch_only(&w, "b2", "acme", WORLD_BID_LOW, 0);
    world_cancel(&w, "b2", "acme"); /* before its lines were read */
    world_batch_only(&w, "b3", "acme", WORLD_BID_LOW, 0);
    world_restart(&w);
    struct sl_core_event event = {.kind = SL_CEV_TIMER};
    world_step(&w, &event);
    assert_string_equal(world_last(&w, SL_CCMD_FINALIZE)->batch, "b1"); /* asked again */
    assert_int_equal(world_stored_batch(&w, "b2")->state, SL_BATCH_CANCELLED);
    assert_string_equal(world_last(&w, SL_CCMD_VALIDATE)->batch, "b3");
    world_finalized(&w, "b1");
    assert_int_equal(world_stored_batch(&w, "b1")->state, SL_BATCH_COMPLETED);
    world_check(&w);
    world_fini(&w);
}

/* The time counts from when the file is made, whatever happened since the batch was taken. */
static void test_results_stay_as_long_as_asked(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    w.output_life_ms = 7200000;
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_batch(&w, "b1", "acme", 4, WORLD_BID_HIGH);
    assert_int_equal(world_stored_batch(&w, "b1")->output_life_ms, 7200000);
    world_finish(&w, world_unit(&w, "a/0", 0), 10, true);
    world_restart(&w);
    world_wait(&w, 5000);
    world_finalized(&w, "b1");
    const struct sl_file_row *file = &w.store->files[0];
    assert_int_equal(file->created.ms, w.now.wall.ms);
    assert_true(file->created.ms >= world_stored_batch(&w, "b1")->created.ms + 5000);
    assert_int_equal(file->expires.ms, file->created.ms + 7200000);
    world_check(&w);
    world_fini(&w);
}

static void test_truncated_shares(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    struct sl_store_high high = {.share_rows = 1000};
    sl_broker_core_restore_high(w.core, &high);
    struct sl_share_ref ref = {.share_id = 500, .node_key = "a"};
    sl_broker_core_restore_share(w.core, &ref); /* 999 others were not handed over */
    world_hello(&w, "a", 1, 77, 1);
    world_share(&w, "a", 499, SL_SHARE_ACCEPTED, 1, 0); /* may be one of them */
    assert_int_equal(w.store->share_count, 0);
    world_share(&w, "a", 501, SL_SHARE_ACCEPTED, 1, 0);
    assert_int_equal(w.store->share_count, 1);
    world_fini(&w);
}

/* The backup was made before the device came: it may have had epochs of the history that is lost,
 * also such as its agent never stored. */
static void test_unknown_device_after_a_restored_backup(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    struct sl_store_high high = {.epoch_floor = 5000};
    sl_broker_core_restore_high(w.core, &high);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    assert_int_equal(world_directive(&w, "a/0")->epoch, 5001);
    assert_int_equal(w.store->devices[0].epoch_max, 5001);
    world_check(&w);
    world_fini(&w);
}

/* A share that comes before any feed has spoken is worth what the last known price says. */
static void test_price_outlives_a_restart(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_restart(&w);
    world_hello(&w, "a", 1, 77, 1);
    world_share(&w, "a", 1, SL_SHARE_ACCEPTED, 1000, 60000);
    assert_int_equal(w.store->shares[0].price_nusd_per_ph_day, WORLD_PRICE);
    /* But nothing is decided by it: it is not fresh. */
    world_report(&w, "a", 1);
    assert_string_equal(world_view(&w, "a/0").rule, "hold");
    assert_int_equal(sl_broker_core_restore_meta(w.core, "hashprice", "x"), -SL_CORRUPT);
    world_fini(&w);
}

static void test_damaged_rows(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    struct sl_batch_row batch = {
        .id = "b1", .tenant = "acme", .state = SL_BATCH_IN_PROGRESS, .lines_total = 10};
    assert_int_equal(sl_broker_core_restore_batch(w.core, &batch), SL_OK);
    assert_int_equal(sl_broker_core_restore_batch(w.core, &batch), -SL_EXISTS);
    batch.lines_total = SL_BATCH_LINES_MAX + 1;
    assert_int_equal(sl_broker_core_restore_batch(w.core, &batch), -SL_CORRUPT);
    struct sl_unit_row unit = {.unit_id = 1, .batch = "b1", .line_count = 1, .lines = {10}};
    assert_int_equal(sl_broker_core_restore_unit(w.core, &unit), -SL_CORRUPT);
    unit.line_count = SL_MSG_LINES_MAX + 1;
    assert_int_equal(sl_broker_core_restore_unit(w.core, &unit), -SL_CORRUPT);
    struct sl_result_row result = {.batch = "b1", .line = 10, .status = SL_LINE_OK};
    assert_int_equal(sl_broker_core_restore_result(w.core, &result), -SL_CORRUPT);
    result.line = 3;
    assert_int_equal(sl_broker_core_restore_result(w.core, &result), SL_OK);
    assert_int_equal(sl_broker_core_restore_result(w.core, &result), -SL_CORRUPT);
    assert_int_equal(sl_broker_core_restore_meta(w.core, "counters", "1 2"), -SL_CORRUPT);
    assert_int_equal(sl_broker_core_restore_meta(w.core, "rem.hash", "-1"), -SL_CORRUPT);
    assert_int_equal(sl_broker_core_restore_meta(w.core, "what", "1"), -SL_NOTFOUND);
    world_fini(&w);
}

/* A row that SQLite finds sound may still be damaged: it must stop the start by name instead of
 * turning into a wrong epoch, a wrong bill or an assertion later. */
static void test_rows_out_of_bounds(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_batch_row good = w.core->batches[0]->row;
    struct sl_broker_core *core = NULL;
    assert_int_equal(sl_broker_core_create(&w.config, &core, NULL), SL_OK);
    struct sl_device_row device = {.key = "x/0", .node = "x", .node_key = "k"};
    device.epoch_max = UINT64_MAX; /* the next one would be 0 */
    assert_int_equal(sl_broker_core_restore_device(core, &device), -SL_CORRUPT);
    struct sl_override_row order = {.subject = "x/0", .kind = (enum sl_override_kind)99};
    assert_int_equal(sl_broker_core_restore_override(core, &order), -SL_CORRUPT);
    order.kind = SL_OVERRIDE_PIN; /* to nothing */
    assert_int_equal(sl_broker_core_restore_override(core, &order), -SL_CORRUPT);
    struct sl_account_row account = {.id = "tenant:poor", .debits = {-1}};
    assert_int_equal(sl_broker_core_restore_account(core, &account), -SL_CORRUPT);
    for (int i = 0; i < 7; i++) {
        struct sl_batch_row row = good;
        row.metadata = NULL;
        row.errors = NULL;
        row.accrual.rem = i == 0 ? SL_DENOM_TOKEN : row.accrual.rem;
        row.accrual.rem = i == 1 ? -1 : row.accrual.rem;
        row.tokens = i == 2 ? INT64_MAX : row.tokens;
        row.billed_nusd = i == 3 ? -1 : row.billed_nusd;
        row.bid_nusd_per_mtok = i == 4 ? INT64_MAX : row.bid_nusd_per_mtok;
        row.lines_failed = i == 5 ? row.lines_total + 1 : row.lines_failed;
        assert_int_equal(sl_broker_core_restore_batch(core, &row), i == 6 ? SL_OK : -SL_CORRUPT);
    }
    struct sl_unit_row unit = *world_unit(&w, "a/0", 0);
    unit.unit_id = UINT64_MAX;
    assert_int_equal(sl_broker_core_restore_unit(core, &unit), -SL_CORRUPT);
    static const char *const keys[] = {"shadow.hash", "shadow.b0", "rem.hash", "hashprice"};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sl_broker_core_restore_meta(core, keys[i], "x"), -SL_CORRUPT);
    }
    sl_broker_core_destroy(core);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease_goes_on),
        cmocka_unit_test(test_units_nobody_holds),
        cmocka_unit_test(test_a_tenant_that_is_gone_buys_nothing),
        cmocka_unit_test(test_units_of_an_unknown_device),
        cmocka_unit_test(test_agent_never_comes_back),
        cmocka_unit_test(test_refused_lines_count_once),
        cmocka_unit_test(test_spool_does_not_match),
        cmocka_unit_test(test_money_and_counters),
        cmocka_unit_test(test_uncommitted_is_gone),
        cmocka_unit_test(test_ends_go_on),
        cmocka_unit_test(test_results_stay_as_long_as_asked),
        cmocka_unit_test(test_truncated_shares),
        cmocka_unit_test(test_unknown_device_after_a_restored_backup),
        cmocka_unit_test(test_price_outlives_a_restart),
        cmocka_unit_test(test_damaged_rows),
        cmocka_unit_test(test_rows_out_of_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
