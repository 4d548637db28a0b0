/* SPDX-License-Identifier: Apache-2.0
 * Creation, limits of the configuration, the timer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void test_defaults(void **state) {
    (void)state;
    struct sl_core_config config = {.power_nusd_per_kwh = -1};
    SL_AUTO(sl_broker_core) core = NULL;
    assert_int_equal(sl_broker_core_create(&config, &core, NULL), SL_OK);
    assert_int_equal(core->config.lease_ttl_ms, 5000);
    assert_int_equal(core->config.report_ms, 1000);
    assert_int_equal(core->config.unit_lines, 32);
    assert_int_equal(core->config.units_ahead, 2);
    assert_int_equal(core->config.hash_factor_milli, 1000);
    assert_int_equal(core->config.safe_mode, SL_MODE_HASH);
    assert_int_equal(core->config.batch_life_ms, 86400000);
}

static void test_bad_config(void **state) {
    (void)state;
    const struct {
        const char *named;
        struct sl_core_config config;
    } rows[] = {
        {"lease_ttl_ms", {.lease_ttl_ms = 1}},
        {"threshold_ppm", {.threshold_ppm = -1}},
        {"dwell_min_ms", {.dwell_min_ms = -1}},
        {"unit_lines", {.unit_lines = SL_MSG_LINES_MAX + 1}},
        {"feeds", {.feed_count = SL_CORE_FEEDS_MAX + 1}},
        {"hash_factor_milli", {.hash_factor_milli = -5}},
        {"session_lost_ms", {.session_lost_ms = 10}},
        {"safe mode", {.safe_mode = SL_MODE_INFER}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_broker_core *core = NULL;
        struct sl_error err;
        assert_int_equal(sl_broker_core_create(&rows[i].config, &core, &err), -SL_INVALID);
        assert_non_null(strstr(err.text, rows[i].named));
        assert_null(core);
    }
    sl_broker_core_destroy(NULL);
}

static void test_timer(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    struct sl_core_event event = {.kind = SL_CEV_TIMER};
    world_step(&w, &event);
    int64_t span_ms = (sl_broker_core_due(w.core).ns - w.now.mono.ns) / SL_NS_PER_MS;
    assert_in_range(span_ms, 5, 375); /* often enough for renewals at a third of the ttl */
    struct sl_core_event nothing = {.kind = SL_CEV_INVALID};
    world_step(&w, &nothing);
    world_fini(&w);
}

static void test_many_devices(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, WORLD_PRICE);
    for (char name = 'a'; name <= 'h'; name++) {
        char key[2] = {name, '\0'};
        world_join(&w, key, 8);
    }
    struct sl_view_status view;
    sl_view_status_get(w.core, w.now, &view);
    assert_int_equal(view.devices_total, 64);
    assert_int_equal(view.devices_by_mode[SL_MODE_HASH], 64);
    assert_int_equal(view.sessions_live, 8);
    assert_true(view.hash_rate_hs == 64 * WORLD_HASH_RATE);
    world_check(&w);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_bad_config),
        cmocka_unit_test(test_timer),
        cmocka_unit_test(test_many_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
