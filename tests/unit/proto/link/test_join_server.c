/* SPDX-License-Identifier: Apache-2.0
 * The joining socket with its client: unknown keys, one small message, a rate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <zmq.h>

#include "proto/link/join.h"

struct ground {
    struct sl_join_server *server;
    struct sl_join_server_config config;
    struct sl_link_keys client;
};

static void start(struct ground *g, int messages_per_s) {
    struct sl_error err = {0};
    memset(g, 0, sizeof *g);
    assert_int_equal(sl_link_keys_generate(&g->config.keys, NULL), SL_OK);
    assert_int_equal(sl_link_keys_generate(&g->client, NULL), SL_OK);
    g->config.endpoint = "tcp://127.0.0.1:0";
    g->config.messages_per_s = messages_per_s;
    g->config.accepts_per_s = 1000;
    if (sl_join_server_create(&g->config, &g->server, &err)) {
        fail_msg("%s", err.text);
    }
}

struct talk {
    struct sl_join_exchange exchange;
    uint8_t data[SL_JOIN_BYTES_MAX + 1];
    size_t size;
    uint8_t back[SL_JOIN_BYTES_MAX];
    size_t back_size;
    struct sl_error err;
    int rc;
    pthread_t thread;
};

static void *talk(void *arg) {
    struct talk *t = arg;
    t->rc = sl_join_exchange(&t->exchange, t->data, t->size, t->back, &t->back_size, &t->err);
    return NULL;
}

static struct talk *begin(const struct ground *g, const struct sl_link_keys *keys, const char *text,
                          int64_t timeout_ms) {
    struct talk *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->exchange.endpoint = sl_join_server_endpoint(g->server);
    t->exchange.keys = *keys;
    t->exchange.timeout_ms = timeout_ms;
    strcpy(t->exchange.server_key, g->config.keys.public_key);
    t->size = strlen(text);
    memcpy(t->data, text, t->size);
    return t;
}

static struct sl_join_packet hear(const struct ground *g) {
    struct sl_join_packet packet;
    struct pollfd fd = {sl_join_server_fd(g->server), POLLIN, 0};
    assert_int_equal(poll(&fd, 1, 10000), 1);
    assert_true(sl_join_server_take(g->server, &packet));
    return packet;
}

static void an_unknown_key_is_heard_and_answered(void **state) {
    (void)state;
    struct ground g;
    start(&g, 0);
    struct talk *t = begin(&g, &g.client, "let me in", 10000);
    pthread_create(&t->thread, NULL, talk, t);
    struct sl_join_packet packet = hear(&g);
    assert_string_equal(packet.key, g.client.public_key); /* authenticated */
    assert_int_equal(packet.size, 9);
    assert_memory_equal(packet.data, "let me in", 9);
    memcpy(packet.data, "perhaps", 7);
    packet.size = 7;
    sl_join_server_answer(g.server, &packet);
    pthread_join(t->thread, NULL);
    assert_int_equal(t->rc, SL_OK);
    assert_int_equal(t->back_size, 7);
    assert_memory_equal(t->back, "perhaps", 7);
    free(t);
    sl_join_server_destroy(g.server);
}

static void what_may_go_wrong_is_told_apart(void **state) {
    (void)state;
    struct ground g;
    struct sl_link_keys other;
    start(&g, 0);
    assert_int_equal(sl_link_keys_generate(&other, NULL), SL_OK);
    struct talk *t = begin(&g, &g.client, "hello", 10000);
    strcpy(t->exchange.server_key, other.public_key); /* of another site */
    talk(t);
    assert_int_equal(t->rc, -SL_DENIED);
    assert_non_null(strstr(t->err.text, "another site"));
    struct sl_join_server_stats stats;
    sl_join_server_stats(g.server, &stats);
    assert_true(stats.other_key > 0); /* its handshake was told before its connection ended */
    assert_int_equal(stats.no_handshake, 0);
    strcpy(t->exchange.server_key, g.config.keys.public_key);
    /* Nobody answers in time; on a busy machine the handshake itself takes a while. */
    for (t->exchange.timeout_ms = 300; t->exchange.timeout_ms < 20000;) {
        talk(t);
        if (t->rc == -SL_TIMEOUT) {
            break;
        }
        t->exchange.timeout_ms *= 4;
    }
    assert_int_equal(t->rc, -SL_TIMEOUT);
    t->size = SL_JOIN_BYTES_MAX + 1;
    talk(t);
    assert_int_equal(t->rc, -SL_LIMIT);
    t->size = 5;
    char gone[160];
    snprintf(gone, sizeof gone, "%s", sl_join_server_endpoint(g.server));
    /* The port is taken while it runs. */
    struct sl_join_server_config again = g.config;
    struct sl_join_server *second = NULL;
    again.endpoint = gone;
    assert_int_equal(sl_join_server_create(&again, &second, NULL), -SL_EXISTS);
    again.endpoint = "tcp://nonsense";
    assert_int_equal(sl_join_server_create(&again, &second, NULL), -SL_INVALID);
    sl_join_server_destroy(g.server);
    t->exchange.endpoint = gone;
    t->exchange.timeout_ms = 10000;
    talk(t);
    assert_int_equal(t->rc, -SL_CLOSED);
    free(t);
}

static void messages_over_the_rate_are_dropped(void **state) {
    (void)state;
    struct ground g;
    start(&g, 1);
    struct talk *all[4];
    for (int i = 0; i < 4; i++) {
        all[i] = begin(&g, &g.client, "me too", 600);
        pthread_create(&all[i]->thread, NULL, talk, all[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(all[i]->thread, NULL);
        assert_int_not_equal(all[i]->rc, SL_OK);
        free(all[i]);
    }
    struct sl_join_server_stats stats;
    sl_join_server_stats(g.server, &stats);
    assert_in_range(stats.messages + stats.dropped, 1, 4);
    assert_in_range(stats.messages, 1, 2);
    sl_join_server_destroy(g.server);
}

/* Talks without pause, with a heartbeat a millisecond, and leaves in the middle of it. */
static void *rude(void *arg) {
    const struct ground *g = arg;
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    static const int zero = 0, one = 1, never = -1, long_ms = 10000;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_HEARTBEAT_IVL, &one, sizeof one);
    zmq_setsockopt(socket, ZMQ_HEARTBEAT_TIMEOUT, &long_ms, sizeof long_ms);
    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &never, sizeof never);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, g->config.keys.public_key, 40);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, g->client.public_key, 40);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, g->client.secret_key, 40);
    zmq_connect(socket, sl_join_server_endpoint(g->server));
    for (int i = 0; i < 200; i++) {
        for (int k = 0; k < 5; k++) {
            zmq_send(socket, "0123456789012345678901234567890123456789", 40, ZMQ_DONTWAIT);
        }
        usleep(1000);
    }
    zmq_close(socket);
    zmq_ctx_term(context);
    return NULL;
}

/* libzmq would end the process (unread.h): strangers must not be able to. */
static void strangers_that_leave_unread_words_behind(void **state) {
    (void)state;
    struct ground g;
    pthread_t threads[4];
    start(&g, 0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 4; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, rude, &g), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    struct sl_join_server_stats stats;
    sl_join_server_stats(g.server, &stats);
    assert_true(stats.dropped + stats.refused > 0);
    sl_join_server_destroy(g.server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_key_is_heard_and_answered),
        cmocka_unit_test(what_may_go_wrong_is_told_apart),
        cmocka_unit_test(messages_over_the_rate_are_dropped),
        cmocka_unit_test(strangers_that_leave_unread_words_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
