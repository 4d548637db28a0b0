/* SPDX-License-Identifier: Apache-2.0
 * The registry of agents, and what people order about them.
 *
 * From the moment of a revocation nothing that its node says is heard: its session is over, its
 * units are closed so that their lines go elsewhere at once, and its leases run out: its devices
 * are granted to nobody before the ttl of the last directive that left, and a margin, have passed.
 * Whoever is not in the registry is of the file of allowed keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

#define PREFIX_MIN 6 /* of a key, to name an agent by */
#define FOREIGN_LOG_NS (10 * SL_NS_PER_S)

const char *sl_agent_state_name(enum sl_agent_state state) {
    static const char *const names[SL_AGENT_STATES] = {"invalid", "waiting", "approved", "rejected",
                                                       "revoked"};
    return state < SL_AGENT_STATES ? names[state] : names[0];
}

void sl_core_agents_create(struct sl_broker_core *core) {
    core->agents = sl_core_calloc(1, sizeof *core->agents);
}

void sl_core_agents_destroy(struct sl_broker_core *core) {
    if (!core->agents) {
        return;
    }
    free(core->agents->agents);
    free(core->agents->tokens);
    free(core->agents->retired);
    free(core->agents->keys.at);
    free(core->agents->ids.at);
    free(core->agents);
}

/* ---- keys ---- */

static int compare_keys(const void *a, const void *b) {
    return strcmp(((const struct sl_core_key *)a)->key, ((const struct sl_core_key *)b)->key);
}

static void put_key(struct sl_core_key_list *list, const char *key, uint32_t agent) {
    if (key[0] == '\0') {
        return;
    }
    sl_core_grow(&list->at, list->count, &list->cap, sizeof *list->at);
    struct sl_core_key *at = &list->at[list->count++];
    sl_text_copy(at->key, sizeof at->key, key);
    at->agent = agent;
}

/* Of a list that is sorted: a start puts thousands. */
static void put_in_place(struct sl_core_key_list *list, const char *key, uint32_t agent) {
    put_key(list, key, agent);
    if (key[0] == '\0') {
        return;
    }
    struct sl_core_key last = list->at[list->count - 1];
    uint32_t from = 0;
    uint32_t to = list->count - 1;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        bool before = compare_keys(&list->at[middle], &last) < 0;
        from = before ? middle + 1 : from;
        to = before ? to : middle;
    }
    memmove(&list->at[from + 1], &list->at[from], (list->count - 1 - from) * sizeof last);
    list->at[from] = last;
}

static void sort_keys(struct sl_core_key_list *list) {
    if (list->count) {
        qsort(list->at, list->count, sizeof *list->at, compare_keys);
    }
}

static void index_keys(struct sl_broker_core *core) {
    struct sl_core_agents *all = core->agents;
    all->keys.count = all->ids.count = 0;
    for (uint32_t i = 0; i < all->retired_count; i++) {
        put_key(&all->keys, all->retired[i].key, SL_CORE_NONE);
    }
    for (uint32_t i = 0; i < all->agent_count; i++) {
        put_key(&all->keys, all->agents[i].row.key, i);
        put_key(&all->keys, all->agents[i].row.key_before, i);
        put_key(&all->ids, all->agents[i].row.id, i);
    }
    sort_keys(&all->keys);
    sort_keys(&all->ids);
}

static const struct sl_core_key *key_find(const struct sl_core_key_list *list, const char *key) {
    struct sl_core_key wanted = {.agent = 0};
    if (list->count == 0 || !sl_text_copy(wanted.key, sizeof wanted.key, key)) {
        return NULL;
    }
    return bsearch(&wanted, list->at, list->count, sizeof wanted, compare_keys);
}

uint32_t sl_core_agent_by_key(const struct sl_broker_core *core, const char *key) {
    const struct sl_core_key *found = key_find(&core->agents->keys, key);
    return found ? found->agent : SL_CORE_NONE;
}

bool sl_core_agent_heard(const struct sl_broker_core *core, const char *key) {
    const struct sl_core_key *found = key_find(&core->agents->keys, key);
    if (!found || SL_MUTANT(revoked_still_heard)) {
        return true;
    }
    return found->agent != SL_CORE_NONE &&
           core->agents->agents[found->agent].row.state == SL_AGENT_APPROVED;
}

const char *sl_core_identity(const struct sl_broker_core *core, const char *key) {
    uint32_t agent = sl_core_agent_by_key(core, key);
    return agent == SL_CORE_NONE ? key : core->agents->agents[agent].row.id;
}

uint32_t sl_core_node_of_peer(const struct sl_broker_core *core, const char *key) {
    return sl_core_node_find(core, sl_core_identity(core, key));
}

/* ---- names ---- */

static uint32_t agent_by_id(const struct sl_broker_core *core, const char *id) {
    const struct sl_core_key *found = key_find(&core->agents->ids, id);
    return found ? found->agent : SL_CORE_NONE;
}

static bool holds_name(const struct sl_agent_row *row, const char *name) {
    return (row->state == SL_AGENT_APPROVED || row->state == SL_AGENT_WAITING) &&
           strcmp(row->name, name) == 0;
}

bool sl_core_node_revoked(const struct sl_broker_core *core, uint32_t node) {
    uint32_t agent = agent_by_id(core, core->nodes[node].key);
    return agent != SL_CORE_NONE && core->agents->agents[agent].row.state == SL_AGENT_REVOKED;
}

bool sl_core_name_taken(const struct sl_broker_core *core, const char *name) {
    for (uint32_t i = 0; i < core->agents->agent_count; i++) {
        if (holds_name(&core->agents->agents[i].row, name)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < core->node_count; i++) {
        if (strcmp(core->nodes[i].name, name) == 0 && !sl_core_node_revoked(core, i)) {
            return true;
        }
    }
    return false;
}

const char *sl_core_name_trouble(const struct sl_broker_core *core, const char *key,
                                 const char *name) {
    uint32_t own = sl_core_agent_by_key(core, key);
    if (own != SL_CORE_NONE) {
        return strcmp(core->agents->agents[own].row.name, name) == 0
                   ? NULL
                   : "this key was enrolled for a node of another name: set `node` in agent.yaml "
                     "to that name, or enroll this one (`sluice agents ls`)";
    }
    for (uint32_t i = 0; i < core->agents->agent_count; i++) {
        if (holds_name(&core->agents->agents[i].row, name)) {
            return "another agent was enrolled under this node's name: give `node` in agent.yaml "
                   "another one";
        }
    }
    return NULL;
}

/* ---- rows ---- */

/* What people watch says it too, and who it was. Joining and revoking have events of their own. */
static void note_order(struct sl_broker_core *core, const char *actor, const char *action,
                       const char *subject) {
    static const struct {
        const char *action, *done;
    } orders[] = {
        {"agents.enroll", "may join with a new token: enrolled"},
        {"agents.approve", "is approved"},
        {"agents.reject", "is rejected"},
        {"agents.rotate", "is to make a new key: ordered"},
        {"agents.rotate.key", "has a new key: made"},
        {"agents.rotate.used", "has used its new key: noted"},
        {"agents.rotate.over", "has its new key alone now: ended"},
    };
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (strcmp(orders[i].action, action) == 0) {
            sl_core_event_note(core, SL_SEVERITY_INFO, action, SL_CORE_NONE, SL_CORE_NONE,
                               "%s %s by %s", subject, orders[i].done, actor);
        }
    }
}

void sl_core_audit(struct sl_broker_core *core, const char *actor, const char *action,
                   const char *subject, const char *detail) {
    struct sl_op op = {.kind = SL_OP_AUDIT};
    sl_text_copy(op.audit.actor, sizeof op.audit.actor, actor);
    sl_text_copy(op.audit.action, sizeof op.audit.action, action);
    sl_text_copy(op.audit.subject, sizeof op.audit.subject, subject);
    sl_text_copy(op.audit.detail, sizeof op.audit.detail, detail);
    op.audit.at = core->now.wall;
    sl_core_op(core, &op);
    note_order(core, actor, action, subject);
}

uint32_t sl_core_agent_add(struct sl_broker_core *core, const struct sl_agent_row *row) {
    struct sl_core_agents *all = core->agents;
    sl_core_grow(&all->agents, all->agent_count, &all->agent_cap, sizeof *all->agents);
    all->agents[all->agent_count] = (struct sl_core_agent){.row = *row};
    return all->agent_count++;
}

void sl_core_agent_store(struct sl_broker_core *core, uint32_t agent, const char *action,
                         const char *actor, const char *detail) {
    struct sl_agent_row *row = &core->agents->agents[agent].row;
    if (row->retired[0]) {
        struct sl_core_agents *all = core->agents;
        sl_core_grow(&all->retired, all->retired_count, &all->retired_cap, sizeof *all->retired);
        struct sl_retired_row *at = &all->retired[all->retired_count++];
        sl_text_copy(at->key, sizeof at->key, row->retired);
        sl_text_copy(at->id, sizeof at->id, row->id);
    }
    struct sl_op op = {.kind = SL_OP_AGENT, .agent = *row};
    sl_core_op(core, &op);
    row->retired[0] = '\0';
    index_keys(core);
    sl_core_audit(core, actor, action, row->name, detail);
}

void sl_core_admit(struct sl_broker_core *core, uint64_t ticket) {
    sl_core_put(core, SL_CCMD_ADMIT, ticket);
}

/* ---- orders ---- */

/* The agent that is meant: by its name (the one in force before those of the past), a key, or the
 * beginning of one. -SL_NOTFOUND, -SL_EXISTS: several. */
static int find_agent(const struct sl_broker_core *core, const char *subject, uint32_t *ret_agent) {
    const struct sl_core_agents *all = core->agents;
    size_t n = strlen(subject);
    uint32_t found = SL_CORE_NONE;
    uint32_t past = SL_CORE_NONE;
    uint32_t begun = SL_CORE_NONE;
    uint32_t begun_count = 0;
    for (uint32_t i = 0; i < all->agent_count; i++) {
        const struct sl_agent_row *row = &all->agents[i].row;
        if (strcmp(row->key, subject) == 0 || strcmp(row->id, subject) == 0 ||
            holds_name(row, subject)) {
            found = i;
        } else if (strcmp(row->name, subject) == 0) {
            past = i; /* the last one */
        } else if (n >= PREFIX_MIN && strncmp(row->key, subject, n) == 0) {
            begun = i;
            begun_count++;
        }
    }
    found = found == SL_CORE_NONE ? past : found;
    if (found == SL_CORE_NONE && begun_count > 1) {
        return -SL_EXISTS;
    }
    *ret_agent = found == SL_CORE_NONE ? begun : found;
    return *ret_agent == SL_CORE_NONE ? -SL_NOTFOUND : SL_OK;
}

/* A node of the file of allowed keys gets a row when somebody orders something about it; a refused
 * order leaves none (forget_refused). */
static int find_static(struct sl_broker_core *core, const char *subject, uint32_t *ret_agent) {
    uint32_t found = SL_CORE_NONE;
    for (uint32_t i = 0; i < core->node_count; i++) {
        const struct sl_core_node *node = &core->nodes[i];
        if (agent_by_id(core, node->key) != SL_CORE_NONE) {
            continue;
        }
        bool meant =
            strcmp(node->name, subject) == 0 || strcmp(node->key, subject) == 0 ||
            (strlen(subject) >= PREFIX_MIN && strncmp(node->key, subject, strlen(subject)) == 0);
        if (meant && found != SL_CORE_NONE) {
            return -SL_EXISTS;
        }
        found = meant ? i : found;
    }
    if (found == SL_CORE_NONE) {
        return -SL_NOTFOUND;
    }
    const struct sl_core_node *node = &core->nodes[found];
    struct sl_agent_row row = {.state = SL_AGENT_APPROVED, .joined = core->now.wall};
    sl_text_copy(row.id, sizeof row.id, node->key);
    sl_text_copy(row.key, sizeof row.key, node->key);
    sl_text_copy(row.name, sizeof row.name, node->name);
    sl_text_copy(row.version, sizeof row.version, node->version);
    *ret_agent = sl_core_agent_add(core, &row);
    return SL_OK;
}

/* Its messages are not heard any more; here is what else ends. */
static void cut_off(struct sl_broker_core *core, uint32_t node) {
    struct sl_core_fleet *fleet = &core->fleet;
    if (sl_core_node_up(core, node)) {
        sl_core_goodbye(core, &core->nodes[node].peer, core->nodes[node].wire, false,
                        "this agent is not admitted any more: an operator revoked its key");
        sl_core_session_step(core, node, SL_SEV_BYE);
    }
    core->nodes[node].session = 0; /* nothing that waits goes out any more */
    for (uint32_t dev = 0; dev < fleet->count; dev++) {
        if (fleet->node[dev] != node) {
            continue;
        }
        sl_core_unit_close_device(core, dev);
        if (!fleet->sent[dev]) {
            sl_core_lease_clear(core, dev); /* its directive never left */
        }
    }
    sl_core_fleet_lost(core, node);
}

static void decide(struct sl_broker_core *core, uint32_t agent, const struct sl_core_event *event,
                   enum sl_agent_state state, const char *action) {
    struct sl_agent_row *row = &core->agents->agents[agent].row;
    row->state = state;
    row->decided = core->now.wall;
    sl_text_copy(row->actor, sizeof row->actor, event->actor);
    sl_core_agent_store(core, agent, action, event->actor, row->key);
    sl_core_log(core, SL_LOG_INFO, action, "node=%s key=%s", row->name, row->key);
    sl_core_reply(core, event->cookie, sl_core_ticket(core), SL_OK, "%s", row->name);
}

static void approve(struct sl_broker_core *core, uint32_t agent,
                    const struct sl_core_event *event) {
    const struct sl_agent_row *row = &core->agents->agents[agent].row;
    if (row->state == SL_AGENT_APPROVED || row->state == SL_AGENT_REVOKED) {
        sl_core_reply(core, event->cookie, 0, -SL_BADSTATE, "%s is %s%s", row->name,
                      sl_agent_state_name(row->state),
                      row->state == SL_AGENT_REVOKED
                          ? ": a revoked key stays revoked; enroll the node again"
                          : " already");
        return;
    }
    if (row->state == SL_AGENT_REJECTED && sl_core_name_taken(core, row->name)) {
        sl_core_reply(core, event->cookie, 0, -SL_EXISTS,
                      "another agent has the name %s by now: revoke that one first", row->name);
        return;
    }
    decide(core, agent, event, SL_AGENT_APPROVED, "agents.approve");
    sl_core_admit(core, sl_core_ticket(core));
}

static void reject(struct sl_broker_core *core, uint32_t agent, const struct sl_core_event *event) {
    const struct sl_agent_row *row = &core->agents->agents[agent].row;
    if (row->state != SL_AGENT_WAITING) {
        sl_core_reply(core, event->cookie, 0, -SL_BADSTATE, "%s is %s%s", row->name,
                      sl_agent_state_name(row->state),
                      row->state == SL_AGENT_APPROVED ? ": revoke it instead" : " already");
        return;
    }
    decide(core, agent, event, SL_AGENT_REJECTED, "agents.reject");
}

static void revoke_agent(struct sl_broker_core *core, uint32_t agent,
                         const struct sl_core_event *event) {
    const struct sl_agent_row *row = &core->agents->agents[agent].row;
    if (row->state == SL_AGENT_REVOKED) {
        sl_core_reply(core, event->cookie, 0, -SL_BADSTATE, "%s is revoked already", row->name);
        return;
    }
    decide(core, agent, event, SL_AGENT_REVOKED, "agents.revoke");
    sl_core_tokens_withdraw(core, row->name);
    uint32_t node = sl_core_node_find(core, row->id);
    sl_core_event_note(core, SL_SEVERITY_WARN, "agents.revoke", node, SL_CORE_NONE,
                       "%s is revoked by %s: its leases run out, it is heard no more", row->name,
                       event->actor);
    if (node != SL_CORE_NONE) {
        cut_off(core, node);
    }
    /* At once: it is never wrong to refuse. After a crash before the commit the order was not
     * confirmed either. */
    sl_core_admit(core, 0);
    sl_core_arm(core);
}

/* A row that was made for this order and is not stored: its node would be taken for another that
 * has its name, and be sent away at its next hello. */
static void forget_refused(struct sl_broker_core *core, uint32_t count_before) {
    struct sl_core_agents *all = core->agents;
    if (all->agent_count > count_before &&
        sl_core_agent_by_key(core, all->agents[count_before].row.key) == SL_CORE_NONE) {
        all->agent_count = count_before;
    }
}

void sl_core_agent_order(struct sl_broker_core *core, const struct sl_core_event *event) {
    const struct sl_core_agent_order *order = &event->order;
    if (order->verb == SL_AGENT_ENROLL) {
        sl_core_enroll(core, event);
        return;
    }
    uint32_t count_before = core->agents->agent_count;
    uint32_t agent = SL_CORE_NONE;
    bool may_be_static = order->verb == SL_AGENT_REVOKE || order->verb == SL_AGENT_ROTATE;
    int rc = find_agent(core, order->subject, &agent);
    bool past = rc == SL_OK && core->agents->agents[agent].row.state >= SL_AGENT_REJECTED;
    if ((rc == -SL_NOTFOUND || past) && may_be_static) {
        int found = find_static(core, order->subject, &agent);
        rc = past && found ? SL_OK : found;
    }
    if (rc) {
        sl_core_reply(core, event->cookie, 0, rc,
                      rc == -SL_EXISTS ? "several agents are meant by '%s': give the whole key"
                                       : "there is no agent '%s'; see `sluice agents ls`",
                      order->subject);
        return;
    }
    switch (order->verb) {
    case SL_AGENT_APPROVE:
        approve(core, agent, event);
        break;
    case SL_AGENT_REJECT:
        reject(core, agent, event);
        break;
    case SL_AGENT_REVOKE:
        revoke_agent(core, agent, event);
        break;
    case SL_AGENT_ROTATE:
        sl_core_rotate(core, agent, event);
        break;
    case SL_AGENT_ENROLL:
    case SL_AGENT_VERB_INVALID:
    default:
        sl_core_reply(core, event->cookie, 0, -SL_INVALID, "no such order");
        break;
    }
    forget_refused(core, count_before);
}

/* Counted; true: told this time. */
static bool tell_foreign(struct sl_broker_core *core) {
    struct sl_core_agents *all = core->agents;
    all->foreign++;
    if (all->foreign_logged.ns != 0 &&
        sl_mono_since_ns(core->now.mono, all->foreign_logged) < FOREIGN_LOG_NS) {
        return false;
    }
    all->foreign_logged = core->now.mono;
    return true;
}

void sl_core_made_up(struct sl_broker_core *core, uint32_t node, const char *key,
                     const char *what) {
    if (!tell_foreign(core)) {
        return;
    }
    sl_core_event_note(core, SL_SEVERITY_WARN, "device.refused", node, SL_CORE_NONE,
                       "spoke of the device %s, %s; refused", key, what);
    sl_core_log(core, SL_LOG_WARN, "device.refused",
                "node=%s device=%s refused=%llu: %s; see what runs there, or revoke it",
                core->nodes[node].name, key, (unsigned long long)core->agents->foreign, what);
}

void sl_core_foreign(struct sl_broker_core *core, uint32_t node, const char *what,
                     const char *subject, uint32_t owner) {
    if (!tell_foreign(core)) {
        return;
    }
    sl_core_event_note(core, SL_SEVERITY_WARN, "device.refused", node, SL_CORE_NONE,
                       "spoke of the %s %s, which is %s's; refused", what, subject,
                       owner == SL_CORE_NONE ? "nobody" : core->nodes[owner].name);
    sl_core_log(core, SL_LOG_WARN, "device.refused",
                "node=%s %s=%s owner=%s refused=%llu: it is another node's; check for a copied "
                "configuration, or revoke the owner",
                core->nodes[node].name, what, subject,
                owner == SL_CORE_NONE ? "none" : core->nodes[owner].name,
                (unsigned long long)core->agents->foreign);
}

/* ---- for the shell and screens ---- */

static bool is_key(const char *key) {
    return strlen(key) == SL_MSG_CURVE_KEY_MAX - 1;
}

int sl_broker_core_restore_agent(struct sl_broker_core *core, const struct sl_agent_row *row) {
    bool fits = is_key(row->id) && is_key(row->key) && row->name[0] &&
                row->state > SL_AGENT_STATE_INVALID && row->state < SL_AGENT_STATES &&
                (row->key_before[0] == '\0' || is_key(row->key_before)) &&
                row->rotation <= INT64_MAX && row->overlap_ms >= 0 &&
                row->overlap_ms <= SL_OVERLAP_MAX_MS;
    if (!fits) {
        return -SL_CORRUPT;
    }
    if (agent_by_id(core, row->id) != SL_CORE_NONE) {
        return -SL_EXISTS;
    }
    uint32_t agent = sl_core_agent_add(core, row);
    put_in_place(&core->agents->keys, row->key, agent);
    put_in_place(&core->agents->keys, row->key_before, agent);
    put_in_place(&core->agents->ids, row->id, agent);
    return SL_OK;
}

int sl_broker_core_restore_retired(struct sl_broker_core *core, const struct sl_retired_row *row) {
    struct sl_core_agents *all = core->agents;
    if (!is_key(row->key)) {
        return -SL_CORRUPT;
    }
    sl_core_grow(&all->retired, all->retired_count, &all->retired_cap, sizeof *all->retired);
    all->retired[all->retired_count++] = *row;
    put_in_place(&all->keys, row->key, SL_CORE_NONE);
    return SL_OK;
}

void sl_broker_core_admission(const struct sl_broker_core *core,
                              struct sl_link_admission *ret_admission) {
    const struct sl_core_agents *all = core->agents;
    char(*admitted)[SL_LINK_KEY_MAX] = sl_core_calloc(all->keys.count, sizeof *admitted);
    char(*refused)[SL_LINK_KEY_MAX] = sl_core_calloc(all->keys.count, sizeof *refused);
    size_t in = 0;
    size_t out = 0;
    for (uint32_t i = 0; i < all->keys.count; i++) {
        const char *key = all->keys.at[i].key;
        bool heard = sl_core_agent_heard(core, key);
        sl_text_copy(heard ? admitted[in++] : refused[out++], SL_LINK_KEY_MAX, key);
    }
    *ret_admission = (struct sl_link_admission){in, out, admitted, refused};
}

static void view_row(const struct sl_broker_core *core, struct sl_now now,
                     const struct sl_agent_row *row, struct sl_view_agent *view) {
    uint32_t node = sl_core_node_find(core, row->id);
    sl_text_copy(view->name, sizeof view->name, row->name);
    sl_text_copy(view->key, sizeof view->key, row->key);
    sl_text_copy(view->id, sizeof view->id, row->id);
    sl_text_copy(view->key_before, sizeof view->key_before, row->key_before);
    sl_text_copy(view->version, sizeof view->version,
                 node != SL_CORE_NONE && core->nodes[node].version[0] ? core->nodes[node].version
                                                                      : row->version);
    sl_text_copy(view->inventory, sizeof view->inventory, row->inventory);
    sl_text_copy(view->actor, sizeof view->actor, row->actor);
    view->state = sl_agent_state_name(row->state);
    view->session = node == SL_CORE_NONE ? "none" : sl_session_state_name(core->nodes[node].state);
    view->rotating = row->state == SL_AGENT_APPROVED && /* who is revoked gets no new key */
                     (row->rotating || row->key_before[0] != '\0');
    view->next_key = !core->config.next_server_key[0]                           ? "none"
                     : node != SL_CORE_NONE && core->nodes[node].keeps_next_key ? "kept"
                                                                                : "not kept";
    int64_t left_ms = row->before_until.ms - now.wall.ms;
    view->before_left_ms = row->key_before[0] && left_ms > 0 ? left_ms : 0;
    view->devices = node == SL_CORE_NONE ? 0 : core->nodes[node].device_count;
    view->joined = row->joined;
    view->decided = row->decided;
}

bool sl_view_agent_next(const struct sl_broker_core *core, struct sl_now now, uint32_t *cursor,
                        struct sl_view_agent *ret_view) {
    const struct sl_core_agents *all = core->agents;
    memset(ret_view, 0, sizeof *ret_view);
    if (*cursor < all->agent_count) {
        view_row(core, now, &all->agents[(*cursor)++].row, ret_view);
        return true;
    }
    while (*cursor - all->agent_count < core->node_count) {
        const struct sl_core_node *node = &core->nodes[(*cursor)++ - all->agent_count];
        if (agent_by_id(core, node->key) != SL_CORE_NONE) {
            continue;
        }
        struct sl_agent_row row = {.state = SL_AGENT_APPROVED};
        sl_text_copy(row.id, sizeof row.id, node->key);
        sl_text_copy(row.key, sizeof row.key, node->key);
        sl_text_copy(row.name, sizeof row.name, node->name);
        view_row(core, now, &row, ret_view);
        ret_view->state = "static";
        return true;
    }
    return false;
}
