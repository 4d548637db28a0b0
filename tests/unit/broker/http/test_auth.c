/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "broker/http/auth.h"
#include "broker/http/internal.h"

static void test_hosts(void **state) {
    (void)state;
    static const struct {
        const char *host;
        bool allowed;
    } cases[] = {
        {NULL, false},
        {"", false},
        {"127.0.0.1", true},
        {"127.0.0.1:7680", true},
        {"10.1.2.3:7680", true}, /* an address cannot be rebound */
        {"[::1]:7680", true},
        {"[fe80::1]", true},
        {"localhost", true},
        {"LocalHost:1", true},
        {"localhost.evil.example", false},
        {"127.0.0.1.evil.example", false},
        {"site.example", true},
        {"SITE.example:80", true},
        {"site.example.evil", false},
        {"[localhost", true},
    };
    struct sl_http *http = calloc(1, sizeof *http);
    http->host_count = 1;
    strcpy(http->hosts[0], "site.example");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (sl_host_allowed(http, cases[i].host) != cases[i].allowed) {
            fail_msg("'%s'", cases[i].host ? cases[i].host : "(none)");
        }
    }
    free(http);
}

static void test_origins(void **state) {
    (void)state;
    static const struct {
        const char *origin;
        const char *host;
        bool matches;
    } cases[] = {
        {"http://localhost:7680", "localhost:7680", true},
        {"https://Site.example", "site.example", true},
        {"http://localhost:7681", "localhost:7680", false},
        {"http://localhost:7680.evil.example", "localhost:7680", false},
        {"null", "localhost", false},
        {"", "localhost", false},
        {"ftp://localhost", "localhost", false},
        {"http://localhost", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (sl_origin_matches(cases[i].origin, cases[i].host) != cases[i].matches) {
            fail_msg("%s at %s", cases[i].origin, cases[i].host);
        }
    }
}

static void test_secrets(void **state) {
    (void)state;
    struct sl_keys keys;
    struct sl_key_row rows[3];
    char secrets[3][SL_SECRET_MAX];
    struct sl_identity who;
    assert_int_equal(sl_keys_init(&keys, NULL), SL_OK);
    assert_false(sl_keys_find(&keys, "", &who));
    for (int i = 0; i < 3; i++) {
        sl_key_make(i == 0 ? SL_ROLE_OPERATOR : SL_ROLE_TENANT, i == 0 ? "" : "acme", "label",
                    secrets[i], &rows[i]);
        assert_int_equal(strlen(secrets[i]), sizeof SL_SECRET_PREFIX - 1 + 64);
        assert_null(memmem(&rows[i], sizeof rows[i], secrets[i] + 10, 16));
    }
    assert_string_not_equal(secrets[0], secrets[1]);
    rows[2].revoked.ms = 1;
    keys.rows = malloc(sizeof rows);
    memcpy(keys.rows, rows, sizeof rows);
    keys.count = 3;
    assert_true(sl_keys_find(&keys, secrets[0], &who));
    assert_int_equal(who.role, SL_ROLE_OPERATOR);
    assert_true(sl_keys_find(&keys, secrets[1], &who));
    assert_string_equal(who.tenant, "acme");
    assert_string_equal(who.key_id, rows[1].id);
    assert_false(sl_keys_find(&keys, secrets[2], &who)); /* revoked */
    secrets[1][20] = secrets[1][20] == 'a' ? 'b' : 'a';
    assert_false(sl_keys_find(&keys, secrets[1], &who));
    assert_int_equal(sl_keys_operators(&keys), 1);
    sl_keys_fini(&keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
