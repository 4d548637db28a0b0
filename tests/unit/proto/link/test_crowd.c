/* SPDX-License-Identifier: Apache-2.0
 * Whoever connects to the agents' port cannot take all that the process may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "link_fixture.h"
#include "proto/base/clock.h"

#define MOST 8
#define MANY 64

static uint16_t port_of(const struct fixture *f) {
    return (uint16_t)atoi(strrchr(sl_zmq_server_endpoint(f->server), ':') + 1);
}

/* -1: not let in. */
static int knock(const struct fixture *f) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port_of(f))};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    (void)connect(fd, (struct sockaddr *)&to, sizeof to);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    if (poll(&wait, 1, 200) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
        error == 0) {
        return fd;
    }
    close(fd);
    return -1;
}

static bool soon(const struct fixture *f, bool listens) {
    for (int i = 0; i < 2000; i++) {
        sl_zmq_server_mind(f->server);
        int fd = knock(f);
        if (fd >= 0) {
            close(fd);
        }
        if ((fd >= 0) == listens) {
            return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5 * SL_NS_PER_MS}, NULL);
    }
    return false;
}

static void strangers_are_turned_away_and_members_stay(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    struct sl_zmq_server_config config = {.endpoint = "tcp://127.0.0.1:*",
                                          .keys = f->server_keys,
                                          .allowed_path = f->allowed,
                                          .connections_max = MOST};
    struct sl_error err = {0};
    assert_int_equal(sl_zmq_server_create(&config, &f->server, &err), SL_OK);
    assert_true(sl_zmq_server_crowd_fd(f->server) >= 0);
    struct sl_link *member = fixture_client(f, 0);
    struct sl_link_peer peer;
    expect_talk(f, member, "before", &peer);
    int held[MANY];
    int count = 0;
    for (int misses = 0; count < MANY && misses < 3;) {
        held[count] = knock(f);
        misses += held[count] < 0;
        count += held[count] >= 0;
        nanosleep(&(struct timespec){.tv_nsec = 5 * SL_NS_PER_MS}, NULL);
        sl_zmq_server_mind(f->server);
    }
    assert_true(count < MANY);
    assert_true(count >= MOST - 1);
    assert_true(soon(f, false));
    expect_talk(f, member, "while it is full", &peer);
    for (int i = 0; i < count; i++) {
        close(held[i]);
    }
    assert_true(soon(f, true));
    expect_talk(f, member, "after", &peer);
    sl_link_destroy(member);
    member = fixture_client(f, 0);
    expect_talk(f, member, "again", &peer);
    sl_link_destroy(member);
    fixture_destroy(f);
}

static void without_a_limit_nothing_is_counted(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    assert_int_equal(sl_zmq_server_crowd_fd(f->server), -1);
    sl_zmq_server_mind(f->server);
    fixture_destroy(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_turned_away_and_members_stay),
        cmocka_unit_test(without_a_limit_nothing_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
