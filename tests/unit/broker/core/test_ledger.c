/* SPDX-License-Identifier: Apache-2.0
 * Power: charged by energy and tariff, exactly, and only where both are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void report_watts(struct world *w, int64_t mw, enum sl_source source) {
    struct sl_msg_device device;
    world_device(&device, "a/0");
    device.watts[SL_MODE_HASH] = (struct sl_watts){source, mw};
    uint32_t dev = sl_core_device_find(w->core, "a/0");
    if (dev != SL_CORE_NONE && w->core->fleet.running[dev]) {
        device.safe = false;
        device.epoch = device.epoch_max = w->core->fleet.epoch[dev];
    }
    world_report_as(w, "a", &device, 1, true);
}

static void run_for(struct world *w, int seconds, int64_t mw, enum sl_source source) {
    for (int i = 0; i < seconds; i++) {
        world_wait(w, 1000);
        report_watts(w, mw, source);
    }
}

static void start(struct world *w, int64_t tariff) {
    struct sl_core_config config = world_config();
    config.power_nusd_per_kwh = tariff;
    world_init(w, &config);
    world_price(w, 0, WORLD_PRICE);
    world_hello(w, "a", 1, 77, 1);
    report_watts(w, 300000, SL_SOURCE_MEASURED);
    world_running(w, "a/0", w->now.mono.ns);
}

static void test_energy_times_tariff(void **state) {
    (void)state;
    struct world w;
    start(&w, 70000000); /* 0.07 USD/kWh */
    run_for(&w, 600, 300000, SL_SOURCE_MEASURED);
    /* 300 W for 600 s are 0.05 kWh: 3,500,000 nUSD; the last minute is not posted yet. */
    int64_t cost = (int64_t)-world_balance(&w, "cost:power");
    assert_in_range(cost, 3500000 * 9 / 10, 3500000);
    assert_true(world_balance(&w, "payable:power") == cost);
    struct sl_view_status view;
    sl_view_status_get(w.core, w.now, &view);
    assert_true(view.money.power_nusd == cost);
    assert_true(view.money.power_complete);
    /* A goodbye of the broker leaves nothing unposted for more than a minute. */
    assert_in_range(w.store->transfer_id, 9, 11);
    world_check(&w);
    world_fini(&w);
}

/* So cheap that a minute is a fraction of a nano-USD: it adds up all the same. */
static void test_remainder(void **state) {
    (void)state;
    struct world w;
    start(&w, 10); /* 10 nUSD/kWh x 300 W = 3 nUSD/h */
    run_for(&w, 3700, 300000, SL_SOURCE_MEASURED);
    assert_in_range((int64_t)-world_balance(&w, "cost:power"), 2, 3);
    world_check(&w);
    world_fini(&w);
}

static void test_unknown_watts_post_nothing(void **state) {
    (void)state;
    struct world w;
    start(&w, 70000000);
    run_for(&w, 300, 0, SL_SOURCE_UNKNOWN);
    struct sl_view_status view;
    sl_view_status_get(w.core, w.now, &view);
    assert_false(view.money.power_complete);
    /* Only the second before the first report without watts. */
    assert_in_range((int64_t)-world_balance(&w, "cost:power"), 0, 6000);
    struct sl_view_device device = world_view(&w, "a/0");
    assert_false(device.offers[SL_MODE_HASH].power_known);
    assert_int_equal(device.offers[SL_MODE_HASH].net_nusd_per_hour,
                     device.offers[SL_MODE_HASH].gross_nusd_per_hour);
    world_fini(&w);
}

static void test_unknown_tariff_posts_nothing(void **state) {
    (void)state;
    struct world w;
    start(&w, -1);
    run_for(&w, 120, 300000, SL_SOURCE_MEASURED);
    assert_true(world_balance(&w, "cost:power") == 0);
    world_fini(&w);
}

static void test_shutdown_posts_the_rest(void **state) {
    (void)state;
    struct world w;
    start(&w, 70000000);
    run_for(&w, 30, 300000, SL_SOURCE_MEASURED);
    assert_true(world_balance(&w, "cost:power") == 0); /* less than a minute */
    struct sl_core_event event = {.kind = SL_CEV_SHUTDOWN};
    world_step(&w, &event);
    assert_int_equal((int64_t)-world_balance(&w, "cost:power"), 70000000LL * 3 * 30 / 36000);
    world_check(&w);
    world_fini(&w);
}

/* Who looks at the ledger after a move finds the power of the stay before it. */
static void test_a_move_posts_the_stay(void **state) {
    (void)state;
    struct world w;
    start(&w, 70000000);
    run_for(&w, 30, 300000, SL_SOURCE_MEASURED);
    assert_true(world_balance(&w, "cost:power") == 0);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    assert_int_equal((int64_t)-world_balance(&w, "cost:power"), 70000000LL * 3 * 30 / 36000);
    world_check(&w);
    world_fini(&w);
}

static void test_negative_tariff(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.feed_count = 2;
    config.feeds[1] =
        (struct sl_core_feed){.id = "power", .role = SL_FEED_POWER, .age_max_ms = 3600000};
    struct world w;
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE);
    world_price(&w, 1, -20000000);
    world_hello(&w, "a", 1, 77, 1);
    report_watts(&w, 300000, SL_SOURCE_RATED);
    world_running(&w, "a/0", w.now.mono.ns);
    run_for(&w, 130, 300000, SL_SOURCE_RATED);
    /* The supplier owes us: the transfer is turned round, its amount stays positive. */
    assert_true(world_balance(&w, "cost:power") > 0);
    assert_int_equal(world_view(&w, "a/0").offers[SL_MODE_HASH].power_nusd_per_hour, -6000000);
    world_check(&w);
    world_fini(&w);
}

static void test_accounts(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    uint32_t at = sl_core_account(w.core, "revenue:lease");
    assert_int_equal(sl_core_account(w.core, "revenue:lease"), at);
    assert_int_equal(sl_core_account_find(w.core, "nobody"), SL_CORE_NONE);
    for (uint32_t i = 0; i < 200; i++) {
        char id[32];
        snprintf(id, sizeof id, "tenant:%u", i);
        sl_core_account(w.core, id);
    }
    assert_int_equal(sl_core_account(w.core, "revenue:lease"), at);
    struct sl_core_tenant_state *acme = sl_core_tenant_get(w.core, "acme");
    assert_true(sl_core_tenant_left(w.core, acme) > INT64_MAX); /* unlimited */
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_energy_times_tariff),
        cmocka_unit_test(test_remainder),
        cmocka_unit_test(test_unknown_watts_post_nothing),
        cmocka_unit_test(test_unknown_tariff_posts_nothing),
        cmocka_unit_test(test_shutdown_posts_the_rest),
        cmocka_unit_test(test_a_move_posts_the_stay),
        cmocka_unit_test(test_negative_tariff),
        cmocka_unit_test(test_accounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
