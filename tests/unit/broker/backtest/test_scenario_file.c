/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/backtest/folder.h"

#include "broker/backtest/scenario_file.h"

static const struct sl_scenario_window open_window = {INT64_MIN, INT64_MAX};

static int load(const char *path, const char *folder, const struct sl_scenario_window *window,
                struct sl_scenario_set **ret_set, struct sl_error *err) {
    const char *folders[] = {folder};
    return sl_scenario_load(path, folders, folder ? 1 : 0, window, ret_set, err);
}

/* Every scenario that is shipped can be read, and says what its file says. */
static void shipped_scenarios(void **state) {
    (void)state;
    static const char *const names[] = {"A", "B", "C", "D", "E", "F", "G", "R1", "R4", "R6", "R7"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];
        SL_AUTO(sl_scenario_set) set = NULL;
        struct sl_error err;
        snprintf(path, sizeof path, "%s/tests/scenarios/%s.yaml", SLUICE_SOURCE_DIR, names[i]);
        if (load(path, SLUICE_FIXTURES "/market", &open_window, &set, &err)) {
            fail_msg("%s", err.text);
        }
        assert_string_equal(set->scenario.name, names[i]);
        assert_true(set->start_ms != 0 || set->steps == 60 * 288);
        assert_true(set->scenario.step_ms == 300000);
    }
}

static void series_are_laid_over_each_other(void **state) {
    (void)state;
    SL_AUTO(sl_scenario_set) set = NULL;
    struct sl_error err;
    const char *path = SLUICE_SOURCE_DIR "/tests/scenarios/R1.yaml";
    /* May 2024; daily prices begin at midnight of the 31st, power has until 23:45. */
    assert_int_equal(load(path, SLUICE_FIXTURES "/market", &open_window, &set, &err), 0);
    assert_int_equal(set->steps, 30 * 288 + 1);
    assert_true(set->start_ms == INT64_C(1714521600000));
    sl_scenario_set_destroy(sl_take(&set));
    struct sl_scenario_window week = {INT64_C(1714521600000) + 86400000,
                                      INT64_C(1714521600000) + 8 * INT64_C(86400000)};
    assert_int_equal(load(path, SLUICE_FIXTURES "/market", &week, &set, &err), 0);
    assert_int_equal(set->steps, 7 * 288);
    struct sl_scenario_window later = {INT64_C(1814521600000), INT64_MAX};
    struct sl_scenario_set *none = NULL;
    assert_int_equal(load(path, SLUICE_FIXTURES "/market", &later, &none, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "leave nothing"));
    assert_int_equal(load(path, NULL, &open_window, &none, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "--data"));
    assert_null(none);
}

#define HEAD "name: x\nhash:\n  algorithms: 1\n  usd_per_hour: 1\n"
#define SERIES                                                                                     \
    HEAD "  file: h.csv\n  column: v\npower:\n  kw: 1\n  kind: series\n  file: p.csv\n  column: "  \
         "v\n"

static void no_overlap_names_both_spans(void **state) {
    struct folder *f = *state;
    folder_put(f, "h.csv", "timestamp,v\n2025-01-01,1\n2025-01-02,1\n");
    folder_put(f, "p.csv", "timestamp,v\n2025-02-01,1\n2025-02-02,1\n");
    char path[128];
    snprintf(path, sizeof path, "%s", folder_put(f, "s.yaml", SERIES));
    struct sl_scenario_set *set = NULL;
    struct sl_error err;
    assert_int_equal(load(path, f->path, &open_window, &set, &err), -SL_INVALID);
    static const char *const parts[] = {"h.csv",      "p.csv",      "2025-01-01",    "2025-01-02",
                                        "2025-02-01", "2025-02-02", "do not overlap"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!strstr(err.text, parts[i])) {
            fail_msg("no %s in: %s", parts[i], err.text);
        }
    }
    assert_null(set);
}

static void bad_files(void **state) {
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {HEAD "power:\n  kw: 1\n  wats: 3\n", "s.yaml:7: "},
        {HEAD "power:\n  kw: 1 kW\n", "s.yaml:6: "},
        {HEAD "power:\n  kw: -1\n", "s.yaml:6: "},
        {HEAD, "power.kw"},
        {"name: \"a,b\"\nhash:\n  algorithms: 1\n  usd_per_hour: 1\npower:\n  kw: 1\n", "name:"},
        {HEAD "power:\n  kw: 1\n  kind: series\n", "power.file go together"},
        {HEAD "power:\n  kw: 1\n  file: p.csv\n  column: v\n", "power.file go together"},
        {HEAD "  file: h.csv\npower:\n  kw: 1\n", "hash.column go together"},
        {HEAD "  file: ../h.csv\n  column: v\npower:\n  kw: 1\n", "below a --data folder"},
        {"name: x\nhash:\n  algorithms: 9\n  usd_per_hour: 1\npower:\n  kw: 1\n", "s.yaml:3: "},
    };
    struct folder *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_scenario_set *set = NULL;
        struct sl_error err;
        const char *path = folder_put(f, "s.yaml", cases[i].text);
        int rc = load(path, f->path, &open_window, &set, &err);
        if (rc != -SL_INVALID || !strstr(err.text, cases[i].says)) {
            fail_msg("case %zu: %d, %s", i, rc, err.text);
        }
        assert_null(set);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(shipped_scenarios),
        TEST(series_are_laid_over_each_other),
        TEST(no_overlap_names_both_spans),
        TEST(bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
