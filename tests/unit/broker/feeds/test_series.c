/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/feeds/series.h"

/* Long after every row below, so that none of them looks live. */
static struct sl_now at_start(void) {
    return (struct sl_now){{0}, {INT64_C(1900000000000)}};
}
#define HOUR_MS INT64_C(3600000)

static const struct sl_series_format format = {
    .time_column = "timestamp", .value_column = "usd", .scale = {1, 0}};

static struct sl_series *parse(const char *text) {
    struct sl_series *series = NULL;
    struct sl_error err;
    if (sl_series_parse("t.csv", text, strlen(text), &format, &series, &err)) {
        fail_msg("%s", err.text);
    }
    return series;
}

static void bad_rows_are_named_by_line(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *said;
    } cases[] = {
        {"", "is empty"},
        {"timestamp,eur\n2025-01-01,1\n", "no column 'usd'"},
        {"timestamp,usd\n", "no row"},
        {"timestamp,usd\n2025-01-01,1\n2025-01-02,-3\n", "t.csv:3: usd must not be negative"},
        {"timestamp,usd\n2025-01-01,nan\n", "t.csv:2: usd"},
        {"timestamp,usd\n2025-01-01,12x\n", "t.csv:2: usd"},
        {"timestamp,usd\nyesterday,1\n", "t.csv:2: 'yesterday' is not a time"},
        {"timestamp,usd\n2025-02-30,1\n", "is not a time"},
        {"timestamp,usd\n2025-11-02 01:00:00,1\n", "local time needs its offset"},
        {"timestamp,usd\n2025-01-01\n", "t.csv:2: the row has too few"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_series *series = NULL;
        struct sl_error err;
        assert_int_not_equal(
            sl_series_parse("t.csv", cases[i].text, strlen(cases[i].text), &format, &series, &err),
            0);
        if (!strstr(err.text, cases[i].said)) {
            fail_msg("'%s' lacks '%s'", err.text, cases[i].said);
        }
    }
}

static void recorded_days_pass_at_the_chosen_speed(void **state) {
    (void)state;
    struct sl_replay replay;
    struct sl_replay_point point;
    /* A day in 2 s: 43,200 times real time. */
    sl_replay_init(&replay,
                   parse("timestamp,usd\r\n2025-01-01,10\r\n2025-01-02,\r\n2025-01-03,30.5\n"),
                   43200000, false, HOUR_MS, at_start());
    sl_replay_at(&replay, (struct sl_mono){0}, &point);
    assert_int_equal(point.value_nano, INT64_C(10000000000));
    assert_int_equal(point.next_ms, 4000);
    sl_replay_at(&replay, (struct sl_mono){3 * SL_NS_PER_S}, &point);
    assert_int_equal(point.value_nano, INT64_C(10000000000));
    assert_int_equal(point.age_ms, 3000);
    sl_replay_at(&replay, (struct sl_mono){4 * SL_NS_PER_S}, &point);
    assert_int_equal(point.value_nano, INT64_C(30500000000));
    assert_int_equal(point.next_ms, -1);
    sl_replay_at(&replay, (struct sl_mono){100 * SL_NS_PER_S}, &point);
    assert_int_equal(point.value_nano, INT64_C(30500000000));
    assert_int_equal(point.age_ms, 96000); /* the recording is over: it grows old */
    sl_replay_fini(&replay);
}

static void a_loop_begins_again(void **state) {
    (void)state;
    struct sl_replay replay;
    struct sl_replay_point point;
    sl_replay_init(&replay, parse("timestamp,usd\n2025-01-01,1\n2025-01-02,2\n"), 86400000, true,
                   HOUR_MS, at_start()); /* a day a second */
    for (int turn = 0; turn < 3; turn++) {
        sl_replay_at(&replay, (struct sl_mono){turn * 2 * SL_NS_PER_S + 10}, &point);
        assert_int_equal(point.value_nano, INT64_C(1000000000));
        sl_replay_at(&replay, (struct sl_mono){(turn * 2 + 1) * SL_NS_PER_S + 10}, &point);
        assert_int_equal(point.value_nano, INT64_C(2000000000));
    }
    sl_replay_fini(&replay);
}

static void an_appended_row_is_in_force_at_once(void **state) {
    (void)state;
    struct sl_replay replay;
    struct sl_replay_point point;
    sl_replay_init(&replay, parse("timestamp,usd\n2025-01-01,1\n2025-06-01,2\n"), 1000, false,
                   HOUR_MS, at_start());
    struct sl_mono now = {5 * SL_NS_PER_S};
    sl_replay_update(&replay, parse("timestamp,usd\n2025-01-01,1\n2025-06-01,2\n2025-02-01,9\n"),
                     now);
    sl_replay_at(&replay, now, &point);
    assert_int_equal(point.value_nano, INT64_C(9000000000));
    assert_int_equal(point.age_ms, 0);
    assert_int_equal(point.next_ms, -1);
    sl_replay_fini(&replay);
}

static void a_replaced_file_counts_at_the_same_position(void **state) {
    (void)state;
    struct sl_replay replay;
    struct sl_replay_point point;
    sl_replay_init(&replay, parse("timestamp,usd\n2025-01-01,1\n2025-01-02,2\n2025-01-03,3\n"),
                   86400000, false, HOUR_MS, at_start());
    struct sl_mono now = {SL_NS_PER_S + 10};
    sl_replay_update(&replay, parse("timestamp,usd\n2025-01-01,10\n2025-01-02,20\n2025-01-03,30\n"),
                     now);
    sl_replay_at(&replay, now, &point);
    assert_int_equal(point.value_nano, INT64_C(20000000000));
    /* One row only, whatever its time: it counts. */
    sl_replay_update(&replay, parse("timestamp,usd\n2026-11-22T10:00:00Z,7\n"), now);
    sl_replay_at(&replay, now, &point);
    assert_int_equal(point.value_nano, INT64_C(7000000000));
    sl_replay_fini(&replay);
}

static void a_feed_that_somebody_keeps_writing_is_live_after_a_restart(void **state) {
    (void)state;
    struct sl_replay replay;
    struct sl_replay_point point;
    struct sl_now now = {{0}, {0}};
    assert_int_equal(sl_wall_parse("2025-03-01T10:30:00Z", &now.wall), 0);
    sl_replay_init(&replay, parse("timestamp,usd\n2025-01-01,1\n2025-03-01T10:00:00Z,7\n"), 1000,
                   false, HOUR_MS, now);
    sl_replay_at(&replay, now.mono, &point);
    assert_int_equal(point.value_nano, INT64_C(7000000000));
    assert_int_equal(point.age_ms, HOUR_MS / 2);
    sl_replay_fini(&replay);
}

static void times_far_away_are_counted_with_too(void **state) {
    (void)state;
    struct sl_replay replay;
    struct sl_replay_point point;
    struct sl_now now = {{0}, {0}};
    assert_int_equal(sl_wall_parse("2025-03-01T10:30:00Z", &now.wall), 0);
    /* A thousand years do not fit into 64 bits of nanoseconds, nor three at this speed into ms. */
    sl_replay_init(&replay, parse("timestamp,usd\n1000-01-01,1\n1001-01-01,2\n"), 100000000000,
                   false, HOUR_MS, now);
    sl_replay_at(&replay, now.mono, &point);
    assert_int_equal(point.value_nano, INT64_C(1000000000));
    now.mono = sl_mono_after_ms(now.mono, INT64_C(100) * 365 * 24 * HOUR_MS);
    sl_replay_at(&replay, now.mono, &point);
    assert_int_equal(point.value_nano, INT64_C(2000000000));
    assert_true(point.age_ms > 0 && point.next_ms == -1);
    sl_replay_fini(&replay);
}

/* The search needs rows in time order; the file's order is what counts. */
static void a_row_that_goes_back_counts_where_it_stands(void **state) {
    (void)state;
    struct sl_replay replay;
    struct sl_replay_point point;
    const char *text =
        "timestamp,usd\n2025-01-01,10\n2025-01-05,50\n2025-01-02,20\n2025-01-06,60\n";
    sl_replay_init(&replay, parse(text), 86400000, false, HOUR_MS, at_start()); /* 1 s a day */
    static const int64_t wanted[] = {10, 10, 10, 10, 20, 60, 60};
    for (int64_t day = 0; day < 7; day++) {
        sl_replay_at(&replay, (struct sl_mono){day * SL_NS_PER_S + SL_NS_PER_MS}, &point);
        assert_int_equal(point.value_nano, wanted[day] * INT64_C(1000000000));
    }
    sl_replay_update(&replay,
                     parse("timestamp,usd\n2025-01-01,10\n2025-01-05,50\n2025-01-02,20\n"
                           "2025-01-06,60\n2024-01-01,70\n"),
                     (struct sl_mono){SL_NS_PER_S});
    sl_replay_at(&replay, (struct sl_mono){SL_NS_PER_S}, &point);
    assert_int_equal(point.value_nano,
                     INT64_C(70000000000)); /* appended: news, whatever its date */
    sl_replay_fini(&replay);
}

static void a_file_replaced_by_one_row_is_fresh(void **state) {
    (void)state;
    struct sl_replay replay;
    struct sl_replay_point point;
    sl_replay_init(&replay, parse("timestamp,usd\n2025-01-01,1\n2025-01-02,2\n"), 1000, false,
                   HOUR_MS, at_start());
    struct sl_mono now = {5 * HOUR_MS * SL_NS_PER_MS};
    sl_replay_update(&replay, parse("timestamp,usd\n2024-01-01,9\n"), now);
    sl_replay_at(&replay, now, &point);
    assert_int_equal(point.value_nano, INT64_C(9000000000));
    assert_int_equal(point.age_ms, 0);
    sl_replay_fini(&replay);
}

/* The hour comes twice, and its offset tells which is which. */
static void the_repeated_hour_of_summer_time_is_two_hours(void **state) {
    (void)state;
    static const char text[] = "Interval Start,Location,SPP\n"
                               "2025-11-02 00:00:00-05:00,LZ_HOUSTON,20\n"
                               "2025-11-02 01:00:00-05:00,LZ_HOUSTON,21.5\n"
                               "2025-11-02 01:00:00-05:00,LZ_WEST,-99\n"
                               "2025-11-02 01:00:00-06:00,LZ_HOUSTON,-3.25\n"
                               "2025-11-02 02:00:00-06:00,LZ_HOUSTON,23\n";
    static const int64_t wanted[] = {20000000, 21500000, -3250000, 23000000}; /* per kWh */
    const struct sl_series_format local = {.time_column = "Interval Start",
                                           .value_column = "SPP",
                                           .filter_column = "Location",
                                           .filter_value = "LZ_HOUSTON",
                                           .scale = {1, -3},
                                           .negative_ok = true};
    struct sl_series *series = NULL;
    struct sl_wall at = {0};
    assert_int_equal(sl_series_parse("iso.csv", text, sizeof text - 1, &local, &series, NULL), 0);
    assert_int_equal(series->count, 4);
    assert_int_equal(sl_wall_parse("2025-11-02T05:00:00Z", &at), 0);
    assert_null(sl_series_at(series, (struct sl_wall){at.ms - 1}));
    for (int i = 0; i < 4; i++, at.ms += HOUR_MS) {
        assert_int_equal(series->rows[i].at.ms, at.ms);
        assert_int_equal(sl_series_at(series, (struct sl_wall){at.ms + HOUR_MS - 1})->value_nano,
                         wanted[i]);
    }
    sl_series_destroy(series);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_rows_are_named_by_line),
        cmocka_unit_test(the_repeated_hour_of_summer_time_is_two_hours),
        cmocka_unit_test(recorded_days_pass_at_the_chosen_speed),
        cmocka_unit_test(a_loop_begins_again),
        cmocka_unit_test(an_appended_row_is_in_force_at_once),
        cmocka_unit_test(a_feed_that_somebody_keeps_writing_is_live_after_a_restart),
        cmocka_unit_test(times_far_away_are_counted_with_too),
        cmocka_unit_test(a_row_that_goes_back_counts_where_it_stands),
        cmocka_unit_test(a_file_replaced_by_one_row_is_fresh),
        cmocka_unit_test(a_replaced_file_counts_at_the_same_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
