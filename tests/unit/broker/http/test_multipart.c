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
    {"names without quotes, as .NET writes them",
     "--XX\r\nContent-Disposition: form-data; name=purpose\r\n\r\nbatch\r\n"
     "--XX\r\nContent-Disposition: form-data; name=file; filename=f; filename*=utf-8''f\r\n\r\n"
     "{}\r\n" PARTS_END,
     200, NULL},
    {"a part without a name", PART_PURPOSE "--XX\r\n\r\nx\r\n" PART_FILE("{}") PARTS_END, 400,
     "invalid_multipart"},
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
    {"two empty files", PART_PURPOSE PART_FILE("") PART_FILE("") PARTS_END, 400, "invalid_value"},
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
    {"a part of parts",
     PART_PURPOSE "--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n"
                  "CONTENT-Type:  Multipart/mixed; boundary=YY\r\n\r\n--YY--\r\n" PARTS_END,
     400, "invalid_multipart"},
    {"a file that only speaks of such parts",
     PART_PURPOSE PART_FILE("{\"a\":\"Content-Type: multipart/mixed\"}") PARTS_END, 200, NULL},
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

/* Whatever stands there, a name comes out that can be shown. */
static void test_file_names(void **state) {
    struct ground *g = *state;
    char long_name[400], cut[256];
    memset(long_name, 'n', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    memcpy(long_name + 254, "\xC3\xA9", 2); /* the limit is in the middle of it */
    snprintf(cut, sizeof cut, "%.254s", long_name);
    const struct {
        const char *sent, *shown;
    } names[] = {
        {"", "upload"},
        {"\xC3\xA9 \xF0\x9F\x98\x80.jsonl", "\xC3\xA9 \xF0\x9F\x98\x80.jsonl"},
        {"M\xFCller.jsonl", "M?ller.jsonl"}, /* curl in a shell of Windows */
        {"\xFC", "?"},
        {long_name, cut},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char body[1024];
        struct answer answer;
        snprintf(body, sizeof body,
                 PART_PURPOSE "--XX\r\nContent-Disposition: form-data; name=\"file\"; "
                              "filename=\"%s\"\r\n\r\n{}\r\n" PARTS_END,
                 names[i].sent);
        upload(g, g->acme, body, &answer);
        json_t *file = answer_json(&answer);
        assert_string_equal(json_string_value(json_object_get(file, "filename")), names[i].shown);
        json_decref(file);
        answer_fini(&answer);
    }
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

/* A client that goes away in the middle leaves nothing behind. */
static void test_a_client_that_goes_away(void **state) {
    struct ground *g = *state;
    char request[1024];
    struct answer answer;
    int n = snprintf(request, sizeof request,
                     "POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s"
                     "Content-Length: 100000\r\n\r\n%s",
                     g->acme, MULTIPART_HEADER, PART_FILE("some of it"));
    client_raw(port_of(g), request, (size_t)n, &answer);
    assert_int_not_equal(answer.status, 200);
    answer_fini(&answer);
    for (int i = 0; i < 200 && count_leftovers(g) > 0; i++) {
        usleep(10000);
    }
    assert_int_equal(count_leftovers(g), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uploads),
        cmocka_unit_test(test_file_names),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_a_client_that_goes_away),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
