/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/batch/support.h"

#include <jansson.h>
#include <sys/statvfs.h>

/* A disk of 64 GiB; the linker takes this one. Asked so often, it is full. */
static int full_after = -1; /* never */
static int asked;

int statvfs(const char *path, struct statvfs *disk) {
    (void)path;
    uint64_t mib = asked++ == full_after ? 512 : 513; /* one is written before it is asked again */
    *disk = (struct statvfs){.f_frsize = 1 << 20, .f_blocks = 64 << 10, .f_bavail = mib};
    return 0;
}

/* What the store would hand out; the linker takes this one instead of the store's. */
struct sl_reader {
    const struct sl_result_row *rows;
    size_t count;
};

int sl_reader_results(struct sl_reader *r, const char *batch, bool with_vectors, sl_row_cb cb,
                      void *arg, struct sl_error *err) {
    (void)err;
    assert_string_equal(batch, "batch_0123");
    assert_true(with_vectors);
    for (size_t i = 0; i < r->count; i++) {
        if (cb(arg, &r->rows[i]) != 0) {
            break;
        }
    }
    return SL_OK;
}

/* 0.5, -0.25 | 1, 0 as little-endian binary32. */
static uint8_t vectors[16] = {0, 0, 0, 0x3F, 0, 0, 0x80, 0xBE, 0, 0, 0x80, 0x3F, 0, 0, 0, 0};
static uint8_t not_a_number[8] = {0, 0, 0xC0, 0x7F, 0, 0, 0, 0};

#define BASE64_BODY "{\"model\":\"m\",\"input\":\"x\",\"encoding_format\":\"base64\"}"
#define TEXT_BODY TEST_BODY("\"x\"")

static const char *const input[] = {TEST_LINE("a\\\"b", TEST_BODY("[\"x\",\"y\"]")),
                                    TEST_LINE("refused", TEST_BODY("7")),
                                    TEST_LINE("b64", BASE64_BODY),
                                    TEST_LINE("long", TEXT_BODY),
                                    TEST_LINE("never", TEXT_BODY),
                                    TEST_LINE("nan", TEXT_BODY),
                                    TEST_LINE("many", TEST_BODY("[\"x\",\"y\"]"))};

static const struct sl_result_row rows[] = {
    {.line = 0, .status = SL_LINE_OK, .tokens = 6, .vector_count = 2, .dim = 2, .vectors = vectors},
    {.line = 2, .status = SL_LINE_OK, .tokens = 3, .vector_count = 1, .dim = 2, .vectors = vectors},
    {.line = 3, .status = SL_LINE_TOO_LONG, .tokens = 600, .dim = 512},
    {.line = 5,
     .status = SL_LINE_OK,
     .tokens = 3,
     .vector_count = 1,
     .dim = 2,
     .vectors = not_a_number},
    {.line = 6, .status = SL_LINE_TOO_LONG, .tokens = 0, .dim = 1013},
};

static char *make_batch(struct sl_batch_row *row) {
    char *dir = test_dir_make();
    struct sl_buf text = {0};
    for (size_t i = 0; i < sizeof input / sizeof input[0]; i++) {
        sl_buf_printf(&text, "%s\n", input[i]);
    }
    test_write_file(dir, "file-in", text.data, text.len);
    sl_buf_fini(&text);
    struct sl_batch_validation validation = {0};
    struct sl_error err = {0};
    assert_int_equal(test_validate(dir, "batch_0123", &validation, &err), SL_OK);
    assert_int_equal(validation.lines.count, 7);
    sl_batch_validation_fini(&validation);
    *row = (struct sl_batch_row){
        .id = "batch_0123", .tenant = "t", .model = "m", .after_finalizing = SL_BATCH_EXPIRED};
    return dir;
}

static char *read_file(const char *dir, const char *id, size_t *ret_bytes) {
    char path[SL_BATCH_PATH_MAX];
    assert_int_equal(sl_batch_path(dir, SL_BATCH_FILES_DIR, id, path, NULL), SL_OK);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 65536);
    *ret_bytes = fread(text, 1, 65535, file);
    fclose(file);
    return text;
}

static void expect_text(const char *dir, const char *id, const char *expected) {
    size_t n = 0;
    char *text = read_file(dir, id, &n);
    assert_string_equal(text, expected);
    free(text);
}

#define HEAD(line, custom_id)                                                                      \
    "{\"id\":\"batch_req_01230000000" line "\",\"custom_id\":\"" custom_id "\",\"response\":"
#define RESPONSE(line, status)                                                                     \
    "{\"status_code\":" status ",\"request_id\":\"req_01230000000" line "\",\"body\":"

static void expect_errors(const char *dir, const struct sl_file_row *error) {
    size_t n = 0;
    char *text = read_file(dir, error->id, &n);
    assert_int_equal(n, error->bytes);
    static const struct {
        const char *custom_id;
        int status; /* 0: response is null */
        const char *code;
    } expected[] = {{"refused", 400, "invalid_type"},
                    {"long", 400, "context_length_exceeded"},
                    {"never", 0, "batch_expired"},
                    {"nan", 500, "server_error"},
                    {"many", 400, "invalid_value"}};
    char *save = NULL;
    size_t i = 0;
    for (char *at = strtok_r(text, "\n", &save); at; at = strtok_r(NULL, "\n", &save), i++) {
        json_t *line = json_loads(at, JSON_REJECT_DUPLICATES, NULL);
        assert_true(i < 5 && line);
        assert_string_equal(json_string_value(json_object_get(line, "custom_id")),
                            expected[i].custom_id);
        json_t *response = json_object_get(line, "response");
        json_t *fault = json_object_get(line, "error");
        if (expected[i].status) {
            assert_true(json_is_null(fault));
            assert_int_equal(json_integer_value(json_object_get(response, "status_code")),
                             expected[i].status);
            fault = json_object_get(json_object_get(response, "body"), "error");
            assert_int_equal(json_object_size(fault), 4);
        } else {
            assert_true(json_is_null(response));
        }
        assert_string_equal(json_string_value(json_object_get(fault, "code")), expected[i].code);
        if (i == 1) {
            assert_non_null(strstr(json_string_value(json_object_get(fault, "message")),
                                   "'input' has 600 tokens; the maximum context length of the "
                                   "model 'm' is 512 tokens"));
        }
        if (i == 4) {
            assert_non_null(
                strstr(json_string_value(json_object_get(fault, "message")), "room for 1013"));
        }
        json_decref(line);
    }
    assert_int_equal(i, 5);
    free(text);
}

static void test_lines_go_where_they_belong(void **state) {
    (void)state;
    struct sl_batch_row row;
    char *dir = make_batch(&row);
    struct sl_reader reader = {rows, 5};
    struct sl_file_row output = {0};
    struct sl_file_row error = {0};
    struct sl_error err = {0};
    for (int repeat = 0; repeat < 2; repeat++) { /* after a crash the same files come again */
        int rc = sl_batch_write_outputs(dir, &reader, &row, (struct sl_wall){5000}, &output, &error,
                                        &err);
        if (rc != SL_OK) {
            fail_msg("%s", err.text);
        }
        assert_string_equal(output.id, "file-o0123");
        assert_string_equal(error.id, "file-e0123");
    }
    assert_string_equal(output.filename, "batch_0123_output.jsonl");
    assert_string_equal(output.purpose, "batch_output");
    assert_string_equal(output.tenant, "t");
    expect_text(
        dir, output.id,
        HEAD("0", "a\\\"b") RESPONSE(
            "0",
            "200") "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
                   "\"embedding\":[0.5,-0.25]},{\"object\":\"embedding\",\"index\":1,\"embedding\":"
                   "[1,0]}],\"model\":\"m\",\"usage\":{\"prompt_tokens\":6,\"total_tokens\":6}}},"
                   "\"error\":null}\n" HEAD("2", "b64")
                       RESPONSE("2", "200") "{\"object\":\"list\",\"data\":[{\"object\":"
                                            "\"embedding\",\"index\":0,"
                                            "\"embedding\":\"AAAAPwAAgL4=\"}],\"model\":\"m\","
                                            "\"usage\":{\"prompt_tokens\":3,"
                                            "\"total_tokens\":3}}},\"error\":null}\n");
    expect_errors(dir, &error);
    test_dir_remove(dir);
}

static void test_a_hole_in_a_completed_batch_is_no_success(void **state) {
    (void)state;
    struct sl_batch_row row;
    char *dir = make_batch(&row);
    row.after_finalizing = SL_BATCH_COMPLETED;
    struct sl_reader reader = {rows, 3};
    struct sl_file_row output = {.id = "untouched"};
    struct sl_file_row error = {0};
    assert_int_equal(
        sl_batch_write_outputs(dir, &reader, &row, (struct sl_wall){5000}, &output, &error, NULL),
        -SL_BADSTATE);
    assert_string_equal(output.id, "untouched");
    char path[SL_BATCH_PATH_MAX];
    assert_int_equal(sl_batch_path(dir, SL_BATCH_FILES_DIR, "file-o0123", path, NULL), SL_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    test_dir_remove(dir);
}

/* Results that would take what the store needs are given up, to be written later, and leave
 * nothing. */
static void test_results_leave_room_for_the_store(void **state) {
    (void)state;
    struct sl_batch_row row;
    char *dir = make_batch(&row);
    static uint8_t large[1 << 20];
    const struct sl_result_row good = {.status = SL_LINE_OK,
                                       .tokens = 3,
                                       .vector_count = 1,
                                       .dim = sizeof large / 4,
                                       .vectors = large};
    struct sl_result_row some[3] = {good, good, good};
    some[0].line = 2;
    some[1].line = 3;
    some[2].line = 4;
    struct sl_reader reader = {some, 3};
    for (full_after = 0; full_after < 3; full_after++) {
        struct sl_file_row output = {0};
        struct sl_file_row error = {0};
        struct sl_error err = {0};
        asked = 0;
        assert_int_equal(sl_batch_write_outputs(dir, &reader, &row, (struct sl_wall){5000}, &output,
                                                &error, &err),
                         -SL_IO);
        assert_true(sl_batch_is_full(&err));
        assert_non_null(strstr(err.text, "for results: 512 of 65536 MiB are left"));
        assert_string_equal(output.id, "");
        char command[128];
        snprintf(command, sizeof command, "ls %s/files | grep -q ^file-[oe]", dir);
        assert_int_not_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    }
    full_after = -1;
    struct sl_file_row output = {0};
    struct sl_file_row error = {0};
    assert_int_equal(
        sl_batch_write_outputs(dir, &reader, &row, (struct sl_wall){5000}, &output, &error, NULL),
        SL_OK);
    assert_string_equal(output.id, "file-o0123");
    test_dir_remove(dir);
}

static void test_no_output_file_when_every_line_failed(void **state) {
    (void)state;
    struct sl_batch_row row;
    char *dir = make_batch(&row);
    row.after_finalizing = SL_BATCH_CANCELLED;
    struct sl_reader reader = {rows, 0};
    struct sl_file_row output = {0};
    struct sl_file_row error = {0};
    assert_int_equal(
        sl_batch_write_outputs(dir, &reader, &row, (struct sl_wall){5000}, &output, &error, NULL),
        SL_OK);
    assert_string_equal(output.id, "");
    size_t n = 0;
    char *text = read_file(dir, error.id, &n);
    assert_non_null(strstr(text, "\"response\":null,\"error\":{\"code\":\"batch_cancelled\""));
    free(text);
    test_dir_remove(dir);
}

/* U+0085, U+2028, U+2029: no line ends in JSON Lines, but for Python's str.splitlines() they are.
 */
static void test_a_line_is_one_line_for_every_reader(void **state) {
    (void)state;
    static const char *const ends[] = {"\xC2\x85", "\xE2\x80\xA8", "\xE2\x80\xA9"};
    static const char lines[] = TEST_LINE("a\xC2\x85\xE2\x80\xA8z", TEXT_BODY) "\n" TEST_LINE(
        "b\xE2\x80\xA9",
        "{\"model\":\"m\",\"input\":\"x\",\"no\xE2\x80\xA8\":1}") "\n" TEST_LINE("\xC3\xA9",
                                                                                 TEXT_BODY) "\n";
    char *dir = test_dir_make();
    test_write_file(dir, "file-in", lines, sizeof lines - 1);
    struct sl_batch_validation validation = {0};
    struct sl_error err = {0};
    assert_int_equal(test_validate(dir, "batch_0123", &validation, &err), SL_OK);
    assert_int_equal(validation.lines.count, 3);
    sl_batch_validation_fini(&validation);
    struct sl_batch_row row = {
        .id = "batch_0123", .tenant = "t", .model = "m", .after_finalizing = SL_BATCH_CANCELLED};
    struct sl_reader reader = {rows, 0};
    struct sl_file_row output = {0};
    struct sl_file_row error = {0};
    assert_int_equal(
        sl_batch_write_outputs(dir, &reader, &row, (struct sl_wall){5000}, &output, &error, &err),
        SL_OK);
    size_t n = 0;
    char *text = read_file(dir, error.id, &n);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        assert_null(strstr(text, ends[i]));
    }
    assert_non_null(strstr(text, "\"custom_id\":\"a\\u0085\\u2028z\""));
    assert_non_null(strstr(text, "\"custom_id\":\"b\\u2029\""));
    assert_non_null(strstr(text, "Unknown parameter: 'no\\u2028'"));
    assert_non_null(strstr(text, "\"custom_id\":\"\xC3\xA9\"")); /* all else stays readable */
    free(text);
    test_dir_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_go_where_they_belong),
        cmocka_unit_test(test_a_hole_in_a_completed_batch_is_no_success),
        cmocka_unit_test(test_results_leave_room_for_the_store),
        cmocka_unit_test(test_a_line_is_one_line_for_every_reader),
        cmocka_unit_test(test_no_output_file_when_every_line_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
