/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/feeds/unit.h"

static void figures_get_into_their_roles_unit(void **state) {
    (void)state;
    static const struct {
        const char *unit;
        enum sl_feed_role role;
        const char *figure;
        const char *currency;
        int64_t nano;
        const char *name;
    } cases[] = {
        {"usd_per_ph_day", SL_FEED_HASHPRICE, "50", "USD", INT64_C(50000000000), "usd_per_ph_day"},
        {"usd_per_th_day", SL_FEED_HASHPRICE, "0.05", "USD", INT64_C(50000000000),
         "usd_per_ph_day"},
        {"btc_per_eh_day", SL_FEED_HASHPRICE, "0.6", "BTC", 600000, "btc_per_ph_day"},
        {"btc_per_gh_day", SL_FEED_HASHPRICE, "4e-10", "BTC", 400000, "btc_per_ph_day"},
        {"eur_per_mh_day", SL_FEED_HASHPRICE, "0.0000000001", "EUR", 100000000, "eur_per_ph_day"},
        {"sat_per_th_day", SL_FEED_HASHPRICE, "410", "BTC", 4100000, "btc_per_ph_day"},
        {"usd_per_kwh", SL_FEED_POWER, "-0.03", "USD", -30000000, "usd_per_kwh"},
        {"usd_per_mwh", SL_FEED_POWER, "30", "USD", 30000000, "usd_per_kwh"},
        {"pence_per_kwh", SL_FEED_POWER, "15.2", "GBP", 152000000, "gbp_per_kwh"},
        {"eur_cent_per_kwh", SL_FEED_POWER, "31.5", "EUR", 315000000, "eur_per_kwh"},
        {"usd_per_gpu_hour", SL_FEED_LEASE_REF, "1.8", "USD", 1800000000, "usd_per_gpu_hour"},
        {"usd_per_btc", SL_FEED_CURRENCY, "97000", "BTC", INT64_C(97000000000000), "usd_per_btc"},
        {"usd_cent_per_eur", SL_FEED_CURRENCY, "108", "EUR", 1080000000, "usd_per_eur"},
        {"g_per_kwh", SL_FEED_CARBON, "412", "", INT64_C(412000000000), "g_per_kwh"},
        {"kg_per_mwh", SL_FEED_CARBON, "412", "", INT64_C(412000000000), "g_per_kwh"},
        {"t_per_mwh", SL_FEED_CARBON, "0.412", "", INT64_C(412000000000), "g_per_kwh"},
        {"lb_per_mwh", SL_FEED_CARBON, "1000", "", INT64_C(453592370000), "g_per_kwh"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_feed_unit unit;
        struct sl_feed_number figure;
        struct sl_error err;
        char name[SL_FEED_UNIT_MAX];
        int64_t nano = 0;
        if (sl_feed_unit_parse(cases[i].unit, cases[i].role, &unit, &err)) {
            fail_msg("%s", err.text);
        }
        assert_int_equal(sl_feed_number_parse(cases[i].figure, &figure, NULL), 0);
        assert_int_equal(sl_feed_number_nano(sl_feed_number_mul(figure, unit.scale), &nano, NULL),
                         0);
        assert_string_equal(unit.currency, cases[i].currency);
        assert_int_equal(nano, cases[i].nano);
        assert_string_equal(sl_feed_unit_name(&unit, name), cases[i].name);
    }
}

static void a_wrong_unit_is_told_what_would_fit(void **state) {
    (void)state;
    static const struct {
        const char *unit;
        enum sl_feed_role role;
        const char *says;
    } cases[] = {
        {"usd_per_kwh", SL_FEED_HASHPRICE, "does not fit its role; for this role: usd_per_ph_day"},
        {"usd_per_parsec", SL_FEED_POWER, "not known; for this role: usd_per_kwh"},
        {"usd", SL_FEED_POWER, "not known"},
        {"", SL_FEED_POWER, "not known"},
        {"_per_kwh", SL_FEED_POWER, "not known"},
        {"dollars_per_kwh", SL_FEED_POWER, "not known"},
        {"USD_per_kwh", SL_FEED_POWER, "not known"},
        {"sat_cent_per_kwh", SL_FEED_POWER, "not known"},
        {"pence_cent_per_kwh", SL_FEED_POWER, "not known"},
        {"usd_per_sat", SL_FEED_CURRENCY, "not known"},
        {"eur_per_usd", SL_FEED_CURRENCY, "not known; for this role: usd_per_btc"},
        {"usd_per_usd", SL_FEED_CURRENCY, "not known"},
        {"usd_per_mwh", SL_FEED_CURRENCY, "does not fit"},
        {"usd_per_g", SL_FEED_CARBON, "not known; for this role: g_per_kwh"},
        {"usd_per_ph_day_and_a_lot_more_than_anybody_needs", SL_FEED_HASHPRICE, "not known"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_feed_unit unit = {.role = SL_FEED_INVALID};
        struct sl_error err;
        assert_int_equal(sl_feed_unit_parse(cases[i].unit, cases[i].role, &unit, &err),
                         -SL_INVALID);
        if (!strstr(err.text, cases[i].says) || unit.role != SL_FEED_INVALID) {
            fail_msg("'%s' lacks '%s'", err.text, cases[i].says);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_get_into_their_roles_unit),
        cmocka_unit_test(a_wrong_unit_is_told_what_would_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
