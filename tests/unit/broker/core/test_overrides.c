/* SPDX-License-Identifier: Apache-2.0
 * People outrank prices; orders hold until lifted, through restarts, and are audited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void start(struct world *w) {
    world_init(w, NULL);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 2);
}

static enum sl_mode mode(struct world *w, const char *device) {
    return world_view(w, device).wanted;
}

static int status(struct world *w) {
    return world_last(w, SL_CCMD_REPLY)->status;
}

static void test_drain_and_resume(void **state) {
    (void)state;
    struct world w;
    start(&w);
    w.hold = true;
    world_order(&w, "a/0", SL_OVERRIDE_DRAIN, SL_MODE_INVALID);
    assert_null(world_last(&w, SL_CCMD_REPLY)); /* the answer waits for the store */
    w.hold = false;
    world_commit(&w);
    assert_int_equal(status(&w), SL_OK);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    assert_string_equal(world_view(&w, "a/0").state, "draining");
    assert_string_equal(world_view(&w, "a/0").rule, "drain");
    assert_int_equal(world_view(&w, "a/0").override_, SL_OVERRIDE_DRAIN);
    assert_int_equal(mode(&w, "a/1"), SL_MODE_HASH);
    world_running(&w, "a/0", w.now.mono.ns);
    assert_string_equal(world_view(&w, "a/0").state, "idle");
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    world_order(&w, "a/0", SL_OVERRIDE_NONE, SL_MODE_INVALID);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_INFER);
    assert_int_equal(w.store->audits, 2);
    assert_int_equal(w.store->override_count, 0);
    world_fini(&w);
}

static void test_pin(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_order(&w, "a/0", SL_OVERRIDE_PIN, SL_MODE_HASH);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_HASH);
    assert_int_equal(mode(&w, "a/1"), SL_MODE_INFER);
    assert_int_equal(world_view(&w, "a/0").pinned, SL_MODE_HASH);
    world_order(&w, "a/0", SL_OVERRIDE_PIN, SL_MODE_IDLE);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    world_order(&w, "a/0", SL_OVERRIDE_PIN, SL_MODE_INFER);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_INFER);
    world_fini(&w);
}

static void test_stop_all(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_order(&w, "a/0", SL_OVERRIDE_PIN, SL_MODE_HASH);
    world_order(&w, "*", SL_OVERRIDE_STOP, SL_MODE_INVALID);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    assert_int_equal(mode(&w, "a/1"), SL_MODE_IDLE);
    struct sl_view_status view;
    sl_view_status_get(w.core, w.now, &view);
    assert_true(view.stopped);
    /* One device cannot be talked out of it. */
    world_order(&w, "a/0", SL_OVERRIDE_NONE, SL_MODE_INVALID);
    assert_int_equal(status(&w), SL_OK);
    assert_non_null(strstr(world_last(&w, SL_CCMD_REPLY)->text, "still holds"));
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    world_order(&w, "*", SL_OVERRIDE_NONE, SL_MODE_INVALID);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_HASH);
    assert_int_equal(mode(&w, "a/1"), SL_MODE_HASH);
    world_fini(&w);
}

static void test_node(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_order(&w, "a/1", SL_OVERRIDE_DRAIN, SL_MODE_INVALID);
    world_order(&w, "node-a", SL_OVERRIDE_DRAIN, SL_MODE_INVALID);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    world_order(&w, "a/0", SL_OVERRIDE_PIN, SL_MODE_HASH); /* drain is the stricter */
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    world_order(&w, "node-a", SL_OVERRIDE_NONE, SL_MODE_INVALID);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_HASH);
    assert_int_equal(mode(&w, "a/1"), SL_MODE_HASH); /* with the node, its devices resume */
    assert_int_equal(w.store->override_count, 0);
    world_fini(&w);
}

static void test_refused(void **state) {
    (void)state;
    struct world w;
    start(&w);
    const struct {
        const char *subject;
        enum sl_override_kind kind;
        enum sl_mode mode;
        int want;
    } rows[] = {
        {"nobody", SL_OVERRIDE_DRAIN, SL_MODE_INVALID, -SL_NOTFOUND},
        {"nobody", SL_OVERRIDE_NONE, SL_MODE_INVALID, -SL_NOTFOUND},
        {"a/0", SL_OVERRIDE_PIN, SL_MODE_INVALID, -SL_INVALID},
        {"a/0", SL_OVERRIDE_PIN, (enum sl_mode)9, -SL_INVALID},
        {"a/0", SL_OVERRIDE_STOP, SL_MODE_INVALID, -SL_INVALID},
        {"a/0", (enum sl_override_kind)9, SL_MODE_INVALID, -SL_INVALID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world_order(&w, rows[i].subject, rows[i].kind, rows[i].mode);
        assert_int_equal(status(&w), rows[i].want);
    }
    assert_int_equal(w.store->override_count, 0);
    assert_int_equal(w.store->audits, 0);
    world_fini(&w);
}

static void test_survives_a_restart(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_order(&w, "a/0", SL_OVERRIDE_DRAIN, SL_MODE_INVALID);
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    world_hello(&w, "a", 9, 77, 2);
    world_report(&w, "a", 2);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    assert_int_equal(mode(&w, "a/1"), SL_MODE_HASH);
    world_fini(&w);
}

/* Found by the simulator: an agent comes back with a directive that it never began, and which a
 * person's drain has overtaken meanwhile: it must not be told to go on with it, not for a moment.
 */
static void test_drained_while_away(void **state) {
    (void)state;
    struct world w;
    struct sl_core_config config = world_config();
    config.lease_ttl_ms = 60000;
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_running(&w, "a/0", w.now.mono.ns);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_INFER);
    world_wait(&w, w.config.session_lost_ms ? w.config.session_lost_ms + 1000 : 20000);
    assert_string_equal(world_view(&w, "a/0").state, "lost");
    world_order(&w, "a/0", SL_OVERRIDE_DRAIN, SL_MODE_INVALID);
    world_forget_sent(&w);
    world_hello(&w, "a", 2, 77, 1);
    world_report(&w, "a", 1);
    for (uint32_t i = 0; i < w.sent_count; i++) {
        if (w.sent[i].kind == SL_CCMD_SEND && w.sent[i].msg->kind == SL_MSG_DIRECTIVE) {
            assert_int_equal(w.sent[i].msg->directive.mode, SL_MODE_IDLE);
        }
    }
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    world_fini(&w);
}

/* An agent that loses the broker must know that its device is not idle for want of a price. */
static void test_an_order_binds_without_the_broker(void **state) {
    (void)state;
    struct world w;
    start(&w);
    static const enum sl_override_kind kinds[] = {SL_OVERRIDE_DRAIN, SL_OVERRIDE_STOP,
                                                  SL_OVERRIDE_PIN};
    for (size_t i = 0; i < 3; i++) {
        const char *subject = kinds[i] == SL_OVERRIDE_STOP ? "*" : "a/0";
        enum sl_mode pinned = kinds[i] == SL_OVERRIDE_PIN ? SL_MODE_IDLE : SL_MODE_INVALID;
        world_order(&w, subject, kinds[i], pinned);
        assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
        assert_true(world_directive(&w, "a/0")->stay_idle);
        world_order(&w, subject, SL_OVERRIDE_NONE, SL_MODE_INVALID);
        assert_int_equal(mode(&w, "a/0"), SL_MODE_HASH);
        assert_false(world_directive(&w, "a/0")->stay_idle);
    }
    world_fini(&w);
}

/* Each tick looks for the orders of every device. */
static void test_many_orders_on_a_large_site(void **state) {
    (void)state;
    enum { DEVICES = 50000, ORDERS = 5000 };
    struct world w;
    char key[24];
    enum sl_mode pinned = SL_MODE_INVALID;
    start(&w);
    uint32_t node = w.core->fleet.node[0];
    uint32_t first = w.core->fleet.count;
    for (uint32_t i = 0; i < DEVICES; i++) {
        snprintf(key, sizeof key, "big/%u", i);
        assert_int_equal(sl_core_device_add(w.core, key, node), first + i);
        w.core->fleet.state[first + i] = SL_DEVICE_IDLE;
    }
    struct sl_override_row row = {.kind = SL_OVERRIDE_PIN, .mode = SL_MODE_IDLE};
    for (uint32_t i = 0; i < ORDERS; i++) {
        snprintf(row.subject, sizeof row.subject, "big/%u", i * 7919 % ORDERS * 10);
        sl_core_override_put(w.core, &row);
        sl_core_override_put(w.core, &row); /* said twice */
    }
    assert_int_equal(w.core->override_count, ORDERS);
    clock_t began = clock();
    uint32_t ordered = 0;
    for (uint32_t i = 0; i < DEVICES; i++) {
        ordered += sl_core_order(w.core, first + i, &pinned) == SL_ORDER_PIN;
    }
    assert_int_equal(ordered, ORDERS);
    assert_true(clock() - began < CLOCKS_PER_SEC); /* it was several */
    row.kind = SL_OVERRIDE_NONE;
    for (uint32_t i = 0; i < ORDERS; i += 2) {
        snprintf(row.subject, sizeof row.subject, "big/%u", i * 10);
        sl_core_override_put(w.core, &row);
        sl_core_override_put(w.core, &row);
    }
    assert_int_equal(w.core->override_count, ORDERS / 2);
    assert_int_equal(sl_core_order(w.core, first, &pinned), SL_ORDER_NONE);
    assert_int_equal(sl_core_order(w.core, first + 10, &pinned), SL_ORDER_PIN);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drained_while_away),
        cmocka_unit_test(test_drain_and_resume),
        cmocka_unit_test(test_an_order_binds_without_the_broker),
        cmocka_unit_test(test_pin),
        cmocka_unit_test(test_stop_all),
        cmocka_unit_test(test_node),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_survives_a_restart),
        cmocka_unit_test(test_many_orders_on_a_large_site),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
