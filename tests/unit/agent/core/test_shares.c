/* SPDX-License-Identifier: Apache-2.0
 * Shares: durable before they are submitted, one outcome each, reported until acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/unit/agent/core/rig.h"
#include "tests/unit/agent/core/rig_pool.h"

/* One candidate each 100 ms of hashing. */
static struct rig *mining_rig(void) {
    static struct rig rig;
    struct rig_options options = {0};
    options.script.candidate_every_us = 100000;
    rig_start(&rig, &options);
    rig_up(&rig);
    return &rig;
}

static uint64_t open_shares(const struct rig *rig) {
    struct sl_agent_view view;
    sl_agent_get(rig->core, &view);
    return view.shares_open;
}

static void durable_before_submitted(void **state) {
    (void)state;
    struct rig *rig = mining_rig();
    rig->disk_waits = true;
    rig_run_ms(rig, 330);
    assert_int_equal(rig->pool_submits, 0);
    assert_int_equal(open_shares(rig), 3);
    rig_sync(rig);
    assert_int_equal(rig->pool_submits, 3);
    rig->disk_waits = false;
    rig_sync(rig);
    rig_run_ms(rig, 60);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_SHARES, 0, &msg));
    assert_int_equal(msg.shares.share_count, 3);
    assert_int_equal(msg.shares.shares[0].outcome, SL_SHARE_ACCEPTED);
    assert_string_equal(msg.shares.shares[0].device, "rig/fake/0");
    /* difficulty 0.001: 0.001 * 2^48 / 65535 */
    assert_int_equal(msg.shares.shares[0].work_hashes, 4295032);
    assert_int_equal(msg.shares.shares[0].difficulty_nano, 1000000);
    rig_stop(rig);
}

/* A pool whose difficulty is next to nothing: what cannot be stored or sent any more is dropped,
 * with one line about it, and the agent lives. */
static void a_flood_is_bounded(void **state) {
    (void)state;
    static struct rig rig;
    struct rig_options options = {0};
    options.script.candidate_every_us = 10;
    rig_start(&rig, &options);
    rig_up(&rig);
    rig.disk_waits = true;
    uint64_t before = open_shares(&rig);
    rig_run_ms(&rig, 60);
    assert_in_range(open_shares(&rig), before + 1, before + 4096);
    assert_int_equal(rig.drop_lines, 1);
    rig.disk_waits = false;
    rig_sync(&rig);
    assert_true(rig.pool_submits > 0);
    rig_stop(&rig);
}

/* Pool a takes shares and answers to none, at a difficulty that is far too low. */
static void a_flood_costs_its_own_pool_alone(void **state) {
    (void)state;
    static struct rig rig;
    struct rig_options options = {.devices = 2, .two_pools = true};
    options.script.candidate_every_us = 20;
    rig_start(&rig, &options);
    rig.pool_silent = true;
    rig_up(&rig);
    rig_direct(&rig, 1, 1, SL_MODE_IDLE, 3600000);
    rig_run_ms(&rig, 100); /* 5,000 of a */
    assert_int_equal(rig.drop_lines, 1);
    assert_int_equal(rig.pool_submits, 1024);
    assert_int_equal(rig.other_submits, 0);
    struct sl_msg msg = {.kind = SL_MSG_DIRECTIVE};
    strcpy(msg.directive.device, rig_key(&rig, 1));
    strcpy(msg.directive.pool, "b");
    msg.directive.epoch = 2;
    msg.directive.mode = SL_MODE_HASH;
    msg.directive.ttl_ms = 3600000;
    rig_send(&rig, &msg);
    rig_run_ms(&rig, 10);
    assert_true(rig.other_submits > 100);
    rig_stop(&rig);
}

static void reported_until_acknowledged(void **state) {
    (void)state;
    struct rig *rig = mining_rig();
    rig_run_ms(rig, 120);
    rig_direct(rig, 0, 1, SL_MODE_IDLE, 3600000); /* no more shares */
    rig_run_ms(rig, 100);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_SHARES, 0, &msg));
    uint64_t id = msg.shares.shares[0].share_id;
    rig_forget(rig);
    for (int i = 0; i < 7; i++) {
        rig_ping(rig);
        rig_run_ms(rig, 1000);
    }
    assert_int_equal(rig_count(rig, SL_MSG_SHARES), 1);
    assert_true(rig_message(rig, SL_MSG_SHARES, 0, &msg));
    assert_int_equal(msg.shares.shares[0].share_id, id);
    rig_ack(rig, NULL, 0, &id, 1);
    assert_int_equal(open_shares(rig), 0);
    assert_int_equal(rig_on_disk(rig, SL_JOURNAL_SHARE), 0);
    rig_stop(rig);
}

static void a_crash_makes_unanswered_ones_unknown_and_keeps_answers(void **state) {
    (void)state;
    struct rig *rig = mining_rig();
    rig_run_ms(rig, 150); /* one answered */
    rig->link_down = true;
    rig->pool_silent = true;
    rig_run_ms(rig, 200); /* two submitted, not answered */
    rig->disk_waits = true;
    rig_run_ms(rig, 100); /* one not durable: never submitted */
    assert_int_equal(rig->pool_submits, 3);
    rig->disk_waits = false;
    rig_crash(rig);
    rig->link_down = false;
    rig_welcome(rig);
    rig_run_ms(rig, 1);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_SHARES, 0, &msg));
    assert_int_equal(msg.shares.share_count, 3);
    int accepted = 0;
    int unknown = 0;
    for (int i = 0; i < 3; i++) {
        accepted += msg.shares.shares[i].outcome == SL_SHARE_ACCEPTED;
        unknown += msg.shares.shares[i].outcome == SL_SHARE_UNKNOWN;
    }
    assert_int_equal(accepted, 1);
    assert_int_equal(unknown, 2);
    rig_stop(rig);
}

static void a_lost_connection_makes_them_unknown_and_stops_the_work(void **state) {
    (void)state;
    struct rig *rig = mining_rig();
    rig->pool_silent = true;
    rig_run_ms(rig, 150);
    rig->pool_down = true;
    rig_forget(rig);
    rig_pool_cut(rig);
    int job = rig_find(rig, SL_AGENT_POST, SL_DEVCMD_JOB, 0, 0);
    assert_true(job >= 0);
    rig_run_ms(rig, 100);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_SHARES, 0, &msg));
    assert_int_equal(msg.shares.shares[0].outcome, SL_SHARE_UNKNOWN);
    uint32_t submits = rig->pool_submits;
    rig->pool_down = false;
    rig->pool_silent = false;
    for (int i = 0; i < 60; i++) {
        rig_ping(rig);
        rig_run_ms(rig, 1000);
    }
    assert_true(rig->pool_submits > submits);
    assert_true(rig_message(rig, SL_MSG_REPORT, -1, &msg));
    assert_true(msg.report.pool.connected && msg.report.pool.has_job);
    assert_int_equal(msg.report.pool.shares_unknown, 1);
    assert_int_equal(msg.report.pool.shares_submitted,
                     msg.report.pool.shares_accepted + msg.report.pool.shares_unknown);
    rig_stop(rig);
}

static void the_pool_is_followed_while_leased(void **state) {
    (void)state;
    struct rig *rig = mining_rig();
    rig_direct(rig, 0, 1, SL_MODE_INFER, 3600000);
    rig_run_ms(rig, 20);
    rig_forget(rig);
    rig_pool_job(rig, 2, true);
    assert_true(rig_find(rig, SL_AGENT_POST, SL_DEVCMD_JOB, 0, 0) >= 0);
    rig_stop(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durable_before_submitted),
        cmocka_unit_test(a_flood_is_bounded),
        cmocka_unit_test(a_flood_costs_its_own_pool_alone),
        cmocka_unit_test(reported_until_acknowledged),
        cmocka_unit_test(a_crash_makes_unanswered_ones_unknown_and_keeps_answers),
        cmocka_unit_test(a_lost_connection_makes_them_unknown_and_stops_the_work),
        cmocka_unit_test(the_pool_is_followed_while_leased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
