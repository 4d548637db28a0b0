/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/link/zmq_monitor.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <zmq.h>

#define ADDRESS "inproc://monitor"

int sl_zmq_monitor_open(void *context, void *socket, int events, void **ret_monitor,
                        struct sl_error *err) {
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    int none = 0;
    if (!monitor || zmq_socket_monitor(socket, ADDRESS, events) != 0 ||
        zmq_setsockopt(monitor, ZMQ_LINGER, &none, sizeof none) != 0 ||
        /* A full queue would stop libzmq's thread, and all connections with it. */
        zmq_setsockopt(monitor, ZMQ_RCVHWM, &none, sizeof none) != 0 ||
        zmq_connect(monitor, ADDRESS) != 0) {
        int rc = sl_fail(err, SL_IO, "cannot watch a ZeroMQ socket: %s", zmq_strerror(errno));
        sl_zmq_monitor_close(socket, monitor);
        return rc;
    }
    *ret_monitor = monitor;
    return SL_OK;
}

/* The first frame is the number, 16 bits, and the value, 32 bits; the second one an address. */
uint16_t sl_zmq_monitor_next(void *monitor, uint32_t *ret_value) {
    uint16_t event = 0;
    uint32_t value = 0;
    int more = 1;
    size_t size = sizeof more;
    for (int frame = 0; more; frame++) {
        uint8_t bytes[256];
        int n = zmq_recv(monitor, bytes, sizeof bytes, ZMQ_DONTWAIT);
        if (n < 0) {
            return 0;
        }
        if (frame == 0 && n >= (int)(sizeof event + sizeof value)) {
            memcpy(&event, bytes, sizeof event);
            memcpy(&value, bytes + sizeof event, sizeof value);
        }
        if (zmq_getsockopt(monitor, ZMQ_RCVMORE, &more, &size) != 0) {
            return 0;
        }
    }
    *ret_value = value;
    return event;
}

void sl_zmq_monitor_close(void *socket, void *monitor) {
    if (socket) {
        zmq_socket_monitor(socket, NULL, 0);
    }
    if (monitor) {
        zmq_close(monitor);
    }
}
