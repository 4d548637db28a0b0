/* SPDX-License-Identifier: Apache-2.0
 * One pool, several addresses: who serves, who is tried, and that no share is lost on the way. The
 * addresses are played by a few lines that answer as a pool does, each in its own mood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stratum/failover.h"
#include "proto/base/text.h"
#include "tests/unit/agent/stratum/rig_texts.h"

#define LINKS 3

enum mood {
    UP = 0,
    DOWN,   /* refuses connections */
    HANGS,  /* never answers a connection */
    DUMB,   /* connects, says nothing */
    STRICT, /* refuses the user */
    JOBLESS /* accepts the user, has no job */
};

struct player {
    enum mood mood;
    bool open;
    int connects, submits, closes;
    int number; /* of its jobs */
    bool silent_on_shares;
};

struct rig {
    struct sl_failover *pool;
    struct sl_mono now;
    struct player players[LINKS];
    struct sl_job *job; /* that devices have; NULL: none */
    int jobs, no_work, misconfigured;
    int outcomes[5];
    struct sl_buf logs;
};

static void say(struct rig *rig, uint32_t link, const char *text) {
    sl_failover_received(rig->pool, link, text, strlen(text), rig->now);
}

static void give_job(struct rig *rig, uint32_t link, bool clean) {
    char line[1024];
    snprintf(line, sizeof line,
             "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"p%u-%d\",\"" RIG_PREV_A
             "\",\"" RIG_COINB1 "\",\"" RIG_COINB2
             "\",[],\"20000000\",\"1d00ffff\",\"6b029597\",%s]}\n",
             link, ++rig->players[link].number, clean ? "true" : "false");
    say(rig, link, line);
}

static void answer(struct rig *rig, uint32_t link, const char *request) {
    struct player *player = &rig->players[link];
    char line[300];
    long id = strtol(strstr(request, "\"id\":") + 5, NULL, 10);
    const char *result = "true";
    char subscribed[128];
    if (!player->open || player->mood == DUMB) {
        return;
    }
    if (strstr(request, "mining.subscribe")) {
        snprintf(subscribed, sizeof subscribed, "[[[\"mining.notify\",\"s%u\"]],\"0%u00000%u\",4]",
                 link, link, link);
        result = subscribed;
    } else if (strstr(request, "mining.submit")) {
        player->submits++;
        if (player->silent_on_shares) {
            return;
        }
    } else if (strstr(request, "mining.authorize") && player->mood == STRICT) {
        result = "false";
    }
    snprintf(line, sizeof line, "{\"id\":%ld,\"result\":%s,\"error\":null}\n", id, result);
    say(rig, link, line);
    if (strstr(request, "mining.authorize") && player->mood == UP) {
        give_job(rig, link, true);
    }
}

static void act(struct rig *rig, const struct sl_failover_action *next) {
    const struct sl_stratum_action *action = &next->action;
    struct player *player = &rig->players[next->link];
    switch (action->type) {
    case SL_STRATUM_CONNECT:
        assert_int_equal(action->port, 3333 + next->link);
        assert_int_equal(action->tls, next->link == 1);
        player->connects++;
        player->open = player->mood != DOWN && player->mood != HANGS;
        if (player->open) {
            sl_failover_connected(rig->pool, next->link, rig->now);
        } else if (player->mood == DOWN) {
            sl_failover_disconnected(rig->pool, next->link, "connection refused", rig->now);
        }
        return;
    case SL_STRATUM_SEND: {
        char *text = strndup(action->data, action->size);
        answer(rig, next->link, text);
        free(text);
        return;
    }
    case SL_STRATUM_CLOSE:
        player->open = false;
        player->closes++;
        return;
    case SL_STRATUM_JOB:
        rig->jobs++;
        sl_job_unref(rig->job);
        rig->job = sl_job_ref(action->job);
        return;
    case SL_STRATUM_NO_WORK:
        rig->no_work++;
        sl_job_unref(rig->job);
        rig->job = NULL;
        return;
    case SL_STRATUM_SHARE:
        rig->outcomes[action->outcome]++;
        return;
    case SL_STRATUM_MISCONFIGURED:
        rig->misconfigured++;
        sl_buf_printf(&rig->logs, "%s\n", action->text);
        return;
    case SL_STRATUM_LOG:
        sl_buf_printf(&rig->logs, "%s\n", action->text);
        return;
    case SL_STRATUM_DIFFICULTY:
        return;
    }
}

static void pump(struct rig *rig) {
    struct sl_failover_action action;
    while (sl_failover_take(rig->pool, &action)) {
        act(rig, &action);
    }
}

static void set_up(struct rig *rig, uint32_t count) {
    struct sl_failover_config config;
    *rig = (struct rig){.now = {1000 * SL_NS_PER_S}};
    sl_failover_config_defaults(&config);
    config.url_count = count;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(config.urls[i].host, sizeof config.urls[i].host, "p%u.test", i);
        config.urls[i].port = (uint16_t)(3333 + i);
        config.urls[i].tls = i == 1;
    }
    strcpy(config.client.user, "u");
    config.client.version_mask = 0;
    config.client.extranonce_subscribe = false;
    assert_int_equal(sl_failover_create(&config, 42, &rig->pool, NULL), SL_OK);
}

static void begin(struct rig *rig) {
    sl_failover_start(rig->pool, rig->now);
    pump(rig);
}

static void tear_down(struct rig *rig) {
    sl_failover_destroy(rig->pool);
    sl_job_unref(rig->job);
    sl_buf_fini(&rig->logs);
}

/* Time goes on to `ms` from now, with every deadline kept. New jobs keep an address alive. */
static void pass(struct rig *rig, int64_t ms) {
    struct sl_mono end = sl_mono_after_ms(rig->now, ms);
    struct sl_mono feed = sl_mono_after_ms(rig->now, 60000);
    for (int i = 0;; i++) {
        struct sl_mono when;
        assert_true(i < 100000); /* a busy loop */
        if (!sl_failover_deadline(rig->pool, &when) || when.ns > end.ns) {
            when = end;
        }
        if (feed.ns < when.ns) {
            when = feed;
        }
        rig->now = when.ns > rig->now.ns ? when : rig->now;
        if (rig->now.ns >= feed.ns) {
            feed = sl_mono_after_ms(rig->now, 60000);
            for (uint32_t k = 0; k < LINKS; k++) {
                if (rig->players[k].open && rig->players[k].mood == UP) {
                    give_job(rig, k, false);
                    pump(rig);
                }
            }
        }
        sl_failover_timer(rig->pool, rig->now);
        pump(rig);
        if (rig->now.ns >= end.ns) {
            return;
        }
    }
}

static uint64_t changes(const struct rig *rig) {
    struct sl_failover_status status;
    sl_failover_status(rig->pool, &status);
    return status.changes;
}

static int serving(const struct rig *rig) {
    struct sl_failover_status status;
    sl_failover_status(rig->pool, &status);
    return status.serving;
}

static struct sl_share share_of(const struct rig *rig, uint64_t seq) {
    struct sl_work_cursor cursor;
    struct sl_work work;
    struct sl_share share;
    assert_non_null(rig->job);
    assert_int_equal(sl_work_cursor_init(&cursor, 0, 1, NULL), SL_OK);
    assert_int_equal(sl_work_next(&cursor, rig->job, &work, NULL), SL_OK);
    sl_share_from_work(&work, (uint32_t)seq, seq, &share);
    return share;
}

static void submit(struct rig *rig, uint64_t seq) {
    struct sl_share share = share_of(rig, seq);
    assert_int_equal(sl_failover_submit(rig->pool, &share, rig->now, NULL), SL_OK);
    pump(rig);
}

static void cut(struct rig *rig, uint32_t link) {
    rig->players[link].open = false;
    sl_failover_disconnected(rig->pool, link, "reset", rig->now);
    pump(rig);
}

/* ---- tests ---- */

static void the_best_address_serves_and_the_others_are_left_alone(void **state) {
    (void)state;
    struct rig rig;
    set_up(&rig, 3);
    begin(&rig);
    assert_int_equal(serving(&rig), 0);
    assert_int_equal(rig.jobs, 1);
    submit(&rig, 1);
    assert_int_equal(rig.outcomes[SL_ANSWER_ACCEPTED], 1);
    pass(&rig, 3600000);
    assert_int_equal(rig.players[0].connects, 1);
    assert_int_equal(rig.players[1].connects + rig.players[2].connects, 0);
    tear_down(&rig);
}

static void a_dead_address_costs_no_time(void **state) {
    (void)state;
    struct rig rig;
    set_up(&rig, 3);
    rig.players[0].mood = DOWN;
    rig.players[1].mood = DOWN;
    begin(&rig);
    assert_int_equal(serving(&rig), 2); /* without any time gone by */
    assert_non_null(rig.job);
    assert_non_null(strstr(rig.logs.data, "stratum+ssl://p1.test:3334: connection refused"));
    tear_down(&rig);
}

static void one_that_hangs_costs_a_head_start(void **state) {
    (void)state;
    struct rig rig;
    set_up(&rig, 2);
    rig.players[0].mood = HANGS;
    begin(&rig);
    pass(&rig, 2999);
    assert_int_equal(serving(&rig), -1);
    pass(&rig, 1);
    assert_int_equal(serving(&rig), 1);
    tear_down(&rig);
}

static void work_returns_when_the_primary_gives_a_job_not_before(void **state) {
    (void)state;
    struct rig rig;
    set_up(&rig, 2);
    begin(&rig);
    rig.players[0].mood = DOWN;
    cut(&rig, 0);
    assert_int_equal(serving(&rig), 1);
    assert_int_equal(rig.no_work, 0); /* devices went from one job to the other */
    assert_true(rig.job->clean);
    pass(&rig, 60000);
    int tried = rig.players[0].connects;
    assert_true(tried >= 2 && tried <= 1 + 3); /* three failures, then it rests */
    rig.players[0].mood = JOBLESS;
    pass(&rig, 650000); /* 5 to 10 minutes */
    assert_int_equal(rig.players[0].connects, tried + 1);
    assert_int_equal(serving(&rig), 1); /* accepted, but without a job */
    int jobs = rig.jobs;
    give_job(&rig, 0, false);
    pump(&rig);
    assert_int_equal(serving(&rig), 0);
    assert_int_equal(rig.jobs, jobs + 1);
    assert_int_equal(changes(&rig), 2); /* there and back */
    assert_true(rig.job->clean);        /* older work is another pool's */
    assert_int_equal(rig.no_work, 0);
    tear_down(&rig);
}

static void shares_of_the_address_that_served_still_go_there(void **state) {
    (void)state;
    struct rig rig;
    set_up(&rig, 2);
    rig.players[0].mood = HANGS;
    begin(&rig);
    pass(&rig, 3000);
    assert_int_equal(serving(&rig), 1);
    rig.players[1].silent_on_shares = true;
    submit(&rig, 1);
    struct sl_share late = share_of(&rig, 2);
    rig.players[0].mood = UP;
    rig.players[0].open = true;
    pass(&rig, 100000);
    if (serving(&rig) != 0) {
        pass(&rig, 600000);
    }
    assert_int_equal(serving(&rig), 0);
    tear_down(&rig);
    /* Once more, with both at hand at the moment of the change. */
    set_up(&rig, 2);
    rig.players[0].mood = JOBLESS;
    begin(&rig);
    pass(&rig, 3000);
    assert_int_equal(serving(&rig), 1);
    rig.players[1].silent_on_shares = true;
    submit(&rig, 1);
    late = share_of(&rig, 2);
    give_job(&rig, 0, true);
    pump(&rig);
    assert_int_equal(serving(&rig), 0);
    assert_true(rig.players[1].open);
    assert_int_equal(sl_failover_submit(rig.pool, &late, rig.now, NULL), SL_OK);
    pump(&rig);
    assert_int_equal(rig.players[1].submits, 2);
    assert_int_equal(rig.players[0].submits, 0);
    pass(&rig, 6000);
    assert_true(rig.players[1].open); /* for the answers */
    say(&rig, 1, "{\"id\":3,\"result\":true,\"error\":null}\n");
    say(&rig, 1, "{\"id\":4,\"result\":true,\"error\":null}\n");
    pump(&rig);
    assert_int_equal(rig.outcomes[SL_ANSWER_ACCEPTED], 2);
    assert_false(rig.players[1].open);
    assert_int_equal(rig.outcomes[SL_ANSWER_UNKNOWN] + rig.outcomes[SL_ANSWER_STALE], 0);
    tear_down(&rig);
}

static void a_share_waits_for_its_own_session(void **state) {
    (void)state;
    struct rig rig;
    set_up(&rig, 2);
    begin(&rig);
    struct sl_share late = share_of(&rig, 7);
    rig.players[0].mood = DOWN;
    cut(&rig, 0);
    assert_int_equal(serving(&rig), 1);
    assert_int_equal(sl_failover_submit(rig.pool, &late, rig.now, NULL), SL_OK);
    pump(&rig);
    assert_int_equal(rig.outcomes[SL_ANSWER_STALE], 0);
    rig.players[0].mood = UP; /* and gives the same extranonce1 again */
    pass(&rig, 10000);
    assert_int_equal(serving(&rig), 0);
    assert_int_equal(rig.players[0].submits + rig.outcomes[SL_ANSWER_STALE], 1);
    tear_down(&rig);
}

static void a_refused_user_leads_to_the_next_and_is_not_asked_again_soon(void **state) {
    (void)state;
    struct rig rig;
    set_up(&rig, 2);
    rig.players[0].mood = STRICT;
    begin(&rig);
    assert_int_equal(serving(&rig), 1);
    assert_int_equal(rig.misconfigured, 1);
    pass(&rig, 299000);
    assert_int_equal(rig.players[0].connects, 1);
    tear_down(&rig);
}

static void all_dead_is_no_busy_loop_and_any_of_them_ends_it(void **state) {
    (void)state;
    struct rig rig;
    set_up(&rig, 3);
    for (int i = 0; i < 3; i++) {
        rig.players[i].mood = DUMB;
    }
    begin(&rig);
    pass(&rig, 3600000);
    int connects = 0;
    for (int i = 0; i < 3; i++) {
        connects += rig.players[i].connects;
    }
    assert_true(connects > 60 && connects < 3 * 130); /* 15 s and 0 to 60 s each */
    rig.players[2].mood = UP;
    pass(&rig, 80000);
    assert_int_equal(serving(&rig), 2);
    tear_down(&rig);
}

static void a_primary_that_flaps_without_shares_comes_to_rest(void **state) {
    (void)state;
    struct rig rig;
    set_up(&rig, 2);
    begin(&rig);
    for (int i = 0; i < 50 && serving(&rig) == 0; i++) {
        cut(&rig, 0); /* at once after its job */
        pass(&rig, 4000);
    }
    assert_int_equal(serving(&rig), 1);
    int tried = rig.players[0].connects;
    pass(&rig, 299000);
    assert_int_equal(rig.players[0].connects, tried);
    pass(&rig, 300000);
    assert_int_equal(rig.players[0].connects, tried + 1);
    assert_int_equal(serving(&rig), 0);
    tear_down(&rig);
}

/* The first address falls silent with a share; the second is there by the time that is suspect. */
static void fall_silent(struct rig *rig, uint32_t count) {
    set_up(rig, count);
    begin(rig);
    submit(rig, 1);
    rig->players[0].silent_on_shares = true;
    submit(rig, 2);
    pass(rig, 999);
    assert_int_equal(serving(rig), 0);
    assert_int_equal(rig->players[1].connects, 0);
    pass(rig, 1);
}

static void a_silent_address_is_left_and_its_late_answer_brings_work_back(void **state) {
    (void)state;
    struct rig rig;
    fall_silent(&rig, 2);
    assert_int_equal(serving(&rig), 1);
    assert_int_equal(rig.no_work, 0);
    assert_true(rig.job->clean);
    assert_false(sl_failover_is_suspect(rig.pool));
    pass(&rig, 40000); /* longer than late shares are waited for */
    assert_int_equal(serving(&rig), 1);
    assert_true(rig.players[0].open && rig.players[0].connects == 1);
    assert_int_equal(rig.outcomes[SL_ANSWER_UNKNOWN], 0);
    say(&rig, 0, "{\"id\":4,\"result\":true,\"error\":null}\n");
    pump(&rig);
    assert_int_equal(rig.outcomes[SL_ANSWER_ACCEPTED], 2);
    assert_int_equal(serving(&rig), 0);
    pass(&rig, 6000);
    assert_false(rig.players[1].open);
    /* One that was suspected for nothing is waited for twice as long. */
    submit(&rig, 3);
    pass(&rig, 1999);
    assert_int_equal(serving(&rig), 0);
    pass(&rig, 1);
    assert_int_equal(serving(&rig), 1);
    tear_down(&rig);
}

static void one_that_never_answers_loses_its_shares_and_is_tried_again(void **state) {
    (void)state;
    struct rig rig;
    fall_silent(&rig, 2);
    pass(&rig, 58999);
    assert_int_equal(rig.outcomes[SL_ANSWER_UNKNOWN], 0);
    pass(&rig, 1);
    assert_int_equal(rig.outcomes[SL_ANSWER_UNKNOWN], 1);
    assert_non_null(strstr(rig.logs.data, "does not answer to shares"));
    pass(&rig, 1000);
    assert_int_equal(serving(&rig), 0); /* a new connection is not suspect */
    submit(&rig, 3);
    pass(&rig, 1000);
    assert_int_equal(serving(&rig), 1);
    /* It gives jobs and never an answer: after three times it rests. */
    for (int i = 0; i < 6; i++) {
        pass(&rig, 61000);
        submit(&rig, 10 + (uint64_t)i);
    }
    int connects = rig.players[0].connects;
    assert_true(connects <= 4);
    pass(&rig, 200000);
    assert_int_equal(rig.players[0].connects, connects);
    assert_int_equal(serving(&rig), 1);
    tear_down(&rig);
}

static void all_are_tried_while_one_is_silent(void **state) {
    (void)state;
    struct rig rig;
    set_up(&rig, 3);
    rig.players[1].mood = HANGS;
    begin(&rig);
    rig.players[0].silent_on_shares = true;
    submit(&rig, 1);
    pass(&rig, 1249);
    assert_int_equal(serving(&rig), 0);
    assert_true(sl_failover_is_suspect(rig.pool));
    pass(&rig, 1);
    assert_int_equal(serving(&rig), 2);
    /* That one too, and nobody else is there: better hash than not. */
    rig.players[2].silent_on_shares = true;
    submit(&rig, 2);
    pass(&rig, 2000);
    assert_int_equal(serving(&rig), 2);
    assert_true(sl_failover_is_suspect(rig.pool));
    say(&rig, 2, "{\"id\":3,\"result\":true,\"error\":null}\n");
    pump(&rig);
    assert_false(sl_failover_is_suspect(rig.pool));
    assert_int_equal(serving(&rig), 2);
    tear_down(&rig);
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
    pass(&rig, 30000);
    assert_int_equal(rig.no_work, 0);
    say(&rig, 0, "{\"id\":4,\"result\":true,\"error\":null}\n");
    pump(&rig);
    assert_false(sl_failover_is_suspect(rig.pool));
    tear_down(&rig);
}

static void stopping_closes_everything(void **state) {
    (void)state;
    struct rig rig;
    set_up(&rig, 2);
    rig.players[0].mood = JOBLESS;
    begin(&rig);
    pass(&rig, 3000);
    rig.players[1].silent_on_shares = true;
    submit(&rig, 1);
    sl_failover_stop(rig.pool, rig.now);
    pump(&rig);
    assert_int_equal(rig.outcomes[SL_ANSWER_UNKNOWN], 1);
    assert_false(rig.players[0].open || rig.players[1].open);
    assert_int_equal(rig.no_work, 1);
    struct sl_mono when;
    assert_false(sl_failover_deadline(rig.pool, &when));
    tear_down(&rig);
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
    set_up(&rig, 1);
    begin(&rig);
    struct sl_share share = share_of(&rig, 1);
    share.job_serial |= UINT64_C(5) << 56;
    assert_int_equal(sl_failover_submit(rig.pool, &share, rig.now, NULL), -SL_INVALID);
    say(&rig, 7, "nobody\n"); /* a link that there is not */
    sl_failover_connected(rig.pool, 7, rig.now);
    sl_failover_disconnected(rig.pool, 7, "x", rig.now);
    assert_int_equal(serving(&rig), 0);
    tear_down(&rig);
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
