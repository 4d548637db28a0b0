/* SPDX-License-Identifier: Apache-2.0
 * What the pool does wrong on purpose, seen on the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/pool/pool_internal.h"

static const struct sl_wall now = {INT64_C(1700000000123)};

struct peer {
    struct sl_tp_pool *pool;
    struct sl_tp_session *session;
    struct sl_buf got;
};

static void take(void *context, const char *data, size_t size) {
    sl_buf_append(&((struct peer *)context)->got, data, size);
}

static bool say(struct peer *peer, const char *text) {
    return sl_tp_session_input(peer->session, text, strlen(text), now);
}

/* What was heard since the last call. */
static const char *heard(struct peer *peer) {
    static char text[400000];
    snprintf(text, sizeof text, "%.*s", (int)peer->got.len, peer->got.data ? peer->got.data : "");
    peer->got.len = 0;
    return text;
}

static void join(struct peer *peer, unsigned behaviours) {
    struct sl_tp_options options = {.difficulty = SL_TP_DIFFICULTY_ONE,
                                    .extranonce2_size = 4,
                                    .after = 2,
                                    .reconnect_to = "evil.test:7",
                                    .behaviours = behaviours};
    *peer = (struct peer){0};
    assert_int_equal(sl_tp_pool_create(&options, -1, now, &peer->pool, NULL), SL_OK);
    assert_int_equal(sl_tp_session_create(peer->pool, take, peer, &peer->session, NULL), SL_OK);
    say(peer, "{\"id\":1,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],{}]}\n"
              "{\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"t\"]}\n"
              "{\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n");
}

static void leave(struct peer *peer) {
    sl_tp_session_destroy(peer->session);
    sl_tp_pool_destroy(peer->pool);
    sl_buf_fini(&peer->got);
}

static size_t place(const char *text, const char *what) {
    const char *found = strstr(text, what);
    if (!found) {
        fail_msg("%s is not in %s", what, text);
    }
    return (size_t)(found - text);
}

static void jobs_come_before_answers(void **state) {
    (void)state;
    struct peer peer;
    join(&peer, SL_TP_MISORDER);
    const char *text = heard(&peer);
    size_t job = place(text, "mining.notify\",\"params");
    assert_true(job < place(text, "set_difficulty\",\"params"));
    assert_true(job < place(text, "\"id\":2"));
    assert_true(place(strstr(text, "\"id\":2"), "mining.notify\",\"params") <
                place(strstr(text, "\"id\":2"), "\"id\":3"));
    leave(&peer);
}

static void errors_come_in_each_shape(void **state) {
    (void)state;
    struct peer peer;
    join(&peer, SL_TP_ERROR_SHAPES);
    heard(&peer);
    for (int i = 0; i < 4; i++) {
        say(&peer,
            "{\"id\":9,\"method\":\"mining.submit\",\"params\":[\"w\",\"none\",\"\",\"\",\"\"]}\n");
    }
    const char *text = heard(&peer);
    place(text, "\"result\":false");
    place(text, "\"error\":[21,\"Job not found\",null]");
    place(text, "\"error\":{\"code\":21,\"message\":\"Job not found\"}");
    place(text, "\"error\":\"Job not found\"");
    place(text, "\"error\":null");
    leave(&peer);
}

static void each_tick_has_its_mischief(void **state) {
    (void)state;
    static const struct {
        unsigned behaviour;
        const char *wanted;
    } cases[] = {
        {SL_TP_MOVE_MASK, "mining.set_version_mask\",\"params\":[\"00ffe000\"]"},
        {SL_TP_SEND_AWAY, "client.reconnect\",\"params\":[\"evil.test\",7,0]"},
        {SL_TP_SHOW_MESSAGES, "client.show_message\",\"params\":[\"\\u0007\\u0000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer peer;
        join(&peer, cases[i].behaviour);
        heard(&peer);
        sl_tp_pool_tick(peer.pool, false, now);
        place(heard(&peer), cases[i].wanted);
        leave(&peer);
    }
}

static void the_same_job_comes_under_another_extranonce(void **state) {
    (void)state;
    struct peer peer;
    join(&peer, SL_TP_MOVE_EXTRANONCE);
    uint32_t before = peer.session->extranonce1;
    heard(&peer);
    sl_tp_pool_tick(peer.pool, false, now);
    const char *text = heard(&peer);
    const char *first = strstr(text, "mining.notify");
    const char *moved = strstr(text, "mining.set_extranonce");
    assert_true(first && moved && first < moved);
    const char *again = strstr(moved, "mining.notify");
    assert_non_null(again);
    assert_memory_equal(first, again, strcspn(first, ",") + 20); /* with its id */
    assert_int_not_equal(peer.session->extranonce1, before);
    assert_int_equal(peer.session->before_extranonce1, before);
    leave(&peer);
}

static void answers_come_late_or_twice(void **state) {
    (void)state;
    static const char bad[] =
        "{\"id\":9,\"method\":\"mining.submit\",\"params\":[\"w\",\"none\",\"\",\"\",\"\"]}\n";
    struct peer peer;
    join(&peer, SL_TP_ACK_LATE);
    heard(&peer);
    say(&peer, bad);
    assert_string_equal(heard(&peer), "");
    sl_tp_pool_tick(peer.pool, false, now);
    place(heard(&peer), "\"id\":9");
    leave(&peer);
    join(&peer, SL_TP_ACK_TWICE);
    heard(&peer);
    say(&peer, bad);
    const char *text = heard(&peer);
    place(strstr(text, "\"id\":9") + 1, "\"id\":9");
    place(text, "\"id\":99999999");
    leave(&peer);
}

static void after_so_many_shares_it_strikes(void **state) {
    (void)state;
    struct peer peer;
    join(&peer, SL_TP_DROP | SL_TP_NOISE | SL_TP_SEND_HOME);
    heard(&peer);
    sl_tp_mischief_accepted(peer.session);
    assert_string_equal(heard(&peer), "");
    assert_false(peer.session->failed);
    sl_tp_mischief_accepted(peer.session);
    const char *text = heard(&peer);
    place(text, "\"params\":[\"j\",7]");
    place(text, "client.reconnect\",\"params\":[]");
    assert_true(peer.session->failed);
    leave(&peer);
    join(&peer, SL_TP_OVERSIZE);
    heard(&peer);
    sl_tp_mischief_accepted(peer.session);
    sl_tp_mischief_accepted(peer.session);
    assert_true(strlen(heard(&peer)) > 256 * 1024);
    leave(&peer);
    join(&peer, SL_TP_STALL);
    heard(&peer);
    sl_tp_mischief_accepted(peer.session);
    sl_tp_mischief_accepted(peer.session);
    sl_tp_pool_tick(peer.pool, true, now);
    assert_true(say(&peer, "{\"id\":9,\"method\":\"mining.ping\",\"params\":[]}\n"));
    assert_string_equal(heard(&peer), "");
    leave(&peer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_come_before_answers),
        cmocka_unit_test(errors_come_in_each_shape),
        cmocka_unit_test(each_tick_has_its_mischief),
        cmocka_unit_test(the_same_job_comes_under_another_extranonce),
        cmocka_unit_test(answers_come_late_or_twice),
        cmocka_unit_test(after_so_many_shares_it_strikes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
