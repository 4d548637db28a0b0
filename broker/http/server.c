/* SPDX-License-Identifier: Apache-2.0
 * The daemon: libmicrohttpd's callbacks, start and stop. */
#include "broker/http/server.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "broker/batch/batch.h"
#include "broker/http/internal.h"
#include "broker/http/listen.h"
#include "broker/http/multipart.h"

#define REQUESTS_MAX 256
#define HEADER_BYTES (32 * 1024)
#define IDLE_S 75u
/* Of whoever has shown no key yet: there are 256 places, and nobody who only holds one may keep
 * them from those who have something to say. */
#define STRANGER_IDLE_S 10u
#define FLUSH_NS (SL_NS_PER_S / 2)
#define MULTIPART_EXTRA (64 * 1024) /* boundaries and part headers around a file */

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection) {
    (void)connection;
    return sl_call_create(cls, uri);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **call,
                         enum MHD_RequestTerminationCode code) {
    struct sl_http_call *ended = *call;
    struct sl_http *http = cls;
    (void)connection;
    (void)code;
    if (ended && ended->owed) {
        atomic_fetch_sub(&http->owed, 1);
    }
    if (ended) {
        sl_http_leave_place(ended);
    }
    sl_call_destroy(ended);
    *call = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code) {
    sl_http_guest_step(cls, connection, context, code);
}

static struct MHD_Response *make_response(struct sl_http_call *call) {
    struct MHD_Response *response = NULL;
    if (call->file >= 0) {
        response = MHD_create_response_from_fd64((uint64_t)call->file_bytes, call->file);
        call->file = response ? -1 : call->file; /* closed by the response */
        return response;
    }
    size_t n = call->out.buf.len;
    char *text = sl_take(&call->out.buf.data);
    call->out.buf = (struct sl_buf){0};
    response = MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
    }
    return response;
}

static enum MHD_Result send_answer(struct sl_http_call *call) {
    struct MHD_Response *response = make_response(call);
    if (!response) {
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", call->content_type);
    MHD_add_response_header(response, "x-request-id", call->request_id);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (call->retry != SL_RETRY_UNSAID) {
        MHD_add_response_header(response, "x-should-retry",
                                call->retry == SL_RETRY_YES ? "true" : "false");
    }
    if (call->retry_after_s > 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%d", call->retry_after_s);
        MHD_add_response_header(response, "Retry-After", seconds);
    }
    if (call->allow) {
        MHD_add_response_header(response, "Allow", call->allow);
    }
    if (call->status == 401) {
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    }
    if (sl_http_ends_connection(call)) {
        MHD_add_response_header(response, "Connection", "close");
    }
    if (call->disposition[0] != '\0') {
        MHD_add_response_header(response, "Content-Disposition", call->disposition);
    }
    pthread_mutex_lock(&call->http->lock);
    call->http->answers[call->status / 100 % 6]++;
    pthread_mutex_unlock(&call->http->lock);
    enum MHD_Result rc = MHD_queue_response(call->connection, (unsigned)call->status, response);
    MHD_destroy_response(response);
    return rc;
}

static int64_t body_limit(const struct sl_http_call *call) {
    return call->route && (call->route->flags & SL_ROUTE_UPLOAD)
               ? SL_BATCH_FILE_BYTES_MAX + MULTIPART_EXTRA
               : SL_CALL_JSON_MAX;
}

static void refuse_size(struct sl_http_call *call) {
    bool upload = call->route && (call->route->flags & SL_ROUTE_UPLOAD);
    sl_call_error(call, 413, "request_too_large", NULL, "The body may have at most %lld bytes%s.",
                  (long long)body_limit(call), upload ? ": split the batch" : "");
}

/* What is still read of a body that was refused. The SDKs send a whole upload before they look at
 * the answer, and take a connection that is closed for a failure to be tried again: whoever has a
 * key is heard out. */
static int64_t discard_max(const struct sl_http_call *call) {
    bool known = call->who.role != SL_ROLE_INVALID;
    return known && body_limit(call) > SL_CALL_DISCARD_MAX ? 8 * SL_BATCH_FILE_BYTES_MAX
                                                           : SL_CALL_DISCARD_MAX;
}

/* libmicrohttpd knows "chunked" only and takes a body in any other coding for one that ends with
 * the connection, which the client holds open to read its answer. True: refused, answer at once. */
static bool refuse_transfer_coding(struct sl_http_call *call) {
    const char *coding =
        MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "Transfer-Encoding");
    if (!coding || strcasecmp(coding, "chunked") == 0) {
        return false;
    }
    if (call->status == 0) {
        sl_call_error(call, 415, "unsupported_encoding", NULL,
                      "The body has a Transfer-Encoding that is not 'chunked': send it chunked, or "
                      "with a Content-Length, and not compressed.");
    }
    return true;
}

static void refuse_encoding(struct sl_http_call *call) {
    const char *encoding =
        MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "Content-Encoding");
    if (encoding && encoding[0] != '\0' && strcasecmp(encoding, "identity") != 0) {
        sl_call_error(call, 415, "unsupported_encoding", NULL,
                      "The body has a Content-Encoding: send it as it is, not compressed.");
    }
}

/* The headers are there. An answer that is known now is sent after the body was read (a client that
 * is still writing would not see it), unless the body is said to be long. */
static enum MHD_Result begin(struct sl_http_call *call, const char *method) {
    call->stage = SL_CALL_BODY;
    if (call->status == 0) {
        sl_http_route(call, method);
    }
    if (call->status == 0 && !sl_http_take_place(call)) {
        return send_answer(call); /* its body is not waited for: it would hold the place */
    }
    if (call->who.role != SL_ROLE_INVALID) {
        MHD_set_connection_option(call->connection, MHD_CONNECTION_OPTION_TIMEOUT, IDLE_S);
        sl_http_guest_known(call->connection);
    }
    if (refuse_transfer_coding(call)) {
        return send_answer(call);
    }
    const char *length =
        MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "Content-Length");
    int64_t bytes = length ? strtoll(length, NULL, 10) : 0;
    if (call->status == 0 && bytes > body_limit(call)) {
        refuse_size(call);
    }
    if (call->status == 0) {
        refuse_encoding(call);
    }
    if (call->status == 0 && (call->route->flags & SL_ROUTE_UPLOAD)) {
        struct sl_error err = {0};
        const char *type =
            MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "Content-Type");
        int rc = sl_upload_create(type, call->http->data_dir, &call->upload, &err);
        if (rc == -SL_INVALID) {
            sl_call_error(call, 400, "invalid_multipart", NULL, "%s", err.text);
        } else if (rc != SL_OK) {
            sl_call_trouble(call, &err);
        }
    }
    return call->status != 0 && bytes > discard_max(call) ? send_answer(call) : MHD_YES;
}

static enum MHD_Result take_body(struct sl_http_call *call, const char *data, size_t *bytes) {
    call->body_bytes += (int64_t)*bytes;
    if (call->status == 0 && call->body_bytes > body_limit(call)) {
        refuse_size(call);
    }
    if (call->status != 0) { /* read on, so that the answer is seen; but not for ever */
        int64_t most = discard_max(call) + (call->upload ? SL_BATCH_FILE_BYTES_MAX : 0);
        if (call->body_bytes > most) {
            return MHD_NO;
        }
    } else if (call->upload) {
        sl_upload_feed(call->upload, data, *bytes);
    } else {
        sl_buf_append(&call->body, data, *bytes);
        if (call->body.failed) {
            sl_call_error(call, 503, "out_of_memory", NULL, "The broker has no memory: try again.");
        }
    }
    *bytes = 0;
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *bytes, void **call_pointer) {
    (void)cls;
    (void)url;
    (void)version;
    struct sl_http_call *call = *call_pointer;
    if (!call) {
        return MHD_NO; /* no memory when the request came */
    }
    call->connection = connection;
    switch (call->stage) {
    case SL_CALL_NEW:
        return begin(call, method);
    case SL_CALL_BODY:
        if (*bytes > 0) {
            return take_body(call, data, bytes);
        }
        return call->status != 0 || sl_http_dispatch(call) ? send_answer(call) : MHD_YES;
    case SL_CALL_READY:
        return send_answer(call);
    case SL_CALL_WAITING:
    default:
        return MHD_YES;
    }
}

struct MHD_Daemon *sl_http_daemon(struct sl_http *http, int fd) {
    const unsigned socketless = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
    const unsigned threaded = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    /* The list of options ends where there is no socket to name. */
    return MHD_start_daemon(fd < 0 ? socketless : threaded, 0, NULL, NULL, on_request, http,
                            MHD_OPTION_URI_LOG_CALLBACK, on_uri, http, MHD_OPTION_NOTIFY_COMPLETED,
                            on_completed, http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)SL_HTTP_CONNECTIONS_MAX,
                            MHD_OPTION_CONNECTION_TIMEOUT, http->stranger_idle_s,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES,
                            fd < 0 ? MHD_OPTION_END : MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_END);
}

static int start_daemon(struct sl_http *http, const char *listen_text, const char *port_file,
                        struct sl_error *err) {
    SL_AUTO_FD int fd = -1;
    int rc = sl_listen_open(listen_text, &fd, err);
    rc = rc ? rc : sl_listen_describe(fd, port_file, http->url, &http->port, err);
    if (rc != SL_OK) {
        return rc;
    }
    http->daemon = sl_http_daemon(http, fd);
    if (!http->daemon) {
        return sl_fail(err, SL_NOMEM, "the HTTP server cannot be started");
    }
    fd = -1; /* the daemon's now */
    return SL_OK;
}

/* Uploads that a crash left unfinished. */
static void remove_leftovers(const struct sl_http *http) {
    char path[SL_BATCH_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", http->data_dir, SL_BATCH_FILES_DIR);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strncmp(entry->d_name, "tmp-", 4) == 0) {
            unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

static void copy_config(struct sl_http *http, const struct sl_http_config *config) {
    sl_text_copy(http->data_dir, sizeof http->data_dir, config->data_dir);
    sl_text_copy(http->store_path, sizeof http->store_path, config->store_path);
    http->store = config->store;
    http->log_ring = config->log_ring;
    http->stranger_idle_s = config->stranger_idle_s ? config->stranger_idle_s : STRANGER_IDLE_S;
    http->started = sl_clock_wall();
    http->model_count = config->model_count;
    for (uint32_t i = 0; i < config->model_count; i++) {
        sl_text_copy(http->models[i], sizeof http->models[i], config->models[i]);
    }
    http->tenant_count = config->tenant_count;
    for (uint32_t i = 0; i < config->tenant_count; i++) {
        sl_text_copy(http->tenants[i], sizeof http->tenants[i], config->tenants[i]);
    }
    http->host_count = config->host_count;
    for (uint32_t i = 0; i < config->host_count; i++) {
        sl_text_copy(http->hosts[i], sizeof http->hosts[i], config->hosts[i]);
    }
    sl_text_copy(http->join_endpoint, sizeof http->join_endpoint,
                 config->join_endpoint ? config->join_endpoint : "");
    sl_text_copy(http->agents_endpoint, sizeof http->agents_endpoint,
                 config->agents_endpoint ? config->agents_endpoint : "");
    sl_text_copy(http->server_key, sizeof http->server_key,
                 config->server_key ? config->server_key : "");
    sl_http_exposure_init(http, config);
}

int sl_http_prepare(const struct sl_http_config *config, struct sl_http **ret_http,
                    struct sl_error *err) {
    if (sodium_init() < 0) {
        return sl_fail(err, SL_IO, "libsodium cannot be started: no source of random numbers");
    }
    SL_AUTO(sl_http) http = calloc(1, sizeof *http);
    if (!http || pthread_mutex_init(&http->lock, NULL) != 0) {
        free(sl_take(&http));
        return sl_fail(err, SL_NOMEM, "no memory for the HTTP server");
    }
    copy_config(http, config);
    SL_AUTO(sl_reader) reader = NULL;
    int rc = sl_keys_init(&http->keys, err);
    rc = rc ? rc : sl_batch_make_dir(http->data_dir, SL_BATCH_FILES_DIR, err);
    rc = rc ? rc
            : sl_mailbox_create(sizeof(struct sl_http_request), REQUESTS_MAX, &http->requests, err);
    rc = rc ? rc
            : sl_mailbox_create(sizeof(struct sl_http_call *), SL_HTTP_PENDING_MAX, &http->jobs,
                                err);
    rc = rc ? rc : sl_reader_open(http->store_path, NULL, &reader, err);
    rc = rc ? rc : sl_http_ensure_operator_key(http, reader, err);
    if (rc == SL_OK) {
        remove_leftovers(http);
        *ret_http = sl_take(&http);
    }
    return rc;
}

int sl_http_create(const struct sl_http_config *config, struct sl_http **ret_http,
                   struct sl_error *err) {
    SL_AUTO(sl_http) http = NULL;
    int rc = sl_http_prepare(config, &http, err);
    sl_assert(rc || http);
    rc = rc ? rc : sl_http_workers_start(http, err);
    rc = rc ? rc : start_daemon(http, config->listen, config->port_file, err);
    if (rc == SL_OK) {
        *ret_http = sl_take(&http);
    }
    return rc;
}

/* Every path out of a wait ends in an answer once `stopping` is set and the mailboxes are closed.
 */
static void answer_all(struct sl_http *http) {
    const struct timespec pause = {.tv_nsec = 2 * SL_NS_PER_MS};
    while (atomic_load(&http->suspended) > 0) {
        sl_http_reap(http, true);
        nanosleep(&pause, NULL);
    }
}

/* Stopping the daemon cuts connections, also those whose answer is on its way. Who reads slowly is
 * not waited for. */
static void flush_answers(const struct sl_http *http) {
    const struct timespec pause = {.tv_nsec = 2 * SL_NS_PER_MS};
    struct sl_mono until = {sl_clock_mono().ns + FLUSH_NS};
    while (atomic_load(&http->owed) > 0 && sl_clock_mono().ns < until.ns) {
        nanosleep(&pause, NULL);
    }
}

void sl_http_destroy(struct sl_http *http) {
    if (!http) {
        return;
    }
    atomic_store(&http->stopping, true);
    if (http->requests) {
        sl_mailbox_close(http->requests);
    }
    if (http->daemon) {
        answer_all(http);
    }
    sl_http_workers_stop(http);
    if (http->daemon) {
        answer_all(http);
        flush_answers(http);
        MHD_stop_daemon(http->daemon);
    }
    struct sl_http_request left;
    while (http->requests && sl_mailbox_take(http->requests, &left)) {
        if (left.event.row) {
            sl_batch_row_fini(left.event.row);
            free(left.event.row);
        }
        free(left.event.settle);
    }
    sl_mailbox_destroy(http->requests);
    sl_mailbox_destroy(http->jobs);
    sl_keys_fini(&http->keys);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

struct sl_mailbox *sl_http_requests(struct sl_http *http) {
    return http->requests;
}

const char *sl_http_url(const struct sl_http *http) {
    return http->url;
}

uint16_t sl_http_port(const struct sl_http *http) {
    return http->port;
}
