/* SPDX-License-Identifier: Apache-2.0
 * Transport between broker and agents as an interface: ZeroMQ (zmq_server.c, zmq_client.c) and in
 * memory (mem.c, for tests and the simulator). It moves opaque messages of bytes and tells who sent
 * them; it knows nothing of their content.
 *
 * A peer is known by its authenticated CURVE public key (Z85 text, 40 characters), never by a
 * routing id. On the server several connections may carry one key at a time (a reconnect); `conn`
 * tells them apart and is never reused. Thread: a link belongs to one thread. fd is edge-triggered
 * for ZeroMQ: after each wake-up, and after each send, call recv until it returns -SL_AGAIN. */
#ifndef SLUICE_PROTO_LINK_LINK_H
#define SLUICE_PROTO_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"

#define SL_LINK_KEY_MAX 41
#define SL_LINK_BYTES_MAX (4 * 1024 * 1024) /* one message; the same as SL_MSG_BYTES_MAX */

struct sl_link_peer {
    char key[SL_LINK_KEY_MAX]; /* authenticated; on a client: the server's key */
    uint64_t conn;
};

struct sl_link;

struct sl_link_ops {
    int (*fd)(struct sl_link *link); /* -1: none (in memory: the test drives it) */
    /* One message; *ret_data is valid until the next call on this link. -SL_AGAIN: none now. */
    int (*recv)(struct sl_link *link, struct sl_link_peer *ret_peer, const uint8_t **ret_data,
                size_t *ret_size, struct sl_error *err);
    /* -SL_AGAIN: the queue is full, or (client) there is no connection now: nothing waits for one.
     * -SL_CLOSED: the peer is gone. -SL_LIMIT: over SL_LINK_BYTES_MAX. peer is NULL on a client. */
    int (*send)(struct sl_link *link, const struct sl_link_peer *peer, const uint8_t *data,
                size_t size, struct sl_error *err);
    void (*destroy)(struct sl_link *link);
};

/* First member of every implementation. */
struct sl_link {
    const struct sl_link_ops *ops;
};

static inline int sl_link_fd(struct sl_link *link) {
    return link->ops->fd(link);
}
static inline int sl_link_recv(struct sl_link *link, struct sl_link_peer *ret_peer,
                               const uint8_t **ret_data, size_t *ret_size, struct sl_error *err) {
    return link->ops->recv(link, ret_peer, ret_data, ret_size, err);
}
static inline int sl_link_send(struct sl_link *link, const struct sl_link_peer *peer,
                               const uint8_t *data, size_t size, struct sl_error *err) {
    return link->ops->send(link, peer, data, size, err);
}
static inline void sl_link_destroy(struct sl_link *link) {
    if (link) {
        link->ops->destroy(link);
    }
}

/* ---- CURVE keys (keys.c). Z85 text; files hold "public" and "secret" lines, mode 0600. ---- */
struct sl_link_keys {
    char public_key[SL_LINK_KEY_MAX];
    char secret_key[SL_LINK_KEY_MAX];
};
int sl_link_keys_generate(struct sl_link_keys *ret_keys, struct sl_error *err);
/* Refuses to overwrite. */
int sl_link_keys_write(const char *path, const struct sl_link_keys *keys, struct sl_error *err);
/* Refuses a file that others may read, a malformed key, and the published example keys. */
int sl_link_keys_read(const char *path, struct sl_link_keys *ret_keys, struct sl_error *err);
/* SL_OK when `key` is a well-formed public key and not a published example. */
int sl_link_key_check(const char *key, struct sl_error *err);

/* ---- ZeroMQ (protocols: ZMTP 3.1 CURVE, ZAP RFC 27) ---- */
/* Who may connect besides the file, and who may not whatever it says. */
struct sl_link_admission {
    size_t admitted_count, refused_count;
    const char (*admitted)[SL_LINK_KEY_MAX]; /* [admitted_count] in any order */
    const char (*refused)[SL_LINK_KEY_MAX];  /* [refused_count] likewise; they outrank all */
};
struct sl_zmq_server_config {
    const char *endpoint; /* "tcp://127.0.0.1:7600"; port 0 or "*" binds a free one */
    struct sl_link_keys keys;
    const char *allowed_path; /* one public key a line, '#' comments; read again when it changes;
                                 NULL or empty: no file */
    const struct sl_link_admission *admission; /* from the start on; NULL: none */
    int hwm;                                   /* messages that wait for one agent; <= 0: 1000 */
    int unread_max;           /* of one agent's, while the owner is behind; <= 0: 8192 */
    uint32_t connections_max; /* that the socket holds (crowd.h); 0: no limit */
    int backlog;              /* that wait to be accepted, beyond that; <= 0: 4096 */
    /* Of messages that this says true of, only the first and the newest of a connection wait while
     * the owner is behind; NULL: of none. */
    bool (*newest_only)(const uint8_t *data, size_t size);
};
/* Starts the ZAP handler (its own thread) before it binds. -SL_EXISTS when the port is in use.
 * A key taken out of the file is refused from then on; on a connection that it still has, messages
 * are discarded and sends fail with -SL_CLOSED. A peer that chose a routing id is ignored.
 * Destroying a link waits up to 200 ms for what was sent. */
int sl_zmq_server_create(const struct sl_zmq_server_config *config, struct sl_link **ret_link,
                         struct sl_error *err);
/* Copied; in place of what was said before. From the return on, refused keys are as those taken out
 * of the file. */
int sl_zmq_server_admit(struct sl_link *link, const struct sl_link_admission *admission,
                        struct sl_error *err);
/* The endpoint really bound. */
const char *sl_zmq_server_endpoint(struct sl_link *link);
/* Readable, by edge, when connections came or went: sl_zmq_server_mind then, which may also be
 * called at any time. -1 where there is no limit. */
int sl_zmq_server_crowd_fd(struct sl_link *link);
void sl_zmq_server_mind(struct sl_link *link);
/* For the test that nobody is let in without the handler. */
void sl_zmq_server_stop_zap(struct sl_link *link);
/* Has the handler's socket renewed now, as it is by itself after many handshakes (zap.h); returns
 * how often it was before. For tests. */
uint64_t sl_zmq_server_renew_zap(struct sl_link *link);
/* Reads a file of allowed keys as the server's start does, and keeps nothing of it. */
int sl_link_allowed_check(const char *path, struct sl_error *err);
/* Refused handshakes since the start. */
uint64_t sl_zmq_server_refused(struct sl_link *link);
/* Messages given up since the start: an agent had more unread than unread_max or 12 MiB, or all of
 * them together 256 MiB. Agents send again what is not acknowledged. */
uint64_t sl_zmq_server_dropped(struct sl_link *link);

struct sl_zmq_client_config {
    const char *endpoint;
    struct sl_link_keys keys;
    char server_key[SL_LINK_KEY_MAX];
    /* Another that the server may have by now, tried in turn with the first; empty: none. */
    char next_server_key[SL_LINK_KEY_MAX];
    void *context; /* a ZeroMQ context of the caller, which outlives the link; NULL: its own */
};
/* Connects in the background and reconnects by itself with jittered back-off, as long as the owner
 * goes on trying to send (it notices by that when libzmq gave up). */
int sl_zmq_client_create(const struct sl_zmq_client_config *config, struct sl_link **ret_link,
                         struct sl_error *err);

/* As the members of the configuration; the connection that there is stays. */
void sl_zmq_client_expect(struct sl_link *link, const char *server_key,
                          const char *next_server_key);
/* The key to which the present or last connection was made. */
const char *sl_zmq_client_server_key(struct sl_link *link);

/* What keeps a server from this address, without listening there: a port in use (-SL_EXISTS), an
 * address of another machine. names: host names will do, as for the joining socket. */
int sl_link_listen_check(const char *endpoint, bool names, struct sl_error *err);
/* -SL_INVALID for what no client could connect to. */
int sl_link_connect_check(const char *endpoint, struct sl_error *err);

/* ---- in memory ---- */
struct sl_mem_hub;
/* Owns all queues; destroy after its links. depth: messages a direction may hold. */
int sl_mem_hub_create(size_t depth, struct sl_mem_hub **ret_hub, struct sl_error *err);
void sl_mem_hub_destroy(struct sl_mem_hub *hub);
int sl_mem_server_create(struct sl_mem_hub *hub, struct sl_link **ret_link, struct sl_error *err);
int sl_mem_client_create(struct sl_mem_hub *hub, const char *key, struct sl_link **ret_link,
                         struct sl_error *err);
/* Cuts or restores the line of every client with this key; queued messages are lost on a cut. */
void sl_mem_hub_cut(struct sl_mem_hub *hub, const char *key, int cut);

#endif
