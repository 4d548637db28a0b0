/* SPDX-License-Identifier: Apache-2.0 */
#include "link_fixture.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#include "proto/base/clock.h"

struct fixture *fixture_create(int allowed) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->dir, "/tmp/sluice-link-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->allowed, sizeof f->allowed, "%s/allowed", f->dir);
    assert_int_equal(sl_link_keys_generate(&f->server_keys, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sl_link_keys_generate(&f->keys[i], NULL), 0);
    }
    fixture_allow(f, 0, allowed);
    return f;
}

void fixture_destroy(struct fixture *f) {
    sl_link_destroy(f->server);
    unlink(f->allowed);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
}

void fixture_allow(struct fixture *f, int first, int count) {
    char fresh[128];
    snprintf(fresh, sizeof fresh, "%s.new", f->allowed);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    fprintf(file, "# agents\n\n");
    for (int i = first; i < first + count; i++) {
        fprintf(file, "%s # agent %d\n", f->keys[i].public_key, i);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, f->allowed), 0);
}

static void serve(struct fixture *f, const char *endpoint, int hwm, int unread_max) {
    struct sl_zmq_server_config config = {.endpoint = endpoint ? endpoint : "tcp://127.0.0.1:*",
                                          .keys = f->server_keys,
                                          .allowed_path = f->allowed,
                                          .hwm = hwm,
                                          .unread_max = unread_max};
    struct sl_error err = {0};
    if (sl_zmq_server_create(&config, &f->server, &err)) {
        fail_msg("%s", err.text);
    }
}

void fixture_serve(struct fixture *f, const char *endpoint, int hwm) {
    serve(f, endpoint, hwm, 0);
}

void fixture_serve_unread(struct fixture *f, int unread_max) {
    serve(f, NULL, 0, unread_max);
}

struct sl_link *fixture_client(const struct fixture *f, int key) {
    struct sl_zmq_client_config config = {.endpoint = sl_zmq_server_endpoint(f->server),
                                          .keys = f->keys[key]};
    memcpy(config.server_key, f->server_keys.public_key, sizeof config.server_key);
    struct sl_link *link = NULL;
    struct sl_error err = {0};
    if (sl_zmq_client_create(&config, &link, &err)) {
        fail_msg("%s", err.text);
    }
    return link;
}

void *fixture_raw(const struct fixture *f, int key, void **ret_context) {
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    assert_non_null(socket);
    int zero = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, f->server_keys.public_key, 40);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, f->keys[key].public_key, 40);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, f->keys[key].secret_key, 40), 0);
    *ret_context = context;
    return socket;
}

void raw_close(void *socket, void *context) {
    zmq_close(socket);
    zmq_ctx_term(context);
}

static int left_ms(struct sl_mono until) {
    int64_t ns = until.ns - sl_clock_mono().ns;
    return ns > 0 ? (int)(ns / SL_NS_PER_MS) + 1 : 0;
}

static void wait_fd(struct sl_link *link, int timeout_ms) {
    struct pollfd p = {.fd = sl_link_fd(link), .events = POLLIN};
    (void)poll(&p, 1, timeout_ms);
}

bool wait_text(struct sl_link *link, struct sl_link_peer *ret_peer, char *text, size_t size,
               int timeout_ms) {
    struct sl_mono until = sl_mono_after_ms(sl_clock_mono(), timeout_ms);
    for (;;) {
        const uint8_t *data = NULL;
        size_t n = 0;
        struct sl_link_peer peer;
        int rc = sl_link_recv(link, &peer, &data, &n, NULL);
        if (rc == SL_OK) {
            assert_true(n < size);
            memcpy(text, data, n);
            text[n] = '\0';
            if (ret_peer) {
                *ret_peer = peer;
            }
            return true;
        }
        assert_int_equal(rc, -SL_AGAIN);
        int left = left_ms(until);
        if (left == 0) {
            return false;
        }
        wait_fd(link, left);
    }
}

bool send_text(struct sl_link *link, const struct sl_link_peer *peer, const char *text,
               int timeout_ms) {
    struct sl_mono until = sl_mono_after_ms(sl_clock_mono(), timeout_ms);
    for (;;) {
        int rc = sl_link_send(link, peer, (const uint8_t *)text, strlen(text), NULL);
        if (rc == SL_OK) {
            return true;
        }
        assert_int_equal(rc, -SL_AGAIN);
        int left = left_ms(until);
        if (left == 0) {
            return false;
        }
        wait_fd(link, left < 20 ? left : 20);
    }
}

void expect_talk(struct fixture *f, struct sl_link *client, const char *text,
                 struct sl_link_peer *ret_peer) {
    char heard[128];
    struct sl_link_peer peer;
    assert_true(send_text(client, NULL, text, 20000));
    assert_true(wait_text(f->server, &peer, heard, sizeof heard, 20000));
    assert_string_equal(heard, text);
    assert_true(send_text(f->server, &peer, "answer", 1000));
    assert_true(wait_text(client, NULL, heard, sizeof heard, 20000));
    assert_string_equal(heard, "answer");
    if (ret_peer) {
        *ret_peer = peer;
    }
}
