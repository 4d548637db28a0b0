/* SPDX-License-Identifier: Apache-2.0
 * The two tables, walked over the whole product of states and events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void test_sessions(void **state) {
    (void)state;
    for (int s = 0; s < SL_SESSION_STATES; s++) {
        for (int e = 1; e < SL_SEV_END; e++) {
            enum sl_session_state next =
                sl_session_next((enum sl_session_state)s, (enum sl_session_event)e);
            assert_in_range(next, 0, SL_SESSION_STATES - 1);
            if (s == SL_SESSION_QUARANTINED) {
                assert_int_equal(next, e == SL_SEV_RESUMED ? SL_SESSION_LOST : 0);
            }
            if (next == SL_SESSION_LIVE) {
                assert_true(e == SL_SEV_WELCOMED || e == SL_SEV_HEARD);
            }
            if (next == SL_SESSION_SUSPECT) {
                assert_true(s == SL_SESSION_LIVE && e == SL_SEV_QUIET);
            }
            if (s == SL_SESSION_LOST && next != 0) {
                assert_true(e == SL_SEV_HELLO || e == SL_SEV_DUPLICATE);
            }
        }
    }
}

static void test_devices(void **state) {
    (void)state;
    for (int s = 0; s < SL_DEVICE_STATES; s++) {
        for (int e = 1; e < SL_DEV_END; e++) {
            enum sl_core_device_state next =
                sl_device_next((enum sl_core_device_state)s, (enum sl_core_device_event)e);
            assert_in_range(next, 0, SL_DEVICE_STATES - 1);
            if (s == SL_DEVICE_UNPROVEN && next != 0) {
                /* Leaves by a good self-test only, or with its node. */
                assert_true(next == SL_DEVICE_UNPROVEN ||
                            (e == SL_DEV_OFFERED && next == SL_DEVICE_IDLE) ||
                            (e == SL_DEV_GONE && next == SL_DEVICE_LOST));
            }
            if (s == SL_DEVICE_FAULTY) {
                assert_int_equal(next, e == SL_DEV_RETEST ? SL_DEVICE_UNPROVEN : SL_DEVICE_FAULTY);
            }
            if (s == SL_DEVICE_LOST && next != 0 && next != SL_DEVICE_LOST) {
                assert_int_equal(e, SL_DEV_BACK);
            }
            if (next == SL_DEVICE_DRAINING && s != SL_DEVICE_DRAINING) {
                assert_true(e == SL_DEV_DRAIN && (s == SL_DEVICE_HASHING || s == SL_DEVICE_LEASED));
            }
        }
    }
}

static void test_unlisted_is_counted(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_hello(&w, "a", 1, 5, 1);
    uint64_t before = w.core->edges_refused;
    assert_false(sl_core_session_step(w.core, 0, SL_SEV_RESUMED));
    assert_int_equal(w.core->nodes[0].state, SL_SESSION_LIVE);
    assert_int_equal(w.core->edges_refused, before + 1);
    world_fini(&w);
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(sl_session_state_name(SL_SESSION_QUARANTINED), "quarantined");
    assert_string_equal(sl_session_state_name((enum sl_session_state)77), "invalid");
    assert_string_equal(sl_core_device_state_name(SL_DEVICE_DRAINING), "draining");
    assert_string_equal(sl_core_device_state_name((enum sl_core_device_state)77), "invalid");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_unlisted_is_counted),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
