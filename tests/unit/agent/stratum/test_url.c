/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/stratum/url.h"

static void addresses_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int rc;
        const char *host;
        uint16_t port;
    } cases[] = {
        {"stratum+tcp://pool.example:3333", SL_OK, "pool.example", 3333},
        {"Stratum+TCP://Pool.Example:3333/", SL_OK, "pool.example", 3333},
        {"stratum+tcp://127.0.0.1:1", SL_OK, "127.0.0.1", 1},
        {"stratum+tcp://[::1]:65535", SL_OK, "::1", 65535},
        {"stratum+tcp://h_1-x:80", SL_OK, "h_1-x", 80},
        {"stratum+ssl://pool.example:443", SL_OK, "pool.example", 443},
        {"Stratum+TLS://pool.example:443/", SL_OK, "pool.example", 443},
        {"stratums://[::1]:443", SL_OK, "::1", 443},
        {"ssl://pool.example:443", SL_OK, "pool.example", 443},
        {"stratum+ssl://pool.example", -SL_INVALID, NULL, 0},
        {"stratum+tsl://pool.example:443", -SL_INVALID, NULL, 0},
        {"stratum2+tcp://pool.example:443/key", -SL_UNSUPPORTED, NULL, 0},
        {"http://pool.example:80", -SL_INVALID, NULL, 0},
        {"pool.example:3333", -SL_INVALID, NULL, 0},
        {"", -SL_INVALID, NULL, 0},
        {"stratum+tcp://", -SL_INVALID, NULL, 0},
        {"stratum+tcp://pool.example", -SL_INVALID, NULL, 0},
        {"stratum+tcp://pool.example:", -SL_INVALID, NULL, 0},
        {"stratum+tcp://pool.example:0", -SL_INVALID, NULL, 0},
        {"stratum+tcp://pool.example:65536", -SL_INVALID, NULL, 0},
        {"stratum+tcp://pool.example:99999999999999999999", -SL_INVALID, NULL, 0},
        {"stratum+tcp://pool.example:33x", -SL_INVALID, NULL, 0},
        {"stratum+tcp://pool.example:-1", -SL_INVALID, NULL, 0},
        {"stratum+tcp://pool.example:80/path", -SL_INVALID, NULL, 0},
        {"stratum+tcp://:3333", -SL_INVALID, NULL, 0},
        {"stratum+tcp://a..b:3333", -SL_INVALID, NULL, 0},
        {"stratum+tcp://a.:3333", -SL_INVALID, NULL, 0},
        {"stratum+tcp://user@host:3333", -SL_INVALID, NULL, 0},
        {"stratum+tcp://ho st:3333", -SL_INVALID, NULL, 0},
        {"stratum+tcp://[::1:3333", -SL_INVALID, NULL, 0},
        {"stratum+tcp://[::1]3333", -SL_INVALID, NULL, 0},
        {"stratum+tcp://[pool]:3333", -SL_INVALID, NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_pool_url url = {"untouched", 9, false};
        struct sl_error err = {0};
        assert_int_equal(sl_pool_url_parse(cases[i].text, &url, &err), cases[i].rc);
        assert_string_equal(url.host, cases[i].host ? cases[i].host : "untouched");
        assert_int_equal(url.port, cases[i].host ? cases[i].port : 9);
        assert_int_equal(url.tls, strcasestr(cases[i].text, "tcp") == NULL && cases[i].host);
        assert_true(cases[i].rc == SL_OK || strstr(err.text, "pool address"));
    }
    char text[400] = "stratum+tcp://";
    struct sl_pool_url url;
    memset(text + 14, 'a', 300);
    strcpy(text + 314, ":80");
    assert_int_equal(sl_pool_url_parse(text, &url, NULL), -SL_INVALID);
}

/* Mistakes that people make: told what is wrong, not only that the port is none. */
static void usual_mistakes_are_named(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"stratum+tcp://user@host:3333", "options of their own"},
        {"stratum+tcp://user:secret@host:3333", "options of their own"},
        {"stratum+tcp://2001:db8::1:3333", "needs [ ]"},
        {"stratum+tcp://::1", "needs [ ]"},
        {"stratum+tcp://pool.example:80/path", "behind the port"},
        {"stratum+tcp://pool.example:80 ", "behind the port"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_pool_url url;
        struct sl_error err = {0};
        assert_int_equal(sl_pool_url_parse(cases[i][0], &url, &err), -SL_INVALID);
        if (!strstr(err.text, cases[i][1]) || strstr(err.text, "secret")) {
            fail_msg("%s: %s", cases[i][0], err.text);
        }
    }
}

static void a_pool_may_only_move_its_miners_within_its_domain(void **state) {
    (void)state;
    static const struct {
        const char *home, *host;
        bool may;
        const char *why;
    } cases[] = {
        {"eu.pool.example", "eu.pool.example", true, "the same host, another port"},
        {"eu.pool.example", "EU.Pool.Example", true, "case does not matter"},
        {"eu.miners.example", "us.miners.example", true, "a sibling"},
        {"eu.miners.example", "miners.example", true, "the domain itself"},
        {"miners.example", "eu.miners.example", true, "a name below"},
        {"eu.miners.example", "evil.example", false, "foreign"},
        {"eu.miners.example", "evilminers.example", false, "only looks like it"},
        {"eu.miners.example", "miners.example.evil.example", false, "its name in front"},
        {"miners.example", "evil.example", false, "two labels: the rest is a registry"},
        {"miners.co.uk", "evil.co.uk", false, "co.uk is a registry"},
        {"a.miners.co.uk", "b.miners.co.uk", true, "below a registry's second level"},
        {"127.0.0.1", "127.0.0.1", true, "the same address"},
        {"127.0.0.1", "1.0.0.1", false, "addresses have no domain"},
        {"127.0.0.1", "x.0.0.1", false, "a name that looks like one"},
        {"localhost", "evil.localhost", false, "a bare name has no domain"},
        {"eu.miners.example", "", false, "nothing"},
        {"eu.miners.example", "x y.miners.example", false, "not a name"},
        {"eu.miners.example", "10.0.0.1", false, "an address"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (sl_pool_url_may_move(cases[i].home, cases[i].host) != cases[i].may) {
            fail_msg("%s -> %s: %s", cases[i].home, cases[i].host, cases[i].why);
        }
    }
}

static void what_is_read_can_be_written(void **state) {
    (void)state;
    static const char *const texts[] = {"stratum+tcp://pool.example:3333",
                                        "stratum+ssl://[2001:db8::1]:443"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sl_pool_url url, again;
        char text[SL_POOL_URL_TEXT_MAX];
        assert_int_equal(sl_pool_url_parse(texts[i], &url, NULL), SL_OK);
        sl_pool_url_write(&url, text);
        assert_string_equal(text, texts[i]);
        assert_int_equal(sl_pool_url_parse(text, &again, NULL), SL_OK);
        assert_true(sl_pool_url_same(&url, &again));
        again.tls = !again.tls; /* plain and TLS are two addresses */
        assert_false(sl_pool_url_same(&url, &again));
    }
}

static void a_proxy_has_a_name_and_a_port(void **state) {
    (void)state;
    struct sl_pool_url url;
    struct sl_error err = {0};
    assert_int_equal(sl_pool_proxy_parse("socks5://127.0.0.1:1080", &url, &err), SL_OK);
    assert_string_equal(url.host, "127.0.0.1");
    assert_int_equal(url.port, 1080);
    assert_int_equal(sl_pool_proxy_parse("SOCKS5H://p.test:9/", &url, &err), SL_OK);
    static const char *const bad[] = {"",
                                      "p.test:1080",
                                      "http://p.test:8080",
                                      "socks4://p.test:1",
                                      "socks5://p.test",
                                      "socks5://u:p@p.test:1080"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sl_pool_proxy_parse(bad[i], &url, &err), -SL_INVALID);
        assert_non_null(strstr(err.text, "socks5://HOST:PORT"));
    }
}

static void a_pool_sends_to_ports_of_pools(void **state) {
    (void)state;
    assert_true(sl_pool_port_may_move(3333, 3334));
    assert_true(sl_pool_port_may_move(3333, 443));
    assert_true(sl_pool_port_may_move(3333, 80));
    assert_true(sl_pool_port_may_move(25, 25));
    assert_false(sl_pool_port_may_move(3333, 25));
    assert_false(sl_pool_port_may_move(3333, 22));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_strictly),
        cmocka_unit_test(usual_mistakes_are_named),
        cmocka_unit_test(a_pool_may_only_move_its_miners_within_its_domain),
        cmocka_unit_test(what_is_read_can_be_written),
        cmocka_unit_test(a_proxy_has_a_name_and_a_port),
        cmocka_unit_test(a_pool_sends_to_ports_of_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
