/* SPDX-License-Identifier: Apache-2.0
 * A directive that is announced: the device stops at once and obeys nothing; the directive finds it
 * standing, or it goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/agent/core/rig.h"

/* Under a lease of epoch 3, or in the safe mode. */
static void start_hashing(struct rig *rig, bool leased) {
    rig_start(rig, &(struct rig_options){.devices = 2});
    rig_up(rig);
    if (leased) {
        rig_direct(rig, 0, 3, SL_MODE_HASH, 60000);
    }
    rig_run_ms(rig, 200);
    assert_string_equal(rig_device(rig, 0).state, leased ? "leased" : "safe");
    rig_forget(rig);
}

static uint32_t count_halts(struct rig *rig) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < rig->trace_count; i++) {
        n += rig->trace[i].kind == SL_AGENT_HALT;
    }
    return n;
}

static void the_device_stands_when_the_directive_comes(void **state) {
    (void)state;
    for (int leased = 0; leased < 2; leased++) {
        static struct rig rig;
        struct sl_msg msg;
        start_hashing(&rig, leased);
        rig_ahead(&rig, 0, 5, SL_MODE_INFER);
        assert_int_equal(count_halts(&rig), 1);
        rig_run_ms(&rig, 10);
        /* Not obeyed: nothing is stored, acknowledged or begun. */
        assert_int_equal(rig_find(&rig, SL_AGENT_JOURNAL, 0, 0, 0), -1);
        assert_int_equal(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, 0, 0), -1);
        assert_false(rig_message(&rig, SL_MSG_ACK, -1, &msg));
        assert_string_equal(rig_device(&rig, 0).state, leased ? "leased" : "safe");
        assert_int_equal(rig_device(&rig, 0).epoch_max, leased ? 3 : 0);
        rig_direct(&rig, 0, 5, SL_MODE_INFER, 60000);
        rig_run_ms(&rig, 10);
        assert_int_equal(count_halts(&rig), 1);
        assert_string_equal(rig_device(&rig, 0).state, "leased");
        assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
        assert_int_equal(msg.ack.outcome, SL_ACK_RUNNING);
        assert_int_equal(msg.ack.halted_us, 0);
        assert_true(msg.ack.halted_ns > 0 && msg.ack.halted_ns < msg.ack.received_ns);
        rig_run_ms(&rig, 100);
        assert_int_equal(rig_device(&rig, 0).epoch, 5); /* the advice is used up */
        rig_stop(&rig);
    }
}

/* The halt is on its way still when the directive comes. */
static void a_slow_halt_is_not_asked_for_twice(void **state) {
    (void)state;
    static struct rig rig;
    struct rig_options options = {0};
    struct sl_msg msg;
    options.script.halt_us = 15000;
    rig_start(&rig, &options);
    rig_up(&rig);
    rig_run_ms(&rig, 200);
    rig_forget(&rig);
    rig_ahead(&rig, 0, 5, SL_MODE_INFER);
    rig_run_ms(&rig, 5);
    rig_direct(&rig, 0, 5, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 40);
    assert_int_equal(count_halts(&rig), 1);
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_in_range(msg.ack.halted_us, 9000, 11000);
    rig_stop(&rig);
}

static void without_the_directive_work_goes_on(void **state) {
    (void)state;
    for (int leased = 0; leased < 2; leased++) {
        static struct rig rig;
        start_hashing(&rig, leased);
        rig_ahead(&rig, 0, 5, SL_MODE_INFER);
        rig_run_ms(&rig, 20);
        rig_ahead(&rig, 0, 6, SL_MODE_INFER); /* more advice does not keep it from working longer */
        assert_int_equal(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, 0, 0), -1);
        rig_run_ms(&rig, 11);
        assert_int_equal(count_halts(&rig), 1);
        assert_true(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_HASH, leased ? 3 : 0) >=
                    0);
        assert_string_equal(rig_device(&rig, 0).state, leased ? "leased" : "safe");
        assert_int_equal(rig_find(&rig, SL_AGENT_JOURNAL, 0, 0, 0), -1);
        rig_run_ms(&rig, 100);
        /* Late, it is obeyed as ever. */
        rig_direct(&rig, 0, 5, SL_MODE_INFER, 60000);
        rig_run_ms(&rig, 10);
        assert_int_equal(count_halts(&rig), 2);
        assert_int_equal(rig_device(&rig, 0).epoch, 5);
        assert_int_equal(rig_device(&rig, 0).edges_refused, 0);
        rig_stop(&rig);
    }
}

/* Another one than announced: of the mode that stands, and one that is refused. */
static void another_directive_starts_the_device_again(void **state) {
    (void)state;
    static struct rig rig;
    start_hashing(&rig, true);
    rig_ahead(&rig, 0, 5, SL_MODE_INFER);
    rig_run_ms(&rig, 5);
    rig_direct(&rig, 0, 6, SL_MODE_HASH, 60000);
    rig_run_ms(&rig, 10);
    assert_true(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_HASH, 6) >= 0);
    assert_string_equal(rig_device(&rig, 0).state, "leased");
    rig_forget(&rig);
    rig_ahead(&rig, 0, 7, SL_MODE_IDLE);
    rig_direct(&rig, 0, 4, SL_MODE_IDLE, 60000); /* over */
    rig_run_ms(&rig, 40);
    assert_true(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_HASH, 6) >= 0);
    rig_stop(&rig);
}

static void what_need_not_stop_is_left_alone(void **state) {
    (void)state;
    static struct rig rig;
    start_hashing(&rig, true);
    rig_ahead(&rig, 0, 5, SL_MODE_HASH); /* it hashes */
    rig_direct(&rig, 1, 5, SL_MODE_IDLE, 60000);
    rig_run_ms(&rig, 20);
    rig_forget(&rig);
    rig_ahead(&rig, 1, 6, SL_MODE_INFER); /* it idles */
    rig.disk_waits = true;
    rig_direct(&rig, 0, 6, SL_MODE_INFER, 60000);
    rig_forget(&rig);
    rig_ahead(&rig, 0, 7, SL_MODE_HASH); /* it stands */
    assert_int_equal(count_halts(&rig), 0);
    rig_sync(&rig);
    rig_run_ms(&rig, 100);
    assert_int_equal(rig_device(&rig, 0).epoch, 6);
    rig_stop(&rig);
}

/* What ends the lease meanwhile starts the safe mode, not the lease's work again. */
static void a_lease_that_ends_meanwhile_has_ended(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_direct(&rig, 0, 3, SL_MODE_INFER, 1000);
    rig_run_ms(&rig, 990);
    rig_forget(&rig);
    rig_ahead(&rig, 0, 4, SL_MODE_HASH);
    rig_run_ms(&rig, 60);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    assert_true(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_HASH, 3) >= 0);
    assert_int_equal(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_INFER, 3), -1);
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_stands_when_the_directive_comes),
        cmocka_unit_test(a_slow_halt_is_not_asked_for_twice),
        cmocka_unit_test(without_the_directive_work_goes_on),
        cmocka_unit_test(another_directive_starts_the_device_again),
        cmocka_unit_test(what_need_not_stop_is_left_alone),
        cmocka_unit_test(a_lease_that_ends_meanwhile_has_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
