/* SPDX-License-Identifier: Apache-2.0
 * Asks the handler as libzmq does, and as libzmq never would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "link_fixture.h"
#include "proto/link/zap.h"

struct part {
    const void *data;
    size_t size;
};

/* Sends the parts, returns the status; user gets the User-Id. */
static int ask(void *socket, const struct part *parts, int n, char *user) {
    for (int i = 0; i < n; i++) {
        int rc = zmq_send(socket, parts[i].data, parts[i].size, i + 1 < n ? ZMQ_SNDMORE : 0);
        assert_int_equal(rc, parts[i].size);
    }
    char frames[6][300];
    for (int i = 0; i < 6; i++) {
        int got = zmq_recv(socket, frames[i], sizeof frames[i] - 1, 0);
        if (got < 0) {
            fail_msg("no answer");
        }
        frames[i][got] = '\0';
    }
    int more = 0;
    size_t size = sizeof more;
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    assert_int_equal(more, 0);
    assert_string_equal(frames[0], "1.0");
    if (n > 1 && parts[1].size < 200) {
        assert_memory_equal(frames[1], parts[1].data, parts[1].size); /* the request's id */
    }
    strcpy(user, frames[4]);
    return atoi(frames[2]);
}

static void only_good_requests_of_allowed_keys_pass(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    SL_AUTO(sl_allow) allow = NULL;
    struct sl_zap *zap = NULL;
    void *context = zmq_ctx_new();
    assert_int_equal(sl_allow_create(f->allowed, &allow, NULL), 0);
    assert_int_equal(sl_zap_start(context, "dom", allow, &zap, NULL), 0);
    void *socket = zmq_socket(context, ZMQ_REQ);
    int timeout = 5000;
    int zero = 0;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    assert_int_equal(zmq_connect(socket, "inproc://zeromq.zap.01"), 0);
    uint8_t good[33] = {0};
    uint8_t stranger[32];
    char copy[41];
    strcpy(copy, f->keys[0].public_key);
    zmq_z85_decode(good, copy);
    strcpy(copy, f->keys[1].public_key);
    zmq_z85_decode(stranger, copy);
    char large[4096];
    memset(large, 'x', sizeof large);
#define REQUEST(version, domain, mechanism, ...)                                                   \
    {                                                                                              \
        {version, sizeof(version) - 1}, {"id7", 3}, {domain, sizeof(domain) - 1},                  \
            {"127.0.0.1", 9}, {"", 0}, {mechanism, sizeof(mechanism) - 1}, __VA_ARGS__             \
    }
    const struct {
        struct part parts[9];
        int n;
        int status;
        const char *why;
    } cases[] = {
        {REQUEST("1.0", "dom", "CURVE", {good, 32}), 7, 200, "as it should be"},
        {REQUEST("1.0", "dom", "CURVE", {stranger, 32}), 7, 300, "unknown key"},
        {REQUEST("1.0", "dom", "CURVE", {good, 31}), 7, 300, "a byte short"},
        {REQUEST("1.0", "dom", "CURVE", {good, 33}), 7, 300, "a byte more"},
        {REQUEST("1.0", "dom", "CURVE", {large, 4096}), 7, 300, "a huge key"},
        {REQUEST("1.0", "", "CURVE", {good, 32}), 7, 300, "no domain"},
        {REQUEST("1.0", "domain", "CURVE", {good, 32}), 7, 300, "another domain"},
        {REQUEST("1.1", "dom", "CURVE", {good, 32}), 7, 300, "another version"},
        {REQUEST("1.0", "dom", "PLAIN", {good, 32}), 7, 300, "another mechanism"},
        {REQUEST("1.0", "dom", "NULL", {good, 32}), 6, 500, "no credentials"},
        {REQUEST("1.0", "dom", "CURVE", {good, 32}, {"more", 4}), 8, 500, "a frame too many"},
        {{{"1.0", 3}}, 1, 500, "one frame"},
        {REQUEST("1.0", "dom", "CURVE", {good, 32}), 7, 200, "and good ones still pass"},
    };
    uint64_t refused = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char user[300];
        int status = ask(socket, cases[i].parts, cases[i].n, user);
        if (status != cases[i].status) {
            fail_msg("%s: %d", cases[i].why, status);
        }
        assert_string_equal(user, status == 200 ? f->keys[0].public_key : "");
        refused += status != 200;
        assert_int_equal(sl_zap_refused(zap), refused);
    }
    zmq_close(socket);
    sl_zap_stop(zap);
    sl_zap_stop(zap);
    assert_int_equal(sl_zap_refused(zap), refused);
    sl_zap_destroy(zap);
    sl_zap_destroy(NULL);
    zmq_ctx_term(context);
    fixture_destroy(f);
}

static void a_second_handler_in_one_context_is_refused(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    SL_AUTO(sl_allow) allow = NULL;
    struct sl_zap *zap = NULL;
    struct sl_zap *second = NULL;
    void *context = zmq_ctx_new();
    struct sl_error err = {0};
    assert_int_equal(sl_allow_create(f->allowed, &allow, NULL), 0);
    assert_int_equal(sl_zap_start(context, "dom", allow, &zap, NULL), 0);
    assert_int_equal(sl_zap_start(context, "dom", allow, &second, &err), -SL_IO);
    assert_null(second);
    sl_zap_destroy(zap);
    zmq_ctx_term(context);
    fixture_destroy(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_good_requests_of_allowed_keys_pass),
        cmocka_unit_test(a_second_handler_in_one_context_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
