/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/stratum/rig.h"

static const char *const names[] = {"u", "u.1", "u.2"};

static void start(struct rig *rig, uint32_t count) {
    struct sl_stratum_config config;
    rig_config(&config);
    config.workers = names;
    config.worker_count = count;
    rig_init_with(rig, &config);
    rig_ready(rig);
}

static void submit(struct rig *rig, uint64_t seq, uint32_t worker) {
    struct sl_share share = rig_share(rig, seq);
    share.worker = worker;
    assert_int_equal(sl_stratum_submit(rig->client, &share, rig->now, NULL), SL_OK);
}

static void a_share_goes_under_its_worker_once_the_pool_knows_it(void **state) {
    (void)state;
    struct rig rig;
    start(&rig, 3);
    submit(&rig, 1, 1); /* ids 4 and 5: the two other workers, not answered yet */
    assert_non_null(strstr(rig_did(&rig), "\"mining.submit\",\"params\":[\"u\","));
    rig_say(&rig, "{\"id\":4,\"result\":true,\"error\":null}\n");
    rig_say(&rig, "{\"id\":5,\"result\":false,\"error\":[24,\"who?\",null]}\n");
    rig_did(&rig);
    submit(&rig, 2, 1);
    assert_non_null(strstr(rig_did(&rig), "\"params\":[\"u.1\","));
    submit(&rig, 3, 2); /* refused: under the first */
    assert_non_null(strstr(rig_did(&rig), "\"params\":[\"u\","));
    submit(&rig, 4, 0);
    assert_non_null(strstr(rig_did(&rig), "\"params\":[\"u\","));
    submit(&rig, 5, 99);
    assert_non_null(strstr(rig_did(&rig), "\"params\":[\"u\","));
    rig_fini(&rig);
}

static void an_unauthorised_share_ends_its_worker_not_the_connection(void **state) {
    (void)state;
    struct rig rig;
    struct sl_stratum_status status;
    start(&rig, 2);
    rig_say(&rig, "{\"id\":4,\"result\":true,\"error\":null}\n");
    submit(&rig, 1, 1);
    rig_did(&rig);
    rig_say(&rig, "{\"id\":5,\"result\":null,\"error\":[24,\"Unauthorized worker\",null]}\n");
    assert_string_equal(rig_did(&rig), "share 1 rejected sent 24\n");
    sl_stratum_status(rig.client, &status);
    assert_int_equal(status.state, SL_STRATUM_READY);
    submit(&rig, 2, 1);
    assert_non_null(strstr(rig_did(&rig), "\"params\":[\"u\","));
    rig_say(&rig, "{\"id\":6,\"result\":null,\"error\":[24,\"Unauthorized worker\",null]}\n");
    sl_stratum_status(rig.client, &status);
    assert_int_equal(status.state, SL_STRATUM_REFUSED); /* of the first: all are */
    rig_fini(&rig);
}

static void a_difficulty_is_suggested_now_and_after_each_authorisation(void **state) {
    (void)state;
    struct rig rig;
    start(&rig, 0);
    rig_did(&rig);
    sl_stratum_suggest(rig.client, 0.5);
    assert_non_null(strstr(rig_did(&rig), "\"mining.suggest_difficulty\",\"params\":[0.5]"));
    sl_stratum_suggest(rig.client, 0);
    assert_string_equal(rig_did(&rig), "");
    rig_fini(&rig);
}

static void names_that_no_pool_could_take(void **state) {
    (void)state;
    struct sl_stratum_config config;
    struct sl_stratum *client = NULL;
    const char *bad[] = {"u", ""};
    sl_stratum_config_defaults(&config);
    strcpy(config.url.host, "pool.example.org");
    config.url.port = 3333;
    strcpy(config.user, "u");
    config.workers = bad;
    config.worker_count = 2;
    assert_int_equal(sl_stratum_create(&config, 1, &client, NULL), -SL_INVALID);
    config.worker_count = SL_STRATUM_WORKERS_MAX + 1;
    assert_int_equal(sl_stratum_create(&config, 1, &client, NULL), -SL_LIMIT);
    assert_null(client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_goes_under_its_worker_once_the_pool_knows_it),
        cmocka_unit_test(an_unauthorised_share_ends_its_worker_not_the_connection),
        cmocka_unit_test(a_difficulty_is_suggested_now_and_after_each_authorisation),
        cmocka_unit_test(names_that_no_pool_could_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
