/* SPDX-License-Identifier: Apache-2.0
 * Sessions: who is there. An agent is its authenticated key; a new hello of the same key supersedes
 * the older session. A boot id that comes back after another one replaced it belongs to a second
 * agent with the same key (a restarted agent has a new one): after a few such flips the key is
 * quarantined until an operator resumes the node. */
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"

#define FLIPS_MAX 4
#define FLIP_WINDOW_NS (60 * SL_NS_PER_S)
#define GOODBYE_EVERY_NS SL_NS_PER_S
#define QUIET_REPORTS 3
#define BEHIND_NS_MAX (60 * SL_NS_PER_S)
#define SPEAK_NS (3 * SL_NS_PER_S / 2) /* an agent that hears nothing for 5 s says hello again */

uint32_t sl_core_node_find(const struct sl_broker_core *core, const char *key) {
    return sl_core_index_find(core, &core->nodes_by_key, key);
}

static const char *key_at(const struct sl_broker_core *core, uint32_t node) {
    return core->nodes[node].key;
}

uint32_t sl_core_node_add(struct sl_broker_core *core, const char *key, const char *name) {
    sl_core_grow(&core->nodes, core->node_count, &core->node_cap, sizeof *core->nodes);
    struct sl_core_node *node = &core->nodes[core->node_count];
    memset(node, 0, sizeof *node);
    sl_text_copy(node->key, sizeof node->key, key);
    sl_text_copy(node->name, sizeof node->name, name);
    node->state = SL_SESSION_LOST;
    node->share_restored = UINT64_MAX;
    node->first_device = SL_CORE_NONE;
    core->nodes_by_key.key_at = key_at;
    sl_core_index_add(core, &core->nodes_by_key, core->node_count);
    return core->node_count++;
}

bool sl_core_node_up(const struct sl_broker_core *core, uint32_t node) {
    enum sl_session_state state = core->nodes[node].state;
    return state == SL_SESSION_LIVE || state == SL_SESSION_SUSPECT;
}

/* wire: the version that the peer speaks. */
void sl_core_goodbye(struct sl_broker_core *core, const struct sl_link_peer *peer, uint32_t wire,
                     bool retry, const char *reason) {
    struct sl_core_item *item = sl_core_put(core, SL_CCMD_SEND, 0);
    item->command.peer = *peer;
    item->command.msg = sl_core_calloc(1, sizeof *item->command.msg);
    item->command.msg->version = wire;
    item->command.msg->kind = SL_MSG_GOODBYE;
    item->command.msg->goodbye.retry = retry;
    sl_text_copy(item->command.msg->goodbye.reason, sizeof item->command.msg->goodbye.reason,
                 reason);
}

static bool boot_was_superseded(const struct sl_core_node *node, uint64_t boot_id) {
    for (uint32_t i = 0; i < node->boot_count && i < SL_CORE_BOOTS; i++) {
        if (node->old_boots[i] == boot_id) {
            return true;
        }
    }
    return false;
}

/* True when this hello shows that two agents fight for one key. */
static bool note_boot(struct sl_broker_core *core, struct sl_core_node *node, uint64_t boot_id) {
    if (node->boot_id == boot_id || node->boot_id == 0) {
        return false;
    }
    bool back = boot_was_superseded(node, boot_id);
    if (!boot_was_superseded(node, node->boot_id)) {
        node->old_boots[node->boot_count++ % SL_CORE_BOOTS] = node->boot_id;
    }
    if (!back) {
        return false;
    }
    node->flips_ns[node->flip_count++ % SL_CORE_BOOTS] = core->now.mono.ns;
    if (node->flip_count <= FLIPS_MAX) {
        return false;
    }
    int64_t first_ns = node->flips_ns[(node->flip_count - FLIPS_MAX - 1) % SL_CORE_BOOTS];
    return core->now.mono.ns - first_ns <= FLIP_WINDOW_NS;
}

static const char duplicate_reason[] =
    "two agents use one key: give each node a key of its own (sluice-agent keygen), then "
    "`sluice resume NODE`";

static void quarantine(struct sl_broker_core *core, uint32_t at, const struct sl_link_peer *peer,
                       uint32_t wire) {
    struct sl_core_node *node = &core->nodes[at];
    if (sl_core_node_up(core, at) && node->peer.conn != peer->conn) {
        sl_core_goodbye(core, &node->peer, node->wire, false, duplicate_reason);
    }
    sl_core_goodbye(core, peer, wire, false, duplicate_reason);
    sl_core_session_step(core, at, SL_SEV_DUPLICATE);
    node->session = 0;
    sl_core_fleet_lost(core, at);
}

static void welcome(struct sl_broker_core *core, uint32_t at, const struct sl_core_event *event) {
    struct sl_core_node *node = &core->nodes[at];
    uint64_t fresh = (uint64_t)core->now.wall.ms << 10;
    core->session_high = core->session_high + 1 > fresh ? core->session_high + 1 : fresh;
    node->session = core->session_high;
    sl_core_half_drop(core, at); /* all parts come again */
    node->sequence = 0;
    node->peer = event->peer;
    node->reported = core->now.mono;
    node->has_reported = false;
    sl_core_session_step(core, at, SL_SEV_HELLO);
    struct sl_core_item *item = sl_core_send(core, at, SL_MSG_WELCOME, 0, 0);
    item->command.msg->welcome = (struct sl_msg_welcome){
        .session = node->session,
        .report_ms = (uint32_t)core->config.report_ms,
        .safe_mode = core->config.safe_mode,
        .safe_mode_max_ms = (uint64_t)core->config.safe_mode_max_ms,
        .parts = true,
    };
    sl_core_session_step(core, at, SL_SEV_WELCOMED);
}

static void hello(struct sl_broker_core *core, const struct sl_core_event *event) {
    const struct sl_msg_hello *msg = &event->msg->hello;
    const char *trouble = sl_core_name_trouble(core, event->peer.key, msg->node);
    if (trouble) {
        sl_core_goodbye(core, &event->peer, event->msg->version, false, trouble);
        return;
    }
    uint32_t at = sl_core_node_of_peer(core, event->peer.key);
    if (at == SL_CORE_NONE) {
        at = sl_core_node_add(core, sl_core_identity(core, event->peer.key), msg->node);
    }
    struct sl_core_node *node = &core->nodes[at];
    if (node->state == SL_SESSION_QUARANTINED) {
        sl_core_goodbye(core, &event->peer, event->msg->version, false, duplicate_reason);
        return;
    }
    bool new_boot = node->boot_id != msg->boot_id;
    if (note_boot(core, node, msg->boot_id)) {
        quarantine(core, at, &event->peer, event->msg->version);
        return;
    }
    if (sl_core_node_up(core, at) && node->peer.conn != event->peer.conn && new_boot) {
        sl_core_goodbye(core, &node->peer, node->wire, true,
                        "superseded by a newer session of the same key");
    }
    if (new_boot) {
        sl_core_pools_boot(core, at);
    }
    node->boot_id = msg->boot_id;
    node->wire = event->msg->version;
    node->bundles = msg->bundles;
    sl_text_copy(node->name, sizeof node->name, msg->node);
    sl_text_copy(node->version, sizeof node->version, msg->version);
    welcome(core, at, event);
    sl_core_fleet_hello(core, at, msg, new_boot);
    sl_core_rotate_hello(core, at, event->peer.key);
    sl_core_arm_soon(core);
}

static void report(struct sl_broker_core *core, uint32_t at, const struct sl_msg_report *msg) {
    struct sl_core_node *node = &core->nodes[at];
    node->has_reported = true;
    core->reports++;
    sl_core_pools_report(core, at, msg);
    node->results_spooled = msg->results_spooled;
    node->shares_spooled = msg->shares_spooled;
    sl_core_fleet_report(core, at, msg);
    sl_core_arm_soon(core);
}

static void dispatch(struct sl_broker_core *core, uint32_t at, const struct sl_msg *msg) {
    switch (msg->kind) {
    case SL_MSG_REPORT:
        report(core, at, &msg->report);
        break;
    case SL_MSG_ACK:
        sl_core_lease_ack(core, at, &msg->ack);
        break;
    case SL_MSG_RESULT:
        sl_core_result(core, at, &msg->result);
        break;
    case SL_MSG_SHARES:
        sl_core_shares(core, at, &msg->shares);
        break;
    case SL_MSG_GOODBYE:
        sl_core_session_step(core, at, SL_SEV_BYE);
        /* It has stopped its devices before it said so: nothing to wait for. */
        for (uint32_t dev = core->nodes[at].first_device; dev != SL_CORE_NONE;
             dev = core->fleet.sibling[dev]) {
            sl_core_lease_clear(core, dev);
            sl_core_power_forget(core, dev); /* others may have its watts under a cap */
            sl_core_unit_close_device(core, dev);
        }
        sl_core_fleet_lost(core, at);
        break;
    case SL_MSG_ROTATE_KEY:
        sl_core_rotate_key(core, at, core->nodes[at].peer.key, &msg->rotate_key);
        break;
    case SL_MSG_HELLO:
    case SL_MSG_INVALID:
    case SL_MSG_WELCOME:
    case SL_MSG_DIRECTIVE:
    case SL_MSG_UNIT:
    case SL_MSG_RESULT_ACK:
    case SL_MSG_DRAIN:
    case SL_MSG_ROTATE:
    default:
        sl_core_log(core, SL_LOG_WARN, "session.unexpected", "node=%s kind=%d",
                    core->nodes[at].name, (int)msg->kind);
        break;
    }
}

void sl_core_session_msg(struct sl_broker_core *core, const struct sl_core_event *event) {
    if (!sl_core_agent_heard(core, event->peer.key)) {
        return; /* revoked: nothing it says changes anything, and it is told nothing */
    }
    if (event->msg->kind == SL_MSG_HELLO) {
        hello(core, event);
        return;
    }
    uint32_t at = sl_core_node_of_peer(core, event->peer.key);
    if (at == SL_CORE_NONE) {
        sl_core_goodbye(core, &event->peer, event->msg->version, true,
                        "no session: say hello first");
        return;
    }
    struct sl_core_node *node = &core->nodes[at];
    if (!sl_core_node_up(core, at) || node->session != event->msg->session ||
        node->peer.conn != event->peer.conn) {
        bool may_say = node->said_goodbye.ns == 0 ||
                       core->now.mono.ns - node->said_goodbye.ns >= GOODBYE_EVERY_NS;
        if (node->state != SL_SESSION_QUARANTINED && may_say &&
            event->msg->kind != SL_MSG_GOODBYE) {
            node->said_goodbye = core->now.mono;
            sl_core_goodbye(core, &event->peer, event->msg->version, true,
                            "the session is over: say hello again");
        }
        return;
    }
    node->reported = core->now.mono;
    sl_core_session_step(core, at, SL_SEV_HEARD);
    dispatch(core, at, event->msg);
}

/* Silence counts only as far as everything was read: a broker that is behind would lose agents
 * whose words lie here, and their return costs more than what it is behind with. */
static int64_t silent_ms_of(const struct sl_broker_core *core, const struct sl_core_node *node) {
    int64_t until_ns = core->now.mono.ns - BEHIND_NS_MAX;
    until_ns = core->behind.heard.ns > until_ns ? core->behind.heard.ns : until_ns;
    return (until_ns - node->reported.ns) / SL_NS_PER_MS;
}

void sl_core_session_sweep(struct sl_broker_core *core) {
    for (uint32_t i = 0; i < core->node_count; i++) {
        struct sl_core_node *node = &core->nodes[i];
        sl_core_half_sweep(core, i);
        if (!sl_core_node_up(core, i)) {
            continue;
        }
        int64_t silent_ms = silent_ms_of(core, node);
        if (silent_ms >= core->config.session_lost_ms) {
            sl_core_session_step(core, i, SL_SEV_SILENT);
            sl_core_fleet_lost(core, i);
        } else if (silent_ms >= QUIET_REPORTS * core->config.report_ms &&
                   node->state == SL_SESSION_LIVE) {
            sl_core_session_step(core, i, SL_SEV_QUIET);
        } else if (core->now.mono.ns - node->spoke.ns >= SPEAK_NS) {
            sl_core_send(core, i, SL_MSG_RESULT_ACK, 0, 0); /* of nothing: we are here */
        }
    }
}

void sl_core_session_shutdown(struct sl_broker_core *core) {
    for (uint32_t i = 0; i < core->node_count; i++) {
        if (sl_core_node_up(core, i)) {
            sl_core_goodbye(core, &core->nodes[i].peer, core->nodes[i].wire, true,
                            "the broker stops; it will be back");
        }
    }
}
