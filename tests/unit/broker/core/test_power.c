/* SPDX-License-Identifier: Apache-2.0
 * Strike prices and caps over a plan, and energy by mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define USD SL_NUSD_PER_USD
#define POWER_FEED 1
#define CARBON_FEED 2
#define FREEZE_MS 4000 /* ttl and margin: leases of an earlier process */

static struct sl_core_config config_of(void) {
    struct sl_core_config c = world_config();
    c.feed_count = 3;
    c.feeds[POWER_FEED] =
        (struct sl_core_feed){.id = "power", .role = SL_FEED_POWER, .age_max_ms = 60000};
    c.feeds[CARBON_FEED] =
        (struct sl_core_feed){.id = "grid", .role = SL_FEED_CARBON, .age_max_ms = 3600000};
    c.policy.step_ms = 1000;
    c.policy.power.site_mw = -1;
    c.policy.power.unknown_mw = -1;
    c.policy.power.advantage_ppm = 50000;
    return c;
}

static void strike(struct sl_core_config *c, int64_t price) {
    c->policy.power.strike_count = 1;
    sl_text_copy(c->policy.power.strikes[0].class_, SL_POLICY_NAME_MAX, "made*");
    c->policy.power.strikes[0].price = price;
    c->policy.power.curtail = (struct sl_curtail_params){
        .confirm_ms = 2000, .resume_ms = 3000, .resume_margin = USD / 100};
}

/* Both devices of node a say what they do; the mode is that of the newest directive. */
static void report(struct world *w, uint32_t count, bool watts) {
    struct sl_msg_device devices[4];
    for (uint32_t i = 0; i < count; i++) {
        char key[SL_MSG_KEY_MAX];
        snprintf(key, sizeof key, "a/%u", i);
        world_device(&devices[i], key);
        uint32_t dev = sl_core_device_find(w->core, key);
        if (dev != SL_CORE_NONE && w->core->fleet.running[dev]) {
            devices[i].safe = false;
            devices[i].mode = (enum sl_mode)w->core->fleet.mode[dev];
            devices[i].epoch = w->core->fleet.epoch[dev];
            devices[i].epoch_max = devices[i].epoch;
        }
        devices[i].hash_rate_hs += i * WORLD_HASH_RATE; /* the later, the better */
        for (int mode = SL_MODE_IDLE; watts && mode < SL_MODE_COUNT; mode++) {
            static const int64_t mw[] = {0, 20000, 200000, 150000};
            devices[i].watts[mode] = (struct sl_watts){SL_SOURCE_RATED, mw[mode]};
        }
    }
    world_report_as(w, "a", devices, count, true);
}

/* Seconds in which the agent obeys and reports. */
static void live(struct world *w, uint32_t count, int seconds) {
    for (int i = 0; i < seconds; i++) {
        world_wait(w, 1000);
        for (uint32_t k = 0; k < count; k++) {
            char key[SL_MSG_KEY_MAX];
            snprintf(key, sizeof key, "a/%u", k);
            if (world_directive(w, key)) {
                world_running(w, key, w->now.mono.ns);
            }
        }
        report(w, count, true);
    }
}

static void start_prices(struct world *w, const struct sl_core_config *c) {
    world_init(w, c);
    world_price(w, 0, WORLD_PRICE);
    world_price(w, POWER_FEED, USD / 20);
}

static void start(struct world *w, const struct sl_core_config *c, uint32_t count) {
    start_prices(w, c);
    assert_true(world_hello(w, "a", 1, 77, count) != 0);
    report(w, count, true);
    live(w, count, 5);
}

static enum sl_mode mode_of(struct world *w, const char *device) {
    return world_view(w, device).wanted;
}

static struct sl_view_power power_of(struct world *w) {
    struct sl_view_power view;
    sl_view_power_get(w->core, w->now, &view);
    return view;
}

static void test_strike_confirm_and_resume(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    strike(&c, USD / 10);
    struct world w;
    start(&w, &c, 1);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_HASH);
    world_price(&w, POWER_FEED, USD / 5);
    live(&w, 1, 1);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_HASH); /* not confirmed yet */
    live(&w, 1, 2);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE);
    assert_string_equal(world_view(&w, "a/0").rule, "curtail");
    assert_non_null(strstr(world_view(&w, "a/0").why, "power 0.20 USD/kWh, strike price 0.10"));
    live(&w, 1, 10);
    struct sl_view_power view = power_of(&w);
    assert_int_equal(view.devices_curtailed, 1);
    assert_true(view.curtailed >= (sl_i128)200000 * 9000); /* 200 W for 9 s and more */
    assert_true(view.curtailed <= (sl_i128)200000 * 12000);
    /* Within the margin below the strike price is not low enough. */
    world_price(&w, POWER_FEED, USD / 10 - USD / 200);
    live(&w, 1, 10);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE);
    world_price(&w, POWER_FEED, USD / 20);
    live(&w, 1, 2);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE);
    live(&w, 1, 3);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_HASH);
    world_check(&w);
    world_fini(&w);
}

static void test_strike_acts_while_hash_prices_are_stale(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    strike(&c, USD / 10);
    c.feeds[0].age_max_ms = 10000;
    struct world w;
    start(&w, &c, 1);
    live(&w, 1, 15); /* the hash price is stale by now */
    assert_string_equal(world_view(&w, "a/0").rule, "hold");
    world_price(&w, POWER_FEED, USD / 5);
    live(&w, 1, 3);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE);
    assert_string_equal(world_view(&w, "a/0").rule, "curtail");
    /* The power price is stale too: what is off stays off. */
    live(&w, 1, 70);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE);
    assert_string_equal(world_view(&w, "a/0").rule, "curtail");
    assert_non_null(strstr(world_view(&w, "a/0").why, "power unknown"));
    world_fini(&w);
}

static void test_a_pin_outranks_a_strike_price(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    strike(&c, USD / 10);
    struct world w;
    start(&w, &c, 1);
    world_order(&w, "a/0", SL_OVERRIDE_PIN, SL_MODE_HASH);
    world_price(&w, POWER_FEED, USD / 5);
    live(&w, 1, 5);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_HASH);
    world_order(&w, "a/0", SL_OVERRIDE_NONE, SL_MODE_INVALID);
    live(&w, 1, 2);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE);
    world_fini(&w);
}

static void test_floor_and_ramp(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    strike(&c, USD / 10);
    c.policy.power.floor_mw = 200000;
    struct world w;
    start(&w, &c, 2);
    world_price(&w, POWER_FEED, USD / 5);
    live(&w, 2, 6);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE); /* earns less a watt */
    assert_int_equal(mode_of(&w, "a/1"), SL_MODE_HASH); /* the floor keeps it on */
    world_fini(&w);
    c.policy.power.floor_mw = 0;
    c.policy.power.curtail.ramp_devices = 1;
    start(&w, &c, 2);
    world_price(&w, POWER_FEED, USD / 5);
    live(&w, 2, 30);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE);
    assert_int_equal(mode_of(&w, "a/1"), SL_MODE_HASH);
    world_price(&w, POWER_FEED, USD / 5);
    live(&w, 2, 40);
    assert_int_equal(mode_of(&w, "a/1"), SL_MODE_IDLE);
    world_price(&w, POWER_FEED, USD / 20);
    live(&w, 2, 50);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE); /* a minute has not passed */
    assert_non_null(strstr(world_view(&w, "a/0").why, "power.ramp"));
    world_fini(&w);
}

static void test_off_survives_a_restart(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    strike(&c, USD / 10);
    struct world w;
    start(&w, &c, 1);
    world_price(&w, POWER_FEED, USD / 5);
    live(&w, 1, 20); /* counters are written every few seconds */
    sl_i128 before = power_of(&w).energy[SL_MODE_HASH];
    assert_true(before > 0);
    world_restart(&w);
    struct sl_view_power_class view;
    assert_true(sl_view_power_class_get(w.core, w.now, 0, &view));
    assert_true(view.off);
    assert_true(power_of(&w).energy[SL_MODE_HASH] == before);
    /* Nothing is known of the price yet: it stays off. */
    assert_true(world_hello(&w, "a", 2, 77, 1) != 0);
    report(&w, 1, true);
    world_wait(&w, 1000);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE);
    world_fini(&w);
}

static void test_a_cap_for_one_of_two(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    c.policy.power.site_mw = 300000;
    struct world w;
    start(&w, &c, 2);
    live(&w, 2, 3);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE); /* earns half as much a watt */
    assert_int_equal(mode_of(&w, "a/1"), SL_MODE_HASH);
    assert_string_equal(world_view(&w, "a/0").rule, "cap");
    assert_non_null(
        strstr(world_view(&w, "a/0").why, "cap of 'site': hash at 200.0 W does not fit"));
    assert_true(power_of(&w).drawn_mw == 220000);
    /* A pin is shed last, but the cap holds. */
    world_order(&w, "a/0", SL_OVERRIDE_PIN, SL_MODE_HASH);
    assert_int_equal(mode_of(&w, "a/1"), SL_MODE_IDLE);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE); /* not before the other has confirmed */
    assert_non_null(strstr(world_view(&w, "a/0").why, "waits"));
    world_running(&w, "a/1", w.now.mono.ns);
    world_wait(&w, 300);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_HASH);
    world_order(&w, "a/1", SL_OVERRIDE_PIN, SL_MODE_HASH);
    live(&w, 2, 3);
    assert_int_equal((mode_of(&w, "a/0") == SL_MODE_HASH) + (mode_of(&w, "a/1") == SL_MODE_HASH),
                     1);
    world_check(&w);
    world_fini(&w);
}

/* An agent that ends itself has halted its devices: their watts are free at once. One that is
 * silent may hash in its safe mode. */
static void test_who_said_goodbye_draws_nothing(void **state) {
    (void)state;
    for (int silent = 0; silent < 2; silent++) {
        struct sl_core_config c = config_of();
        c.safe_mode = SL_MODE_HASH;
        c.safe_mode_max_ms = 3600000;
        struct world w;
        start(&w, &c, 2);
        live(&w, 2, 3);
        assert_true(power_of(&w).drawn_mw == 400000);
        struct sl_msg bye = {.kind = SL_MSG_GOODBYE};
        if (silent) {
            world_wait(&w, 60000);
        } else {
            world_msg(&w, "a", w.core->nodes[0].peer.conn, w.core->nodes[0].session, &bye);
        }
        assert_false(sl_core_node_up(w.core, 0));
        world_wait(&w, 1000);
        assert_true(power_of(&w).drawn_mw == (silent ? 400000 : 0));
        world_fini(&w);
    }
}

static void test_a_circuit(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    struct sl_policy_circuit *circuit = &c.policy.power.circuits[0];
    c.policy.power.circuit_count = 1;
    sl_text_copy(circuit->name, sizeof circuit->name, "pdu1");
    sl_text_copy(circuit->nodes, sizeof circuit->nodes, "other, node-a");
    circuit->cap_mw = 250000;
    struct world w;
    start(&w, &c, 2);
    live(&w, 2, 3);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE);
    assert_int_equal(mode_of(&w, "a/1"), SL_MODE_HASH);
    assert_non_null(strstr(world_view(&w, "a/0").why, "cap of 'pdu1'"));
    struct sl_view_power_circuit view;
    assert_true(sl_view_power_circuit_get(w.core, w.now, 0, &view));
    assert_int_equal(view.devices, 2);
    assert_int_equal(view.drawn_mw, 220000);
    world_fini(&w);
}

static void test_nothing_grows_before_old_leases_are_over(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    c.policy.power.site_mw = 1000000;
    struct world w;
    start_prices(&w, &c);
    assert_true(world_hello(&w, "a", 1, 77, 1) != 0);
    struct sl_msg_device device;
    world_device(&device, "a/0");
    device.mode = SL_MODE_IDLE;
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        device.watts[mode] = (struct sl_watts){SL_SOURCE_MEASURED, 100000 * mode};
    }
    world_report_as(&w, "a", &device, 1, true);
    /* Its hello said that it hashes in its safe mode: that goes on counting until it confirms. */
    world_running(&w, "a/0", w.now.mono.ns);
    world_wait(&w, 2000);
    enum sl_mode early = mode_of(&w, "a/0");
    assert_true(early == SL_MODE_IDLE || early == SL_MODE_HASH);
    live(&w, 1, FREEZE_MS / 1000 + 1);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_HASH);
    world_fini(&w);
}

static void test_unknown_watts_stay_idle_under_a_cap(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    c.policy.power.site_mw = 1000000;
    struct world w;
    start_prices(&w, &c);
    world_join(&w, "a", 1);
    world_wait(&w, 1000);
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_IDLE);
    assert_non_null(strstr(world_view(&w, "a/0").why, "nobody knows the watts"));
    assert_int_equal(power_of(&w).devices_unknown, 1);
    world_fini(&w);
    c.policy.power.unknown_mw = 300000; /* with a figure for it, it works */
    start_prices(&w, &c);
    world_join(&w, "a", 1);
    for (int i = 0; i < 6; i++) {
        world_wait(&w, 1000);
        world_report(&w, "a", 1);
    }
    assert_int_equal(mode_of(&w, "a/0"), SL_MODE_HASH);
    world_fini(&w);
}

static void test_energy_and_carbon(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    struct world w;
    start(&w, &c, 1);
    sl_i128 before = power_of(&w).energy[SL_MODE_HASH];
    assert_true(power_of(&w).carbon_ng == 0);
    world_price(&w, CARBON_FEED, INT64_C(400) * 1000000000); /* 400 g a kWh */
    live(&w, 1, 36);
    struct sl_view_power view = power_of(&w);
    assert_true(view.energy[SL_MODE_HASH] - before == (sl_i128)200000 * 36000); /* 2 Wh */
    assert_true(view.carbon_energy == (sl_i128)200000 * 36000);
    assert_true(view.carbon_ng == (sl_i128)800000000); /* 0.8 g */
    assert_true(view.energy_complete);
    report(&w, 1, false);
    world_wait(&w, 1000);
    report(&w, 1, false);
    assert_false(power_of(&w).energy_complete);
    world_fini(&w);
}

static void test_restored_figures_are_checked(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    struct world w;
    world_init(&w, &c);
    static const char *const bad[][2] = {{"energy", ""},          {"energy", "1 2 3 4"},
                                         {"energy", "1 2 3 4 2"}, {"energy", "1 2 -3 4 0"},
                                         {"carbon", "1 2"},       {"carbon", "1 3600000000000 3"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sl_broker_core_restore_meta(w.core, bad[i][0], bad[i][1]), -SL_CORRUPT);
    }
    assert_int_equal(sl_broker_core_restore_meta(w.core, "energy", "1 2 3 4 0"), SL_OK);
    assert_int_equal(sl_broker_core_restore_meta(w.core, "carbon", "1 2 3"), SL_OK);
    assert_int_equal(sl_broker_core_restore_meta(w.core, "power.off", "of another list 1"), SL_OK);
    assert_true(power_of(&w).energy[SL_MODE_INFER] == 3);
    world_fini(&w);
}

static void test_time_of_day(void **state) {
    (void)state;
    struct sl_core_config c = config_of();
    c.tariff = (struct sl_tariff){
        .price = USD / 20, .count = 1, .windows = {{SL_TARIFF_ALL_DAYS, 0, 1440, USD / 4}}};
    struct world w;
    start(&w, &c, 1);
    struct sl_view_power view = power_of(&w);
    assert_string_equal(view.tariff, "time_of_day");
    assert_true(view.price_fresh && view.price == USD / 4);
    assert_int_equal(view.price_until.ms, 0); /* all day, every day */
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strike_confirm_and_resume),
        cmocka_unit_test(test_strike_acts_while_hash_prices_are_stale),
        cmocka_unit_test(test_a_pin_outranks_a_strike_price),
        cmocka_unit_test(test_floor_and_ramp),
        cmocka_unit_test(test_off_survives_a_restart),
        cmocka_unit_test(test_a_cap_for_one_of_two),
        cmocka_unit_test(test_who_said_goodbye_draws_nothing),
        cmocka_unit_test(test_a_circuit),
        cmocka_unit_test(test_nothing_grows_before_old_leases_are_over),
        cmocka_unit_test(test_unknown_watts_stay_idle_under_a_cap),
        cmocka_unit_test(test_energy_and_carbon),
        cmocka_unit_test(test_restored_figures_are_checked),
        cmocka_unit_test(test_time_of_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
