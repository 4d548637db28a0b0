/* SPDX-License-Identifier: Apache-2.0
 * The client alone: what it refuses before anything is sent, and an address that hangs. Its talk
 * with a server stands in test_join_server.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "proto/link/join.h"

static struct sl_join_exchange sample(void) {
    struct sl_join_exchange x = {.endpoint = "tcp://127.0.0.1:1", .timeout_ms = 2000};
    struct sl_link_keys server;
    assert_int_equal(sl_link_keys_generate(&x.keys, NULL), SL_OK);
    assert_int_equal(sl_link_keys_generate(&server, NULL), SL_OK);
    strcpy(x.server_key, server.public_key);
    return x;
}

static void nonsense_is_refused(void **state) {
    (void)state;
    uint8_t back[SL_JOIN_BYTES_MAX];
    size_t size = 0;
    struct sl_error err;
    struct sl_join_exchange x = sample();
    x.endpoint = "tcp://*:0";
    assert_int_equal(sl_join_exchange(&x, back, 1, back, &size, &err), -SL_INVALID);
    x = sample();
    strcpy(x.server_key, "short");
    assert_int_equal(sl_join_exchange(&x, back, 1, back, &size, &err), -SL_INVALID);
}

static void who_says_nothing_is_not_the_broker(void **state) {
    (void)state;
    uint8_t back[SL_JOIN_BYTES_MAX] = {0};
    size_t size = 0;
    struct sl_error err;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_size = sizeof at;
    char endpoint[64];
    int mute = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(mute, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(mute, 4), 0);
    assert_int_equal(getsockname(mute, (struct sockaddr *)&at, &at_size), 0);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", ntohs(at.sin_port));
    struct sl_join_exchange x = sample();
    x.endpoint = endpoint;
    x.timeout_ms = 300;
    assert_int_equal(sl_join_exchange(&x, back, 1, back, &size, &err), -SL_DENIED);
    close(mute);
    x.timeout_ms = 5000;
    assert_int_equal(sl_join_exchange(&x, back, 1, back, &size, &err), -SL_CLOSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(who_says_nothing_is_not_the_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
