/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/agents.h"
#include "broker/core/power.h"
#include "broker/core/rates.h"
#include "broker/core/stress.h"
#include "broker/http/views.h"
#include "tests/unit/broker/http/made_up_core.h"

static const struct sl_now now = {{1}, {1767225600000}};

static json_t *view(bool fresh, enum sl_http_view kind, const char *arg) {
    struct sl_broker_core core = {.fresh = fresh};
    int status = 1;
    char *text = sl_http_view_text(&core, now, kind, arg, &status);
    assert_int_equal(status, SL_OK);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    if (!root) {
        fail_msg("no JSON: %s", text);
    }
    free(text);
    return root;
}

static void test_every_view_is_json(void **state) {
    (void)state;
    static const enum sl_http_view kinds[] = {
        SL_HTTP_VIEW_HEALTH,  SL_HTTP_VIEW_STATUS, SL_HTTP_VIEW_NODES,  SL_HTTP_VIEW_DEVICES,
        SL_HTTP_VIEW_MARKET,  SL_HTTP_VIEW_POOLS,  SL_HTTP_VIEW_MODELS, SL_HTTP_VIEW_SWITCHES,
        SL_HTTP_VIEW_SHADOWS, SL_HTTP_VIEW_POWER,  SL_HTTP_VIEW_FEEDS,  SL_HTTP_VIEW_TRUST};
    for (int fresh = 0; fresh < 2; fresh++) {
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            json_decref(view(fresh, kinds[i], ""));
        }
    }
}

static void test_unknown_is_null(void **state) {
    (void)state;
    json_t *status = view(true, SL_HTTP_VIEW_STATUS, "");
    json_t *switches = json_object_get(status, "switches");
    assert_true(json_is_null(json_object_get(switches, "p50_us")));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(status, "revenue_usd"), "hash")),
        "36893488147.419103228");
    json_decref(status);
    json_t *device = view(true, SL_HTTP_VIEW_DEVICE, "n1/pocl:1");
    json_t *watts = json_object_get(device, "watts");
    assert_true(json_is_null(json_object_get(json_object_get(watts, "infer"), "watts")));
    assert_true(json_real_value(json_object_get(json_object_get(watts, "hash"), "watts")) == 65.5);
    json_t *offers = json_object_get(device, "offers");
    assert_true(
        json_is_null(json_object_get(json_object_get(offers, "infer"), "net_usd_per_hour")));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(offers, "hash"), "net_usd_per_hour")),
        "0.000000009");
    assert_true(json_is_null(json_object_get(json_object_get(device, "switch_us"), "hash_infer")));
    json_decref(device);
}

static const char *text_at(const json_t *object, const char *first, const char *second) {
    return json_string_value(json_object_get(json_object_get(object, first), second));
}

static void test_power(void **state) {
    (void)state;
    json_t *root = view(false, SL_HTTP_VIEW_POWER, "");
    const json_t *power = json_object_get(root, "power");
    assert_string_equal(text_at(power, "energy_kwh", "hash"), "1.00");
    assert_string_equal(text_at(power, "energy_kwh", "idle"), "0.000000001");
    assert_string_equal(json_string_value(json_object_get(power, "carbon_g")), "0.80");
    assert_true(json_real_value(json_object_get(power, "site_cap_w")) == 1500.5);
    const json_t *device = json_array_get(json_object_get(root, "devices"), 0);
    assert_string_equal(json_string_value(json_object_get(device, "source")), "rated");
    const json_t *class_ = json_array_get(json_object_get(root, "classes"), 0);
    assert_string_equal(json_string_value(json_object_get(class_, "state")), "curtailed");
    json_decref(root);
    root = view(true, SL_HTTP_VIEW_STATUS, "");
    power = json_object_get(root, "power");
    assert_true(json_is_null(json_object_get(power, "site_cap_w")));
    assert_true(json_is_null(json_object_get(power, "carbon_g")));
    json_decref(root);
}

/* `explain` sends people there, who were told that every device is trusted. */
static void test_a_faulty_device_is_listed(void **state) {
    (void)state;
    struct sl_broker_core core = {.faulty = true};
    int status = 1;
    char *text = sl_http_view_text(&core, now, SL_HTTP_VIEW_TRUST, "", &status);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    json_t *devices = json_object_get(root, "devices");
    assert_int_equal(json_array_size(devices), 2);
    const struct {
        const char *key, *value;
    } rows[] = {{"key", "n1/pocl:1"},
                {"health", "faulty"},
                {"health_reason", "its results were wrong"},
                {"health_way_back", "resume it"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(devices, 1), rows[i].key)),
            rows[i].value);
    }
    json_t *counts = json_object_get(root, "counts");
    assert_int_equal(json_integer_value(json_object_get(counts, "faulty")), 1);
    json_decref(root);
    free(text);
}

static void test_health(void **state) {
    (void)state;
    json_t *root = view(false, SL_HTTP_VIEW_TRUST, "");
    json_t *devices = json_object_get(root, "devices");
    assert_int_equal(json_array_size(devices), 1);
    json_t *device = json_array_get(devices, 0);
    assert_string_equal(json_string_value(json_object_get(device, "health")), "quarantine");
    assert_string_equal(json_string_value(json_object_get(device, "health_cause")), "xids");
    assert_true(json_real_value(json_object_get(device, "health_xid")) == 79);
    json_t *counts = json_object_get(root, "counts");
    assert_true(json_real_value(json_object_get(counts, "quarantine")) == 1);
    assert_true(json_real_value(json_object_get(counts, "ok")) == 1);
    json_decref(root);
    root = view(false, SL_HTTP_VIEW_DEVICE, "n1/pocl:0");
    json_t *sensors = json_object_get(root, "telemetry");
    assert_true(json_real_value(json_object_get(sensors, "power_mw")) == 250125);
    assert_true(json_is_null(json_object_get(sensors, "fan_rpm")));
    json_t *slowed = json_object_get(sensors, "throttled_by");
    assert_int_equal(json_array_size(slowed), 2);
    assert_string_equal(json_string_value(json_array_get(slowed, 1)), "thermal");
    json_decref(root);
    root = view(false, SL_HTTP_VIEW_DEVICE, "n1/pocl:1");
    sensors = json_object_get(root, "telemetry");
    assert_true(json_is_null(json_object_get(sensors, "power_mw")));
    assert_true(json_is_null(json_object_get(sensors, "throttled_by")));
    assert_string_equal(json_string_value(json_object_get(root, "health")), "ok");
    assert_true(json_is_null(json_object_get(root, "health_reason")));
    json_decref(root);
}

static void test_stress(void **state) {
    (void)state;
    /* Leases -80 %: 180 - 20 still beats 60. */
    json_t *root = view(false, SL_HTTP_VIEW_STRESS, "30d41 0 0 0 0 ");
    json_t *one = json_array_get(json_object_get(root, "cases"), 0);
    json_t *device = json_array_get(json_object_get(one, "devices"), 0);
    json_t *batch = json_array_get(json_object_get(one, "batches"), 0);
    assert_int_equal(json_array_size(json_object_get(root, "cases")), 1);
    assert_true(json_real_value(json_object_get(json_object_get(one, "shock"), "lease")) > 0.19);
    assert_string_equal(text_at(root, "before", "margin_usd_per_hour"), "0.00000088");
    assert_string_equal(text_at(root, "before", "cover"), "margin");
    assert_string_equal(text_at(one, "after", "lease_usd_per_hour"), "0.00000018");
    assert_string_equal(text_at(one, "after", "cover"), "margin");
    assert_string_equal(text_at(device, "after", "mode"), "infer");
    assert_string_equal(json_string_value(json_object_get(device, "use_source")), "assumed");
    assert_string_equal(json_string_value(json_object_get(batch, "after")), "kept");
    json_t *inputs = json_object_get(root, "inputs");
    assert_true(json_is_true(json_object_get(json_object_get(inputs, "hashprice"), "stale")));
    assert_int_equal(strlen(json_string_value(json_object_get(inputs, "policy_version"))), 16);
    json_decref(root);
    /* The tenant leaves, hashprice -100 %: nothing is left but idling for 5. */
    root = view(false, SL_HTTP_VIEW_STRESS, "0 1 0 0 0 acme");
    one = json_array_get(json_object_get(root, "cases"), 0);
    assert_string_equal(text_at(one, "after", "margin_usd_per_hour"), "-0.000000005");
    assert_int_equal((int)json_real_value(json_object_get(one, "devices_stop")), 1);
    assert_int_equal((int)json_real_value(json_object_get(one, "breaches")), 0);
    batch = json_array_get(json_object_get(one, "batches"), 0);
    assert_string_equal(json_string_value(json_object_get(batch, "after")), "left");
    /* 7300 / (73000 + 3650) */
    json_t *months = json_object_get(json_object_get(one, "after"), "cover_months");
    assert_int_equal((int)(json_real_value(months) * 1000 + 0.5), 95);
    json_decref(root);
}

static void test_stress_of_all(void **state) {
    (void)state;
    static const char *const names[] = {"lease",   "hashprice", "power",
                                        "halving", "tenant",    "together"};
    json_t *root = view(false, SL_HTTP_VIEW_STRESS, "0 0 0 0 1 acme");
    json_t *cases = json_object_get(root, "cases");
    assert_int_equal(json_array_size(cases), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(json_string_value(json_object_get(json_array_get(cases, i), "name")),
                            names[i]);
    }
    json_t *shock = json_object_get(json_array_get(cases, 5), "shock");
    assert_true(json_real_value(json_object_get(shock, "hashprice")) == 0.5);
    assert_true(json_real_value(json_object_get(shock, "power")) == 3);
    assert_true(json_is_true(json_object_get(shock, "halving")));
    json_decref(root);
    root = view(false, SL_HTTP_VIEW_STRESS, "0 0 0 0 0 a tenant"); /* without an open batch */
    json_t *one = json_array_get(json_object_get(root, "cases"), 0);
    assert_string_equal(text_at(one, "shock", "tenant"), "a tenant");
    assert_string_equal(text_at(one, "after", "lease_usd_per_hour"), "0.0000009");
    json_decref(root);
    root = view(true, SL_HTTP_VIEW_STRESS, "0 0 0 0 0 "); /* nothing asked: all, of nothing */
    assert_int_equal(json_array_size(json_object_get(root, "cases")), 5);
    assert_string_equal(text_at(root, "before", "cover"), "unknown");
    assert_true(json_is_null(json_object_get(
        json_object_get(json_object_get(root, "inputs"), "hashprice"), "usd_per_ph_day")));
    json_decref(root);
}

static void test_rates(void **state) {
    (void)state;
    json_t *root = view(false, SL_HTTP_VIEW_RATES, "");
    json_t *one = json_array_get(json_object_get(root, "classes"), 0);
    assert_string_equal(json_string_value(json_object_get(one, "rate_usd_per_mtok")), "0.02");
    assert_string_equal(json_string_value(json_object_get(one, "best_bid_usd_per_mtok")), "0.01");
    assert_int_equal((int)json_real_value(json_object_get(one, "batches_below_rate")), 1);
    assert_int_equal(json_array_size(json_object_get(root, "card")), 1);
    json_decref(root);
    root = view(true, SL_HTTP_VIEW_RATES, "");
    one = json_array_get(json_object_get(root, "classes"), 0);
    assert_true(json_is_null(json_object_get(one, "best_bid_usd_per_mtok")));
    assert_true(json_is_null(json_object_get(one, "rate_usd_per_hour")));
    json_decref(root);
}

static void test_a_device_that_is_not_there(void **state) {
    (void)state;
    struct sl_broker_core core = {0};
    int status = 0;
    char *text = sl_http_view_text(&core, now, SL_HTTP_VIEW_DEVICE, "n2", &status);
    assert_int_equal(status, -SL_NOTFOUND);
    assert_non_null(strstr(text, "n2"));
    free(text);
}

static void test_a_tenant_sees_its_own_batches(void **state) {
    (void)state;
    static const struct {
        const char *tenant;
        size_t batches;
    } cases[] = {{"", 1}, {"acme", 1}, {"globex", 0}};
    for (size_t i = 0; i < 3; i++) {
        json_t *market = view(false, SL_HTTP_VIEW_MARKET, cases[i].tenant);
        assert_int_equal(json_array_size(json_object_get(market, "batches")), cases[i].batches);
        assert_int_equal(json_array_size(json_object_get(market, "feeds")), 1);
        const json_t *batch = json_array_get(json_object_get(market, "batches"), 0);
        assert_true(!batch || json_is_null(json_object_get(batch, "held")));
        json_decref(market);
    }
}

static const char *plain_text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static void test_prices_and_votes(void **state) {
    (void)state;
    json_t *root = view(false, SL_HTTP_VIEW_FEEDS, "");
    const json_t *price = json_array_get(json_object_get(root, "prices"), 0);
    assert_string_equal(plain_text(price, "role"), "currency");
    assert_string_equal(plain_text(price, "of"), "BTC");
    assert_string_equal(plain_text(price, "unit"), "USD/BTC");
    assert_string_equal(plain_text(price, "state"), "trusted");
    assert_string_equal(plain_text(price, "value"), "95000.50");
    assert_string_equal(plain_text(price, "spread"), "1.00");
    assert_true(json_is_null(json_object_get(price, "hold")));
    assert_true(json_real_value(json_object_get(price, "calibration")) == 0.985);
    const json_t *feed = json_array_get(json_object_get(root, "feeds"), 0);
    assert_string_equal(plain_text(feed, "unit"), "USD/PH/s/day (sha256d)");
    assert_string_equal(plain_text(feed, "currency"), "USD");
    assert_string_equal(plain_text(feed, "value"), "0.0375");
    assert_true(
        json_is_null(json_object_get(feed, "value_usd"))); /* nobody said that it is known */
    json_decref(root);
    root = view(true, SL_HTTP_VIEW_FEEDS, "");
    price = json_array_get(json_object_get(root, "prices"), 0);
    assert_string_equal(plain_text(price, "state"), "held");
    assert_string_equal(plain_text(price, "hold"), "sources disagree");
    assert_true(json_real_value(json_object_get(price, "confirmed_in_ms")) == 5000);
    assert_true(json_is_null(json_object_get(price, "lowest")));
    json_decref(root);
}

static void test_models_are_named_once(void **state) {
    (void)state;
    json_t *models = view(false, SL_HTTP_VIEW_MODELS, "");
    assert_int_equal(json_array_size(models), 1);
    json_decref(models);
}

static void test_summary(void **state) {
    (void)state;
    for (int fresh = 0; fresh < 2; fresh++) {
        struct sl_broker_core core = {.fresh = fresh};
        int status = 0;
        char *text = sl_http_view_text(&core, now, SL_HTTP_VIEW_SUMMARY, "", &status);
        static const char measured[] =
            "\"hashrate_hs\":7,\"tokens_per_s\":4000.000,\"switches\":9,\"switch_ms_p50\":1.500,"
            "\"switch_ms_p99\":2.000,\"revenue_nusd\":{\"hash\":36893488147419103228,\"lease\":"
            "50000000,\"power\":3,\"always_hash\":1,\"always_lease\":2}";
        static const char unknown[] =
            "\"hashrate_hs\":7,\"tokens_per_s\":null,\"switches\":0,\"switch_ms_p50\":null,"
            "\"switch_ms_p99\":null,\"revenue_nusd\":{\"hash\":36893488147419103228,\"lease\":"
            "50000000,\"power\":3,\"always_hash\":1,\"always_lease\":2}";
        assert_string_equal(text, fresh ? unknown : measured);
        free(text);
    }
}

static void test_metrics(void **state) {
    (void)state;
    struct sl_broker_core core = {0};
    int status = 0;
    char *text = sl_http_view_text(&core, now, SL_HTTP_VIEW_METRICS, "", &status);
    static const char *const lines[] = {"\nsluice_devices{mode=\"infer\"} 5\n",
                                        "\nsluice_shares_total{outcome=\"accepted\"} 6\n",
                                        "\nsluice_switch_seconds{quantile=\"0.5\"} 0.001500\n",
                                        "\nsluice_feed_age_seconds{feed=\"hp\\\"x\"} 1.234\n",
                                        "\nsluice_energy_kwh_total{mode=\"hash\"} 1.00\n",
                                        "\nsluice_power_cap_watts 1500.500\n",
                                        "\nsluice_carbon_grams_total 0.80\n",
                                        "\nsluice_revenue_usd_total{mode=\"lease\"} 0.05\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (!strstr(text, lines[i])) {
            fail_msg("%s is not in\n%s", lines[i], text);
        }
    }
    free(text);
    core.fresh = true;
    text = sl_http_view_text(&core, now, SL_HTTP_VIEW_METRICS, "", &status);
    assert_null(strstr(text, "sluice_switch_seconds{"));
    assert_null(strstr(text, "sluice_feed_age_seconds{"));
    assert_non_null(strstr(text, "sluice_feed_stale{feed=\"hp\\\"x\"} 1\n"));
    free(text);
}

static void check_page(const char *arg, size_t count, const char *next) {
    json_t *root = view(false, SL_HTTP_VIEW_DEVICES, arg);
    json_t *power = view(false, SL_HTTP_VIEW_POWER, arg);
    assert_int_equal(json_array_size(json_object_get(root, "devices")), count);
    assert_int_equal((int)json_number_value(json_object_get(root, "total")), 2);
    if (next) {
        assert_string_equal(json_string_value(json_object_get(root, "next")), next);
    } else {
        assert_true(json_is_null(json_object_get(root, "next")));
    }
    assert_true(json_object_get(power, "next") != NULL);
    json_decref(root);
    json_decref(power);
}

static void test_devices_come_in_pages(void **state) {
    (void)state;
    check_page("", 2, NULL);
    check_page("1 \n", 1, "n1/pocl:0");
    check_page("2 \n", 2, NULL);
    check_page("5 n1/pocl:0\n", 1, NULL);
    check_page("5 n1/pocl:1\n", 0, NULL);
    check_page("5 \nn1", 1, NULL);
    check_page("5 n1/pocl:0\nn1", 0, NULL);
    check_page("5 \nnobody", 0, NULL);
    struct sl_broker_core core = {0};
    int status = SL_OK;
    char *text = sl_http_view_text(&core, now, SL_HTTP_VIEW_DEVICES, "5 gone\n", &status);
    assert_int_equal(status, -SL_NOTFOUND);
    assert_non_null(strstr(text, "gone"));
    free(text);
    text = sl_http_view_text(&core, now, SL_HTTP_VIEW_DEVICE, "n1/pocl:1", &status);
    assert_int_equal(status, SL_OK);
    free(text);
    text = sl_http_view_text(&core, now, SL_HTTP_VIEW_DEVICE, "n1", &status);
    assert_int_equal(status, -SL_NOTFOUND);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_devices_come_in_pages),
        cmocka_unit_test(test_every_view_is_json),
        cmocka_unit_test(test_unknown_is_null),
        cmocka_unit_test(test_power),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_a_faulty_device_is_listed),
        cmocka_unit_test(test_stress),
        cmocka_unit_test(test_stress_of_all),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_a_device_that_is_not_there),
        cmocka_unit_test(test_a_tenant_sees_its_own_batches),
        cmocka_unit_test(test_prices_and_votes),
        cmocka_unit_test(test_models_are_named_once),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
