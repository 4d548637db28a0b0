/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/batch/support.h"

#include <jansson.h>

#include "broker/batch/line.h"
#include "proto/base/clock.h"

struct bad_case {
    const char *why;
    const char *text;
    size_t bytes; /* 0: strlen */
    const char *code;
    int line; /* 0: null */
};

#define OK_A TEST_LINE("a", TEST_BODY("\"x\""))

static const struct bad_case bad_cases[] = {
    {"no bytes at all", "", 0, "empty_file", 0},
    {"a byte order mark alone is an empty file", "\xEF\xBB\xBF", 0, "empty_file", 0},
    {"an empty line in the middle", OK_A "\n\n", 0, "empty_line", 2},
    {"blanks are an empty line too", OK_A "\n  \t\r\n", 0, "empty_line", 2},
    {"broken JSON", OK_A "\n{\"custom_id\":", 0, "invalid_json_line", 2},
    {"two values in one line", OK_A " {}", 0, "invalid_json_line", 1},
    {"an array is no request", "[]", 0, "invalid_json_line", 1},
    {"NaN is no JSON", TEST_LINE("a", "{\"model\":\"m\",\"input\":NaN}"), 0, "invalid_json_line",
     1},
    {"Infinity is no JSON", TEST_LINE("a", "{\"model\":\"m\",\"input\":-Infinity}"), 0,
     "invalid_json_line", 1},
    {"invalid UTF-8", TEST_LINE("a", TEST_BODY("\"\xC3\x28\"")), 0, "invalid_json_line", 1},
    {"UTF-16, little-endian, is one fault", "\xFF\xFE{\0}\0\n\0{\0}\0", 12, "invalid_json_line", 1},
    {"UTF-16, big-endian", "\xFE\xFF\0{\0}\0\n\0{\0}", 12, "invalid_json_line", 1},
    {"an encoded surrogate is invalid UTF-8", TEST_LINE("a", TEST_BODY("\"\xED\xA0\x80\"")), 0,
     "invalid_json_line", 1},
    {"a key twice in one object",
     TEST_LINE("a", "{\"model\":\"m\",\"model\":\"m\",\"input\":\"x\"}"), 0, "invalid_json_line",
     1},
    {"U+0000 in a key", TEST_LINE("a", "{\"model\":\"m\",\"in\\u0000put\":\"x\"}"), 0,
     "invalid_json_line", 1},
    {"a raw NUL", "{\"custom_id\":\"a\0\"}", 18, "invalid_json_line", 1},
    {"a lone surrogate in custom_id could not be echoed", TEST_LINE("\\ud800", TEST_BODY("\"x\"")),
     0, "invalid_json_line", 1},
    {"a lone surrogate behind a NUL in custom_id", TEST_LINE("\\u0000\\ud800", TEST_BODY("\"x\"")),
     0, "invalid_json_line", 1},
    {"a number that is none, and too large",
     TEST_LINE("a", TEST_BODY("[1.2.3e999,99999999999999999999]")), 0, "invalid_json_line", 1},
    {"zeros in front of a large number", TEST_LINE("a", TEST_BODY("[0099999999999999999999]")), 0,
     "invalid_json_line", 1},
    {"no digit behind the point", TEST_LINE("a", TEST_BODY("[1.e999]")), 0, "invalid_json_line", 1},
    {"deeper than the cap",
     TEST_LINE("a",
               TEST_BODY("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]")),
     0, "invalid_json_line", 1},
    {"the same custom_id twice", OK_A "\n" OK_A, 0, "duplicate_custom_id", 2},
    {"no custom_id", "{\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{}}", 0,
     "missing_required_parameter", 1},
    {"a custom_id that is a number",
     "{\"custom_id\":7,\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{}}", 0,
     "invalid_type", 1},
    {"an empty custom_id", TEST_LINE("", TEST_BODY("\"x\"")), 0, "invalid_custom_id", 1},
    {"another endpoint than the batch's",
     "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{}}", 0,
     "url_mismatch", 1},
    {"another method",
     "{\"custom_id\":\"a\",\"method\":\"GET\",\"url\":\"/v1/embeddings\",\"body\":{}}", 0,
     "invalid_method", 1},
    {"no body", "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/embeddings\"}", 0,
     "missing_required_parameter", 1},
    {"no model", TEST_LINE("a", "{\"input\":\"x\"}"), 0, "missing_required_parameter", 1},
    {"a model nobody offers", TEST_LINE("a", "{\"model\":\"gpt-9\",\"input\":\"x\"}"), 0,
     "model_not_found", 1},
    {"two models in one batch", OK_A "\n" TEST_LINE("b", "{\"model\":\"n\",\"input\":\"x\"}"), 0,
     "model_mismatch", 2},
};

static json_t *errors_of(const char *dir, const char *why) {
    struct sl_batch_validation validation = {0};
    struct sl_error err = {0};
    int rc = test_validate(dir, "batch_1", &validation, &err);
    if (rc != SL_OK || !validation.errors || validation.lines.count != 0) {
        fail_msg("%s: rc %d (%s), %u lines", why, rc, err.text, validation.lines.count);
    }
    json_t *errors = json_loads(validation.errors, 0, NULL);
    assert_true(json_is_array(errors));
    sl_batch_validation_fini(&validation);
    return errors;
}

static void test_bad_lines_fail_the_batch(void **state) {
    (void)state;
    char *dir = test_dir_make();
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        const struct bad_case *c = &bad_cases[i];
        test_write_file(dir, "file-in", c->text, c->bytes ? c->bytes : strlen(c->text));
        json_t *errors = errors_of(dir, c->why);
        json_t *first = json_array_get(errors, 0);
        const char *code = json_string_value(json_object_get(first, "code"));
        json_int_t line = json_integer_value(json_object_get(first, "line"));
        if (json_array_size(errors) != 1 || strcmp(code, c->code) != 0 || line != c->line) {
            fail_msg("%s: %zu errors, first %s on line %lld: %s", c->why, json_array_size(errors),
                     code, (long long)line, json_string_value(json_object_get(first, "message")));
        }
        assert_true(json_object_get(first, "param") != NULL);
        struct sl_spool *spool = NULL;
        assert_int_equal(sl_spool_open(dir, "batch_1", &spool, NULL), -SL_NOTFOUND);
        json_decref(errors);
    }
    test_dir_remove(dir);
}

struct refused_case {
    const char *why;
    const char *body;
    const char *code;
    const char *param;
};

static const struct refused_case refused_cases[] = {
    {"never ignored", "{\"model\":\"m\",\"input\":\"x\",\"temperature\":1}", "unknown_parameter",
     "temperature"},
    {"not offered", "{\"model\":\"m\",\"input\":\"x\",\"dimensions\":8}", "unsupported_parameter",
     "dimensions"},
    {"neither float nor base64", "{\"model\":\"m\",\"input\":\"x\",\"encoding_format\":\"int8\"}",
     "invalid_value", "encoding_format"},
    {"a number is no format", "{\"model\":\"m\",\"input\":\"x\",\"encoding_format\":1}",
     "invalid_value", "encoding_format"},
    {"user is a string", "{\"model\":\"m\",\"input\":\"x\",\"user\":1}", "invalid_type", "user"},
    {"no input", "{\"model\":\"m\"}", "missing_required_parameter", "input"},
    {"empty text", TEST_BODY("\"\""), "invalid_value", "input"},
    {"empty array", TEST_BODY("[]"), "invalid_value", "input"},
    {"empty text in an array", TEST_BODY("[\"x\",\"\"]"), "invalid_value", "input"},
    {"an object", TEST_BODY("{}"), "invalid_type", "input"},
    {"null", TEST_BODY("null"), "invalid_type", "input"},
    {"mixed array", TEST_BODY("[\"x\",null]"), "invalid_type", "input"},
    {"a bare number", TEST_BODY("7"), "invalid_type", "input"},
    {"a text among token ids", TEST_BODY("[1,\"x\"]"), "invalid_type", "input"},
    {"a list among token ids", TEST_BODY("[1,[2]]"), "invalid_type", "input"},
    {"a fraction", TEST_BODY("[1,2.5]"), "invalid_type", "input"},
    {"a fraction first", TEST_BODY("[1.0]"), "invalid_type", "input"},
    {"a negative id", TEST_BODY("[1,-1]"), "invalid_value", "input"},
    {"an id above all", TEST_BODY("[4194304]"), "invalid_value", "input"},
    {"an id beyond 64 bits", TEST_BODY("[1e30]"), "invalid_type", "input"},
    {"-1 as an unsigned number", TEST_BODY("[101,18446744073709551615]"), "invalid_value", "input"},
    {"an id far beyond 64 bits", TEST_BODY("[-99999999999999999999]"), "invalid_value", "input"},
    {"a number beyond a double",
     "{\"model\":\"m\",\"input\":\"1e400 \\\" 1e400\",\"dimensions\":1e400}", "invalid_value",
     "input"},
    {"an empty list of ids", TEST_BODY("[[1],[]]"), "invalid_value", "input"},
    {"a number among lists", TEST_BODY("[[1],2]"), "invalid_type", "input"},
    {"lists in lists", TEST_BODY("[[[1]]]"), "invalid_type", "input"},
    {"ids among texts", TEST_BODY("[\"x\",[1]]"), "invalid_type", "input"},
    {"a lone high surrogate", TEST_BODY("\"a\\ud83d\""), "invalid_value", "input"},
    {"a lone low surrogate", TEST_BODY("\"\\udc00\\ud83d\\ude00\""), "invalid_value", "input"},
};

static void test_faults_of_their_own_refuse_one_line(void **state) {
    (void)state;
    char *dir = test_dir_make();
    for (size_t i = 0; i < sizeof refused_cases / sizeof refused_cases[0]; i++) {
        const struct refused_case *c = &refused_cases[i];
        char text[1024];
        int n = snprintf(text, sizeof text,
                         "{\"custom_id\":\"bad\",\"method\":\"POST\",\"url\":\"/v1/embeddings\","
                         "\"body\":%s}\n%s\n",
                         c->body, TEST_LINE("good", TEST_BODY("\"x\"")));
        test_write_file(dir, "file-in", text, (size_t)n);
        sl_spool_delete(dir, "batch_1");
        struct sl_batch_validation validation = {0};
        struct sl_error err = {0};
        if (test_validate(dir, "batch_1", &validation, &err) != SL_OK || validation.errors) {
            fail_msg("%s: %s %s", c->why, err.text, validation.errors);
        }
        assert_int_equal(validation.lines.count, 2);
        assert_int_equal(validation.lines.worst_tokens[0], 0);
        assert_int_equal(validation.lines.worst_tokens[1], 3);
        sl_batch_validation_fini(&validation);
        struct sl_spool *spool = NULL;
        assert_int_equal(sl_spool_open(dir, "batch_1", &spool, &err), SL_OK);
        struct sl_spool_line line;
        assert_int_equal(sl_spool_line(spool, 0, &line, &err), SL_OK);
        assert_non_null(line.refusal);
        assert_int_equal(line.input_count, 0);
        json_t *body = json_loadb(line.refusal, line.refusal_bytes, 0, NULL);
        json_t *error = json_object_get(body, "error");
        const char *code = json_string_value(json_object_get(error, "code"));
        const char *param = json_string_value(json_object_get(error, "param"));
        if (!code || strcmp(code, c->code) != 0 || !param || strcmp(param, c->param) != 0) {
            fail_msg("%s: code %s param %s", c->why, code, param);
        }
        assert_int_equal(json_object_size(error), 4);
        json_decref(body);
        sl_spool_close(spool);
    }
    test_dir_remove(dir);
}

/* What a device is given of a line: texts with the model's prefix, or ids as they are. */
static void test_ids_and_prefixes_in_the_spool(void **state) {
    (void)state;
    char *dir = test_dir_make();
    static const char text[] =
        "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":"
        "{\"model\":\"n\",\"input\":[101,4194303,102]}}\n"
        "{\"custom_id\":\"bc\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":"
        "{\"model\":\"n\",\"input\":[\"x\",\"yy\"],\"encoding_format\":\"base64\"}}\n"
        "{\"custom_id\":\"def\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":"
        "{\"model\":\"n\",\"input\":[[7],[8,9]]}}\n";
    test_write_file(dir, "file-in", text, sizeof text - 1);
    struct sl_batch_validation v = {0};
    struct sl_error err = {0};
    assert_int_equal(test_validate(dir, "batch_1", &v, &err), SL_OK);
    assert_null(v.errors);
    assert_true(v.lines.tokens);
    assert_int_equal(v.lines.worst_tokens[0], 3 + 2);
    assert_int_equal(v.lines.worst_tokens[1], 2 * 7 + 1 + 2 + 2 * 2); /* "query: " twice */
    assert_int_equal(v.lines.worst_tokens[2], 3 + 2 * 2);
    sl_batch_validation_fini(&v);
    assert_int_equal(test_validate(dir, "batch_1", &v, &err),
                     SL_OK);     /* from the spool, as after a */
    assert_true(v.lines.tokens); /* restart */
    sl_batch_validation_fini(&v);
    struct sl_spool *spool = NULL;
    assert_int_equal(sl_spool_open(dir, "batch_1", &spool, &err), SL_OK);
    struct sl_spool_line line;
    struct sl_msg_input in[2];
    assert_int_equal(sl_spool_line(spool, 0, &line, &err), SL_OK);
    assert_true(line.tokens && line.single && line.input_count == 1);
    assert_int_equal(sl_spool_inputs(spool, 0, in, 2, &err), SL_OK);
    assert_int_equal(in[0].id_count, 3);
    assert_int_equal((uintptr_t)in[0].ids % sizeof(uint32_t), 0);
    assert_int_equal(in[0].ids[1], 4194303);
    assert_int_equal(sl_spool_line(spool, 1, &line, &err), SL_OK);
    assert_true(!line.tokens && !line.single && line.base64 && line.input_count == 2);
    assert_int_equal(sl_spool_inputs(spool, 1, in, 2, &err), SL_OK);
    assert_int_equal(in[1].bytes, 9);
    assert_memory_equal(in[1].text, "query: yy", 9);
    assert_int_equal(in[1].id_count, 0);
    assert_int_equal(sl_spool_line(spool, 2, &line, &err), SL_OK);
    assert_true(line.tokens && !line.single && line.input_count == 2);
    assert_int_equal(sl_spool_inputs(spool, 2, in, 2, &err), SL_OK);
    assert_int_equal(in[1].id_count, 2);
    assert_int_equal(in[1].ids[0], 8);
    sl_spool_close(spool);
    test_dir_remove(dir);
}

/* With its prefix a text may be longer than a message can carry. */
static void test_a_prefix_counts_towards_the_limit(void **state) {
    (void)state;
    char *dir = test_dir_make();
    size_t room = SL_MSG_INPUT_BYTES_MAX + 256;
    char *text = malloc(2 * room);
    assert_non_null(text);
    for (int too_long = 0; too_long < 2; too_long++) {
        size_t n = SL_MSG_INPUT_BYTES_MAX - 7 + (size_t)too_long;
        int head = sprintf(text, "{\"custom_id\":\"a\",\"method\":\"POST\","
                                 "\"url\":\"/v1/embeddings\",\"body\":{\"model\":\"n\","
                                 "\"input\":\"");
        memset(text + head, 'a', n);
        strcpy(text + head + n, "\"}}");
        test_write_file(dir, "file-in", text, strlen(text));
        sl_spool_delete(dir, "batch_1");
        struct sl_batch_validation v = {0};
        struct sl_error err = {0};
        assert_int_equal(test_validate(dir, "batch_1", &v, &err), SL_OK);
        assert_null(v.errors);
        assert_int_equal(v.lines.worst_tokens[0], too_long ? 0 : SL_MSG_INPUT_BYTES_MAX + 2);
        sl_batch_validation_fini(&v);
    }
    free(text);
    test_dir_remove(dir);
}

static void test_forms_that_are_accepted(void **state) {
    (void)state;
    static const struct {
        const char *why;
        const char *text;
        uint32_t lines;
    } cases[] = {
        {"no newline at the end", OK_A, 1},
        {"CRLF and a byte order mark", "\xEF\xBB\xBF" OK_A "\r\n", 1},
        {"an array of texts, base64, user, nulls where unset",
         TEST_LINE("a", "{\"model\":\"m\",\"input\":[\"x\",\"y\"],\"encoding_format\":\"base64\","
                        "\"user\":\"u\",\"dimensions\":null}"),
         1},
        {"token ids", TEST_LINE("a", TEST_BODY("[0,4194303]")), 1},
        {"lists of token ids", TEST_LINE("a", TEST_BODY("[[1],[2,3]]")), 1},
        {"U+0000 in a text, a surrogate pair",
         TEST_LINE("a", TEST_BODY("\"\\u0000\\ud83d\\ude00\"")), 1},
        {"an escaped backslash before u is no escape", TEST_LINE("a", TEST_BODY("\"\\\\ud800\"")),
         1},
    };
    char *dir = test_dir_make();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_write_file(dir, "file-in", cases[i].text, strlen(cases[i].text));
        sl_spool_delete(dir, "batch_1");
        struct sl_batch_validation validation = {0};
        struct sl_error err = {0};
        if (test_validate(dir, "batch_1", &validation, &err) != SL_OK || validation.errors ||
            validation.lines.count != cases[i].lines || validation.lines.worst_tokens[0] == 0) {
            fail_msg("%s: %s %s", cases[i].why, err.text, validation.errors);
        }
        assert_string_equal(validation.model, "m");
        sl_batch_validation_fini(&validation);
    }
    test_dir_remove(dir);
}

/* The character that stands for a lone surrogate elsewhere in the line is a good one in custom_id.
 */
static void test_a_lone_surrogate_is_found_where_it_is(void **state) {
    (void)state;
    static const char text[] = TEST_LINE("x\\ufffd", TEST_BODY("\"\\ud800\""));
    char *dir = test_dir_make();
    struct sl_batch_validation validation = {0};
    struct sl_error err = {0};
    test_write_file(dir, "file-in", text, sizeof text - 1);
    assert_int_equal(test_validate(dir, "batch_1", &validation, &err), SL_OK);
    assert_null(validation.errors);
    assert_int_equal(validation.lines.count, 1);
    assert_int_equal(validation.lines.worst_tokens[0], 0); /* refused by itself */
    sl_batch_validation_fini(&validation);
    test_dir_remove(dir);
}

/* A long list of numbers whose end is missing: each of them was looked at to the end of the line,
 * which took minutes. A test that does so again runs into its timeout. */
static void test_a_long_line_cut_short_is_refused_at_once(void **state) {
    (void)state;
    static const char head[] =
        "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/embeddings\","
        "\"body\":{\"model\":\"m\",\"input\":[";
    enum { BYTES = 1000000 };
    char *dir = test_dir_make();
    char *text = malloc(BYTES);
    assert_non_null(text);
    memcpy(text, head, sizeof head - 1);
    for (size_t i = sizeof head - 1; i < BYTES; i++) {
        text[i] = i % 2 ? '1' : ',';
    }
    text[sizeof head - 1] = '1';
    struct sl_batch_validation validation = {0};
    struct sl_error err = {0};
    test_write_file(dir, "file-in", text, BYTES);
    assert_int_equal(test_validate(dir, "batch_1", &validation, &err), SL_OK);
    assert_non_null(strstr(validation.errors, "invalid_json_line"));
    sl_batch_validation_fini(&validation);
    free(text);
    test_dir_remove(dir);
}

/* Writes `count` copies of a line whose custom_id and text are numbered. */
static void write_many(const char *dir, uint32_t count, uint32_t inputs, size_t text_bytes) {
    struct sl_buf buf = {0};
    char *text = malloc(text_bytes + 1);
    memset(text, 'x', text_bytes);
    text[text_bytes] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        sl_buf_printf(&buf,
                      "{\"custom_id\":\"line-%u\",\"method\":\"POST\",\"url\":\"/v1/embeddings\","
                      "\"body\":{\"model\":\"m\",\"input\":[\"%s\"",
                      i, text);
        for (uint32_t j = 1; j < inputs; j++) {
            sl_buf_printf(&buf, ",\"x\"");
        }
        sl_buf_printf(&buf, "]}}\n");
    }
    test_write_file(dir, "file-in", buf.data, buf.len);
    sl_buf_fini(&buf);
    free(text);
}

static void expect_single_error(const char *dir, const char *code, json_int_t line) {
    json_t *errors = errors_of(dir, code);
    assert_int_equal(json_array_size(errors), 1);
    json_t *first = json_array_get(errors, 0);
    assert_string_equal(json_string_value(json_object_get(first, "code")), code);
    assert_int_equal(json_integer_value(json_object_get(first, "line")), line);
    json_decref(errors);
}

static void test_limits(void **state) {
    (void)state;
    char *dir = test_dir_make();
    write_many(dir, SL_BATCH_LINES_MAX + 1, 1, 1);
    expect_single_error(dir, "too_many_tasks", 0);
    write_many(dir, 26, 2000, 1); /* the 26th line makes it 52,000 texts */
    expect_single_error(dir, "too_many_inputs", 26);
    write_many(dir, 1, 1, SL_BATCH_LINE_BYTES_MAX);
    expect_single_error(dir, "line_too_long", 1);
    write_many(dir, 1, 1, 3 * SL_BATCH_LINE_BYTES_MAX);
    expect_single_error(dir, "line_too_long", 1);
    char path[SL_BATCH_PATH_MAX];
    assert_int_equal(sl_batch_path(dir, SL_BATCH_FILES_DIR, "file-in", path, NULL), SL_OK);
    assert_int_equal(truncate(path, SL_BATCH_FILE_BYTES_MAX + 1), 0);
    expect_single_error(dir, "file_too_large", 0);
    assert_int_equal(unlink(path), 0);
    expect_single_error(dir, "file_not_found", 0);
    test_dir_remove(dir);
}

static void test_a_long_line_does_not_hide_the_next(void **state) {
    (void)state;
    char *dir = test_dir_make();
    struct sl_buf buf = {0};
    for (size_t i = 0; i < 2 * SL_BATCH_LINE_BYTES_MAX; i++) {
        sl_buf_append(&buf, "x", 1);
    }
    sl_buf_printf(&buf, "\n" OK_A "\n{}\n");
    test_write_file(dir, "file-in", buf.data, buf.len);
    sl_buf_fini(&buf);
    json_t *errors = errors_of(dir, "long");
    assert_int_equal(json_array_size(errors), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(errors, 0), "line")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(errors, 1), "line")), 3);
    json_decref(errors);
    test_dir_remove(dir);
}

static void test_the_list_of_errors_is_capped_and_says_so(void **state) {
    (void)state;
    char *dir = test_dir_make();
    struct sl_buf buf = {0};
    for (int i = 0; i < 1500; i++) {
        sl_buf_printf(&buf, "{}\n");
    }
    test_write_file(dir, "file-in", buf.data, buf.len);
    sl_buf_fini(&buf);
    json_t *errors = errors_of(dir, "cap");
    assert_int_equal(json_array_size(errors), SL_BATCH_ERRORS_MAX + 1);
    json_t *last = json_array_get(errors, SL_BATCH_ERRORS_MAX);
    assert_string_equal(json_string_value(json_object_get(last, "code")), "too_many_errors");
    assert_non_null(strstr(json_string_value(json_object_get(last, "message")), "500 more"));
    json_decref(errors);
    test_dir_remove(dir);
}

static void test_a_whole_spool_is_used_again(void **state) {
    (void)state;
    char *dir = test_dir_make();
    write_many(dir, 10, 2, 5);
    struct sl_batch_validation first = {0};
    struct sl_batch_validation second = {0};
    struct sl_error err = {0};
    assert_int_equal(test_validate(dir, "batch_1", &first, &err), SL_OK);
    char path[SL_BATCH_PATH_MAX];
    assert_int_equal(sl_batch_path(dir, SL_BATCH_FILES_DIR, "file-in", path, NULL), SL_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(test_validate(dir, "batch_1", &second, &err), SL_OK);
    assert_int_equal(second.lines.count, 10);
    assert_memory_equal(first.lines.worst_tokens, second.lines.worst_tokens, 10 * sizeof(uint32_t));
    assert_string_equal(second.model, "m");
    sl_batch_validation_fini(&first);
    sl_batch_validation_fini(&second);
    test_dir_remove(dir);
}

static void test_fifty_thousand_lines_are_quick(void **state) {
    (void)state;
    char *dir = test_dir_make();
    write_many(dir, SL_BATCH_LINES_MAX, 1, 110);
    struct sl_batch_validation validation = {0};
    struct sl_error err = {0};
    struct sl_mono start = sl_clock_mono();
    assert_int_equal(test_validate(dir, "batch_1", &validation, &err), SL_OK);
    int64_t ms = sl_mono_since_ns(sl_clock_mono(), start) / SL_NS_PER_MS;
    print_message("50,000 lines: %lld ms\n", (long long)ms);
    assert_int_equal(validation.lines.count, SL_BATCH_LINES_MAX);
    assert_true(ms < 20000); /* a tripwire for something quadratic, not a benchmark */
    sl_batch_validation_fini(&validation);
    test_dir_remove(dir);
}

static void test_ids_cannot_leave_the_folder(void **state) {
    (void)state;
    char path[SL_BATCH_PATH_MAX];
    static const char *const bad[] = {
        "", "../x", "a/b", ".", "a.b", "a b", "0123456789012345678901234567890123456789"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sl_batch_path("/d", "files", bad[i], path, NULL), -SL_INVALID);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_long_line_cut_short_is_refused_at_once),
        cmocka_unit_test(test_a_lone_surrogate_is_found_where_it_is),
        cmocka_unit_test(test_bad_lines_fail_the_batch),
        cmocka_unit_test(test_faults_of_their_own_refuse_one_line),
        cmocka_unit_test(test_ids_and_prefixes_in_the_spool),
        cmocka_unit_test(test_a_prefix_counts_towards_the_limit),
        cmocka_unit_test(test_forms_that_are_accepted),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_long_line_does_not_hide_the_next),
        cmocka_unit_test(test_the_list_of_errors_is_capped_and_says_so),
        cmocka_unit_test(test_a_whole_spool_is_used_again),
        cmocka_unit_test(test_fifty_thousand_lines_are_quick),
        cmocka_unit_test(test_ids_cannot_leave_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
