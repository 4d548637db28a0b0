/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stratum/client_internal.h"
#include "tests/unit/agent/stratum/rig.h"

static void the_subscriptions_list_may_look_like_anything(void **state) {
    (void)state;
    static const struct {
        const char *list;
        const char *session_id; /* sent with the next subscribe */
    } cases[] = {
        {"[[\"mining.set_difficulty\",\"d\"],[\"mining.notify\",\"n\"]]", ",\"n\""},
        {"[[\"mining.notify\",\"n\"],[\"mining.set_difficulty\",\"d\"]]", ",\"n\""},
        {"[[\"mining.notify\",\"n\"]]", ",\"n\""},
        {"[[\"mining.set_difficulty\",\"d\"]]", ",\"d\""},
        {"[\"mining.notify\",\"n\"]", ",\"n\""},
        {"null", ""},
        {"[]", ""},
        {"\"n\"", ""},
        {"[[7,8],[\"mining.notify\"],[]]", ""},
        {"[[\"mining.notify\",\"n\\u0000\"]]", ""}, /* as it can be taken it names another */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig rig;
        char text[300];
        rig_init(&rig);
        rig_connect(&rig);
        snprintf(text, sizeof text, "{\"id\":2,\"result\":[%s,\"0a\",2],\"error\":null}\n",
                 cases[i].list);
        rig_say(&rig, text);
        assert_int_equal(rig_state(&rig), SL_STRATUM_AUTHORIZING);
        sl_stratum_disconnected(rig.client, "", rig.now);
        rig_pass_to_deadline(&rig);
        sl_stratum_connected(rig.client, rig.now);
        snprintf(text, sizeof text, "\"mining.subscribe\",\"params\":[\"t/1\"%s]",
                 cases[i].session_id);
        assert_true(strstr(rig_did(&rig), text));
        rig_fini(&rig);
    }
}

/* Refused, answered oddly, ended, or never answered: some pools know no second parameter. */
static void a_subscribe_that_fails_drops_the_session_id(void **state) {
    (void)state;
    static const char *const answers[] = {
        "{\"id\":5,\"result\":null,\"error\":[20,\"unknown session\",null]}\n",
        "{\"id\":5,\"result\":[]}\n", "", NULL};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct rig rig;
        rig_init(&rig);
        rig_ready(&rig);
        sl_stratum_disconnected(rig.client, "", rig.now);
        rig_pass_to_deadline(&rig);
        sl_stratum_disconnected(rig.client, "connection refused", rig.now);
        rig_pass_to_deadline(&rig); /* one that was not reached says nothing of that kind */
        sl_stratum_connected(rig.client, rig.now);
        assert_true(strstr(rig_did(&rig), "[\"t/1\",\"s1\"]"));
        if (!answers[i]) {
            rig_pass_to_deadline(&rig);
        } else if (answers[i][0]) {
            rig_say(&rig, answers[i]);
        } else {
            sl_stratum_disconnected(rig.client, "closed", rig.now);
        }
        assert_int_equal(rig_state(&rig), SL_STRATUM_WAITING);
        assert_true(i > 0 || rig_logged(&rig, "refused mining.subscribe: unknown session"));
        rig_pass_to_deadline(&rig);
        sl_stratum_connected(rig.client, rig.now);
        assert_true(strstr(rig_did(&rig), "\"params\":[\"t/1\"]"));
        rig_fini(&rig);
    }
}

/* The fourth time in a row, and only where the option is still on. */
static void who_hangs_up_at_a_question_gets_a_hint(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct rig rig;
        rig_init(&rig);
        rig_connect(&rig);
        bool ready = i % 2;
        for (int k = 0; k < 4; k++) {
            assert_false(rig_logged(&rig, "helps with some"));
            if (k > 0) {
                rig_pass_to_deadline(&rig);
                sl_stratum_connected(rig.client, rig.now);
            }
            if (ready) {
                char line[120];
                int64_t id = rig.client->link.subscribe_id;
                snprintf(line, sizeof line, "{\"id\":%d,\"result\":[[],\"0a\",4]}\n", (int)id);
                rig_say(&rig, line);
                snprintf(line, sizeof line, "{\"id\":%d,\"result\":true}\n", (int)id + 1);
                rig_say(&rig, line);
                assert_int_equal(rig_state(&rig), SL_STRATUM_READY);
            }
            rig.client->config.version_mask = i & 2 ? 0 : 0x1fffe000;
            rig.client->config.extranonce_subscribe = (i & 4) == 0;
            sl_stratum_disconnected(rig.client, "the pool closed the connection", rig.now);
            rig_did(&rig);
        }
        assert_int_equal(rig_logged(&rig, "closed the connection before it answered: "
                                          "version_rolling: false helps with some"),
                         !ready && (i & 2) == 0);
        assert_int_equal(rig_logged(&rig, "extranonce_subscribe: false helps with some; next"),
                         ready && (i & 4) == 0);
        rig_fini(&rig);
    }
}

static void requests_of_the_pool_are_answered_with_their_id(void **state) {
    (void)state;
    static const struct {
        const char *request;
        const char *answer;
    } cases[] = {
        {"{\"id\":8,\"method\":\"client.get_version\",\"params\":[]}\n",
         "> {\"id\":8,\"result\":\"t/1\",\"error\":null}\n"},
        {"{\"id\":\"a\",\"method\":\"mining.ping\"}\n",
         "> {\"id\":\"a\",\"result\":\"pong\",\"error\":null}\n"},
        {"{\"id\":9,\"method\":\"mining.ping\",\"params\":null}\n",
         "> {\"id\":9,\"result\":\"pong\",\"error\":null}\n"},
        {"{\"id\":9,\"method\":\"mining.ping\",\"params\":{}}\n",
         "> {\"id\":9,\"result\":\"pong\",\"error\":null}\n"},
        {"{\"id\":9,\"method\":\"client.get_version\",\"params\":\"\"}\n",
         "> {\"id\":9,\"result\":\"t/1\",\"error\":null}\n"},
        {"{\"id\":9,\"method\":\"client.show_message\",\"params\":\"hi\"}\n",
         "> {\"id\":9,\"result\":true,\"error\":null}\n"},
        {"{\"id\":null,\"method\":\"mining.ping\",\"params\":[]}\n", ""},
        {"{\"id\":1,\"method\":\"client.show_message\",\"params\":[\"hi\"]}\n",
         "> {\"id\":1,\"result\":true,\"error\":null}\n"},
        {"{\"id\":null,\"method\":\"client.show_message\",\"params\":[\"hi\"]}\n", ""},
        {"{\"id\":[1,2],\"method\":\"mining.other\",\"params\":{\"a\":1}}\n",
         "> {\"id\":[1,2],\"result\":null,\"error\":[-3,\"Method not found\",null]}\n"},
        {"{\"method\":\"mining.other\"}\n", ""},
    };
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_say(&rig, cases[i].request);
        assert_string_equal(rig_did(&rig), cases[i].answer);
        assert_int_equal(rig_state(&rig), SL_STRATUM_READY);
    }
    rig_fini(&rig);
}

static void messages_are_cleaned_and_limited(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_say(&rig, "{\"id\":null,\"method\":\"client.show_message\",\"params\":"
                  "[\"a\\u001b[31m\\nb\\u0085c\\u007f \xc3\xa4\"]}\n");
    assert_true(rig_logged(&rig, "message of the pool: a?[31m?b?c? \xc3\xa4\n"));
    for (int i = 0; i < 1000; i++) {
        rig_say(&rig, "{\"method\":\"client.show_message\",\"params\":[\"spam\"]}\n");
    }
    size_t lines = 0;
    for (const char *p = rig.logs.data; (p = strstr(p, "spam")); p++) {
        lines++;
    }
    assert_true(lines > 0 && lines <= 50);
    rig_fini(&rig);
}

/* A pool that writes \u0000 or half a surrogate keeps its connection. */
static void texts_that_are_none_do_not_end_a_connection(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_say(&rig,
            "{\"id\":8,\"method\":\"client.show_message\",\"params\":[\"a\\u0000\\ud800\"]}\n");
    assert_string_equal(rig_did(&rig), "> {\"id\":8,\"result\":true,\"error\":null}\n");
    assert_true(rig_logged(&rig, "message of the pool: a??\n"));
    rig_say(&rig, "{\"id\":null,\"result\":null,\"error\":[20,\"no\\u0000pe\",null]}\n");
    assert_true(rig_logged(&rig, "the pool reports: no?pe\n"));
    static const char *const matter[] = {"mining.notify", "mining.set_extranonce",
                                         "client.reconnect", "mining.ping"};
    for (size_t i = 0; i < sizeof matter / sizeof matter[0]; i++) {
        char line[120], logged[120];
        snprintf(line, sizeof line, "{\"id\":\"\\udc00\",\"method\":\"%s\",\"params\":[]}\n",
                 matter[i]);
        snprintf(logged, sizeof logged,
                 "ignored: the pool sent %s with a character that no text has\n", matter[i]);
        rig_say(&rig, line);
        assert_string_equal(rig_did(&rig), "");
        assert_true(rig_logged(&rig, logged));
    }
    assert_int_equal(rig_state(&rig), SL_STRATUM_READY);
    rig_fini(&rig);
}

static void reconnects_stay_within_the_domain(void **state) {
    (void)state;
    static const struct {
        const char *params;
        const char *then; /* NULL: ignored */
        int64_t wait_ms;  /* at least */
    } cases[] = {
        {"[]", "connect eu.miners.example 3333\n", 0},
        {"[null,null,5]", "connect eu.miners.example 3333\n", 5000},
        {"[\"\",3334,0]", "connect eu.miners.example 3334\n", 0},
        {"[\"us.miners.example\",\"3335\",2.5]", "connect us.miners.example 3335\n", 2000},
        {"[\"us.miners.example\",3335,99999999]", "connect us.miners.example 3335\n", 60000},
        {"[\"us.miners.example\",3335,-4]", "connect us.miners.example 3335\n", 0},
        {"[\"evil.example\",3333,0]", NULL, 0},
        {"[\"miners.example.evil.example\",3333]", NULL, 0},
        {"[\"us.miners.example\",0]", NULL, 0},
        {"[\"us.miners.example\",65536]", NULL, 0},
        {"[\"us.miners.example\",\"33x\"]", NULL, 0},
        {"[7,3333]", NULL, 0},
        {"[\"us.miners.example\",{}]", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig rig;
        char line[300];
        rig_init(&rig);
        rig_ready(&rig);
        snprintf(line, sizeof line, "{\"id\":null,\"method\":\"client.reconnect\",\"params\":%s}\n",
                 cases[i].params);
        rig_say(&rig, line);
        if (!cases[i].then) {
            assert_string_equal(rig_did(&rig), "");
            assert_int_equal(rig_state(&rig), SL_STRATUM_READY);
            assert_true(rig_logged(&rig, "ignored"));
        } else {
            assert_string_equal(rig_did(&rig), "close\nno_work\n");
            assert_true(rig_pass_to_deadline(&rig) >= cases[i].wait_ms);
            assert_string_equal(rig_did(&rig), cases[i].then);
        }
        rig_fini(&rig);
    }
}

static void a_dead_end_leads_back_home(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_say(&rig, "{\"id\":null,\"method\":\"client.reconnect\",\"params\":[\"us.miners.example\","
                  "3335]}\n");
    rig_did(&rig);
    rig_pass_to_deadline(&rig);
    assert_string_equal(rig_did(&rig), "connect us.miners.example 3335\n");
    sl_stratum_disconnected(rig.client, "refused", rig.now);
    rig_pass_to_deadline(&rig);
    assert_string_equal(rig_did(&rig), "connect eu.miners.example 3333\n");
    rig_fini(&rig);
}

/* A pool that always sends us on must not keep us busy. */
/* The pool's answers to shares stand behind its request, and those shares would be of unknown fate.
 */
static void who_is_sent_away_hears_the_answers_first(void **state) {
    (void)state;
    static const char away[] = "{\"id\":null,\"method\":\"client.reconnect\",\"params\":[]}\n";
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_submit(&rig, 1);
    rig_did(&rig);
    rig_say(&rig, away);
    assert_string_equal(rig_did(&rig), "");
    rig_submit(&rig, 2);
    assert_non_null(strstr(rig_did(&rig), "mining.submit"));
    rig_say(&rig, "{\"id\":4,\"result\":true}\n");
    assert_string_equal(rig_did(&rig), "share 1 accepted sent 0\n");
    rig_say(&rig, "{\"id\":5,\"result\":true}\n");
    assert_string_equal(rig_did(&rig), "share 2 accepted sent 0\nclose\nno_work\n");
    assert_int_equal(rig_state(&rig), SL_STRATUM_WAITING);
    rig_fini(&rig);
    /* Not for longer than a second, however often it asks. */
    rig_init(&rig);
    rig_ready(&rig);
    rig_submit(&rig, 1);
    rig_say(&rig, away);
    rig_pass(&rig, 999);
    rig_say(&rig, away);
    rig_did(&rig);
    assert_int_equal(rig_pass_to_deadline(&rig), 1);
    assert_string_equal(rig_did(&rig), "close\nshare 1 unknown sent 0\nno_work\n");
    assert_int_equal(rig_state(&rig), SL_STRATUM_WAITING);
    rig_fini(&rig);
}

static void endless_reconnects_back_off(void **state) {
    (void)state;
    struct rig rig;
    int64_t total = 0;
    rig_init(&rig);
    sl_stratum_start(rig.client, rig.now);
    for (int i = 0; i < 40; i++) {
        sl_stratum_connected(rig.client, rig.now);
        rig_say(&rig, "{\"method\":\"client.reconnect\",\"params\":[]}\n");
        total += rig_pass_to_deadline(&rig);
    }
    assert_true(total > 40 * 15000);
    rig_fini(&rig);
}

static void configure_answers_of_every_kind(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        bool rolling;
        uint32_t mask;
    } cases[] = {
        {"\"result\":{\"version-rolling\":true,\"version-rolling.mask\":\"1fffe000\"}", true,
         0x1fffe000},
        {"\"result\":{\"version-rolling\":true,\"version-rolling.mask\":\"ffffffff\"}", true,
         0x1fffe000},
        {"\"result\":{\"version-rolling\":true,\"version-rolling.mask\":\"00006000\"}", true,
         0x6000},
        {"\"result\":{\"version-rolling\":true,\"version-rolling.mask\":\"00000000\"}", true, 0},
        /* No mask, or none that can be read: mined on without rolling. */
        {"\"result\":{\"version-rolling\":true}", false, 0},
        {"\"result\":{\"version-rolling\":true,\"version-rolling.mask\":5}", false, 0},
        {"\"result\":{\"version-rolling\":false}", false, 0},
        {"\"result\":{\"version-rolling\":\"not here\"}", false, 0},
        {"\"result\":{}", false, 0},
        {"\"result\":null,\"error\":[20,\"unknown method\",null]", false, 0},
        {"\"result\":false,\"error\":\"no\"", false, 0},
        {"\"result\":true", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig rig;
        struct sl_stratum_status status;
        char line[200];
        rig_init(&rig);
        rig_connect(&rig);
        snprintf(line, sizeof line, "{\"id\":1,%s}\n", cases[i].answer);
        rig_say(&rig, line);
        sl_stratum_status(rig.client, &status);
        assert_int_equal(status.state, SL_STRATUM_SUBSCRIBING);
        assert_int_equal(status.version_rolling, cases[i].rolling);
        assert_int_equal(status.version_mask, cases[i].mask);
        rig_fini(&rig);
    }
    /* A pool that answers configure late, or never, is mined on all the same. */
    struct rig rig;
    rig_init(&rig);
    rig_connect(&rig);
    rig_say(&rig, RIG_SUBSCRIBED("0a") "{\"id\":3,\"result\":true}\n");
    rig_say(&rig, RIG_JOB("j1", RIG_PREV_A, "true"));
    rig_did(&rig);
    rig_say(&rig, "{\"id\":1,\"result\":{\"version-rolling\":true,\"version-rolling.mask\":"
                  "\"00006000\"}}\n");
    assert_string_equal(rig_did(&rig), "job 2 j1 - 1\n");
    assert_int_equal(rig.job->terms.version_mask, 0x6000);
    rig_fini(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_subscriptions_list_may_look_like_anything),
        cmocka_unit_test(a_subscribe_that_fails_drops_the_session_id),
        cmocka_unit_test(who_hangs_up_at_a_question_gets_a_hint),
        cmocka_unit_test(requests_of_the_pool_are_answered_with_their_id),
        cmocka_unit_test(messages_are_cleaned_and_limited),
        cmocka_unit_test(texts_that_are_none_do_not_end_a_connection),
        cmocka_unit_test(reconnects_stay_within_the_domain),
        cmocka_unit_test(a_dead_end_leads_back_home),
        cmocka_unit_test(who_is_sent_away_hears_the_answers_first),
        cmocka_unit_test(endless_reconnects_back_off),
        cmocka_unit_test(configure_answers_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
