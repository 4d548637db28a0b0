/* SPDX-License-Identifier: Apache-2.0
 * The judge, and its outputs judged again from the CSV. */
#include "tests/unit/broker/backtest/folder.h"

#include <jansson.h>
#include <math.h>

#include "broker/backtest/output.h"
#include "tests/unit/schedulers/constants.h"

struct seen {
    FILE *dump, *text;
    struct sl_backtest_json json;
    struct sl_backtest_table *table;
    int cases;
    int64_t revenue[64], optimum[64];
    uint32_t switches[64];
};

static int see(void *arg, const struct sl_judge_case *one, struct sl_error *err) {
    struct seen *seen = arg;
    for (uint32_t p = 0; p < one->config->policy_count; p++) {
        int at = seen->cases * (int)one->config->policy_count + (int)p;
        seen->revenue[at] = one->results[p].revenue_nusd;
        seen->switches[at] = one->results[p].switches;
        seen->optimum[at] = one->optimum.revenue_nusd;
        assert_true(one->results[p].revenue_nusd <= one->optimum.revenue_nusd);
    }
    seen->cases++;
    int rc = sl_backtest_json_see(&seen->json, one, err);
    rc = rc ? rc : sl_backtest_table_see(seen->table, one, err);
    return rc ? rc : sl_backtest_dump_see(seen->dump, one, err);
}

static void run(struct seen *seen, struct folder *f) {
    struct sl_judge_config config = {
        .policies = {{"fbf", &sl_switching_fbf}, {"greedy", &sl_switching_greedy}, {"fixed", NULL}},
        .policy_count = 3,
        .cost_ms = {1000, 300000},
        .cost_count = 2,
        .noise = SL_JUDGE_NOISE_OWN,
        .lag = SL_JUDGE_LAG_OWN,
        .seed = 1,
        .params = shipped_constants};
    struct sl_scenario_set *set = NULL;
    struct sl_error err;
    const char *path = folder_put(f, "s.yaml",
                                  "name: small\ndays: 2\ninstances: 2\nhash:\n  algorithms: 2\n"
                                  "  usd_per_hour: 0.06\n  spread: 0.15\npower:\n  kw: 0.35\n"
                                  "  kind: spiky\nlease:\n  usd_per_hour: 0.09\n  sd: 0.4\n"
                                  "idle:\n  offered: true\n");
    const struct sl_scenario_window window = {INT64_MIN, INT64_MAX};
    if (sl_scenario_load(path, NULL, 0, &window, &set, &err)) {
        fail_msg("%s", err.text);
    }
    char dump[128], text[128];
    snprintf(dump, sizeof dump, "%s/dump.csv", f->path);
    snprintf(text, sizeof text, "%s/out.json", f->path);
    seen->dump = fopen(dump, "w+");
    seen->json.out = seen->text = fopen(text, "w+");
    assert_int_equal(sl_backtest_table_create(&seen->table, NULL), 0);
    assert_int_equal(sl_backtest_dump_head(seen->dump, &config, NULL), 0);
    assert_int_equal(sl_judge_run(&config, set, see, seen, &err), 0);
    sl_backtest_json_end(&seen->json);
    rewind(seen->dump);
    rewind(seen->text);
    sl_scenario_set_destroy(set);
}

static int column_of(char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    fail_msg("no column %s", name);
    return -1;
}

static int split(char *line, char *fields[64]) {
    int count = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *at = line; at; count++) {
        fields[count] = strsep(&at, ",");
    }
    return count;
}

/* What a stranger would do with the file: revenue of every policy from its modes and the truth. */
static void the_dump_is_enough_to_judge_again(void **state) {
    struct seen seen = {0};
    run(&seen, *state);
    char head[4096], line[4096], name[64];
    char *names[64], *fields[64];
    assert_non_null(fgets(head, sizeof head, seen.dump));
    int count = split(head, names);
    int64_t sum[64] = {0};
    char before[3][16] = {""};
    int rows = 0;
    static const char *const policies[] = {"mode_fbf", "mode_greedy", "mode_fixed"};
    while (fgets(line, sizeof line, seen.dump)) {
        assert_int_equal(split(line, fields), count);
        int at = rows++ / 576;
        for (int p = 0; p < 3; p++) {
            const char *mode = fields[column_of(names, count, policies[p])];
            snprintf(name, sizeof name, "true_%s", mode);
            int64_t rate = atoll(fields[column_of(names, count, name)]);
            bool moved = strcmp(fields[column_of(names, count, "step")], "0") != 0 &&
                         strcmp(before[p], mode) != 0;
            sum[at * 3 + p] += sl_backtest_step_nusd(rate, 300000);
            sum[at * 3 + p] -=
                moved ? atoll(fields[column_of(names, count, "switch_cost_nusd")]) : 0;
            snprintf(before[p], sizeof before[p], "%s", mode);
        }
        assert_string_equal(fields[column_of(names, count, "true_hash5")], "");
    }
    assert_int_equal(rows, 4 * 576);
    assert_int_equal(seen.cases, 4);
    for (int i = 0; i < 12; i++) {
        assert_true(sum[i] == seen.revenue[i]);
    }
    fclose(seen.dump);
    fclose(seen.text);
    sl_backtest_table_destroy(seen.table);
}

static void json_says_the_same(void **state) {
    struct seen seen = {0};
    run(&seen, *state);
    json_t *array = json_loadf(seen.text, 0, NULL);
    assert_int_equal(json_array_size(array), 12);
    static const char *const policies[] = {"fbf", "greedy", "fixed"};
    for (size_t i = 0; i < 12; i++) {
        const json_t *row = json_array_get(array, i);
        int64_t revenue = json_integer_value(json_object_get(row, "revenue_nusd"));
        int64_t optimum = json_integer_value(json_object_get(row, "optimum_nusd"));
        assert_true(revenue == seen.revenue[i] && optimum == seen.optimum[i]);
        double captured = json_number_value(json_object_get(row, "captured"));
        assert_true(fabs(captured - (double)revenue / (double)optimum) < 1e-9);
        assert_int_equal(json_integer_value(json_object_get(row, "switches")), seen.switches[i]);
        assert_int_equal(json_integer_value(json_object_get(row, "instance")), i / 6);
        assert_int_equal(json_number_value(json_object_get(row, "switch_cost_s")),
                         i % 6 < 3 ? 1 : 300);
        assert_string_equal(json_string_value(json_object_get(row, "policy")), policies[i % 3]);
        assert_string_equal(json_string_value(json_object_get(row, "scenario")), "small");
        assert_true(fabs(json_number_value(json_object_get(row, "noise")) - 0.05) < 1e-12);
    }
    json_decref(array);
    fclose(seen.dump);
    fclose(seen.text);
    sl_backtest_table_destroy(seen.table);
}

static int see_table(void *arg, const struct sl_judge_case *one, struct sl_error *err) {
    return sl_backtest_table_see(arg, one, err);
}

/* Two scenarios: a row each for every policy, then medians and the lowest. */
static void the_table_has_every_scenario_and_a_summary(void **state) {
    struct sl_judge_config config = {.policies = {{"fbf", &sl_switching_fbf}, {"fixed", NULL}},
                                     .policy_count = 2,
                                     .cost_ms = {1500, 300000},
                                     .cost_count = 2,
                                     .noise = SL_JUDGE_NOISE_OWN,
                                     .lag = SL_JUDGE_LAG_OWN,
                                     .seed = 1,
                                     .params = shipped_constants};
    const struct sl_scenario_window window = {INT64_MIN, INT64_MAX};
    SL_AUTO(sl_backtest_table) table = NULL;
    assert_int_equal(sl_backtest_table_create(&table, NULL), 0);
    for (int i = 0; i < 2; i++) {
        char yaml[200];
        struct sl_scenario_set *set = NULL;
        snprintf(yaml, sizeof yaml,
                 "name: case%d\ndays: 1\ninstances: 1\nhash:\n  algorithms: 2\n"
                 "  usd_per_hour: 0.06\n  spread: 0.15\npower:\n  kw: 0.35\n",
                 i);
        assert_int_equal(
            sl_scenario_load(folder_put(*state, "s.yaml", yaml), NULL, 0, &window, &set, NULL), 0);
        assert_int_equal(sl_judge_run(&config, set, see_table, table, NULL), 0);
        sl_scenario_set_destroy(set);
    }
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    sl_backtest_table_print(table, out);
    fclose(out);
    static const char *const parts[] = {"1.5 s", "5 min", "case0", "case1", "median", "lowest"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        assert_non_null(strstr(text, parts[i]));
    }
    int lines = 0;
    for (const char *c = text; *c; c++) {
        lines += *c == '\n';
    }
    assert_int_equal(lines, 2 + 4 * 2); /* the head has two */
    free(text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(the_dump_is_enough_to_judge_again),
        TEST(json_says_the_same),
        TEST(the_table_has_every_scenario_and_a_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
