/* SPDX-License-Identifier: Apache-2.0
 * What frees a command or event frees what moved with it (the address sanitizer counts). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "agent/device/device.h"

static void a_command_takes_its_contents_along(void **state) {
    static const uint8_t part[64] = {0};
    struct sl_job draft = {.serial = 1,
                           .id = "j",
                           .coinb1 = part,
                           .coinb1_size = 64,
                           .coinb2 = part,
                           .coinb2_size = 8,
                           .terms = {.extranonce2_size = 4}};
    struct sl_device_cmd cmd = {.kind = SL_DEVCMD_JOB};
    (void)state;
    assert_int_equal(sl_difficulty_from_int(1, &draft.terms.difficulty, NULL), SL_OK);
    assert_int_equal(sl_job_create(&draft, &cmd.job, NULL), SL_OK);
    cmd.unit = calloc(1, sizeof *cmd.unit);
    sl_device_cmd_fini(&cmd);
    assert_null(cmd.job);
    assert_null(cmd.unit);
    assert_int_equal(cmd.kind, SL_DEVCMD_INVALID);
    sl_device_cmd_fini(&cmd); /* twice is harmless */
}

static void an_event_takes_its_contents_along(void **state) {
    struct sl_device_event line = {.kind = SL_DEVEV_LINE};
    struct sl_device_event ready = {.kind = SL_DEVEV_READY};
    struct sl_device_event failed = {.kind = SL_DEVEV_FAILED, .text = "text, not a pointer"};
    (void)state;
    line.line.vector = malloc(16);
    ready.report = calloc(1, sizeof *ready.report);
    sl_device_event_fini(&line);
    sl_device_event_fini(&ready);
    sl_device_event_fini(&failed);
    assert_int_equal(line.kind, SL_DEVEV_INVALID);
    assert_null(ready.report);
    sl_device_event_fini(&ready);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_takes_its_contents_along),
        cmocka_unit_test(an_event_takes_its_contents_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
