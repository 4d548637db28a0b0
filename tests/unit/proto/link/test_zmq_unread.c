/* SPDX-License-Identifier: Apache-2.0
 * A server that is behind: peers that send more than is read, and leave meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "link_fixture.h"
#include "proto/base/clock.h"

#define HELD_BYTES (256 * 1024)
#define BEATS 12
#define WORDS_A_BEAT 30

/* Passes one connection on. While `hold` is set, what comes from the client stays here; it leaves
 * in one piece when the connection is cut: so a peer's last words arrive together with its end. */
struct proxy {
    int listener, client, server;
    uint16_t port;
    atomic_bool hold, cut;
    atomic_size_t held;
    uint8_t bytes[HELD_BYTES];
    pthread_t thread;
};

static int loopback(uint16_t port, bool listening, uint16_t *ret_port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_port = htons(port);
    if (listening) {
        assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
        assert_int_equal(listen(fd, 1), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
        *ret_port = ntohs(at.sin_port);
    } else {
        assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    }
    return fd;
}

static bool pass(int from, int to) {
    uint8_t bytes[8192];
    ssize_t n = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
    return n < 0 || (n > 0 && send(to, bytes, (size_t)n, MSG_NOSIGNAL) == n);
}

static void *proxy_main(void *arg) {
    struct proxy *p = arg;
    bool open = true;
    p->client = accept(p->listener, NULL, NULL);
    while (open && !atomic_load(&p->cut)) {
        struct pollfd polls[2] = {{p->client, POLLIN, 0}, {p->server, POLLIN, 0}};
        (void)poll(polls, 2, 5);
        open = pass(p->server, p->client);
        size_t held = atomic_load(&p->held);
        if (atomic_load(&p->hold) || held > 0) {
            ssize_t n = recv(p->client, p->bytes + held, HELD_BYTES - held, MSG_DONTWAIT);
            atomic_fetch_add(&p->held, n > 0 ? (size_t)n : 0);
        } else {
            open = open && pass(p->client, p->server);
        }
    }
    size_t held = atomic_load(&p->held);
    (void)!send(p->server, p->bytes, held, MSG_NOSIGNAL);
    close(p->server);
    close(p->client);
    return NULL;
}

static struct proxy *proxy_start(const struct fixture *f) {
    struct proxy *p = calloc(1, sizeof *p);
    const char *endpoint = sl_zmq_server_endpoint(f->server);
    p->listener = loopback(0, true, &p->port);
    p->server = loopback((uint16_t)atoi(strrchr(endpoint, ':') + 1), false, NULL);
    assert_int_equal(pthread_create(&p->thread, NULL, proxy_main, p), 0);
    return p;
}

static void proxy_cut(struct proxy *p) {
    atomic_store(&p->cut, true);
    pthread_join(p->thread, NULL);
    close(p->listener);
    free(p);
}

static void *raw_at(struct fixture *f, uint16_t port, void **ret_context) {
    void *raw = fixture_raw(f, 0, ret_context);
    char endpoint[64];
    int beat_ms = 10;
    int never = -1;
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    zmq_setsockopt(raw, ZMQ_HEARTBEAT_IVL, &beat_ms, sizeof beat_ms);
    int timeout_ms = 10000;
    zmq_setsockopt(raw, ZMQ_HEARTBEAT_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    zmq_setsockopt(raw, ZMQ_RECONNECT_IVL, &never, sizeof never);
    assert_int_equal(zmq_connect(raw, endpoint), 0);
    return raw;
}

/* libzmq 4.3.4 ends the process when it must answer a heartbeat, or send one, on a connection that
 * ended while nothing more was read from it (libzmq issue 4364). */
static void a_peer_that_leaves_unread_words_behind(void **state) {
    (void)state;
    struct fixture *f = fixture_create(2);
    fixture_serve(f, NULL, 0);
    struct proxy *p = proxy_start(f);
    void *context = NULL;
    void *raw = raw_at(f, p->port, &context);
    char heard[64];
    assert_int_equal(zmq_send(raw, "hello", 5, 0), 5);
    assert_true(wait_text(f->server, NULL, heard, sizeof heard, 20000));
    atomic_store(&p->hold, true);
    size_t held = 0;
    for (int beat = 0; beat < BEATS; beat++) {
        for (int i = 0; i < WORDS_A_BEAT; i++) {
            assert_int_equal(zmq_send(raw, "word", 4, 0), 4);
        }
        /* Each heap leaves with a heartbeat or more of its own. */
        for (int i = 0; i < 200 && atomic_load(&p->held) < held + WORDS_A_BEAT * 20; i++) {
            usleep(1000);
        }
        usleep(15 * 1000);
        held = atomic_load(&p->held);
    }
    proxy_cut(p);
    usleep(100 * 1000); /* the server's own thread sees all of it, the loop nothing yet */
    int words = 0;
    while (wait_text(f->server, NULL, heard, sizeof heard, 300)) {
        assert_string_equal(heard, "word");
        words++;
    }
    assert_in_range(words, 1, BEATS * WORDS_A_BEAT);
    raw_close(raw, context);
    struct sl_link *client = fixture_client(f, 1); /* it lives, and serves others */
    expect_talk(f, client, "hello", NULL);
    sl_link_destroy(client);
    fixture_destroy(f);
}

/* What one agent sends too much of is given up; the others are served as ever. */
static void a_flood_costs_nobody_else(void **state) {
    (void)state;
    enum { FLOOD = 3000, QUIET = 20 };
    struct fixture *f = fixture_create(2);
    fixture_serve_unread(f, 64);
    struct sl_link *loud = fixture_client(f, 0);
    struct sl_link *quiet = fixture_client(f, 1);
    char heard[64];
    expect_talk(f, loud, "hello", NULL);
    expect_talk(f, quiet, "hello", NULL);
    for (int i = 0; i < FLOOD; i++) {
        assert_true(send_text(loud, NULL, "flood", 20000));
        if (i % (FLOOD / QUIET) == 0) {
            assert_true(send_text(quiet, NULL, "word", 20000));
        }
    }
    usleep(200 * 1000);
    int floods = 0;
    int words = 0;
    while (wait_text(f->server, NULL, heard, sizeof heard, 300)) {
        *(strcmp(heard, "word") == 0 ? &words : &floods) += 1;
    }
    assert_int_equal(words, QUIET);
    assert_int_equal(floods + (int)sl_zmq_server_dropped(f->server), FLOOD);
    assert_true(sl_zmq_server_dropped(f->server) > FLOOD / 2);
    expect_talk(f, loud, "hello again", NULL);
    sl_link_destroy(loud);
    sl_link_destroy(quiet);
    fixture_destroy(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_leaves_unread_words_behind),
        cmocka_unit_test(a_flood_costs_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
