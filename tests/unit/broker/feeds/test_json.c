/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/feeds/config.h"
#include "broker/feeds/json.h"

#define NOW INT64_C(1764330000000) /* 2025-11-28T11:40:00Z */

static int find(const char *text, struct sl_feed_select select, struct sl_feed_found *ret_found,
                int64_t *ret_nano, struct sl_error *err) {
    int rc = sl_feed_json_find(text, strlen(text), &select, (struct sl_wall){NOW}, ret_found, err);
    return rc ? rc : sl_feed_number_nano(ret_found->value, ret_nano, err);
}

static void check_found(const char *text, struct sl_feed_select select, int64_t wanted) {
    struct sl_feed_found found = {0};
    struct sl_error err;
    int64_t nano = 0;
    if (find(text, select, &found, &nano, &err)) {
        fail_msg("%s: %s", select.value_path, err.text);
    }
    if (nano != wanted) {
        fail_msg("%s: %lld, not %lld", select.value_path, (long long)nano, (long long)wanted);
    }
}

static void check_refused(const char *text, struct sl_feed_select select, const char *says) {
    struct sl_feed_found found = {.value = {77, 0}};
    struct sl_error err = {0};
    int64_t nano = 0;
    if (find(text, select, &found, &nano, &err) == 0 || !strstr(err.text, says)) {
        fail_msg("%s of %.60s: '%s' lacks '%s'", select.value_path, text, err.text, says);
    }
    assert_true(found.value.digits == 77 || strstr(says, "too large"));
}

static void a_path_finds_its_number(void **state) {
    (void)state;
    static const char text[] = "{\"data\":[{\"p\":\"49.5\"},{\"p\":1.25,\"q\":3}],\"n\":null,"
                               "\"big\":231000000000000000000,\"pence\":15.2,\"t\":true}";
    check_found(text, (struct sl_feed_select){.value_path = "data.0.p"}, INT64_C(49500000000));
    check_found(text, (struct sl_feed_select){.value_path = "data.1.p"}, 1250000000);
    check_found(text, (struct sl_feed_select){.value_path = "data.1.q"}, 3000000000);
    check_found(text, (struct sl_feed_select){.value_path = "pence"}, INT64_C(15200000000));
}

static void what_is_not_there_or_no_number_is_said(void **state) {
    (void)state;
    static const char text[] = "{\"data\":[{\"p\":\"49.5\"},{\"p\":1.25,\"q\":3}],\"n\":null,"
                               "\"s\":\"12 USD\",\"nan\":\"NaN\",\"nul\":\"1\\u00302\","
                               "\"big\":231000000000000000000}";
    static const struct {
        const char *path;
        const char *says;
    } cases[] = {
        {"data.2.p", "no 'data.2.p'"}, {"data.x.p", "no 'data.x.p'"},
        {"n", "no number at 'n'"},     {"data", "no number at 'data'"},
        {"data..p", "is no path"},     {"", "is no path"},
        {"data[p", "is no path"},      {"data[=1].p", "is no path"},
        {"data[p=1]q", "is no path"},  {"da*ta", "is no path"},
        {"s", "'12 USD' is not a"},    {"nan", "'NaN' is not a"},
        {"big", "too large"},          {"data.*.z", "no 'data.*.z'"},
        {"data.*.p", "2 values fit"},  {"x[p=1].q", "no 'x[p=1].q'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_refused(text, (struct sl_feed_select){.value_path = cases[i].path}, cases[i].says);
    }
    check_refused("{", (struct sl_feed_select){.value_path = "a"}, "not JSON");
    check_refused("{\"a\":NaN}", (struct sl_feed_select){.value_path = "a"}, "not JSON");
    check_refused("{\"a\":1,\"a\":2}", (struct sl_feed_select){.value_path = "a"}, "not JSON");
    check_refused("", (struct sl_feed_select){.value_path = "a"}, "not JSON");
    check_refused("\n <html>", (struct sl_feed_select){.value_path = "a"}, "a web page, not JSON");
}

static void selectors_choose_rows(void **state) {
    (void)state;
    /* WhatToMine's shape: an object of objects, figures in strings. */
    static const char coins[] =
        "{\"coins\":{\"Ergo\":{\"tag\":\"ERG\",\"btc_revenue\":\"0.00001\",\"lagging\":false},"
        "\"Old\":{\"tag\":\"OLD\",\"btc_revenue\":\"9\",\"lagging\":true},"
        "\"Raven\":{\"tag\":\"RVN\",\"id\":7,\"btc_revenue\":\"0.00002\",\"lagging\":false}}}";
    check_found(coins, (struct sl_feed_select){.value_path = "coins[tag=ERG].btc_revenue"}, 10000);
    check_found(coins, (struct sl_feed_select){.value_path = "coins.*[tag=RVN].btc_revenue"},
                20000);
    check_found(coins, (struct sl_feed_select){.value_path = "coins[id=7].btc_revenue"}, 20000);
    check_found(coins,
                (struct sl_feed_select){.value_path = "coins.*.btc_revenue",
                                        .pick = SL_FEED_PICK_MAX,
                                        .skip_if = "lagging"},
                20000);
    check_refused(
        coins,
        (struct sl_feed_select){.value_path = "coins[tag=OLD].btc_revenue", .skip_if = "lagging"},
        "'lagging' is true in all");
    check_refused(coins, (struct sl_feed_select){.value_path = "coins[tag=NIX].btc_revenue"},
                  "no 'coins[tag=NIX].btc_revenue'");
    static const char list[] =
        "[{\"a\":\"KAWPOW\",\"ok\":true,\"v\":[1,2]},{\"a\":\"x=y\",\"v\":5}]";
    check_found(list, (struct sl_feed_select){.value_path = "[a=KAWPOW].v.1"}, 2000000000);
    check_found(list, (struct sl_feed_select){.value_path = "[a=x=y].v"}, INT64_C(5000000000));
    check_found(list,
                (struct sl_feed_select){.value_path = "*[ok=true].v.*", .pick = SL_FEED_PICK_LAST},
                2000000000);
    check_found(list, (struct sl_feed_select){.value_path = "0.v.*", .pick = SL_FEED_PICK_FIRST},
                1000000000);
}

/* Vast's shape: the price of an offer is of all its GPUs. */
static void many_offers_become_one_price(void **state) {
    (void)state;
    static const char offers[] =
        "{\"offers\":[{\"num_gpus\":4,\"dph_total\":2.0},{\"num_gpus\":1,\"dph_total\":0.3},"
        "{\"num_gpus\":2,\"dph_total\":0.8},{\"num_gpus\":1,\"dph_total\":null},"
        "{\"num_gpus\":1},{\"num_gpus\":1,\"dph_total\":0.1}]}";
    struct sl_feed_select select = {.value_path = "offers.*.dph_total", .divide_by = "num_gpus"};
    select.pick = SL_FEED_PICK_MEDIAN; /* 0.1 0.3 0.4 0.5: the lower of two */
    check_found(offers, select, 300000000);
    select.pick = SL_FEED_PICK_MIN;
    check_found(offers, select, 100000000);
    select.pick = SL_FEED_PICK_MAX;
    check_found(offers, select, 500000000);
    check_found("{\"offers\":{\"num_gpus\":4,\"dph_total\":2.0,\"search\":{\"x\":1}}}", select,
                500000000);
    check_refused("{\"offers\":[{\"num_gpus\":0,\"dph_total\":2.0}]}", select, "not above 0");
    check_refused("{\"offers\":[{\"dph_total\":2.0}]}", select, "no 'num_gpus'");
    check_refused("{\"offers\":[{\"num_gpus\":1,\"dph_total\":\"NaN\"}]}", select, "not a plain");
    check_refused("{\"offers\":[]}", select, "no 'offers.*.dph_total'");
}

static void rows_may_be_valid_for_a_time(void **state) {
    (void)state;
    static const char rates[] =
        "{\"results\":[{\"value_inc_vat\":20.5,\"valid_from\":\"2025-11-28T12:00:00Z\","
        "\"valid_to\":\"2025-11-28T12:30:00Z\"},"
        "{\"value_inc_vat\":15.2,\"valid_from\":\"2025-11-28T11:30:00Z\","
        "\"valid_to\":\"2025-11-28T12:00:00Z\"},"
        "{\"value_inc_vat\":9,\"valid_from\":\"2025-11-28T11:00:00Z\","
        "\"valid_to\":\"2025-11-28T11:30:00Z\"}]}";
    struct sl_feed_select select = {.value_path = "results.*.value_inc_vat",
                                    .valid_from = "valid_from",
                                    .valid_to = "valid_to"};
    check_found(rates, select, INT64_C(15200000000));
    check_found("{\"results\":[{\"value_inc_vat\":7,\"valid_from\":null,\"valid_to\":null}]}",
                select, INT64_C(7000000000));
    check_refused("{\"results\":[{\"value_inc_vat\":7,\"valid_from\":\"2025-11-28T11:40:00.001Z\"},"
                  "{\"value_inc_vat\":7,\"valid_to\":\"2025-11-28T11:40:00Z\"}]}",
                  select, "none of the answer's 2 rows is valid now, at 2025-11-28T11:40:00.000Z");
    check_refused("{\"results\":[{\"value_inc_vat\":7,\"valid_from\":\"noon\"}]}", select,
                  "'valid_from' holds no time");
}

static void times_come_in_three_forms(void **state) {
    (void)state;
    static const char *const texts[] = {"\"2025-11-28T11:40:00Z\"", "1764330000", "1764330000000",
                                        "\"1764330000\"", "\"2025-11-28T05:40:00-06:00\""};
    char text[128];
    struct sl_feed_select select = {.value_path = "v", .time_path = "t"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sl_feed_found found = {0};
        int64_t nano = 0;
        snprintf(text, sizeof text, "{\"v\":1,\"t\":%s}", texts[i]);
        assert_int_equal(find(text, select, &found, &nano, NULL), 0);
        assert_true(found.has_time && found.as_of.ms == NOW);
    }
    static const char *const bad[] = {
        "\"now\"", "-5", "null", "1e300", "true", "\"2025-11-28T11:40:00\"", "{}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, "{\"v\":1,\"t\":%s}", bad[i]);
        check_refused(text, select, "t");
    }
    check_refused("{\"v\":1}", select, "'t' holds no time");
    select.value_path = "data.*.v";
    select.pick = SL_FEED_PICK_NEWEST;
    check_found("{\"data\":[{\"v\":1,\"t\":1764330000},{\"v\":2,\"t\":1764330060},"
                "{\"v\":3,\"t\":1764330030}]}",
                select, 2000000000);
}

static void rows_have_a_limit(void **state) {
    (void)state;
    size_t cap = 64 + 2 * (SL_FEED_ROWS_MAX + 1);
    char *text = malloc(cap);
    assert_non_null(text);
    size_t n = (size_t)snprintf(text, cap, "[0");
    for (int i = 0; i < SL_FEED_ROWS_MAX; i++) {
        n += (size_t)snprintf(text + n, cap - n, ",1");
    }
    snprintf(text + n, cap - n, "]");
    check_refused(text, (struct sl_feed_select){.value_path = "*", .pick = SL_FEED_PICK_LAST},
                  "more than 10000 rows");
    snprintf(text + n - 2, cap - n, "]");
    check_found(text, (struct sl_feed_select){.value_path = "*", .pick = SL_FEED_PICK_LAST},
                1000000000);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_finds_its_number),
        cmocka_unit_test(what_is_not_there_or_no_number_is_said),
        cmocka_unit_test(selectors_choose_rows),
        cmocka_unit_test(many_offers_become_one_price),
        cmocka_unit_test(rows_may_be_valid_for_a_time),
        cmocka_unit_test(times_come_in_three_forms),
        cmocka_unit_test(rows_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
