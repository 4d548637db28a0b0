/* SPDX-License-Identifier: Apache-2.0
 * Work units: sizes, reservations against a budget, calling back, closing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void start(struct world *w, uint32_t devices) {
    world_init(w, NULL);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", devices);
}

static void test_cost_is_rounded_up(void **state) {
    (void)state;
    assert_int_equal(sl_core_unit_cost(1, 1), 1);
    assert_int_equal(sl_core_unit_cost(100, WORLD_BID_HIGH), 10000);
    assert_int_equal(sl_core_unit_cost(0, WORLD_BID_HIGH), 0);
    assert_int_equal(sl_core_unit_cost(UINT32_MAX, SL_BID_MAX_NUSD), INT64_C(4294967295000000000));
}

static void test_kept_ahead(void **state) {
    (void)state;
    struct world w;
    start(&w, 1);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    assert_int_equal(world_count(&w, SL_CCMD_SEND_UNIT), 2);
    const struct sl_core_command *c = world_last(&w, SL_CCMD_SEND_UNIT);
    assert_string_equal(c->batch, "b1");
    assert_string_equal(c->model, "mini");
    assert_int_equal(c->msg->kind, SL_MSG_UNIT);
    assert_int_equal(c->msg->unit.line_count, 8);
    assert_true(c->msg->session != 0 && c->msg->sequence != 0);
    /* Each finished unit is followed by one more, until nothing waits. */
    uint32_t done = 0;
    for (uint32_t i = 0; i < 60 && done < 100; i++) {
        struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
        uint32_t left = sl_core_unit_find(w.core, unit.unit_id)->left;
        if (left == 0) {
            unit = *world_unit(&w, "a/0", 0);
        }
        world_finish(&w, &unit, 10, true);
        done += unit.line_count;
        if (done < 100) {
            assert_true(world_view_batch(&w, "b1").issued > 0);
        }
        world_check(&w);
    }
    assert_int_equal(done, 100);
    world_fini(&w);
}

/* What stands between a decision and the first kernel is kept small. */
static void test_first_unit_is_small_and_alone(void **state) {
    (void)state;
    struct world w;
    struct sl_core_config config = world_config();
    config.unit_lines = 32;
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_batch(&w, "b1", "acme", 1000, WORLD_BID_HIGH);
    assert_int_equal(world_count(&w, SL_CCMD_SEND_UNIT), 1);
    assert_int_equal(world_unit(&w, "a/0", 0)->line_count, 8);
    /* The device runs: now it is kept busy. */
    world_running(&w, "a/0", w.now.mono.ns);
    assert_int_equal(world_count(&w, SL_CCMD_SEND_UNIT), 2);
    assert_int_equal(world_last(&w, SL_CCMD_SEND_UNIT)->msg->unit.line_count, 32);
    world_check(&w);
    world_fini(&w);
}

/* Towards the end units shrink, so that no device sits on a long rest alone. */
static void test_units_shrink(void **state) {
    (void)state;
    struct world w;
    start(&w, 2);
    world_batch(&w, "b1", "acme", 40, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    world_running(&w, "a/1", w.now.mono.ns);
    uint32_t sizes[64];
    uint32_t n = 0;
    for (uint32_t i = 0; i < w.sent_count; i++) {
        if (w.sent[i].kind == SL_CCMD_SEND_UNIT) {
            sizes[n++] = w.sent[i].unit.line_count;
        }
    }
    assert_int_equal(n, 4);        /* two for each */
    assert_int_equal(sizes[0], 5); /* 40 lines / (2 x 2 devices x 2 ahead) */
    assert_int_equal(sizes[3], 4); /* never smaller than 4 while more wait */
    assert_true(world_view_batch(&w, "b1").waiting > 0);
    world_check(&w);
    world_fini(&w);
}

static void test_one_line_for_two_devices(void **state) {
    (void)state;
    struct world w;
    start(&w, 2);
    uint32_t before = w.store->directive_count;
    world_batch(&w, "b1", "acme", 1, WORLD_BID_HIGH);
    /* The second device is not called away from hashing for nothing. */
    assert_int_equal(w.store->directive_count, before + 1);
    assert_int_equal(world_count(&w, SL_CCMD_SEND_UNIT), 1);
    world_fini(&w);
}

static void test_budget_holds(void **state) {
    (void)state;
    struct world w;
    start(&w, 1);
    /* "poor" has 300,000 nUSD; a line costs 10,000 at worst and 1,000 in truth. */
    world_batch(&w, "b1", "poor", 100, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    struct sl_core_tenant_state *poor = sl_core_tenant_get(w.core, "poor");
    assert_int_equal((int64_t)poor->reserved, 160000);
    assert_false(world_view_batch(&w, "b1").over_budget);
    uint32_t done = 0;
    for (int i = 0; i < 400; i++) {
        const struct sl_unit_row *unit = NULL;
        for (uint32_t n = 0; (unit = world_unit(&w, "a/0", n)) != NULL; n++) {
            if (!sl_core_unit_find(w.core, unit->unit_id)->closed) {
                break;
            }
        }
        if (!unit) {
            break;
        }
        done += unit->line_count;
        world_finish(&w, unit, 100, true); /* the worst case comes true */
        world_check(&w);
    }
    assert_int_equal(done, 30); /* exactly what the budget pays for */
    assert_int_equal((int64_t)sl_core_tenant_left(w.core, poor), 0);
    assert_int_equal((int64_t)poor->reserved, 0);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_HASH);
    assert_int_equal(world_view_batch(&w, "b1").waiting, 70);
    assert_true(world_view_batch(&w, "b1").over_budget); /* and its tenant can see why */
    world_fini(&w);
}

static void test_reservation_shrinks_with_results(void **state) {
    (void)state;
    struct world w;
    start(&w, 1);
    world_batch(&w, "b1", "poor", 100, WORLD_BID_HIGH);
    struct sl_core_tenant_state *poor = sl_core_tenant_get(w.core, "poor");
    struct sl_unit_row unit = *world_unit(&w, "a/0", 0);
    int64_t before = (int64_t)poor->reserved;
    world_line(&w, &unit, unit.lines[0], SL_LINE_OK, 10, false, 0);
    assert_int_equal((int64_t)poor->reserved, before - 10000);
    world_line(&w, &unit, 0, SL_LINE_INVALID, 0, true, 0); /* handed back */
    assert_int_equal((int64_t)poor->reserved, 10000 * (int64_t)world_view_batch(&w, "b1").issued);
    world_check(&w);
    world_fini(&w);
}

static void test_handed_back_lines_are_issued_again(void **state) {
    (void)state;
    struct world w;
    start(&w, 1);
    world_batch(&w, "b1", "acme", 8, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
    assert_int_equal(unit.lines[0], 0);
    world_line(&w, &unit, 0, SL_LINE_INVALID, 0, true, 0);
    struct sl_unit_row again = *world_unit(&w, "a/0", 0);
    assert_int_equal(again.lines[0], 0);
    assert_true(again.unit_id > unit.unit_id);
    /* The first unit's result comes after all: taken, and the second unit's copy is ignored. */
    world_finish(&w, &unit, 10, true);
    assert_int_equal(world_view_batch(&w, "b1").done, unit.line_count);
    world_finish(&w, &again, 10, true);
    assert_int_equal(world_view_batch(&w, "b1").done, unit.line_count);
    world_check(&w);
    world_fini(&w);
}

static void test_lost_unit_is_noticed(void **state) {
    (void)state;
    struct world w;
    start(&w, 1);
    world_batch(&w, "b1", "acme", 8, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    uint64_t lost = world_unit(&w, "a/0", 1)->unit_id;
    struct sl_msg_device device;
    world_device(&device, "a/0");
    device.safe = false;
    device.mode = SL_MODE_INFER;
    device.epoch = device.epoch_max = 2; /* works, but holds no unit: it never arrived */
    for (int i = 0; i < 8; i++) {
        world_wait(&w, 900);
        world_report_as(&w, "a", &device, 1, true);
    }
    assert_true(sl_core_unit_find(w.core, lost)->closed);
    assert_true(world_unit(&w, "a/0", 0)->unit_id > lost + 1);
    world_check(&w);
    world_fini(&w);
}

static void test_hello_names_units(void **state) {
    (void)state;
    struct world w;
    start(&w, 1);
    world_batch(&w, "b1", "acme", 40, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    uint64_t held = world_unit(&w, "a/0", 0)->unit_id;
    uint64_t gone = world_unit(&w, "a/0", 1)->unit_id;
    struct sl_msg_device device;
    world_device(&device, "a/0");
    device.safe = false;
    device.mode = SL_MODE_INFER;
    device.epoch = device.epoch_max = 2;
    uint64_t units[] = {held, 999};
    world_forget_sent(&w);
    world_hello_units(&w, "a", 2, 77, &device, 1, units, 2);
    /* A unit that is none of ours is drained. */
    const struct sl_msg *drain = world_last_msg(&w, "a", SL_MSG_DRAIN);
    assert_non_null(drain);
    assert_int_equal(drain->drain.unit_count, 1);
    assert_int_equal(drain->drain.units[0], 999);
    /* What it does not hold waits for what may be in its spool, then is issued anew. */
    assert_false(sl_core_unit_find(w.core, gone)->closed);
    world_wait(&w, 1200);
    assert_true(sl_core_unit_find(w.core, gone)->closed);
    assert_false(sl_core_unit_find(w.core, held)->closed);
    world_check(&w);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cost_is_rounded_up),
        cmocka_unit_test(test_kept_ahead),
        cmocka_unit_test(test_first_unit_is_small_and_alone),
        cmocka_unit_test(test_units_shrink),
        cmocka_unit_test(test_one_line_for_two_devices),
        cmocka_unit_test(test_budget_holds),
        cmocka_unit_test(test_reservation_shrinks_with_results),
        cmocka_unit_test(test_handed_back_lines_are_issued_again),
        cmocka_unit_test(test_lost_unit_is_noticed),
        cmocka_unit_test(test_hello_names_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
