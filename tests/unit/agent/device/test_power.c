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

/* After a suspend a counter is back at 0 without having come round: nothing is known of that span.
 */
static void a_counter_that_begins_anew_has_not_wrapped(void **state) {
    struct sl_power power;
    int64_t mw = 77;
    (void)state;
    make_zone("intel-rapl:0", "package-0\n", "5000000000\n", "262143328850\n");
    make_zone("intel-rapl:1", "package-1\n", "0\n", "262143328850\n");
    assert_true(sl_power_open(&power, root, (struct sl_mono){0}));
    write_file("intel-rapl:0", "energy_uj", "10\n");
    assert_false(sl_power_read(&power, (struct sl_mono){SL_NS_PER_S}, &mw));
    assert_int_equal(mw, 77);
    write_file("intel-rapl:0", "energy_uj", "40000010\n");
    assert_true(sl_power_read(&power, (struct sl_mono){2 * SL_NS_PER_S}, &mw));
    assert_int_equal(mw, 40000);
}

/* Since Linux 5.10 the counter is root's: a test as root cannot be refused, so it gives root up. */
static void a_counter_that_may_not_be_read_is_told_from_none(void **state) {
    struct sl_power power;
    char path[256];
    (void)state;
    make_zone("intel-rapl:0", "package-0\n", "1\n", "262143328850\n");
    make_zone("intel-rapl:1", "package-1\n", "1\n", "262143328850\n");
    bool is_root = geteuid() == 0;
    snprintf(path, sizeof path, "chmod -R a+rX '%s/class' && chmod a+rx '%s'", root, root);
    assert_int_equal(system(path), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/class/powercap/intel-rapl:%d/energy_uj", root, i);
        assert_int_equal(chmod(path, is_root ? 0400 : 0), 0);
    }
    assert_true(!is_root || seteuid(65534) == 0);
    bool opened = sl_power_open(&power, root, (struct sl_mono){0});
    assert_true(!is_root || seteuid(0) == 0);
    assert_false(opened);
    assert_true(power.denied);
    assert_false(sl_power_open(&power, "/nonexistent", (struct sl_mono){0}));
    assert_false(power.denied);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packages_add_up_and_wrap),
        cmocka_unit_test(a_counter_that_goes_away_is_unknown),
        cmocka_unit_test(a_machine_without_counters_is_unknown),
        cmocka_unit_test(a_counter_that_begins_anew_has_not_wrapped),
        cmocka_unit_test(a_counter_that_may_not_be_read_is_told_from_none),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
