/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "broker/cli/batch.h"

static int convert(const char *text, size_t bytes, const char *model, struct sl_buf *out,
                   uint64_t *requests, struct sl_error *err) {
    return sl_cli_input_convert(text, bytes, model, out, requests, err);
}

static void test_plain_text(void **state) {
    (void)state;
    static const char text[] = "\xEF\xBB\xBF\n first \"quoted\"\r\n\t \n\xC3\xA9nd \\ here";
    SL_AUTO_BUF struct sl_buf out = {0};
    uint64_t requests = 0;
    assert_int_equal(convert(text, sizeof text - 1, "m", &out, &requests, NULL), SL_OK);
    assert_int_equal(requests, 2);
    /* Line numbers are the file's own, so that a result finds its line. */
    assert_string_equal(out.data,
                        "{\"custom_id\":\"line-2\",\"method\":\"POST\",\"url\":\"/v1/embeddings\","
                        "\"body\":{\"model\":\"m\",\"input\":\" first \\\"quoted\\\"\"}}\n"
                        "{\"custom_id\":\"line-4\",\"method\":\"POST\",\"url\":\"/v1/embeddings\","
                        "\"body\":{\"model\":\"m\",\"input\":\"\xC3\xA9nd \\\\ here\"}}\n");
}

static void test_requests(void **state) {
    (void)state;
    static const char text[] = " \n{\"custom_id\":\"a\",\"body\":{\"model\":\"m\",\"input\":1}}\r\n"
                               "{\"custom_id\":\"b\",\"body\":{\"input\":\"x\"}}\n"
                               "{broken\n"
                               "{\"body\":7}\n"
                               "{\"body\":{\"model\":null}}";
    SL_AUTO_BUF struct sl_buf same = {0};
    SL_AUTO_BUF struct sl_buf filled = {0};
    uint64_t requests = 0;
    /* Without --model nothing but line ends changes: the broker judges. */
    assert_int_equal(convert(text, sizeof text - 1, NULL, &same, &requests, NULL), SL_OK);
    assert_int_equal(requests, 6);
    assert_string_equal(same.data,
                        " \n{\"custom_id\":\"a\",\"body\":{\"model\":\"m\",\"input\":1}}\n"
                        "{\"custom_id\":\"b\",\"body\":{\"input\":\"x\"}}\n"
                        "{broken\n{\"body\":7}\n{\"body\":{\"model\":null}}\n");
    /* With it, it is put in where there is none; what is broken stays broken. */
    assert_int_equal(convert(text, sizeof text - 1, "m", &filled, &requests, NULL), SL_OK);
    assert_non_null(strstr(filled.data, "{\"custom_id\":\"b\",\"body\":{\"input\":\"x\","
                                        "\"model\":\"m\"}}\n{broken\n{\"body\":7}\n"
                                        "{\"body\":{\"model\":null}}\n"));
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t bytes;
        const char *model;
        const char *said;
    } cases[] = {
        {"", 0, "m", "no input"},
        {" \n\r\n\t", 5, "m", "no input"},
        {"plain", 5, NULL, "--model"},
        {"good\nb\xFF"
         "d\n",
         8, "m", "line 2 is no UTF-8"},
        {"{\"body\":{\"model\":\"other\"}}", 26, "m", "line 1 asks for the model 'other'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_buf out = {0};
        struct sl_error err = {0};
        uint64_t requests = 77;
        assert_true(convert(cases[i].text, cases[i].bytes, cases[i].model, &out, &requests, &err) <
                    0);
        assert_non_null(strstr(err.text, cases[i].said));
        assert_null(out.data); /* untouched */
        assert_int_equal(requests, 77);
    }
}

static void test_files(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf out = {0};
    struct sl_error err = {0};
    uint64_t requests = 0;
    assert_true(sl_cli_input_read("/nonexistent/in.txt", "m", &out, &requests, &err) < 0);
    assert_non_null(strstr(err.text, "/nonexistent/in.txt"));
    assert_int_equal(sl_cli_input_read(SLUICE_SOURCE_DIR "/deploy/demo/sentences.txt", "m", &out,
                                       &requests, &err),
                     SL_OK);
    assert_int_equal(requests, 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
