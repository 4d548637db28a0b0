/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "broker/http/batch_json.h"

/* Every member that the published Batch object names, null or not. */
static void test_all_members_are_there(void **state) {
    (void)state;
    static const char *const members[] = {"id",
                                          "object",
                                          "endpoint",
                                          "model",
                                          "errors",
                                          "input_file_id",
                                          "completion_window",
                                          "status",
                                          "output_file_id",
                                          "error_file_id",
                                          "created_at",
                                          "in_progress_at",
                                          "expires_at",
                                          "finalizing_at",
                                          "completed_at",
                                          "failed_at",
                                          "expired_at",
                                          "cancelling_at",
                                          "cancelled_at",
                                          "request_counts",
                                          "usage",
                                          "metadata"};
    struct sl_batch_row row = {.id = "batch_1",
                               .state = SL_BATCH_FAILED,
                               .created.ms = 1999,
                               .tokens = 7,
                               .errors = (char[]){"[{\"code\":\"x\"}]"}};
    struct sl_json json = {0};
    sl_batch_write(&json, &row);
    json_t *root = json_loads(json.buf.data, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_object_size(root), sizeof members / sizeof members[0]);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (!json_object_get(root, members[i])) {
            fail_msg("'%s' is missing", members[i]);
        }
    }
    assert_string_equal(json_string_value(json_object_get(root, "status")), "failed");
    assert_int_equal(json_integer_value(json_object_get(root, "created_at")), 1);
    assert_true(json_is_null(json_object_get(root, "output_file_id")));
    assert_true(json_is_null(json_object_get(root, "metadata")));
    json_t *errors = json_object_get(root, "errors");
    assert_string_equal(json_string_value(json_object_get(errors, "object")), "list");
    assert_int_equal(json_array_size(json_object_get(errors, "data")), 1);
    json_decref(root);
    sl_json_fini(&json);
}

static void test_a_bid_that_was_not_made(void **state) {
    (void)state;
    struct sl_batch_row row = {.id = "batch_1", .bid_nusd_per_mtok = -1, .billed_nusd = 1};
    struct sl_json json = {0};
    row.state = SL_BATCH_IN_PROGRESS;
    sl_batch_write_site(&json, &row);
    json_t *root = json_loads(json.buf.data, JSON_REJECT_DUPLICATES, NULL);
    assert_true(json_is_null(json_object_get(root, "bid_usd_per_mtok")));
    assert_string_equal(json_string_value(json_object_get(root, "billed_usd")), "0.000000001");
    json_decref(root);
    sl_json_fini(&json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_members_are_there),
        cmocka_unit_test(test_a_bid_that_was_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
