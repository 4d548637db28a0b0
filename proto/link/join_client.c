/* SPDX-License-Identifier: Apache-2.0
 * A node's end of the second socket: one message there, one back. A monitor tells how far it came,
 * since ZeroMQ itself would go on trying without a word. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "proto/base/clock.h"
#include "proto/link/join.h"
#include "proto/link/zmq_monitor.h"
#include "proto/link/zmq_options.h"

/* So many tries that met nobody are an answer too, and so many connections that ended before they
 * were secure: more, and over a second, since the front ends those of an address that has many at a
 * time (a rack of nodes that joins at once). */
#define REFUSED_MAX 3
#define ENDED_MAX 9
#define AGAIN_MS 100 /* and up to as much again, by chance */

enum reach { REACH_NONE, REACH_TCP, REACH_SECURE };

struct exchange {
    void *context, *dealer, *monitor;
    enum reach reach;
    int failures;
    bool cut; /* the secure connection ended: an answer could only have come over it */
};

static int set_up(struct exchange *e, const struct sl_join_exchange *x, struct sl_error *err) {
    const struct sl_zmq_option options[] = {
        {ZMQ_LINGER, 0, "ZMQ_LINGER"},
        {ZMQ_IMMEDIATE, 1, "ZMQ_IMMEDIATE"},
        {ZMQ_RECONNECT_IVL, AGAIN_MS, "ZMQ_RECONNECT_IVL"},
        {ZMQ_HANDSHAKE_IVL, 4000, "ZMQ_HANDSHAKE_IVL"},
        {ZMQ_IPV6, 1, "ZMQ_IPV6"},
    };
    const int events = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED |
                       ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                       ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
    int64_t size_max = SL_JOIN_BYTES_MAX + 256;
    e->dealer = zmq_socket(e->context, ZMQ_DEALER);
    if (!e->dealer || zmq_setsockopt(e->dealer, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) != 0) {
        return sl_fail(err, SL_IO, "cannot make a ZeroMQ socket: %s", zmq_strerror(errno));
    }
    int rc = sl_zmq_monitor_open(e->context, e->dealer, events, &e->monitor, err);
    rc = rc ? rc : sl_zmq_set(e->dealer, options, sizeof options / sizeof options[0], err);
    rc = rc ? rc
            : sl_zmq_set_text(e->dealer, ZMQ_CURVE_SERVERKEY, x->server_key, "broker's key", err);
    rc =
        rc ? rc
           : sl_zmq_set_text(e->dealer, ZMQ_CURVE_PUBLICKEY, x->keys.public_key, "public key", err);
    rc =
        rc ? rc
           : sl_zmq_set_text(e->dealer, ZMQ_CURVE_SECRETKEY, x->keys.secret_key, "secret key", err);
    if (rc == SL_OK && zmq_connect(e->dealer, x->endpoint) != 0) {
        rc = sl_fail(err, SL_INVALID, "cannot use the address %s: %s", x->endpoint,
                     zmq_strerror(errno));
    }
    return rc;
}

static void note_reach(struct exchange *e) {
    uint32_t value = 0;
    for (uint16_t event = 0; (event = sl_zmq_monitor_next(e->monitor, &value)) != 0;) {
        enum reach now = event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED ? REACH_SECURE
                         : event == ZMQ_EVENT_CONNECTED         ? REACH_TCP
                                                                : REACH_NONE;
        e->cut = e->cut || (e->reach == REACH_SECURE && event == ZMQ_EVENT_DISCONNECTED);
        e->reach = now > e->reach ? now : e->reach;
        e->failures += event == ZMQ_EVENT_CONNECT_RETRIED;
    }
}

static int no_answer(const struct exchange *e, const char *endpoint, struct sl_error *err) {
    switch (e->reach) {
    case REACH_NONE:
        return sl_fail(
            err, SL_CLOSED,
            "nobody answers at %s: see that the broker runs, that its agents.join_listen "
            "is reachable from here and that no firewall stands between",
            endpoint);
    case REACH_TCP:
        return sl_fail(err, SL_DENIED,
                       "whoever answers at %s does not hold the broker's key that the token names: "
                       "the token is for another site, the broker has new keys, or it is flooded "
                       "with connections. Nothing was sent",
                       endpoint);
    case REACH_SECURE:
    default:
        return sl_fail(err, SL_TIMEOUT, "the broker at %s does not answer now; try again",
                       endpoint);
    }
}

static int talk(struct exchange *e, const struct sl_join_exchange *x, const uint8_t *data,
                size_t size, uint8_t *ret_data, size_t *ret_size, struct sl_error *err) {
    struct sl_mono until = sl_mono_after_ms(sl_clock_mono(), x->timeout_ms);
    bool sent = false;
    for (;;) {
        int64_t left_ms = sl_mono_since_ns(until, sl_clock_mono()) / SL_NS_PER_MS;
        int failures_max = e->reach == REACH_TCP ? ENDED_MAX : REFUSED_MAX;
        if (left_ms <= 0 || (e->failures >= failures_max && e->reach != REACH_SECURE)) {
            return no_answer(e, x->endpoint, err);
        }
        zmq_pollitem_t items[] = {
            {e->dealer, 0, (short)(sent ? ZMQ_POLLIN : ZMQ_POLLOUT), 0},
            {e->monitor, 0, ZMQ_POLLIN, 0},
        };
        bool cut = e->cut && sent; /* what came before the end is still read */
        if (zmq_poll(items, 2, cut ? 0 : (long)left_ms) < 0 && errno != EINTR) {
            return sl_fail(err, SL_IO, "the joining socket failed: %s", zmq_strerror(errno));
        }
        if (items[1].revents) {
            note_reach(e);
        }
        if (items[0].revents & ZMQ_POLLOUT) {
            sent = zmq_send(e->dealer, data, size, ZMQ_DONTWAIT) >= 0;
            e->cut = false; /* of an earlier connection */
        } else if (items[0].revents & ZMQ_POLLIN) {
            int n = zmq_recv(e->dealer, ret_data, SL_JOIN_BYTES_MAX, ZMQ_DONTWAIT);
            if (n >= 0 && n <= SL_JOIN_BYTES_MAX) {
                *ret_size = (size_t)n;
                return SL_OK;
            }
        } else if (cut) {
            return no_answer(e, x->endpoint, err);
        }
    }
}

int sl_join_exchange(const struct sl_join_exchange *exchange, const uint8_t *data, size_t size,
                     uint8_t ret_data[SL_JOIN_BYTES_MAX], size_t *ret_size, struct sl_error *err) {
    if (size > SL_JOIN_BYTES_MAX) {
        return sl_fail(err, SL_LIMIT, "a request of %zu bytes, at most %d are taken", size,
                       SL_JOIN_BYTES_MAX);
    }
    struct exchange e = {0};
    int rc = sl_zmq_check_endpoint(exchange->endpoint, false, err);
    rc = rc ? rc : sl_link_key_check(exchange->server_key, err);
    rc = rc ? rc : sl_zmq_context(&e.context, err);
    rc = rc ? rc : set_up(&e, exchange, err);
    rc = rc ? rc : talk(&e, exchange, data, size, ret_data, ret_size, err);
    sl_zmq_monitor_close(e.dealer, e.monitor);
    if (e.dealer) {
        zmq_close(e.dealer);
    }
    sl_zmq_context_end(e.context);
    return rc;
}
