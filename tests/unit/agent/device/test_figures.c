/* SPDX-License-Identifier: Apache-2.0
 * Figures of an earlier start: found again on the same device only, never when damaged or old. */
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
#include <utime.h>

#include "agent/device/cl.h"
#include "agent/device/figures.h"
#include "proto/base/clock.h"

#define DEVICE "node/pocl/0"

static int make(void **state) {
    static struct sl_cl cl;
    memset(&cl, 0, sizeof cl);
    strcpy(cl.cache_dir, "/tmp/sluice-figures-XXXXXX");
    strcpy(cl.cache_key, "a device, a driver");
    *state = &cl;
    return mkdtemp(cl.cache_dir) ? 0 : -1;
}

/* The one file that is kept; empty when there is none. */
static void find_file(const struct sl_cl *cl, char *path, size_t size) {
    DIR *dir = opendir(cl->cache_dir);
    assert_non_null(dir);
    path[0] = '\0';
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] != '.') {
            assert_string_equal(path, "");
            snprintf(path, size, "%s/%s", cl->cache_dir, e->d_name);
        }
    }
    closedir(dir);
}

static int unmake(void **state) {
    struct sl_cl *cl = *state;
    char path[600];
    find_file(cl, path, sizeof path);
    unlink(path);
    return rmdir(cl->cache_dir);
}

static void measure(struct sl_cl *cl) {
    sl_figures_recall(cl, DEVICE, 50);
    cl->figures.hash.rate_ns = 3.0;
    sl_figures_model(&cl->figures, "m", 7, true)->tokens = 5.0;
    cl->figures.switch_us[SL_MODE_HASH][SL_MODE_IDLE] = 9;
    cl->figures_new = true;
    sl_figures_keep(cl, DEVICE, 50);
}

static bool known(struct sl_cl *cl, const char *device, uint32_t launch_ms) {
    cl->figures.hash.rate_ns = 1.0;
    sl_figures_recall(cl, device, launch_ms);
    assert_false(cl->figures_new);
    return cl->figures.hash.rate_ns == 3.0;
}

static void test_found_on_the_same_device_only(void **state) {
    struct sl_cl *cl = *state;
    assert_false(known(cl, DEVICE, 50));
    assert_true(cl->figures.hash.rate_ns == 0.0);
    measure(cl);
    assert_true(known(cl, DEVICE, 50));
    assert_int_equal(cl->figures.switch_us[SL_MODE_HASH][SL_MODE_IDLE], 9);
    assert_true(sl_figures_model(&cl->figures, "m", 7, false)->tokens == 5.0);
    assert_false(known(cl, "node/pocl/1", 50));
    assert_false(known(cl, DEVICE, 1));
    strcpy(cl->cache_key, "a device, a newer driver");
    assert_false(known(cl, DEVICE, 50));
}

static void test_nothing_new_is_not_written(void **state) {
    struct sl_cl *cl = *state;
    char path[600];
    sl_figures_recall(cl, DEVICE, 50);
    sl_figures_keep(cl, DEVICE, 50);
    find_file(cl, path, sizeof path);
    assert_string_equal(path, "");
}

static void test_damaged_is_not_known(void **state) {
    struct sl_cl *cl = *state;
    char path[600];
    measure(cl);
    find_file(cl, path, sizeof path);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, 60, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, 60, SEEK_SET);
    fputc(byte ^ 1, file);
    fclose(file);
    assert_false(known(cl, DEVICE, 50));
    assert_int_equal(truncate(path, 55), 0);
    assert_false(known(cl, DEVICE, 50));
}

static void test_known_for_a_day(void **state) {
    struct sl_cl *cl = *state;
    char path[600];
    measure(cl);
    find_file(cl, path, sizeof path);
    time_t now = (time_t)(sl_clock_wall().ms / 1000);
    const struct {
        time_t at;
        bool known;
    } cases[] = {{now - 23 * 3600, true},
                 {now - 25 * 3600, false},
                 {now + 3600, true},
                 {now + 25 * 3600, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct utimbuf times = {cases[i].at, cases[i].at};
        assert_int_equal(utime(path, &times), 0);
        assert_int_equal(known(cl, DEVICE, 50), cases[i].known);
    }
}

static void test_another_model_under_the_same_id_is_another(void **state) {
    (void)state;
    static struct sl_figures figures;
    assert_null(sl_figures_model(&figures, "m", 7, false));
    sl_figures_model(&figures, "m", 7, true)->tokens = 5.0;
    assert_null(sl_figures_model(&figures, "m", 8, false));
    assert_true(sl_figures_model(&figures, "m", 8, true)->tokens == 0.0);
    assert_null(sl_figures_model(&figures, "m", 7, false));
    for (uint32_t i = 1; i < SL_DEVICE_MODELS_MAX; i++) {
        char id[8];
        snprintf(id, sizeof id, "n%u", i);
        assert_non_null(sl_figures_model(&figures, id, 1, true));
    }
    assert_null(sl_figures_model(&figures, "one more", 1, true));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_found_on_the_same_device_only, make, unmake),
        cmocka_unit_test_setup_teardown(test_nothing_new_is_not_written, make, unmake),
        cmocka_unit_test_setup_teardown(test_damaged_is_not_known, make, unmake),
        cmocka_unit_test_setup_teardown(test_known_for_a_day, make, unmake),
        cmocka_unit_test(test_another_model_under_the_same_id_is_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
