/* SPDX-License-Identifier: Apache-2.0
 * RAPL counters from a made-up sysfs tree. */
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

#include "agent/device/power.h"

static char root[64];

static void write_file(const char *zone, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/class/powercap/%s", root, zone);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/class/powercap/%s/%s", root, zone, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void make_zone(const char *zone, const char *name, const char *energy, const char *range) {
    write_file(zone, "name", name);
    write_file(zone, "max_energy_range_uj", range);
    write_file(zone, "energy_uj", energy);
}

static int make_root(void **state) {
    char path[128];
    (void)state;
    strcpy(root, "/tmp/sluice-rapl-XXXXXX");
    if (!mkdtemp(root)) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/class", root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/class/powercap", root);
    return mkdir(path, 0700);
}

static int remove_root(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void packages_add_up_and_wrap(void **state) {
    struct sl_power power;
    int64_t mw = -1;
    (void)state;
    make_zone("intel-rapl:0", "package-0\n", "1000000\n", "262143328850\n");
    make_zone("intel-rapl:1", "package-1\n", "262143328849\n", "262143328850\n");
    make_zone("intel-rapl:0:0", "core\n", "5\n", "262143328850\n"); /* inside package-0 */
    make_zone("intel-rapl:2", "psys\n", "5\n", "262143328850\n");   /* no package */
    make_zone("dtpm", "package-9\n", "5\n", "10\n");
    assert_true(sl_power_open(&power, root, (struct sl_mono){0}));
    assert_int_equal(power.count, 2);
    /* 30 J in the one, 20 J over the wrap in the other, in 2 s: 25 W */
    write_file("intel-rapl:0", "energy_uj", "31000000\n");
    write_file("intel-rapl:1", "energy_uj", "19999999\n");
    assert_true(sl_power_read(&power, (struct sl_mono){2 * SL_NS_PER_S}, &mw));
    assert_int_equal(mw, 25000);
    /* Too soon to say; the span goes on. */
    assert_false(sl_power_read(&power, (struct sl_mono){2 * SL_NS_PER_S + 1000}, &mw));
    write_file("intel-rapl:0", "energy_uj", "32000000\n");
    assert_true(sl_power_read(&power, (struct sl_mono){3 * SL_NS_PER_S}, &mw));
    assert_int_equal(mw, 1000);
}

static void a_counter_that_goes_away_is_unknown(void **state) {
    struct sl_power power;
    int64_t mw = 77;
    char path[128];
    (void)state;
    assert_true(sl_power_open(&power, root, (struct sl_mono){0}));
    snprintf(path, sizeof path, "%s/class/powercap/intel-rapl:1/energy_uj", root);
    unlink(path);
    assert_false(sl_power_read(&power, (struct sl_mono){SL_NS_PER_S}, &mw));
    assert_int_equal(mw, 77);
}

static void a_machine_without_counters_is_unknown(void **state) {
    struct sl_power power;
    int64_t mw = 0;
    (void)state;
    assert_false(sl_power_open(&power, "/nonexistent", (struct sl_mono){0}));
    assert_false(sl_power_read(&power, (struct sl_mono){SL_NS_PER_S}, &mw));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packages_add_up_and_wrap),
        cmocka_unit_test(a_counter_that_goes_away_is_unknown),
        cmocka_unit_test(a_machine_without_counters_is_unknown),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
