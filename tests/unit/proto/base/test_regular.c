/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/regular.h"

static void expect(const char *path, int status, const char *text) {
    struct sl_error err = {0};
    FILE *file = NULL;
    assert_int_equal(sl_regular_open(path, &file, &err), status);
    assert_null(file);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, text));
}

/* The FIFO has no writer: a plain open would wait for one. */
static void test_only_regular_files_are_opened(void **state) {
    (void)state;
    char dir[] = "/tmp/sluice-regular-XXXXXX";
    char path[64];
    char word[8] = "";
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/it", dir);
    expect(path, -SL_NOTFOUND, "there is no");
    expect(dir, -SL_INVALID, "not a regular file");
    expect("/dev/null", -SL_INVALID, "not a regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect(path, -SL_INVALID, "not a regular file");
    assert_int_equal(unlink(path), 0);
    FILE *made = fopen(path, "w");
    assert_non_null(made);
    assert_true(fputs("text", made) >= 0);
    assert_int_equal(fclose(made), 0);
    SL_AUTO_FILE FILE *file = NULL;
    assert_int_equal(sl_regular_open(path, &file, NULL), SL_OK);
    assert_non_null(fgets(word, sizeof word, file));
    assert_string_equal(word, "text");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_only_regular_files_are_opened)};
    return cmocka_run_group_tests_name("regular", tests, NULL, NULL);
}
