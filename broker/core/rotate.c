/* SPDX-License-Identifier: Apache-2.0
 * A new key for a node that stays the same.
 *
 * Asked (rotating) -> the agent has made a key and sent it -> accepted: both keys are good -> the
 * new one is used and the overlap is over: the old one is refused for ever. Each step is durable
 * before the agent hears of it, and each is repeated at the next hello, so that a crash on either
 * side between any two is mended. The old key never ends before the new one was heard: an agent
 * that was away for long is not locked out.
 *
 * An agent that lost its new key before it was ever used still has the old one. It may be asked for
 * another: the lost key is then retired as if it had been used. That the new key was used is
 * durable (overlap_ms is 0 from then on), since after that nobody who holds the old key alone may
 * put another in its place: the old one may be why there is a rotation at all. */
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"

#define WIRE_ROTATE 2 /* the version that has these messages */

/* key NULL: please make one. */
static void say(struct sl_broker_core *core, uint32_t node, const struct sl_agent_row *row,
                const char *key, uint64_t ticket) {
    struct sl_core_item *item = sl_core_send(core, node, SL_MSG_ROTATE, ticket, 0);
    struct sl_msg_rotate *out = &item->command.msg->rotate;
    out->rotation = row->rotation;
    out->overlap_ms = (uint64_t)row->overlap_ms;
    sl_text_copy(out->public_key, sizeof out->public_key, key ? key : "");
}

static bool new_key_used(const struct sl_agent_row *row) {
    return row->overlap_ms == 0;
}

void sl_core_rotate(struct sl_broker_core *core, uint32_t agent,
                    const struct sl_core_event *event) {
    struct sl_agent_row *row = &core->agents->agents[agent].row;
    int64_t overlap_ms = event->order.span_ms;
    uint32_t node = sl_core_node_find(core, row->id);
    bool up = node != SL_CORE_NONE && sl_core_node_up(core, node);
    if (overlap_ms < SL_OVERLAP_MIN_MS || overlap_ms > SL_OVERLAP_MAX_MS) {
        sl_core_reply(core, event->cookie, 0, -SL_INVALID, "an overlap is from 1m to 30d");
        return;
    }
    if (row->state != SL_AGENT_APPROVED) {
        sl_core_reply(core, event->cookie, 0, -SL_BADSTATE,
                      "%s is %s: only an approved agent has "
                      "a key to rotate",
                      row->name, sl_agent_state_name(row->state));
        return;
    }
    if (row->key_before[0] && new_key_used(row)) {
        sl_core_reply(core, event->cookie, 0, -SL_BADSTATE,
                      "the last rotation of %s is not over: its old key is still good", row->name);
        return;
    }
    if (up && core->nodes[node].wire < WIRE_ROTATE) {
        sl_core_reply(core, event->cookie, 0, -SL_UNSUPPORTED,
                      "the agent of %s (%s) is too old to rotate: update it", row->name,
                      core->nodes[node].version);
        return;
    }
    row->rotation++;
    row->rotating = true;
    row->overlap_ms = overlap_ms;
    sl_core_agent_store(core, agent, "agents.rotate", event->actor, row->key);
    uint64_t ticket = sl_core_ticket(core);
    if (up) {
        say(core, node, row, NULL, ticket);
    }
    sl_core_reply(core, event->cookie, ticket, SL_OK, "%s", up ? "asked" : "away");
}

static bool is_known(const struct sl_broker_core *core, const char *key) {
    return sl_core_agent_by_key(core, key) != SL_CORE_NONE || !sl_core_agent_heard(core, key) ||
           sl_core_node_find(core, key) != SL_CORE_NONE;
}

/* The admitted key is replaced by one that its agent can use; who only repeats it has it still. */
static bool takes_key(const struct sl_broker_core *core, const struct sl_agent_row *row,
                      const char *peer_key, const struct sl_msg_rotate_key *msg) {
    bool repeats = row->key_before[0] && strcmp(row->key, msg->public_key) == 0;
    const char *present = row->key_before[0] ? row->key_before : row->key;
    return msg->rotation == row->rotation && row->rotating && strcmp(peer_key, present) == 0 &&
           (repeats || !is_known(core, msg->public_key));
}

static void change_key(struct sl_broker_core *core, uint32_t agent, const char *key) {
    struct sl_core_agent *a = &core->agents->agents[agent];
    struct sl_agent_row *row = &a->row;
    if (!row->key_before[0]) {
        sl_text_copy(row->key_before, sizeof row->key_before, row->key);
    } else if (strcmp(row->key, key) != 0) {
        sl_text_copy(row->retired, sizeof row->retired, row->key); /* lost before it was used */
    }
    sl_text_copy(row->key, sizeof row->key, key);
    row->before_until.ms = core->now.wall.ms + row->overlap_ms;
    row->rotating = false;
    a->before_end = sl_mono_after_ms(core->now.mono, row->overlap_ms);
    sl_core_agent_store(core, agent, "agents.rotate.key", "agent", row->key);
    sl_core_log(core, SL_LOG_INFO, "agents.rotate.key", "node=%s key=%s before=%s", row->name,
                row->key, row->key_before);
}

void sl_core_rotate_key(struct sl_broker_core *core, uint32_t node, const char *peer_key,
                        const struct sl_msg_rotate_key *msg) {
    uint32_t agent = sl_core_agent_by_key(core, peer_key);
    if (agent == SL_CORE_NONE) {
        return; /* nobody asked */
    }
    const struct sl_agent_row *row = &core->agents->agents[agent].row;
    if (msg->rotation == row->rotation && !row->rotating &&
        strcmp(row->key, msg->public_key) == 0) {
        say(core, node, row, row->key, core->txn ? sl_core_ticket(core) : core->ticket);
        return;
    }
    if (!takes_key(core, row, peer_key, msg)) {
        sl_core_log(core, SL_LOG_WARN, "agents.rotate.refused",
                    "node=%s rotation=%llu: nobody asked for it, or the key is known", row->name,
                    (unsigned long long)msg->rotation);
        return;
    }
    change_key(core, agent, msg->public_key);
    uint64_t ticket = sl_core_ticket(core);
    sl_core_admit(core, ticket);
    say(core, node, row, row->key, ticket);
}

/* From here on the old key can only end. */
static void note_used(struct sl_broker_core *core, uint32_t agent) {
    struct sl_agent_row *row = &core->agents->agents[agent].row;
    row->overlap_ms = 0;
    row->rotating = false; /* another was asked for, but this one is there after all */
    sl_core_agent_store(core, agent, "agents.rotate.used", "agent", row->key);
}

void sl_core_rotate_hello(struct sl_broker_core *core, uint32_t node, const char *peer_key) {
    uint32_t agent = sl_core_agent_by_key(core, peer_key);
    if (agent == SL_CORE_NONE) {
        return;
    }
    const struct sl_agent_row *row = &core->agents->agents[agent].row;
    bool new_key = strcmp(row->key, peer_key) == 0;
    if (new_key && row->key_before[0] && !new_key_used(row)) {
        note_used(core, agent);
    }
    if (core->nodes[node].wire < WIRE_ROTATE) {
        return;
    }
    if (row->rotating) {
        say(core, node, row, NULL, core->ticket);
    } else if (!new_key) {
        say(core, node, row, row->key, core->ticket);
    }
}

void sl_core_rotate_sweep(struct sl_broker_core *core) {
    for (uint32_t i = 0; i < core->agents->agent_count; i++) {
        struct sl_core_agent *a = &core->agents->agents[i];
        bool over = core->now.wall.ms >= a->row.before_until.ms ||
                    (a->before_end.ns != 0 && core->now.mono.ns >= a->before_end.ns);
        if (a->row.key_before[0] == '\0' || !over || !new_key_used(&a->row)) {
            continue;
        }
        sl_text_copy(a->row.retired, sizeof a->row.retired, a->row.key_before);
        a->row.key_before[0] = '\0';
        a->row.before_until.ms = 0;
        a->before_end.ns = 0;
        sl_core_agent_store(core, i, "agents.rotate.over", "broker", a->row.key);
        sl_core_log(core, SL_LOG_INFO, "agents.rotate.over", "node=%s key=%s", a->row.name,
                    a->row.key);
        sl_core_admit(core, sl_core_ticket(core));
    }
}
