/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/http/support.h"

struct upload_case {
    const char *why;
    const char *body;
    int status;
    const char *code;
};

static const struct upload_case cases[] = {
    {"purpose first, as Python sends it", PART_PURPOSE PART_FILE("{}") PARTS_END, 200, NULL},
    {"file first, as Node may send it", PART_FILE("{}") PART_PURPOSE PARTS_END, 200, NULL},
    {"an empty file is a file", PART_PURPOSE PART_FILE("") PARTS_END, 200, NULL},
    {"expiry around the file",
     PART("expires_after[anchor]", "", "created_at") PART_FILE("{}")
         PART("expires_after[seconds]", "", "3600") PART_PURPOSE PARTS_END,
     200, NULL},
    {"no file", PART_PURPOSE PARTS_END, 400, "missing_required_parameter"},
    {"no purpose", PART_FILE("{}") PARTS_END, 400, "missing_required_parameter"},
    {"another purpose", PART("purpose", "", "fine-tune") PART_FILE("{}") PARTS_END, 400,
     "invalid_value"},
    {"a purpose without end",
     PART("purpose", "", "batchbatchbatchbatchbatchbatchbatchbatchbatch") PARTS_END, 400,
     "invalid_value"},
    {"two files", PART_PURPOSE PART_FILE("a") PART_FILE("b") PARTS_END, 400, "invalid_value"},
    {"two purposes", PART_PURPOSE PART_PURPOSE PART_FILE("a") PARTS_END, 400, "invalid_value"},
    {"a part nobody knows", PART_PURPOSE PART("colour", "", "red") PART_FILE("a") PARTS_END, 400,
     "unknown_parameter"},
    {"expiry too short",
     PART_PURPOSE PART("expires_after[anchor]", "", "created_at")
         PART("expires_after[seconds]", "", "60") PART_FILE("a") PARTS_END,
     400, "invalid_value"},
    {"expiry without anchor",
     PART_PURPOSE PART("expires_after[seconds]", "", "3600") PART_FILE("a") PARTS_END, 400,
     "invalid_value"},
    {"cut in the middle of the file",
     PART_PURPOSE "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n{",
     400, "invalid_multipart"},
    {"no multipart at all", "{}", 400, NULL},
};

static int count_leftovers(const struct ground *g) {
    char command[128];
    snprintf(command, sizeof command, "ls %s/files | grep -c ^tmp-", g->site.dir);
    FILE *pipe = popen(command, "r");
    int count = -1;
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

static void test_uploads(void **state) {
    struct ground *g = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer answer;
        char code[64];
        upload(g, g->acme, cases[i].body, &answer);
        answer_error(&answer, code);
        if (answer.status != cases[i].status || (cases[i].code && strcmp(code, cases[i].code))) {
            fail_msg("%s: %d %s: %s", cases[i].why, answer.status, code, answer.body.data);
        }
        answer_fini(&answer);
    }
    assert_int_equal(count_leftovers(g), 0);
    struct answer answer;
    client_call(port_of(g), "POST", "/v1/files", g->acme, "Content-Type: application/json\r\n",
                "{}", 2, &answer);
    assert_int_equal(answer.status, 400);
    answer_fini(&answer);
    client_call(port_of(g), "POST", "/v1/files", g->acme, "Content-Type: multipart/form-data\r\n",
                "{}", 2, &answer);
    assert_int_equal(answer.status, 400);
    answer_fini(&answer);
}

static void test_one_byte_at_a_time(void **state) {
    struct ground *g = *state;
    static const char body[] = PART_FILE("a\r\n--X\r\nb") PART_PURPOSE PARTS_END;
    struct sl_buf request = {0};
    struct answer answer;
    sl_buf_printf(&request,
                  "POST /v1/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: "
                  "Bearer %s\r\n%sTransfer-Encoding: chunked\r\n\r\n",
                  g->acme, MULTIPART_HEADER);
    for (size_t i = 0; i < sizeof body - 1; i++) {
        sl_buf_printf(&request, "1\r\n%c\r\n", body[i]);
    }
    sl_buf_printf(&request, "0\r\n\r\n");
    client_raw(port_of(g), request.data, request.len, &answer);
    sl_buf_fini(&request);
    assert_int_equal(answer.status, 200);
    json_t *file = answer_json(&answer);
    assert_int_equal(json_integer_value(json_object_get(file, "bytes")), 9);
    assert_string_equal(json_string_value(json_object_get(file, "filename")), "in.jsonl");
    json_decref(file);
    answer_fini(&answer);
}

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
        cmocka_unit_test(test_uploads),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_content_and_deletion),
        cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
