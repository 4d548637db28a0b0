/* SPDX-License-Identifier: Apache-2.0
 * The machine of a device: every state with every cause, and each rule of epochs, ttl and halts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/core/core_internal.h"
#include "tests/unit/agent/core/rig.h"
#include "tests/unit/agent/core/rig_pool.h"

/* The whole product. '-': not listed, refused and counted. */
static void every_state_with_every_cause(void **state) {
    (void)state;
    /* Columns: ready failed direct renew durable halted started expired rested safe stop */
    static const char *const rows[DEV_STATES] = {
        [DEV_INVALID] = "- - - - - - - - - - -", [DEV_PROVING] = "S F - - - - - - - P X",
        [DEV_SAFE] = "- F T - - S S - R S X",    [DEV_RESTING] = "- F T - - R R - - S X",
        [DEV_STORING] = "- F T T G T T S - T X", [DEV_STARTING] = "- F T G - G L S - G X",
        [DEV_LEASED] = "- F T L - L L S - L X",  [DEV_FAILED] = "- F - - - F F - - F X",
        [DEV_STOPPED] = "X X - - - X X - - X X",
    };
    static const char letters[DEV_STATES] = {
        [DEV_PROVING] = 'P',  [DEV_SAFE] = 'S',   [DEV_RESTING] = 'R', [DEV_STORING] = 'T',
        [DEV_STARTING] = 'G', [DEV_LEASED] = 'L', [DEV_FAILED] = 'F',  [DEV_STOPPED] = 'X'};
    for (int s = 0; s < DEV_STATES; s++) {
        for (int c = 1; c < DEVC_COUNT; c++) {
            char want = rows[s][2 * (c - 1)];
            enum agent_device_state next = DEV_INVALID;
            int rc =
                agent_device_edge((enum agent_device_state)s, (enum agent_device_cause)c, &next);
            char got = rc == SL_OK ? letters[next] : '-';
            if (got != want) {
                fail_msg("%s on %s: %c, wanted %c", agent_device_state_name(s),
                         agent_device_cause_name(c), got, want);
            }
        }
    }
}

static void an_odd_event_is_counted_and_changes_nothing(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    struct sl_device_event event = {.kind = SL_DEVEV_READY};
    event.report = calloc(1, sizeof *event.report);
    sl_agent_device(rig.core, rig.now, &event);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    assert_int_equal(rig_device(&rig, 0).edges_refused, 1);
    rig_stop(&rig);
}

static void the_safe_mode_rules_before_the_first_directive(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    assert_string_equal(rig_device(&rig, 0).state, "proving");
    rig_run_ms(&rig, 10); /* no broker at all */
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_HASH);
    assert_int_equal(rig_device(&rig, 0).epoch, 0);
    rig_stop(&rig);
    rig_start(&rig, &(struct rig_options){.safe_mode = SL_MODE_IDLE});
    rig_run_ms(&rig, 10);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    rig_stop(&rig);
    /* Without a pool there is nothing to hash for. */
    rig_start(&rig, &(struct rig_options){.no_pool = true});
    rig_run_ms(&rig, 10);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    rig_stop(&rig);
}

static void halt_runs_beside_the_disk_and_the_mode_waits_for_it(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_forget(&rig);
    rig.disk_waits = true;
    rig_direct(&rig, 0, 5, SL_MODE_INFER, 60000);
    int halt = rig_find(&rig, SL_AGENT_HALT, 0, 0, 0);
    int store = rig_find(&rig, SL_AGENT_JOURNAL, 0, 0, 0);
    assert_true(halt >= 0 && store > halt);
    assert_int_equal(rig.trace[halt].at_ns, rig.now.mono.ns);
    assert_int_equal(rig.trace[store].space, SL_JOURNAL_EPOCH);
    /* The device has long halted; the disk takes its time. */
    rig_run_ms(&rig, 500);
    assert_string_equal(rig_device(&rig, 0).state, "storing");
    assert_int_equal(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, 0, 0), -1);
    assert_int_equal(rig_device(&rig, 0).epoch_max, 0);
    rig_sync(&rig);
    assert_true(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_INFER, 5) > store);
    assert_int_equal(rig_device(&rig, 0).epoch_max, 5);
    rig_run_ms(&rig, 10);
    assert_string_equal(rig_device(&rig, 0).state, "leased");
    struct sl_msg msg;
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_int_equal(msg.ack.outcome, SL_ACK_RUNNING);
    assert_int_equal(msg.ack.epoch, 5);
    assert_int_equal(msg.ack.halted_us, 200);
    assert_int_equal(msg.ack.durable_us, 500000);
    assert_int_equal(msg.ack.started_us, 500100);
    assert_true(msg.ack.received_ns < msg.ack.halted_ns);
    assert_true(msg.ack.durable_ns < msg.ack.started_ns);
    rig_stop(&rig);
}

static void a_slow_halt_does_not_hold_the_mode_back(void **state) {
    (void)state;
    static struct rig rig;
    struct rig_options options = {0};
    options.script.halt_us = 50000;
    rig_start(&rig, &options);
    rig_up(&rig);
    rig_run_ms(&rig, 200);
    rig_forget(&rig);
    rig_direct(&rig, 0, 5, SL_MODE_INFER, 60000);
    assert_true(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_INFER, 5) > 0);
    rig_run_ms(&rig, 60);
    struct sl_msg msg;
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_int_equal(msg.ack.halted_us, 50000);
    assert_true(msg.ack.started_us > 50000);
    rig_stop(&rig);
}

/* The mode in between runs, though it has not reported its first launch: the next one must not wait
 * for that launch's end. */
static void a_mode_that_has_not_started_is_halted_too(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_direct(&rig, 0, 5, SL_MODE_INFER, 60000);
    assert_string_equal(rig_device(&rig, 0).state, "starting");
    rig_forget(&rig);
    rig_direct(&rig, 0, 6, SL_MODE_HASH, 60000);
    assert_true(rig_find(&rig, SL_AGENT_HALT, 0, 0, 0) >= 0);
    /* While the epoch is not durable the device stands still: one halt is enough. */
    rig.disk_waits = true;
    rig_direct(&rig, 0, 7, SL_MODE_INFER, 60000);
    assert_true(rig_find(&rig, SL_AGENT_HALT, 0, 0, 0) >= 0);
    rig_forget(&rig);
    rig_direct(&rig, 0, 8, SL_MODE_IDLE, 60000);
    assert_int_equal(rig_find(&rig, SL_AGENT_HALT, 0, 0, 0), -1);
    rig_sync(&rig);
    rig_stop(&rig);
}

static void the_same_mode_again_halts_nothing(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_forget(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_HASH, 60000); /* from the safe mode hash to the lease hash */
    rig_run_ms(&rig, 20);
    assert_int_equal(rig_find(&rig, SL_AGENT_HALT, 0, 0, 0), -1);
    assert_string_equal(rig_device(&rig, 0).state, "leased");
    assert_int_equal(rig_device(&rig, 0).epoch, 1);
    rig_direct(&rig, 0, 2, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 20);
    rig_forget(&rig);
    rig_direct(&rig, 0, 3, SL_MODE_INFER, 60000); /* a new price */
    rig_run_ms(&rig, 20);
    assert_int_equal(rig_find(&rig, SL_AGENT_HALT, 0, 0, 0), -1);
    assert_int_equal(rig_device(&rig, 0).epoch, 3);
    rig_stop(&rig);
}

static void epochs_only_rise(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){.devices = 2});
    rig_up(&rig);
    rig_direct(&rig, 0, 10, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 20);
    static const uint64_t lower[] = {9, 1};
    for (int i = 0; i < 2; i++) {
        rig_forget(&rig);
        rig_direct(&rig, 0, lower[i], SL_MODE_HASH, 60000);
        struct sl_msg msg;
        assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
        assert_int_equal(msg.ack.outcome, SL_ACK_REFUSED);
        assert_int_equal(msg.ack.epoch, lower[i]);
        assert_int_equal(rig_find(&rig, SL_AGENT_HALT, 0, 0, 0), -1);
    }
    /* The same epoch with another mode is no renewal. */
    rig_forget(&rig);
    rig_direct(&rig, 0, 10, SL_MODE_HASH, 60000);
    struct sl_msg msg;
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_int_equal(msg.ack.outcome, SL_ACK_REFUSED);
    /* Epochs are per device. */
    rig_direct(&rig, 1, 2, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 20);
    assert_string_equal(rig_device(&rig, 1).state, "leased");
    assert_int_equal(rig_device(&rig, 0).epoch, 10);
    rig_stop(&rig);
}

static void a_higher_epoch_overtakes_one_on_its_way(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_forget(&rig);
    rig.disk_waits = true;
    rig_direct(&rig, 0, 4, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 2);
    rig_direct(&rig, 0, 5, SL_MODE_HASH, 60000);
    rig_direct(&rig, 0, 4, SL_MODE_INFER, 60000); /* late: not durable yet, but overtaken */
    struct sl_msg msg;
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_int_equal(msg.ack.outcome, SL_ACK_REFUSED);
    rig_sync(&rig);
    rig_run_ms(&rig, 20);
    assert_int_equal(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_INFER, 0), -1);
    assert_string_equal(rig_device(&rig, 0).state, "leased");
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_HASH);
    assert_int_equal(rig_device(&rig, 0).epoch, 5);
    rig_stop(&rig);
}

static void epochs_fence_across_a_restart(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_direct(&rig, 0, 7, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 20);
    rig.disk_waits = true;
    rig_direct(&rig, 0, 8, SL_MODE_HASH, 60000); /* never durable, so never begun */
    rig.disk_waits = false;
    rig_crash(&rig);
    struct sl_msg msg;
    assert_true(rig_message(&rig, SL_MSG_HELLO, -1, &msg));
    assert_int_equal(msg.hello.devices[0].epoch_max, 7);
    assert_int_equal(msg.hello.devices[0].epoch, 0);
    rig_up(&rig);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    rig_renew(&rig, 0, 7, SL_MODE_INFER, 60000); /* what ran before the crash is over */
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_int_equal(msg.ack.outcome, SL_ACK_REFUSED);
    rig_direct(&rig, 0, 8, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 20);
    assert_string_equal(rig_device(&rig, 0).state, "leased");
    rig_stop(&rig);
}

/* Drained, stopped or not trusted: a broker that dies must not set it to work. */
static void what_stays_idle_does_no_work_without_a_broker(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_stay_idle(&rig, 0, 1, 5000, false);
    rig_run_ms(&rig, 5100);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    rig_crash(&rig);
    rig_run_ms(&rig, 5000); /* nobody answers */
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    rig_up(&rig);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    rig_direct(&rig, 0, 2, SL_MODE_IDLE, 5000); /* idle by its price only */
    rig_run_ms(&rig, 20);
    rig_stay_idle(&rig, 0, 2, 5000, true); /* drained meanwhile: the renewal says it */
    rig_run_ms(&rig, 5100);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    rig_crash(&rig);
    rig_up(&rig);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    rig_stay_idle(&rig, 0, 3, 5000, false);
    rig_run_ms(&rig, 20);
    rig_renew(&rig, 0, 3, SL_MODE_IDLE, 5000); /* resumed, and idle by its price */
    rig_run_ms(&rig, 5100);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_HASH);
    rig_crash(&rig);
    rig_up(&rig);
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_HASH);
    rig_stop(&rig);
}

static void broker_away_ttl_then_safe_then_idle(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){.safe_mode_max_ms = 60000});
    rig_up(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 5000);
    int64_t begin = rig.now.mono.ns;
    rig_run_ms(&rig, 4990);
    assert_string_equal(rig_device(&rig, 0).state, "leased");
    rig_forget(&rig);
    rig_run_ms(&rig, 20);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_HASH);
    assert_int_equal(rig_device(&rig, 0).epoch, 0);
    int halt = rig_find(&rig, SL_AGENT_HALT, 0, 0, 0);
    assert_true(halt >= 0);
    assert_int_equal(rig.trace[halt].at_ns, begin + 5000 * SL_NS_PER_MS);
    rig_run_ms(&rig, 59900);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    rig_run_ms(&rig, 200);
    assert_string_equal(rig_device(&rig, 0).state, "resting");
    assert_int_equal(rig_device(&rig, 0).mode, SL_MODE_IDLE);
    rig_run_ms(&rig, 3600 * 1000);
    assert_string_equal(rig_device(&rig, 0).state, "resting");
    /* The broker is back: its epoch is over, a higher one is welcome. */
    rig_up(&rig);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    rig_direct(&rig, 0, 2, SL_MODE_INFER, 5000);
    rig_run_ms(&rig, 20);
    assert_string_equal(rig_device(&rig, 0).state, "leased");
    rig_stop(&rig);
}

static void renewals_keep_it_and_an_expired_one_is_refused(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 3000);
    rig_run_ms(&rig, 10);
    rig_forget(&rig);
    for (int i = 0; i < 20; i++) {
        rig_run_ms(&rig, 1000);
        rig_renew(&rig, 0, 1, SL_MODE_INFER, 3000);
    }
    assert_string_equal(rig_device(&rig, 0).state, "leased");
    assert_int_equal(rig_find(&rig, SL_AGENT_HALT, 0, 0, 0), -1);
    assert_int_equal(rig_count(&rig, SL_MSG_ACK), 0);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 3000); /* a repeat of the grant itself: acked again */
    assert_int_equal(rig_count(&rig, SL_MSG_ACK), 1);
    rig_run_ms(&rig, 3001);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    rig_forget(&rig);
    rig_renew(&rig, 0, 1, SL_MODE_INFER, 3000);
    struct sl_msg msg;
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_int_equal(msg.ack.outcome, SL_ACK_REFUSED);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    rig_stop(&rig);
}

static void a_lease_that_ends_while_its_epoch_is_stored_never_begins(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_forget(&rig);
    rig.disk_waits = true;
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 1000);
    rig_run_ms(&rig, 1001);
    assert_string_equal(rig_device(&rig, 0).state, "safe");
    rig_run_ms(&rig, 10);
    rig_sync(&rig);
    rig_run_ms(&rig, 100);
    assert_int_equal(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_INFER, 0), -1);
    assert_true(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_HASH, 1) >= 0);
    assert_int_equal(rig_device(&rig, 0).epoch_max, 1);
    rig_stop(&rig);
}

static void refusals_say_why(void **state) {
    (void)state;
    static struct rig rig;
    struct sl_msg msg;
    rig_start(&rig, &(struct rig_options){.no_pool = true});
    rig_welcome(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 1000);
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_non_null(strstr(msg.ack.text, "tested"));
    rig_run_ms(&rig, 20);
    rig_direct(&rig, 0, 1, SL_MODE_HASH, 1000);
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_non_null(strstr(msg.ack.text, "pool"));
    rig_direct(&rig, 3, 1, SL_MODE_IDLE, 1000);
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_non_null(strstr(msg.ack.text, "no such device"));
    struct sl_msg other = {.kind = SL_MSG_DIRECTIVE};
    other.directive = (struct sl_msg_directive){
        .device = "rig/fake/0", .epoch = 1, .ttl_ms = 1000, .mode = SL_MODE_INFER, .model = "big"};
    rig_send(&rig, &other);
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_non_null(strstr(msg.ack.text, "model"));
    sl_fake_device_fail(rig.devices[0], SL_FAKE_LOST);
    rig_run_ms(&rig, 1);
    assert_string_equal(rig_device(&rig, 0).state, "failed");
    rig_direct(&rig, 0, 1, SL_MODE_IDLE, 1000);
    assert_true(rig_message(&rig, SL_MSG_ACK, -1, &msg));
    assert_non_null(strstr(msg.ack.text, "lost"));
    rig_stop(&rig);
}

static void a_failed_self_test_is_reported_and_never_offered(void **state) {
    (void)state;
    static struct rig rig;
    struct rig_options options = {0};
    options.script.failure = SL_FAKE_SELF_TEST;
    rig_start(&rig, &options);
    rig_up(&rig);
    struct sl_msg msg;
    assert_true(rig_message(&rig, SL_MSG_REPORT, -1, &msg));
    assert_non_null(strstr(msg.report.devices[0].health, "self-test"));
    assert_int_equal(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, 0, 0), -1);
    rig_stop(&rig);
}

/* On a CPU device a report would take the time of the first launch. */
static void a_report_waits_for_the_first_launch(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_run_ms(&rig, 200);
    rig_forget(&rig);
    rig.disk_waits = true;
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 2);
    rig_sync(&rig);
    assert_true(rig_find(&rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_INFER, 1) > 0);
    assert_int_equal(rig_count(&rig, SL_MSG_REPORT), 0);
    rig_run_ms(&rig, 2);
    assert_string_equal(rig_device(&rig, 0).state, "leased");
    assert_int_equal(rig_count(&rig, SL_MSG_ACK), 1);
    assert_int_equal(rig_count(&rig, SL_MSG_REPORT), 1);
    rig_stop(&rig);
}

static void a_report_does_not_wait_long(void **state) {
    (void)state;
    static struct rig rig;
    struct rig_options options = {0};
    options.script.start_us = 100000;
    rig_start(&rig, &options);
    rig_up(&rig);
    rig_run_ms(&rig, 200);
    rig_forget(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 9);
    assert_int_equal(rig_count(&rig, SL_MSG_REPORT), 0);
    rig_run_ms(&rig, 2);
    assert_string_equal(rig_device(&rig, 0).state, "starting");
    assert_int_equal(rig_count(&rig, SL_MSG_REPORT), 1);
    /* One directive after the other, to a device that never gets that far: still one a second. */
    rig_forget(&rig);
    for (uint64_t epoch = 2; epoch < 400; epoch++) {
        rig_direct(&rig, 0, epoch, epoch % 2 ? SL_MODE_INFER : SL_MODE_HASH, 60000);
        rig_run_ms(&rig, 5);
        if (epoch % 100 == 0) {
            rig_ping(&rig);
        }
    }
    assert_in_range(rig_count(&rig, SL_MSG_REPORT), 1, 3);
    rig_stop(&rig);
}

static void step_times_on_request(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){.ack_durable = true});
    rig_up(&rig);
    rig_forget(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 60000);
    rig_run_ms(&rig, 20);
    struct sl_msg msg;
    assert_true(rig_message(&rig, SL_MSG_ACK, 0, &msg));
    assert_int_equal(msg.ack.outcome, SL_ACK_DURABLE);
    assert_true(rig_message(&rig, SL_MSG_ACK, 1, &msg));
    assert_int_equal(msg.ack.outcome, SL_ACK_RUNNING);
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_with_every_cause),
        cmocka_unit_test(an_odd_event_is_counted_and_changes_nothing),
        cmocka_unit_test(the_safe_mode_rules_before_the_first_directive),
        cmocka_unit_test(halt_runs_beside_the_disk_and_the_mode_waits_for_it),
        cmocka_unit_test(a_slow_halt_does_not_hold_the_mode_back),
        cmocka_unit_test(a_mode_that_has_not_started_is_halted_too),
        cmocka_unit_test(the_same_mode_again_halts_nothing),
        cmocka_unit_test(epochs_only_rise),
        cmocka_unit_test(a_higher_epoch_overtakes_one_on_its_way),
        cmocka_unit_test(epochs_fence_across_a_restart),
        cmocka_unit_test(what_stays_idle_does_no_work_without_a_broker),
        cmocka_unit_test(broker_away_ttl_then_safe_then_idle),
        cmocka_unit_test(renewals_keep_it_and_an_expired_one_is_refused),
        cmocka_unit_test(a_lease_that_ends_while_its_epoch_is_stored_never_begins),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(a_failed_self_test_is_reported_and_never_offered),
        cmocka_unit_test(a_report_waits_for_the_first_launch),
        cmocka_unit_test(a_report_does_not_wait_long),
        cmocka_unit_test(step_times_on_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
