/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/http/support.h"

#include <sys/stat.h>

static void key_file(const struct ground *g, char path[96]) {
    snprintf(path, 96, "%s/operator.key", g->site.dir);
}

static void test_the_operator_key(void **state) {
    struct ground *g = *state;
    char path[96];
    char key[96];
    struct stat st;
    struct answer answer;
    key_file(g, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(strlen(g->operator_key), 74);
    site_restart(&g->site);
    site_operator_key(&g->site, key);
    assert_string_equal(key, g->operator_key); /* made once */
    /* Taken away by a careful operator: it stays valid and is not written again. */
    assert_int_equal(unlink(path), 0);
    site_restart(&g->site);
    assert_int_not_equal(access(path, F_OK), 0);
    expect(g, "GET", "/api/v1/keys", g->operator_key, NULL, 200, &answer);
    assert_null(strstr(answer.body.data, g->operator_key));
    assert_null(strstr(answer.body.data, "hash"));
    answer_fini(&answer);
}

static void test_no_secret_in_the_store(void **state) {
    struct ground *g = *state;
    char command[256];
    snprintf(command, sizeof command, "grep -q %s %s/store.db* ; test $? = 1", g->acme + 10,
             g->site.dir);
    assert_int_equal(system(command), 0);
}

static void test_life_of_a_key(void **state) {
    struct ground *g = *state;
    struct answer answer;
    char target[64];
    expect(g, "POST", "/api/v1/keys", g->operator_key, "{\"tenant\":\"acme\",\"label\":\"laptop\"}",
           200, &answer);
    json_t *made = answer_json(&answer);
    answer_fini(&answer);
    const char *secret = json_string_value(json_object_get(made, "key"));
    const char *id = json_string_value(json_object_get(made, "id"));
    expect(g, "GET", "/v1/models", secret, NULL, 200, &answer);
    answer_fini(&answer);
    snprintf(target, sizeof target, "/api/v1/keys/%s", id);
    for (int i = 0; i < 2; i++) { /* twice is no error */
        expect(g, "DELETE", target, g->operator_key, NULL, 200, &answer);
        answer_fini(&answer);
    }
    expect_code(g, "GET", "/v1/models", secret, NULL, 401, "invalid_api_key");
    expect_code(g, "DELETE", "/api/v1/keys/key_0", g->operator_key, NULL, 404, "not_found");
    expect(g, "GET", "/api/v1/audit", g->operator_key, NULL, 200, &answer);
    assert_non_null(strstr(answer.body.data, "\"action\":\"key.revoke\""));
    assert_non_null(strstr(answer.body.data, id));
    answer_fini(&answer);
    json_decref(made);
}

static void test_wishes_that_are_refused(void **state) {
    struct ground *g = *state;
    static const struct {
        const char *body;
        const char *code;
    } cases[] = {
        {"{}", "invalid_value"},
        {"{\"tenant\":\"\"}", "invalid_value"},
        {"{\"tenant\":\"a b\"}", "invalid_value"},
        {"{\"tenant\":\"initech\"}", "unknown_tenant"},
        {"{\"tenant\":\"acme\",\"role\":\"operator\"}", "invalid_value"},
        {"{\"role\":\"king\"}", "invalid_value"},
        {"{\"tenant\":\"acme\",\"label\":7}", "invalid_value"},
        {"{\"tenant\":\"acme\",\"hash\":\"00\"}", "unknown_parameter"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_code(g, "POST", "/api/v1/keys", g->operator_key, cases[i].body, 400, cases[i].code);
    }
}

static void test_the_last_operator_stays(void **state) {
    struct ground *g = *state;
    struct answer answer;
    char target[64];
    char second[96];
    expect(g, "GET", "/api/v1/keys", g->operator_key, NULL, 200, &answer);
    json_t *root = answer_json(&answer);
    json_t *first = json_array_get(json_object_get(root, "keys"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "role")), "operator");
    snprintf(target, sizeof target, "/api/v1/keys/%s",
             json_string_value(json_object_get(first, "id")));
    json_decref(root);
    answer_fini(&answer);
    expect_code(g, "DELETE", target, g->operator_key, NULL, 409, "last_operator_key");
    expect_text(g, "POST", "/api/v1/keys", g->operator_key, "{\"role\":\"operator\"}", "key",
                second, sizeof second);
    expect(g, "DELETE", target, second, NULL, 200, &answer);
    answer_fini(&answer);
    expect_code(g, "GET", "/api/v1/status", g->operator_key, NULL, 401, "invalid_api_key");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_operator_key),
        cmocka_unit_test(test_no_secret_in_the_store),
        cmocka_unit_test(test_life_of_a_key),
        cmocka_unit_test(test_wishes_that_are_refused),
        cmocka_unit_test(test_the_last_operator_stays),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
