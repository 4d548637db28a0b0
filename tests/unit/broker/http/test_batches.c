/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/http/support.h"

static json_t *get_batch(struct ground *g, const char *id) {
    char target[64];
    struct answer answer;
    snprintf(target, sizeof target, "/v1/batches/%s", id);
    expect(g, "GET", target, g->acme, NULL, 200, &answer);
    json_t *root = answer_json(&answer);
    answer_fini(&answer);
    return root;
}

static void test_from_upload_to_results(void **state) {
    struct ground *g = *state;
    char file[40];
    char batch[40];
    char target[96];
    upload_text(g, g->acme, INPUT_LINE, file);
    create_batch(g, g->acme, file, "{\"sluice.bid_usd_per_mtok\":\"0.05\",\"a\":\"b\"}", batch);
    assert_int_equal(site_last_event(&g->site).kind, SL_CEV_BATCH);
    assert_string_equal(site_last_event(&g->site).tenant, "acme");
    wait_status(g, g->acme, batch, "completed");
    json_t *root = get_batch(g, batch);
    static const char *const nulls[] = {"errors",     "error_file_id", "failed_at",
                                        "expired_at", "cancelling_at", "cancelled_at"};
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++) {
        assert_true(json_is_null(json_object_get(root, nulls[i])));
    }
    json_t *counts = json_object_get(root, "request_counts");
    assert_int_equal(json_integer_value(json_object_get(counts, "total")), 1);
    assert_int_equal(json_integer_value(json_object_get(counts, "completed")), 1);
    json_t *metadata = json_object_get(root, "metadata");
    assert_string_equal(json_string_value(json_object_get(metadata, "a")), "b");
    snprintf(target, sizeof target, "/v1/files/%s/content",
             json_string_value(json_object_get(root, "output_file_id")));
    struct answer answer;
    expect(g, "GET", target, g->acme, NULL, 200, &answer);
    assert_non_null(strstr(answer.body.data, "\"embedding\":[3,0.25,-0.125]"));
    answer_fini(&answer);
    expect_code(g, "GET", target, g->globex, NULL, 404, "not_found");
    snprintf(target, sizeof target, "/v1/batches/%s", batch);
    expect_code(g, "GET", target, g->globex, NULL, 404, "not_found");
    snprintf(target, sizeof target, "/v1/batches/%s/cancel", batch);
    expect_code(g, "POST", target, g->globex, NULL, 404, "not_found");
    char status[32];
    expect_text(g, "POST", target, g->acme, NULL, "status", status, sizeof status);
    assert_string_equal(status, "completed"); /* a late cancel is no error */
    json_decref(root);
}

static void test_a_bad_file_fails_the_batch_only(void **state) {
    struct ground *g = *state;
    char file[40];
    char batch[40];
    upload_text(g, g->acme, INPUT_LINE "\n" INPUT_LINE "\n\n{", file);
    create_batch(g, g->acme, file, "null", batch);
    wait_status(g, g->acme, batch, "failed");
    json_t *root = get_batch(g, batch);
    json_t *errors = json_object_get(json_object_get(root, "errors"), "data");
    assert_int_equal(json_array_size(errors), 3);
    for (size_t i = 0; i < 3; i++) {
        json_t *line = json_object_get(json_array_get(errors, i), "line");
        assert_int_equal(json_integer_value(line), i + 2);
    }
    json_decref(root);
}

static void test_cancel_and_bid(void **state) {
    struct ground *g = *state;
    char file[40];
    char batch[40];
    char target[96];
    char text[64];
    upload_text(g, g->acme, INPUT_LINE, file);
    create_batch(g, g->acme, file, "{\"test.hold\":\"1\"}", batch);
    wait_status(g, g->acme, batch, "in_progress");
    snprintf(target, sizeof target, "/api/v1/batches/%s/bid", batch);
    expect_text(g, "POST", target, g->acme, "{\"bid_usd_per_mtok\":\"0.075\"}", "bid_usd_per_mtok",
                text, sizeof text);
    assert_string_equal(text, "0.075");
    struct sl_core_event event = site_last_event(&g->site);
    assert_int_equal(event.kind, SL_CEV_BID);
    assert_int_equal(event.bid_nusd_per_mtok, 75000000);
    assert_string_equal(event.tenant, "acme");
    int64_t age_ns = sl_clock_mono().ns - event.read_ns;
    assert_true(event.read_ns > 0 && age_ns > 0 && age_ns < 60 * SL_NS_PER_S);
    expect_code(g, "POST", target, g->globex, "{\"bid_usd_per_mtok\":\"1\"}", 404, "not_found");
    expect_text(g, "POST", target, g->operator_key, "{\"bid_usd_per_mtok\":\"1\"}", "id", text,
                sizeof text);
    assert_string_equal(site_last_event(&g->site).tenant, ""); /* an operator owns them all */
    static const char *const bad[] = {"{}",
                                      "{\"bid_usd_per_mtok\":0.05}",
                                      "{\"bid_usd_per_mtok\":\"0\"}",
                                      "{\"bid_usd_per_mtok\":\"-1\"}",
                                      "{\"bid_usd_per_mtok\":\"nan\"}",
                                      "{\"bid_usd_per_mtok\":\"1000001\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_code(g, "POST", target, g->acme, bad[i], 400, "invalid_value");
    }
    char cancel[96];
    snprintf(cancel, sizeof cancel, "/v1/batches/%s/cancel", batch);
    expect_text(g, "POST", cancel, g->acme, NULL, "status", text, sizeof text);
    assert_string_equal(text, "cancelled");
    struct answer answer;
    char value[256];
    expect(g, "POST", target, g->acme, "{\"bid_usd_per_mtok\":\"1\"}", 409, &answer);
    assert_string_equal(answer_header(&answer, "x-should-retry", value), "false");
    answer_fini(&answer);
    json_t *root = get_batch(g, batch);
    assert_true(json_is_null(json_object_get(root, "output_file_id")));
    assert_true(json_is_string(json_object_get(root, "error_file_id")));
    json_decref(root);
}

static void test_what_cannot_be_created(void **state) {
    struct ground *g = *state;
    char file[40];
    char body[256];
    upload_text(g, g->globex, INPUT_LINE, file);
    snprintf(body, sizeof body,
             "{\"input_file_id\":\"%s\",\"endpoint\":\"/v1/embeddings\",\"completion_window\":"
             "\"24h\"}",
             file);
    expect_code(g, "POST", "/v1/batches", g->acme, body, 400, "file_not_found");
    expect_code(g, "POST", "/v1/batches", g->acme, "{}", 400, "missing_required_parameter");
    atomic_store(&g->site.refuse, true);
    expect_code(g, "POST", "/v1/batches", g->globex, body, 429, "limit_reached");
    atomic_store(&g->site.refuse, false);
    expect_code(g, "GET", "/v1/batches?limit=101", g->acme, NULL, 400, "invalid_value");
}

/* POSTs a creation with extra headers; the batch's id, or "" with *ret_status set. */
static void create_with(struct ground *g, const char *file, const char *headers, const char *note,
                        char id[40], int *ret_status) {
    char body[256];
    struct answer answer;
    int n = snprintf(body, sizeof body,
                     "{\"input_file_id\":\"%s\",\"endpoint\":\"/v1/embeddings\","
                     "\"completion_window\":\"24h\",\"metadata\":{\"note\":\"%s\"}}",
                     file, note);
    client_call(port_of(g), "POST", "/v1/batches", g->acme, headers, body, (size_t)n, &answer);
    json_t *root = answer_json(&answer);
    const char *text = json_string_value(json_object_get(root, "id"));
    snprintf(id, 40, "%s", text ? text : "");
    *ret_status = answer.status;
    json_decref(root);
    answer_fini(&answer);
}

/* The note of another batch, whose results stay for an hour. */
#define BRIEF "three\"},\"output_expires_after\":{\"seconds\":3600,\"anchor\":\"created_at"

static void test_a_repeated_request_makes_one_batch(void **state) {
    struct ground *g = *state;
    static const char retry[] = "x-stainless-retry-count: 1\r\n";
    char file[40];
    char first[40];
    char again[40];
    char brief[40];
    int status = 0;
    upload_text(g, g->acme, INPUT_LINE, file);
    create_with(g, file, "x-stainless-retry-count: 0\r\n", "one", first, &status);
    create_with(g, file, "x-stainless-retry-count: 0\r\n", "one", again, &status);
    assert_string_not_equal(first, again); /* two wishes with equal words */
    snprintf(first, sizeof first, "%s", again);
    create_with(g, file, retry, "one", again, &status);
    assert_string_equal(first, again);
    create_with(g, file, retry, "two", again, &status);
    assert_string_not_equal(first, again);
    create_with(g, file, NULL, BRIEF, brief, &status);
    create_with(g, file, NULL, "three", first, &status);
    site_restart(&g->site); /* the reply was lost because the broker died */
    create_with(g, file, retry, "three", again, &status);
    assert_string_equal(first, again);
    create_with(g, file, retry, BRIEF, again, &status);
    assert_string_equal(brief, again);
    assert_string_not_equal(first, again);
}

static void test_an_idempotency_key_is_honoured(void **state) {
    struct ground *g = *state;
    static const char key[] = "Idempotency-Key: k-1\r\n";
    char file[40];
    char first[40];
    char again[40];
    int status = 0;
    upload_text(g, g->acme, INPUT_LINE, file);
    create_with(g, file, key, "one", first, &status);
    assert_int_equal(status, 200);
    create_with(g, file, key, "one", again, &status);
    assert_string_equal(first, again);
    create_with(g, file, key, "other words", again, &status);
    assert_int_equal(status, 400);
    site_restart(&g->site);
    create_with(g, file, key, "one", again, &status);
    assert_string_equal(first, again);
    create_with(g, file, key, "other words", again, &status);
    assert_int_equal(status, 400);
    create_with(g, file, "Idempotency-Key: k-2\r\n", "one", again, &status);
    assert_string_not_equal(first, again);
    /* The key of a request that is refused is not kept: anyone could fill the store with them. */
    create_with(g, "file-that-is-not", "Idempotency-Key: k-3\r\n", "one", again, &status);
    assert_int_equal(status, 400);
    create_with(g, file, "Idempotency-Key: k-3\r\n", "two", again, &status);
    assert_int_equal(status, 200);
}

static void test_lists(void **state) {
    struct ground *g = *state;
    struct answer answer;
    expect(g, "GET", "/v1/batches?limit=2", g->acme, NULL, 200, &answer);
    json_t *page = answer_json(&answer);
    json_t *data = json_object_get(page, "data");
    assert_int_equal(json_array_size(data), 2);
    assert_true(json_is_true(json_object_get(page, "has_more")));
    assert_string_equal(json_string_value(json_object_get(page, "last_id")),
                        json_string_value(json_object_get(json_array_get(data, 1), "id")));
    json_decref(page);
    answer_fini(&answer);
    expect(g, "GET", "/v1/batches", g->globex, NULL, 200, &answer);
    assert_non_null(strstr(answer.body.data, "\"data\":[]"));
    answer_fini(&answer);
    expect(g, "GET", "/api/v1/batches", g->operator_key, NULL, 200, &answer);
    assert_non_null(strstr(answer.body.data, "\"tenant\":\"acme\""));
    answer_fini(&answer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_upload_to_results),
        cmocka_unit_test(test_a_bad_file_fails_the_batch_only),
        cmocka_unit_test(test_cancel_and_bid),
        cmocka_unit_test(test_what_cannot_be_created),
        cmocka_unit_test(test_a_repeated_request_makes_one_batch),
        cmocka_unit_test(test_an_idempotency_key_is_honoured),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
