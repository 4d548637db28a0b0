/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/feeds/record.h"

#define START INT64_C(1764320400000) /* 2025-11-28T09:00:00Z */

struct fixture {
    char dir[64];
    char path[96];
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/sluice-record-XXXXXX");
    *state = f;
    if (!mkdtemp(f->dir)) {
        return -1;
    }
    snprintf(f->path, sizeof f->path, "%s/hash.csv", f->dir);
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    unlink(f->path);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void check_file(const struct fixture *f, const char *wanted) {
    char text[1024] = "";
    FILE *file = fopen(f->path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, wanted);
}

static void write_text(const struct fixture *f, const char *text) {
    FILE *file = fopen(f->path, "w");
    fputs(text, file);
    fclose(file);
}

static struct sl_feed_record *open_it(const struct fixture *f) {
    struct sl_feed_record *record = NULL;
    struct sl_error err;
    if (sl_feed_record_open(f->dir, "hash", "usd_per_ph_day", &record, &err)) {
        fail_msg("%s", err.text);
    }
    return record;
}

static void add(struct sl_feed_record *record, int64_t after_s, int64_t value) {
    assert_int_equal(
        sl_feed_record_add(record, (struct sl_wall){START + after_s * 1000}, value, NULL), 0);
}

#define HEAD "timestamp,usd_per_ph_day\n"

static void rows_rise_and_repeat_only_by_the_hour(void **state) {
    struct fixture *f = *state;
    struct sl_feed_record *record = open_it(f);
    add(record, 0, INT64_C(41250000000));
    add(record, 60, INT64_C(41250000000)); /* the same */
    add(record, 60, INT64_C(-500000001));
    add(record, 30, INT64_C(99000000000)); /* the clock was set back */
    add(record, 3659, INT64_C(-500000001));
    add(record, 3660, INT64_C(-500000001));
    sl_feed_record_close(record);
    check_file(f, HEAD "2025-11-28T09:00:00.000Z,41.25\n2025-11-28T09:01:00.000Z,-0.500000001\n"
                       "2025-11-28T10:01:00.000Z,-0.500000001\n");
}

static void a_restart_goes_on(void **state) {
    struct fixture *f = *state;
    struct sl_feed_record *record = open_it(f);
    add(record, 0, INT64_C(1000000000));
    sl_feed_record_close(record);
    record = open_it(f);
    add(record, 0, INT64_C(2000000000));
    add(record, 1, INT64_C(1000000000)); /* known already */
    add(record, 2, INT64_C(3000000000));
    sl_feed_record_close(record);
    check_file(f, HEAD "2025-11-28T09:00:00.000Z,1.00\n2025-11-28T09:00:02.000Z,3.00\n");
}

static void what_a_crash_left_is_cut(void **state) {
    struct fixture *f = *state;
    static const char *const left[] = {"", "timest", HEAD, HEAD "2025-11-28T08:00:00.000Z,7.0",
                                       HEAD "2025-11"};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        write_text(f, left[i]);
        struct sl_feed_record *record = open_it(f);
        add(record, 0, INT64_C(5000000000));
        sl_feed_record_close(record);
        check_file(f, HEAD "2025-11-28T09:00:00.000Z,5.00\n");
    }
}

static void other_files_are_left_alone(void **state) {
    struct fixture *f = *state;
    struct sl_feed_record *record = NULL;
    struct sl_error err;
    static const char other[] = "timestamp,usd_per_kwh\nsomething";
    write_text(f, other);
    assert_int_equal(sl_feed_record_open(f->dir, "hash", "usd_per_ph_day", &record, &err),
                     -SL_INVALID);
    assert_non_null(strstr(err.text, "move it away"));
    check_file(f, other);
    assert_int_equal(sl_feed_record_open(f->dir, "../hash", "usd_per_kwh", &record, &err),
                     -SL_INVALID);
    assert_int_equal(sl_feed_record_open("/nonexistent", "hash", "usd_per_kwh", &record, &err),
                     -SL_IO);
    assert_null(record);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(rows_rise_and_repeat_only_by_the_hour),
        TEST(a_restart_goes_on),
        TEST(what_a_crash_left_is_cut),
        TEST(other_files_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
