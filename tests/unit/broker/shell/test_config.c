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

#include "broker/shell/config.h"

static const char good[] = "data_dir: /tmp/x\n"
                           "agents:\n"
                           "  key_file: k\n"
                           "  allowed_file: a\n"
                           "policy:\n"
                           "  unit_lines: 25\n"
                           "hash_factor: 10000000\n"
                           "power:\n"
                           "  tariff: fixed\n"
                           "  price: 0.07\n"
                           "feeds:\n"
                           "  - id: h\n"
                           "    role: hashprice\n"
                           "    unit: usd_per_ph_day\n"
                           "    path: h.csv\n"
                           "    column: usd\n"
                           "    speed: 864000\n"
                           "tenants:\n"
                           "  - id: demo\n"
                           "    default_bid: 0.05\n";

/* Writes the text with `from` replaced by `to` and reads it as a configuration. */
static int read_changed(const char *from, const char *to, struct sl_broker_config *config,
                        struct sl_error *err) {
    char path[] = "/tmp/sluice-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    const char *at = from ? strstr(good, from) : NULL;
    assert_true(!from || at);
    if (at) {
        fprintf(file, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
    } else {
        fputs(good, file);
    }
    fclose(file);
    int rc = sl_broker_config_read(path, config, err);
    unlink(path);
    return rc;
}

static void the_policy_document_is_read_beside_the_configuration(void **state) {
    (void)state;
    struct sl_broker_config *config = calloc(1, sizeof *config);
    struct sl_error err;
    char path[] = "/tmp/sluice-document-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && dprintf(fd, "step: 7m\n") > 0);
    close(fd);
    char named[128];
    snprintf(named, sizeof named, "policy:\n  file: %s\n", path + strlen("/tmp/"));
    assert_int_equal(read_changed("policy:\n", named, config, &err), 0);
    assert_int_equal(config->document.step_ms, 7 * 60000);
    /* Without one: as shipped. A bad one is refused by its name. */
    assert_int_equal(read_changed(NULL, NULL, config, &err), 0);
    assert_int_equal(config->document.step_ms, 5 * 60000);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("stepp: 7m\n", file);
    fclose(file);
    assert_int_equal(read_changed("policy:\n", named, config, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "did you mean step?"));
    unlink(path);
    assert_int_equal(read_changed("policy:\n", named, config, &err), -SL_NOTFOUND);
    free(config);
}

static void values_arrive_in_the_cores_units(void **state) {
    (void)state;
    struct sl_broker_config *config = calloc(1, sizeof *config);
    struct sl_core_config *core = calloc(1, sizeof *core);
    struct sl_error err;
    if (read_changed(NULL, NULL, config, &err)) {
        fail_msg("%s", err.text);
    }
    sl_broker_config_core(config, core);
    assert_int_equal(core->unit_lines, 25);
    assert_int_equal(core->hash_factor_milli, INT64_C(10000000000));
    assert_int_equal(core->power_nusd_per_kwh, 70000000);
    assert_int_equal(core->feeds[0].role, SL_FEED_HASHPRICE);
    assert_int_equal(config->feeds[0].speed_milli, 864000000);
    assert_int_equal(core->tenants[0].default_bid_nusd_per_mtok, 50000000);
    assert_int_equal(core->tenants[0].budget_nusd, -SL_NUSD_PER_USD);
    assert_int_equal(core->safe_mode, SL_MODE_HASH);
    assert_int_equal(core->lease_ttl_ms, 5000);
    free(config);
    free(core);
}

static void a_tariff_by_time_of_day(void **state) {
    (void)state;
    struct sl_broker_config *config = calloc(1, sizeof *config);
    struct sl_core_config *core = calloc(1, sizeof *core);
    struct sl_error err;
    static const char windows[] =
        "  tariff: time_of_day\n  utc_offset: 60\n  windows:\n"
        "    - {days: mon-fri, from: \"17:00\", to: \"00:00\", price: 0.2}\n";
    if (read_changed("  tariff: fixed\n", windows, config, &err)) {
        fail_msg("%s", err.text);
    }
    sl_broker_config_core(config, core);
    assert_int_equal(core->power_nusd_per_kwh, -1);
    assert_int_equal(core->tariff.count, 1);
    assert_int_equal(core->tariff.price, 70000000);
    assert_int_equal(core->tariff.utc_offset_min, 60);
    assert_int_equal(core->tariff.windows[0].days, 0x1f);
    assert_int_equal(core->tariff.windows[0].to_min, 1440);
    assert_int_equal(core->tariff.windows[0].price, 200000000);
    free(config);
    free(core);
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *said;
    } cases[] = {
        {"unit_lines: 25", "unit_lines: 80x", ":6: "},
        {"unit_lines: 25", "threshold: 2", "policy.threshold"},
        {"price: 0.07", "price: 0.07 USD", ":10: "},
        {"unit: usd_per_ph_day", "unit: usd_per_kwh", "does not fit its role"},
        {"unit: usd_per_ph_day", "unit: usd_per_parsec", "for this role: usd_per_ph_day"},
        {"unit: usd_per_ph_day", "unit: btc_per_ph_day", "role currency and unit usd_per_btc"},
        {"    unit: usd_per_ph_day\n", "", ":12: feeds[0].unit is missing"},
        {"    role:", "    description: no/such/file.yaml\n    role:", "no/such/file.yaml"},
        {"    role:", "    description: \"\"\n    role:", ":13: feeds[0].description"},
        {"    path: h.csv\n", "", "needs path"},
        {"tariff: fixed", "tariff: feed", "no feed has the role power"},
        {"tariff: fixed", "tariff: time_of_day", "power.windows has no window"},
        {"  tariff: fixed\n",
         "  tariff: fixed\n  windows:\n    - {from: \"22:00\", to: \"06:00\", price: 0.1}\n",
         "power.tariff is not time_of_day"},
        {"  tariff: fixed\n",
         "  tariff: time_of_day\n  windows:\n    - {days: mo-fr, from: \"22:00\", to: \"06:00\", "
         "price: 0.1}\n",
         "power.windows[0].days: 'mo-fr'"},
        {"  tariff: fixed\n",
         "  tariff: time_of_day\n  windows:\n    - {from: \"24:00\", to: \"06:00\", price: 0.1}\n",
         "power.windows[0]: from '24:00'"},
        {"  - id: demo\n    default_bid: 0.05\n",
         "  - id: demo\n    default_bid: 1\n  - id: demo\n    default_bid: 2\n", "two tenants"},
        {"tenants:\n", "models:\n  - id: m\n  - id: m\n    input_prefix: \"query: \"\ntenants:\n",
         "two models are called 'm'"},
        {"default_bid: 0.05", "default_bid: 0", ":20: "},
        {"  key_file: k\n", "", "key_file"},
    };
    struct sl_broker_config *config = calloc(1, sizeof *config);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_error err;
        err.text[0] = '\0';
        if (read_changed(cases[i].from, cases[i].to, config, &err) == 0) {
            fail_msg("case %zu was accepted", i);
        }
        if (!strstr(err.text, cases[i].said)) {
            fail_msg("case %zu: '%s' lacks '%s'", i, err.text, cases[i].said);
        }
    }
    free(config);
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const char described[] = "role: hashprice\n"
                                "kind: http\n"
                                "unit: btc_per_ph_day\n"
                                "algorithm: sha256d\n"
                                "url: https://example.org\n"
                                "derive: bitcoin_hashprice\n"
                                "interval: 10m\n"
                                "inputs:\n"
                                "  - {name: difficulty, resource: /a, value_path: d}\n"
                                "  - {name: reward, resource: /b, value_path: r}\n"
                                "  - {name: first_block, resource: /b, value_path: f}\n"
                                "  - {name: last_block, resource: /b, value_path: l}\n";
static const char site[] = "data_dir: /tmp/x\n"
                           "agents: {key_file: k, allowed_file: a}\n"
                           "feeds:\n"
                           "  - id: h\n"
                           "    description: ready.yaml\n"
                           "    url: http://127.0.0.1:1\n"
                           "  - id: btc\n"
                           "    description: ready.yaml\n"
                           "    role: currency\n"
                           "    unit: usd_per_btc\n"
                           "    algorithm: \"\"\n"
                           "    derive: none\n"
                           "    value_path: USD\n"
                           "    inputs: []\n";

/* What a description says counts where the item says nothing; a list replaces a list. */
static void a_description_gives_defaults(void **state) {
    (void)state;
    struct sl_broker_config *config = calloc(1, sizeof *config);
    struct sl_core_config *core = calloc(1, sizeof *core);
    struct sl_error err;
    char dir[] = "/tmp/sluice-config-XXXXXX";
    char path[64];
    char base[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/broker.yaml", dir);
    snprintf(base, sizeof base, "%s/ready.yaml", dir);
    write_text(path, site);
    write_text(base, described);
    if (sl_broker_config_read(path, config, &err)) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(config->feeds[0].url, "http://127.0.0.1:1");
    assert_int_equal(config->feeds[0].interval_ms, 600000);
    assert_int_equal(config->feeds[0].input_count, 4);
    assert_string_equal(config->feeds[0].inputs[3].value_path, "l");
    assert_string_equal(config->feeds[1].url, "https://example.org");
    assert_int_equal(config->feeds[1].input_count, 0);
    assert_string_equal(config->feeds[1].inputs[0].value_path, "");
    sl_broker_config_core(config, core);
    assert_string_equal(core->feeds[0].currency, "BTC");
    assert_string_equal(core->feeds[0].algorithm, "sha256d");
    assert_int_equal(core->feeds[1].role, SL_FEED_CURRENCY);
    assert_string_equal(core->feeds[1].currency, "BTC");
    /* What is wrong in it is named with its own line. */
    write_text(base, "role: hashprice\nunti: usd_per_ph_day\n");
    assert_int_equal(sl_broker_config_read(path, config, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "ready.yaml:2: unknown key unti"));
    write_text(base, "role: hashprice\ndescription: ready.yaml\n");
    assert_int_equal(sl_broker_config_read(path, config, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "ready.yaml:2: description cannot stand"));
    write_text(base, "- a\n");
    assert_int_equal(sl_broker_config_read(path, config, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "ready.yaml:1: "));
    assert_int_equal(unlink(base), 0);
    assert_int_equal(sl_broker_config_read(path, config, &err), -SL_NOTFOUND);
    assert_non_null(strstr(err.text, "broker.yaml:5: feeds[0].description: there is no"));
    unlink(path);
    rmdir(dir);
    free(config);
    free(core);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_document_is_read_beside_the_configuration),
        cmocka_unit_test(values_arrive_in_the_cores_units),
        cmocka_unit_test(a_tariff_by_time_of_day),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_description_gives_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
