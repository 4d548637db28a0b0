/* SPDX-License-Identifier: Apache-2.0
 * The picture that a stress test starts from: the same figures as on the devices' screen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "broker/core/stress.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void start(struct world *w, const struct sl_core_config *config) {
    world_init(w, config);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 2);
}

static void test_figures(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.policy.stress.cash_nusd = 5;
    config.policy.stress.use_min_ms = 3600000;
    struct world w;
    start(&w, &config);
    world_batch(&w, "b1", "acme", 10, WORLD_BID_LOW);
    world_batch(&w, "b2", "poor", 10, WORLD_BID_HIGH);
    SL_AUTO(sl_core_stress) s = sl_core_stress_take(w.core, w.now);
    assert_int_equal(s->in.count, 2);
    assert_int_equal(s->in.cash_nusd, 5);
    assert_string_equal(s->keys[0], "a/0");
    assert_true(s->in.can_hash[0]);
    assert_int_equal(s->in.hash_nusd_h[0], world_view(&w, "a/0").offers[2].gross_nusd_per_hour);
    assert_int_equal(s->in.power_known[0], 0); /* no watts */
    assert_int_equal(s->use_known[0], 0);
    assert_int_equal(s->in.use_ppm[0], SL_SHOCK_SAME);
    assert_int_equal(s->hash_known, SL_CORE_PRICE_FRESH);
    assert_int_equal(s->hash_nusd_ph_day, WORLD_PRICE);
    assert_int_equal(s->power_known, SL_CORE_PRICE_UNKNOWN);
    assert_int_equal(s->in.commit_count, 2); /* best first */
    assert_string_equal(s->batches[0], "b2");
    assert_string_equal(s->tenants[0], "poor");
    assert_int_equal(s->in.commits[0].bid_nusd_per_mtok, WORLD_BID_HIGH);
    assert_int_equal(s->in.commits[0].tokens_left, 1000); /* at most 100 a line */
    assert_true(s->in.commits[0].deadline_ms > 0);
    assert_int_equal(s->in.tokens_s_milli[0], WORLD_TOKENS_MILLI);
    assert_int_not_equal(sl_core_stress_tenant(s, "acme"), sl_core_stress_tenant(s, "poor"));
    assert_int_equal(sl_core_stress_tenant(s, "nobody"), SL_SHOCK_NOBODY - 1);
    const struct sl_shock none = sl_shock_none();
    sl_stress_run(&s->in, &none, &s->before);
    assert_int_equal(s->before.mode[0], SL_MODE_INFER);
    assert_int_equal(s->before.value[0], 360000000);
    world_fini(&w);
}

static void test_use_is_measured(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.policy.stress.use_min_ms = 1000;
    struct world w;
    start(&w, &config);
    struct sl_msg_device devices[2];
    world_device(&devices[0], "a/0");
    world_device(&devices[1], "a/1");
    devices[0].busy_ms[SL_MODE_INFER] = 250;
    devices[0].busy_ms[SL_MODE_HASH] = 700;
    devices[0].busy_ms[SL_MODE_IDLE] = 50;
    devices[1].busy_ms[SL_MODE_INFER] = 999;
    world_report_as(&w, "a", devices, 2, true);
    SL_AUTO(sl_core_stress) s = sl_core_stress_take(w.core, w.now);
    assert_int_equal(s->use_known[0], 1);
    assert_int_equal(s->in.use_ppm[0], 250000);
    assert_int_equal(s->use_known[1], 0);
    world_fini(&w);
}

static void test_orders_and_absence(void **state) {
    (void)state;
    struct world w;
    start(&w, NULL);
    world_order(&w, "a/0", SL_OVERRIDE_PIN, SL_MODE_HASH);
    world_order(&w, "a/1", SL_OVERRIDE_DRAIN, SL_MODE_INVALID);
    struct sl_core_stress *s = sl_core_stress_take(w.core, w.now);
    assert_int_equal(s->in.held[0], SL_MODE_HASH);
    assert_int_equal(s->in.held[1], SL_MODE_IDLE);
    assert_int_equal(s->devices_away, 0);
    sl_core_stress_destroy(s);
    world_wait(&w, 20000); /* silent: lost */
    s = sl_core_stress_take(w.core, w.now);
    assert_int_equal(s->in.count, 0);
    assert_int_equal(s->devices_away, 2);
    sl_core_stress_destroy(s);
    world_fini(&w);
    sl_core_stress_destroy(NULL);
}

static void test_the_rate_card_counts(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.policy.rate_count = 1;
    config.policy.rates[0] = (struct sl_rate){"*", "*", "*", WORLD_BID_HIGH + 1};
    struct world w;
    start(&w, &config);
    world_batch(&w, "b1", "acme", 10, WORLD_BID_HIGH);
    SL_AUTO(sl_core_stress) s = sl_core_stress_take(w.core, w.now);
    assert_int_equal(s->in.commit_count, 1);
    assert_int_equal(s->in.tokens_s_milli[0], 0);
    assert_int_equal(sl_core_document(w.core)->rate_count, 1);
    world_fini(&w);
}

static void test_power(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    config.power_nusd_per_kwh = 100000000;
    struct world w;
    start(&w, &config);
    struct sl_msg_device devices[2];
    for (uint32_t i = 0; i < 2; i++) {
        world_device(&devices[i], i == 0 ? "a/0" : "a/1");
        devices[i].watts[SL_MODE_IDLE] = (struct sl_watts){SL_SOURCE_RATED, 10000};
        devices[i].watts[SL_MODE_HASH] = (struct sl_watts){SL_SOURCE_RATED, 500000};
    }
    devices[1].watts[SL_MODE_INFER] = (struct sl_watts){SL_SOURCE_RATED, 300000};
    world_report_as(&w, "a", devices, 2, true);
    struct sl_core_stress *s = sl_core_stress_take(w.core, w.now);
    assert_int_equal(s->power_known, SL_CORE_PRICE_FRESH);
    assert_true(s->power_fixed);
    assert_int_equal(s->in.power_nusd_h[SL_MODE_HASH][0], 50000000);
    assert_int_equal(s->in.power_known[0], 1); /* no lease is there whose power it would need */
    sl_core_stress_destroy(s);
    world_batch(&w, "b1", "acme", 10, WORLD_BID_LOW);
    s = sl_core_stress_take(w.core, w.now);
    assert_int_equal(s->in.power_known[0], 0);
    assert_int_equal(s->in.power_known[1], 1);
    sl_core_stress_destroy(s);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_use_is_measured),
        cmocka_unit_test(test_orders_and_absence),
        cmocka_unit_test(test_the_rate_card_counts),
        cmocka_unit_test(test_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
