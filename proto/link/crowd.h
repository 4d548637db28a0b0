/* SPDX-License-Identifier: Apache-2.0
 * How many connections the agents' socket may hold. libzmq takes all that the process can have, and
 * whoever only connects keeps one for 20 s: without a limit the operators' HTTP gets none then,
 * just when it is needed. At the limit the kernel drops whatever asks for a connection, until some
 * have gone; who is there stays. Thread: the socket's. */
#ifndef SLUICE_PROTO_LINK_CROWD_H
#define SLUICE_PROTO_LINK_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/cleanup.h"
#include "proto/base/error.h"

struct sl_crowd;

/* Of a socket that is not bound yet; max: connections, at least 1. Destroy it before the socket. */
int sl_crowd_create(void *context, void *socket, uint32_t max, struct sl_crowd **ret_crowd,
                    struct sl_error *err);
/* The socket is bound now, to one address. */
void sl_crowd_bound(struct sl_crowd *crowd, const char *endpoint);
/* Readable, by edge, when one came or went. */
int sl_crowd_fd(const struct sl_crowd *crowd);
/* Counts who came and went, and opens or closes the door as that says. */
void sl_crowd_mind(struct sl_crowd *crowd);
uint32_t sl_crowd_count(const struct sl_crowd *crowd);
void sl_crowd_destroy(struct sl_crowd *crowd);
SL_DEFINE_AUTO(sl_crowd, sl_crowd_destroy)

#endif
