/* SPDX-License-Identifier: Apache-2.0
 * One pool, several addresses: who serves, who is tried, and that no share is lost on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/unit/agent/stratum/failover_rig.h"

static void the_best_address_serves_and_the_others_are_left_alone(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 3);
    rig_begin(&rig);
    assert_int_equal(rig_serving(&rig), 0);
    assert_int_equal(rig.jobs, 1);
    rig_submit(&rig, 1);
    assert_int_equal(rig.outcomes[SL_ANSWER_ACCEPTED], 1);
    rig_pass(&rig, 3600000);
    assert_int_equal(rig.players[0].connects, 1);
    assert_int_equal(rig.players[1].connects + rig.players[2].connects, 0);
    rig_tear_down(&rig);
}

static void a_dead_address_costs_no_time(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 3);
    rig.players[0].mood = DOWN;
    rig.players[1].mood = DOWN;
    rig_begin(&rig);
    assert_int_equal(rig_serving(&rig), 2); /* without any time gone by */
    assert_non_null(rig.job);
    assert_non_null(strstr(rig.logs.data, "stratum+ssl://p1.test:3334: connection refused"));
    rig_tear_down(&rig);
}

static void one_that_hangs_costs_a_head_start(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 2);
    rig.players[0].mood = HANGS;
    rig_begin(&rig);
    rig_pass(&rig, 2999);
    assert_int_equal(rig_serving(&rig), -1);
    rig_pass(&rig, 1);
    assert_int_equal(rig_serving(&rig), 1);
    rig_tear_down(&rig);
}

static void work_returns_when_the_primary_gives_a_job_not_before(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 2);
    rig_begin(&rig);
    rig.players[0].mood = DOWN;
    rig_cut(&rig, 0);
    assert_int_equal(rig_serving(&rig), 1);
    assert_int_equal(rig.no_work, 0); /* devices went from one job to the other */
    assert_true(rig.job->clean);
    rig_pass(&rig, 60000);
    int tried = rig.players[0].connects;
    assert_true(tried >= 2 && tried <= 1 + 3); /* three failures, then it rests */
    rig.players[0].mood = JOBLESS;
    rig_pass(&rig, 650000); /* 5 to 10 minutes */
    assert_int_equal(rig.players[0].connects, tried + 1);
    assert_int_equal(rig_serving(&rig), 1); /* accepted, but without a job */
    int jobs = rig.jobs;
    rig_give_job(&rig, 0, false);
    rig_pump(&rig);
    assert_int_equal(rig_serving(&rig), 0);
    assert_int_equal(rig.jobs, jobs + 1);
    assert_int_equal(rig_changes(&rig), 2); /* there and back */
    assert_true(rig.job->clean);            /* older work is another pool's */
    assert_int_equal(rig.no_work, 0);
    rig_tear_down(&rig);
}

static void shares_of_the_address_that_served_still_go_there(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 2);
    rig.players[0].mood = HANGS;
    rig_begin(&rig);
    rig_pass(&rig, 3000);
    assert_int_equal(rig_serving(&rig), 1);
    rig.players[1].silent_on_shares = true;
    rig_submit(&rig, 1);
    struct sl_share late = rig_share_of(&rig, 2);
    rig.players[0].mood = UP;
    rig.players[0].open = true;
    rig_pass(&rig, 100000);
    if (rig_serving(&rig) != 0) {
        rig_pass(&rig, 600000);
    }
    assert_int_equal(rig_serving(&rig), 0);
    rig_tear_down(&rig);
    /* Once more, with both at hand at the moment of the change. */
    rig_set_up(&rig, 2);
    rig.players[0].mood = JOBLESS;
    rig_begin(&rig);
    rig_pass(&rig, 3000);
    assert_int_equal(rig_serving(&rig), 1);
    rig.players[1].silent_on_shares = true;
    rig_submit(&rig, 1);
    late = rig_share_of(&rig, 2);
    rig_give_job(&rig, 0, true);
    rig_pump(&rig);
    assert_int_equal(rig_serving(&rig), 0);
    assert_true(rig.players[1].open);
    assert_int_equal(sl_failover_submit(rig.pool, &late, rig.now, NULL), SL_OK);
    rig_pump(&rig);
    assert_int_equal(rig.players[1].submits, 2);
    assert_int_equal(rig.players[0].submits, 0);
    rig_pass(&rig, 6000);
    assert_true(rig.players[1].open); /* for the answers */
    rig_say(&rig, 1, "{\"id\":3,\"result\":true,\"error\":null}\n");
    rig_say(&rig, 1, "{\"id\":4,\"result\":true,\"error\":null}\n");
    rig_pump(&rig);
    assert_int_equal(rig.outcomes[SL_ANSWER_ACCEPTED], 2);
    assert_false(rig.players[1].open);
    assert_int_equal(rig.outcomes[SL_ANSWER_UNKNOWN] + rig.outcomes[SL_ANSWER_STALE], 0);
    rig_tear_down(&rig);
}

static void a_share_waits_for_its_own_session(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 2);
    rig_begin(&rig);
    struct sl_share late = rig_share_of(&rig, 7);
    rig.players[0].mood = DOWN;
    rig_cut(&rig, 0);
    assert_int_equal(rig_serving(&rig), 1);
    assert_int_equal(sl_failover_submit(rig.pool, &late, rig.now, NULL), SL_OK);
    rig_pump(&rig);
    assert_int_equal(rig.outcomes[SL_ANSWER_STALE], 0);
    rig.players[0].mood = UP; /* and gives the same extranonce1 again */
    rig_pass(&rig, 10000);
    assert_int_equal(rig_serving(&rig), 0);
    assert_int_equal(rig.players[0].submits + rig.outcomes[SL_ANSWER_STALE], 1);
    rig_tear_down(&rig);
}

static void a_refused_user_leads_to_the_next_and_is_not_asked_again_soon(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 2);
    rig.players[0].mood = STRICT;
    rig_begin(&rig);
    assert_int_equal(rig_serving(&rig), 1);
    assert_int_equal(rig.misconfigured, 1);
    rig_pass(&rig, 299000);
    assert_int_equal(rig.players[0].connects, 1);
    rig_tear_down(&rig);
}

static void all_dead_is_no_busy_loop_and_any_of_them_ends_it(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 3);
    for (int i = 0; i < 3; i++) {
        rig.players[i].mood = DUMB;
    }
    rig_begin(&rig);
    rig_pass(&rig, 3600000);
    int connects = 0;
    for (int i = 0; i < 3; i++) {
        connects += rig.players[i].connects;
    }
    assert_true(connects > 60 && connects < 3 * 130); /* 15 s and 0 to 60 s each */
    rig.players[2].mood = UP;
    rig_pass(&rig, 80000);
    assert_int_equal(rig_serving(&rig), 2);
    rig_tear_down(&rig);
}

static void a_primary_that_flaps_without_shares_comes_to_rest(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 2);
    rig_begin(&rig);
    for (int i = 0; i < 50 && rig_serving(&rig) == 0; i++) {
        rig_cut(&rig, 0); /* at once after its job */
        rig_pass(&rig, 4000);
    }
    assert_int_equal(rig_serving(&rig), 1);
    int tried = rig.players[0].connects;
    rig_pass(&rig, 299000);
    assert_int_equal(rig.players[0].connects, tried);
    rig_pass(&rig, 300000);
    assert_int_equal(rig.players[0].connects, tried + 1);
    assert_int_equal(rig_serving(&rig), 0);
    rig_tear_down(&rig);
}

/* The first address falls silent with a share; the second is there by the time that is suspect. */
static void fall_silent(struct rig *rig, uint32_t count) {
    rig_set_up(rig, count);
    rig_begin(rig);
    rig_submit(rig, 1);
    rig->players[0].silent_on_shares = true;
    rig_submit(rig, 2);
    rig_pass(rig, 999);
    assert_int_equal(rig_serving(rig), 0);
    assert_int_equal(rig->players[1].connects, 0);
    rig_pass(rig, 1);
}

static void a_silent_address_is_left_and_its_late_answer_brings_work_back(void **state) {
    (void)state;
    struct rig rig;
    fall_silent(&rig, 2);
    assert_int_equal(rig_serving(&rig), 1);
    assert_int_equal(rig.no_work, 0);
    assert_true(rig.job->clean);
    assert_false(sl_failover_is_suspect(rig.pool));
    rig_pass(&rig, 40000); /* longer than late shares are waited for */
    assert_int_equal(rig_serving(&rig), 1);
    assert_true(rig.players[0].open && rig.players[0].connects == 1);
    assert_int_equal(rig.outcomes[SL_ANSWER_UNKNOWN], 0);
    rig_say(&rig, 0, "{\"id\":4,\"result\":true,\"error\":null}\n");
    rig_pump(&rig);
    assert_int_equal(rig.outcomes[SL_ANSWER_ACCEPTED], 2);
    assert_int_equal(rig_serving(&rig), 0);
    rig_pass(&rig, 6000);
    assert_false(rig.players[1].open);
    /* One that was suspected for nothing is waited for twice as long. */
    rig_submit(&rig, 3);
    rig_pass(&rig, 1999);
    assert_int_equal(rig_serving(&rig), 0);
    rig_pass(&rig, 1);
    assert_int_equal(rig_serving(&rig), 1);
    rig_tear_down(&rig);
}

static void one_that_never_answers_loses_its_shares_and_is_tried_again(void **state) {
    (void)state;
    struct rig rig;
    fall_silent(&rig, 2);
    rig_pass(&rig, 58999);
    assert_int_equal(rig.outcomes[SL_ANSWER_UNKNOWN], 0);
    rig_pass(&rig, 1);
    assert_int_equal(rig.outcomes[SL_ANSWER_UNKNOWN], 1);
    assert_non_null(strstr(rig.logs.data, "does not answer to shares"));
    rig_pass(&rig, 1000);
    assert_int_equal(rig_serving(&rig), 0); /* a new connection is not suspect */
    rig_submit(&rig, 3);
    rig_pass(&rig, 1000);
    assert_int_equal(rig_serving(&rig), 1);
    /* It gives jobs and never an answer: after three times it rests. */
    for (int i = 0; i < 6; i++) {
        rig_pass(&rig, 61000);
        rig_submit(&rig, 10 + (uint64_t)i);
    }
    int connects = rig.players[0].connects;
    assert_true(connects <= 4);
    rig_pass(&rig, 200000);
    assert_int_equal(rig.players[0].connects, connects);
    assert_int_equal(rig_serving(&rig), 1);
    rig_tear_down(&rig);
}

static void all_are_tried_while_one_is_silent(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 3);
    rig.players[1].mood = HANGS;
    rig_begin(&rig);
    rig.players[0].silent_on_shares = true;
    rig_submit(&rig, 1);
    rig_pass(&rig, 1249);
    assert_int_equal(rig_serving(&rig), 0);
    assert_true(sl_failover_is_suspect(rig.pool));
    rig_pass(&rig, 1);
    assert_int_equal(rig_serving(&rig), 2);
    /* That one too, and nobody else is there: better hash than not. */
    rig.players[2].silent_on_shares = true;
    rig_submit(&rig, 2);
    rig_pass(&rig, 2000);
    assert_int_equal(rig_serving(&rig), 2);
    assert_true(sl_failover_is_suspect(rig.pool));
    rig_say(&rig, 2, "{\"id\":3,\"result\":true,\"error\":null}\n");
    rig_pump(&rig);
    assert_false(sl_failover_is_suspect(rig.pool));
    assert_int_equal(rig_serving(&rig), 2);
    rig_tear_down(&rig);
}

static void alone_it_goes_on_and_says_so(void **state) {
    (void)state;
    struct rig rig;
    fall_silent(&rig, 1);
    struct sl_failover_status status;
    sl_failover_status(rig.pool, &status);
    assert_int_equal(status.serving, 0);
    assert_true(status.suspect);
    assert_int_equal(status.suspect_at.ns, rig.now.ns);
    assert_non_null(rig.job);
    rig_pass(&rig, 30000);
    assert_int_equal(rig.no_work, 0);
    rig_say(&rig, 0, "{\"id\":4,\"result\":true,\"error\":null}\n");
    rig_pump(&rig);
    assert_false(sl_failover_is_suspect(rig.pool));
    rig_tear_down(&rig);
}

static void stopping_closes_everything(void **state) {
    (void)state;
    struct rig rig;
    rig_set_up(&rig, 2);
    rig.players[0].mood = JOBLESS;
    rig_begin(&rig);
    rig_pass(&rig, 3000);
    rig.players[1].silent_on_shares = true;
    rig_submit(&rig, 1);
    sl_failover_stop(rig.pool, rig.now);
    rig_pump(&rig);
    assert_int_equal(rig.outcomes[SL_ANSWER_UNKNOWN], 1);
    assert_false(rig.players[0].open || rig.players[1].open);
    assert_int_equal(rig.no_work, 1);
    struct sl_mono when;
    assert_false(sl_failover_deadline(rig.pool, &when));
    rig_tear_down(&rig);
}

static void limits(void **state) {
    (void)state;
    struct sl_failover_config config;
    struct sl_failover *pool = NULL;
    struct rig rig;
    sl_failover_config_defaults(&config);
    assert_int_equal(sl_failover_create(&config, 1, &pool, NULL), -SL_INVALID);
    config.url_count = SL_FAILOVER_URLS_MAX + 1;
    assert_int_equal(sl_failover_create(&config, 1, &pool, NULL), -SL_INVALID);
    rig_set_up(&rig, 1);
    rig_begin(&rig);
    struct sl_share share = rig_share_of(&rig, 1);
    share.job_serial |= UINT64_C(5) << 56;
    assert_int_equal(sl_failover_submit(rig.pool, &share, rig.now, NULL), -SL_INVALID);
    rig_say(&rig, 7, "nobody\n"); /* a link that there is not */
    sl_failover_connected(rig.pool, 7, rig.now);
    sl_failover_disconnected(rig.pool, 7, "x", rig.now);
    assert_int_equal(rig_serving(&rig), 0);
    rig_tear_down(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_address_serves_and_the_others_are_left_alone),
        cmocka_unit_test(a_dead_address_costs_no_time),
        cmocka_unit_test(one_that_hangs_costs_a_head_start),
        cmocka_unit_test(work_returns_when_the_primary_gives_a_job_not_before),
        cmocka_unit_test(shares_of_the_address_that_served_still_go_there),
        cmocka_unit_test(a_share_waits_for_its_own_session),
        cmocka_unit_test(a_refused_user_leads_to_the_next_and_is_not_asked_again_soon),
        cmocka_unit_test(all_dead_is_no_busy_loop_and_any_of_them_ends_it),
        cmocka_unit_test(a_silent_address_is_left_and_its_late_answer_brings_work_back),
        cmocka_unit_test(one_that_never_answers_loses_its_shares_and_is_tried_again),
        cmocka_unit_test(all_are_tried_while_one_is_silent),
        cmocka_unit_test(alone_it_goes_on_and_says_so),
        cmocka_unit_test(a_primary_that_flaps_without_shares_comes_to_rest),
        cmocka_unit_test(stopping_closes_everything),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
