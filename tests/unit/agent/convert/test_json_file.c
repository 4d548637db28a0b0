/* SPDX-License-Identifier: Apache-2.0
 * JSON files of a folder: absent ones are told from broken ones, fields are checked by name. */
#include "agent/convert/json_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/agent/convert/hf_sample.h"

static void test_open(void **state) {
    (void)state;
    struct hf_sample sample;
    struct json_file file = {0};
    struct sl_error err = {0};
    hf_sample_make(&sample, "F32", "");
    assert_int_equal(json_file_open(sample.folder, "absent.json", &file, &err), SL_OK);
    assert_null(file.root);
    json_file_close(&file);
    hf_sample_put(&sample, "x.json", "{\"a\": 1,\n\"b\": }");
    assert_int_equal(json_file_open(sample.folder, "x.json", &file, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "x.json, line 2"));
    assert_int_equal(json_file_open(sample.folder, "1_Pooling", &file, &err), -SL_IO);
    assert_null(file.root);
    hf_sample_remove(&sample);
}

static void test_fields(void **state) {
    (void)state;
    struct hf_sample sample;
    struct json_file file = {0};
    struct sl_error err = {0};
    uint32_t value = 99;
    hf_sample_make(&sample, "F32", "");
    hf_sample_put(&sample, "x.json", "{\"n\": 5, \"yes\": true, \"nothing\": null, \"t\": \"a\"}");
    assert_int_equal(json_file_open(sample.folder, "x.json", &file, &err), SL_OK);
    assert_int_equal(json_file_u32(&file, "n", 5, 5, &value, &err), SL_OK);
    assert_int_equal(value, 5);
    value = 99;
    assert_int_equal(json_file_u32(&file, "n", 6, 9, &value, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "x.json: n must be a whole number from 6 to 9"));
    assert_int_equal(json_file_u32(&file, "yes", 0, 9, &value, &err), -SL_INVALID);
    assert_int_equal(json_file_u32(&file, "absent", 0, 9, &value, &err), -SL_INVALID);
    assert_int_equal(value, 99);
    /* Absent and null fields have the default that we support. */
    assert_int_equal(json_expect_bool(file.root, "x", "absent", true, &err), SL_OK);
    assert_int_equal(json_expect_bool(file.root, "x", "nothing", true, &err), SL_OK);
    assert_int_equal(json_expect_bool(file.root, "x", "yes", true, &err), SL_OK);
    assert_int_equal(json_expect_bool(file.root, "x", "yes", false, &err), -SL_UNSUPPORTED);
    assert_int_equal(json_expect_bool(file.root, "x", "n", true, &err), -SL_UNSUPPORTED);
    assert_int_equal(json_expect_text(file.root, "x", "t", "a", &err), SL_OK);
    assert_int_equal(json_expect_text(file.root, "x", "t", "b", &err), -SL_UNSUPPORTED);
    assert_int_equal(json_expect_text(file.root, "x", "n", "b", &err), -SL_UNSUPPORTED);
    json_file_close(&file);
    hf_sample_remove(&sample);
}

/* One number that no integer holds spoils no other. */
static void test_large_numbers(void **state) {
    (void)state;
    struct hf_sample sample;
    struct json_file file = {0};
    struct sl_error err = {0};
    uint32_t value = 0;
    hf_sample_make(&sample, "F32", "");
    hf_sample_put(&sample, "x.json",
                  "{\"large\": 1000000000000000019884624838656, \"n\": 5, \"part\": 0.5,"
                  " \"list\": [7, [8], {\"id\": 9}]}");
    assert_int_equal(json_file_open(sample.folder, "x.json", &file, &err), SL_OK);
    assert_int_equal(json_file_u32(&file, "n", 0, 9, &value, &err), SL_OK);
    assert_int_equal(value, 5);
    assert_int_equal(json_file_u32(&file, "part", 0, 9, &value, &err), -SL_INVALID);
    assert_int_equal(json_file_u32(&file, "large", 0, 9, &value, &err), -SL_INVALID);
    const json_t *list = json_object_get(file.root, "list");
    assert_int_equal(json_integer_value(json_array_get(list, 0)), 7);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(list, 1), 0)), 8);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 2), "id")), 9);
    json_file_close(&file);
    hf_sample_put(&sample, "x.json", "{\"beyond\": 1e999}");
    assert_int_equal(json_file_open(sample.folder, "x.json", &file, &err), -SL_CORRUPT);
    hf_sample_remove(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_large_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
