/* SPDX-License-Identifier: Apache-2.0
 * Inside of the link: numbers for connections.
 *
 * ZeroMQ knows a connection by a routing id of 32 bits that may be used again. Here each gets a
 * number that never is. Bounded: the connection that was silent longest is forgotten first, and
 * gets a new number should it speak again. Thread: one. */
#ifndef SLUICE_PROTO_LINK_CONNS_H
#define SLUICE_PROTO_LINK_CONNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/cleanup.h"
#include "proto/base/error.h"
#include "proto/link/link.h"

struct sl_conns;

int sl_conns_create(size_t capacity, struct sl_conns **ret_conns, struct sl_error *err);
void sl_conns_destroy(struct sl_conns *conns);
SL_DEFINE_AUTO(sl_conns, sl_conns_destroy)

/* The number of the connection with this routing id and key, which has just spoken. */
uint64_t sl_conns_seen(struct sl_conns *conns, uint32_t routing_id, const char *key);
/* False when that connection is unknown, forgotten, or another key's. */
bool sl_conns_find(const struct sl_conns *conns, uint64_t conn, const char *key,
                   uint32_t *ret_routing_id);
void sl_conns_forget(struct sl_conns *conns, uint64_t conn);

#endif
