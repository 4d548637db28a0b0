/* SPDX-License-Identifier: Apache-2.0
 * Which files are mapped and which are refused. */
#include "agent/models/mapping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void test_kinds(void **state) {
    (void)state;
    struct sl_mapping mapping = {0};
    struct sl_error err = {0};
    char path[] = "/tmp/sluice-map-XXXXXX";
    char link[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(sl_mapping_open(path, &mapping, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "empty"));
    assert_int_equal(write(fd, "abc", 3), 3);
    close(fd);
    assert_int_equal(sl_mapping_open(path, &mapping, &err), SL_OK);
    assert_int_equal(mapping.n, 3);
    assert_memory_equal(mapping.bytes, "abc", 3);
    sl_mapping_close(&mapping);
    assert_null(mapping.bytes);
    sl_mapping_close(&mapping); /* twice does no harm */
    snprintf(link, sizeof link, "%s.link", path);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(sl_mapping_open(link, &mapping, &err), -SL_IO);
    unlink(link);
    unlink(path);
    assert_int_equal(sl_mapping_open(path, &mapping, &err), -SL_NOTFOUND);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(sl_mapping_open(path, &mapping, &err), -SL_IO); /* and does not wait */
    unlink(path);
    assert_int_equal(sl_mapping_open("/tmp", &mapping, &err), -SL_IO);
    assert_null(mapping.bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
