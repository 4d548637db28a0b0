/* SPDX-License-Identifier: Apache-2.0
 * The second socket, on which nodes that the broker does not know yet present their token (design
 * 9): ZeroMQ with CURVE in a ZAP domain of its own that admits every key for one small message.
 *
 * Everybody may knock here, so nothing of it is shared with the agents' socket: it has a context,
 * I/O thread and ZAP handler of its own, niced, and a front that accepts connections for it, since
 * ZeroMQ has no limit to them. The front counts connections, those of one address, bytes of a
 * connection and its age, and takes in so many a second; what is over goes unread in the kernel's
 * queue. Whole messages come out of a bounded mailbox, so many a second; some more wait for their
 * turn, others are dropped, and their sender tries again.
 *
 * Content is opaque here (proto/wire/join.h). Thread: create, take, answer and destroy belong to
 * one thread, the server runs two of its own. */
#ifndef SLUICE_PROTO_LINK_JOIN_H
#define SLUICE_PROTO_LINK_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/cleanup.h"
#include "proto/base/error.h"
#include "proto/link/link.h"

#define SL_JOIN_BYTES_MAX 4096 /* one message */

struct sl_join_packet {
    char key[SL_LINK_KEY_MAX]; /* authenticated: its owner holds the secret half */
    uint32_t conn;
    uint32_t size;
    uint8_t data[SL_JOIN_BYTES_MAX];
};

struct sl_join_server_config {
    const char *endpoint; /* "tcp://127.0.0.1:7601"; port 0: a free one */
    struct sl_link_keys keys;
    /* 0: the defaults, 64, 8, 50, 20, 64 and 10 s */
    int connections_max;
    int address_max; /* connections of one address (an IPv6 network of 64 bits) */
    int accepts_per_s;
    int messages_per_s;
    int waiting_max; /* messages over that rate, at most 64 */
    int64_t life_ms; /* of a connection */
};

struct sl_join_server;

/* -SL_EXISTS when the port is in use. */
int sl_join_server_create(const struct sl_join_server_config *config,
                          struct sl_join_server **ret_server, struct sl_error *err);
void sl_join_server_destroy(struct sl_join_server *server);
SL_DEFINE_AUTO(sl_join_server, sl_join_server_destroy)
/* The endpoint really bound. */
const char *sl_join_server_endpoint(const struct sl_join_server *server);
/* Readable while there are packets. */
int sl_join_server_fd(struct sl_join_server *server);
bool sl_join_server_take(struct sl_join_server *server, struct sl_join_packet *ret_packet);
/* To the connection of packet->conn, which may be gone: then nothing happens. */
void sl_join_server_answer(struct sl_join_server *server, const struct sl_join_packet *packet);

struct sl_join_server_stats {
    uint64_t accepted;
    uint64_t refused; /* connections over a limit, too old or too talkative */
    uint64_t messages;
    uint64_t dropped; /* messages that found no place to wait, or a second one of a connection */
    /* Handshakes of somebody who wants another broker's key, and of something else than CURVE. */
    uint64_t other_key, no_handshake;
};
void sl_join_server_stats(struct sl_join_server *server, struct sl_join_server_stats *ret_stats);

struct sl_join_exchange {
    const char *endpoint;
    struct sl_link_keys keys;
    char server_key[SL_LINK_KEY_MAX];
    int64_t timeout_ms;
};
/* One message there and one back; blocks. -SL_CLOSED: nobody answers at the address; -SL_DENIED:
 * somebody does, but does not hold the server's key; -SL_TIMEOUT: it does, and says nothing now. */
int sl_join_exchange(const struct sl_join_exchange *exchange, const uint8_t *data, size_t size,
                     uint8_t ret_data[SL_JOIN_BYTES_MAX], size_t *ret_size, struct sl_error *err);

#endif
