/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/batch/support.h"

#include "broker/batch/spool_file.h"

static const char input[] = TEST_LINE("a", TEST_BODY("\"one\"")) "\n" TEST_LINE(
    "\\u0000\\\"/\\n\xC3\xA9",
    TEST_BODY("[\"two\",\"a\\u0000b\",\"\xF0\x9F\x98\x80\"]")) "\n" TEST_LINE("c",
                                                                              TEST_BODY("7")) "\n";

static char *make_spool(void) {
    char *dir = test_dir_make();
    test_write_file(dir, "file-in", input, sizeof input - 1);
    struct sl_batch_validation validation = {0};
    struct sl_error err = {0};
    assert_int_equal(test_validate(dir, "batch_1", &validation, &err), SL_OK);
    assert_int_equal(validation.lines.count, 3);
    sl_batch_validation_fini(&validation);
    return dir;
}

static void test_lines_come_back(void **state) {
    (void)state;
    char *dir = make_spool();
    struct sl_spool *spool = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_spool_open(dir, "batch_1", &spool, &err), SL_OK);
    assert_int_equal(sl_spool_count(spool), 3);
    struct sl_spool_line line;
    struct sl_msg_input inputs[3];
    assert_int_equal(sl_spool_line(spool, 0, &line, &err), SL_OK);
    assert_true(line.single && !line.base64 && !line.refusal);
    assert_int_equal(line.worst_tokens, 5);
    assert_int_equal(sl_spool_inputs(spool, 0, inputs, 3, &err), SL_OK);
    assert_int_equal(inputs[0].bytes, 3);
    assert_memory_equal(inputs[0].text, "one", 3);
    assert_int_equal(sl_spool_line(spool, 1, &line, &err), SL_OK);
    const char *escaped = "\\u0000\\\"/\\n\xC3\xA9";
    assert_int_equal(line.custom_id_bytes, strlen(escaped));
    assert_memory_equal(line.custom_id, escaped, strlen(escaped));
    assert_int_equal(line.input_count, 3);
    assert_int_equal(sl_spool_inputs(spool, 1, inputs, 3, &err), SL_OK);
    assert_int_equal(inputs[1].bytes, 3);
    assert_memory_equal(inputs[1].text, "a\0b", 3);
    assert_int_equal(inputs[2].bytes, 4);
    assert_int_equal(sl_spool_inputs(spool, 1, inputs, 2, &err), -SL_LIMIT);
    assert_int_equal(sl_spool_line(spool, 2, &line, &err), SL_OK);
    assert_non_null(line.refusal);
    assert_int_equal(sl_spool_line(spool, 3, &line, &err), -SL_NOTFOUND);
    sl_spool_close(spool);
    sl_spool_delete(dir, "batch_1");
    assert_int_equal(sl_spool_open(dir, "batch_1", &spool, &err), -SL_NOTFOUND);
    test_dir_remove(dir);
}

/* Reads everything; SL_OK only when all of it is whole. */
static int read_all(const char *dir) {
    struct sl_spool *spool = NULL;
    uint32_t *worst = NULL;
    bool tokens = false;
    int rc = sl_spool_open(dir, "batch_1", &spool, NULL);
    if (rc == SL_OK) {
        rc = sl_spool_verify(spool, &worst, &tokens, NULL);
        sl_spool_close(spool);
    }
    free(worst);
    return rc;
}

static void test_every_damaged_byte_is_noticed(void **state) {
    (void)state;
    char *dir = make_spool();
    char path[SL_BATCH_PATH_MAX];
    assert_int_equal(sl_batch_path(dir, SL_BATCH_SPOOL_DIR, "batch_1", path, NULL), SL_OK);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_int_equal(read_all(dir), SL_OK);
    for (long i = 0; i < size; i++) {
        fseek(file, i, SEEK_SET);
        int byte = fgetc(file);
        fseek(file, i, SEEK_SET);
        fputc(byte ^ 0x20, file);
        fflush(file);
        if (read_all(dir) != -SL_CORRUPT) {
            fail_msg("byte %ld of %ld was changed and nobody noticed", i, size);
        }
        fseek(file, i, SEEK_SET);
        fputc(byte, file);
        fflush(file);
    }
    for (long i = 0; i < size; i += 7) {
        assert_int_equal(truncate(path, size - i - 1), 0);
        assert_int_equal(read_all(dir), -SL_CORRUPT);
    }
    fclose(file);
    struct sl_batch_validation validation = {0};
    assert_int_equal(test_validate(dir, "batch_1", &validation, NULL), SL_OK);
    assert_int_equal(validation.lines.count, 3); /* built anew from the input */
    sl_batch_validation_fini(&validation);
    assert_int_equal(read_all(dir), SL_OK);
    test_dir_remove(dir);
}

/* Pages of files that are mapped into this process and present. */
static long file_pages(void) {
    long size = 0;
    long resident = 0;
    long shared = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld %ld", &size, &resident, &shared), 3);
    fclose(file);
    return shared;
}

/* 16 MiB of texts: a batch at work, and one whose output is written, read all of them. */
static void test_what_was_read_does_not_stay_in_memory(void **state) {
    (void)state;
    enum { LINES = 40, TEXT = 400 * 1024 };
    char *dir = test_dir_make();
    struct sl_buf file = {0};
    char *text = malloc(TEXT + 1);
    assert_non_null(text);
    memset(text, 'x', TEXT);
    text[TEXT] = '\0';
    for (int i = 0; i < LINES; i++) {
        sl_buf_printf(&file, TEST_LINE("%d", "{\"model\":\"m\",\"input\":\""), i);
        file.len--; /* the bracket of the line */
        sl_buf_printf(&file, "%s\"}}\n", text);
    }
    test_write_file(dir, "file-in", file.data, file.len);
    sl_buf_fini(&file);
    struct sl_batch_validation validation = {0};
    struct sl_spool *spool = NULL;
    struct sl_error err = {0};
    assert_int_equal(test_validate(dir, "batch_1", &validation, &err), SL_OK);
    assert_int_equal(validation.lines.count, LINES);
    sl_batch_validation_fini(&validation);
    assert_int_equal(sl_spool_open(dir, "batch_1", &spool, &err), SL_OK);
    long before = file_pages();
    long most = 0;
    struct sl_msg_input first;
    assert_int_equal(sl_spool_inputs(spool, 0, &first, 1, &err), SL_OK);
    for (uint32_t i = 0; i < LINES; i++) {
        struct sl_msg_input one;
        assert_int_equal(sl_spool_inputs(spool, i, &one, 1, &err), SL_OK);
        assert_int_equal(one.bytes, TEXT);
        assert_memory_equal(one.text, text, TEXT);
        long now = file_pages() - before;
        most = now > most ? now : most;
    }
    assert_memory_equal(first.text, text, TEXT); /* a pointer that was given out stays good */
    assert_in_range(most, 1, 10L * 1024 * 1024 / sysconf(_SC_PAGESIZE));
    sl_spool_close(spool);
    free(text);
    test_dir_remove(dir);
}

static void test_crc_is_the_usual_one(void **state) {
    (void)state;
    assert_int_equal(sl_spool_crc(0, "123456789", 9), 0xCBF43926); /* the published check value */
    assert_int_equal(sl_spool_crc(sl_spool_crc(0, "1234", 4), "56789", 5), 0xCBF43926);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_come_back),
        cmocka_unit_test(test_every_damaged_byte_is_noticed),
        cmocka_unit_test(test_what_was_read_does_not_stay_in_memory),
        cmocka_unit_test(test_crc_is_the_usual_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
