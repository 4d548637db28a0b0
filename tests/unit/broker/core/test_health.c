/* SPDX-License-Identifier: Apache-2.0
 * What is done with a device of which something is known, how it comes back, and that it is
 * remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/broker/core/gpus.h"

#include <cmocka.h>

#include "proto/base/text.h"

/* ---- the judging ---- */

static struct sl_msg_telemetry xid(uint32_t total, uint16_t number) {
    struct sl_msg_telemetry t = {.source = SL_TELEMETRY_NVML, .xid_count = 1, .xids = {number}};
    sl_telemetry_set(&t, SL_FIG_XIDS, total);
    return t;
}

static void each_class_of_driver_error_has_its_consequence(void **state) {
    (void)state;
    static const struct {
        uint16_t xid;
        enum sl_health_state state;
    } rows[] = {
        {13, SL_HEALTH_WARN},        {31, SL_HEALTH_WARN},        {43, SL_HEALTH_WARN},
        {45, SL_HEALTH_WARN},        {48, SL_HEALTH_DRAIN},       {63, SL_HEALTH_DRAIN},
        {94, SL_HEALTH_DRAIN},       {64, SL_HEALTH_QUARANTINE},  {74, SL_HEALTH_QUARANTINE},
        {79, SL_HEALTH_QUARANTINE},  {95, SL_HEALTH_QUARANTINE},  {119, SL_HEALTH_QUARANTINE},
        {120, SL_HEALTH_QUARANTINE}, {154, SL_HEALTH_QUARANTINE}, {9999, SL_HEALTH_WARN},
    };
    struct sl_policy_health policy = shipped();
    struct sl_health_seen seen = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_msg_telemetry t = xid(1, rows[i].xid);
        struct sl_health_verdict v = sl_health_judge(&policy, &seen, &t);
        if (v.state != rows[i].state || v.code != rows[i].xid || !v.fresh) {
            fail_msg("Xid %u: %s", rows[i].xid, sl_health_state_name(v.state));
        }
    }
    policy.xid_count = 1;
    policy.xids[0] = (struct sl_policy_xid){79, SL_HEALTH_OK};
    struct sl_msg_telemetry t = xid(1, 79);
    assert_int_equal(sl_health_judge(&policy, &seen, &t).state, SL_HEALTH_OK);
}

static void counted_facts_are_judged_once(void **state) {
    (void)state;
    struct sl_policy_health policy = shipped();
    struct sl_health_seen seen = {.xids = 3, .ecc = 2, .canary_failed = 1};
    struct sl_msg_telemetry t = {.xid_count = 3, .xids = {79, 13, 48}};
    sl_telemetry_set(&t, SL_FIG_XIDS, 3);
    sl_telemetry_set(&t, SL_FIG_ECC_NEW, 2);
    sl_telemetry_set(&t, SL_FIG_CANARY_FAILED, 1);
    assert_int_equal(sl_health_judge(&policy, &seen, &t).state, SL_HEALTH_OK);
    seen.xids = 1; /* 13 and 48 are new, 79 is not */
    struct sl_health_verdict v = sl_health_judge(&policy, &seen, &t);
    assert_int_equal(v.state, SL_HEALTH_DRAIN);
    assert_int_equal(v.code, 48);
    seen = (struct sl_health_seen){.xids = 3, .ecc = 1, .canary_failed = 1};
    assert_int_equal(sl_health_judge(&policy, &seen, &t).cause, SL_FIG_ECC_NEW);
    seen = (struct sl_health_seen){.xids = 3, .ecc = 2};
    assert_int_equal(sl_health_judge(&policy, &seen, &t).state, SL_HEALTH_QUARANTINE);
}

static void what_holds_is_judged_while_it_holds(void **state) {
    (void)state;
    static const struct {
        enum sl_figure fact;
        int64_t value;
        enum sl_health_state state;
    } rows[] = {
        {SL_FIG_LOST, 1, SL_HEALTH_QUARANTINE},         {SL_FIG_HUNG, 1, SL_HEALTH_DRAIN},
        {SL_FIG_RESET_NEEDED, 1, SL_HEALTH_DRAIN},      {SL_FIG_REMAP_PENDING, 1, SL_HEALTH_DRAIN},
        {SL_FIG_REMAP_FAILED, 1, SL_HEALTH_QUARANTINE}, {SL_FIG_LOST, 0, SL_HEALTH_OK},
        {SL_FIG_THERMAL_MS, 59999, SL_HEALTH_OK},       {SL_FIG_THERMAL_MS, 60000, SL_HEALTH_WARN},
        {SL_FIG_THERMAL_MS, 900000, SL_HEALTH_DRAIN},   {SL_FIG_BRAKE_MS, 60000, SL_HEALTH_WARN},
        {SL_FIG_BRAKE_MS, 9000000, SL_HEALTH_WARN},
    };
    struct sl_policy_health policy = shipped();
    struct sl_health_seen seen = {0};
    char text[SL_WHY_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_msg_telemetry t = {0};
        sl_telemetry_set(&t, rows[i].fact, rows[i].value);
        struct sl_health_verdict v = sl_health_judge(&policy, &seen, &t);
        if (v.state != rows[i].state || v.fresh) {
            fail_msg("%s %lld: %s", sl_figure_info(rows[i].fact)->name, (long long)rows[i].value,
                     sl_health_state_name(v.state));
        }
        sl_health_text(&v, &t, text, sizeof text);
        assert_true(text[0] != '\0');
    }
    struct sl_msg_telemetry asks = {.note = "the driver wants the node rebooted"};
    sl_telemetry_set(&asks, SL_FIG_RESET_NEEDED, 1);
    struct sl_health_verdict verdict = sl_health_judge(&policy, &seen, &asks);
    sl_health_text(&verdict, &asks, text, sizeof text);
    assert_string_equal(text, asks.note);
    /* A power limit that we set ourselves is no illness: the agent reports no span for it. */
    struct sl_msg_telemetry t = {0};
    sl_telemetry_set(&t, SL_FIG_THROTTLE, SL_THROTTLE_POWER_CAP);
    assert_int_equal(sl_health_judge(&policy, &seen, &t).state, SL_HEALTH_OK);
}

/* ---- in the core ---- */

static const struct sl_event_row *newest(const struct world *w) {
    return &w->store->events[(w->store->event_count - 1) % 64];
}

static void a_quarantined_device_gets_no_work_until_a_person_clears_it(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device device = gpu("a/0");
    say(&w, &device);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_HASH);
    give_xid(&w, &device, 79);
    struct sl_view_device view = world_view(&w, "a/0");
    assert_int_equal(view.wanted, SL_MODE_IDLE);
    assert_int_equal(view.health.state, SL_HEALTH_QUARANTINE);
    assert_int_equal(view.health.code, 79);
    assert_string_equal(view.rule, "faulty");
    assert_non_null(strstr(view.why, "fallen off"));
    assert_int_equal(newest(&w)->severity, SL_SEVERITY_ALERT);
    assert_string_equal(newest(&w)->kind, "health.quarantine");
    assert_string_equal(newest(&w)->device, "a/0");
    assert_string_equal(newest(&w)->node, "node-a");
    assert_true(world_directive(&w, "a/0")->stay_idle); /* also when the broker is away */
    /* Neither a price, nor a pin, nor tests that pass bring it back. */
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    world_order(&w, "a/0", SL_OVERRIDE_PIN, SL_MODE_HASH);
    fact(&w, &device, SL_FIG_CANARY_PASSED, 50);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    assert_int_equal(mode(&w, "a/1"), SL_MODE_INFER);
    world_order(&w, "a/0", SL_OVERRIDE_CLEAR, SL_MODE_INVALID);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, SL_OK);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_HASH); /* the pin stays */
    assert_string_equal(newest(&w)->kind, "health.ok");
    say(&w, &device); /* the same counts: nothing new */
    assert_int_equal(world_view(&w, "a/0").health.state, SL_HEALTH_OK);
    world_fini(&w);
}

static void a_drained_device_comes_back_when_tests_have_passed(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device device = gpu("a/0");
    fact(&w, &device, SL_FIG_CANARY_PASSED, 7);
    fact(&w, &device, SL_FIG_REMAP_PENDING, 1);
    assert_int_equal(world_view(&w, "a/0").health.state, SL_HEALTH_DRAIN);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    fact(&w, &device, SL_FIG_CANARY_PASSED, 20); /* the cause still holds */
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    fact(&w, &device, SL_FIG_REMAP_PENDING, 0);
    fact(&w, &device, SL_FIG_CANARY_PASSED, 22);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    fact(&w, &device, SL_FIG_CANARY_PASSED, 23);
    assert_int_equal(world_view(&w, "a/0").health.state, SL_HEALTH_OK);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_HASH);
    assert_non_null(strstr(newest(&w)->text, "3 re-tests"));
    world_fini(&w);
}

static void a_warning_changes_nothing_but_what_people_see(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device device = gpu("a/0");
    give_xid(&w, &device, 13);
    assert_int_equal(world_view(&w, "a/0").health.state, SL_HEALTH_WARN);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_HASH);
    uint32_t events = w.store->event_count;
    say(&w, &device);
    assert_int_equal(w.store->event_count, events); /* told once */
    give_xid(&w, &device, 31);
    assert_int_equal(w.store->event_count, events + 1);
    for (int i = 0; i < 50; i++) { /* an application that does it again and again */
        give_xid(&w, &device, 31);
    }
    assert_int_equal(w.store->event_count, events + 1);
    for (int i = 0; i < 60; i++) {
        world_wait(&w, 1000);
        say(&w, &device);
    }
    give_xid(&w, &device, 31);
    assert_int_equal(w.store->event_count, events + 2);
    give_xid(&w, &device, 95); /* worse */
    assert_int_equal(world_view(&w, "a/0").health.state, SL_HEALTH_QUARANTINE);
    give_xid(&w, &device, 13); /* a lesser one does not make it better */
    assert_int_equal(world_view(&w, "a/0").health.state, SL_HEALTH_QUARANTINE);
    world_fini(&w);
}

static void a_restart_of_the_broker_remembers(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device device = gpu("a/0");
    say(&w, &device);
    give_xid(&w, &device, 79);
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    world_hello_units(&w, "a", 9, 77, &device, 1, NULL,
                      0); /* another start of the agent proves nothing */
    say(&w, &device);
    assert_int_equal(world_view(&w, "a/0").health.state, SL_HEALTH_QUARANTINE);
    assert_non_null(strstr(world_view(&w, "a/0").health.text, "79"));
    assert_int_equal(mode(&w, "a/0"), SL_MODE_IDLE);
    world_order(&w, "a/0", SL_OVERRIDE_NONE, SL_MODE_INVALID); /* resume heals, too */
    assert_int_equal(world_view(&w, "a/0").health.state, SL_HEALTH_OK);
    world_restart(&w);
    assert_int_equal(world_view(&w, "a/0").health.state, SL_HEALTH_OK);
    world_fini(&w);
}

static void too_many_quarantines_are_a_case_for_repair(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device device = gpu("a/0");
    say(&w, &device);
    for (uint32_t i = 1; i <= 3; i++) {
        give_xid(&w, &device, 79);
        assert_int_equal(world_view(&w, "a/0").health.incidents, i);
        assert_int_equal(world_view(&w, "a/0").health.rma, i == 3);
        world_order(&w, "a/0", SL_OVERRIDE_CLEAR, SL_MODE_INVALID);
    }
    world_restart(&w);
    assert_true(world_view(&w, "a/0").health.rma);
    /* After a month the count begins anew, but the mark stays. */
    w.now.wall.ms += INT64_C(31) * 86400 * 1000;
    world_hello_units(&w, "a", 9, 77, &device, 1, NULL, 0);
    give_xid(&w, &device, 79);
    assert_int_equal(world_view(&w, "a/0").health.incidents, 1);
    assert_true(world_view(&w, "a/0").health.rma);
    /* Trusting it again does not say that it was repaired; clearing it once more does. */
    world_order(&w, "a/0", SL_OVERRIDE_CLEAR, SL_MODE_INVALID);
    assert_true(world_view(&w, "a/0").health.rma);
    assert_non_null(strstr(world_view(&w, "a/0").health.way_back, "marked for repair"));
    world_order(&w, "a/0", SL_OVERRIDE_NONE, SL_MODE_INVALID); /* resumed: nothing was said */
    assert_true(world_view(&w, "a/0").health.rma);
    world_order(&w, "a/0", SL_OVERRIDE_CLEAR, SL_MODE_INVALID);
    assert_false(world_view(&w, "a/0").health.rma);
    assert_string_equal(world_view(&w, "a/0").health.way_back, "");
    world_restart(&w);
    assert_false(world_view(&w, "a/0").health.rma);
    assert_int_equal(world_view(&w, "a/0").health.incidents, 0);
    world_fini(&w);
}

static void a_gpu_on_another_bus_is_another_device_with_the_same_past(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device device = gpu("a/0");
    fact(&w, &device, SL_FIG_TEMP_MC, 70000);
    assert_int_equal(world_view(&w, "a/0").report.telemetry.figures[SL_FIG_TEMP_MC], 70000);
    world_batch(&w, "b1", "acme", 100, WORLD_BID_HIGH);
    world_running(&w, "a/0", w.now.mono.ns);
    give_xid(&w, &device, 79);
    /* The agent starts again and finds it elsewhere: the old place is lost, its lines wait. */
    struct sl_msg_device moved = gpu("pci:0000:81:00.0/" UUID);
    world_hello_units(&w, "a", 9, 77, &moved, 1, NULL, 0);
    world_report_as(&w, "a", &moved, 1, true);
    assert_string_equal(world_view(&w, "a/0").state, "lost");
    struct sl_msg_telemetry gone = world_view(&w, "a/0").report.telemetry;
    assert_false(sl_telemetry_has(&gone, SL_FIG_TEMP_MC)); /* it is not as warm as it was */
    assert_string_not_equal(gone.note, "");
    assert_int_equal(gone.figures[SL_FIG_XIDS], 1);
    struct sl_view_device view = world_view(&w, "pci:0000:81:00.0/" UUID);
    assert_int_equal(view.health.state, SL_HEALTH_QUARANTINE);
    assert_int_equal(view.health.incidents, 1);
    bool told = false;
    for (uint32_t i = 0; i < w.store->event_count && i < 64; i++) {
        told = told || (strcmp(w.store->events[i].kind, "device.moved") == 0 &&
                        strstr(w.store->events[i].text, "a/0"));
    }
    assert_true(told);
    for (int i = 0; i < 10; i++) {
        world_wait(&w, 1000);
        world_report_as(&w, "a", &moved, 1, true);
    }
    assert_int_equal(world_view_batch(&w, "b1").issued, 0);
    assert_int_equal(world_view_batch(&w, "b1").waiting, 100);
    world_order(&w, "pci:0000:81:00.0/" UUID, SL_OVERRIDE_CLEAR, SL_MODE_INVALID);
    assert_int_equal(mode(&w, "pci:0000:81:00.0/" UUID), SL_MODE_INFER);
    world_check(&w);
    world_fini(&w);
}

static void absurd_watts_are_posted_to_nobody(void **state) {
    (void)state;
    static const int64_t absurd[] = {-1, 0, 1000000000};
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
        struct world w;
        start(&w);
        struct sl_msg_device device = gpu("a/0");
        for (int mode = 1; mode < SL_MODE_COUNT; mode++) {
            device.watts[mode] = (struct sl_watts){SL_SOURCE_MEASURED, absurd[i]};
        }
        for (int s = 0; s < 40; s++) {
            world_wait(&w, 1000);
            say(&w, &device);
        }
        assert_int_equal(world_view(&w, "a/0").report.watts[SL_MODE_HASH].source,
                         SL_SOURCE_UNKNOWN);
        struct sl_view_status status;
        sl_view_status_get(w.core, w.now, &status);
        assert_false(status.money.power_complete);
        world_fini(&w);
    }
}

/* Else it would be out again with the next report, as one more quarantine. */
static void what_still_holds_cannot_be_cleared(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device device = gpu("a/0");
    fact(&w, &device, SL_FIG_LOST, 1);
    assert_int_equal(world_view(&w, "a/0").health.incidents, 1);
    world_order(&w, "a/0", SL_OVERRIDE_CLEAR, SL_MODE_INVALID);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, -SL_BADSTATE);
    assert_non_null(strstr(world_last(&w, SL_CCMD_REPLY)->text, "still holds"));
    world_order(&w, "a/0", SL_OVERRIDE_NONE, SL_MODE_INVALID);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, SL_OK);
    assert_non_null(strstr(world_last(&w, SL_CCMD_REPLY)->text, "still holds"));
    say(&w, &device);
    assert_int_equal(world_view(&w, "a/0").health.state, SL_HEALTH_QUARANTINE);
    assert_int_equal(world_view(&w, "a/0").health.incidents, 1);
    fact(&w, &device, SL_FIG_LOST, 0);
    world_order(&w, "a/0", SL_OVERRIDE_CLEAR, SL_MODE_INVALID);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, SL_OK);
    assert_int_equal(world_view(&w, "a/0").health.state, SL_HEALTH_OK);
    assert_int_equal(mode(&w, "a/0"), SL_MODE_HASH);
    world_fini(&w);
}

static void only_what_exists_can_be_cleared(void **state) {
    (void)state;
    struct world w;
    start(&w);
    world_order(&w, "nobody", SL_OVERRIDE_CLEAR, SL_MODE_INVALID);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, -SL_NOTFOUND);
    world_order(&w, "*", SL_OVERRIDE_CLEAR, SL_MODE_INVALID);
    assert_int_equal(world_last(&w, SL_CCMD_REPLY)->status, -SL_INVALID);
    assert_int_equal(w.store->override_count, 0);
    struct sl_health_row row = {.device = "nobody", .seen = "1 2 3 4"};
    assert_int_equal(sl_broker_core_restore_health(w.core, &row), -SL_CORRUPT);
    strcpy(row.device, "a/0");
    assert_int_equal(sl_broker_core_restore_health(w.core, &row), SL_OK);
    strcpy(row.seen, "1 2");
    assert_int_equal(sl_broker_core_restore_health(w.core, &row), -SL_CORRUPT);
    world_fini(&w);
}

/* A broken or hostile agent says another UUID each time: the table of them does not grow with that,
 * and those that are right are found. */
static void uuids_that_change_take_no_memory(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    world_join(&w, "a", 2);
    struct sl_core_index *index = &w.core->devices_by_uuid;
    struct sl_msg_device device;
    char uuid[sizeof device.uuid];
    world_device(&device, "a/1");
    strcpy(device.uuid, "the other one's");
    world_report_as(&w, "a", &device, 1, true);
    world_device(&device, "a/0");
    for (uint32_t i = 0; i < 3000; i++) {
        snprintf(device.uuid, sizeof device.uuid, "GPU-%u", i);
        world_report_as(&w, "a", &device, 1, true);
    }
    memcpy(uuid, device.uuid, sizeof uuid);
    assert_true(index->cap <= 256);
    assert_int_equal(sl_core_index_find(w.core, index, uuid), 0);
    assert_int_equal(sl_core_index_find(w.core, index, "GPU-5"), SL_CORE_NONE);
    assert_int_equal(sl_core_index_find(w.core, index, "the other one's"), 1);
    world_fini(&w);
}

/* ---- re-tests across a restart of the broker ---- */

static void tests_from_before_a_restart_do_not_end_a_drain(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device device = gpu("a/0");
    fact(&w, &device, SL_FIG_CANARY_PASSED, 7);
    give_xid(&w, &device, 48);
    assert_int_equal(health(&w, "a/0"), SL_HEALTH_DRAIN);
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    world_hello_units(&w, "a", 1, 77, &device, 1, NULL, 0); /* the same start of the agent */
    say(&w, &device);
    fact(&w, &device, SL_FIG_CANARY_PASSED, 9);
    assert_int_equal(health(&w, "a/0"), SL_HEALTH_DRAIN);
    fact(&w, &device, SL_FIG_CANARY_PASSED, 10);
    assert_int_equal(health(&w, "a/0"), SL_HEALTH_OK);
    world_fini(&w);
}

static void nor_those_of_a_start_in_which_the_cause_held(void **state) {
    (void)state;
    struct world w;
    start(&w);
    struct sl_msg_device device = gpu("a/0");
    fact(&w, &device, SL_FIG_REMAP_PENDING, 1);
    world_hello_units(&w, "a", 1, 78, &device, 1, NULL, 0);
    fact(&w, &device, SL_FIG_CANARY_PASSED, 20);
    world_restart(&w);
    world_price(&w, 0, WORLD_PRICE);
    fact(&w, &device, SL_FIG_REMAP_PENDING, 0);
    world_hello_units(&w, "a", 1, 78, &device, 1, NULL, 0);
    assert_int_equal(health(&w, "a/0"), SL_HEALTH_DRAIN);
    /* A new start has no tests of before: what it passes counts. */
    world_hello_units(&w, "a", 1, 79, &device, 1, NULL, 0);
    assert_int_equal(health(&w, "a/0"), SL_HEALTH_OK);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_of_driver_error_has_its_consequence),
        cmocka_unit_test(counted_facts_are_judged_once),
        cmocka_unit_test(what_holds_is_judged_while_it_holds),
        cmocka_unit_test(a_quarantined_device_gets_no_work_until_a_person_clears_it),
        cmocka_unit_test(a_drained_device_comes_back_when_tests_have_passed),
        cmocka_unit_test(a_warning_changes_nothing_but_what_people_see),
        cmocka_unit_test(a_restart_of_the_broker_remembers),
        cmocka_unit_test(too_many_quarantines_are_a_case_for_repair),
        cmocka_unit_test(a_gpu_on_another_bus_is_another_device_with_the_same_past),
        cmocka_unit_test(absurd_watts_are_posted_to_nobody),
        cmocka_unit_test(what_still_holds_cannot_be_cleared),
        cmocka_unit_test(only_what_exists_can_be_cleared),
        cmocka_unit_test(uuids_that_change_take_no_memory),
        cmocka_unit_test(tests_from_before_a_restart_do_not_end_a_drain),
        cmocka_unit_test(nor_those_of_a_start_in_which_the_cause_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
