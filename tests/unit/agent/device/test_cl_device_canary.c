/* SPDX-License-Identifier: Apache-2.0
 * A device in service gives known answers again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/device/cl_device.h"
#include "agent/executors/table.h"
#include "tests/unit/agent/device/machine.h"

static void wait_event(struct sl_mailbox *events, enum sl_device_event_kind kind,
                       struct sl_device_event *event) {
    while (sl_mailbox_take_wait(events, 120 * SL_NS_PER_S, event) == SL_OK) {
        if (event->kind == kind) {
            return;
        }
        if (event->kind == SL_DEVEV_FAILED) {
            fail_msg("%s", event->text);
        }
        sl_device_event_fini(event);
    }
    fail_msg("no event of kind %d in time", (int)kind);
}

static void it_is_tested_again_in_service(void **state) {
    (void)state;
    SL_AUTO(sl_discovery) found = machine_find(0);
    SL_AUTO(sl_mailbox) events = NULL;
    struct sl_device *device = NULL;
    struct sl_device_event event;
    struct sl_error err = {0};
    struct sl_cl_device_config config = {.factory_count = 2};
    config.factories[0] = sl_idle_factory();
    config.factories[1] = sl_hash_factory();
    assert_non_null(found);
    assert_int_equal(sl_mailbox_create(sizeof event, 256, &events, &err), SL_OK);
    assert_int_equal(sl_cl_device_create(found, 0, &config, 0, events, &device, &err), SL_OK);
    wait_event(events, SL_DEVEV_READY, &event);
    sl_device_event_fini(&event);
    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
        struct sl_device_cmd mode = {.kind = SL_DEVCMD_MODE, .epoch = epoch, .mode = SL_MODE_IDLE};
        struct sl_device_cmd again = {.kind = SL_DEVCMD_CANARY};
        assert_int_equal(sl_device_post(device, &mode), SL_OK);
        wait_event(events, SL_DEVEV_STARTED, &event);
        assert_int_equal(sl_device_post(device, &again), SL_OK);
        wait_event(events, SL_DEVEV_CANARY, &event);
        assert_string_equal(event.text, "");
    }
    sl_device_destroy(device);
    while (sl_mailbox_take(events, &event)) {
        sl_device_event_fini(&event);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_tested_again_in_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
