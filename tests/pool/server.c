/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pool/server.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "tests/pool/pool.h"
#include "tests/pool/tls.h"

#define HALF_MS 30
#define CLIENTS_MAX 1024
#define BACKLOG_MAX (1024 * 1024) /* bytes that a client has not read */

struct server {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t clean_timer, notify_timer;
    uv_signal_t term, interrupt;
    struct sl_tp_pool *pool;
    struct sl_tp_identity *identity; /* NULL: no TLS */
    unsigned behaviours;
    int clients;
    bool failed;
};

struct client {
    uv_tcp_t tcp;
    uv_timer_t pause;
    int handles;           /* open ones of the two */
    struct sl_tp_tls *tls; /* NULL: none */
    struct sl_buf held;    /* the second half of what was said */
    struct server *server;
    struct sl_tp_session *session;
    char input[16384];
};

struct outgoing {
    uv_write_t request;
    char data[];
};

static void stop(struct server *server);

static void on_closed(uv_handle_t *handle) {
    struct client *client = handle->data;
    if (--client->handles > 0) {
        return;
    }
    sl_tp_session_destroy(client->session);
    sl_tp_tls_destroy(client->tls);
    sl_buf_fini(&client->held);
    client->server->clients--;
    free(client);
}

static void close_client(struct client *client) {
    if (!uv_is_closing((uv_handle_t *)&client->tcp)) {
        uv_close((uv_handle_t *)&client->tcp, on_closed);
        uv_close((uv_handle_t *)&client->pause, on_closed);
    }
}

static void on_written(uv_write_t *request, int status) {
    (void)status; /* a broken connection shows in reading too */
    free(request);
}

/* One segment of its own, as far as the system can be made to. */
static void put(struct client *client, const char *data, size_t size) {
    if (uv_is_closing((uv_handle_t *)&client->tcp)) {
        return;
    }
    struct outgoing *out = malloc(sizeof *out + size);
    if (!out) {
        close_client(client);
        return;
    }
    memcpy(out->data, data, size);
    uv_buf_t buf = uv_buf_init(out->data, (unsigned)size);
    if (uv_write(&out->request, (uv_stream_t *)&client->tcp, &buf, 1, on_written) < 0) {
        free(out);
        close_client(client);
    } else if (uv_stream_get_write_queue_size((uv_stream_t *)&client->tcp) > BACKLOG_MAX) {
        close_client(client);
    }
}

static void on_pause(uv_timer_t *timer) {
    struct client *client = timer->data;
    put(client, client->held.data, client->held.len);
    sl_buf_consume(&client->held, client->held.len);
}

/* Bytes of the wire, cut as the pool is told to. */
static void put_cut(struct client *client, const char *data, size_t size) {
    unsigned behaviours = client->server->behaviours;
    if (behaviours & SL_TP_ONE_BYTE) {
        for (size_t i = 0; i < size; i++) {
            put(client, data + i, 1);
        }
    } else if (behaviours & SL_TP_HALF_LINES) {
        size_t now = client->held.len > 0 ? 0 : size / 2;
        if (now > 0) {
            put(client, data, now);
        }
        sl_buf_append(&client->held, data + now, size - now);
        if (!uv_is_active((uv_handle_t *)&client->pause) &&
            !uv_is_closing((uv_handle_t *)&client->pause)) {
            uv_timer_start(&client->pause, on_pause, HALF_MS, 0);
        }
    } else {
        put(client, data, size);
    }
}

static void flush_tls(struct client *client) {
    struct sl_buf *out = sl_tp_tls_output(client->tls);
    if (out->len > 0) {
        put_cut(client, out->data, out->len);
        sl_buf_consume(out, out->len);
    }
}

static void write_client(void *context, const char *data, size_t size) {
    struct client *client = context;
    if (!client->tls) {
        put_cut(client, data, size);
    } else if (sl_tp_tls_write(client->tls, data, size)) {
        flush_tls(client);
    } else {
        close_client(client);
    }
}

static bool on_plain(void *context, const char *data, size_t size) {
    struct client *client = context;
    return sl_tp_session_input(client->session, data, size, sl_clock_wall());
}

static bool take(struct client *client, const char *data, size_t size) {
    if (!client->tls) {
        return on_plain(client, data, size);
    }
    bool good = sl_tp_tls_input(client->tls, data, size, on_plain, client);
    flush_tls(client); /* an alert too */
    return good;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct client *client = handle->data;
    (void)suggested;
    *buf = uv_buf_init(client->input, sizeof client->input);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf) {
    struct client *client = stream->data;
    if (got < 0) {
        close_client(client);
        return;
    }
    if (!take(client, buf->base, (size_t)got)) {
        close_client(client);
    }
    if (!sl_tp_pool_log_ok(client->server->pool)) {
        client->server->failed = true;
        stop(client->server);
    }
}

static void on_connection(uv_stream_t *listener, int status) {
    struct server *server = listener->data;
    struct client *client = status < 0 ? NULL : calloc(1, sizeof *client);
    if (!client) {
        return;
    }
    client->server = server;
    uv_tcp_init(&server->loop, &client->tcp);
    uv_timer_init(&server->loop, &client->pause);
    client->tcp.data = client;
    client->pause.data = client;
    client->handles = 2;
    server->clients++;
    if (uv_accept(listener, (uv_stream_t *)&client->tcp) < 0 || server->clients > CLIENTS_MAX ||
        sl_tp_session_create(server->pool, write_client, client, &client->session, NULL) < 0 ||
        (server->identity && sl_tp_tls_create(server->identity, &client->tls, NULL) < 0)) {
        close_client(client);
        return;
    }
    uv_tcp_nodelay(&client->tcp, 1);
    uv_read_start((uv_stream_t *)&client->tcp, on_alloc, on_read);
}

static void on_clean(uv_timer_t *timer) {
    struct server *server = timer->data;
    sl_tp_pool_tick(server->pool, true, sl_clock_wall());
    uv_timer_again(&server->notify_timer); /* the next plain job a full interval after this one */
}

static void on_notify(uv_timer_t *timer) {
    struct server *server = timer->data;
    sl_tp_pool_tick(server->pool, false, sl_clock_wall());
}

static void on_signal(uv_signal_t *handle, int number) {
    (void)number;
    stop(handle->data);
}

static void close_any(uv_handle_t *handle, void *context) {
    if (uv_is_closing(handle)) {
        return;
    }
    uv_close(handle, handle->data == context ? NULL : on_closed); /* both of a client's */
}

static void stop(struct server *server) {
    uv_walk(&server->loop, close_any, server);
}

static int write_port_file(const char *path, int port, struct sl_error *err) {
    SL_AUTO_FREE char *temporary = NULL;
    if (asprintf(&temporary, "%s.%d.tmp", path, (int)getpid()) < 0) {
        temporary = NULL;
        return sl_fail(err, SL_NOMEM, "no memory for the port file's name");
    }
    FILE *file = fopen(temporary, "w");
    if (!file) {
        return sl_fail_errno(err, "port file %s cannot be written", temporary);
    }
    fprintf(file, "%d\n", port);
    if (fclose(file) != 0 || rename(temporary, path) != 0) {
        return sl_fail_errno(err, "port file %s cannot be written", path);
    }
    return SL_OK;
}

static int listen_on(struct server *server, const struct sl_tp_options *options,
                     struct sl_error *err) {
    struct sockaddr_in address;
    struct sockaddr_in bound;
    int size = sizeof bound;
    uv_ip4_addr("127.0.0.1", options->port, &address);
    int rc = uv_tcp_bind(&server->listener, (const struct sockaddr *)&address, 0);
    rc = rc < 0 ? rc : uv_listen((uv_stream_t *)&server->listener, 128, on_connection);
    rc = rc < 0 ? rc : uv_tcp_getsockname(&server->listener, (struct sockaddr *)&bound, &size);
    if (rc < 0) {
        return sl_fail(err, SL_IO,
                       "port %u on 127.0.0.1 cannot be opened: %s; --port 0 takes a "
                       "free one",
                       options->port, uv_strerror(rc));
    }
    int port = ntohs(bound.sin_port);
    sl_log(SL_LOG_INFO, "pool.listen", "url=stratum+%s://127.0.0.1:%d",
           server->identity ? "ssl" : "tcp", port);
    return options->port_file ? write_port_file(options->port_file, port, err) : SL_OK;
}

static void init_handles(struct server *server) {
    uv_tcp_init(&server->loop, &server->listener);
    uv_timer_init(&server->loop, &server->clean_timer);
    uv_timer_init(&server->loop, &server->notify_timer);
    uv_signal_init(&server->loop, &server->term);
    uv_signal_init(&server->loop, &server->interrupt);
    server->listener.data = server;
    server->clean_timer.data = server;
    server->notify_timer.data = server;
    server->term.data = server;
    server->interrupt.data = server;
}

static int serve(struct server *server, const struct sl_tp_options *options, struct sl_error *err) {
    init_handles(server);
    /* Signals first: whoever reads the port file may send one at once. */
    uv_signal_start(&server->term, on_signal, SIGTERM);
    uv_signal_start(&server->interrupt, on_signal, SIGINT);
    int rc = listen_on(server, options, err);
    if (rc < 0) {
        stop(server);
    } else {
        uint64_t clean_ms = (uint64_t)options->clean_every_ms;
        uint64_t notify_ms = (uint64_t)options->notify_every_ms;
        uv_timer_start(&server->clean_timer, on_clean, clean_ms, clean_ms);
        uv_timer_start(&server->notify_timer, on_notify, notify_ms, notify_ms);
    }
    uv_run(&server->loop, UV_RUN_DEFAULT);
    sl_assert(uv_loop_close(&server->loop) == 0);
    if (rc == SL_OK && server->failed) {
        return sl_fail(err, SL_IO,
                       "the share log could not be written: free space and start again");
    }
    return rc;
}

static int write_ca(const char *path, const char *pem, struct sl_error *err) {
    FILE *file = fopen(path, "w");
    if (!file) {
        return sl_fail_errno(err, "%s cannot be written", path);
    }
    fputs(pem, file);
    return fclose(file) == 0 ? SL_OK : sl_fail_errno(err, "%s cannot be written", path);
}

/* A new key and authority with each start: who has pinned the old one sees another. */
static int open_tls(struct server *server, const struct sl_tp_options *options,
                    struct sl_error *err) {
    if (options->tls == SL_TP_TLS_NONE) {
        return SL_OK;
    }
    int rc = sl_tp_identity_create(options->tls, "127.0.0.1", &server->identity, err);
    if (rc == SL_OK && options->ca_file) {
        rc = write_ca(options->ca_file, sl_tp_identity_ca(server->identity), err);
    }
    return rc;
}

int sl_tp_server_run(const struct sl_tp_options *options, struct sl_error *err) {
    struct server server = {0};
    SL_AUTO_FD int log_fd = -1;
    signal(SIGPIPE, SIG_IGN);
    if (options->log_file) {
        log_fd = open(options->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (log_fd < 0) {
            return sl_fail_errno(err, "share log %s cannot be opened", options->log_file);
        }
    }
    server.behaviours = options->behaviours;
    int rc = open_tls(&server, options, err);
    rc = rc < 0 ? rc : sl_tp_pool_create(options, log_fd, sl_clock_wall(), &server.pool, err);
    if (rc < 0) {
        sl_tp_identity_destroy(server.identity);
        return rc;
    }
    uv_loop_init(&server.loop);
    rc = serve(&server, options, err);
    struct sl_tp_counts counts = sl_tp_pool_counts(server.pool);
    sl_log(SL_LOG_INFO, "pool.end", "accepted=%" PRIu64 " stale=%" PRIu64 " rejected=%" PRIu64,
           counts.accepted, counts.stale, counts.rejected);
    sl_tp_pool_destroy(server.pool);
    sl_tp_identity_destroy(server.identity);
    return rc;
}
