/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <zmq.h>

#include "proto/link/link.h"
#include "proto/link/zmq_options.h"
#include "proto/wire/msg_limits.h"

/* What the codec writes, the link carries. */
_Static_assert(SL_LINK_BYTES_MAX == SL_MSG_BYTES_MAX, "one limit in two folders");

static int get_int(void *socket, int option) {
    int value = -7;
    size_t size = sizeof value;
    assert_int_equal(zmq_getsockopt(socket, option, &value, &size), 0);
    return value;
}

static void the_limits_are_really_set(void **state) {
    (void)state;
    void *context = NULL;
    assert_int_equal(sl_zmq_context(&context, NULL), 0);
    void *socket = zmq_socket(context, ZMQ_DEALER);
    assert_int_equal(sl_zmq_set_common(socket, 17, NULL), 0);
    assert_int_equal(get_int(socket, ZMQ_SNDHWM), 17);
    /* 0 would mean no limit to libzmq, and that is what input must have (unread.h). */
    assert_int_equal(get_int(socket, ZMQ_RCVHWM), 0);
    assert_int_equal(sl_zmq_set_common(socket, 0, NULL), 0);
    assert_int_equal(get_int(socket, ZMQ_SNDHWM), SL_ZMQ_HWM_DEFAULT);
    assert_int_equal(sl_zmq_set_common(socket, -1, NULL), 0);
    assert_int_equal(get_int(socket, ZMQ_SNDHWM), SL_ZMQ_HWM_DEFAULT);
    assert_true(get_int(socket, ZMQ_HEARTBEAT_IVL) > 0);
    assert_true(get_int(socket, ZMQ_HEARTBEAT_TIMEOUT) > get_int(socket, ZMQ_HEARTBEAT_IVL));
    assert_true(get_int(socket, ZMQ_HANDSHAKE_IVL) < 30000);
    assert_true(get_int(socket, ZMQ_LINGER) >= 0 && get_int(socket, ZMQ_LINGER) < 1000);
    int64_t size_max = 0;
    size_t size = sizeof size_max;
    assert_int_equal(zmq_getsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, &size), 0);
    assert_true(size_max >= SL_MSG_BYTES_MAX + 33 && size_max < SL_MSG_BYTES_MAX + 65536);
    zmq_close(socket);
    sl_zmq_context_end(context);
    sl_zmq_context_end(NULL);
}

static void a_refused_option_names_itself_but_no_secret(void **state) {
    (void)state;
    void *context = NULL;
    assert_int_equal(sl_zmq_context(&context, NULL), 0);
    void *socket = zmq_socket(context, ZMQ_DEALER);
    struct sl_error err = {0};
    const struct sl_zmq_option bad[] = {{ZMQ_LINGER, 0, "ZMQ_LINGER"}, {9999, 1, "ZMQ_FUTURE"}};
    assert_int_equal(sl_zmq_set(socket, bad, 2, &err), -SL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "ZMQ_FUTURE"));
    assert_int_equal(sl_zmq_set_text(socket, ZMQ_CURVE_SECRETKEY, "hush", "secret key", &err),
                     -SL_INVALID);
    assert_null(strstr(err.text, "hush"));
    zmq_close(socket);
    sl_zmq_context_end(context);
}

static void addresses(void **state) {
    (void)state;
    static const struct {
        const char *endpoint;
        int connect;
        int listen;
    } cases[] = {
        {"tcp://127.0.0.1:7600", SL_OK, SL_OK},
        {"tcp://[::1]:7600", SL_OK, SL_OK},
        {"tcp://broker.example:65535", SL_OK, SL_OK},
        {"tcp://*:7600", SL_OK, SL_OK}, /* libzmq itself refuses to connect to it */
        {"tcp://127.0.0.1:0", SL_INVALID, SL_OK},
        {"tcp://127.0.0.1:*", SL_INVALID, SL_OK},
        {"tcp://127.0.0.1:65536", SL_INVALID, SL_INVALID},
        {"tcp://127.0.0.1:076", SL_INVALID, SL_INVALID},
        {"tcp://127.0.0.1:7600 ", SL_INVALID, SL_INVALID},
        {"tcp://127.0.0.1:", SL_INVALID, SL_INVALID},
        {"tcp://127.0.0.1", SL_INVALID, SL_INVALID},
        {"tcp://:7600", SL_INVALID, SL_INVALID},
        {"tcp://", SL_INVALID, SL_INVALID},
        {"127.0.0.1:7600", SL_INVALID, SL_INVALID},
        {"inproc://x:1", SL_INVALID, SL_INVALID},
        {"", SL_INVALID, SL_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int connect = sl_zmq_check_endpoint(cases[i].endpoint, false, NULL);
        int listen = sl_zmq_check_endpoint(cases[i].endpoint, true, NULL);
        if (connect != -cases[i].connect || listen != -cases[i].listen) {
            fail_msg("'%s': %d %d", cases[i].endpoint, connect, listen);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limits_are_really_set),
        cmocka_unit_test(a_refused_option_names_itself_but_no_secret),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
