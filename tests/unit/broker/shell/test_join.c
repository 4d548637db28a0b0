/* SPDX-License-Identifier: Apache-2.0
 * The addresses that tokens name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/shell/join.h"

static void the_address_is_one_that_others_can_use(void **state) {
    (void)state;
    static const struct {
        const char *said, *advertise, *want;
    } rows[] = {
        {"tcp://127.0.0.1:7600", "", "tcp://127.0.0.1:7600"},
        {"tcp://[::ffff:127.0.0.1]:7600", "", "tcp://127.0.0.1:7600"},
        {"tcp://[::1]:7600", "", "tcp://[::1]:7600"},
        {"tcp://[2001:db8::5]:7600", "", "tcp://[2001:db8::5]:7600"},
        /* Every address leads nowhere from another machine. */
        {"tcp://0.0.0.0:7600", "", ""},
        {"tcp://[::ffff:0.0.0.0]:7600", "", ""},
        {"tcp://[::]:7600", "", ""},
        {"nonsense", "", ""},
        /* The name that the administrator gives stands for it, with the port that is bound. */
        {"tcp://[::ffff:0.0.0.0]:7601", "broker.example.org", "tcp://broker.example.org:7601"},
        {"tcp://[::]:7601", "2001:db8::5", "tcp://[2001:db8::5]:7601"},
        {"tcp://[::]:7601", "[2001:db8::5]", "tcp://[2001:db8::5]:7601"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[128];
        sl_broker_advertised(rows[i].said, rows[i].advertise, out, sizeof out);
        assert_string_equal(out, rows[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_address_is_one_that_others_can_use)};
    return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
