/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "link_fixture.h"
#include "proto/base/clock.h"
#include "proto/wire/msg_limits.h"

static void an_allowed_key_gets_through_both_ways(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_link *client = fixture_client(f, 0);
    struct sl_link_peer peer;
    expect_talk(f, client, "hello", &peer);
    assert_string_equal(peer.key, f->keys[0].public_key);
    assert_true(peer.conn != 0);
    assert_int_equal(sl_zmq_server_refused(f->server), 0);
    sl_link_destroy(client);
    fixture_destroy(f);
}

static void a_burst_arrives_whole_and_in_order(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_link *client = fixture_client(f, 0);
    char text[32];
    char heard[32];
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof text, "message %d", i);
        assert_true(send_text(client, NULL, text, 20000));
        if (i % 500 == 499) { /* read in heaps: one edge stands for many messages */
            for (int k = i - 499; k <= i; k++) {
                snprintf(text, sizeof text, "message %d", k);
                assert_true(wait_text(f->server, NULL, heard, sizeof heard, 20000));
                assert_string_equal(heard, text);
            }
        }
    }
    sl_link_destroy(client);
    fixture_destroy(f);
}

static void an_unknown_key_is_refused_and_counted(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_link *stranger = fixture_client(f, 1);
    char heard[64];
    for (int i = 0; i < 100 && sl_zmq_server_refused(f->server) < 2; i++) {
        assert_false(send_text(stranger, NULL, "let me in", 10));
        assert_false(wait_text(f->server, NULL, heard, sizeof heard, 100));
    }
    assert_true(sl_zmq_server_refused(f->server) >= 2); /* it tries again, and is refused again */
    struct sl_link *client = fixture_client(f, 0);
    expect_talk(f, client, "hello", NULL);
    sl_link_destroy(client);
    sl_link_destroy(stranger);
    fixture_destroy(f);
}

static void nobody_is_let_in_while_the_handler_is_stopped(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_link *before = fixture_client(f, 0);
    expect_talk(f, before, "the same set-up works", NULL);
    sl_zmq_server_stop_zap(f->server);
    for (int key = 0; key < 2; key++) { /* an allowed one and an unknown one */
        struct sl_link *client = fixture_client(f, key);
        char heard[64];
        assert_false(send_text(client, NULL, "let me in", 1500));
        assert_false(wait_text(f->server, NULL, heard, sizeof heard, 500));
        sl_link_destroy(client);
    }
    assert_true(send_text(before, NULL, "whoever was in stays", 1000));
    char heard[64];
    assert_true(wait_text(f->server, NULL, heard, sizeof heard, 5000));
    sl_link_destroy(before);
    fixture_destroy(f);
}

/* Agents come while the handler's socket is renewed again and again: the allowed one gets in each
 * time, at the latest when it tries again, the unknown one never, and who was in stays. */
static void renewals_of_the_handler_let_the_right_ones_in(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_link *before = fixture_client(f, 0);
    struct sl_link *stranger = fixture_client(f, 1);
    char heard[64];
    expect_talk(f, before, "first", NULL);
    for (int i = 0; i < 20; i++) {
        sl_zmq_server_renew_zap(f->server);
        struct sl_link *client = fixture_client(f, 0);
        sl_zmq_server_renew_zap(f->server);
        expect_talk(f, client, "in", NULL);
        assert_false(send_text(stranger, NULL, "let me in", 1));
        expect_talk(f, before, "still here", NULL);
        sl_link_destroy(client);
    }
    assert_true(sl_zmq_server_renew_zap(f->server) >= 20);
    assert_false(wait_text(f->server, NULL, heard, sizeof heard, 10));
    fixture_allow(f, 1, 1); /* what the file says now, the newest handler says */
    for (int i = 0; i < 200 && !send_text(stranger, NULL, "now me", 50); i++) {}
    assert_true(wait_text(f->server, NULL, heard, sizeof heard, 5000));
    assert_string_equal(heard, "now me");
    struct sl_link *gone = fixture_client(f, 0);
    assert_false(send_text(gone, NULL, "no more", 300));
    assert_true(sl_zmq_server_refused(f->server) >= 1);
    sl_link_destroy(gone);
    sl_link_destroy(stranger);
    sl_link_destroy(before);
    fixture_destroy(f);
}

static void a_client_that_expects_another_server_gets_nowhere(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_zmq_client_config config = {.endpoint = sl_zmq_server_endpoint(f->server),
                                          .keys = f->keys[0]};
    memcpy(config.server_key, f->keys[2].public_key, sizeof config.server_key);
    struct sl_link *client = NULL;
    char heard[64];
    assert_int_equal(sl_zmq_client_create(&config, &client, NULL), 0);
    assert_false(send_text(client, NULL, "secret", 1500));
    assert_false(wait_text(f->server, NULL, heard, sizeof heard, 300));
    sl_link_destroy(client);
    fixture_destroy(f);
}

static void connections_of_one_key_differ_only_in_their_number(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_link *a = fixture_client(f, 0);
    struct sl_link *b = fixture_client(f, 0);
    struct sl_link_peer pa;
    struct sl_link_peer pb;
    struct sl_link_peer again;
    expect_talk(f, a, "a", &pa);
    expect_talk(f, b, "b", &pb);
    expect_talk(f, a, "a again", &again);
    assert_string_equal(pa.key, pb.key);
    assert_true(pa.conn != pb.conn);
    assert_true(pa.conn == again.conn);
    sl_link_destroy(a);
    sl_link_destroy(b);
    fixture_destroy(f);
}

static void a_peer_that_is_gone_cannot_be_sent_to(void **state) {
    (void)state;
    struct fixture *f = fixture_create(2);
    fixture_serve(f, NULL, 0);
    struct sl_link *client = fixture_client(f, 0);
    struct sl_link_peer peer;
    expect_talk(f, client, "hello", &peer);
    struct sl_link_peer other = peer;
    other.conn += 1;
    assert_int_equal(sl_link_send(f->server, &other, (const uint8_t *)"x", 1, NULL), -SL_CLOSED);
    other = peer;
    memcpy(other.key, f->keys[1].public_key, sizeof other.key); /* not that key's connection */
    assert_int_equal(sl_link_send(f->server, &other, (const uint8_t *)"x", 1, NULL), -SL_CLOSED);
    sl_link_destroy(client);
    int rc = SL_OK;
    char heard[16];
    for (int i = 0; i < 200 && rc != -SL_CLOSED; i++) {
        assert_false(wait_text(f->server, NULL, heard, sizeof heard, 20));
        rc = sl_link_send(f->server, &peer, (const uint8_t *)"x", 1, NULL);
    }
    assert_int_equal(rc, -SL_CLOSED);
    fixture_destroy(f);
}

/* A raw peer that has said hello; its queue is as short as ZeroMQ allows. */
static void *raw_hello(struct fixture *f, int key, void **ret_context,
                       struct sl_link_peer *ret_peer) {
    void *raw = fixture_raw(f, key, ret_context);
    int one = 1;
    zmq_setsockopt(raw, ZMQ_RCVHWM, &one, sizeof one);
    assert_int_equal(zmq_connect(raw, sl_zmq_server_endpoint(f->server)), 0);
    assert_int_equal(zmq_send(raw, "hello", 5, 0), 5);
    char heard[16];
    assert_true(wait_text(f->server, ret_peer, heard, sizeof heard, 20000));
    return raw;
}

static void a_full_queue_says_so(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 2);
    struct sl_link_peer peer;
    void *context = NULL;
    void *raw = raw_hello(f, 0, &context, &peer); /* and it never reads */
    size_t size = 1024 * 1024;
    uint8_t *data = calloc(1, size);
    int rc = SL_OK;
    for (int i = 0; i < 400 && rc == SL_OK; i++) {
        rc = sl_link_send(f->server, &peer, data, size, NULL);
        usleep(500);
    }
    assert_int_equal(rc, -SL_AGAIN);
    free(data);
    raw_close(raw, context);
    fixture_destroy(f);
}

static void an_oversized_message_ends_only_its_own_connection(void **state) {
    (void)state;
    struct fixture *f = fixture_create(2);
    fixture_serve(f, NULL, 0);
    struct sl_link *client = fixture_client(f, 0);
    struct sl_link_peer before;
    struct sl_link_peer after;
    struct sl_link_peer bad;
    expect_talk(f, client, "before", &before);
    void *context = NULL;
    void *raw = raw_hello(f, 1, &context, &bad);
    size_t size = 5 * 1024 * 1024;
    uint8_t *data = calloc(1, size);
    assert_int_equal(zmq_send(raw, data, size, 0), (int)size);
    free(data);
    expect_talk(f, client, "after", &after);
    assert_true(before.conn == after.conn);
    /* The raw peer had to come back under a new number, and its large message is nowhere. */
    char heard[64];
    struct sl_link_peer again = bad;
    for (int i = 0; i < 200 && again.conn == bad.conn; i++) {
        zmq_send(raw, "again", 5, ZMQ_DONTWAIT);
        if (wait_text(f->server, &again, heard, sizeof heard, 100)) {
            assert_string_equal(heard, "again");
        }
    }
    assert_true(again.conn != bad.conn);
    raw_close(raw, context);
    sl_link_destroy(client);
    fixture_destroy(f);
}

static void the_largest_message_passes(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_link *client = fixture_client(f, 0);
    struct sl_link_peer peer;
    expect_talk(f, client, "hello", &peer);
    uint8_t *data = malloc(SL_MSG_BYTES_MAX + 1);
    memset(data, 'x', SL_MSG_BYTES_MAX);
    char *heard = malloc(SL_MSG_BYTES_MAX + 1);
    assert_int_equal(sl_link_send(f->server, &peer, data, SL_MSG_BYTES_MAX, NULL), 0);
    assert_int_equal(sl_link_send(f->server, &peer, data, SL_MSG_BYTES_MAX + 1, NULL), -SL_LIMIT);
    assert_int_equal(sl_link_send(client, NULL, data, SL_MSG_BYTES_MAX + 1, NULL), -SL_LIMIT);
    assert_true(wait_text(client, NULL, heard, SL_MSG_BYTES_MAX + 1, 20000));
    assert_int_equal(strlen(heard), SL_MSG_BYTES_MAX);
    assert_int_equal(sl_link_send(client, NULL, data, SL_MSG_BYTES_MAX, NULL), 0);
    assert_true(wait_text(f->server, NULL, heard, SL_MSG_BYTES_MAX + 1, 20000));
    free(data);
    free(heard);
    sl_link_destroy(client);
    fixture_destroy(f);
}

static int tcp_connect(const char *endpoint) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void garbage_over_tcp_disturbs_nobody(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_link *client = fixture_client(f, 0);
    struct sl_link_peer before;
    struct sl_link_peer after;
    expect_talk(f, client, "before", &before);
    static const struct {
        const char *bytes;
        size_t n;
        const char *why;
    } cases[] = {
        {"", 0, "says nothing"},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, "a browser"},
        {"\xFF\0\0\0\0\0\0\0\1\x7F\3\0NULL", 16, "a greeting without CURVE, cut"},
        {"\xFF\0\0\0\0\0\0\0\1\x7F\3\0CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\4\xC8\5HELLO",
         72, "a hello that stops"},
        {"\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0", 18, "an old ZMTP"},
        {"{\"id\":1,\"method\":\"mining.subscribe\"}\n", 37, "a miner"},
    };
    int fds[64];
    int count = 0;
    for (int round = 0; round < 8; round++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            fds[count] = tcp_connect(sl_zmq_server_endpoint(f->server));
            ssize_t n = send(fds[count], cases[i].bytes, cases[i].n, MSG_NOSIGNAL);
            assert_true(n == (ssize_t)cases[i].n);
            count++;
        }
    }
    expect_talk(f, client, "beside it", &after);
    assert_true(before.conn == after.conn);
    struct sl_link *late = fixture_client(f, 0); /* and newcomers still get in */
    expect_talk(f, late, "late", NULL);
    while (count) {
        close(fds[--count]);
    }
    sl_link_destroy(late);
    sl_link_destroy(client);
    fixture_destroy(f);
}

static void a_changed_file_acts_at_once(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_link *first = fixture_client(f, 0);
    struct sl_link *second = fixture_client(f, 1);
    struct sl_link_peer peer;
    char heard[64];
    expect_talk(f, first, "first", &peer);
    assert_false(send_text(second, NULL, "not yet", 500));
    fixture_allow(f, 1, 1); /* the second comes, the first goes */
    expect_talk(f, second, "second", NULL);
    usleep(300 * 1000);
    /* The first one's connection still stands, but nobody listens to it any more. */
    assert_true(send_text(first, NULL, "still here", 1000));
    assert_false(wait_text(f->server, NULL, heard, sizeof heard, 500));
    assert_int_equal(sl_link_send(f->server, &peer, (const uint8_t *)"x", 1, NULL), -SL_CLOSED);
    uint64_t refused = sl_zmq_server_refused(f->server);
    sl_link_destroy(first);
    first = fixture_client(f, 0);
    for (int i = 0; i < 100 && sl_zmq_server_refused(f->server) == refused; i++) {
        assert_false(wait_text(f->server, NULL, heard, sizeof heard, 100));
    }
    assert_true(sl_zmq_server_refused(f->server) > refused);
    sl_link_destroy(first);
    sl_link_destroy(second);
    fixture_destroy(f);
}

static void clients_come_back_after_a_restart(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    char endpoint[128];
    snprintf(endpoint, sizeof endpoint, "%s", sl_zmq_server_endpoint(f->server));
    struct sl_link *client = fixture_client(f, 0);
    expect_talk(f, client, "before", NULL);
    sl_link_destroy(f->server);
    f->server = NULL;
    for (int i = 0; i < 100; i++) { /* it notices, and nothing queues for later */
        char heard[16];
        (void)wait_text(client, NULL, heard, sizeof heard, 20);
        if (sl_link_send(client, NULL, (const uint8_t *)"stale", 5, NULL) == -SL_AGAIN) {
            break;
        }
        assert_true(i < 99);
    }
    fixture_serve(f, endpoint, 0);
    expect_talk(f, client, "after", NULL);
    sl_link_destroy(client);
    fixture_destroy(f);
}

static void a_port_in_use_is_named(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_zmq_server_config config = {.endpoint = sl_zmq_server_endpoint(f->server),
                                          .keys = f->server_keys,
                                          .allowed_path = f->allowed};
    struct sl_link *second = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_zmq_server_create(&config, &second, &err), -SL_EXISTS);
    assert_null(second);
    assert_non_null(strstr(err.text, config.endpoint));
    assert_non_null(strstr(err.text, "configure another address"));
    static const char *const bad[] = {"127.0.0.1:7600",
                                      "http://127.0.0.1:80",
                                      "tcp://127.0.0.1",
                                      "tcp://127.0.0.1:99999",
                                      "",
                                      "tcp://203.0.113.7:7600"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        config.endpoint = bad[i];
        int rc = sl_zmq_server_create(&config, &second, &err);
        assert_true(rc == -SL_INVALID || rc == -SL_IO);
        assert_non_null(strstr(err.text, "tcp://127.0.0.1:7600"));
    }
    fixture_destroy(f);
}

static void a_server_without_good_keys_does_not_start(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    struct sl_zmq_server_config config = {
        .endpoint = "tcp://127.0.0.1:*", .keys = f->server_keys, .allowed_path = f->allowed};
    struct sl_link *server = NULL;
    struct sl_error err = {0};
    strcpy(config.keys.secret_key, "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6");
    assert_int_equal(sl_zmq_server_create(&config, &server, &err), -SL_DENIED);
    strcpy(config.keys.secret_key, "short");
    assert_int_equal(sl_zmq_server_create(&config, &server, &err), -SL_INVALID);
    assert_null(strstr(err.text, "short")); /* never repeats a secret */
    config.keys = f->server_keys;
    config.allowed_path = "/nonexistent/allowed";
    assert_int_equal(sl_zmq_server_create(&config, &server, &err), -SL_IO);
    assert_non_null(strstr(err.text, "/nonexistent/allowed"));
    assert_null(server);
    fixture_destroy(f);
}

static void odd_peers_are_not_heard(void **state) {
    (void)state;
    struct fixture *f = fixture_create(2);
    fixture_serve(f, NULL, 0);
    void *context[2];
    void *chooser = fixture_raw(f, 0, &context[0]);
    void *framer = fixture_raw(f, 1, &context[1]);
    zmq_setsockopt(chooser, ZMQ_ROUTING_ID, "broker", 6);
    assert_int_equal(zmq_connect(chooser, sl_zmq_server_endpoint(f->server)), 0);
    assert_int_equal(zmq_connect(framer, sl_zmq_server_endpoint(f->server)), 0);
    assert_int_equal(zmq_send(chooser, "chosen id", 9, 0), 9);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(zmq_send(framer, "several", 7, ZMQ_SNDMORE), 7);
    }
    assert_int_equal(zmq_send(framer, "frames", 6, 0), 6);
    assert_int_equal(zmq_send(framer, "good", 4, 0), 4); /* what follows is read aright */
    char heard[64];
    struct sl_link_peer peer;
    assert_true(wait_text(f->server, &peer, heard, sizeof heard, 20000));
    assert_string_equal(heard, "good");
    assert_string_equal(peer.key, f->keys[1].public_key);
    assert_false(wait_text(f->server, &peer, heard, sizeof heard, 500));
    raw_close(chooser, context[0]);
    raw_close(framer, context[1]);
    fixture_destroy(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allowed_key_gets_through_both_ways),
        cmocka_unit_test(a_burst_arrives_whole_and_in_order),
        cmocka_unit_test(an_unknown_key_is_refused_and_counted),
        cmocka_unit_test(nobody_is_let_in_while_the_handler_is_stopped),
        cmocka_unit_test(renewals_of_the_handler_let_the_right_ones_in),
        cmocka_unit_test(a_client_that_expects_another_server_gets_nowhere),
        cmocka_unit_test(connections_of_one_key_differ_only_in_their_number),
        cmocka_unit_test(a_peer_that_is_gone_cannot_be_sent_to),
        cmocka_unit_test(a_full_queue_says_so),
        cmocka_unit_test(an_oversized_message_ends_only_its_own_connection),
        cmocka_unit_test(the_largest_message_passes),
        cmocka_unit_test(garbage_over_tcp_disturbs_nobody),
        cmocka_unit_test(a_changed_file_acts_at_once),
        cmocka_unit_test(clients_come_back_after_a_restart),
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(a_server_without_good_keys_does_not_start),
        cmocka_unit_test(odd_peers_are_not_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
