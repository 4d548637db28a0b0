/* SPDX-License-Identifier: Apache-2.0
 * The spool: a result is sent at once, kept until acknowledged, sent again under its own id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/agent/core/rig.h"

static struct rig *working_rig(void) {
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 3600000);
    rig_run_ms(&rig, 20);
    rig_forget(&rig);
    return &rig;
}

static uint64_t spooled(const struct rig *rig) {
    struct sl_agent_view view;
    sl_agent_get(rig->core, &view);
    return view.results_spooled;
}

static void sent_without_waiting_for_our_disk_forgotten_when_acknowledged(void **state) {
    (void)state;
    struct rig *rig = working_rig();
    rig->disk_waits = true;
    rig_unit(rig, 0, 1, 5, 2);
    rig_run_ms(rig, 50);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_RESULT, 0, &msg));
    uint64_t id = msg.result.result_id;
    assert_true(id > 0);
    rig->disk_waits = false;
    rig_sync(rig);
    assert_int_equal(rig_on_disk(rig, SL_JOURNAL_RESULT), 1);
    assert_int_equal(spooled(rig), 1);
    uint64_t ids[] = {id + 1000, id};
    rig_ack(rig, ids, 2, NULL, 0);
    assert_int_equal(spooled(rig), 0);
    assert_int_equal(rig_on_disk(rig, SL_JOURNAL_RESULT), 0);
    rig_ack(rig, ids, 2, NULL, 0); /* a repeat harms nobody */
    rig_stop(rig);
}

static void sent_again_after_five_seconds_under_the_same_id(void **state) {
    (void)state;
    struct rig *rig = working_rig();
    rig_unit(rig, 0, 1, 5, 2);
    rig_run_ms(rig, 50);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_RESULT, 0, &msg));
    uint64_t id = msg.result.result_id;
    rig_forget(rig);
    for (int i = 0; i < 4; i++) {
        rig_ping(rig);
        rig_run_ms(rig, 1000);
    }
    assert_int_equal(rig_count(rig, SL_MSG_RESULT), 0);
    for (int i = 0; i < 3; i++) {
        rig_ping(rig);
        rig_run_ms(rig, 1000);
    }
    assert_true(rig_message(rig, SL_MSG_RESULT, 0, &msg));
    assert_int_equal(msg.result.result_id, id);
    assert_int_equal(msg.result.line_count, 2);
    assert_in_range(msg.result.age_ms, 5000, 7000);
    rig_stop(rig);
}

static void broker_away_results_wait_and_come_with_the_next_session(void **state) {
    (void)state;
    struct rig *rig = working_rig();
    rig->link_down = true;
    rig_unit(rig, 0, 1, 5, 2);
    rig_run_ms(rig, 30000);
    assert_int_equal(spooled(rig), 1);
    rig_forget(rig);
    rig->link_down = false;
    rig_welcome(rig);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_RESULT, 0, &msg));
    assert_int_equal(msg.session, rig->session);
    assert_in_range(msg.result.age_ms, 29000, 30100);
    rig_stop(rig);
}

static void a_crash_loses_nothing_that_was_durable(void **state) {
    (void)state;
    struct rig *rig = working_rig();
    rig->link_down = true;
    rig_unit(rig, 0, 1, 5, 3);
    rig_run_ms(rig, 50);
    rig_crash(rig);
    rig->link_down = false;
    assert_int_equal(spooled(rig), 1);
    rig_welcome(rig);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_RESULT, 0, &msg));
    uint64_t old = msg.result.result_id;
    assert_int_equal(msg.result.unit_id, 5);
    assert_int_equal(msg.result.line_count, 3);
    assert_int_equal(msg.result.lines[2].vectors[0].dim, 4);
    assert_in_range(msg.result.age_ms, 900, 1200);
    /* Ids of the new process never meet those of the old one. */
    rig_run_ms(rig, 20);
    rig_direct(rig, 0, 2, SL_MODE_INFER, 60000);
    rig_run_ms(rig, 20);
    rig_unit(rig, 0, 2, 6, 1);
    rig_run_ms(rig, 50);
    assert_true(rig_message(rig, SL_MSG_RESULT, -1, &msg));
    assert_true(msg.result.result_id > old);
    assert_int_equal(msg.result.result_id >> 32, (old >> 32) + 1);
    rig_stop(rig);
}

static void a_large_spool_is_sent_through_a_window(void **state) {
    (void)state;
    static struct rig rig;
    struct rig_options options = {0};
    options.script.dim = 4096; /* 16 KiB a line, 1 MiB a unit */
    rig_start(&rig, &options);
    rig_up(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 3600000);
    rig_run_ms(&rig, 20);
    rig.link_down = true;
    for (uint64_t id = 1; id <= 20; id++) {
        rig_unit(&rig, 0, 1, id, 64);
        rig_run_ms(&rig, 20);
    }
    rig_run_ms(&rig, 6000);
    rig_forget(&rig);
    rig.link_down = false;
    uint64_t all = spooled(&rig);
    assert_true(all >= 20);
    rig_welcome(&rig);
    uint32_t first = rig_count(&rig, SL_MSG_RESULT);
    assert_true(first >= 6 && first <= 10);
    while (spooled(&rig) > 0) {
        struct sl_msg msg;
        assert_true(rig_message(&rig, SL_MSG_RESULT, 0, &msg));
        uint64_t ids[64];
        uint32_t n = 0;
        for (int i = 0; n < 64 && rig_message(&rig, SL_MSG_RESULT, i, &msg); i++) {
            ids[n++] = msg.result.result_id;
        }
        rig_forget(&rig);
        rig_ack(&rig, ids, n, NULL, 0);
    }
    assert_int_equal(rig_on_disk(&rig, SL_JOURNAL_RESULT), 0);
    rig_stop(&rig);
}

static void damage_in_the_journal_is_refused(void **state) {
    (void)state;
    struct rig *rig = working_rig();
    struct sl_agent_config config = {.node = "x", .safe_mode = SL_MODE_IDLE};
    struct sl_agent_core *core = NULL;
    assert_int_equal(sl_agent_core_create(&config, &core, NULL), 0);
    struct sl_error err;
    uint8_t key[8] = {1};
    assert_int_equal(
        sl_agent_replay(core, rig->now, SL_JOURNAL_RESULT, key, 8, "garbage garbage", 15, &err),
        -SL_CORRUPT);
    assert_int_equal(sl_agent_replay(core, rig->now, SL_JOURNAL_RESULT, key, 7, "", 0, &err),
                     -SL_CORRUPT);
    assert_int_equal(sl_agent_replay(core, rig->now, SL_JOURNAL_SHARE, key, 8, "x", 1, &err),
                     -SL_CORRUPT);
    assert_int_equal(sl_agent_replay(core, rig->now, SL_JOURNAL_EPOCH, "k", 1, "x", 1, &err),
                     -SL_CORRUPT);
    assert_int_equal(sl_agent_replay(core, rig->now, SL_JOURNAL_NODE, "k", 1, "x", 1, &err),
                     -SL_CORRUPT);
    sl_agent_core_destroy(core);
    rig_stop(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sent_without_waiting_for_our_disk_forgotten_when_acknowledged),
        cmocka_unit_test(sent_again_after_five_seconds_under_the_same_id),
        cmocka_unit_test(broker_away_results_wait_and_come_with_the_next_session),
        cmocka_unit_test(a_crash_loses_nothing_that_was_durable),
        cmocka_unit_test(a_large_spool_is_sent_through_a_window),
        cmocka_unit_test(damage_in_the_journal_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
