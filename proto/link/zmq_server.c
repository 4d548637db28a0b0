/* SPDX-License-Identifier: Apache-2.0
 * The broker's end: ROUTER, CURVE server, keys checked by a ZAP handler (zap.c). */
#include "proto/link/link.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "proto/link/allow.h"
#include "proto/link/conns.h"
#include "proto/link/crowd.h"
#include "proto/link/unread.h"
#include "proto/link/zap.h"
#include "proto/link/zmq_options.h"

/* The socket is emptied when so many were read and it still gave more: some milliseconds' work.
 * With a few, a broker that kept up would let newer reports replace what it had time to read... */
#define EMPTY_AFTER 1024
/* ...of so many at a time, for a flood must not keep those who wait from being served. */
#define EMPTY_MAX 65536
/* Of one agent: more than its windows of results and shares (agent/core) and minutes of reports. */
#define UNREAD_MAX 8192
#define UNREAD_BYTES_MAX ((size_t)3 * SL_LINK_BYTES_MAX)
#define UNREAD_TOTAL_MAX ((size_t)256 << 20)
#define ZAP_DOMAIN "sluice.agents"
#define CONNS_MAX 8192
#define BACKLOG 4096
/* What ZeroMQ gives a peer that did not choose an id: a zero byte and 32 bits. */
#define ROUTING_ID_BYTES 5

struct zmq_server {
    struct sl_link link; /* first */
    void *context;
    void *router;
    struct sl_zap *zap;
    struct sl_allow *allow;
    struct sl_conns *conns;
    struct sl_crowd *crowd; /* NULL: no limit */
    struct sl_unread *unread;
    bool (*newest_only)(const uint8_t *data, size_t size);
    uint32_t read;     /* since the socket was found empty, or was emptied */
    zmq_msg_t message; /* what recv returned last */
    char endpoint[256];
};

static struct zmq_server *server_of(struct sl_link *link) {
    return (struct zmq_server *)link;
}

static int server_fd(struct sl_link *link) {
    int fd = -1;
    size_t size = sizeof fd;
    int rc = zmq_getsockopt(server_of(link)->router, ZMQ_FD, &fd, &size);
    sl_assert(rc == 0);
    return fd;
}

/* SL_OK, -SL_AGAIN or -SL_CLOSED. */
static int receive_frame(void *socket, zmq_msg_t *frame) {
    for (;;) {
        if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) >= 0) {
            return SL_OK;
        }
        if (errno != EINTR) {
            return errno == EAGAIN ? -SL_AGAIN : -SL_CLOSED;
        }
    }
}

/* A message is [routing id][payload]. SL_OK also for one in another form: then *ret_good is false,
 * and the message has been read to its end. */
static int receive_message(struct zmq_server *s, uint32_t *ret_id, bool *ret_good) {
    zmq_msg_t id;
    zmq_msg_init(&id);
    int rc = receive_frame(s->router, &id);
    if (rc) {
        zmq_msg_close(&id);
        return rc;
    }
    const uint8_t *bytes = zmq_msg_data(&id);
    bool good = zmq_msg_size(&id) == ROUTING_ID_BYTES && bytes[0] == 0;
    if (good) {
        memcpy(ret_id, bytes + 1, sizeof *ret_id);
    }
    bool more = zmq_msg_more(&id);
    good = good && more;
    zmq_msg_close(&id);
    for (int frame = 0; more; frame++) {
        rc = receive_frame(s->router, &s->message);
        if (rc) { /* frames of a message arrive together */
            return -SL_CLOSED;
        }
        more = zmq_msg_more(&s->message);
        good = good && !more && frame == 0;
    }
    *ret_good = good;
    return SL_OK;
}

/* Whoever chose a routing id or sent several frames is not one of ours. A key that left the file is
 * no longer heard, though ZeroMQ cannot close its connection. NULL: not to be heard. */
static const char *key_of(struct zmq_server *s, bool good) {
    const char *key = good ? zmq_msg_gets(&s->message, "User-Id") : NULL;
    bool heard = key && strlen(key) == SL_LINK_KEY_MAX - 1 && sl_allow_has(s->allow, key, false);
    return heard ? key : NULL;
}

/* We are behind: into our own queues with what there is (unread.h). */
static int empty_socket(struct zmq_server *s) {
    int rc = SL_OK;
    s->read = 0;
    for (int i = 0; rc == SL_OK && i < EMPTY_MAX; i++) {
        uint32_t id = 0;
        bool good = false;
        rc = receive_message(s, &id, &good);
        if (rc == SL_OK && key_of(s, good)) {
            bool newest = s->newest_only &&
                          s->newest_only(zmq_msg_data(&s->message), zmq_msg_size(&s->message));
            sl_unread_put(s->unread, id, newest, &s->message);
        }
    }
    return rc == -SL_AGAIN ? SL_OK : rc;
}

static int next_message(struct zmq_server *s, uint32_t *ret_id, bool *ret_good) {
    int rc = s->read < EMPTY_AFTER ? SL_OK : empty_socket(s);
    if (rc) {
        return rc;
    }
    s->read++;
    if (sl_unread_take(s->unread, ret_id, &s->message)) {
        *ret_good = true;
        return SL_OK;
    }
    rc = receive_message(s, ret_id, ret_good);
    s->read = rc == -SL_AGAIN ? 0 : s->read;
    return rc;
}

static int server_recv(struct sl_link *link, struct sl_link_peer *ret_peer,
                       const uint8_t **ret_data, size_t *ret_size, struct sl_error *err) {
    struct zmq_server *s = server_of(link);
    for (;;) {
        uint32_t id = 0;
        bool good = false;
        int rc = next_message(s, &id, &good);
        if (rc == -SL_AGAIN) {
            return rc;
        }
        if (rc) {
            return sl_fail(err, SL_CLOSED, "the agents' socket is closed");
        }
        const char *key = key_of(s, good);
        if (!key) {
            continue;
        }
        memcpy(ret_peer->key, key, SL_LINK_KEY_MAX);
        ret_peer->conn = sl_conns_seen(s->conns, id, key);
        *ret_data = zmq_msg_data(&s->message);
        *ret_size = zmq_msg_size(&s->message);
        return SL_OK;
    }
}

static int send_frame(void *socket, const void *data, size_t size, int flags) {
    int n;
    do {
        n = zmq_send(socket, data, size, flags | ZMQ_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

static int server_send(struct sl_link *link, const struct sl_link_peer *peer, const uint8_t *data,
                       size_t size, struct sl_error *err) {
    struct zmq_server *s = server_of(link);
    if (size > SL_LINK_BYTES_MAX) {
        return sl_fail(err, SL_LIMIT, "a message of %zu bytes, at most %d can be sent", size,
                       SL_LINK_BYTES_MAX);
    }
    uint8_t id[ROUTING_ID_BYTES] = {0};
    uint32_t number = 0;
    if (!sl_conns_find(s->conns, peer->conn, peer->key, &number) ||
        !sl_allow_has(s->allow, peer->key, false)) {
        return sl_fail(err, SL_CLOSED, "the agent's connection is gone");
    }
    memcpy(id + 1, &number, sizeof number);
    /* ROUTER_MANDATORY makes the first frame fail when the message cannot go out. */
    if (send_frame(s->router, id, sizeof id, ZMQ_SNDMORE) == 0) {
        if (send_frame(s->router, data, size, 0) == 0) {
            return SL_OK;
        }
        return sl_fail(err, SL_CLOSED, "cannot send to the agent: %s", zmq_strerror(errno));
    }
    if (errno == EAGAIN) {
        return sl_fail(err, SL_AGAIN, "the agent's queue is full");
    }
    sl_conns_forget(s->conns, peer->conn);
    return sl_fail(err, SL_CLOSED, "the agent's connection is gone");
}

static void server_destroy(struct sl_link *link) {
    struct zmq_server *s = server_of(link);
    zmq_msg_close(&s->message);
    sl_unread_destroy(s->unread);
    sl_crowd_destroy(s->crowd);
    if (s->router) {
        zmq_close(s->router); /* what was sent goes out meanwhile, within ZMQ_LINGER */
    }
    sl_zap_destroy(s->zap);
    sl_zmq_context_end(s->context);
    sl_allow_destroy(s->allow);
    sl_conns_destroy(s->conns);
    free(s);
}

static const struct sl_link_ops server_ops = {
    .fd = server_fd,
    .recv = server_recv,
    .send = server_send,
    .destroy = server_destroy,
};

static int set_options(struct zmq_server *s, const struct sl_zmq_server_config *config,
                       struct sl_error *err) {
    const struct sl_zmq_option options[] = {
        {ZMQ_ROUTER_MANDATORY, 1, "ZMQ_ROUTER_MANDATORY"},
        {ZMQ_ROUTER_HANDOVER, 0, "ZMQ_ROUTER_HANDOVER"},
        {ZMQ_CURVE_SERVER, 1, "ZMQ_CURVE_SERVER"},
        /* A whole site may come back at once; the kernel cuts it to net.core.somaxconn. */
        {ZMQ_BACKLOG, config->backlog > 0 ? config->backlog : BACKLOG, "ZMQ_BACKLOG"},
    };
    int rc = sl_zmq_set_common(s->router, config->hwm, err);
    rc = rc ? rc : sl_zmq_set(s->router, options, sizeof options / sizeof options[0], err);
    rc = rc ? rc
            : sl_zmq_set_text(s->router, ZMQ_CURVE_SECRETKEY, config->keys.secret_key, "secret key",
                              err);
    rc = rc ? rc : sl_zmq_set_text(s->router, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, "ZAP domain", err);
    return rc ? rc : sl_zmq_enforce_domain(s->router, err);
}

static int bind_router(struct zmq_server *s, const char *endpoint, struct sl_error *err) {
    if (zmq_bind(s->router, endpoint) != 0) {
        if (errno == EADDRINUSE) {
            return sl_fail(err, SL_EXISTS,
                           "%s is in use by another program (perhaps a broker that still runs; "
                           "`ss -ltnp` shows which); stop it, or configure another address",
                           endpoint);
        }
        return sl_fail(err, errno == EINVAL || errno == EPROTONOSUPPORT ? SL_INVALID : SL_IO,
                       "cannot listen on %s: %s; an address is like tcp://127.0.0.1:7600", endpoint,
                       zmq_strerror(errno));
    }
    size_t size = sizeof s->endpoint;
    if (zmq_getsockopt(s->router, ZMQ_LAST_ENDPOINT, s->endpoint, &size) != 0) {
        return sl_fail(err, SL_IO, "cannot tell the address of %s: %s", endpoint,
                       zmq_strerror(errno));
    }
    return SL_OK;
}

static int open_server(struct zmq_server *s, const struct sl_zmq_server_config *config,
                       struct sl_error *err) {
    const struct sl_unread_limits unread = {
        .count = config->unread_max > 0 ? (uint32_t)config->unread_max : UNREAD_MAX,
        .bytes = UNREAD_BYTES_MAX,
        .in_total = UNREAD_TOTAL_MAX,
    };
    int rc = sl_zmq_check_endpoint(config->endpoint, true, err);
    if (rc) {
        return rc;
    }
    rc = sl_link_key_check(config->keys.secret_key, err);
    if (rc) {
        sl_wrap(err, "the broker's secret key");
        return rc;
    }
    rc = sl_allow_create(config->allowed_path, &s->allow, err);
    rc = rc || !config->admission ? rc : sl_allow_admit(s->allow, config->admission, err);
    rc = rc ? rc : sl_conns_create(CONNS_MAX, &s->conns, err);
    rc = rc ? rc : sl_unread_create(&unread, &s->unread, err);
    rc = rc ? rc : sl_zmq_context(&s->context, err);
    rc = rc ? rc : sl_zap_start(s->context, ZAP_DOMAIN, s->allow, &s->zap, err);
    if (rc) {
        return rc;
    }
    s->router = zmq_socket(s->context, ZMQ_ROUTER);
    if (!s->router) {
        return sl_fail(err, SL_IO, "cannot make a ZeroMQ socket: %s", zmq_strerror(errno));
    }
    rc = set_options(s, config, err);
    rc = rc || config->connections_max == 0
             ? rc
             : sl_crowd_create(s->context, s->router, config->connections_max, &s->crowd, err);
    rc = rc ? rc : bind_router(s, config->endpoint, err);
    if (rc == SL_OK && s->crowd) {
        sl_crowd_bound(s->crowd, s->endpoint);
    }
    return rc;
}

int sl_zmq_server_create(const struct sl_zmq_server_config *config, struct sl_link **ret_link,
                         struct sl_error *err) {
    struct zmq_server *s = calloc(1, sizeof *s);
    if (!s) {
        return sl_fail(err, SL_NOMEM, "no memory for the agents' socket");
    }
    s->link.ops = &server_ops;
    s->newest_only = config->newest_only;
    zmq_msg_init(&s->message);
    int rc = open_server(s, config, err);
    if (rc) {
        server_destroy(&s->link);
        return rc;
    }
    *ret_link = &s->link;
    return SL_OK;
}

int sl_zmq_server_admit(struct sl_link *link, const struct sl_link_admission *admission,
                        struct sl_error *err) {
    return sl_allow_admit(server_of(link)->allow, admission, err);
}

const char *sl_zmq_server_endpoint(struct sl_link *link) {
    return server_of(link)->endpoint;
}

int sl_zmq_server_crowd_fd(struct sl_link *link) {
    const struct sl_crowd *crowd = server_of(link)->crowd;
    return crowd ? sl_crowd_fd(crowd) : -1;
}

void sl_zmq_server_mind(struct sl_link *link) {
    struct sl_crowd *crowd = server_of(link)->crowd;
    if (crowd) {
        sl_crowd_mind(crowd);
    }
}

void sl_zmq_server_stop_zap(struct sl_link *link) {
    sl_zap_stop(server_of(link)->zap);
}

uint64_t sl_zmq_server_renew_zap(struct sl_link *link) {
    uint64_t before = sl_zap_renewed(server_of(link)->zap);
    sl_zap_renew(server_of(link)->zap);
    return before;
}

uint64_t sl_zmq_server_refused(struct sl_link *link) {
    return sl_zap_refused(server_of(link)->zap);
}

uint64_t sl_zmq_server_dropped(struct sl_link *link) {
    return sl_unread_dropped(server_of(link)->unread);
}
