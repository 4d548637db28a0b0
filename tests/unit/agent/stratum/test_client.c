/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/stratum/rig.h"

static void the_greeting_follows_the_protocols_order(void **state) {
    (void)state;
    struct rig rig;
    struct sl_stratum_config config;
    rig_config(&config);
    config.extranonce_subscribe = true;
    config.suggest_difficulty = 0.25;
    rig_init_with(&rig, &config);
    assert_false(sl_stratum_deadline(rig.client, &rig.now));
    sl_stratum_start(rig.client, rig.now);
    sl_stratum_start(rig.client, rig.now); /* once is enough */
    assert_string_equal(rig_did(&rig), "connect eu.miners.example 3333\n");
    sl_stratum_connected(rig.client, rig.now);
    assert_string_equal(
        rig_did(&rig),
        "> {\"id\":1,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],"
        "{\"version-rolling.mask\":\"1fffe000\",\"version-rolling.min-bit-count\":2}]}\n"
        "> {\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"t/1\"]}\n");
    rig_say(&rig, RIG_SUBSCRIBED("08000002"));
    assert_string_equal(rig_did(&rig),
                        "> {\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"u\",\"x\"]}\n");
    rig_say(&rig, "{\"id\":3,\"result\":true,\"error\":null}\n");
    assert_string_equal(
        rig_did(&rig), "> {\"id\":4,\"method\":\"mining.extranonce.subscribe\",\"params\":[]}\n"
                       "> {\"id\":5,\"method\":\"mining.suggest_difficulty\",\"params\":[0.25]}\n");
    assert_int_equal(rig_state(&rig), SL_STRATUM_READY);
    rig_fini(&rig);
}

static void no_version_mask_means_no_configure(void **state) {
    (void)state;
    struct rig rig;
    struct sl_stratum_config config;
    rig_config(&config);
    config.version_mask = 0;
    rig_init_with(&rig, &config);
    rig_connect(&rig);
    assert_string_equal(rig_did(&rig),
                        "connect eu.miners.example 3333\n"
                        "> {\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"t/1\"]}\n");
    rig_fini(&rig);
}

/* Attempts without success: the bound doubles from 1 s to 60 s, the wait is anywhere below. */
static void back_off_doubles_with_full_jitter(void **state) {
    (void)state;
    struct rig rig;
    int64_t seen_max = 0, sum = 0;
    rig_init(&rig);
    sl_stratum_start(rig.client, rig.now);
    for (int i = 0; i < 300; i++) {
        int64_t bound = i < 6 ? INT64_C(1000) << i : 60000;
        sl_stratum_connected(rig.client, rig.now);
        sl_stratum_disconnected(rig.client, "connection reset", rig.now);
        assert_int_equal(rig_state(&rig), SL_STRATUM_WAITING);
        int64_t waited = rig_pass_to_deadline(&rig);
        assert_true(waited >= 0 && waited <= bound);
        assert_int_equal(rig_state(&rig), SL_STRATUM_CONNECTING);
        if (i >= 6) {
            seen_max = waited > seen_max ? waited : seen_max;
            sum += waited;
        }
    }
    assert_true(seen_max > 55000);
    assert_true(sum / 294 > 25000 && sum / 294 < 35000);
    assert_true(rig_logged(&rig, "connection reset; next attempt in"));
    rig_fini(&rig);
}

/* A pool that lets us in and then breaks off must not be tried every second for ever. */
static void only_an_accepted_share_resets_the_back_off(void **state) {
    (void)state;
    struct rig rig;
    struct sl_stratum_status status;
    rig_init(&rig);
    sl_stratum_start(rig.client, rig.now);
    for (int i = 0; i < 9; i++) {
        sl_stratum_disconnected(rig.client, "", rig.now);
        rig_pass_to_deadline(&rig);
    }
    sl_stratum_status(rig.client, &status);
    assert_int_equal(status.attempts, 10);
    sl_stratum_connected(rig.client, rig.now);
    rig_say(&rig, "{\"id\":2,\"result\":[null,\"aa\",4],\"error\":null}\n");
    rig_say(&rig, "{\"id\":3,\"result\":true,\"error\":null}\n");
    rig_say(&rig, RIG_JOB("j1", RIG_PREV_A, "true"));
    sl_stratum_status(rig.client, &status);
    assert_int_equal(status.attempts, 10);
    rig_submit(&rig, 1);
    rig_say(&rig, "{\"id\":4,\"result\":true,\"error\":null}\n");
    sl_stratum_disconnected(rig.client, "", rig.now);
    assert_true(rig_pass_to_deadline(&rig) <= 1000);
    rig_fini(&rig);
}

static void each_step_has_its_time_limit(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    sl_stratum_start(rig.client, rig.now);
    rig_pass(&rig, 14999);
    assert_int_equal(rig_state(&rig), SL_STRATUM_CONNECTING);
    assert_int_equal(rig_pass_to_deadline(&rig), 1);
    assert_int_equal(rig_state(&rig), SL_STRATUM_WAITING);
    assert_string_equal(rig_did(&rig), "connect eu.miners.example 3333\nclose\n");
    rig_pass_to_deadline(&rig);
    sl_stratum_connected(rig.client, rig.now);
    assert_int_equal(rig_pass_to_deadline(&rig), 15000);
    assert_true(rig_logged(&rig, "does not answer mining.subscribe"));
    rig_pass_to_deadline(&rig);
    sl_stratum_connected(rig.client, rig.now);
    rig_say(&rig, "{\"id\":4,\"result\":[[],\"aa\",4],\"error\":null}\n");
    assert_int_equal(rig_state(&rig), SL_STRATUM_AUTHORIZING);
    assert_int_equal(rig_pass_to_deadline(&rig), 15000);
    assert_true(rig_logged(&rig, "does not answer mining.authorize"));
    rig_fini(&rig);
}

static void a_pool_without_jobs_is_left_after_300_s(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_pass(&rig, 299000);
    rig_say(&rig, RIG_JOB("j2", RIG_PREV_A, "false"));
    rig_pass(&rig, 299000);
    rig_say(&rig, "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1]}\n");
    assert_int_equal(rig_state(&rig), SL_STRATUM_READY); /* a difficulty is not a job */
    assert_int_equal(rig_pass_to_deadline(&rig), 1000);
    assert_int_equal(rig_state(&rig), SL_STRATUM_WAITING);
    assert_true(rig_logged(&rig, "sends no jobs any more"));
    assert_true(strstr(rig_did(&rig), "close\nno_work\n"));
    rig_fini(&rig);
}

static void a_pool_that_ignores_shares_is_left(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_submit(&rig, 7);
    rig_did(&rig);
    assert_int_equal(rig_pass_to_deadline(&rig), 60000);
    assert_string_equal(rig_did(&rig), "close\nshare 7 unknown sent 0\nno_work\n");
    rig_fini(&rig);
}

static void a_refused_user_is_retried_slowly_and_named(void **state) {
    (void)state;
    static const char *const refusals[] = {
        "\"result\":false,\"error\":null",
        "\"result\":null,\"error\":null",
        "\"result\":null,\"error\":[24,\"Unauthorized worker\",null]",
        "\"result\":false,\"error\":{\"code\":24,\"message\":\"Unauthorized\"}",
        "\"error\":\"Invalid user\"",
    };
    struct rig rig;
    rig_init(&rig);
    sl_stratum_start(rig.client, rig.now);
    int64_t least = 300000;
    int id = 0;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        char line[200];
        sl_stratum_connected(rig.client, rig.now);
        snprintf(line, sizeof line, "{\"id\":%d,\"result\":[[],\"aa\",4]}\n", id + 2);
        rig_say(&rig, line);
        rig_did(&rig);
        snprintf(line, sizeof line, "{\"id\":%d,%s}\n", id + 3, refusals[i]);
        rig_say(&rig, line);
        assert_string_equal(rig_did(&rig), "close\nmisconfigured\n");
        assert_int_equal(rig_state(&rig), SL_STRATUM_REFUSED);
        int64_t waited = rig_pass_to_deadline(&rig);
        assert_true(waited >= least && waited <= least + least / 4);
        least = least * 2 > 3600000 ? 3600000 : least * 2;
        id += 3;
    }
    assert_true(rig_logged(&rig, "check user and password"));
    struct sl_stratum_config config;
    rig_config(&config);
    config.refused_retry_ms = 59999;
    struct sl_stratum *none = NULL;
    assert_int_equal(sl_stratum_create(&config, 1, &none, NULL), -SL_INVALID);
    rig_fini(&rig);
}

static void bad_configurations_are_refused(void **state) {
    (void)state;
    struct sl_stratum_config config;
    struct sl_stratum *none = NULL;
    rig_config(&config);
    config.user[0] = '\0';
    assert_int_equal(sl_stratum_create(&config, 1, &none, NULL), -SL_INVALID);
    rig_config(&config);
    strcpy(config.user, "\xff");
    assert_int_equal(sl_stratum_create(&config, 1, &none, NULL), -SL_INVALID);
    rig_config(&config);
    config.url.port = 0;
    assert_int_equal(sl_stratum_create(&config, 1, &none, NULL), -SL_INVALID);
    rig_config(&config);
    config.backoff_max_ms = 1;
    assert_int_equal(sl_stratum_create(&config, 1, &none, NULL), -SL_INVALID);
    assert_null(none);
}

/* The longest pause of `count` failures, each with or without a connection before it. */
static int64_t longest_pause_ms(struct rig *rig, int count, bool connected) {
    int64_t longest = 0;
    for (int i = 0; i < count; i++) {
        if (connected) {
            sl_stratum_connected(rig->client, rig->now);
        }
        sl_stratum_disconnected(rig->client, "refused", rig->now);
        assert_int_equal(rig_state(rig), SL_STRATUM_WAITING);
        int64_t from = rig->now.ns;
        rig_pass_to_deadline(rig);
        assert_int_equal(rig_state(rig), SL_STRATUM_CONNECTING);
        int64_t pause_ms = (rig->now.ns - from) / SL_NS_PER_MS;
        longest = pause_ms > longest ? pause_ms : longest;
    }
    return longest;
}

static void a_pool_that_is_not_there_is_tried_again_soon_for_a_while(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    sl_stratum_start(rig.client, rig.now);
    int64_t longest = longest_pause_ms(&rig, 100, false);
    assert_in_range(longest, 1500, 3000);
    assert_true(longest_pause_ms(&rig, 30, false) > 10000);
    /* One that lets us in and throws us out is not: its pauses grow at once. */
    assert_true(longest_pause_ms(&rig, 30, true) > 10000);
    /* Once it was there, it counts as new when it is gone. */
    assert_in_range(longest_pause_ms(&rig, 50, false), 1500, 3000);
    rig_fini(&rig);
}

static void lines_may_be_cut_anywhere(void **state) {
    (void)state;
    static const char all[] =
        "\r\n{\"id\":1,\"result\":{\"version-rolling\":true,\"version-rolling.mask\":"
        "\"1fffe000\"},\"error\":null}\r\n" RIG_SUBSCRIBED(
            "08000002") "{\"id\":3,\"result\":true,\"error\":null}\n\n"
                        "{\"method\":\"mining.set_difficulty\",\"params\":[0.5]}\n" RIG_JOB(
                            "j1", RIG_PREV_A, "true");
    char expected[2000];
    for (size_t step = 1; step <= sizeof all; step += step < 4 ? 1 : 97) {
        struct rig rig;
        rig_init(&rig);
        rig_connect(&rig);
        for (size_t i = 0; i < sizeof all - 1; i += step) {
            size_t n = sizeof all - 1 - i < step ? sizeof all - 1 - i : step;
            sl_stratum_received(rig.client, all + i, n, rig.now);
        }
        const char *did = rig_did(&rig);
        if (step == 1) {
            snprintf(expected, sizeof expected, "%s", did);
            assert_true(strstr(did, "difficulty 0.5\njob 1 j1 clean 0.5\n"));
        }
        assert_string_equal(did, expected);
        rig_fini(&rig);
    }
}

static void an_endless_line_ends_the_connection(void **state) {
    (void)state;
    struct rig rig;
    static char filler[SL_STRATUM_LINE_MAX + 10];
    memset(filler, ' ', sizeof filler);
    rig_init(&rig);
    rig_connect(&rig);
    sl_stratum_received(rig.client, filler, SL_STRATUM_LINE_MAX, rig.now);
    assert_int_equal(rig_state(&rig), SL_STRATUM_SUBSCRIBING);
    sl_stratum_received(rig.client, "x", 1, rig.now);
    assert_int_equal(rig_state(&rig), SL_STRATUM_WAITING);
    assert_true(rig_logged(&rig, "more than 256 KiB"));
    rig_pass_to_deadline(&rig);
    sl_stratum_connected(rig.client, rig.now);
    filler[SL_STRATUM_LINE_MAX + 5] = '\n'; /* complete, but too long */
    sl_stratum_received(rig.client, filler, sizeof filler, rig.now);
    assert_int_equal(rig_state(&rig), SL_STRATUM_WAITING);
    rig_fini(&rig);
}

static void stop_settles_everything_and_start_begins_again(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_submit(&rig, 1);
    rig_did(&rig);
    sl_stratum_stop(rig.client, rig.now);
    sl_stratum_stop(rig.client, rig.now);
    assert_string_equal(rig_did(&rig), "close\nshare 1 unknown sent 0\nno_work\n");
    struct sl_share share = rig_share(&rig, 2);
    assert_int_equal(sl_stratum_submit(rig.client, &share, rig.now, NULL), -SL_BADSTATE);
    struct sl_mono when;
    assert_false(sl_stratum_deadline(rig.client, &when));
    sl_stratum_timer(rig.client, rig.now);
    rig_say(&rig, "late bytes\n");
    sl_stratum_disconnected(rig.client, "late", rig.now);
    sl_stratum_connected(rig.client, rig.now);
    assert_string_equal(rig_did(&rig), "");
    sl_stratum_start(rig.client, rig.now);
    assert_string_equal(rig_did(&rig), "connect eu.miners.example 3333\n");
    rig_fini(&rig);
}

static void names_exist_for_every_value(void **state) {
    (void)state;
    assert_string_equal(sl_stratum_state_text(SL_STRATUM_STOPPED), "stopped");
    assert_string_equal(sl_stratum_state_text(SL_STRATUM_REFUSED), "refused");
    assert_string_equal(sl_stratum_state_text((enum sl_stratum_state)0), "invalid");
    assert_string_equal(sl_stratum_state_text((enum sl_stratum_state)99), "invalid");
    assert_string_equal(sl_share_answer_text((enum sl_share_answer)0), "invalid");
    sl_stratum_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greeting_follows_the_protocols_order),
        cmocka_unit_test(no_version_mask_means_no_configure),
        cmocka_unit_test(back_off_doubles_with_full_jitter),
        cmocka_unit_test(only_an_accepted_share_resets_the_back_off),
        cmocka_unit_test(each_step_has_its_time_limit),
        cmocka_unit_test(a_pool_without_jobs_is_left_after_300_s),
        cmocka_unit_test(a_pool_that_ignores_shares_is_left),
        cmocka_unit_test(a_refused_user_is_retried_slowly_and_named),
        cmocka_unit_test(bad_configurations_are_refused),
        cmocka_unit_test(a_pool_that_is_not_there_is_tried_again_soon_for_a_while),
        cmocka_unit_test(lines_may_be_cut_anywhere),
        cmocka_unit_test(an_endless_line_ends_the_connection),
        cmocka_unit_test(stop_settles_everything_and_start_begins_again),
        cmocka_unit_test(names_exist_for_every_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
