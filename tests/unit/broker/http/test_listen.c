/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/http/listen.h"

static void test_forms_of_an_address(void **state) {
    (void)state;
    static const struct {
        const char *listen;
        const char *url; /* its beginning; NULL: refused */
    } cases[] = {
        {"127.0.0.1:0", "http://127.0.0.1:"},
        {"localhost:0", "http://127.0.0.1:"},
        {"0.0.0.0:0", "http://0.0.0.0:"},
        {"7680", NULL},
        {"127.0.0.1", NULL},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:x", NULL},
        {"127.0.0.1:-1", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:99999999999999999999", NULL},
        {"broker.example:80", NULL}, /* names are not looked up at start */
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = -1;
        struct sl_error err = {0};
        int rc = sl_listen_open(cases[i].listen, &fd, &err);
        if (!cases[i].url) {
            if (rc != -SL_INVALID || fd != -1 || !strstr(err.text, "http.listen")) {
                fail_msg("'%s': %d %s", cases[i].listen, rc, err.text);
            }
            continue;
        }
        char url[SL_LISTEN_URL_MAX];
        uint16_t port = 0;
        assert_int_equal(rc, SL_OK);
        assert_int_equal(sl_listen_describe(fd, NULL, url, &port, &err), SL_OK);
        assert_memory_equal(url, cases[i].url, strlen(cases[i].url));
        assert_int_not_equal(port, 0);
        close(fd);
    }
}

static void test_a_port_in_use_is_said(void **state) {
    (void)state;
    int first = -1;
    int second = -1;
    struct sl_error err = {0};
    char path[] = "/tmp/sluice-port-XXXXXX";
    char url[SL_LISTEN_URL_MAX];
    char text[32] = "";
    uint16_t port = 0;
    close(mkstemp(path));
    assert_int_equal(sl_listen_open("127.0.0.1:0", &first, &err), SL_OK);
    assert_int_equal(sl_listen_describe(first, path, url, &port, &err), SL_OK);
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    unlink(path);
    assert_int_equal(atoi(text), port);
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    assert_int_equal(sl_listen_open(text, &second, &err), -SL_EXISTS);
    assert_non_null(strstr(err.text, "in use"));
    assert_int_equal(second, -1);
    assert_int_equal(sl_listen_describe(first, "/nowhere/port", url, &port, &err), -SL_IO);
    close(first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_of_an_address),
        cmocka_unit_test(test_a_port_in_use_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
