/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/link/link.h"

static void addresses_are_judged(void **state) {
    (void)state;
    static const struct {
        const char *endpoint;
        bool names;
        int rc;
        const char *said;
    } cases[] = {
        {"tcp://127.0.0.1:0", false, SL_OK, ""},
        {"tcp://127.0.0.1:*", false, SL_OK, ""},
        {"tcp://*:*", false, SL_OK, ""},
        {"tcp://*:*", true, SL_OK, ""},
        {"tcp://lo:*", false, SL_OK, ""},
        {"tcp://localhost:0", true, SL_OK, ""},
        {"tcp://localhost:0", false, -SL_INVALID, "an address is like tcp://127.0.0.1:7600"},
        {"tcp://nowhere.invalid:0", true, -SL_INVALID, "cannot listen on"},
        {"tcp://192.0.2.1:0", false, -SL_INVALID, "is no address of this machine"},
        {"ipc:///run/sluice", false, -SL_INVALID, "is no address"},
        {"tcp://127.0.0.1", false, -SL_INVALID, "is no address"},
        {"", false, -SL_INVALID, "is no address"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_error err = {0};
        int rc = sl_link_listen_check(cases[i].endpoint, cases[i].names, &err);
        if (rc != cases[i].rc || !strstr(err.text, cases[i].said)) {
            fail_msg("%s: %d %s", cases[i].endpoint, rc, err.text);
        }
    }
    char longest[300];
    snprintf(longest, sizeof longest, "tcp://%0*d:1", 200, 0);
    assert_int_equal(sl_link_listen_check(longest, true, NULL), -SL_INVALID);
    assert_int_equal(sl_link_connect_check("tcp://broker.example:7600", NULL), SL_OK);
    assert_int_equal(sl_link_connect_check("tcp://broker.example:0", NULL), -SL_INVALID);
    assert_int_equal(sl_link_connect_check("ipc:///run/sluice", NULL), -SL_INVALID);
}

/* False: it was said, and when the port was free again somebody else was quicker. */
static bool in_use_then_free(void) {
    char endpoint[64] = "";
    struct sl_error err;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    const char *const hosts[] = {"127.0.0.1", "*", "0.0.0.0"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        snprintf(endpoint, sizeof endpoint, "tcp://%s:%u", hosts[i], ntohs(at.sin_port));
        assert_int_equal(sl_link_listen_check(endpoint, false, &err), -SL_EXISTS);
        assert_non_null(strstr(err.text, "is in use by another program"));
    }
    close(fd);
    for (int i = 0; i < 2; i++) {
        int rc = sl_link_listen_check(endpoint, false, &err);
        if (rc == -SL_EXISTS) {
            return false;
        }
        assert_int_equal(rc, SL_OK);
    }
    return true;
}

/* Taken while somebody listens, free again at once; the check itself leaves nothing bound. Tests
 * run side by side, and each takes ports that are free: so with a few of them. */
static void a_port_in_use_is_said(void **state) {
    (void)state;
    int left = 20;
    while (!in_use_then_free()) {
        assert_true(--left > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_judged),
        cmocka_unit_test(a_port_in_use_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
