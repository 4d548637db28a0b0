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
                           "  threshold: 2.5\n"
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
    assert_int_equal(core->threshold_ppm, 25000);
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

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *said;
    } cases[] = {
        {"threshold: 2.5", "threshold: 80x", ":6: "},
        {"threshold: 2.5", "threshold: 2.5 %", ":6: "},
        {"price: 0.07", "price: 0.07 USD", ":10: "},
        {"unit: usd_per_ph_day", "unit: usd_per_kwh", "does not fit its role"},
        {"    path: h.csv\n", "", "needs path"},
        {"tariff: fixed", "tariff: feed", "no feed has the role power"},
        {"  - id: demo\n    default_bid: 0.05\n",
         "  - id: demo\n    default_bid: 1\n  - id: demo\n    default_bid: 2\n", "two tenants"},
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_document_is_read_beside_the_configuration),
        cmocka_unit_test(values_arrive_in_the_cores_units),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
