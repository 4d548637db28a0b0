/* SPDX-License-Identifier: Apache-2.0
 * What becomes of a ZeroMQ socket's connections, which it tells nobody otherwise. Thread: the
 * socket's. */
#ifndef SLUICE_PROTO_LINK_ZMQ_MONITOR_H
#define SLUICE_PROTO_LINK_ZMQ_MONITOR_H

#include <stdint.h>

#include "proto/base/error.h"

/* events: bits of ZMQ_EVENT_... *ret_monitor is a socket of the same context, readable while there
 * are events; close it by the call below, after which `socket` may be closed. One a context. */
int sl_zmq_monitor_open(void *context, void *socket, int events, void **ret_monitor,
                        struct sl_error *err);
/* The next event's bit, and its value (an errno, a protocol error: zmq_socket_monitor(3)); 0: there
 * is none now. */
uint16_t sl_zmq_monitor_next(void *monitor, uint32_t *ret_value);
/* NULLs are passed over. */
void sl_zmq_monitor_close(void *socket, void *monitor);

#endif
