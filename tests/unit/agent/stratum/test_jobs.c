/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/stratum/rig.h"

#define DIFFICULTY(d) "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[" d "]}\n"

static void a_difficulty_holds_for_the_jobs_after_it(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_say(&rig, DIFFICULTY("0.001") RIG_JOB("j2", RIG_PREV_A, "false"));
    assert_string_equal(rig_did(&rig), "difficulty 0.001\njob 2 j2 - 0.001\n");
    rig_say(&rig, DIFFICULTY("8192"));
    assert_string_equal(rig_did(&rig), "difficulty 8192\n"); /* job 2 keeps 0.001 */
    assert_int_equal(rig.job->hashes_per_share, 4295032);
    rig_say(&rig, RIG_JOB("j3", RIG_PREV_A, "false"));
    assert_string_equal(rig_did(&rig), "job 3 j3 - 8192\n");
    rig_fini(&rig);
}

/* Pools are seen to send the first job before the first difficulty, which then is meant for it. */
static void the_first_difficulty_reaches_the_first_job(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_connect(&rig);
    rig_say(&rig, RIG_SUBSCRIBED("08000002") "{\"id\":3,\"result\":true,\"error\":null}\n");
    rig_did(&rig);
    rig_say(&rig, RIG_JOB("j1", RIG_PREV_A, "true"));
    assert_string_equal(rig_did(&rig), "job 1 j1 clean 1\n");
    rig_submit(&rig, 5);
    rig_did(&rig);
    rig_say(&rig, DIFFICULTY("0.25"));
    assert_string_equal(rig_did(&rig), "difficulty 0.25\njob 2 j1 - 0.25\n");
    rig_say(&rig, DIFFICULTY("0.125"));
    assert_string_equal(rig_did(&rig), "difficulty 0.125\n");
    rig_fini(&rig);
}

static void jobs_from_before_the_authorisation_come_out_in_order(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_connect(&rig);
    rig_did(&rig);
    rig_say(&rig, DIFFICULTY("0.5") RIG_JOB("early", RIG_PREV_A, "true"));
    assert_string_equal(rig_did(&rig), "difficulty 0.5\n");
    rig_say(&rig, RIG_SUBSCRIBED("08000002") RIG_JOB("next", RIG_PREV_A, "false"));
    assert_true(strstr(rig_did(&rig), "mining.authorize"));
    rig_say(&rig, "{\"id\":3,\"result\":true,\"error\":null}\n");
    assert_string_equal(rig_did(&rig), "job 1 early clean 0.5\njob 2 next - 0.5\n");
    rig_fini(&rig);
}

static void clean_is_also_a_changed_prevhash(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_say(&rig, RIG_JOB("j2", RIG_PREV_A, "false") RIG_JOB("j3", RIG_PREV_B, "false")
                      RIG_JOB("j4", RIG_PREV_B, "true"));
    assert_string_equal(rig_did(&rig), "job 2 j2 - 0.5\njob 3 j3 clean 0.5\njob 4 j4 clean 0.5\n");
    assert_ptr_equal(sl_stratum_job(rig.client), rig.job);
    rig_fini(&rig);
}

static void a_new_extranonce_holds_from_the_next_job(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_say(&rig, "{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"aabbcc\",6]}\n");
    assert_string_equal(rig_did(&rig), "");
    assert_int_equal(rig.job->terms.extranonce2_size, 4);
    rig_submit(&rig, 1); /* the old job still counts */
    assert_true(strstr(rig_did(&rig), "\"j1\",\"00000000\""));
    /* The same job id again: it is another job now, and shares of the first are lost. */
    struct sl_share late = rig_share(&rig, 2);
    rig_say(&rig, RIG_JOB("j1", RIG_PREV_A, "false"));
    assert_string_equal(rig_did(&rig), "job 2 j1 clean 0.5\n");
    assert_int_equal(rig.job->terms.extranonce1_size, 3);
    assert_memory_equal(rig.job->terms.extranonce1, "\xaa\xbb\xcc", 3);
    assert_int_equal(rig.job->terms.extranonce2_size, 6);
    assert_int_equal(sl_stratum_submit(rig.client, &late, rig.now, NULL), SL_OK);
    assert_string_equal(rig_did(&rig), "share 2 stale local 0\n");
    rig_submit(&rig, 3);
    assert_true(strstr(rig_did(&rig), "\"j1\",\"000000000000\""));
    rig_say(&rig, RIG_JOB("j1", RIG_PREV_A, "false")); /* it moved once only */
    assert_string_equal(rig_did(&rig), "job 3 j1 - 0.5\n");
    rig_fini(&rig);
}

static void a_new_version_mask_holds_at_once(void **state) {
    (void)state;
    struct rig rig;
    struct sl_work_cursor cursor;
    struct sl_work work;
    struct sl_share share;
    rig_init(&rig);
    rig_ready(&rig);
    assert_int_equal(rig.job->terms.version_mask, 0x1fffe000);
    assert_int_equal(sl_work_cursor_init(&cursor, 0, 1, NULL), SL_OK);
    for (int i = 0; i < 4; i++) { /* bits 00006000: two of the rolled bits */
        assert_int_equal(sl_work_next(&cursor, rig.job, &work, NULL), SL_OK);
    }
    sl_share_from_work(&work, 9, 9, &share);
    assert_int_equal(share.version_bits, 0x6000);
    struct sl_share plain = rig_share(&rig, 8);
    rig_say(&rig,
            "{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"ff00c000\"]}\n");
    /* Only what we asked for is used, and the same job goes on under the new mask. */
    assert_string_equal(rig_did(&rig), "job 2 j1 - 0.5\n");
    assert_int_equal(rig.job->terms.version_mask, 0x1f00c000);
    assert_int_equal(sl_stratum_submit(rig.client, &share, rig.now, NULL), SL_OK);
    assert_string_equal(rig_did(&rig), "share 9 stale local 0\n");
    assert_int_equal(sl_stratum_submit(rig.client, &plain, rig.now, NULL), SL_OK);
    /* The pool builds the version with all of its mask, so the job's own bits must come back. */
    assert_true(strstr(rig_did(&rig), "\"00000008\",\"20000000\"]}"));
    rig_fini(&rig);
}

/* A difficulty holds for the jobs after it, and a mask makes no new job of the present one. */
static void a_new_version_mask_leaves_the_jobs_difficulty(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_say(&rig, DIFFICULTY("0.25"));
    rig_did(&rig);
    rig_say(&rig,
            "{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"00c00000\"]}\n");
    assert_string_equal(rig_did(&rig), "job 2 j1 - 0.5\n");
    rig_say(&rig, RIG_JOB("j2", RIG_PREV_A, "false"));
    assert_string_equal(rig_did(&rig), "job 3 j2 - 0.25\n");
    rig_fini(&rig);
}

/* A pool that repeats its job as a clean one: what was found in it is good, and devices go on. */
static void a_job_that_is_sent_again_costs_nothing(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    struct sl_share first = rig_share(&rig, 1);
    rig_say(&rig, RIG_JOB("j2", RIG_PREV_A, "false"));
    struct sl_share second = rig_share(&rig, 2);
    rig_did(&rig);
    rig_say(&rig, RIG_JOB("j2", RIG_PREV_A, "true"));
    assert_string_equal(rig_did(&rig), "job 3 j2 - 0.5\n");
    assert_int_equal(sl_stratum_submit(rig.client, &second, rig.now, NULL), SL_OK);
    assert_true(strstr(rig_did(&rig), "\"j2\""));
    assert_int_equal(sl_stratum_submit(rig.client, &first, rig.now, NULL), SL_OK);
    assert_string_equal(rig_did(&rig), "share 1 stale local 0\n"); /* of another job */
    rig_say(&rig, RIG_JOB("j2", RIG_PREV_B, "true"));
    assert_string_equal(rig_did(&rig), "job 4 j2 clean 0.5\n"); /* only the name is the same */
    rig_fini(&rig);
}

/* The pool builds the header with the mask of now: bits that stood in the job's own version when
 * they were outside the mask must be sent once they are inside. */
static void a_wider_mask_needs_the_jobs_own_bits(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_say(&rig,
            "{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"00006000\"]}\n"
            "{\"method\":\"mining.notify\",\"params\":[\"j2\",\"" RIG_PREV_A "\",\"" RIG_COINB1
            "\",\"" RIG_COINB2 "\",[],\"20400000\",\"1c2ac4af\",\"504e86b9\",false]}\n");
    struct sl_share share = rig_share(&rig, 1);
    rig_say(&rig,
            "{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"00c06000\"]}\n");
    rig_did(&rig);
    assert_int_equal(sl_stratum_submit(rig.client, &share, rig.now, NULL), SL_OK);
    assert_true(strstr(rig_did(&rig), "\"00000001\",\"00400000\"]}"));
    rig_fini(&rig);
}

static void a_reconnect_forgets_what_was_negotiated(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    rig_say(&rig, DIFFICULTY("0.25"));
    sl_stratum_disconnected(rig.client, "", rig.now);
    rig_pass_to_deadline(&rig);
    sl_stratum_connected(rig.client, rig.now); /* this time nobody answers configure (id 4) */
    rig_say(&rig, "{\"id\":5,\"result\":[[],\"0b\",4]}\n{\"id\":6,\"result\":true}\n");
    rig_say(&rig, RIG_JOB("j2", RIG_PREV_A, "false"));
    assert_true(strstr(rig_did(&rig), "job 2 j2 clean 1\n"));
    rig_submit(&rig, 1);
    assert_true(strstr(rig_did(&rig), "\"504e86b9\",\"00000001\"]}"));
    rig_fini(&rig);
}

static void a_mask_that_was_not_negotiated_is_not_used(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_connect(&rig);
    rig_say(&rig, "{\"id\":1,\"result\":{\"version-rolling\":false},\"error\":null}\n");
    rig_say(&rig, RIG_SUBSCRIBED("08000002") "{\"id\":3,\"result\":true,\"error\":null}\n");
    rig_say(&rig, DIFFICULTY("1") RIG_JOB("j1", RIG_PREV_A, "true"));
    rig_did(&rig);
    rig_say(&rig,
            "{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"00c00000\"]}\n");
    assert_string_equal(rig_did(&rig), "");
    rig_submit(&rig, 1);
    assert_string_equal(rig_did(&rig), "> {\"id\":4,\"method\":\"mining.submit\",\"params\":[\"u\","
                                       "\"j1\",\"00000000\",\"504e86b9\",\"00000001\"]}\n");
    rig_fini(&rig);
}

/* As many lines as one read takes. One job comes of them, under the last mask, and the jobs whose
 * shares are good stay known. */
static void a_flood_of_masks_is_one_job(void **state) {
    (void)state;
    static const char *const masks[] = {"0", "00c00000"};
    struct rig rig;
    struct sl_buf flood = {0};
    for (int i = 0; i < 1260; i++) {
        sl_buf_printf(&flood, "{\"method\":\"mining.set_version_mask\",\"params\":[\"%s\"]}\n",
                      masks[i % 2]);
    }
    rig_init(&rig);
    rig_ready(&rig);
    struct sl_share first = rig_share(&rig, 1);
    sl_stratum_received(rig.client, flood.data, flood.len, rig.now);
    assert_string_equal(rig_did(&rig), "job 2 j1 - 0.5\n");
    assert_int_equal(rig.job->terms.version_mask, 0x00c00000);
    rig_say(&rig, flood.data);
    rig_say(&rig, flood.data);
    assert_string_equal(rig_did(&rig), ""); /* it ends with the mask that it began with */
    assert_int_equal(sl_stratum_submit(rig.client, &first, rig.now, NULL), SL_OK);
    assert_true(strstr(rig_did(&rig), "mining.submit"));
    sl_buf_fini(&flood);
    rig_fini(&rig);
}

static void old_jobs_are_forgotten_in_the_end(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    struct sl_share first = rig_share(&rig, 1);
    for (int i = 0; i < 63; i++) {
        rig_say(&rig, RIG_JOB("more", RIG_PREV_A, "false"));
    }
    rig_did(&rig);
    assert_int_equal(sl_stratum_submit(rig.client, &first, rig.now, NULL), SL_OK);
    assert_true(strstr(rig_did(&rig), "mining.submit"));
    rig_say(&rig, RIG_JOB("more", RIG_PREV_A, "false"));
    rig_did(&rig);
    first.seq = 2;
    assert_int_equal(sl_stratum_submit(rig.client, &first, rig.now, NULL), SL_OK);
    assert_string_equal(rig_did(&rig), "share 2 stale local 0\n");
    rig_fini(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_difficulty_holds_for_the_jobs_after_it),
        cmocka_unit_test(the_first_difficulty_reaches_the_first_job),
        cmocka_unit_test(jobs_from_before_the_authorisation_come_out_in_order),
        cmocka_unit_test(clean_is_also_a_changed_prevhash),
        cmocka_unit_test(a_new_extranonce_holds_from_the_next_job),
        cmocka_unit_test(a_new_version_mask_holds_at_once),
        cmocka_unit_test(a_new_version_mask_leaves_the_jobs_difficulty),
        cmocka_unit_test(a_job_that_is_sent_again_costs_nothing),
        cmocka_unit_test(a_wider_mask_needs_the_jobs_own_bits),
        cmocka_unit_test(a_reconnect_forgets_what_was_negotiated),
        cmocka_unit_test(a_mask_that_was_not_negotiated_is_not_used),
        cmocka_unit_test(a_flood_of_masks_is_one_job),
        cmocka_unit_test(old_jobs_are_forgotten_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
