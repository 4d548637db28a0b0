/* SPDX-License-Identifier: Apache-2.0
 * An address that refuses every share: when it is left, when it is tried again, and what is done
 * where all do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/unit/agent/stratum/failover_rig.h"

#define OTHER "[20,\"Unknown problem\",null]"

static uint64_t submit_many(struct rig *rig, uint64_t seq, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        rig_submit(rig, seq + i);
    }
    return seq + count;
}

static void one_that_refuses_every_share_is_left_and_tried_with_growing_pauses(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 2);
    rig.players[0].verdict = OTHER;
    rig_begin(&rig);
    uint64_t seq = submit_many(&rig, 1, 9);
    assert_int_equal(rig_serving(&rig), 0);
    seq = submit_many(&rig, seq, 1);
    assert_int_equal(rig_serving(&rig), 1);
    assert_int_equal(rig.no_work, 0);
    assert_true(rig.job->clean);
    assert_false(sl_failover_is_suspect(rig.pool));
    assert_non_null(strstr(rig.logs.data, "p0.test:3333: the pool refuses every share (Unknown"));
    rig_pass(&rig, 299000);
    assert_int_equal(rig_serving(&rig), 1);
    assert_false(rig.players[0].open);
    assert_int_equal(rig.players[0].connects, 1);
    int64_t least_ms = 300000;
    for (int i = 0; i < 7; i++) {
        rig_pass(&rig, least_ms + 2000);
        assert_int_equal(rig_serving(&rig), 0);
        int submits = rig.players[0].submits;
        seq = submit_many(&rig, seq, 3);
        assert_int_equal(rig.players[0].submits, submits + 3);
        assert_int_equal(rig_serving(&rig), 1);
        seq = submit_many(&rig, seq, 1);
        assert_int_equal(rig.players[0].submits, submits + 3);
        least_ms = least_ms < 16 * 300000 ? 2 * least_ms : least_ms;
        rig_pass(&rig, least_ms - 1000);
        assert_int_equal(rig_serving(&rig), 1);
    }
    rig.players[0].verdict = NULL;
    rig_pass(&rig, least_ms + 2000);
    assert_int_equal(rig_serving(&rig), 0);
    seq = submit_many(&rig, seq, 20);
    assert_int_equal(rig_serving(&rig), 0);
    assert_non_null(strstr(rig.logs.data, "takes shares again"));
    rig.players[0].verdict = OTHER; /* all is forgotten: ten again, and the first pause */
    seq = submit_many(&rig, seq, 9);
    assert_int_equal(rig_serving(&rig), 0);
    submit_many(&rig, seq, 1);
    assert_int_equal(rig_serving(&rig), 1);
    rig_pass(&rig, 601000);
    assert_int_equal(rig_serving(&rig), 0);
    rig_tear_down(&rig);
}

static void stale_duplicate_and_now_and_then_are_no_refusal(void **state) {
    (void)state;
    static const char *const verdicts[] = {"[21,\"Job not found\",null]",
                                           "[22,\"Duplicate share\",null]",
                                           "[20,\"stale share\",null]"};
    struct rig rig;
    uint64_t seq = 1;
    rig_set_up(&rig, 2);
    rig_begin(&rig);
    for (int i = 0; i < 3; i++) {
        rig.players[0].verdict = verdicts[i];
        seq = submit_many(&rig, seq, 30);
        assert_int_equal(rig_serving(&rig), 0);
    }
    for (int i = 0; i < 5; i++) {
        rig.players[0].verdict = OTHER;
        seq = submit_many(&rig, seq, 9);
        rig.players[0].verdict = NULL;
        seq = submit_many(&rig, seq, 1);
    }
    assert_int_equal(rig_serving(&rig), 0);
    assert_int_equal(rig_changes(&rig), 0);
    rig_tear_down(&rig);
}

static void one_that_takes_nothing_for_a_minute_is_left_whatever_it_says(void **state) {
    (void)state;
    static const char *const verdicts[] = {"[21,\"Job not found\",null]",
                                           "[22,\"Duplicate share\",null]"};
    struct rig rig;
    uint64_t seq = 1;
    rig_set_up(&rig, 2);
    rig_begin(&rig);
    seq = submit_many(&rig, seq, 5);
    for (int i = 0; i < 11; i++) { /* 55 s */
        rig.players[0].verdict = verdicts[i % 2];
        seq = submit_many(&rig, seq, 1);
        rig_pass(&rig, 5000);
    }
    assert_int_equal(rig_serving(&rig), 0);
    rig.players[0].verdict = NULL; /* one that is taken, and the minute begins anew */
    seq = submit_many(&rig, seq, 1);
    rig.players[0].verdict = verdicts[0];
    for (int i = 0; i < 9; i++) {
        seq = submit_many(&rig, seq, 1);
        rig_pass(&rig, 30000);
    }
    assert_int_equal(rig_serving(&rig), 0); /* nine */
    seq = submit_many(&rig, seq, 1);
    assert_int_equal(rig_serving(&rig), 1);
    assert_non_null(strstr(rig.logs.data, "p0.test:3333: the pool refuses every share (Job not"));
    rig_pass(&rig, 602000);
    assert_int_equal(rig_serving(&rig), 0);
    seq = submit_many(&rig, seq, 2);
    assert_int_equal(rig_serving(&rig), 0);
    submit_many(&rig, seq, 1); /* of three */
    assert_int_equal(rig_serving(&rig), 1);
    rig_tear_down(&rig);
}

static void a_late_yes_of_one_that_was_left_brings_work_back(void **state) {
    (void)state;
    struct rig rig;
    char line[80];
    rig_set_up(&rig, 2);
    rig_begin(&rig);
    rig.players[0].silent_on_shares = true;
    submit_many(&rig, 1, 14);
    for (int id = 3; id < 13; id++) {
        snprintf(line, sizeof line, "{\"id\":%d,\"result\":null,\"error\":" OTHER "}\n", id);
        rig_say(&rig, 0, line);
    }
    rig_pump(&rig);
    assert_int_equal(rig_serving(&rig), 1);
    rig_pass(&rig, 20000);
    assert_true(rig.players[0].open); /* for four answers more */
    snprintf(line, sizeof line, "{\"id\":13,\"result\":null,\"error\":" OTHER "}\n");
    rig_say(&rig, 0, line);
    rig_pump(&rig);
    assert_int_equal(rig_serving(&rig), 1);
    rig_say(&rig, 0, "{\"id\":14,\"result\":true,\"error\":null}\n");
    rig_say(&rig, 0, "{\"id\":15,\"result\":true,\"error\":null}\n");
    rig_say(&rig, 0, "{\"id\":16,\"result\":true,\"error\":null}\n");
    rig_pump(&rig);
    assert_int_equal(rig.outcomes[SL_ANSWER_REJECTED], 11);
    assert_int_equal(rig.outcomes[SL_ANSWER_ACCEPTED], 3);
    assert_int_equal(rig_serving(&rig), 0);
    rig_tear_down(&rig);
}

static void where_all_refuse_the_first_goes_on(void **state) {
    (void)state;
    struct rig rig;
    struct sl_failover_status status;
    uint64_t seq = 1;
    rig_set_up(&rig, 3);
    for (int i = 0; i < 3; i++) {
        rig.players[i].verdict = OTHER;
    }
    rig_begin(&rig);
    seq = submit_many(&rig, seq, 30); /* ten for each */
    rig_pass(&rig, 1000);
    sl_failover_status(rig.pool, &status);
    assert_int_equal(status.serving, 0);
    assert_true(status.refusing);
    assert_false(status.suspect);
    assert_true(sl_failover_is_suspect(rig.pool));
    uint64_t before = rig_changes(&rig);
    for (int i = 0; i < 4; i++) { /* the first pause of all */
        rig_pass(&rig, 60000);
        seq = submit_many(&rig, seq, 1);
        assert_int_equal(rig_serving(&rig), 0);
    }
    assert_int_equal(rig_changes(&rig), before);
    int connects = rig.players[0].connects + rig.players[1].connects + rig.players[2].connects;
    for (int i = 0; i < 24 * 60; i++) {
        rig_pass(&rig, 60000);
        assert_non_null(rig.job);
        seq = submit_many(&rig, seq, 1);
    }
    assert_int_equal(rig.no_work, 0);
    /* In a day: pauses of 80 to 160 min each, there and back for two of them. */
    assert_in_range(rig_changes(&rig) - before, 20, 120);
    connects =
        rig.players[0].connects + rig.players[1].connects + rig.players[2].connects - connects;
    assert_in_range(connects, 0, 200);
    rig.players[2].verdict = NULL; /* one takes them, and is found */
    for (int i = 0; i < 170; i++) {
        rig_pass(&rig, 60000);
        seq = submit_many(&rig, seq, 1);
    }
    assert_true(rig.outcomes[SL_ANSWER_ACCEPTED] > 30);
    sl_failover_status(rig.pool, &status);
    assert_false(status.refusing);
    rig_tear_down(&rig);
}

static void alone_it_goes_on_while_it_refuses(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 1);
    rig.players[0].verdict = OTHER;
    rig_begin(&rig);
    uint64_t seq = submit_many(&rig, 1, 12);
    assert_int_equal(rig_serving(&rig), 0);
    assert_true(sl_failover_is_suspect(rig.pool));
    assert_int_equal(rig.players[0].connects, 1);
    rig_pass(&rig,
             601000); /* another pool of the agent may have had the devices: it is tried again */
    assert_false(sl_failover_is_suspect(rig.pool));
    seq = submit_many(&rig, seq, 3);
    assert_true(sl_failover_is_suspect(rig.pool));
    rig.players[0].verdict = NULL;
    submit_many(&rig, seq, 1);
    assert_false(sl_failover_is_suspect(rig.pool));
    assert_int_equal(rig.no_work, 0);
    rig_tear_down(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_refuses_every_share_is_left_and_tried_with_growing_pauses),
        cmocka_unit_test(stale_duplicate_and_now_and_then_are_no_refusal),
        cmocka_unit_test(one_that_takes_nothing_for_a_minute_is_left_whatever_it_says),
        cmocka_unit_test(a_late_yes_of_one_that_was_left_brings_work_back),
        cmocka_unit_test(where_all_refuse_the_first_goes_on),
        cmocka_unit_test(alone_it_goes_on_while_it_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
