/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stratum/client_internal.h"
#include "tests/unit/agent/stratum/rig.h"

static void actions_come_out_in_order_and_are_freed(void **state) {
    (void)state;
    struct rig rig;
    struct sl_stratum_action action;
    rig_init(&rig);
    assert_false(sl_stratum_take(rig.client, &action));
    sl_stratum_queue_log(rig.client, SL_LOG_INFO, "one %d", 1);
    sl_stratum_request(rig.client, "m", json_array());
    sl_stratum_queue(rig.client, SL_STRATUM_CLOSE);
    assert_true(sl_stratum_take(rig.client, &action));
    assert_int_equal(action.type, SL_STRATUM_LOG);
    assert_string_equal(action.text, "one 1");
    assert_true(sl_stratum_take(rig.client, &action));
    assert_int_equal(action.type, SL_STRATUM_SEND);
    assert_memory_equal(action.data, "{\"id\":1,\"method\":\"m\",\"params\":[]}\n", action.size);
    sl_stratum_queue_log(rig.client, SL_LOG_WARN, "late"); /* while one is out */
    assert_true(sl_stratum_take(rig.client, &action));
    assert_int_equal(action.type, SL_STRATUM_CLOSE);
    assert_true(sl_stratum_take(rig.client, &action));
    assert_string_equal(action.text, "late");
    assert_false(sl_stratum_take(rig.client, &action));
    assert_false(sl_stratum_take(rig.client, &action));
    sl_stratum_queue_log(rig.client, SL_LOG_WARN, "never taken");
    sl_stratum_request(rig.client, "m", json_array());
    rig_fini(&rig); /* the leak checker sees whether the rest is freed */
}

static void a_long_text_is_cut(void **state) {
    (void)state;
    struct rig rig;
    struct sl_stratum_action action;
    rig_init(&rig);
    sl_stratum_queue_log(rig.client, SL_LOG_INFO, "%0*d", 5000, 1);
    assert_true(sl_stratum_take(rig.client, &action));
    assert_int_equal(strlen(action.text), SL_STRATUM_TEXT_MAX);
    rig_fini(&rig);
}

static void a_job_outlives_the_client_if_referenced(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_ready(&rig);
    struct sl_job *kept = sl_job_ref(rig.job);
    rig_fini(&rig);
    assert_string_equal(kept->id, "j1");
    sl_job_unref(kept);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_come_out_in_order_and_are_freed),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(a_job_outlives_the_client_if_referenced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
