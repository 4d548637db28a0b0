/* SPDX-License-Identifier: Apache-2.0
 * The on-disk cache of compiled programs: hit, miss, damage. */
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

#include "proto/base/cleanup.h"
#include "tests/unit/agent/device/machine.h"

static const char source[] = "__kernel void add(__global uint *x) { x[get_global_id(0)] += STEP; }";

struct machine {
    struct sl_discovery *found;
    struct sl_cl cl;
    char folder[64];
};

static int open_machine(void **state) {
    static struct machine m;
    struct sl_error err = {0};
    strcpy(m.folder, "/tmp/sluice-cl-XXXXXX");
    m.found = machine_find(0);
    if (!m.found || !mkdtemp(m.folder)) {
        return -1;
    }
    struct sl_cl_spec spec = machine_spec(m.found, 0);
    spec.force_no_stop_word = true; /* not what this is about */
    if (sl_cl_open(&m.cl, &spec, &err) != SL_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    snprintf(m.cl.cache_dir, sizeof m.cl.cache_dir, "%s/cache", m.folder);
    *state = &m;
    return 0;
}

static int remove_all(const char *folder) {
    DIR *dir = opendir(folder);
    if (!dir) {
        return -1;
    }
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.') {
            unlink(path);
        }
    }
    closedir(dir);
    return rmdir(folder);
}

static int close_machine(void **state) {
    struct machine *m = *state;
    remove_all(m->cl.cache_dir);
    rmdir(m->folder);
    sl_cl_close(&m->cl);
    sl_discovery_destroy(m->found);
    return 0;
}

/* The only file in the cache; how many there are is returned. */
static int find_entry(const struct machine *m, char *path, size_t size) {
    int count = 0;
    DIR *dir = opendir(m->cl.cache_dir);
    if (!dir) {
        return 0;
    }
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] != '.') {
            snprintf(path, size, "%s/%s", m->cl.cache_dir, e->d_name);
            count++;
        }
    }
    closedir(dir);
    return count;
}

/* Builds and runs: 4 items, each gets `step` added. */
static void build_and_run(struct machine *m, const char *options, uint32_t step) {
    struct sl_error err = {0};
    cl_program program = NULL;
    cl_mem mem = NULL;
    cl_uint out[4] = {0};
    const size_t size = 4;
    if (sl_cl_program(&m->cl, "add", source, options, &program, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(sl_cl_buffer(&m->cl, sizeof out, CL_MEM_READ_WRITE, &mem, &err), SL_OK);
    cl_kernel kernel = clCreateKernel(program, "add", NULL);
    assert_non_null(kernel);
    assert_int_equal(clSetKernelArg(kernel, 0, sizeof mem, &mem), CL_SUCCESS);
    assert_int_equal(
        clEnqueueNDRangeKernel(m->cl.queue, kernel, 1, NULL, &size, &size, 0, NULL, NULL),
        CL_SUCCESS);
    assert_int_equal(
        clEnqueueReadBuffer(m->cl.queue, mem, CL_TRUE, 0, sizeof out, out, 0, NULL, NULL),
        CL_SUCCESS);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(out[i], step);
    }
    clReleaseKernel(kernel);
    clReleaseMemObject(mem);
    clReleaseProgram(program);
}

static struct stat entry_of(const struct machine *m, char path[600]) {
    struct stat info;
    assert_int_equal(find_entry(m, path, 600), 1);
    assert_int_equal(stat(path, &info), 0);
    return info;
}

static void a_second_build_comes_from_the_cache(void **state) {
    struct machine *m = *state;
    char path[600];
    struct stat folder;
    build_and_run(m, "-DSTEP=3u", 3);
    struct stat first = entry_of(m, path);
    assert_int_equal(stat(m->cl.cache_dir, &folder), 0);
    assert_int_equal(folder.st_mode & 0777, 0700);
    assert_int_equal(first.st_mode & 077, 0);
    build_and_run(m, "-DSTEP=3u", 3);
    struct stat second = entry_of(m, path);
    assert_int_equal(first.st_ino, second.st_ino); /* not written again: it was a hit */
}

static void options_are_part_of_the_key(void **state) {
    struct machine *m = *state;
    char path[600];
    build_and_run(m, "-DSTEP=3u", 3);
    build_and_run(m, "-DSTEP=4u", 4);
    assert_int_equal(find_entry(m, path, sizeof path), 2);
    remove_all(m->cl.cache_dir);
}

static void the_driver_is_part_of_the_key(void **state) {
    struct machine *m = *state;
    char path[600];
    build_and_run(m, "-DSTEP=3u", 3);
    strcat(m->cl.cache_key, "|newer");
    build_and_run(m, "-DSTEP=3u", 3);
    assert_int_equal(find_entry(m, path, sizeof path), 2);
    remove_all(m->cl.cache_dir);
}

static void a_damaged_entry_is_built_again(void **state) {
    struct machine *m = *state;
    static const struct {
        long offset; /* < 0: from the end */
        long cut;    /* > 0: truncate to so many bytes */
        const char *why;
    } rows[] = {
        {-5, 0, "a bit turned in the payload"},
        {0, 0, "another file's magic"},
        {9, 0, "a size that is not there"},
        {20, 0, "a digest that does not fit"},
        {0, 30, "cut inside the header"},
        {0, 200, "cut inside the payload"},
        {0, 1, "next to nothing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[600];
        remove_all(m->cl.cache_dir);
        build_and_run(m, "-DSTEP=3u", 3);
        struct stat good = entry_of(m, path);
        FILE *file = fopen(path, "r+be");
        assert_non_null(file);
        if (rows[i].cut > 0) {
            assert_int_equal(ftruncate(fileno(file), rows[i].cut), 0);
        } else {
            assert_int_equal(fseek(file, rows[i].offset, rows[i].offset < 0 ? SEEK_END : SEEK_SET),
                             0);
            int c = fgetc(file);
            assert_int_equal(fseek(file, -1, SEEK_CUR), 0);
            assert_int_not_equal(fputc(c ^ 0x41, file), EOF);
        }
        fclose(file);
        build_and_run(m, "-DSTEP=3u", 3);
        struct stat again = entry_of(m, path);
        assert_int_equal(again.st_size, good.st_size);
        assert_int_not_equal(again.st_ino, good.st_ino);
    }
}

static void a_program_that_does_not_compile_says_why(void **state) {
    struct machine *m = *state;
    struct sl_error err = {0};
    cl_program program = NULL;
    assert_int_equal(sl_cl_program(&m->cl, "bad", "__kernel void f( {", "", &program, &err),
                     -SL_DEVICE);
    assert_null(program);
    assert_non_null(strstr(err.text, "CL_BUILD_PROGRAM_FAILURE"));
}

static void an_unwritable_cache_costs_only_time(void **state) {
    struct machine *m = *state;
    char kept[sizeof m->cl.cache_dir];
    strcpy(kept, m->cl.cache_dir);
    strcpy(m->cl.cache_dir, "/proc/none/cache");
    build_and_run(m, "-DSTEP=7u", 7);
    m->cl.cache_dir[0] = '\0';
    build_and_run(m, "-DSTEP=7u", 7);
    strcpy(m->cl.cache_dir, kept);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_build_comes_from_the_cache),
        cmocka_unit_test(options_are_part_of_the_key),
        cmocka_unit_test(the_driver_is_part_of_the_key),
        cmocka_unit_test(a_damaged_entry_is_built_again),
        cmocka_unit_test(a_program_that_does_not_compile_says_why),
        cmocka_unit_test(an_unwritable_cache_costs_only_time),
    };
    return cmocka_run_group_tests(tests, open_machine, close_machine);
}
