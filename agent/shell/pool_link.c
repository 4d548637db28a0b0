/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/pool_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/shell/pool_tls.h"
#include "agent/stratum/socks.h"
#include "proto/base/error.h"

#define READ_BYTES 65536
#define BACKLOG_BYTES_MAX (1u << 20)
#define KEEPALIVE_S 30
#define USER_TIMEOUT_MS 60000

enum stage {
    OPENING = 1, /* resolving, connecting */
    ASKING,      /* the proxy */
    SHAKING,     /* hands, by TLS */
    OPEN,
};

struct sl_pool_conn {
    struct sl_pool_link *link; /* NULL: abandoned */
    enum stage stage;
    char host[SL_POOL_HOST_MAX + 1]; /* the pool's, whoever is connected to */
    uint16_t pool_port;
    bool use_tls, use_proxy;
    struct sl_socks socks;
    struct sl_pool_tls *tls; /* from SHAKING on */
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    uv_tcp_t tcp;
    uint16_t port; /* that is connected to */
    bool resolving;
    bool tcp_open;
    bool closing;                  /* one socket, to try the next address */
    struct addrinfo *found, *next; /* addresses still to be tried */
    char buffer[READ_BYTES];
    char plain[READ_BYTES];
};

struct write {
    uv_write_t request;
    char data[];
};

static void try_next(struct sl_pool_conn *conn, const char *last_reason);

void sl_pool_link_init(struct sl_pool_link *link, uv_loop_t *loop,
                       const struct sl_pool_link_ops *ops, void *context) {
    *link = (struct sl_pool_link){.loop = loop, .ops = ops, .context = context};
}

static void conn_free(struct sl_pool_conn *conn) {
    if (conn->found) {
        uv_freeaddrinfo(conn->found);
    }
    sl_pool_tls_destroy(conn->tls);
    free(conn);
}

static void on_abandoned_closed(uv_handle_t *handle) {
    conn_free(handle->data);
}

/* The connection's callbacks find no link any more; it is freed when the last one has come. */
static void abandon(struct sl_pool_conn *conn) {
    conn->link = NULL;
    if (conn->resolving) {
        uv_cancel((uv_req_t *)&conn->resolve); /* else its callback frees it */
    } else if (conn->tcp_open) {
        conn->tcp_open = false;
        uv_close((uv_handle_t *)&conn->tcp, on_abandoned_closed);
    } else if (!conn->closing) {
        conn_free(conn);
    }
}

static void fail(struct sl_pool_conn *conn, const char *reason) {
    struct sl_pool_link *link = conn->link;
    sl_assert(link); /* abandoned ones report nothing */
    link->conn = NULL;
    abandon(conn);
    link->ops->disconnected(link->context, reason);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret_buf) {
    (void)wanted;
    struct sl_pool_conn *conn = handle->data;
    *ret_buf = uv_buf_init(conn->buffer, sizeof conn->buffer);
}

/* Ciphertext or plain text; a broken connection shows when reading. False: it was ended. */
static bool write_raw(struct sl_pool_conn *conn, const void *data, size_t size);

/* What TLS wants to say. */
static bool flush_tls(struct sl_pool_conn *conn) {
    struct sl_buf *out = sl_pool_tls_output(conn->tls);
    bool good = out->len == 0 || write_raw(conn, out->data, out->len);
    if (good) {
        sl_buf_consume(out, out->len);
    }
    return good;
}

static void open_up(struct sl_pool_conn *conn) {
    conn->stage = OPEN;
    sl_assert(conn->link);
    conn->link->ops->connected(conn->link->context);
}

static void read_tls(struct sl_pool_conn *conn) {
    struct sl_pool_link *link = conn->link;
    struct sl_error err;
    /* What is told may end the connection: then the link has another one, or none. */
    while (link->conn == conn) {
        size_t got = 0;
        int rc = sl_pool_tls_read(conn->tls, conn->plain, sizeof conn->plain, &got, &err);
        if (!flush_tls(conn)) {
            return;
        }
        if (rc < 0) {
            fail(conn, err.text);
            return;
        }
        if (got == 0) {
            return;
        }
        link->ops->received(link->context, conn->plain, got);
    }
}

static void shake(struct sl_pool_conn *conn) {
    struct sl_error err;
    struct sl_pool_link *link = conn->link;
    int rc = sl_pool_tls_shake(conn->tls, &err);
    if (!flush_tls(conn) || rc == -SL_AGAIN) {
        return; /* the alert about a refused certificate goes out too */
    }
    if (rc < 0) {
        fail(conn, err.text);
        return;
    }
    sl_assert(link);
    open_up(conn);
    if (link->conn == conn) {
        read_tls(conn);
    }
}

static void greet_pool(struct sl_pool_conn *conn) {
    struct sl_error err;
    if (!conn->use_tls) {
        open_up(conn);
        return;
    }
    if (!conn->link->trust) {
        fail(conn, "TLS is not set up");
        return;
    }
    if (sl_pool_tls_create(conn->link->trust, conn->host, &conn->tls, &err) < 0) {
        fail(conn, err.text);
        return;
    }
    conn->stage = SHAKING;
    shake(conn);
}

/* Bytes of the peer, whatever they mean now. */
static void take(struct sl_pool_conn *conn, const char *data, size_t size) {
    struct sl_pool_link *link = conn->link;
    struct sl_error err;
    if (conn->stage == ASKING) {
        size_t used = 0;
        int rc = sl_socks_input(&conn->socks, data, size, &used, &err);
        if (conn->socks.output_size > 0 &&
            !write_raw(conn, conn->socks.output, conn->socks.output_size)) {
            return;
        }
        if (rc != SL_OK) {
            if (rc != -SL_AGAIN) {
                fail(conn, err.text);
            }
            return;
        }
        greet_pool(conn);
        data += used;
        size -= used;
    }
    if (link->conn != conn || size == 0) {
        return;
    }
    if (!conn->use_tls) {
        link->ops->received(link->context, data, size);
        return;
    }
    sl_pool_tls_feed(conn->tls, data, size);
    if (conn->stage == SHAKING) {
        shake(conn);
    } else {
        read_tls(conn);
    }
}

static void on_end(struct sl_pool_conn *conn, ssize_t n) {
    const char *what = n == UV_EOF ? "the pool closed the connection" : uv_strerror((int)n);
    if (conn->stage == SHAKING && n == UV_EOF) {
        what = "the pool closed the connection at the beginning of TLS: is this its TLS port?";
    } else if (conn->stage == ASKING && n == UV_EOF) {
        what = "the proxy closed the connection: is this a SOCKS5 proxy?";
    }
    fail(conn, what);
}

/* libuv may read on after a callback that has closed the handle; the link says whether it is ours.
 */
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct sl_pool_conn *conn = stream->data;
    if (!conn->link || n == 0) {
        return;
    }
    if (n < 0) {
        on_end(conn, n);
        return;
    }
    take(conn, buf->base, (size_t)n);
}

/* ---- connecting ---- */

static void on_connected(uv_connect_t *request, int status) {
    struct sl_pool_conn *conn = request->data;
    if (!conn->link) {
        return;
    }
    if (status < 0) {
        try_next(conn, uv_strerror(status));
        return;
    }
    uv_tcp_nodelay(&conn->tcp, 1);
    uv_tcp_keepalive(&conn->tcp, 1, KEEPALIVE_S);
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0) {
        unsigned timeout_ms = USER_TIMEOUT_MS;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    }
    int rc = uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
    if (rc < 0) {
        fail(conn, uv_strerror(rc));
        return;
    }
    if (conn->use_proxy) {
        conn->stage = ASKING;
        (void)write_raw(conn, conn->socks.output, conn->socks.output_size);
    } else {
        greet_pool(conn);
    }
}

/* While others are left to be tried, one that says nothing is given up after 2 or 3 s: a host that
 * is dead behind a name of several, IPv6 that leads nowhere. Else the whole time for the connection
 * would go to it, at each attempt. */
static void limit_silence(struct sl_pool_conn *conn) {
    uv_os_fd_t fd;
    int repeats = 1; /* of the first packet */
    if (conn->next && uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &repeats, sizeof repeats);
    }
}

static int start_connect(struct sl_pool_conn *conn, const struct addrinfo *address) {
    int rc = uv_tcp_init_ex(conn->link->loop, &conn->tcp, (unsigned)address->ai_family);
    if (rc < 0) {
        return rc;
    }
    conn->tcp.data = conn;
    conn->tcp_open = true;
    conn->connect.data = conn;
    limit_silence(conn);
    struct sockaddr_storage to;
    memset(&to, 0, sizeof to);
    memcpy(&to, address->ai_addr, address->ai_addrlen);
    if (to.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&to)->sin6_port = htons(conn->port);
    } else {
        ((struct sockaddr_in *)&to)->sin_port = htons(conn->port);
    }
    return uv_tcp_connect(&conn->connect, &conn->tcp, (const struct sockaddr *)&to, on_connected);
}

static void on_try_again(uv_handle_t *handle) {
    struct sl_pool_conn *conn = handle->data;
    conn->closing = false;
    if (!conn->link) {
        conn_free(conn);
        return;
    }
    try_next(conn, NULL);
}

/* The next address, if any. A failed socket is closed first; that takes a turn of the loop. */
static void try_next(struct sl_pool_conn *conn, const char *last_reason) {
    if (!conn->next) {
        fail(conn, last_reason ? last_reason : "the pool's address cannot be used");
        return;
    }
    if (conn->tcp_open) {
        conn->tcp_open = false;
        conn->closing = true;
        uv_close((uv_handle_t *)&conn->tcp, on_try_again);
        return;
    }
    const struct addrinfo *address = conn->next;
    conn->next = address->ai_next;
    int rc = start_connect(conn, address);
    if (rc < 0) {
        try_next(conn, uv_strerror(rc));
    }
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
    struct sl_pool_conn *conn = request->data;
    conn->resolving = false;
    conn->found = found;
    conn->next = found;
    if (!conn->link) {
        conn_free(conn);
        return;
    }
    if (status < 0) {
        char text[128];
        snprintf(text, sizeof text, "the %s's name cannot be resolved: %s",
                 conn->use_proxy ? "proxy" : "pool", uv_strerror(status));
        fail(conn, text);
        return;
    }
    try_next(conn, NULL);
}

/* Whom to connect to: the pool, or the proxy that is to go on from there. */
static const char *first_hop(struct sl_pool_conn *conn,
                             const struct sl_pool_link_options *options) {
    conn->use_proxy = options && options->proxy.host[0];
    conn->port = conn->use_proxy ? options->proxy.port : conn->pool_port;
    if (!conn->use_proxy) {
        return conn->host;
    }
    /* Lengths were checked with the configuration. */
    struct sl_error err;
    sl_assert(sl_socks_start(&conn->socks, conn->host, conn->pool_port, options->proxy_user,
                             options->proxy_password, &err) == SL_OK);
    return options->proxy.host;
}

/* An address needs no resolver, and must not wait in the queue behind names whose resolver hangs:
 * it may be what somebody has for that very day. It is tried in the next turn of the loop. */
static bool take_literal(struct sl_pool_conn *conn, const char *hop) {
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    if (getaddrinfo(hop, NULL, &hints, &conn->found) != 0) {
        conn->found = NULL;
        return false;
    }
    conn->next = conn->found;
    sl_assert(uv_tcp_init(conn->link->loop, &conn->tcp) == 0);
    conn->tcp.data = conn;
    conn->closing = true;
    uv_close((uv_handle_t *)&conn->tcp, on_try_again);
    return true;
}

void sl_pool_link_connect(struct sl_pool_link *link, const char *host, uint16_t port, bool tls) {
    sl_pool_link_close(link);
    struct sl_pool_conn *conn = calloc(1, sizeof *conn);
    sl_assert(conn);
    conn->link = link;
    conn->stage = OPENING;
    conn->use_tls = tls;
    conn->pool_port = port;
    sl_assert(sl_text_copy(conn->host, sizeof conn->host, host));
    const char *hop = first_hop(conn, link->options);
    link->conn = conn;
    if (take_literal(conn, hop)) {
        return;
    }
    conn->resolve.data = conn;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    conn->resolving = true;
    /* Fails only on arguments that the pool's address cannot have, or without memory. */
    int rc = uv_getaddrinfo(link->loop, &conn->resolve, on_resolved, hop, NULL, &hints);
    sl_assert(rc == 0);
}

/* ---- writing ---- */

static void on_written(uv_write_t *request, int status) {
    (void)status; /* a broken connection shows when reading */
    free(request->data);
}

static bool write_raw(struct sl_pool_conn *conn, const void *data, size_t size) {
    uv_stream_t *stream = (uv_stream_t *)&conn->tcp;
    uv_buf_t buf = uv_buf_init((char *)data, (unsigned)size);
    int n = uv_try_write(stream, &buf, 1);
    size_t done = n > 0 ? (size_t)n : 0;
    if (done == size) {
        return true;
    }
    if (uv_stream_get_write_queue_size(stream) + size - done > BACKLOG_BYTES_MAX) {
        fail(conn, "the pool takes nothing any more");
        return false;
    }
    struct write *write = malloc(sizeof *write + size - done);
    sl_assert(write);
    write->request.data = write;
    memcpy(write->data, (const char *)data + done, size - done);
    buf = uv_buf_init(write->data, (unsigned)(size - done));
    if (uv_write(&write->request, stream, &buf, 1, on_written) < 0) {
        free(write);
    }
    return true;
}

void sl_pool_link_send(struct sl_pool_link *link, const void *data, size_t size) {
    struct sl_pool_conn *conn = link->conn;
    struct sl_error err;
    if (!conn || conn->stage != OPEN) {
        return; /* nothing of ours leaves before the way is open and the peer checked */
    }
    if (!conn->use_tls) {
        (void)write_raw(conn, data, size);
    } else if (sl_pool_tls_write(conn->tls, data, size, &err) < 0) {
        fail(conn, err.text);
    } else {
        (void)flush_tls(conn);
    }
}

void sl_pool_link_close(struct sl_pool_link *link) {
    if (link->conn) {
        struct sl_pool_conn *conn = link->conn;
        link->conn = NULL;
        abandon(conn);
    }
}
