/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/http/support.h"

static void test_content_and_deletion(void **state) {
    struct ground *g = *state;
    char id[40];
    char target[64];
    struct answer answer;
    upload_text(g, g->acme, "line 1\nline 2", id);
    snprintf(target, sizeof target, "/v1/files/%s/content", id);
    expect(g, "GET", target, g->acme, NULL, 200, &answer);
    assert_string_equal(answer.body.data, "line 1\nline 2");
    answer_fini(&answer);
    /* Another tenant's id is answered exactly as an absent one. */
    struct answer absent;
    expect(g, "GET", target, g->globex, NULL, 404, &answer);
    expect(g, "GET", "/v1/files/file-0/content", g->globex, NULL, 404, &absent);
    assert_true(answer.body.len - strlen(id) == absent.body.len - strlen("file-0"));
    answer_fini(&answer);
    answer_fini(&absent);
    target[strlen("/v1/files/") + strlen(id)] = '\0';
    expect_code(g, "GET", target, g->globex, NULL, 404, "not_found");
    expect_code(g, "DELETE", target, g->globex, NULL, 404, "not_found");
    expect(g, "DELETE", target, g->acme, NULL, 200, &answer);
    assert_non_null(strstr(answer.body.data, "\"deleted\":true"));
    answer_fini(&answer);
    expect_code(g, "DELETE", target, g->acme, NULL, 404, "not_found");
    expect_code(g, "GET", target, g->acme, NULL, 404, "not_found");
}

static json_t *list(struct ground *g, const char *query) {
    char target[128];
    struct answer answer;
    snprintf(target, sizeof target, "/v1/files%s", query);
    expect(g, "GET", target, g->globex, NULL, 200, &answer);
    json_t *root = answer_json(&answer);
    answer_fini(&answer);
    assert_true(json_is_boolean(json_object_get(root, "has_more")));
    return root;
}

static void test_pages(void **state) {
    struct ground *g = *state;
    char ids[5][40];
    char query[64];
    json_t *page = list(g, "");
    assert_int_equal(json_array_size(json_object_get(page, "data")), 0);
    assert_true(json_is_null(json_object_get(page, "first_id")));
    json_decref(page);
    for (int i = 0; i < 5; i++) {
        upload_text(g, g->globex, "x", ids[i]);
    }
    page = list(g, "?limit=2");
    assert_string_equal(json_string_value(json_object_get(page, "first_id")), ids[4]);
    assert_string_equal(json_string_value(json_object_get(page, "last_id")), ids[3]);
    assert_true(json_is_true(json_object_get(page, "has_more")));
    json_decref(page);
    snprintf(query, sizeof query, "?limit=2&order=asc&after=%s", ids[2]);
    page = list(g, query);
    assert_string_equal(json_string_value(json_object_get(page, "first_id")), ids[3]);
    assert_true(json_is_false(json_object_get(page, "has_more")));
    json_decref(page);
    page = list(g, "?purpose=batch_output");
    assert_int_equal(json_array_size(json_object_get(page, "data")), 0);
    json_decref(page);
    static const char *const bad[] = {"?limit=0",  "?limit=10001", "?limit=x",
                                      "?limit=-1", "?limit=",      "?order=up"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char target[64];
        snprintf(target, sizeof target, "/v1/files%s", bad[i]);
        expect_code(g, "GET", target, g->globex, NULL, 400, "invalid_value");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_and_deletion),
        cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
