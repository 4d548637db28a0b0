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
    struct sl_file_stamp stamp;
    assert_int_equal(sl_mapping_read(link, &mapping, &stamp, &err), -SL_IO);
    assert_non_null(strstr(err.text, "symbolic link"));
    assert_int_equal(sl_mapping_open(link, &mapping, &err), SL_OK);
    assert_memory_equal(mapping.bytes, "abc", 3);
    sl_mapping_close(&mapping);
    unlink(path);
    assert_int_equal(sl_mapping_open(path, &mapping, &err), -SL_NOTFOUND);
    assert_int_equal(sl_mapping_open(link, &mapping, &err), -SL_NOTFOUND);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(sl_mapping_open(path, &mapping, &err), -SL_IO); /* and does not wait */
    assert_int_equal(sl_mapping_open(link, &mapping, &err), -SL_IO);
    unlink(path);
    unlink(link);
    assert_int_equal(sl_mapping_open("/tmp", &mapping, &err), -SL_IO);
    assert_null(mapping.bytes);
}

static void put_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* What was read stays what it was, whatever becomes of the file. */
static void test_read(void **state) {
    (void)state;
    struct sl_mapping mapping = {0};
    struct sl_file_stamp stamp, now;
    char path[] = "/tmp/sluice-map-XXXXXX";
    char other[64];
    close(mkstemp(path));
    assert_int_equal(sl_mapping_read(path, &mapping, &stamp, NULL), -SL_CORRUPT); /* empty */
    put_file(path, "abcdef");
    assert_int_equal(sl_mapping_read(path, &mapping, &stamp, NULL), SL_OK);
    assert_int_equal(mapping.n, 6);
    assert_int_equal(stamp.size, 6);
    assert_int_equal(sl_file_stamp_read(path, &now, NULL), SL_OK);
    assert_true(sl_file_stamp_same(&stamp, &now));
    assert_int_equal(truncate(path, 1), 0);
    assert_memory_equal(mapping.bytes, "abcdef", 6); /* a mapped file would be gone from here on */
    assert_int_equal(sl_file_stamp_read(path, &now, NULL), SL_OK);
    assert_false(sl_file_stamp_same(&stamp, &now));
    snprintf(other, sizeof other, "%s.new", path);
    put_file(other, "abcdef");
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(sl_file_stamp_read(path, &now, NULL), SL_OK);
    assert_false(sl_file_stamp_same(&stamp, &now)); /* another inode */
    sl_mapping_close(&mapping);
    unlink(path);
    assert_int_equal(sl_mapping_read(path, &mapping, &stamp, NULL), -SL_NOTFOUND);
    assert_int_equal(sl_file_stamp_read(path, &now, NULL), -SL_NOTFOUND);
    assert_int_equal(sl_mapping_read("/tmp", &mapping, &stamp, NULL), -SL_IO);
}

static void test_sha256(void **state) {
    (void)state;
    struct sl_file_stamp stamp, now;
    char hex[65] = "";
    char path[] = "/tmp/sluice-map-XXXXXX";
    close(mkstemp(path));
    put_file(path, "abc"); /* FIPS 180-2, B.1 */
    assert_int_equal(sl_file_sha256(path, hex, &stamp, NULL), SL_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sl_file_stamp_read(path, &now, NULL), SL_OK);
    assert_true(sl_file_stamp_same(&stamp, &now));
    char million[1001] = "";
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    memset(million, 'a', 1000);
    for (int i = 0; i < 1000; i++) { /* B.3: more than one piece */
        assert_true(fputs(million, file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(sl_file_sha256(path, hex, &stamp, NULL), SL_OK);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    unlink(path);
    assert_int_equal(sl_file_sha256(path, hex, &stamp, NULL), -SL_NOTFOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
