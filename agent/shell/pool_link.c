/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/pool_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/base/error.h"

#define READ_BYTES 65536
#define BACKLOG_BYTES_MAX (1u << 20)
#define KEEPALIVE_S 30
#define USER_TIMEOUT_MS 60000

struct sl_pool_conn {
    struct sl_pool_link *link; /* NULL: abandoned */
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    uv_tcp_t tcp;
    uint16_t port;
    bool resolving;
    bool tcp_open;
    bool closing;                  /* one socket, to try the next address */
    struct addrinfo *found, *next; /* addresses still to be tried */
    char buffer[READ_BYTES];
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

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct sl_pool_conn *conn = stream->data;
    if (!conn->link || n == 0) {
        return;
    }
    if (n < 0) {
        fail(conn, n == UV_EOF ? "the pool closed the connection" : uv_strerror((int)n));
        return;
    }
    conn->link->ops->received(conn->link->context, buf->base, (size_t)n);
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
    conn->link->ops->connected(conn->link->context);
}

static int start_connect(struct sl_pool_conn *conn, const struct addrinfo *address) {
    int rc = uv_tcp_init(conn->link->loop, &conn->tcp);
    if (rc < 0) {
        return rc;
    }
    conn->tcp.data = conn;
    conn->tcp_open = true;
    conn->connect.data = conn;
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
        snprintf(text, sizeof text, "the pool's name cannot be resolved: %s", uv_strerror(status));
        fail(conn, text);
        return;
    }
    try_next(conn, NULL);
}

void sl_pool_link_connect(struct sl_pool_link *link, const char *host, uint16_t port) {
    sl_pool_link_close(link);
    struct sl_pool_conn *conn = calloc(1, sizeof *conn);
    sl_assert(conn);
    conn->link = link;
    conn->port = port;
    conn->resolve.data = conn;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    link->conn = conn;
    conn->resolving = true;
    /* Fails only on arguments that the pool's address cannot have, or without memory. */
    int rc = uv_getaddrinfo(link->loop, &conn->resolve, on_resolved, host, NULL, &hints);
    sl_assert(rc == 0);
}

/* ---- writing ---- */

static void on_written(uv_write_t *request, int status) {
    (void)status; /* a broken connection shows when reading */
    free(request->data);
}

void sl_pool_link_send(struct sl_pool_link *link, const void *data, size_t size) {
    struct sl_pool_conn *conn = link->conn;
    if (!conn || !conn->tcp_open) {
        return;
    }
    uv_stream_t *stream = (uv_stream_t *)&conn->tcp;
    uv_buf_t buf = uv_buf_init((char *)data, (unsigned)size);
    int n = uv_try_write(stream, &buf, 1);
    size_t done = n > 0 ? (size_t)n : 0;
    if (done == size) {
        return;
    }
    if (uv_stream_get_write_queue_size(stream) + size - done > BACKLOG_BYTES_MAX) {
        fail(conn, "the pool takes nothing any more");
        return;
    }
    struct write *write = malloc(sizeof *write + size - done);
    sl_assert(write);
    write->request.data = write;
    memcpy(write->data, (const char *)data + done, size - done);
    buf = uv_buf_init(write->data, (unsigned)(size - done));
    if (uv_write(&write->request, stream, &buf, 1, on_written) < 0) {
        free(write);
    }
}

void sl_pool_link_close(struct sl_pool_link *link) {
    if (link->conn) {
        struct sl_pool_conn *conn = link->conn;
        link->conn = NULL;
        abandon(conn);
    }
}
