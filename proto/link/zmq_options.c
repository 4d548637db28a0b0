/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/link/zmq_options.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "proto/link/link.h"

/* CURVE wraps a message in a frame of its own: 33 bytes more. */
#define ENVELOPE_ROOM 256
/* DRAFT in libzmq 4.3, hence not in its header, yet it works by its number: without a handler, a
 * domain that is not enforced lets everybody in. */
#define ZAP_ENFORCE_DOMAIN 93

int sl_zmq_set(void *socket, const struct sl_zmq_option *options, size_t n, struct sl_error *err) {
    for (size_t i = 0; i < n; i++) {
        const struct sl_zmq_option *o = &options[i];
        if (zmq_setsockopt(socket, o->option, &o->value, sizeof o->value) != 0) {
            return sl_fail(err, SL_UNSUPPORTED, "this libzmq does not take %s = %d: %s", o->name,
                           o->value, zmq_strerror(errno));
        }
    }
    return SL_OK;
}

int sl_zmq_set_text(void *socket, int option, const char *value, const char *name,
                    struct sl_error *err) {
    if (zmq_setsockopt(socket, option, value, strlen(value)) != 0) {
        /* The value may be a secret. */
        return sl_fail(err, SL_INVALID, "libzmq does not take this %s: %s", name,
                       zmq_strerror(errno));
    }
    return SL_OK;
}

int sl_zmq_set_common(void *socket, int hwm, struct sl_error *err) {
    int depth = hwm > 0 ? hwm : SL_ZMQ_HWM_DEFAULT;
    const struct sl_zmq_option options[] = {
        {ZMQ_SNDHWM, depth, "ZMQ_SNDHWM"},
        /* None: a full queue stops the input of its connection, and libzmq 4.3.4 does not survive
         * it when that breaks with a heartbeat under way (its issues 3937 and 4364). What a broker
         * has unread is limited in unread.h; an agent trusts its broker. */
        {ZMQ_RCVHWM, 0, "ZMQ_RCVHWM"},
        /* They find a dead peer below TCP's many minutes: both ends speak every second or two, and
         * what is not acknowledged for so long ends the connection. A program that hangs is found
         * by the sessions' own silence. Not ZeroMQ's heartbeats: with each message libzmq 4.3.4
         * searches the timers of all connections (a quarter of a core with 2,000). */
        {ZMQ_TCP_MAXRT, 6000, "ZMQ_TCP_MAXRT"},
        {ZMQ_TCP_KEEPALIVE, 1, "ZMQ_TCP_KEEPALIVE"},
        {ZMQ_TCP_KEEPALIVE_IDLE, 6, "ZMQ_TCP_KEEPALIVE_IDLE"},
        {ZMQ_TCP_KEEPALIVE_INTVL, 2, "ZMQ_TCP_KEEPALIVE_INTVL"},
        {ZMQ_TCP_KEEPALIVE_CNT, 3, "ZMQ_TCP_KEEPALIVE_CNT"},
        /* Half-open handshakes are cheap to make and cost memory. Not shorter: where thousands come
         * at once to a busy machine, each takes as long as all of them, and if all gave up in the
         * middle and began anew, none would ever end. */
        {ZMQ_HANDSHAKE_IVL, 20000, "ZMQ_HANDSHAKE_IVL"},
        /* Long enough for a goodbye to leave, short enough not to hold up an end. */
        {ZMQ_LINGER, 200, "ZMQ_LINGER"},
        {ZMQ_IPV6, 1, "ZMQ_IPV6"},
    };
    int64_t size_max = (int64_t)SL_LINK_BYTES_MAX + ENVELOPE_ROOM;
    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) != 0) {
        return sl_fail(err, SL_UNSUPPORTED, "this libzmq does not take ZMQ_MAXMSGSIZE: %s",
                       zmq_strerror(errno));
    }
    return sl_zmq_set(socket, options, sizeof options / sizeof options[0], err);
}

int sl_zmq_enforce_domain(void *router, struct sl_error *err) {
    int wanted = 1;
    int value = 0;
    size_t size = sizeof value;
    if (zmq_setsockopt(router, ZAP_ENFORCE_DOMAIN, &wanted, sizeof wanted) != 0 ||
        zmq_getsockopt(router, ZAP_ENFORCE_DOMAIN, &value, &size) != 0 || value != 1) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "this libzmq cannot enforce ZAP (option 93), without which unknown agents "
                       "could be let in; libzmq 4.3 or later is needed");
    }
    return SL_OK;
}

static bool port_good(const char *port, bool any_port) {
    if (any_port && (strcmp(port, "*") == 0 || strcmp(port, "0") == 0)) {
        return true;
    }
    size_t n = strspn(port, "0123456789");
    return n >= 1 && n <= 5 && port[n] == '\0' && port[0] != '0' && strtol(port, NULL, 10) <= 65535;
}

/* libzmq takes some malformed addresses and then never connects. */
int sl_zmq_check_endpoint(const char *endpoint, bool any_port, struct sl_error *err) {
    static const char scheme[] = "tcp://";
    size_t n = sizeof scheme - 1;
    const char *colon = strrchr(endpoint, ':');
    if (strncmp(endpoint, scheme, n) != 0 || colon <= endpoint + n ||
        !port_good(colon + 1, any_port)) {
        return sl_fail(err, SL_INVALID, "'%s' is no address; one is like tcp://127.0.0.1:7600",
                       endpoint);
    }
    return SL_OK;
}

int sl_zmq_split_endpoint(const char *endpoint, char *host, size_t size, const char **ret_port,
                          struct sl_error *err) {
    const char *from = endpoint + strlen("tcp://");
    const char *colon = strrchr(from, ':');
    size_t n = (size_t)(colon - from);
    if (n >= 2 && from[0] == '[' && from[n - 1] == ']') {
        from++;
        n -= 2;
    }
    if (n >= size) {
        return sl_fail(err, SL_INVALID, "'%s': the host is too long", endpoint);
    }
    memcpy(host, from, n);
    host[n] = '\0';
    *ret_port = strcmp(colon + 1, "*") == 0 ? "0" : colon + 1;
    return SL_OK;
}

int sl_zmq_context(void **ret_context, struct sl_error *err) {
    if (!zmq_has("curve")) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "this libzmq was built without CURVE; install the distribution's libzmq5");
    }
    void *context = zmq_ctx_new();
    if (!context) {
        return sl_fail(err, SL_NOMEM, "cannot start ZeroMQ: %s", zmq_strerror(errno));
    }
    *ret_context = context;
    return SL_OK;
}

void sl_zmq_context_end(void *context) {
    while (context && zmq_ctx_term(context) != 0 && errno == EINTR) {}
}
