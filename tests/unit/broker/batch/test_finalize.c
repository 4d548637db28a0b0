/* SPDX-License-Identifier: Apache-2.0
 * A batch that ends although its spool is damaged, missing, or lost for good. */
#include "tests/unit/broker/batch/support.h"

#include <jansson.h>

/* What the store would hand out; the linker takes this one instead of the store's. */
struct sl_reader {
    const struct sl_result_row *rows;
    size_t count;
    int rc;
};

int sl_reader_results(struct sl_reader *r, const char *batch, bool with_vectors, sl_row_cb cb,
                      void *arg, struct sl_error *err) {
    assert_string_equal(batch, "batch_0123");
    assert_true(with_vectors);
    if (r->rc) {
        return sl_fail(err, SL_IO, "the store cannot be read");
    }
    for (size_t i = 0; i < r->count; i++) {
        if (cb(arg, &r->rows[i]) != 0) {
            break;
        }
    }
    return SL_OK;
}

static uint8_t vector[8] = {0, 0, 0, 0x3F, 0, 0, 0x80, 0xBE};

#define GOOD .status = SL_LINE_OK, .tokens = 3, .vector_count = 1, .dim = 2, .vectors = vector
static const struct sl_result_row rows[] = {{.line = 0, GOOD}, {.line = 2, GOOD}};

#define LINES                                                                                      \
    TEST_LINE("a", TEST_BODY("\"x\""))                                                             \
    "\n" TEST_LINE("refused", TEST_BODY("7")) "\n" TEST_LINE("b", TEST_BODY("\"y\"")) "\n"

struct ended {
    char *dir;
    char spool[SL_BATCH_PATH_MAX];
    char input[SL_BATCH_PATH_MAX];
    struct sl_batch_row row;
    struct sl_reader reader;
    struct sl_file_row output, error;
    char *errors;
    struct sl_error err;
};

static int setup(void **state) {
    struct ended *e = calloc(1, sizeof *e);
    assert_non_null(e);
    e->dir = test_dir_make();
    test_write_file(e->dir, "file-in", LINES, sizeof LINES - 1);
    assert_int_equal(sl_batch_path(e->dir, SL_BATCH_SPOOL_DIR, "batch_0123", e->spool, NULL),
                     SL_OK);
    assert_int_equal(sl_batch_path(e->dir, SL_BATCH_FILES_DIR, "file-in", e->input, NULL), SL_OK);
    struct sl_batch_validation validation = {0};
    assert_int_equal(test_validate(e->dir, "batch_0123", &validation, &e->err), SL_OK);
    e->row = (struct sl_batch_row){.id = "batch_0123",
                                   .tenant = "t",
                                   .model = "m",
                                   .input_file = "file-in",
                                   .endpoint = "/v1/embeddings",
                                   .after_finalizing = SL_BATCH_COMPLETED,
                                   .lines_total = validation.lines.count};
    sl_batch_validation_fini(&validation);
    e->reader = (struct sl_reader){.rows = rows, .count = 2};
    *state = e;
    return 0;
}

static int teardown(void **state) {
    struct ended *e = *state;
    test_dir_remove(e->dir);
    free(e->errors);
    free(e);
    return 0;
}

static int finalize(struct ended *e) {
    return sl_batch_finalize(e->dir, &e->reader, &e->row, (struct sl_wall){5000}, &e->output,
                             &e->error, &e->errors, &e->err);
}

/* One bit of the first record's custom_id, behind the header and the record's own head. */
static void flip(struct ended *e) {
    FILE *file = fopen(e->spool, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 96 + 16, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(byte, 'a');
    assert_int_equal(fseek(file, 96 + 16, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    assert_int_equal(fclose(file), 0);
}

static void cut(struct ended *e) {
    assert_int_equal(truncate(e->spool, 40), 0);
}

static void lose(struct ended *e) {
    assert_int_equal(unlink(e->spool), 0);
}

static void (*const hurt[])(struct ended *e) = {flip, cut, lose};
#define HURTS (sizeof hurt / sizeof hurt[0])

static void expect_whole(struct ended *e) {
    if (finalize(e)) {
        fail_msg("%s", e->err.text);
    }
    assert_null(e->errors);
    assert_string_equal(e->output.id, "file-o0123");
    assert_string_equal(e->error.id, "file-e0123");
    char path[SL_BATCH_PATH_MAX];
    assert_int_equal(sl_batch_path(e->dir, SL_BATCH_FILES_DIR, e->output.id, path, NULL), SL_OK);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    static const char *const ids[] = {"a", "b"};
    for (size_t i = 0; i < 2; i++) {
        json_t *line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL);
        assert_string_equal(json_string_value(json_object_get(line, "custom_id")), ids[i]);
        json_decref(line);
    }
    fclose(file);
}

static void a_spool_that_is_hurt_is_built_anew(void **state) {
    struct ended *e = *state;
    expect_whole(e);
    for (size_t i = 0; i < HURTS; i++) {
        hurt[i](e);
        expect_whole(e);
    }
}

/* As after a restore, or when its tenant has deleted it: nobody but this batch is hurt. */
static void without_the_input_the_batch_fails_by_name(void **state) {
    struct ended *e = *state;
    assert_int_equal(unlink(e->input), 0);
    expect_whole(e); /* it is not needed */
    for (size_t i = 0; i < HURTS; i++) {
        e->output.id[0] = '\0';
        hurt[i](e);
        assert_int_equal(finalize(e), SL_OK);
        assert_string_equal(e->output.id, "");
        json_t *errors = json_loads(e->errors, 0, NULL);
        assert_int_equal(json_array_size(errors), 1);
        assert_string_equal(json_string_value(json_object_get(json_array_get(errors, 0), "code")),
                            "results_lost");
        json_decref(errors);
        assert_non_null(strstr(e->err.text, "batch_0123 is missing or damaged"));
        assert_non_null(strstr(e->err.text, "file-in"));
        free(e->errors);
        e->errors = NULL;
        if (i + 1 < HURTS) { /* whole again */
            test_write_file(e->dir, "file-in", LINES, sizeof LINES - 1);
            expect_whole(e);
            assert_int_equal(unlink(e->input), 0);
        }
    }
}

static void another_input_is_no_replacement(void **state) {
    struct ended *e = *state;
    static const char other[] = TEST_LINE("a", TEST_BODY("\"x\"")) "\n";
    test_write_file(e->dir, "file-in", other, sizeof other - 1);
    lose(e);
    assert_int_equal(finalize(e), SL_OK);
    assert_non_null(e->errors);
}

static void a_hole_fails_the_batch_alone(void **state) {
    struct ended *e = *state;
    e->reader.count = 1;
    assert_int_equal(finalize(e), SL_OK);
    assert_non_null(e->errors);
    assert_non_null(strstr(e->err.text, "line 3 has no result"));
    assert_string_equal(e->output.id, "");
}

/* Then the batch must not be given up. */
static void a_store_that_cannot_be_read_is_told_apart(void **state) {
    struct ended *e = *state;
    e->reader.rc = -SL_IO;
    assert_int_equal(finalize(e), -SL_CORRUPT);
    assert_string_equal(e->err.text, "the store cannot be read");
    assert_null(e->errors);
}

/* Nor when the disk is what fails: it is tried again. */
static void a_spool_that_cannot_be_opened_is_waited_for(void **state) {
    struct ended *e = *state;
    lose(e);
    assert_int_equal(symlink("/nowhere", e->spool), 0);
    assert_int_equal(finalize(e), -SL_IO);
    assert_null(e->errors);
}

int main(void) {
#define FINALIZE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        FINALIZE_TEST(a_spool_that_is_hurt_is_built_anew),
        FINALIZE_TEST(without_the_input_the_batch_fails_by_name),
        FINALIZE_TEST(another_input_is_no_replacement),
        FINALIZE_TEST(a_hole_fails_the_batch_alone),
        FINALIZE_TEST(a_store_that_cannot_be_read_is_told_apart),
        FINALIZE_TEST(a_spool_that_cannot_be_opened_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
