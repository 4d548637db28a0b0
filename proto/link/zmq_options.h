/* SPDX-License-Identifier: Apache-2.0
 * Inside of the link: what both ends of the ZeroMQ transport set. */
#ifndef SLUICE_PROTO_LINK_ZMQ_OPTIONS_H
#define SLUICE_PROTO_LINK_ZMQ_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/error.h"

#define SL_ZMQ_HWM_DEFAULT 1000

/* One row: name is for the error text. */
struct sl_zmq_option {
    int option;
    int value;
    const char *name;
};

int sl_zmq_set(void *socket, const struct sl_zmq_option *options, size_t n, struct sl_error *err);
int sl_zmq_set_text(void *socket, int option, const char *value, const char *name,
                    struct sl_error *err);
/* Limits, dead peers and time limits. hwm: of sending; <= 0: the default. */
int sl_zmq_set_common(void *socket, int hwm, struct sl_error *err);
/* Without a ZAP handler nobody is let in, in place of everybody. -SL_UNSUPPORTED: too old. */
int sl_zmq_enforce_domain(void *router, struct sl_error *err);
/* "tcp://HOST:PORT"; -SL_INVALID otherwise. any_port: 0 and * are possible too (to listen on). */
int sl_zmq_check_endpoint(const char *endpoint, bool any_port, struct sl_error *err);
/* Of a checked one: the host without brackets ("*": everywhere), and the port within `endpoint`
 * ("0" for *). */
int sl_zmq_split_endpoint(const char *endpoint, char *host, size_t size, const char **ret_port,
                          struct sl_error *err);
/* A context without CURVE is refused. */
int sl_zmq_context(void **ret_context, struct sl_error *err);
/* zmq_ctx_term, whatever signals arrive. */
void sl_zmq_context_end(void *context);

#endif
