/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/backtest/folder.h"

#include "broker/backtest/recording.h"

static int read_text(struct folder *f, const char *text, struct sl_recording **ret_series,
                     struct sl_error *err) {
    folder_put(f, "x.csv", text);
    const struct sl_recording_source source = {.file = "x.csv", .time = "time", .column = "usd"};
    const char *folders[] = {f->path};
    return sl_recording_read(&source, folders, 1, ret_series, err);
}

static void good_rows(void **state) {
    SL_AUTO(sl_recording) s = NULL;
    struct sl_error err;
    assert_int_equal(read_text(*state,
                               "usd,time,note\r\n1.5,2025-01-01T00:00:00Z,a note\r\n"
                               ",2025-01-01T01:00:00Z,empty is no value\r\n\r\n"
                               "-2e1,2025-01-01T04:00:00+02:00,x\n3,2025-01-01T03:00:00Z,last",
                               &s, &err),
                     0);
    assert_int_equal(s->count, 3);
    assert_true(s->value[0] == 1.5 && s->value[1] == -20 && s->value[2] == 3);
    double held[6];
    sl_recording_hold(s, s->at_ms[0], 1800000, 6, held);
    const double want[6] = {1.5, 1.5, 1.5, 1.5, -20, -20};
    assert_memory_equal(held, want, sizeof want);
}

static void bad_rows_are_refused_by_line(void **state) {
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"", "empty"},
        {"time,eur\n", "has no column 'usd'; it has time, eur"},
        {"date,usd\n", "has no column 'time'"},
        {"time,usd\n", "has no values"},
        {"time,usd\n2025-01-01T00:00:00Z\n", "x.csv:2: the row has too few"},
        {"time,usd\nyesterday,1\n", "x.csv:2: 'yesterday' is no RFC 3339 time"},
        {"time,usd\n2025-01-01T00:00:00Z,cheap\n", "x.csv:2: 'cheap' in column 'usd'"},
        {"time,usd\n2025-01-01T00:00:00Z,nan\n", "is no number"},
        {"time,usd\n2025-01-01T00:00:00Z,inf\n", "is no number"},
        {"time,usd\n2025-01-01T00:00:00Z,1e999\n", "is no number"},
        {"time,usd\n2025-01-01T00:00:00Z,0x10\n", "is no number"},
        {"time,usd\n2025-01-01T00:00:00Z,1 USD\n", "is no number"},
        {"time,usd\n2025-01-02T00:00:00Z,1\n2025-01-01T00:00:00Z,1\n", "x.csv:3: "},
        {"time,usd\n2025-01-01T00:00:00Z,1\n2025-01-01T00:00:00Z,2\n", "a second value for"},
        {"time,usd\n2025-01-01T00:00:00Z,\"1\"\n", "is no number"},
        {"<html><body>503</body></html>\n", "has no column"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_recording *s = NULL;
        struct sl_error err;
        int rc = read_text(*state, cases[i].text, &s, &err);
        if (rc != -SL_INVALID || !strstr(err.text, cases[i].says)) {
            fail_msg("case %zu: %d, %s", i, rc, err.text);
        }
        assert_null(s);
    }
    char long_field[400] = "time,usd\n2025-01-01T00:00:00Z,";
    memset(long_field + strlen(long_field), '1', 200);
    struct sl_recording *s = NULL;
    struct sl_error err;
    assert_int_equal(read_text(*state, long_field, &s, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "too long"));
}

static void rows_are_chosen_and_folders_joined(void **state) {
    struct folder *f = *state;
    char second[96];
    snprintf(second, sizeof second, "%s/later", f->path);
    assert_int_equal(mkdir(second, 0700), 0);
    folder_put(f, "x.csv", "t,gpu,v\n2025-01-01,a,1\n2025-01-01,b,2\n2025-01-02,b,3\n");
    folder_put(f, "later/x.csv", "t,gpu,v\n2025-01-02,b,3\n2025-01-03,b,4\n");
    struct sl_recording_source source = {
        .file = "x.csv", .time = "t", .column = "v", .where = "gpu", .is = "b"};
    const char *folders[] = {f->path, second};
    SL_AUTO(sl_recording) s = NULL;
    struct sl_error err;
    assert_int_equal(sl_recording_read(&source, folders, 2, &s, &err), 0);
    assert_int_equal(s->count, 3);
    assert_true(s->value[0] == 2 && s->value[2] == 4);
    struct sl_recording *none = NULL;
    source.is = "c";
    assert_int_equal(sl_recording_read(&source, folders, 2, &none, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "no row with gpu = c"));
    source.file = "y.csv";
    assert_int_equal(sl_recording_read(&source, folders, 2, &none, &err), -SL_NOTFOUND);
    /* A later folder that repeats the earlier one from its start. */
    sl_recording_destroy(sl_take(&s));
    source.file = "x.csv";
    source.is = "b";
    folder_put(f, "later/x.csv", "t,gpu,v\n2025-01-01,b,2\n2025-01-02,b,3\n2025-01-03,b,4\n");
    assert_int_equal(sl_recording_read(&source, folders, 2, &s, &err), 0);
    assert_int_equal(s->count, 3);
    /* It says something else of a time; it has a time that the earlier one has not; it falls. */
    static const char *const bad[] = {"t,gpu,v\n2025-01-01,b,2.5\n",
                                      "t,gpu,v\n2025-01-01T12:00:00Z,b,2\n",
                                      "t,gpu,v\n2025-01-02,b,3\n2025-01-01,b,2\n"};
    static const char *const says[] = {"a second value", "in the order of time",
                                       "in the order of time"};
    for (size_t i = 0; i < 3; i++) {
        folder_put(f, "later/x.csv", bad[i]);
        assert_int_equal(sl_recording_read(&source, folders, 2, &none, &err), -SL_INVALID);
        assert_non_null(strstr(err.text, says[i]));
    }
    assert_null(none);
}

static void holes(void **state) {
    SL_AUTO(sl_recording) s = NULL;
    struct sl_error err;
    const int64_t hour = 3600000;
    assert_int_equal(read_text(*state,
                               "time,usd\n2025-01-01T00:00:00Z,1\n2025-01-01T01:00:00Z,1\n"
                               "2025-01-01T02:00:00Z,1\n2025-01-02T00:00:00Z,1\n",
                               &s, &err),
                     0);
    int64_t first = s->at_ms[0];
    assert_int_equal(sl_recording_check_gaps(s, 0, first, s->at_ms[3], &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "2025-01-01T02:00:00"));
    assert_int_equal(sl_recording_check_gaps(s, 22 * hour, first, s->at_ms[3], &err), 0);
    assert_int_equal(sl_recording_check_gaps(s, 0, first, first + 2 * hour, &err), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {TEST(good_rows), TEST(bad_rows_are_refused_by_line),
                                       TEST(rows_are_chosen_and_folders_joined), TEST(holes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
