/* SPDX-License-Identifier: Apache-2.0
 * Readings of sensors in reports, power by mode, re-tests on a schedule and in doubt, and what a
 * device stops by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/unit/agent/core/rig.h"

static struct sl_msg_telemetry power(int64_t mw) {
    struct sl_msg_telemetry t = {.source = SL_TELEMETRY_NVML};
    sl_telemetry_set(&t, SL_FIG_POWER_MW, mw);
    sl_telemetry_set(&t, SL_FIG_LOST, 0);
    return t;
}

static void tell(struct rig *rig, const struct sl_msg_telemetry *t) {
    sl_agent_telemetry(rig->core, rig->now, 0, t);
    rig_pump(rig);
    rig_run_ms(rig, 1000);
    rig_ping(rig);
}

static struct sl_msg_device reported(struct rig *rig) {
    struct sl_msg msg;
    rig_run_ms(rig, 1100);
    assert_true(rig_message(rig, SL_MSG_REPORT, -1, &msg));
    return msg.report.devices[0];
}

static uint32_t tests_asked(const struct rig *rig) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig->trace_count; i++) {
        count += rig->trace[i].kind == SL_AGENT_POST && rig->trace[i].post == SL_DEVCMD_CANARY;
    }
    return count;
}

static void power_belongs_to_the_mode_that_has_settled(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    struct sl_msg_telemetry t = power(250000);
    tell(&rig, &t);
    assert_int_equal(reported(&rig).watts[SL_MODE_HASH].source, SL_SOURCE_UNKNOWN);
    for (int i = 0; i < 3; i++) {
        tell(&rig, &t);
    }
    struct sl_msg_device device = reported(&rig);
    assert_int_equal(device.watts[SL_MODE_HASH].source, SL_SOURCE_MEASURED);
    assert_int_equal(device.watts[SL_MODE_HASH].mw, 250000);
    assert_int_equal(device.watts[SL_MODE_IDLE].source, SL_SOURCE_UNKNOWN);
    assert_int_equal(device.telemetry.figures[SL_FIG_POWER_MW], 250000);
    /* A sensor that says nothing, or nonsense, takes it back. */
    static const int64_t absurd[] = {-1, 0, 1000000000};
    for (size_t i = 0; i < 3; i++) {
        struct sl_msg_telemetry bad = power(absurd[i]);
        tell(&rig, &bad);
        device = reported(&rig);
        assert_int_equal(device.watts[SL_MODE_HASH].source, SL_SOURCE_UNKNOWN);
        assert_false(sl_telemetry_has(&device.telemetry, SL_FIG_POWER_MW));
        for (int k = 0; k < 4; k++) {
            tell(&rig, &t);
        }
        assert_int_equal(reported(&rig).watts[SL_MODE_HASH].mw, 250000);
    }
    sl_agent_telemetry(rig.core, rig.now, 99, &t); /* no such device: nothing happens */
    rig_stop(&rig);
}

static void devices_are_tested_again_on_a_schedule_and_in_doubt(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){.canary_ms = 600000});
    rig_up(&rig);
    rig_forget(&rig);
    for (int s = 0; s < 60; s++) {
        rig_run_ms(&rig, 1000);
        rig_ping(&rig);
    }
    assert_int_equal(tests_asked(&rig), 6); /* after a start */
    assert_int_equal(reported(&rig).telemetry.figures[SL_FIG_CANARY_PASSED], 6);
    rig_forget(&rig);
    for (int s = 0; s < 700; s++) {
        rig_run_ms(&rig, 1000);
        rig_ping(&rig);
    }
    assert_int_equal(tests_asked(&rig), 1); /* in ten minutes */
    rig_forget(&rig);
    struct sl_msg_telemetry t = power(1000);
    sl_telemetry_set(&t, SL_FIG_XIDS, 1);
    for (int i = 0; i < 40; i++) {
        tell(&rig, &t);
    }
    assert_int_equal(tests_asked(&rig), 6);
    rig_stop(&rig);
}

static void switched_off_nothing_is_tested(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    struct sl_msg_telemetry t = power(1000);
    sl_telemetry_set(&t, SL_FIG_XIDS, 1);
    tell(&rig, &t);
    rig_run_ms(&rig, 60000);
    assert_int_equal(tests_asked(&rig), 0);
    rig_stop(&rig);
}

static void a_wrong_answer_stops_even_the_safe_mode(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){.canary_ms = 600000});
    rig_up(&rig);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_HASH);
    sl_fake_device_fail(rig.devices[0], SL_FAKE_BAD_VECTOR);
    for (int i = 0; i < 8; i++) {
        rig_run_ms(&rig, 1000);
        rig_ping(&rig);
    }
    struct sl_msg_device device = reported(&rig);
    assert_int_equal(device.telemetry.figures[SL_FIG_CANARY_FAILED] > 0, 1);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    assert_non_null(strstr(rig.last_error, "known answer"));
    sl_fake_device_fail(rig.devices[0], SL_FAKE_OK);
    for (int i = 0; i < 8; i++) {
        rig_run_ms(&rig, 1000);
        rig_ping(&rig);
    }
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_HASH); /* fit again; the broker may differ */
    rig_stop(&rig);
}

/* Going in and out of fitness must not begin the safe mode's time again. */
static void doubts_do_not_lengthen_the_safe_mode(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){.canary_ms = 1000, .safe_mode_max_ms = 20000});
    rig_up(&rig);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    for (int i = 0; i < 25; i++) { /* and nothing is heard of the broker */
        sl_fake_device_fail(rig.devices[0], i % 4 < 2 ? SL_FAKE_WRONG : SL_FAKE_OK);
        rig_run_ms(&rig, 1000);
    }
    assert_non_null(strstr(rig.last_error, "known answer"));
    assert_string_equal(rig_device(&rig, 0).state, "resting");
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    rig_stop(&rig);
}

static void a_lost_gpu_does_nothing_until_it_is_back_and_tested(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){.canary_ms = 600000});
    rig_up(&rig);
    struct sl_msg_telemetry gone = {.source = SL_TELEMETRY_NVML, .note = "fallen off"};
    sl_telemetry_set(&gone, SL_FIG_LOST, 1);
    tell(&rig, &gone);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    assert_int_equal(reported(&rig).telemetry.figures[SL_FIG_LOST], 1);
    struct sl_msg_telemetry t = power(1000);
    for (int i = 0; i < 3; i++) {
        tell(&rig, &t);
    }
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_HASH);
    rig_stop(&rig);
}

/* With `canary: 0` no test comes that could say so: its driver's word counts. */
static void without_tests_a_lost_gpu_is_fit_when_it_is_back(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    struct sl_msg_telemetry gone = {.source = SL_TELEMETRY_NVML, .note = "fallen off"};
    sl_telemetry_set(&gone, SL_FIG_LOST, 1);
    tell(&rig, &gone);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    struct sl_msg_telemetry t = power(1000);
    for (int i = 0; i < 3; i++) {
        tell(&rig, &t);
    }
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_HASH);
    assert_int_equal(tests_asked(&rig), 0);
    rig_stop(&rig);
}

static void a_hung_device_is_told_as_such(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    assert_int_equal(reported(&rig).telemetry.figures[SL_FIG_HUNG], 0);
    sl_fake_device_fail(rig.devices[0], SL_FAKE_HANG);
    for (int i = 0; i < 15; i++) {
        rig_run_ms(&rig, 1000);
        rig_ping(&rig);
    }
    assert_int_equal(reported(&rig).telemetry.figures[SL_FIG_HUNG], 1);
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_belongs_to_the_mode_that_has_settled),
        cmocka_unit_test(devices_are_tested_again_on_a_schedule_and_in_doubt),
        cmocka_unit_test(switched_off_nothing_is_tested),
        cmocka_unit_test(a_wrong_answer_stops_even_the_safe_mode),
        cmocka_unit_test(doubts_do_not_lengthen_the_safe_mode),
        cmocka_unit_test(a_lost_gpu_does_nothing_until_it_is_back_and_tested),
        cmocka_unit_test(without_tests_a_lost_gpu_is_fit_when_it_is_back),
        cmocka_unit_test(a_hung_device_is_told_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
