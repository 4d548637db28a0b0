/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/unit/agent/core/rig.h"
#include "tests/unit/agent/core/rig_pool.h"

static struct rig *start(uint32_t devices) {
    static struct rig rig;
    struct rig_options options = {.devices = devices, .two_pools = true};
    options.script.candidate_every_us = 100000;
    rig_start(&rig, &options);
    rig_up(&rig);
    return &rig;
}

static void direct(struct rig *rig, uint32_t device, uint64_t epoch, const char *pool,
                   bool renewal) {
    struct sl_msg msg = {.kind = SL_MSG_DIRECTIVE};
    strcpy(msg.directive.device, rig_key(rig, device));
    strcpy(msg.directive.pool, pool);
    msg.directive.epoch = epoch;
    msg.directive.mode = SL_MODE_HASH;
    msg.directive.ttl_ms = 3600000;
    msg.directive.renewal = renewal;
    rig_send(rig, &msg);
    rig_run_ms(rig, 20);
}

static const char *pool(const struct rig *rig, uint32_t device) {
    return rig_device(rig, device).pool;
}

/* Its figures in the newest report. */
static struct sl_msg_pool report(struct rig *rig, uint32_t at) {
    struct sl_msg msg;
    rig_run_ms(rig, 1100);
    assert_true(rig_message(rig, SL_MSG_REPORT, -1, &msg));
    assert_int_equal(msg.report.pool_count, 2);
    return msg.report.pools[at];
}

static void the_directive_names_the_pool(void **state) {
    (void)state;
    struct rig *rig = start(2);
    assert_string_equal(pool(rig, 0), "a"); /* without a word: the first */
    direct(rig, 0, 1, "b", false);
    assert_string_equal(pool(rig, 0), "b");
    assert_string_equal(pool(rig, 1), "a");
    rig_run_ms(rig, 350);
    assert_true(rig->other_submits >= 2);
    assert_true(rig->pool_submits >= 2);
    /* The same epoch with another pool: no new lease, no halt, another job. */
    uint64_t refused = rig_device(rig, 0).edges_refused;
    uint32_t acks = rig_count(rig, SL_MSG_ACK);
    direct(rig, 0, 1, "a", true);
    assert_string_equal(pool(rig, 0), "a");
    assert_int_equal(rig_device(rig, 0).epoch, 1);
    assert_int_equal(rig_device(rig, 0).edges_refused, refused);
    assert_int_equal(rig_count(rig, SL_MSG_ACK), acks);
    rig_stop(rig);
}

static void without_work_there_the_next_one_serves(void **state) {
    (void)state;
    struct rig *rig = start(1);
    direct(rig, 0, 1, "b", false);
    rig->other_down = true;
    rig_pool_cut_of(rig, 1);
    assert_string_equal(pool(rig, 0), "a"); /* at once, and nobody was asked */
    struct sl_msg_pool b = report(rig, 1);
    assert_false(b.connected || b.has_job);
    rig->other_down = false;
    rig_run_ms(rig, 10000);
    assert_string_equal(pool(rig, 0), "b"); /* and back */
    rig->pool_down = rig->other_down = true;
    rig_pool_cut_of(rig, 0);
    rig_pool_cut_of(rig, 1);
    assert_string_equal(pool(rig, 0), "");
    rig_stop(rig);
}

static void one_that_does_not_answer_is_left_for_the_next(void **state) {
    (void)state;
    struct rig *rig = start(1);
    rig_run_ms(rig, 300);
    rig->pool_silent = true;
    rig_run_ms(rig, 300);
    assert_string_equal(pool(rig, 0), "a");
    rig_run_ms(rig, 900);
    assert_string_equal(pool(rig, 0), "b");
    struct sl_msg_pool a = report(rig, 0);
    assert_true(a.connected && a.has_job);
    assert_true(a.suspect_ms > 0);
    assert_int_equal(a.shares_unknown, 0); /* an answer may still come */
    /* b is as silent by now: what was asked for, or else the first, goes on. */
    rig_run_ms(rig, 1000);
    assert_string_equal(pool(rig, 0), "a");
    rig_stop(rig);
}

static void an_unknown_name_is_reported(void **state) {
    (void)state;
    struct rig *rig = start(1);
    direct(rig, 0, 1, "b", false);
    direct(rig, 0, 1, "nowhere", true);
    assert_string_equal(pool(rig, 0), "a");
    assert_int_equal(rig_device(rig, 0).epoch, 1);
    direct(rig, 0, 1, "", true);
    assert_string_equal(pool(rig, 0), "a");
    rig_stop(rig);
}

static void figures_are_kept_apart(void **state) {
    (void)state;
    struct rig *rig = start(1);
    rig_run_ms(rig, 500);
    direct(rig, 0, 1, "b", false);
    rig->other_silent = true;
    rig_run_ms(rig, 500);
    struct sl_msg_pool a = report(rig, 0);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_REPORT, -1, &msg));
    const struct sl_msg_pool *b = &msg.report.pools[1];
    assert_string_equal(a.name, "a");
    assert_string_equal(b->name, "b");
    assert_true(a.shares_accepted >= 4);
    assert_int_equal(b->shares_accepted, 0); /* silent */
    assert_true(b->shares_submitted >= 4);
    assert_true(a.share_age_ms > 0);
    assert_int_equal(b->share_age_ms, 0);
    assert_true(a.hashes_spent > 0 && b->hashes_spent > 0);
    assert_int_equal(a.work_accepted, a.shares_accepted * 4295032);
    assert_string_equal(msg.report.pool.name, "a"); /* for brokers that know one */
    /* Each share says whose it is, also after a restart. */
    rig_crash(rig);
    rig_up(rig);
    rig_run_ms(rig, 1200);
    uint32_t of_b = 0;
    for (int n = 0; rig_message(rig, SL_MSG_SHARES, n, &msg); n++) {
        for (uint32_t i = 0; i < msg.shares.share_count; i++) {
            const struct sl_msg_share *share = &msg.shares.shares[i];
            bool unknown = share->outcome == SL_SHARE_UNKNOWN;
            assert_string_equal(share->pool, unknown ? "b" : "a");
            of_b += unknown;
        }
    }
    assert_true(of_b >= 4);
    rig_stop(rig);
}

static void each_device_is_a_worker(void **state) {
    (void)state;
    struct rig *rig = start(2);
    direct(rig, 1, 1, "b", false);
    rig_run_ms(rig, 300);
    assert_true(rig->other_submits > 0);
    direct(rig, 0, 1, "b", false);
    direct(rig, 1, 2, "a", false);
    rig_forget(rig);
    rig->submit[0] = '\0';
    rig->pool_silent = false;
    rig_direct(rig, 1, 3, SL_MODE_IDLE, 3600000);
    rig_run_ms(rig, 250);
    assert_non_null(strstr(rig->submit, "\"tester.0\""));
    direct(rig, 1, 4, "b", false);
    rig_direct(rig, 0, 2, SL_MODE_IDLE, 3600000);
    rig_run_ms(rig, 250);
    assert_non_null(strstr(rig->submit, "\"tester.1\""));
    rig_stop(rig);
}

static void a_difficulty_that_suits_is_suggested(void **state) {
    (void)state;
    struct rig *rig = start(1);
    rig_run_ms(rig, 12000);
    assert_string_equal(rig->suggested, ""); /* nobody hashes for b, and a has no such wish */
    direct(rig, 0, 1, "b", false);
    rig_run_ms(rig, 12000);
    assert_non_null(strstr(rig->suggested, "mining.suggest_difficulty"));
    rig->suggested[0] = '\0';
    rig_run_ms(rig, 30000);
    assert_string_equal(rig->suggested, ""); /* the rate is what it was */
    rig_stop(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_directive_names_the_pool),
        cmocka_unit_test(without_work_there_the_next_one_serves),
        cmocka_unit_test(one_that_does_not_answer_is_left_for_the_next),
        cmocka_unit_test(an_unknown_name_is_reported),
        cmocka_unit_test(figures_are_kept_apart),
        cmocka_unit_test(each_device_is_a_worker),
        cmocka_unit_test(a_difficulty_that_suits_is_suggested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
