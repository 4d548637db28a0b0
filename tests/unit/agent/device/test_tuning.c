/* SPDX-License-Identifier: Apache-2.0
 * What was tuned: found again for the same device, driver and source only, never when damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device/tuning.h"

#define DEVICE "node/pocl/0"
#define DRIVER "a device|3.1|OpenCL 3.0|2"

static char dir[64];

static int make(void **state) {
    (void)state;
    strcpy(dir, "/tmp/sluice-tuning-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

/* The files of the folder; the first one's path. */
static uint32_t find_file(char *path, size_t size) {
    uint32_t count = 0;
    DIR *folder = opendir(dir);
    assert_non_null(folder);
    path[0] = '\0';
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        if (e->d_name[0] != '.' && count++ == 0) {
            snprintf(path, size, "%s/%s", dir, e->d_name);
        }
    }
    closedir(folder);
    return count;
}

static int unmake(void **state) {
    (void)state;
    char path[400];
    while (find_file(path, sizeof path) > 0) {
        unlink(path);
    }
    return rmdir(dir);
}

static struct sl_tuning *open_as(const char *device, const char *driver) {
    struct sl_tuning *tuning = NULL;
    struct sl_error err = {0};
    if (sl_tuning_open(dir, device, driver, &tuning, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    return tuning;
}

static void tune(struct sl_tuning *tuning) {
    const struct sl_tuned hash = {123456789, 4, {16, 64, 1, 0}};
    const struct sl_tuned gemm = {UINT64_MAX, 1, {UINT32_MAX}};
    assert_int_equal(sl_tuning_put(tuning, "sha256d", "source", &hash), SL_OK);
    assert_int_equal(sl_tuning_put(tuning, "gemm-f32.m512_n384", "other source", &gemm), SL_OK);
}

static bool known(const char *device, const char *driver, const char *source) {
    SL_AUTO(sl_tuning) tuning = open_as(device, driver);
    struct sl_tuned got = {0};
    bool found = sl_tuning_find(tuning, "sha256d", source, &got);
    if (found) {
        assert_int_equal(got.figure, 123456789);
        assert_int_equal(got.count, 4);
        assert_int_equal(got.values[0], 16);
        assert_int_equal(got.values[1], 64);
    }
    return found;
}

static void save(void) {
    SL_AUTO(sl_tuning) tuning = open_as(DEVICE, DRIVER);
    struct sl_error err = {0};
    tune(tuning);
    assert_int_equal(sl_tuning_save(tuning, &err), SL_OK);
}

static void test_found_for_the_same_things_only(void **state) {
    (void)state;
    assert_false(known(DEVICE, DRIVER, "source"));
    save();
    assert_true(known(DEVICE, DRIVER, "source"));
    assert_false(known(DEVICE, DRIVER, "another source"));
    assert_false(known("node/pocl/1", DRIVER, "source"));
    assert_false(known(DEVICE, "a device|3.2|OpenCL 3.0|2", "source"));
    SL_AUTO(sl_tuning) tuning = open_as(DEVICE, DRIVER);
    struct sl_tuned got = {0};
    assert_true(sl_tuning_find(tuning, "gemm-f32.m512_n384", "other source", &got));
    assert_true(got.figure == UINT64_MAX && got.values[0] == UINT32_MAX);
    assert_false(sl_tuning_find(tuning, "gemm", "other source", &got));
}

static void test_a_change_replaces_and_only_changes_are_written(void **state) {
    (void)state;
    char path[400];
    struct stat before;
    struct stat after;
    struct sl_error err = {0};
    const struct sl_tuned other = {5, 1, {8}};
    save();
    assert_int_equal(find_file(path, sizeof path), 1);
    assert_int_equal(stat(path, &before), 0);
    SL_AUTO(sl_tuning) tuning = open_as(DEVICE, DRIVER);
    assert_int_equal(sl_tuning_save(tuning, &err), SL_OK);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino); /* a write would rename another one here */
    assert_int_equal(sl_tuning_put(tuning, "sha256d", "newer source", &other), SL_OK);
    assert_int_equal(sl_tuning_save(tuning, &err), SL_OK);
    assert_int_equal(find_file(path, sizeof path), 1);
    assert_false(known(DEVICE, DRIVER, "source"));
    SL_AUTO(sl_tuning) again = open_as(DEVICE, DRIVER);
    struct sl_tuned got = {0};
    assert_true(sl_tuning_find(again, "sha256d", "newer source", &got));
    assert_int_equal(got.values[0], 8);
    assert_true(sl_tuning_find(again, "gemm-f32.m512_n384", "other source", &got));
    sl_tuning_forget(again);
    assert_false(sl_tuning_find(again, "sha256d", "newer source", &got));
    assert_int_equal(sl_tuning_save(again, &err), SL_OK);
    SL_AUTO(sl_tuning) empty = open_as(DEVICE, DRIVER);
    assert_false(sl_tuning_find(empty, "gemm-f32.m512_n384", "other source", &got));
}

static void test_one_file_a_device(void **state) {
    (void)state;
    char path[400];
    struct sl_error err = {0};
    save();
    SL_AUTO(sl_tuning) other = open_as("node/pocl/1\nwith a line's end", DRIVER);
    tune(other);
    assert_int_equal(sl_tuning_save(other, &err), SL_OK);
    assert_int_equal(find_file(path, sizeof path), 2);
    assert_true(known("node/pocl/1\nwith a line's end", DRIVER, "source"));
    assert_true(known(DEVICE, DRIVER, "source"));
}

/* Every byte, flipped; every length, cut. */
static void test_damaged_is_not_known(void **state) {
    (void)state;
    char path[400];
    char text[1024];
    save();
    assert_int_equal(find_file(path, sizeof path), 1);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_in_range(size, 100, sizeof text - 1);
    SL_AUTO(sl_tuning) tuning = open_as(DEVICE, DRIVER);
    assert_int_equal(sl_tuning_parse(tuning, text, size), SL_OK);
    for (size_t i = 0; i < size; i++) {
        text[i] ^= 1;
        assert_int_equal(sl_tuning_parse(tuning, text, size), -SL_INVALID);
        text[i] ^= 1;
        assert_int_equal(sl_tuning_parse(tuning, text, i), -SL_INVALID);
    }
    text[size] = '\n';
    assert_int_equal(sl_tuning_parse(tuning, text, size + 1), -SL_INVALID);
    assert_int_equal(truncate(path, (off_t)size - 1), 0);
    assert_false(known(DEVICE, DRIVER, "source"));
    assert_int_equal(truncate(path, 0), 0);
    assert_false(known(DEVICE, DRIVER, "source"));
    /* A FIFO keeps nobody waiting, and gives way to a file. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(known(DEVICE, DRIVER, "source"));
    save();
    assert_true(known(DEVICE, DRIVER, "source"));
}

static void test_limits(void **state) {
    (void)state;
    struct sl_error err = {0};
    struct sl_tuned tuned = {1, 1, {1}};
    struct sl_tuned got = {0};
    char long_dir[600];
    struct sl_tuning *none = NULL;
    SL_AUTO(sl_tuning) tuning = open_as(DEVICE, DRIVER);
    assert_int_equal(sl_tuning_put(tuning, "", "s", &tuned), -SL_INVALID);
    assert_int_equal(sl_tuning_put(tuning, "two words", "s", &tuned), -SL_INVALID);
    assert_int_equal(
        sl_tuning_put(tuning, "a-name-of-forty-eight-characters-which-is-too-long", "s", &tuned),
        -SL_INVALID);
    tuned.count = SL_TUNING_VALUES_MAX + 1;
    assert_int_equal(sl_tuning_put(tuning, "t", "s", &tuned), -SL_INVALID);
    tuned.count = 0;
    assert_int_equal(sl_tuning_put(tuning, "t", "s", &tuned), -SL_INVALID);
    tuned.count = SL_TUNING_VALUES_MAX;
    for (uint32_t i = 0; i < SL_TUNING_ENTRIES_MAX; i++) {
        char task[16];
        snprintf(task, sizeof task, "t%u", i);
        assert_int_equal(sl_tuning_put(tuning, task, "s", &tuned), SL_OK);
    }
    assert_int_equal(sl_tuning_put(tuning, "one-more", "s", &tuned), -SL_LIMIT);
    assert_int_equal(sl_tuning_put(tuning, "t5", "newer", &tuned), SL_OK);
    assert_int_equal(sl_tuning_save(tuning, &err), SL_OK);
    SL_AUTO(sl_tuning) again = open_as(DEVICE, DRIVER);
    assert_true(sl_tuning_find(again, "t127", "s", &got));
    assert_int_equal(got.count, SL_TUNING_VALUES_MAX);
    memset(long_dir, 'd', sizeof long_dir - 1);
    long_dir[sizeof long_dir - 1] = '\0';
    assert_int_equal(sl_tuning_open(long_dir, DEVICE, DRIVER, &none, &err), -SL_LIMIT);
    assert_null(none);
}

static void test_without_a_folder_it_stays_in_memory(void **state) {
    (void)state;
    char path[400];
    struct sl_error err = {0};
    struct sl_tuned got = {0};
    struct sl_tuning *tuning = NULL;
    assert_int_equal(sl_tuning_open("", DEVICE, DRIVER, &tuning, &err), SL_OK);
    tune(tuning);
    assert_int_equal(sl_tuning_save(tuning, &err), SL_OK);
    assert_true(sl_tuning_find(tuning, "sha256d", "source", &got));
    sl_tuning_close(tuning);
    assert_int_equal(find_file(path, sizeof path), 0);
    assert_false(sl_tuning_find(NULL, "sha256d", "source", &got));
    assert_int_equal(sl_tuning_put(NULL, "sha256d", "source", &got), SL_OK);
    assert_int_equal(sl_tuning_save(NULL, &err), SL_OK);
}

static void test_a_folder_that_cannot_be_written_is_said(void **state) {
    (void)state;
    struct sl_error err = {0};
    struct sl_tuning *tuning = NULL;
    assert_int_equal(sl_tuning_open("/proc/none", DEVICE, DRIVER, &tuning, &err), SL_OK);
    tune(tuning);
    assert_int_equal(sl_tuning_save(tuning, &err), -SL_IO);
    assert_non_null(strstr(err.text, "/proc/none"));
    sl_tuning_close(tuning);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_found_for_the_same_things_only, make, unmake),
        cmocka_unit_test_setup_teardown(test_a_change_replaces_and_only_changes_are_written, make,
                                        unmake),
        cmocka_unit_test_setup_teardown(test_one_file_a_device, make, unmake),
        cmocka_unit_test_setup_teardown(test_damaged_is_not_known, make, unmake),
        cmocka_unit_test_setup_teardown(test_limits, make, unmake),
        cmocka_unit_test_setup_teardown(test_without_a_folder_it_stays_in_memory, make, unmake),
        cmocka_unit_test(test_a_folder_that_cannot_be_written_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
