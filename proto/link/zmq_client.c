/* SPDX-License-Identifier: Apache-2.0
 * The agent's end: DEALER, CURVE client. ZeroMQ connects and reconnects in the background. */
#include "proto/link/link.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <zmq.h>

#include "proto/base/clock.h"
#include "proto/base/text.h"
#include "proto/link/zmq_options.h"

/* libzmq gives an address up for ever when something there does not speak its protocol, for
 * instance another program that took the broker's port for a while. So when nothing can be sent for
 * this long, the address is dropped and taken up again. */
#define RENEW_NS (5 * SL_NS_PER_S)

struct zmq_client {
    struct sl_link link; /* first */
    void *context;       /* its own; NULL: it uses the caller's */
    void *dealer;
    char *endpoint;
    struct sl_mono stuck_since; /* 0: the last send went out */
    bool stuck_long;
    char public_key[SL_LINK_KEY_MAX];
    zmq_msg_t message;                    /* what recv returned last */
    struct sl_link_peer server;           /* its key: of the present or last connection */
    char server_keys[2][SL_LINK_KEY_MAX]; /* either may be the server's; the second may be empty */
};

static struct zmq_client *client_of(struct sl_link *link) {
    return (struct zmq_client *)link;
}

static int client_fd(struct sl_link *link) {
    int fd = -1;
    size_t size = sizeof fd;
    int rc = zmq_getsockopt(client_of(link)->dealer, ZMQ_FD, &fd, &size);
    sl_assert(rc == 0);
    return fd;
}

static int client_recv(struct sl_link *link, struct sl_link_peer *ret_peer,
                       const uint8_t **ret_data, size_t *ret_size, struct sl_error *err) {
    struct zmq_client *c = client_of(link);
    bool inside = false; /* of a message of several frames, which is none of ours */
    for (;;) {
        if (zmq_msg_recv(&c->message, c->dealer, ZMQ_DONTWAIT) < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno == EAGAIN ? -SL_AGAIN
                                   : sl_fail(err, SL_CLOSED, "the broker's socket is closed");
        }
        bool more = zmq_msg_more(&c->message);
        bool whole = !inside && !more;
        inside = more;
        if (whole) {
            *ret_peer = c->server;
            *ret_data = zmq_msg_data(&c->message);
            *ret_size = zmq_msg_size(&c->message);
            return SL_OK;
        }
    }
}

/* With the other key, where there are two: nothing tells a server that is away from one that has
 * changed its key. */
static void connect_anew(struct zmq_client *c) {
    bool first = strcmp(c->server.key, c->server_keys[0]) == 0;
    const char *key = first && c->server_keys[1][0] ? c->server_keys[1] : c->server_keys[0];
    (void)zmq_disconnect(c->dealer, c->endpoint); /* fails when libzmq forgot it itself */
    if (zmq_setsockopt(c->dealer, ZMQ_CURVE_SERVERKEY, key, strlen(key)) == 0) {
        memcpy(c->server.key, key, sizeof c->server.key);
    }
    (void)zmq_connect(c->dealer, c->endpoint); /* the address was good before */
}

static void renew_when_stuck(struct zmq_client *c) {
    struct sl_mono now = sl_clock_mono();
    if (c->stuck_since.ns == 0) {
        c->stuck_since = now;
    }
    if (sl_mono_since_ns(now, c->stuck_since) > RENEW_NS) {
        c->stuck_since = now;
        c->stuck_long = true;
        connect_anew(c);
    }
}

static int client_send(struct sl_link *link, const struct sl_link_peer *peer, const uint8_t *data,
                       size_t size, struct sl_error *err) {
    (void)peer;
    struct zmq_client *c = client_of(link);
    if (size > SL_LINK_BYTES_MAX) {
        return sl_fail(err, SL_LIMIT, "a message of %zu bytes, at most %d can be sent", size,
                       SL_LINK_BYTES_MAX);
    }
    for (;;) {
        if (zmq_send(c->dealer, data, size, ZMQ_DONTWAIT) >= 0) {
            c->stuck_since.ns = 0;
            c->stuck_long = false;
            return SL_OK;
        }
        if (errno == EAGAIN) {
            renew_when_stuck(c);
            return c->stuck_long
                       ? sl_fail(err, SL_AGAIN,
                                 "no connection to the broker at %s; if it runs, see that this "
                                 "agent's public key %s is admitted there (`sluice agents ls`, or "
                                 "its file of allowed keys; a revoked key never is) and that its "
                                 "own key is the one configured here",
                                 c->endpoint, c->public_key)
                       : sl_fail(err, SL_AGAIN,
                                 "no connection to the broker, or its queue is full");
        }
        if (errno != EINTR) {
            return sl_fail(err, SL_CLOSED, "cannot send to the broker: %s", zmq_strerror(errno));
        }
    }
}

static void client_destroy(struct sl_link *link) {
    struct zmq_client *c = client_of(link);
    zmq_msg_close(&c->message);
    if (c->dealer) {
        zmq_close(c->dealer);
    }
    sl_zmq_context_end(c->context);
    free(c->endpoint);
    free(c);
}

static const struct sl_link_ops client_ops = {
    .fd = client_fd,
    .recv = client_recv,
    .send = client_send,
    .destroy = client_destroy,
};

/* base .. base + spread - 1; without randomness the base, which is only less polite. */
static int jittered(int base, int spread) {
    unsigned random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) {
        return base;
    }
    return base + (int)(random % (unsigned)spread);
}

static int set_options(struct zmq_client *c, const struct sl_zmq_client_config *config,
                       struct sl_error *err) {
    const struct sl_zmq_option options[] = {
        /* Nothing queues for a broker that is away: commands and reports would arrive stale. */
        {ZMQ_IMMEDIATE, 1, "ZMQ_IMMEDIATE"},
        /* Doubles from the first to the second; differs by agent, so that a fleet does not come
         * back in step after the broker's restart. */
        {ZMQ_RECONNECT_IVL, jittered(100, 100), "ZMQ_RECONNECT_IVL"},
        {ZMQ_RECONNECT_IVL_MAX, jittered(1500, 1000), "ZMQ_RECONNECT_IVL_MAX"},
        {ZMQ_CONNECT_TIMEOUT, 5000, "ZMQ_CONNECT_TIMEOUT"},
    };
    int rc = sl_zmq_set_common(c->dealer, 0, err);
    rc = rc ? rc : sl_zmq_set(c->dealer, options, sizeof options / sizeof options[0], err);
    rc = rc ? rc
            : sl_zmq_set_text(c->dealer, ZMQ_CURVE_SERVERKEY, config->server_key, "broker's key",
                              err);
    rc = rc ? rc
            : sl_zmq_set_text(c->dealer, ZMQ_CURVE_PUBLICKEY, config->keys.public_key, "public key",
                              err);
    return rc ? rc
              : sl_zmq_set_text(c->dealer, ZMQ_CURVE_SECRETKEY, config->keys.secret_key,
                                "secret key", err);
}

static int check_keys(const struct sl_zmq_client_config *config, struct sl_error *err) {
    int rc = sl_link_key_check(config->server_key, err);
    if (rc) {
        sl_wrap(err, "the broker's public key");
        return rc;
    }
    rc = config->next_server_key[0] ? sl_link_key_check(config->next_server_key, err) : SL_OK;
    if (rc) {
        sl_wrap(err, "the broker's next public key");
        return rc;
    }
    rc = sl_link_key_check(config->keys.public_key, err);
    rc = rc ? rc : sl_link_key_check(config->keys.secret_key, err);
    if (rc) {
        sl_wrap(err, "the agent's keys");
    }
    return rc;
}

static int open_client(struct zmq_client *c, const struct sl_zmq_client_config *config,
                       struct sl_error *err) {
    int rc = sl_zmq_check_endpoint(config->endpoint, false, err);
    rc = rc ? rc : check_keys(config, err);
    rc = rc || config->context ? rc : sl_zmq_context(&c->context, err);
    if (rc) {
        return rc;
    }
    c->endpoint = strdup(config->endpoint);
    if (!c->endpoint) {
        return sl_fail(err, SL_NOMEM, "no memory for the broker's socket");
    }
    c->dealer = zmq_socket(config->context ? config->context : c->context, ZMQ_DEALER);
    if (!c->dealer) {
        return sl_fail(err, SL_IO, "cannot make a ZeroMQ socket: %s", zmq_strerror(errno));
    }
    rc = set_options(c, config, err);
    if (rc) {
        return rc;
    }
    if (zmq_connect(c->dealer, config->endpoint) != 0) {
        return sl_fail(err, SL_INVALID,
                       "cannot use the broker's address %s: %s; an address is like "
                       "tcp://127.0.0.1:7600",
                       config->endpoint, zmq_strerror(errno));
    }
    return SL_OK;
}

int sl_zmq_client_create(const struct sl_zmq_client_config *config, struct sl_link **ret_link,
                         struct sl_error *err) {
    struct zmq_client *c = calloc(1, sizeof *c);
    if (!c) {
        return sl_fail(err, SL_NOMEM, "no memory for the broker's socket");
    }
    c->link.ops = &client_ops;
    zmq_msg_init(&c->message);
    memcpy(c->server.key, config->server_key, sizeof c->server.key);
    memcpy(c->server_keys[0], config->server_key, sizeof c->server_keys[0]);
    memcpy(c->server_keys[1], config->next_server_key, sizeof c->server_keys[1]);
    c->server.conn = 1;
    memcpy(c->public_key, config->keys.public_key, sizeof c->public_key);
    int rc = open_client(c, config, err);
    if (rc) {
        client_destroy(&c->link);
        return rc;
    }
    *ret_link = &c->link;
    return SL_OK;
}

void sl_zmq_client_expect(struct sl_link *link, const char *server_key,
                          const char *next_server_key) {
    struct zmq_client *c = client_of(link);
    sl_text_copy(c->server_keys[0], sizeof c->server_keys[0], server_key);
    sl_text_copy(c->server_keys[1], sizeof c->server_keys[1], next_server_key);
}

const char *sl_zmq_client_server_key(struct sl_link *link) {
    return client_of(link)->server.key;
}
