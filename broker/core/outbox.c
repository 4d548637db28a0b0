/* SPDX-License-Identifier: Apache-2.0
 * Commands on their way out, and the one transaction of each step.
 *
 * All operations of a step go into one transaction, so that what belongs together is durable
 * together. A command that must not be seen before that waits behind the transaction's ticket. What
 * is ready leaves by rank (core_state.h) and in order within it: a directive overtakes units and
 * answers, and nothing overtakes anything of the same kind. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"

#define RING_KEPT 1024 /* items of 1 KB that an empty ring keeps room for */

static struct sl_core_item *ring_push(struct sl_core_ring *ring) {
    if (ring->count == ring->cap) {
        size_t cap = ring->cap ? ring->cap * 2 : 64;
        struct sl_core_item *items = sl_core_calloc(cap, sizeof *items);
        for (size_t i = 0; i < ring->count; i++) {
            items[i] = ring->items[(ring->head + i) % ring->cap];
        }
        free(ring->items);
        ring->items = items;
        ring->head = 0;
        ring->cap = cap;
    }
    struct sl_core_item *item = &ring->items[(ring->head + ring->count++) % ring->cap];
    memset(item, 0, sizeof *item);
    return item;
}

static struct sl_core_item ring_pop(struct sl_core_ring *ring) {
    struct sl_core_item item = ring->items[ring->head];
    ring->head = (ring->head + 1) % ring->cap;
    ring->count--;
    if (ring->count == 0 && ring->cap > RING_KEPT) { /* a burst is over */
        free(ring->items);
        *ring = (struct sl_core_ring){0};
    }
    return item;
}

void sl_core_command_fini(struct sl_core_command *command) {
    free(command->msg);
    sl_txn_destroy(command->txn);
    free(command->line);
    free(command->join);
    command->join = NULL;
    command->line = NULL;
    command->msg = NULL;
    command->txn = NULL;
}

void sl_core_ring_fini(struct sl_core_ring *ring) {
    while (ring->count > 0) {
        struct sl_core_item item = ring_pop(ring);
        sl_core_command_fini(&item.command);
    }
    free(ring->items);
    memset(ring, 0, sizeof *ring);
}

uint64_t sl_core_ticket(struct sl_broker_core *core) {
    core->ticket_taken = true;
    return core->ticket + 1;
}

void sl_core_op(struct sl_broker_core *core, const struct sl_op *op) {
    if (!core->txn) {
        int rc = sl_txn_create(&core->txn, NULL);
        sl_assert(rc == SL_OK);
    }
    int rc = sl_txn_add(core->txn, op, NULL);
    sl_assert(rc == SL_OK);
}

void sl_core_op_meta(struct sl_broker_core *core, const char *key, const char *format, ...) {
    struct sl_op op = {.kind = SL_OP_META};
    sl_text_copy(op.meta.key, sizeof op.meta.key, key);
    va_list args;
    va_start(args, format);
    vsnprintf(op.meta.value, sizeof op.meta.value, format, args);
    va_end(args);
    sl_core_op(core, &op);
}

/* A drain stays behind the unit that it calls back. */
static enum sl_core_rank rank_of(enum sl_core_command_kind kind, enum sl_msg_kind msg) {
    if (kind == SL_CCMD_STORE) {
        return SL_RANK_STORE;
    }
    return kind == SL_CCMD_SEND && msg != SL_MSG_DRAIN ? SL_RANK_SEND : SL_RANK_REST;
}

static struct sl_core_item *put(struct sl_broker_core *core, enum sl_core_command_kind kind,
                                enum sl_msg_kind msg, uint64_t ticket) {
    struct sl_core_ring *ready = &core->ready[rank_of(kind, msg)];
    struct sl_core_item *item = ring_push(ticket > core->durable ? &core->waiting : ready);
    item->ticket = ticket;
    item->node = SL_CORE_NONE;
    item->device = SL_CORE_NONE;
    item->command.kind = kind;
    return item;
}

struct sl_core_item *sl_core_put(struct sl_broker_core *core, enum sl_core_command_kind kind,
                                 uint64_t ticket) {
    return put(core, kind, SL_MSG_INVALID, ticket);
}

struct sl_core_item *sl_core_send(struct sl_broker_core *core, uint32_t node, enum sl_msg_kind kind,
                                  uint64_t ticket, size_t extra) {
    bool texts = kind == SL_MSG_UNIT; /* which the shell adds */
    struct sl_core_item *item = put(core, texts ? SL_CCMD_SEND_UNIT : SL_CCMD_SEND, kind, ticket);
    item->node = node;
    item->session = core->nodes[node].session;
    item->command.peer = core->nodes[node].peer;
    item->command.bundle = core->nodes[node].bundles;
    item->command.msg = sl_core_calloc(1, sizeof *item->command.msg + extra);
    item->command.msg->version = core->nodes[node].wire;
    item->command.msg->session = item->session;
    item->command.msg->kind = kind;
    return item;
}

void sl_core_reply(struct sl_broker_core *core, uint64_t cookie, uint64_t ticket, int status,
                   const char *format, ...) {
    if (cookie == 0) {
        return;
    }
    struct sl_core_item *item = sl_core_put(core, SL_CCMD_REPLY, ticket);
    item->command.cookie = cookie;
    item->command.status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(item->command.text, sizeof item->command.text, format, args);
    va_end(args);
}

void sl_core_log(struct sl_broker_core *core, enum sl_log_level level, const char *event,
                 const char *format, ...) {
    struct sl_core_item *item = sl_core_put(core, SL_CCMD_LOG, 0);
    item->command.level = level;
    sl_text_copy(item->command.event, sizeof item->command.event, event);
    va_list args;
    va_start(args, format);
    vsnprintf(item->command.text, sizeof item->command.text, format, args);
    va_end(args);
}

static void release(struct sl_broker_core *core) {
    while (core->waiting.count > 0 &&
           core->waiting.items[core->waiting.head].ticket <= core->durable) {
        struct sl_core_item item = ring_pop(&core->waiting);
        enum sl_msg_kind msg = item.command.msg ? item.command.msg->kind : SL_MSG_INVALID;
        *ring_push(&core->ready[rank_of(item.command.kind, msg)]) = item;
    }
}

/* Nothing was written in this step: what asked for its ticket depends on earlier ones only. */
static void hand_back_ticket(struct sl_broker_core *core) {
    struct sl_core_ring *ring = &core->waiting;
    for (size_t i = ring->count; i > 0; i--) {
        struct sl_core_item *item = &ring->items[(ring->head + i - 1) % ring->cap];
        if (item->ticket <= core->ticket) {
            break;
        }
        item->ticket = core->ticket;
    }
    release(core);
}

void sl_core_flush(struct sl_broker_core *core) {
    if (core->txn) {
        sl_core_ledger_metas(core);
        core->txn->ticket = ++core->ticket;
        struct sl_core_item *item = sl_core_put(core, SL_CCMD_STORE, 0);
        item->command.txn = core->txn;
        core->txn = NULL;
    } else if (core->ticket_taken) {
        hand_back_ticket(core);
    }
    core->ticket_taken = false;
}

void sl_core_durable(struct sl_broker_core *core, uint64_t ticket) {
    if (ticket > core->durable && ticket <= core->ticket) {
        core->durable = ticket;
        release(core);
        if (core->grants_wait && core->waiting.count < SL_CORE_GRANTS_AT_ONCE) {
            core->grants_wait = false;
            sl_core_arm(core);
        }
    }
}

static bool pop_ready(struct sl_broker_core *core, struct sl_core_item *ret_item) {
    for (size_t i = 0; i < SL_CORE_RANKS; i++) {
        if (core->ready[i].count > 0) {
            *ret_item = ring_pop(&core->ready[i]);
            return true;
        }
    }
    return false;
}

bool sl_broker_core_next(struct sl_broker_core *core, struct sl_core_command *ret_command) {
    struct sl_core_item item;
    while (pop_ready(core, &item)) {
        if (item.node != SL_CORE_NONE) {
            struct sl_core_node *node = &core->nodes[item.node];
            if (node->session != item.session) {
                /* Meant for a session that is over: its successor was told everything anew. */
                sl_core_command_fini(&item.command);
                continue;
            }
            item.command.msg->sequence = ++node->sequence;
            node->spoke = core->now.mono;
        }
        if (item.device != SL_CORE_NONE) {
            sl_core_lease_left(core, &item);
        }
        *ret_command = item.command;
        return true;
    }
    return false;
}
