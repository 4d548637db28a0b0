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

static struct sl_feed_config http_feed(void) {
    return (struct sl_feed_config){.id = "x",
                                   .role = SL_FEED_HASHPRICE - 1,
                                   .kind = SL_FEED_HTTP,
                                   .unit = "usd_per_ph_day",
                                   .url = "https://example.org",
                                   .value_path = "p"};
}

static void check_refused(const struct sl_feed_config *config, const char *says) {
    struct sl_error err = {0};
    if (sl_feed_check(config, &err) != -SL_INVALID || !strstr(err.text, says)) {
        fail_msg("'%s' lacks '%s'", err.text, says);
    }
}

#define REFUSED(change, says)                                                                      \
    do {                                                                                           \
        struct sl_feed_config c = http_feed();                                                     \
        change;                                                                                    \
        check_refused(&c, says);                                                                   \
    } while (0)

static void what_does_not_fit_together_is_refused(void **state) {
    (void)state;
    struct sl_feed_config good = http_feed();
    assert_int_equal(sl_feed_check(&good, NULL), 0);
    REFUSED(strcpy(c.unit, "usd_per_kwh"), "does not fit its role");
    REFUSED(c.url[0] = '\0', "needs url");
    REFUSED(strcpy(c.url, "file:///etc/passwd"), "must begin with https://");
    REFUSED(c.value_path[0] = '\0', "value_path");
    REFUSED(strcpy(c.value_path, "a[b"), "is no path");
    REFUSED(strcpy(c.body, "{}"), "method: post");
    REFUSED(strcpy(c.key_file, "/k"), "belong together");
    REFUSED(strcpy(c.key_header, "X-Key"), "belong together");
    REFUSED(c.pick = SL_FEED_PICK_NEWEST, "needs time_path");
    REFUSED(c.format = SL_FEED_FORMAT_CSV, "needs column");
    REFUSED(strcpy(c.filter_column, "a"), "belong together");
    REFUSED(strcpy(c.model, "RTX 4090"), "lease_ref");
    REFUSED(c.role = SL_FEED_POWER - 1; strcpy(c.unit, "usd_per_kwh");
            strcpy(c.algorithm, "kawpow"), "hashprice");
    REFUSED(c.kind = SL_FEED_CSV, "needs path and column");
    REFUSED(strcpy(c.key_file, "/k"); strcpy(c.key_header, "X: y"), "header's name");
}

/* In clear only to this machine itself. */
static void a_key_is_not_sent_in_clear(void **state) {
    (void)state;
    static const struct {
        const char *url;
        bool good;
    } cases[] = {{"https://example.org", true},
                 {"http://example.org", false},
                 {"http://127.0.0.1:80/x", true},
                 {"http://localhost", true},
                 {"http://localhost.example.org", false},
                 {"http://127.0.0.1@example.org", false},
                 {"http://[::1]:1/", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_feed_config c = http_feed();
        strcpy(c.key_file, "/k");
        strcpy(c.key_header, "X-Key");
        strcpy(c.url, cases[i].url);
        assert_int_equal(sl_feed_check(&c, NULL), cases[i].good ? 0 : -SL_INVALID);
    }
}

static struct sl_feed_config derived(const char *unit, uint32_t inputs) {
    struct sl_feed_config c = http_feed();
    strcpy(c.unit, unit);
    c.derive = SL_FEED_DERIVE_BITCOIN;
    c.input_count = inputs;
    for (uint32_t i = 0; i < inputs; i++) {
        c.inputs[i].name = i;
        strcpy(c.inputs[i].value_path, "a");
    }
    return c;
}

static void a_derived_feed_names_all_it_needs(void **state) {
    (void)state;
    struct sl_feed_config c = derived("btc_per_ph_day", 4);
    assert_int_equal(sl_feed_check(&c, NULL), 0);
    c = derived("usd_per_ph_day", 5);
    assert_int_equal(sl_feed_check(&c, NULL), 0);
    c = derived("btc_per_ph_day", 3);
    check_refused(&c, "inputs must be");
    c = derived("btc_per_ph_day", 5);
    check_refused(&c, "unit must be usd_per_ph_day");
    c = derived("usd_per_ph_day", 4);
    check_refused(&c, "unit must be btc_per_ph_day");
    c = derived("btc_per_th_day", 4);
    check_refused(&c, "unit must be");
    c = derived("btc_per_ph_day", 4);
    c.inputs[3].name = SL_FEED_IN_DIFFICULTY;
    check_refused(&c, "stands twice");
}

static void the_factor_is_in_the_scale(void **state) {
    (void)state;
    struct sl_feed_config c = http_feed();
    struct sl_feed_unit unit;
    int64_t nano = 0;
    strcpy(c.unit, "btc_per_gh_day");
    c.factor_e12 = 1000; /* 1e-9 */
    assert_int_equal(sl_feed_config_unit(&c, &unit, NULL), 0);
    assert_int_equal(sl_feed_number_nano(unit.scale, &nano, NULL), 0);
    assert_int_equal(nano, 1000000); /* 1e-9 x 1e6 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_together_is_refused),
        cmocka_unit_test(a_key_is_not_sent_in_clear),
        cmocka_unit_test(a_derived_feed_names_all_it_needs),
        cmocka_unit_test(the_factor_is_in_the_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
