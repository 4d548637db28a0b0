/* SPDX-License-Identifier: Apache-2.0
 * Inside of the link: messages that were taken from the socket before their turn.
 *
 * Why they are: a ZeroMQ queue that is full stops the input of its connection, and libzmq 4.3.4
 * ends the process when such a connection breaks with a heartbeat under way (its issue 4364). So
 * the socket's queue has no limit, and is emptied into here; what one connection may have waiting
 * is limited here instead, and what is beyond is dropped and counted. Whatever an agent must not
 * lose it sends again until it is acknowledged.
 *
 * Connections take turns; messages of one keep their order. Thread: one. */
#ifndef SLUICE_PROTO_LINK_UNREAD_H
#define SLUICE_PROTO_LINK_UNREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "proto/base/cleanup.h"
#include "proto/base/error.h"

struct sl_unread;

struct sl_unread_limits {
    uint32_t count;  /* messages of one connection */
    size_t bytes;    /* of one connection; a single message may be larger */
    size_t in_total; /* bytes of all; a connection may have one of up to 64 KiB beyond it */
};
int sl_unread_create(const struct sl_unread_limits *limits, struct sl_unread **ret_unread,
                     struct sl_error *err);
void sl_unread_destroy(struct sl_unread *unread);
SL_DEFINE_AUTO(sl_unread, sl_unread_destroy)

/* Moves the message: afterwards *message is empty. False: it was one too many, and is gone.
 * newest_only: of messages put with it, only the last one of a connection stays, in its place. */
bool sl_unread_put(struct sl_unread *unread, uint32_t routing_id, bool newest_only,
                   zmq_msg_t *message);
/* Moves the next one into *message, an initialised one. False: there is none. */
bool sl_unread_take(struct sl_unread *unread, uint32_t *ret_routing_id, zmq_msg_t *message);
/* Since the start; those that a newer one replaced are not among them. */
uint64_t sl_unread_dropped(const struct sl_unread *unread);

#endif
