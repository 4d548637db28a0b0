/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/backtest/folder.h"

#include <jansson.h>

#include "broker/backtest/page.h"
#include "tests/unit/schedulers/constants.h"

static int see(void *arg, const struct sl_judge_case *one, struct sl_error *err) {
    return sl_backtest_page_see(arg, one, err);
}

static void a_page_is_filled_in(void **state) {
    struct folder *f = *state;
    struct sl_judge_config config = {.policies = {{"fbf", &sl_switching_fbf}, {"fixed", NULL}},
                                     .policy_count = 2,
                                     .cost_ms = {1000, 300000},
                                     .cost_count = 2,
                                     .noise = 0.02,
                                     .lag = SL_JUDGE_LAG_OWN,
                                     .seed = 9,
                                     .params = shipped_constants};
    struct sl_scenario_set *set = NULL;
    struct sl_error err;
    const char *path = folder_put(f, "s.yaml",
                                  "name: small\ndays: 2\ninstances: 2\nhash:\n  algorithms: 2\n"
                                  "  usd_per_hour: 0.06\n  spread: 0.15\npower:\n  kw: 0.35\n");
    const struct sl_scenario_window window = {INT64_MIN, INT64_MAX};
    SL_AUTO(sl_backtest_page) page = NULL;
    assert_int_equal(sl_scenario_load(path, NULL, 0, &window, &set, &err), 0);
    assert_int_equal(sl_backtest_page_create(&config, &page, &err), 0);
    assert_int_equal(sl_judge_run(&config, set, see, page, &err), 0);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(sl_backtest_page_write(page, out, &err), 0);
    fclose(out);
    static const char *const parts[] = {"{{data}}", "{{report.js}}", "{{report.css}}",
                                        "{{dygraph.js}}", "{{dygraph.css}}"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        assert_null(strstr(text, parts[i]));
    }
    assert_non_null(strstr(text, "Dygraph"));
    static const char begin[] = "id=\"data\">";
    const char *data = strstr(text, begin);
    assert_non_null(data);
    data += sizeof begin - 1;
    json_t *json = json_loadb(data, (size_t)(strstr(data, "</script>") - data), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "seed")), 9);
    const json_t *cases = json_object_get(json, "cases");
    assert_int_equal(json_array_size(cases), 4);
    const json_t *first = json_array_get(cases, 0);
    const json_t *modes = json_object_get(first, "modes");
    assert_int_equal(json_array_size(modes), 3);
    assert_int_equal(json_string_length(json_array_get(modes, 0)), 576);
    assert_null(json_object_get(json_array_get(cases, 2), "series")); /* the second instance */
    json_decref(json);
    free(text);
    sl_scenario_set_destroy(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page_is_filled_in, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
