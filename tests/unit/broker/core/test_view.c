/* SPDX-License-Identifier: Apache-2.0
 * What screens see: figures with their sources, reasons in words, lists by index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void test_status(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 2);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    struct sl_view_status view;
    sl_view_status_get(w.core, w.now, &view);
    assert_int_equal(view.sessions_live, 1);
    assert_int_equal(view.devices_total, 2);
    assert_int_equal(view.devices_by_mode[SL_MODE_HASH], 2); /* what runs, not what is wanted */
    world_running(&w, "a/0", w.now.mono.ns);
    sl_view_status_get(w.core, w.now, &view);
    assert_int_equal(view.devices_by_mode[SL_MODE_INFER], 1);
    assert_true(view.hash_rate_hs == WORLD_HASH_RATE);
    assert_int_equal(view.batches_open, 1);
    assert_int_equal(view.lines_waiting + view.lines_issued, 100);
    assert_int_equal(view.hash_factor_milli, 1000);
    assert_false(view.stopped);
    world_fini(&w);
}

static void test_nodes(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_hello(&w, "a", 1, 5, 2);
    world_wait(&w, 700);
    struct sl_view_node view;
    assert_true(sl_view_node_get(w.core, w.now, 0, &view));
    assert_string_equal(view.node, "node-a");
    assert_string_equal(view.node_key, "a");
    assert_string_equal(view.version, "0.1.0");
    assert_string_equal(view.state, "live");
    assert_int_equal(view.report_age_ms, 700);
    assert_int_equal(view.device_count, 2);
    assert_false(sl_view_node_get(w.core, w.now, 1, &view));
    world_fini(&w);
}

static void test_offers(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.power_nusd_per_kwh = 100000000;
    struct world w;
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE);
    struct sl_msg_device device;
    world_device(&device, "a/0");
    device.watts[SL_MODE_HASH] = (struct sl_watts){SL_SOURCE_RATED, 500000};
    world_hello_units(&w, "a", 1, 77, &device, 1, NULL, 0);
    struct sl_view_device view = world_view(&w, "a/0");
    assert_string_equal(view.rule, "");
    assert_string_equal(view.why, "no decision yet");
    assert_string_equal(view.offers[SL_MODE_HASH].missing, "pool with a job");
    world_report_as(&w, "a", &device, 1, true);
    view = world_view(&w, "a/0");
    const struct sl_view_offer *hash = &view.offers[SL_MODE_HASH];
    assert_true(hash->known);
    assert_int_equal(hash->gross_nusd_per_hour, 187500000);
    assert_true(hash->power_known);
    assert_int_equal(hash->power_source, SL_SOURCE_RATED);
    assert_int_equal(hash->power_nusd_per_hour, 50000000);
    assert_int_equal(hash->net_nusd_per_hour, 137500000);
    assert_false(view.offers[SL_MODE_INFER].known);
    assert_string_equal(view.offers[SL_MODE_INFER].missing, "waiting batch");
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    view = world_view(&w, "a/0");
    assert_int_equal(view.offers[SL_MODE_INFER].gross_nusd_per_hour, 360000000);
    assert_false(view.offers[SL_MODE_INFER].power_known);
    assert_int_equal(view.offers[SL_MODE_INFER].net_nusd_per_hour, 360000000);
    /* 1 ms of 0.36 USD/h. */
    assert_int_equal(view.offers[SL_MODE_HASH].switch_nusd, 39);
    assert_string_equal(view.best_batch, "b1");
    assert_string_equal(view.batch, "b1");
    assert_int_equal(view.price_nusd_per_mtok, WORLD_BID_HIGH);
    assert_string_equal(view.rule, "threshold");
    assert_non_null(strstr(view.why, "power unknown, so gross"));
    assert_true(view.decided.ms == w.now.wall.ms);
    assert_in_range(view.ttl_left_ms, 2900, 3000);
    world_fini(&w);
}

static void test_batches_by_bid(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_batch(&w, "b1", "acme", 10, WORLD_BID_LOW);
    world_wait(&w, 5);
    world_batch(&w, "b2", "poor", 20, WORLD_BID_HIGH);
    world_wait(&w, 5);
    world_batch(&w, "b3", "acme", 30, WORLD_BID_LOW);
    const char *const want[] = {"b2", "b1", "b3"};
    struct sl_view_batch view;
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(sl_view_batch_get(w.core, w.now, i, &view));
        assert_string_equal(view.id, want[i]);
    }
    assert_int_equal(view.waiting, 30);
    assert_int_equal(view.state, SL_BATCH_IN_PROGRESS);
    assert_false(sl_view_batch_get(w.core, w.now, 3, &view));
    world_fini(&w);
}

/* A view never changes what it shows. */
static void test_looking_changes_nothing(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    uint32_t sent = w.sent_count;
    uint32_t directives = w.store->directive_count;
    for (int i = 0; i < 100; i++) {
        world_view(&w, "a/0");
        world_view_batch(&w, "b1");
    }
    struct sl_core_command command;
    assert_false(sl_broker_core_next(w.core, &command));
    assert_int_equal(w.sent_count, sent);
    assert_int_equal(w.store->directive_count, directives);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_batches_by_bid),
        cmocka_unit_test(test_looking_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
