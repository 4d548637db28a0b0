/* SPDX-License-Identifier: Apache-2.0
 * Pools that lie, babble or break: the client ends the connection with a text that says why, backs
 * off, and every share still gets exactly one outcome. */
#include "tests/unit/agent/stratum/rig.h"

static void broken_messages_end_the_connection(void **state) {
    (void)state;
    static const struct {
        const char *line;
        const char *says;
    } cases[] = {
        {"hello\n", "not JSON"},
        {"\x16\x03\x01\x02\n", "not JSON"}, /* TLS on a plain port */
        {"HTTP/1.1 400 Bad Request\r\n", "not JSON"},
        {"{\"id\":1,\n", "not JSON"},
        {"[1,2,3]\n", "not an object"},
        {"{}\n", "neither a method nor a result"},
        {"{\"id\":123456789012345678901234567890,\"result\":true}\n", "not JSON"},
        {"{\"method\":7,\"params\":[]}\n", "method that is not a string"},
        {"{\"method\":\"mining.notify\",\"params\":{}}\n", "not a list"},
        {"{\"method\":\"mining.notify\",\"params\":[]}\n", "fields"},
        {"{\"method\":\"mining.notify\"}\n", "fields"},
        {"{\"method\":\"mining.set_difficulty\",\"params\":[]}\n", "difficulty is not a number"},
        {"{\"method\":\"mining.set_difficulty\",\"params\":[-1]}\n", "above 0"},
        {"{\"method\":\"mining.set_difficulty\",\"params\":[1e200]}\n", "above 2^31"},
        {"{\"method\":\"mining.set_difficulty\"}\n", "difficulty is not a number"},
        {"{\"method\":\"mining.set_extranonce\",\"params\":[\"zz\",4]}\n", "extranonce1"},
        {"{\"method\":\"mining.set_extranonce\",\"params\":[\"aa\",0]}\n", "extranonce2"},
        {"{\"method\":\"mining.set_version_mask\",\"params\":[1]}\n", "version mask"},
        {RIG_JOB("", RIG_PREV_A, "true"), "job id"},
        {RIG_JOB("j2", "00", "true"), "prevhash"},
        {"{\"method\":\"mining.notify\",\"params\":[\"j\",\"" RIG_PREV_A
         "\",\"00\",\"00\",[],\"20000000\",\"1c2ac4af\",\"504e86b9\",true]}\n",
         "coinbase of 10 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig rig;
        rig_init(&rig);
        rig_ready(&rig);
        rig_submit(&rig, 1);
        rig_did(&rig);
        rig_say(&rig, cases[i].line);
        assert_string_equal(rig_did(&rig), "close\nshare 1 unknown sent 0\nno_work\n");
        assert_int_equal(rig_state(&rig), SL_STRATUM_WAITING);
        if (!rig_logged(&rig, cases[i].says)) {
            fail_msg("%s: not said: %s", rig.logs.data, cases[i].says);
        }
        /* What it sends after that is not looked at, and it is tried again. */
        rig_say(&rig, RIG_JOB("j9", RIG_PREV_B, "true"));
        assert_string_equal(rig_did(&rig), "");
        rig_pass_to_deadline(&rig);
        assert_string_equal(rig_did(&rig), "connect eu.miners.example 3333\n");
        rig_fini(&rig);
    }
}

static void a_broken_greeting_ends_it_too(void **state) {
    (void)state;
    static const char *const answers[] = {
        "{\"id\":2,\"result\":true}\n",
        "{\"id\":2,\"result\":[]}\n",
        "{\"id\":2,\"result\":[[],\"xx\",4]}\n",
        "{\"id\":2,\"result\":[[],\"aa\",\"4\"]}\n",
        "{\"id\":2,\"result\":[[],\"aa\",99]}\n",
        "{\"id\":2,\"result\":{\"a\":1}}\n",
        "{\"id\":2,\"result\":null,\"error\":\"Failed subscription\"}\n",
        "{\"method\":\"mining.notify\",\"params\":[1]}\n" RIG_SUBSCRIBED("aa"),
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct rig rig;
        rig_init(&rig);
        rig_connect(&rig);
        rig_did(&rig);
        rig_say(&rig, answers[i]);
        assert_string_equal(rig_did(&rig), "close\n");
        assert_int_equal(rig_state(&rig), SL_STRATUM_WAITING);
        rig_fini(&rig);
    }
}

static void answers_nobody_asked_for_do_nothing(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_connect(&rig);
    rig_did(&rig);
    rig_say(&rig, "{\"id\":3,\"result\":true}\n{\"id\":0,\"result\":true}\n"
                  "{\"id\":-1,\"result\":[[],\"aa\",4]}\n{\"id\":null,\"result\":[[],\"aa\",4]}\n");
    assert_int_equal(rig_state(&rig), SL_STRATUM_SUBSCRIBING);
    rig_say(&rig, "{\"id\":null,\"error\":[20,\"go \\u0007away\",null]}\n");
    assert_true(rig_logged(&rig, "the pool reports: go ?away"));
    rig_say(&rig, RIG_SUBSCRIBED("aa") RIG_SUBSCRIBED("bb"));
    assert_int_equal(rig_state(&rig), SL_STRATUM_AUTHORIZING);
    struct sl_stratum_status status;
    sl_stratum_status(rig.client, &status);
    assert_int_equal(status.session, 1);
    rig_fini(&rig);
}

static uint64_t next(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *seed >> 33;
}

/* Good dialogues with damage at random places, cut at random places: no crash, no leak, no double
 * or lost outcome. The sanitizer builds run it too. */
static void damaged_dialogues(void **state) {
    (void)state;
    static const char script[] =
        "{\"id\":1,\"result\":{\"version-rolling\":true,\"version-rolling.mask\":\"1fffe000\"}}"
        "\n" RIG_SUBSCRIBED(
            "08000002") "{\"id\":3,\"result\":true,\"error\":null}\n"
                        "{\"method\":\"mining.set_difficulty\",\"params\":[0.5]}\n" RIG_JOB(
                            "j1", RIG_PREV_A,
                            "true") "{\"id\":4,\"result\":true,\"error\":null}\n"
                                    "{\"id\":5,\"result\":null,\"error\":[21,\"Job not "
                                    "found\",null]}\n"
                                    "{\"method\":\"mining.set_extranonce\",\"params\":[\"aabb\",3]}"
                                    "\n"
                                    "{\"method\":\"mining.set_version_mask\",\"params\":["
                                    "\"00ffe000\"]}\n" RIG_JOB(
                                        "j2", RIG_PREV_B,
                                        "false") "{\"id\":9,\"method\":\"client.show_message\","
                                                 "\"params\":[\"x\"]}\n"
                                                 "{\"id\":6,\"result\":false,\"error\":{\"code\":"
                                                 "23,\"message\":\"low\"}}\n"
                                                 "{\"id\":null,\"method\":\"client.reconnect\","
                                                 "\"params\":[\"us.miners.example\",1,1]}\n";
    static char damaged[sizeof script];
    uint64_t seed = 7;
    int ready = 0;
    for (int round = 0; round < 4000; round++) {
        struct rig rig;
        int submitted = 0;
        rig_init(&rig);
        rig_connect(&rig);
        memcpy(damaged, script, sizeof script);
        for (uint64_t hits = next(&seed) % 4; hits > 0; hits--) {
            damaged[next(&seed) % (sizeof script - 1)] = (char)next(&seed);
        }
        for (size_t i = 0; i < sizeof script - 1;) {
            size_t n = 1 + next(&seed) % 400;
            n = n < sizeof script - 1 - i ? n : sizeof script - 1 - i;
            sl_stratum_received(rig.client, damaged + i, n, rig.now);
            rig_take(&rig);
            i += n;
            if (rig.job) {
                submitted++;
                rig_submit(&rig, (uint64_t)submitted);
            }
        }
        ready += rig.job != NULL;
        sl_stratum_stop(rig.client, rig.now);
        rig_take(&rig);
        assert_int_equal(rig.shares, submitted);
        rig_fini(&rig);
    }
    assert_true(ready > 2000); /* the damage left enough to look at */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_messages_end_the_connection),
        cmocka_unit_test(a_broken_greeting_ends_it_too),
        cmocka_unit_test(answers_nobody_asked_for_do_nothing),
        cmocka_unit_test(damaged_dialogues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
