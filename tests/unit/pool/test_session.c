/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/pool/pool.h"

static const struct sl_wall now = {1700000000000};

struct peer {
    struct sl_tp_session *session;
    struct sl_buf got;
};

static void take(void *context, const char *data, size_t size) {
    struct peer *peer = context;
    sl_buf_append(&peer->got, data, size);
}

static struct sl_tp_pool *make_pool(unsigned behaviours) {
    struct sl_tp_options options = {.difficulty = SL_TP_DIFFICULTY_ONE / 8,
                                    .extranonce2_size = 4,
                                    .branches = 0,
                                    .seed = 1,
                                    .behaviours = behaviours};
    struct sl_tp_pool *pool;
    assert_int_equal(sl_tp_pool_create(&options, -1, now, &pool, NULL), SL_OK);
    return pool;
}

static void join(struct sl_tp_pool *pool, struct peer *peer) {
    *peer = (struct peer){0};
    assert_int_equal(sl_tp_session_create(pool, take, peer, &peer->session, NULL), SL_OK);
}

static void leave(struct peer *peer) {
    sl_tp_session_destroy(peer->session);
    sl_buf_fini(&peer->got);
}

/* What came back for this text; the connection must stay. */
static const char *say(struct peer *peer, const char *text) {
    peer->got.len = 0;
    if (peer->got.data) {
        peer->got.data[0] = '\0';
    }
    assert_true(sl_tp_session_input(peer->session, text, strlen(text), now));
    return peer->got.data ? peer->got.data : "";
}

static void login(struct peer *peer) {
    say(peer, "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n"
              "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n");
}

/* Id and newest job of what the peer last got. */
static void job_id(const struct peer *peer, char out[48]) {
    const char *notify = strstr(peer->got.data, "\"mining.notify\",\"params\":[\"");
    assert_non_null(notify);
    sscanf(notify + strlen("\"mining.notify\",\"params\":[\""), "%47[^\"]", out);
}

static void ids_come_back_as_they_were(void **state) {
    (void)state;
    struct sl_tp_pool *pool = make_pool(0);
    struct peer peer;
    join(pool, &peer);
    assert_string_equal(say(&peer, "{\"id\":\"a\",\"method\":\"mining.ping\",\"params\":[]}\n"
                                   "{\"id\":4,\"method\":\"mining.ping\"}\r\n\n"
                                   "{\"id\":4,\"method\":\"x.y\"}\n"
                                   "{\"method\":\"mining.ping\"}\n"
                                   "{\"id\":1.5,\"result\":true}\n"),
                        "{\"id\":\"a\",\"result\":\"pong\",\"error\":null}\n"
                        "{\"id\":4,\"result\":\"pong\",\"error\":null}\n"
                        "{\"id\":4,\"result\":null,\"error\":[20,\"Unknown method\",null]}\n"
                        "{\"id\":null,\"result\":\"pong\",\"error\":null}\n");
    leave(&peer);
    sl_tp_pool_destroy(pool);
}

static void the_order_of_the_greeting_is_enforced(void **state) {
    (void)state;
    struct sl_tp_pool *pool = make_pool(0);
    struct peer peer;
    join(pool, &peer);
    assert_string_equal(
        say(&peer,
            "{\"id\":1,\"method\":\"mining.submit\",\"params\":[\"w\",\"j\",\"\",\"\",\"\"]}\n"),
        "{\"id\":1,\"result\":null,\"error\":[25,\"Not subscribed\",null]}\n");
    assert_true(strstr(
        say(&peer, "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\"]}\n"), "[25,"));
    assert_true(strstr(say(&peer, "{\"id\":3,\"method\":\"mining.subscribe\",\"params\":[]}\n"),
                       "\",4],\"error\":null}"));
    assert_string_equal(
        say(&peer,
            "{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"w\",\"j\",\"\",\"\",\"\"]}\n"),
        "{\"id\":4,\"result\":null,\"error\":[24,\"Unauthorized worker\",null]}\n");
    const char *got =
        say(&peer, "{\"id\":5,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n");
    const char *yes = strstr(got, "{\"id\":5,\"result\":true,\"error\":null}\n");
    const char *difficulty = strstr(got, "\"mining.set_difficulty\",\"params\":[0.125]");
    const char *notify = strstr(got, "\"mining.notify\"");
    assert_true(yes && difficulty && notify && yes < difficulty && difficulty < notify);
    leave(&peer);
    sl_tp_pool_destroy(pool);
}

static void each_wrong_submit_has_its_code(void **state) {
    (void)state;
    static const struct {
        const char *rest; /* after worker and job */
        int code;
    } cases[] = {
        {"\"00000000\",\"6553f100\",\"00000000\"", 23},
        {"\"000000\",\"6553f100\",\"00000000\"", 20},
        {"\"0000000000\",\"6553f100\",\"00000000\"", 20},
        {"\"0000000g\",\"6553f100\",\"00000000\"", 20},
        {"\"00000000\",\"6553f0ff\",\"00000000\"", 20}, /* a second before the job */
        {"\"00000000\",\"65540d20\",\"00000000\"", 23}, /* 7200 s after it */
        {"\"00000000\",\"65540d21\",\"00000000\"", 20},
        {"\"00000000\",\"6553f100\",\"0000000\"", 20},
        {"\"00000000\",\"6553f100\",7", 20},
        {"\"00000000\",\"6553f100\",\"00000000\",\"00000000\"", 20}, /* not negotiated */
        {"\"00000000\",\"6553f100\"", 20},
        {"\"00000000\",\"6553f100\",\"00000000\",\"00000000\",\"\"", 20},
    };
    struct sl_tp_pool *pool = make_pool(0);
    struct peer peer;
    char id[48], line[300], code[16];
    join(pool, &peer);
    login(&peer);
    job_id(&peer, id);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(line, sizeof line,
                 "{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"w\",\"%s\",%s]}\n", id,
                 cases[i].rest);
        snprintf(code, sizeof code, "[%d,", cases[i].code);
        assert_true(strstr(say(&peer, line), code));
    }
    assert_true(strstr(say(&peer, "{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"w\",\"no\","
                                  "\"00000000\",\"6553f100\",\"00000000\"]}\n"),
                       "[21,\"Job not found\""));
    assert_true(
        strstr(say(&peer, "{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"v\"]}\n"), "[24,"));
    assert_true(
        strstr(say(&peer, "{\"id\":4,\"method\":\"mining.submit\",\"params\":{}}\n"), "[24,"));
    sl_tp_pool_tick(pool, true, now);
    snprintf(line, sizeof line,
             "{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"w\",\"%s\",%s]}\n", id,
             cases[0].rest);
    assert_true(strstr(say(&peer, line), "[21,\"Stale share\""));
    struct sl_tp_counts counts = sl_tp_pool_counts(pool);
    assert_int_equal(counts.stale, 2);
    assert_int_equal(counts.rejected, sizeof cases / sizeof cases[0] + 2);
    leave(&peer);
    sl_tp_pool_destroy(pool);
}

static void version_bits_are_held_to_the_mask(void **state) {
    (void)state;
    struct sl_tp_pool *pool = make_pool(0);
    struct peer peer;
    char id[48], line[300];
    static const struct {
        const char *bits;
        const char *code;
    } cases[] = {{"", "[20,"},
                 {",\"00006000\"", "[23,"},
                 {",\"00000000\"", "[23,"},
                 {",\"0000e000\"", "[20,"}, /* outside what this miner asked for */
                 {",\"6000\"", "[20,"}};
    join(pool, &peer);
    assert_string_equal(
        say(&peer, "{\"id\":1,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\","
                   "\"minimum-difficulty\"],{\"version-rolling.mask\":\"f0006000\"}]}\n"),
        "{\"id\":1,\"result\":{\"version-rolling\":true,\"version-rolling.mask\":\"10006000\","
        "\"minimum-difficulty\":false},\"error\":null}\n");
    login(&peer);
    job_id(&peer, id);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(line, sizeof line,
                 "{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"w\",\"%s\",\"00000000\","
                 "\"6553f100\",\"00000000\"%s]}\n",
                 id, cases[i].bits);
        assert_true(strstr(say(&peer, line), cases[i].code));
    }
    leave(&peer);
    sl_tp_pool_destroy(pool);
    pool = make_pool(SL_TP_NO_VERSION_ROLLING);
    join(pool, &peer);
    assert_true(strstr(say(&peer, "{\"id\":1,\"method\":\"mining.configure\",\"params\":"
                                  "[[\"version-rolling\"],{}]}\n"),
                       "\"version-rolling\":false}"));
    leave(&peer);
    sl_tp_pool_destroy(pool);
}

static void sessions_are_resumed_by_their_id_only(void **state) {
    (void)state;
    struct sl_tp_pool *pool = make_pool(0);
    struct peer a, b, c;
    char sid[48], first[9], second[9], line[200];
    join(pool, &a);
    const char *got = say(&a, "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n");
    assert_int_equal(sscanf(strstr(got, "mining.notify"),
                            "mining.notify\",\"%47[0-9a-f]\"]],\"%8[0-9a-f]", sid, first),
                     2);
    snprintf(line, sizeof line,
             "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"m\",\"%s\"]}\n", sid);
    join(pool, &b); /* while it is in use, another one is given */
    got = say(&b, line);
    assert_int_equal(sscanf(strstr(got, "]],\""), "]],\"%8[0-9a-f]", second), 1);
    assert_string_not_equal(first, second);
    leave(&a);
    join(pool, &c);
    got = say(&c, line);
    assert_int_equal(sscanf(strstr(got, "]],\""), "]],\"%8[0-9a-f]", second), 1);
    assert_string_equal(first, second);
    leave(&c);
    sid[23] = sid[23] == '0' ? '1' : '0'; /* of another run of the pool */
    snprintf(line, sizeof line,
             "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"m\",\"%s\"]}\n", sid);
    join(pool, &c);
    got = say(&c, line);
    assert_int_equal(sscanf(strstr(got, "]],\""), "]],\"%8[0-9a-f]", second), 1);
    assert_string_not_equal(first, second);
    leave(&c);
    leave(&b);
    sl_tp_pool_destroy(pool);
}

static void floods_and_noise_are_cut_off(void **state) {
    (void)state;
    struct sl_tp_pool *pool = make_pool(0);
    static char filler[SL_TP_LINE_MAX + 2];
    struct peer peer;
    memset(filler, ' ', sizeof filler);
    join(pool, &peer);
    assert_true(sl_tp_session_input(peer.session, filler, SL_TP_LINE_MAX, now));
    assert_false(sl_tp_session_input(peer.session, filler, 1, now));
    leave(&peer);
    join(pool, &peer);
    filler[SL_TP_LINE_MAX + 1] = '\n';
    assert_false(sl_tp_session_input(peer.session, filler, sizeof filler, now));
    leave(&peer);
    static const char *const noise[] = {"GET / HTTP/1.1\n", "[]\n", "7\n", "{\"id\":\n", "\xff\n"};
    for (size_t i = 0; i < sizeof noise / sizeof noise[0]; i++) {
        join(pool, &peer);
        assert_false(sl_tp_session_input(peer.session, noise[i], strlen(noise[i]), now));
        leave(&peer);
    }
    sl_tp_pool_destroy(pool);
}

static void misbehaviour_on_request(void **state) {
    (void)state;
    struct peer peer;
    struct sl_tp_pool *pool = make_pool(SL_TP_REFUSE_AUTH);
    join(pool, &peer);
    login(&peer);
    assert_true(strstr(peer.got.data, "{\"id\":2,\"result\":false,\"error\":[24,"));
    assert_null(strstr(peer.got.data, "\"id\":null,\"method\":\"mining.notify\""));
    leave(&peer);
    sl_tp_pool_destroy(pool);
    pool = make_pool(SL_TP_SILENT);
    join(pool, &peer);
    login(&peer);
    assert_null(peer.got.data);
    leave(&peer);
    sl_tp_pool_destroy(pool);
}

static void suggestions_count_where_they_are_allowed(void **state) {
    (void)state;
    for (int allowed = 0; allowed < 2; allowed++) {
        struct sl_tp_options options = {
            .difficulty = SL_TP_DIFFICULTY_ONE, .extranonce2_size = 4, .allow_suggest = allowed};
        struct sl_tp_pool *pool;
        struct peer peer;
        assert_int_equal(sl_tp_pool_create(&options, -1, now, &pool, NULL), SL_OK);
        join(pool, &peer);
        login(&peer);
        assert_true(strstr(peer.got.data, "\"mining.set_difficulty\",\"params\":[1]"));
        say(&peer, "{\"id\":3,\"method\":\"mining.suggest_difficulty\",\"params\":[0.25]}\n");
        assert_null(strstr(peer.got.data, "set_difficulty")); /* just before the next job */
        peer.got.len = 0;
        sl_tp_pool_tick(pool, false, now);
        assert_int_equal(
            strstr(peer.got.data, "\"mining.set_difficulty\",\"params\":[0.25]") != NULL, allowed);
        leave(&peer);
        sl_tp_pool_destroy(pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_come_back_as_they_were),
        cmocka_unit_test(the_order_of_the_greeting_is_enforced),
        cmocka_unit_test(each_wrong_submit_has_its_code),
        cmocka_unit_test(version_bits_are_held_to_the_mask),
        cmocka_unit_test(sessions_are_resumed_by_their_id_only),
        cmocka_unit_test(floods_and_noise_are_cut_off),
        cmocka_unit_test(misbehaviour_on_request),
        cmocka_unit_test(suggestions_count_where_they_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
