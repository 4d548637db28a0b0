/* SPDX-License-Identifier: Apache-2.0
 * Session, start and stop of the core. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/unit/agent/core/rig.h"

static bool live(const struct rig *rig) {
    struct sl_agent_view view;
    sl_agent_get(rig->core, &view);
    return view.live;
}

static void hello_waits_for_the_start_to_be_durable(void **state) {
    (void)state;
    static struct rig rig;
    memset(&rig, 0, sizeof rig);
    rig_start(&rig, &(struct rig_options){.devices = 2});
    struct sl_msg msg;
    int store = rig_find(&rig, SL_AGENT_JOURNAL, 0, 0, 0);
    int hello = rig_find(&rig, SL_AGENT_SEND, 0, 0, 0);
    assert_true(store >= 0 && hello > store);
    assert_true(rig_message(&rig, SL_MSG_HELLO, 0, &msg));
    assert_int_equal(msg.session, 0);
    assert_string_equal(msg.hello.node, "rig");
    assert_int_equal(msg.hello.device_count, 2);
    assert_string_equal(msg.hello.devices[1].key, "rig/fake/1");
    assert_true(msg.hello.devices[0].health[0] != '\0'); /* not measured yet, so not offered */
    assert_int_equal(msg.hello.unit_count, 0);
    rig_stop(&rig);
}

static void hello_is_repeated_with_growing_pauses_until_welcome(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_run_ms(&rig, 60000);
    uint32_t hellos = rig_count(&rig, SL_MSG_HELLO);
    assert_true(hellos >= 30 && hellos <= 66);
    int64_t last_ns = 0;
    int64_t widest_ns = 0;
    for (uint32_t i = 0; i < rig.trace_count; i++) {
        if (rig.trace[i].kind == SL_AGENT_SEND) {
            int64_t gap = last_ns ? rig.trace[i].at_ns - last_ns : 0;
            widest_ns = gap > widest_ns ? gap : widest_ns;
            last_ns = rig.trace[i].at_ns;
        }
    }
    assert_in_range(widest_ns, 1 * SL_NS_PER_S, 2 * SL_NS_PER_S);
    assert_false(live(&rig));
    rig_forget(&rig);
    rig_welcome(&rig);
    assert_true(live(&rig));
    rig_run_ms(&rig, 100);
    assert_int_equal(rig_count(&rig, SL_MSG_HELLO), 0);
    rig_stop(&rig);
}

static void reports_every_second_and_on_change(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_forget(&rig);
    for (int i = 0; i < 10; i++) {
        rig_ping(&rig);
        rig_run_ms(&rig, 1000);
    }
    assert_in_range(rig_count(&rig, SL_MSG_REPORT), 9, 11);
    rig_forget(&rig);
    rig_run_ms(&rig, 300);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 2);
    struct sl_msg msg;
    assert_true(rig_message(&rig, SL_MSG_REPORT, 0, &msg));
    assert_int_equal(msg.report.devices[0].mode, SL_MODE_INFER);
    assert_int_equal(msg.report.devices[0].epoch, 1);
    assert_int_equal(msg.report.devices[0].epoch_max, 1);
    assert_false(msg.report.devices[0].safe);
    assert_int_equal(msg.report.devices[0].hash_rate_hs, 1000000);
    assert_int_equal(msg.report.devices[0].model_count, 1);
    /* Rated where nothing is measured; unknown where nothing is rated either. */
    assert_int_equal(msg.report.devices[0].watts[SL_MODE_INFER].source, SL_SOURCE_RATED);
    assert_int_equal(msg.report.devices[0].watts[SL_MODE_INFER].mw, 65000);
    assert_int_equal(msg.report.devices[0].watts[SL_MODE_HASH].source, SL_SOURCE_UNKNOWN);
    assert_string_equal(msg.report.pool.url, "stratum+tcp://pool.test:3333");
    rig_stop(&rig);
}

static void silence_of_five_seconds_asks_for_a_new_session(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_forget(&rig);
    rig_run_ms(&rig, 4900);
    assert_int_equal(rig_count(&rig, SL_MSG_HELLO), 0);
    rig_run_ms(&rig, 200);
    assert_int_equal(rig_count(&rig, SL_MSG_HELLO), 1);
    assert_false(live(&rig));
    rig_welcome(&rig);
    assert_true(live(&rig));
    rig_stop(&rig);
}

static void a_strange_session_is_ignored(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    uint64_t session = rig.session;
    rig.session = session + 17;
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 60000);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    rig.session = session;
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 20);
    assert_string_equal(rig_device(&rig, 0).state, "leased");
    rig_stop(&rig);
}

static void goodbye(struct rig *rig, bool retry) {
    struct sl_msg msg = {.kind = SL_MSG_GOODBYE};
    strcpy(msg.goodbye.reason, "two agents with one key");
    msg.goodbye.retry = retry;
    rig_send(rig, &msg);
}

static void goodbye_without_return_is_logged_and_asked_again_slowly(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_forget(&rig);
    goodbye(&rig, false);
    assert_non_null(strstr(rig.last_error, "two agents with one key"));
    assert_false(live(&rig));
    rig_run_ms(&rig, 59000);
    assert_int_equal(rig_count(&rig, SL_MSG_HELLO), 0);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    rig_run_ms(&rig, 12000);
    assert_int_equal(rig_count(&rig, SL_MSG_HELLO), 1);
    rig_welcome(&rig);
    assert_true(live(&rig));
    goodbye(&rig, true);
    rig_forget(&rig);
    rig_run_ms(&rig, 1000);
    assert_true(rig_count(&rig, SL_MSG_HELLO) >= 1);
    rig_stop(&rig);
}

static void the_last_safe_mode_survives_a_restart(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_run_ms(&rig, 20);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_HASH);
    rig.options.safe_mode = SL_MODE_IDLE;
    rig_welcome(&rig);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    rig.options.safe_mode = SL_MODE_HASH; /* what the config says */
    rig_crash(&rig);
    rig_run_ms(&rig, 20);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    rig_stop(&rig);
}

/* The broker is of another version and says so in it: it is greeted in that, and then in ours
 * again. That no version but one exists yet stops the first of these hellos in the encoder. */
static void a_broker_of_another_version_is_greeted_in_it_first(void **state) {
    (void)state;
    static struct rig rig;
    struct rig_options options = {.devices = 1};
    rig_start(&rig, &options);
    rig_run_ms(&rig, 20);
    assert_int_equal(rig_count(&rig, SL_MSG_HELLO), 1);
    struct sl_msg bye = {.version = SL_WIRE_VERSION + 1, .kind = SL_MSG_GOODBYE};
    bye.goodbye.retry = true;
    rig_forget(&rig);
    sl_agent_message(rig.core, rig.now, rig.now.mono, &bye);
    rig_pump(&rig);
    rig_run_ms(&rig, 400);
    assert_int_equal(rig_count(&rig, SL_MSG_HELLO), 0);
    rig_run_ms(&rig, 2000);
    assert_true(rig_count(&rig, SL_MSG_HELLO) > 0);
    rig_up(&rig);
    assert_true(rig_count(&rig, SL_MSG_REPORT) > 0);
    rig_stop(&rig);
}

static void another_node_name_is_refused(void **state) {
    (void)state;
    struct sl_agent_config config = {.node = "b", .safe_mode = SL_MODE_IDLE};
    struct sl_agent_core *core = NULL;
    struct sl_error err;
    assert_int_equal(sl_agent_core_create(&config, &core, &err), 0);
    struct sl_now now = {{1}, {1}};
    assert_int_equal(sl_agent_replay(core, now, SL_JOURNAL_NODE, "name", 4, "a", 1, &err),
                     -SL_DENIED);
    assert_non_null(strstr(err.text, "\"a\""));
    sl_agent_core_destroy(core);
    config.safe_mode = SL_MODE_INFER;
    assert_int_equal(sl_agent_core_create(&config, &core, &err), -SL_INVALID);
}

static void stop_halts_stores_says_goodbye_and_leaves(void **state) {
    (void)state;
    static struct rig rig;
    struct rig_options options = {.devices = 2};
    options.script.candidate_every_us = 100000;
    rig_start(&rig, &options);
    rig_up(&rig);
    rig.pool_silent = true;
    rig_run_ms(&rig, 150);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 20);
    rig_unit(&rig, 0, 1, 5, 4);
    rig_forget(&rig);
    sl_agent_stop(rig.core, rig.now, 0, "asked by the test");
    rig_pump(&rig);
    assert_true(rig_find(&rig, SL_AGENT_HALT, 0, 0, 0) >= 0);
    assert_true(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_QUIT, 0, 0) >= 0);
    assert_false(rig.exited);
    rig_run_ms(&rig, 3000);
    assert_true(rig.exited);
    assert_int_equal(rig.exit_code, 0);
    assert_int_equal(rig_count(&rig, SL_MSG_GOODBYE), 1);
    assert_int_equal(rig.trace[rig.trace_count - 1].kind, SL_AGENT_EXIT);
    /* The share that got no answer is unknown, durably. */
    rig_crash(&rig);
    rig_welcome(&rig);
    rig_run_ms(&rig, 1);
    struct sl_msg msg;
    assert_true(rig_message(&rig, SL_MSG_SHARES, 0, &msg));
    assert_int_equal(msg.shares.shares[0].outcome, SL_SHARE_UNKNOWN);
    rig_stop(&rig);
}

static void stop_waits_for_the_disk_but_not_for_ever(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig.disk_waits = true;
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 60000);
    sl_agent_stop(rig.core, rig.now, 0, "asked by the test");
    rig_pump(&rig);
    rig_run_ms(&rig, 1000);
    assert_false(rig.exited);
    rig_run_ms(&rig, 2500);
    assert_true(rig.exited);
    rig_stop(&rig);
}

static void a_broken_journal_ends_it_at_once_with_code_1(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_forget(&rig);
    sl_agent_stop(rig.core, rig.now, 1, "syncing the journal: EIO");
    rig_pump(&rig);
    assert_true(rig.exited);
    assert_int_equal(rig.exit_code, 1);
    assert_true(rig_find(&rig, SL_AGENT_HALT, 0, 0, 0) >= 0);
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_waits_for_the_start_to_be_durable),
        cmocka_unit_test(hello_is_repeated_with_growing_pauses_until_welcome),
        cmocka_unit_test(reports_every_second_and_on_change),
        cmocka_unit_test(silence_of_five_seconds_asks_for_a_new_session),
        cmocka_unit_test(a_strange_session_is_ignored),
        cmocka_unit_test(goodbye_without_return_is_logged_and_asked_again_slowly),
        cmocka_unit_test(the_last_safe_mode_survives_a_restart),
        cmocka_unit_test(another_node_name_is_refused),
        cmocka_unit_test(a_broker_of_another_version_is_greeted_in_it_first),
        cmocka_unit_test(stop_halts_stores_says_goodbye_and_leaves),
        cmocka_unit_test(stop_waits_for_the_disk_but_not_for_ever),
        cmocka_unit_test(a_broken_journal_ends_it_at_once_with_code_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
