/* SPDX-License-Identifier: Apache-2.0
 * What a device's mailbox had no room for: in order, and of jobs the newest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/shell/held.h"
#include "agent/stratum/work.h"

/* serial 0: no work. The leak checker sees whether all jobs are freed. */
static bool keep_job(struct sl_held_posts *held, uint64_t serial, bool clean) {
    static const uint8_t coinbase[60];
    struct sl_device_cmd cmd = {.kind = SL_DEVCMD_JOB};
    struct sl_job draft = {.serial = serial,
                           .clean = clean,
                           .id = "j",
                           .terms = {.difficulty = {1, 0}, .extranonce2_size = 4},
                           .coinb1 = coinbase,
                           .coinb1_size = sizeof coinbase};
    if (serial) {
        assert_int_equal(sl_job_create(&draft, &cmd.job, NULL), SL_OK);
    }
    bool more = sl_held_keep(held, &cmd);
    assert_null(cmd.job);
    return more;
}

static bool keep_mode(struct sl_held_posts *held, uint64_t epoch) {
    struct sl_device_cmd cmd = {.kind = SL_DEVCMD_MODE, .mode = SL_MODE_IDLE, .epoch = epoch};
    return sl_held_keep(held, &cmd);
}

static uint64_t take_mode(struct sl_held_posts *held) {
    assert_non_null(held->first);
    assert_int_equal(held->first->cmd.kind, SL_DEVCMD_MODE);
    uint64_t epoch = held->first->cmd.epoch;
    sl_held_drop_first(held);
    return epoch;
}

static void they_come_out_in_order(void **state) {
    (void)state;
    struct sl_held_posts held = {0};
    for (int round = 0; round < 2; round++) { /* and again, once it was empty */
        assert_true(keep_mode(&held, 1));
        assert_true(keep_mode(&held, 2));
        assert_int_equal(take_mode(&held), 1);
        assert_true(keep_mode(&held, 3));
        assert_int_equal(take_mode(&held), 2);
        assert_int_equal(take_mode(&held), 3);
        assert_null(held.first);
    }
}

/* A pool sends them as fast as it can, and the device is busy. */
static void many_jobs_take_one_place(void **state) {
    (void)state;
    struct sl_held_posts held = {0};
    keep_mode(&held, 1);
    assert_true(keep_job(&held, 1, true));
    keep_mode(&held, 2);
    for (uint64_t serial = 2; serial < 1000; serial++) {
        assert_false(keep_job(&held, serial, false));
    }
    assert_int_equal(take_mode(&held), 1);
    assert_int_equal(held.first->cmd.job->serial, 999);
    assert_true(held.first->cmd.job->clean); /* the first one ended all older work */
    sl_held_drop_first(&held);
    assert_int_equal(take_mode(&held), 2);
    assert_null(held.first);
}

static void no_work_is_a_job_too(void **state) {
    (void)state;
    struct sl_held_posts held = {0};
    assert_true(keep_job(&held, 1, false));
    assert_false(keep_job(&held, 2, false));
    assert_false(held.first->cmd.job->clean);
    assert_false(keep_job(&held, 0, false));
    assert_null(held.first->cmd.job);
    assert_false(keep_job(&held, 3, false));
    assert_true(held.first->cmd.job->clean); /* older work had been ended */
    sl_held_drop_first(&held);
    assert_null(held.first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_come_out_in_order),
        cmocka_unit_test(many_jobs_take_one_place),
        cmocka_unit_test(no_work_is_a_job_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
