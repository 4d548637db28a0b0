/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/stratum/rig.h"

static void a_submit_carries_the_shares_fields(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    struct sl_share share = rig_share(&rig, 11);
    share.nonce = 0xb2957c02;
    share.ntime = 0x504e86ed;
    share.version_bits = 0x00c02000;
    memcpy(share.extranonce2, "\x00\xab\x00\x01", 4);
    assert_int_equal(sl_stratum_submit(rig.client, &share, rig.now, NULL), SL_OK);
    assert_string_equal(rig_did(&rig),
                        "> {\"id\":4,\"method\":\"mining.submit\",\"params\":[\"u\",\"j1\","
                        "\"00ab0001\",\"504e86ed\",\"b2957c02\",\"00c02000\"]}\n");
    rig_fini(&rig);
}

/* What pools answer, in all four shapes of `error` and with both kinds of "no". */
static void every_shape_of_an_answer_is_understood(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        const char *outcome;
        int code;
    } cases[] = {
        {"\"result\":true,\"error\":null", "accepted", 0},
        {"\"result\":true", "accepted", 0},
        {"\"result\":true,\"error\":[]", "accepted", 0},
        {"\"result\":true,\"error\":\"\"", "accepted", 0},
        {"\"result\":{\"status\":\"OK\"},\"error\":null", "accepted", 0},
        {"\"result\":null,\"error\":[21,\"Job not found\",null]", "stale", 21},
        {"\"result\":false,\"error\":[21,\"Invalid JobID\"]", "stale", 21},
        {"\"result\":null,\"error\":[20,\"Stale share\",null]", "stale", 20},
        {"\"result\":false,\"error\":{\"code\":20,\"message\":\"STALE-work\"}", "stale", 20},
        {"\"result\":false,\"error\":{\"code\":21,\"message\":\"Duplicate\"}", "stale", 21},
        {"\"result\":false,\"error\":\"job not found\"", "stale", 0},
        {"\"result\":null,\"error\":[-1,\"Job not found\",null]", "stale", -1},
        {"\"result\":null,\"error\":[20,\"Ntime out of range\",null]", "rejected", 20},
        {"\"result\":false,\"error\":[22,\"Duplicate share\",null]", "rejected", 22},
        {"\"result\":false,\"error\":[23,\"Above target (stale?)\",null]", "rejected", 23},
        {"\"result\":null,\"error\":{\"code\":23,\"message\":\"Low difficulty\"}", "rejected", 23},
        {"\"result\":false,\"error\":\"low difficulty\"", "rejected", 23},
        {"\"result\":false,\"error\":[20,\"Above Target\",null]", "rejected", 23},
        {"\"result\":false,\"error\":\"Duplicate share\"", "rejected", 22},
        {"\"result\":false,\"error\":[-2,\"duplicate, and stale\",null]", "stale", -2},
        {"\"result\":false,\"error\":null", "rejected", 0},
        {"\"result\":null,\"error\":null", "rejected", 0},
        {"\"result\":true,\"error\":[20,\"contradiction\"]", "rejected", 20},
        {"\"result\":false,\"error\":[\"text first\",20]", "rejected", 0},
        {"\"result\":null,\"error\":[99999999999999,\"huge\"]", "rejected", 1000000},
        {"\"error\":{\"code\":\"21\",\"message\":7}", "stale", 21},
        {"\"error\":[\"22\",\"Duplicate\",null]", "rejected", 22},
        {"\"error\":[\"-2\",\"no\",null]", "rejected", -2},
        {"\"error\":{\"code\":23.0,\"message\":null}", "rejected", 23},
        {"\"error\":{\"code\":\"21a\",\"message\":7}", "rejected", 0},
        {"\"error\":22", "rejected", 22},
        {"\"error\":21.0", "stale", 21},
        {"\"result\":true,\"error\":0.0", "accepted", 0},
        {"\"error\":true", "rejected", 0},
    };
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[200], expected[100];
        rig_submit(&rig, i + 1);
        rig_did(&rig);
        snprintf(line, sizeof line, "{\"id\":%zu,%s}\n", i + 4, cases[i].answer);
        rig_say(&rig, line);
        snprintf(expected, sizeof expected, "share %zu %s sent %d\n", i + 1, cases[i].outcome,
                 cases[i].code);
        assert_string_equal(rig_did(&rig), expected);
    }
    struct sl_stratum_status status;
    sl_stratum_status(rig.client, &status);
    assert_int_equal(status.accepted, 6);
    assert_int_equal(status.stale, 10);
    assert_int_equal(status.rejected, 18);
    assert_int_equal(status.unanswered, 0);
    rig_fini(&rig);
}

static void answers_are_matched_by_id_in_any_order(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    for (uint64_t seq = 1; seq <= 4; seq++) {
        rig_submit(&rig, seq); /* ids 4 to 7 */
    }
    rig_did(&rig);
    rig_say(&rig, "{\"id\":6,\"result\":true,\"error\":null}\n{\"id\":\"4\",\"result\":true}\n");
    assert_string_equal(rig_did(&rig), "share 3 accepted sent 0\nshare 1 accepted sent 0\n");
    /* A second answer, ids of nobody, and ids that are no numbers change nothing. */
    rig_say(&rig,
            "{\"id\":6,\"result\":true}\n{\"id\":99,\"result\":true}\n{\"id\":-1,\"result\":true}\n"
            "{\"id\":5.5,\"result\":true}\n{\"id\":[5],\"result\":true}\n"
            "{\"id\":\"5x\",\"result\":true}\n{\"id\":null,\"result\":true}\n"
            "{\"id\":9223372036854775807,\"result\":true}\n{\"id\":\"\",\"result\":true}\n");
    assert_string_equal(rig_did(&rig), "");
    assert_int_equal(rig_state(&rig), SL_STRATUM_READY);
    rig_say(&rig, "{\"id\":7,\"result\":true}\n{\"id\":5.0,\"result\":true}\n");
    assert_string_equal(rig_did(&rig), "share 4 accepted sent 0\nshare 2 accepted sent 0\n");
    rig_fini(&rig);
}

/* Pools answer in order. One answer that is lost says nothing about the connection; that a later
 * share has none does. */
static void one_lost_answer_costs_one_share(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_submit(&rig, 1); /* id 4 */
    rig_submit(&rig, 2);
    rig_say(&rig, "{\"id\":5,\"result\":true}\n");
    rig_did(&rig);
    assert_int_equal(rig_pass_to_deadline(&rig), 60000);
    assert_string_equal(rig_did(&rig), "share 1 unknown sent 0\n");
    assert_int_equal(rig_state(&rig), SL_STRATUM_READY);
    assert_true(rig_logged(&rig, "answers to later shares, and not to 1:"));
    rig_say(&rig, "{\"id\":4,\"result\":true}\n"); /* too late: it has its one outcome */
    assert_string_equal(rig_did(&rig), "");
    for (uint64_t seq = 3; seq <= 5; seq++) {
        rig_submit(&rig, seq); /* ids 6 to 8 */
    }
    rig_say(&rig, "{\"id\":7,\"result\":true}\n");
    rig_did(&rig);
    assert_int_equal(rig_pass_to_deadline(&rig), 60000);
    assert_string_equal(rig_did(&rig),
                        "close\nshare 3 unknown sent 0\nshare 5 unknown sent 0\nno_work\n");
    assert_true(rig_logged(&rig, "does not answer to shares"));
    struct sl_stratum_status status;
    sl_stratum_status(rig.client, &status);
    assert_int_equal(status.accepted, 2);
    assert_int_equal(status.unknown, 3);
    rig_fini(&rig);
}

static void shares_of_retired_jobs_stay_here(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    struct sl_share old = rig_share(&rig, 1);
    rig_say(&rig, RIG_JOB("j2", RIG_PREV_A, "false"));
    rig_did(&rig);
    assert_int_equal(sl_stratum_submit(rig.client, &old, rig.now, NULL), SL_OK);
    assert_true(strstr(rig_did(&rig), "mining.submit")); /* not clean: still good */
    rig_say(&rig, RIG_JOB("j3", RIG_PREV_B, "true"));
    rig_did(&rig);
    old.seq = 2;
    assert_int_equal(sl_stratum_submit(rig.client, &old, rig.now, NULL), SL_OK);
    assert_string_equal(rig_did(&rig), "share 2 stale local 0\n");
    rig_fini(&rig);
}

/* The pool would grade it as a share of the new job: refused at best. */
static void shares_of_a_job_whose_id_went_to_another_stay_here(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    struct sl_share of_first = rig_share(&rig, 1);
    rig_say(&rig, RIG_JOB("j1", RIG_PREV_A, "false")); /* the same once more: shares are good */
    rig_did(&rig);
    assert_int_equal(sl_stratum_submit(rig.client, &of_first, rig.now, NULL), SL_OK);
    assert_non_null(strstr(rig_did(&rig), "mining.submit"));
    of_first.seq = 2;
    rig_say(&rig, "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"j1\",\"" RIG_PREV_A
                  "\",\"" RIG_COINB1 "\",\"" RIG_COINB2
                  "\",[],\"20000004\",\"1c2ac4af\",\"504e86b9\",false]}\n");
    rig_did(&rig);
    assert_int_equal(sl_stratum_submit(rig.client, &of_first, rig.now, NULL), SL_OK);
    assert_string_equal(rig_did(&rig), "share 2 stale local 0\n");
    struct sl_share of_second = rig_share(&rig, 3);
    assert_int_equal(sl_stratum_submit(rig.client, &of_second, rig.now, NULL), SL_OK);
    assert_non_null(strstr(rig_did(&rig), "mining.submit"));
    rig_fini(&rig);
}

static void submit_stale_sends_them_all_the_same(void **state) {
    (void)state;
    struct rig rig;
    struct sl_stratum_config config;
    rig_config(&config);
    config.submit_stale = true;
    rig_init_with(&rig, &config);
    rig_ready(&rig);
    struct sl_share old = rig_share(&rig, 1);
    rig_say(&rig, RIG_JOB("j2", RIG_PREV_B, "true"));
    rig_did(&rig);
    assert_int_equal(sl_stratum_submit(rig.client, &old, rig.now, NULL), SL_OK);
    assert_true(strstr(rig_did(&rig), "mining.submit"));
    rig_fini(&rig);
}

/* Connection lost with one share sent and one found meanwhile; then the pool is back. */
static void lose_and_return(struct rig *rig, const char *subscribed) {
    rig_ready(rig);
    rig_submit(rig, 1);
    rig_did(rig);
    sl_stratum_disconnected(rig->client, "reset by peer", rig->now);
    assert_string_equal(rig_did(rig), "share 1 unknown sent 0\nno_work\n");
    rig_submit(rig, 2);
    assert_string_equal(rig_did(rig), "");
    rig_pass_to_deadline(rig);
    sl_stratum_connected(rig->client, rig->now);
    /* The session id of the first connection goes back. */
    assert_true(strstr(rig_did(rig),
                       "\"id\":6,\"method\":\"mining.subscribe\",\"params\":[\"t/1\",\"s1\"]"));
    rig_submit(rig, 3);
    rig_say(rig, "{\"id\":5,\"result\":{\"version-rolling\":true,\"version-rolling.mask\":"
                 "\"1fffe000\"},\"error\":null}\n");
    assert_string_equal(rig_did(rig), "");
    rig_say(rig, subscribed);
}

static void a_resumed_session_keeps_its_shares(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    lose_and_return(&rig, "{\"id\":6,\"result\":[[[\"mining.notify\",\"s1\"]],\"08000002\",4]}\n");
    assert_true(strstr(rig_did(&rig), "mining.authorize"));
    rig_say(&rig, "{\"id\":7,\"result\":true}\n");
    assert_string_equal(rig_did(&rig),
                        "> {\"id\":8,\"method\":\"mining.submit\",\"params\":[\"u\",\"j1\","
                        "\"00000000\",\"504e86b9\",\"00000002\",\"00000000\"]}\n"
                        "> {\"id\":9,\"method\":\"mining.submit\",\"params\":[\"u\",\"j1\","
                        "\"00000000\",\"504e86b9\",\"00000003\",\"00000000\"]}\n");
    struct sl_stratum_status status;
    sl_stratum_status(rig.client, &status);
    assert_int_equal(status.session, 1);
    assert_int_equal(status.unanswered, 2);
    rig_fini(&rig);
}

static void a_new_session_makes_them_stale(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    lose_and_return(&rig, "{\"id\":6,\"result\":[[[\"mining.notify\",\"s2\"]],\"08000003\",4]}\n");
    assert_string_equal(rig_did(&rig),
                        "share 2 stale local 0\nshare 3 stale local 0\n"
                        "> {\"id\":7,\"method\":\"mining.authorize\",\"params\":[\"u\",\"x\"]}\n");
    rig_say(&rig, "{\"id\":7,\"result\":true}\n");
    rig_submit(&rig, 4); /* the rig still holds the old job */
    assert_string_equal(rig_did(&rig), "share 4 stale local 0\n");
    assert_null(sl_stratum_job(rig.client));
    rig_fini(&rig);
}

static void the_same_extranonce1_of_another_size_is_another_session(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    lose_and_return(&rig, "{\"id\":6,\"result\":[[[\"mining.notify\",\"s1\"]],\"08000002\",8]}\n");
    assert_true(strstr(rig_did(&rig), "share 2 stale local 0\n"));
    rig_fini(&rig);
}

static void a_refusal_settles_what_waits(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    lose_and_return(&rig, "{\"id\":6,\"result\":[[],\"08000002\",4]}\n");
    rig_did(&rig);
    rig_say(&rig, "{\"id\":7,\"result\":false}\n");
    assert_string_equal(rig_did(&rig),
                        "close\nshare 2 stale local 0\nshare 3 stale local 0\nmisconfigured\n");
    rig_submit(&rig, 4);
    assert_string_equal(rig_did(&rig), "share 4 stale local 0\n");
    rig_fini(&rig);
}

/* The first share of a fresh connection is answered with this error. */
static void first_share_refused(const char *error, const char *wanted,
                                enum sl_stratum_state after) {
    struct rig rig;
    char answer[160];
    rig_init(&rig);
    rig_ready(&rig);
    rig_submit(&rig, 1);
    rig_did(&rig);
    snprintf(answer, sizeof answer, "{\"id\":4,\"result\":null,\"error\":%s}\n", error);
    rig_say(&rig, answer);
    assert_string_equal(rig_did(&rig), wanted);
    assert_int_equal(rig_state(&rig), after);
    rig_fini(&rig);
}

static void codes_24_and_25_end_the_connection(void **state) {
    (void)state;
    static const char unauthorized[] = "share 1 rejected sent 24\nclose\nno_work\nmisconfigured\n";
    first_share_refused("[24,\"Unauthorized worker\",null]", unauthorized, SL_STRATUM_REFUSED);
    /* A pool that tells it by a text alone is not hashed for without end either. */
    first_share_refused("[20,\"Unauthorized worker\",null]", unauthorized, SL_STRATUM_REFUSED);
    first_share_refused("[25,\"Not subscribed\",null]",
                        "share 1 rejected sent 25\nclose\nno_work\n", SL_STRATUM_WAITING);
}

/* A pool that is restarted knows nobody until its database is up; a proxy before it says 24 to
 * every share of a miner that has not authorized with the new pool. Minutes of hashing would be
 * lost. */
static void a_user_who_was_good_is_refused_only_after_half_a_minute(void **state) {
    (void)state;
    static const int64_t bounds_ms[] = {1000, 2000, 4000, 8000, 16000, 32000};
    struct rig rig;
    char line[160];
    int id = 6;
    rig_init(&rig);
    rig_ready(&rig);
    rig_submit(&rig, 1);
    rig_submit(&rig, 2);
    rig_say(&rig, "{\"id\":4,\"result\":true}\n");
    rig_did(&rig);
    rig_say(&rig, "{\"id\":5,\"result\":null,\"error\":[24,\"Unauthorized worker\",null]}\n");
    assert_string_equal(rig_did(&rig), "share 2 rejected sent 24\nclose\nno_work\n");
    assert_true(rig_logged(&rig, "whose shares it took before (Unauthorized worker)"));
    for (size_t i = 0; i < sizeof bounds_ms / sizeof bounds_ms[0]; i++, id += 3) {
        assert_int_equal(rig_state(&rig), SL_STRATUM_WAITING);
        assert_in_range(rig_pass_to_deadline(&rig), 0, bounds_ms[i]);
        rig_connect(&rig);
        snprintf(line, sizeof line, "{\"id\":%d,\"result\":[[],\"08000002\",4]}\n", id + 1);
        rig_say(&rig, line);
        rig_did(&rig);
        snprintf(line, sizeof line, "{\"id\":%d,\"result\":false}\n", id + 2);
        rig_say(&rig, line);
    }
    assert_string_equal(rig_did(&rig), "close\nmisconfigured\n");
    assert_int_equal(rig_state(&rig), SL_STRATUM_REFUSED);
    rig_fini(&rig);
}

static void too_many_open_shares_are_pushed_back(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    for (uint64_t seq = 1; seq <= SL_STRATUM_SHARES_MAX; seq++) {
        rig_submit(&rig, seq);
    }
    struct sl_share share = rig_share(&rig, 5000);
    assert_int_equal(sl_stratum_submit(rig.client, &share, rig.now, NULL), -SL_AGAIN);
    sl_stratum_disconnected(rig.client, "", rig.now);
    rig_take(&rig);
    assert_int_equal(rig.shares, SL_STRATUM_SHARES_MAX); /* one outcome each */
    for (uint64_t seq = 1; seq <= SL_STRATUM_SHARES_MAX; seq++) {
        rig_submit(&rig, seq);
    }
    assert_int_equal(sl_stratum_submit(rig.client, &share, rig.now, NULL), -SL_AGAIN);
    share.extranonce2_size = 0;
    assert_int_equal(sl_stratum_submit(rig.client, &share, rig.now, NULL), -SL_INVALID);
    share.extranonce2_size = 5;
    assert_int_equal(sl_stratum_submit(rig.client, &share, rig.now, NULL), -SL_INVALID);
    sl_stratum_stop(rig.client, rig.now);
    rig_take(&rig);
    assert_int_equal(rig.shares, 2 * SL_STRATUM_SHARES_MAX);
    rig_fini(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_submit_carries_the_shares_fields),
        cmocka_unit_test(every_shape_of_an_answer_is_understood),
        cmocka_unit_test(answers_are_matched_by_id_in_any_order),
        cmocka_unit_test(one_lost_answer_costs_one_share),
        cmocka_unit_test(shares_of_retired_jobs_stay_here),
        cmocka_unit_test(shares_of_a_job_whose_id_went_to_another_stay_here),
        cmocka_unit_test(submit_stale_sends_them_all_the_same),
        cmocka_unit_test(a_resumed_session_keeps_its_shares),
        cmocka_unit_test(a_new_session_makes_them_stale),
        cmocka_unit_test(the_same_extranonce1_of_another_size_is_another_session),
        cmocka_unit_test(a_refusal_settles_what_waits),
        cmocka_unit_test(codes_24_and_25_end_the_connection),
        cmocka_unit_test(a_user_who_was_good_is_refused_only_after_half_a_minute),
        cmocka_unit_test(too_many_open_shares_are_pushed_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
