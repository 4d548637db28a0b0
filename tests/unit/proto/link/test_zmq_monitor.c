/* SPDX-License-Identifier: Apache-2.0
 * Events of a socket's connections, with their values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <zmq.h>

#include "proto/link/zmq_monitor.h"

static uint16_t wait_event(void *monitor, uint32_t *ret_value) {
    zmq_pollitem_t item = {monitor, 0, ZMQ_POLLIN, 0};
    return zmq_poll(&item, 1, 10000) == 1 ? sl_zmq_monitor_next(monitor, ret_value) : 0;
}

static void events_and_values(void **state) {
    (void)state;
    void *context = zmq_ctx_new();
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    void *monitor = NULL;
    uint32_t value = 0;
    int none = 0;
    zmq_setsockopt(dealer, ZMQ_LINGER, &none, sizeof none);
    int events = ZMQ_EVENT_BIND_FAILED | ZMQ_EVENT_LISTENING;
    assert_int_equal(sl_zmq_monitor_open(context, dealer, events, &monitor, NULL), SL_OK);
    assert_int_equal(sl_zmq_monitor_next(monitor, &value), 0); /* nothing yet */
    assert_int_equal(zmq_bind(dealer, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(wait_event(monitor, &value), ZMQ_EVENT_LISTENING);
    char taken[128];
    size_t size = sizeof taken;
    assert_int_equal(zmq_getsockopt(dealer, ZMQ_LAST_ENDPOINT, taken, &size), 0);
    assert_int_equal(zmq_bind(dealer, taken), -1);
    assert_int_equal(wait_event(monitor, &value), ZMQ_EVENT_BIND_FAILED);
    assert_int_equal(value, EADDRINUSE);
    assert_int_equal(sl_zmq_monitor_next(monitor, &value), 0);
    /* A second one has no address any more: told, and nothing is left behind. */
    void *other = zmq_socket(context, ZMQ_DEALER);
    void *second = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_zmq_monitor_open(context, other, events, &second, &err), -SL_IO);
    assert_non_null(err.text[0] ? err.text : NULL);
    assert_null(second);
    zmq_close(other);
    sl_zmq_monitor_close(dealer, monitor);
    zmq_close(dealer);
    sl_zmq_monitor_close(NULL, NULL);
    zmq_ctx_term(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(events_and_values)};
    return cmocka_run_group_tests_name("zmq_monitor", tests, NULL, NULL);
}
