/* SPDX-License-Identifier: Apache-2.0
 * Inside of the codec: the bounded memory of one decoded message.
 *
 * One mapping of the whole budget, handed out front to back: untouched pages cost nothing, and
 * nothing is ever freed singly. Every byte handed out is zero, because protobuf-c 1.4.1 may free an
 * uninitialised `unknown_fields` pointer otherwise. */
#ifndef SLUICE_PROTO_WIRE_ARENA_H
#define SLUICE_PROTO_WIRE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/wire/codec.h"

/* Zeroed, aligned to 16 bytes. NULL once the budget is spent; sl_msg_arena_spent is true then. */
void *sl_msg_arena_alloc(struct sl_msg_arena *arena, size_t size);
bool sl_msg_arena_spent(const struct sl_msg_arena *arena);
/* Forgets and wipes everything. */
void sl_msg_arena_reset(struct sl_msg_arena *arena);

#endif
