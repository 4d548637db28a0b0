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

#include "broker/feeds/source.h"

#define NOW INT64_C(1764330000000) /* 2025-11-28T11:40:00Z */

static int read_it(const struct sl_feed_config *config, const char *text,
                   struct sl_feed_value *ret_value, struct sl_error *err) {
    return sl_feed_source_read(config, text, strlen(text), (struct sl_wall){NOW}, ret_value, err);
}

static void check_refused(const struct sl_feed_config *config, const char *text, const char *says) {
    struct sl_feed_value value = {.nano = 77};
    struct sl_error err = {0};
    if (read_it(config, text, &value, &err) == 0 || !strstr(err.text, says) || value.nano != 77) {
        fail_msg("'%s' lacks '%s'", err.text, says);
    }
}

static void a_json_answer_becomes_a_value_of_its_role(void **state) {
    (void)state;
    struct sl_feed_config config = {.id = "x",
                                    .role = SL_FEED_HASHPRICE - 1,
                                    .unit = "btc_per_mh_day",
                                    .value_path = "v",
                                    .time_path = "t"};
    struct sl_feed_value value = {0};
    assert_int_equal(read_it(&config, "{\"v\":\"0.0000000012345\",\"t\":1764330000}", &value, NULL),
                     0);
    assert_int_equal(value.nano, 1234500000); /* 1.2345 BTC per PH/s: all its digits */
    assert_true(value.has_time && value.as_of.ms == NOW);
    check_refused(&config, "{\"v\":-1,\"t\":1764330000}", "negative");
    check_refused(&config, "{\"v\":-1e-30,\"t\":1764330000}", "negative");
    check_refused(&config, "{\"v\":1e-30,\"t\":1764330000}", "below 1e-9");
    check_refused(&config, "{\"v\":1e12,\"t\":1764330000}", "too large");
    check_refused(&config, "{\"v\":1}", "'t' holds no time");
    config.role = SL_FEED_POWER - 1;
    strcpy(config.unit, "pence_per_kwh");
    config.time_path[0] = '\0';
    assert_int_equal(read_it(&config, "{\"v\":-2.5}", &value, NULL), 0);
    assert_true(value.nano == -25000000 && !value.has_time); /* power may be given away */
    assert_int_equal(read_it(&config, "{\"v\":0}", &value, NULL), 0);
    assert_int_equal(value.nano, 0);
}

static void the_row_in_force_of_a_csv_answer_counts(void **state) {
    (void)state;
    struct sl_feed_config config = {.id = "x",
                                    .role = SL_FEED_POWER - 1,
                                    .unit = "eur_per_mwh",
                                    .format = SL_FEED_FORMAT_CSV,
                                    .time_column = "at",
                                    .value_column = "price"};
    struct sl_feed_value value = {0};
    assert_int_equal(read_it(&config,
                             "at,price\n2025-11-28 05:00:00-06:00,10\n"
                             "2025-11-28 05:30:00-06:00,-20\n2025-11-28 06:00:00-06:00,30\n",
                             &value, NULL),
                     0);
    assert_true(value.nano == -20000000 && value.as_of.ms == NOW - 600000);
    check_refused(&config, "at,price\n2025-11-28T11:50:00Z,1\n", "dated in the future");
    check_refused(&config, "<!doctype html>", "a web page, not CSV");
    check_refused(&config, "", "empty");
    check_refused(&config, "{\"at\":1}", "no column 'at'");
    check_refused(&config, "at,price\n2025-11-28 05:30:00,1\n", "needs its offset");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_json_answer_becomes_a_value_of_its_role),
        cmocka_unit_test(the_row_in_force_of_a_csv_answer_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
