/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link_fixture.h"
#include "proto/base/clock.h"

static void bad_configurations_are_refused(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    struct sl_zmq_client_config good = {.endpoint = "tcp://127.0.0.1:1", .keys = f->keys[0]};
    memcpy(good.server_key, f->server_keys.public_key, sizeof good.server_key);
    struct sl_link *link = NULL;
    struct sl_error err = {0};

    struct sl_zmq_client_config c = good;
    strcpy(c.server_key, "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7");
    assert_int_equal(sl_zmq_client_create(&c, &link, &err), -SL_DENIED);
    assert_non_null(strstr(err.text, "broker's public key"));
    c = good;
    c.server_key[0] = '\0';
    assert_int_equal(sl_zmq_client_create(&c, &link, &err), -SL_INVALID);
    c = good;
    strcpy(c.keys.secret_key, "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs");
    assert_int_equal(sl_zmq_client_create(&c, &link, &err), -SL_DENIED);
    assert_non_null(strstr(err.text, "agent's keys"));
    c = good;
    c.keys.public_key[39] = '"'; /* not in the Z85 alphabet */
    assert_int_equal(sl_zmq_client_create(&c, &link, &err), -SL_INVALID);
    static const char *const bad[] = {"",
                                      "127.0.0.1:7600",
                                      "tcp://",
                                      "tcp://127.0.0.1",
                                      "tcp://127.0.0.1:99999",
                                      "smtp://127.0.0.1:25"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        c = good;
        c.endpoint = bad[i];
        assert_int_equal(sl_zmq_client_create(&c, &link, &err), -SL_INVALID);
        assert_non_null(strstr(err.text, "tcp://127.0.0.1:7600"));
    }
    assert_null(link);
    fixture_destroy(f);
}

static void nothing_queues_for_a_broker_that_is_not_there(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    /* Port 1 of loopback: nobody listens. */
    struct sl_zmq_client_config c = {.endpoint = "tcp://127.0.0.1:1", .keys = f->keys[0]};
    memcpy(c.server_key, f->server_keys.public_key, sizeof c.server_key);
    struct sl_link *link = NULL;
    assert_int_equal(sl_zmq_client_create(&c, &link, NULL), 0);
    assert_true(sl_link_fd(link) >= 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(sl_link_send(link, NULL, (const uint8_t *)"x", 1, NULL), -SL_AGAIN);
        char heard[16];
        assert_false(wait_text(link, NULL, heard, sizeof heard, 10));
    }
    struct sl_mono start = sl_clock_mono();
    sl_link_destroy(link); /* and nothing holds up its end */
    assert_true(sl_mono_since_ns(sl_clock_mono(), start) < 3 * SL_NS_PER_S);
    fixture_destroy(f);
}

static void the_server_is_known_by_its_key(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_link *client = fixture_client(f, 0);
    struct sl_link_peer peer;
    struct sl_link_peer server;
    char heard[16];
    expect_talk(f, client, "hello", &peer);
    assert_true(send_text(f->server, &peer, "again", 1000));
    assert_true(wait_text(client, &server, heard, sizeof heard, 20000));
    assert_string_equal(server.key, f->server_keys.public_key);
    sl_link_destroy(client);
    fixture_destroy(f);
}

static void the_last_message_leaves_before_the_end(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    for (int i = 0; i < 10; i++) {
        struct sl_link *client = fixture_client(f, 0);
        char heard[16];
        assert_true(send_text(client, NULL, "goodbye", 20000));
        sl_link_destroy(client);
        assert_true(wait_text(f->server, NULL, heard, sizeof heard, 20000));
        assert_string_equal(heard, "goodbye");
    }
    fixture_destroy(f);
}

/* Answers n connections as no broker would, and is gone. */
static void *serve_garbage(void *arg) {
    int listener = *(int *)arg;
    for (int i = 0; i < 3; i++) {
        struct pollfd p = {.fd = listener, .events = POLLIN};
        if (poll(&p, 1, 2000) > 0) {
            int fd = accept(listener, NULL, NULL);
            (void)!write(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
            usleep(200 * 1000);
            close(fd);
        }
    }
    close(listener);
    return NULL;
}

static void another_program_on_the_port_is_survived(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_size = sizeof at;
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 5), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &at_size), 0);
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", ntohs(at.sin_port));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, serve_garbage, &listener), 0);
    struct sl_zmq_client_config c = {.endpoint = endpoint, .keys = f->keys[0]};
    memcpy(c.server_key, f->server_keys.public_key, sizeof c.server_key);
    struct sl_link *client = NULL;
    assert_int_equal(sl_zmq_client_create(&c, &client, NULL), 0);
    assert_false(send_text(client, NULL, "hello", 500));
    pthread_join(thread, NULL);
    fixture_serve(f, endpoint, 0);
    expect_talk(f, client, "the broker is back", NULL);
    sl_link_destroy(client);
    fixture_destroy(f);
}

/* The server has the key by now that was to come. */
static void the_next_key_of_the_server_is_tried_too(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    fixture_serve(f, NULL, 0);
    struct sl_zmq_client_config c = {.endpoint = sl_zmq_server_endpoint(f->server),
                                     .keys = f->keys[0]};
    memcpy(c.server_key, f->keys[1].public_key, sizeof c.server_key); /* the one it had */
    struct sl_link *client = NULL;
    assert_int_equal(sl_zmq_client_create(&c, &client, NULL), 0);
    assert_string_equal(sl_zmq_client_server_key(client), f->keys[1].public_key);
    sl_zmq_client_expect(client, f->keys[1].public_key, f->server_keys.public_key);
    struct sl_link_peer peer;
    expect_talk(f, client, "hello", &peer);
    assert_string_equal(sl_zmq_client_server_key(client), f->server_keys.public_key);
    sl_link_destroy(client);
    memset(c.next_server_key, 'x', 3);
    assert_int_equal(sl_zmq_client_create(&c, &client, NULL), -SL_INVALID);
    fixture_destroy(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_configurations_are_refused),
        cmocka_unit_test(nothing_queues_for_a_broker_that_is_not_there),
        cmocka_unit_test(the_server_is_known_by_its_key),
        cmocka_unit_test(another_program_on_the_port_is_survived),
        cmocka_unit_test(the_last_message_leaves_before_the_end),
        cmocka_unit_test(the_next_key_of_the_server_is_tried_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
