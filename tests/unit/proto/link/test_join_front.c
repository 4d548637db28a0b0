/* SPDX-License-Identifier: Apache-2.0
 * The front of the joining socket: limits of connections, addresses, bytes, ages and rate. */
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
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proto/link/join_front.h"

struct ground {
    char inner[64];
    int inside; /* listens behind the front */
    uint16_t port;
    struct sl_front *front;
    struct sl_mono now;
};

static void start(struct ground *g, int connections_max, int address_max, int accepts_per_s) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    socklen_t size = sizeof at;
    snprintf(g->inner, sizeof g->inner, "sluice-test-front-%d", (int)getpid());
    memcpy(local.sun_path + 1, g->inner, strlen(g->inner));
    g->inside = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    size_t used = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(g->inner);
    assert_int_equal(bind(g->inside, (struct sockaddr *)&local, (socklen_t)used), 0);
    assert_int_equal(listen(g->inside, 64), 0);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    g->port = at.sin_port;
    g->now.ns = SL_NS_PER_S;
    const struct sl_front_config config = {.listener = listener,
                                           .inner = g->inner,
                                           .connections_max = connections_max,
                                           .address_max = address_max,
                                           .accepts_per_s = accepts_per_s,
                                           .life_ms = 1000};
    assert_int_equal(sl_front_create(&config, &g->front, NULL), SL_OK);
}

static void stop(struct ground *g) {
    sl_front_destroy(g->front);
    close(g->inside);
}

static int knock_from(const struct ground *g, uint32_t host) {
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = g->port};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Turns without waiting. */
static void turn(struct ground *g, int times) {
    struct pollfd polls[SL_FRONT_POLLS_MAX];
    for (int i = 0; i < times; i++) {
        int64_t wait_ms = 0;
        int count = sl_front_polls(g->front, g->now, polls, &wait_ms);
        assert_true(poll(polls, (nfds_t)count, 10) >= 0);
        sl_front_turn(g->front, g->now, polls, count);
    }
}

static struct sl_front_stats stats_of(const struct ground *g) {
    struct sl_front_stats stats;
    sl_front_stats(g->front, &stats);
    return stats;
}

static void bytes_pass_both_ways(void **state) {
    (void)state;
    struct ground g;
    char text[64];
    start(&g, 4, 4, 100);
    int fd = knock_from(&g, INADDR_LOOPBACK);
    turn(&g, 2);
    int inner = accept(g.inside, NULL, NULL);
    assert_true(inner >= 0);
    assert_int_equal(write(fd, "hello", 5), 5);
    turn(&g, 2);
    assert_int_equal(read(inner, text, sizeof text), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(write(inner, "good day", 8), 8);
    turn(&g, 2);
    assert_int_equal(read(fd, text, sizeof text), 8);
    close(fd);
    turn(&g, 2);
    assert_int_equal(stats_of(&g).open, 0);
    assert_int_equal(read(inner, text, sizeof text), 0);
    close(inner);
    stop(&g);
}

static void one_address_cannot_have_all(void **state) {
    (void)state;
    struct ground g;
    int fds[8];
    start(&g, 4, 2, 100);
    for (int i = 0; i < 6; i++) {
        fds[i] = knock_from(&g, INADDR_LOOPBACK);
    }
    turn(&g, 3);
    assert_int_equal(stats_of(&g).open, 2);
    assert_int_equal(stats_of(&g).refused, 4);
    fds[6] = knock_from(&g, INADDR_LOOPBACK + 1);
    turn(&g, 2);
    assert_int_equal(stats_of(&g).open, 3);
    for (int i = 0; i < 7; i++) {
        close(fds[i]);
    }
    turn(&g, 3);
    assert_int_equal(stats_of(&g).open, 0);
    stop(&g);
}

static void all_together_are_bounded(void **state) {
    (void)state;
    struct ground g;
    int fds[6];
    start(&g, 4, 2, 100);
    for (uint32_t i = 0; i < 6; i++) {
        fds[i] = knock_from(&g, INADDR_LOOPBACK + i);
    }
    turn(&g, 3);
    assert_int_equal(stats_of(&g).open, 4); /* the others wait in the kernel, unread */
    assert_int_equal(stats_of(&g).refused, 0);
    close(fds[0]);
    turn(&g, 3);
    assert_int_equal(stats_of(&g).accepted, 5);
    g.now.ns += 1001 * SL_NS_PER_MS; /* too old */
    turn(&g, 3);
    assert_int_equal(stats_of(&g).refused, 4);
    for (int i = 1; i < 6; i++) {
        close(fds[i]);
    }
    stop(&g);
}

static void so_many_a_second(void **state) {
    (void)state;
    struct ground g;
    int fds[20];
    start(&g, 64, 64, 10);
    for (int i = 0; i < 20; i++) {
        fds[i] = knock_from(&g, INADDR_LOOPBACK);
    }
    turn(&g, 4);
    assert_int_equal(stats_of(&g).accepted, 10);
    g.now.ns += 500 * SL_NS_PER_MS;
    turn(&g, 4);
    assert_int_equal(stats_of(&g).accepted, 15);
    for (int i = 0; i < 20; i++) {
        close(fds[i]);
    }
    stop(&g);
}

static void who_talks_too_much_is_dropped(void **state) {
    (void)state;
    struct ground g;
    char junk[4096] = {0};
    start(&g, 4, 4, 100);
    int fd = knock_from(&g, INADDR_LOOPBACK);
    turn(&g, 2);
    int inner = accept(g.inside, NULL, NULL);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(inner, F_SETFL, O_NONBLOCK), 0);
    for (int i = 0; i < 40 && stats_of(&g).open; i++) {
        (void)!send(fd, junk, sizeof junk, MSG_NOSIGNAL);
        turn(&g, 1);
        while (read(inner, junk, sizeof junk) > 0) {}
    }
    assert_int_equal(stats_of(&g).open, 0);
    assert_int_equal(stats_of(&g).refused, 1);
    close(fd);
    close(inner);
    stop(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_both_ways),
        cmocka_unit_test(one_address_cannot_have_all),
        cmocka_unit_test(all_together_are_bounded),
        cmocka_unit_test(so_many_a_second),
        cmocka_unit_test(who_talks_too_much_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
