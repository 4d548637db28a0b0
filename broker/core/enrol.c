/* SPDX-License-Identifier: Apache-2.0
 * Tokens, and who presents them.
 *
 * A token is good once: its use and the agent's row are one transaction, answered after it. The
 * same key may present it again and hears how it stands, so that a lost answer or a crash between
 * any two steps is mended by asking once more. Each request is hashed and compared with every
 * token, each comparison taking the same time; what is wrong with a token is told only to whoever
 * holds its secret. Ends of tokens are kept on two clocks: neither setting the wall clock back nor
 * a restart makes one live longer. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

#define KEPT_MS (INT64_C(7) * 24 * 3600 * 1000) /* used and expired ones, to say what became */
#define TOKENS_MAX 512

static bool is_open(const struct sl_broker_core *core, const struct sl_core_token *token) {
    return token->row.used.ms == 0 && core->now.mono.ns < token->end.ns &&
           core->now.wall.ms < token->row.expires.ms;
}

/* Those of the name do not count: a new one ends them. */
static uint32_t open_beside(const struct sl_broker_core *core, const char *name) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < core->agents->token_count; i++) {
        const struct sl_core_token *token = &core->agents->tokens[i];
        count += is_open(core, token) && strcmp(token->row.name, name) != 0;
    }
    return count;
}

static void store_token(struct sl_broker_core *core, const struct sl_core_token *token) {
    struct sl_op op = {.kind = SL_OP_ENROLMENT, .enrolment = token->row};
    sl_core_op(core, &op);
}

static bool good_name(const char *name) {
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return n > 0 && n < SL_JOIN_NODE_MAX && name[n] == '\0';
}

/* NULL: nothing is wrong. */
static const char *refuse(const struct sl_broker_core *core,
                          const struct sl_core_agent_order *order, int *ret_status) {
    *ret_status = -SL_INVALID;
    if (!good_name(order->subject)) {
        return "a node's name has 1 to 31 letters, digits, '.', '_' or '-'";
    }
    if (order->span_ms < SL_TOKEN_TTL_MIN_MS || order->span_ms > SL_TOKEN_TTL_MAX_MS) {
        return "a token lives from 1m to 24h";
    }
    *ret_status = -SL_EXISTS;
    if (sl_core_name_taken(core, order->subject)) {
        return "there is an agent of this name: rotate its key, or revoke it first "
               "(`sluice agents ls`)";
    }
    *ret_status = -SL_LIMIT;
    if (open_beside(core, order->subject) >= SL_TOKENS_OPEN_MAX ||
        core->agents->token_count >= TOKENS_MAX) {
        return "64 tokens are open: wait until some are used or have expired";
    }
    return core->agents->agent_count < SL_AGENTS_MAX ? NULL : "8192 agents are known: no more fit";
}

void sl_core_enroll(struct sl_broker_core *core, const struct sl_core_event *event) {
    const struct sl_core_agent_order *order = &event->order;
    struct sl_core_agents *all = core->agents;
    sl_core_tokens_sweep(core);
    int status = SL_OK;
    const char *why = refuse(core, order, &status);
    if (why) {
        sl_core_reply(core, event->cookie, 0, status, "%s: %s", order->subject, why);
        return;
    }
    /* One token a name: the earlier one may have been lost, or seen. */
    sl_core_tokens_withdraw(core, order->subject);
    sl_core_grow(&all->tokens, all->token_count, &all->token_cap, sizeof *all->tokens);
    struct sl_core_token *token = &all->tokens[all->token_count++];
    *token = (struct sl_core_token){.end = sl_mono_after_ms(core->now.mono, order->span_ms)};
    struct sl_enrolment_row *row = &token->row;
    sl_text_copy(row->id, sizeof row->id, order->token);
    sl_text_copy(row->name, sizeof row->name, order->subject);
    memcpy(row->hash, order->hash, sizeof row->hash);
    row->created = core->now.wall;
    row->expires.ms = core->now.wall.ms + order->span_ms;
    sl_text_copy(row->actor, sizeof row->actor, event->actor);
    store_token(core, token);
    sl_core_audit(core, event->actor, "agents.enroll", row->name, row->id);
    sl_core_reply(core, event->cookie, sl_core_ticket(core), SL_OK, "%s", row->id);
}

void sl_core_tokens_withdraw(struct sl_broker_core *core, const char *name) {
    for (uint32_t i = 0; i < core->agents->token_count; i++) {
        struct sl_core_token *token = &core->agents->tokens[i];
        if (is_open(core, token) && strcmp(token->row.name, name) == 0) {
            /* Not now: a clock that is set back would open it again, or put its end before its
             * beginning. */
            token->row.expires = token->row.created;
            token->end = core->now.mono;
            store_token(core, token);
        }
    }
}

static void forget_token(struct sl_core_agents *all, uint32_t at) {
    memmove(&all->tokens[at], &all->tokens[at + 1],
            (all->token_count - at - 1) * sizeof all->tokens[0]);
    all->token_count--;
}

/* Whoever used it waits for approval and goes on asking with it. */
static bool is_awaited(const struct sl_broker_core *core, const struct sl_core_token *token) {
    uint32_t agent =
        token->row.used.ms != 0 ? sl_core_agent_by_key(core, token->row.key) : SL_CORE_NONE;
    return agent != SL_CORE_NONE && core->agents->agents[agent].row.state == SL_AGENT_WAITING;
}

/* The oldest closed ones go first, until fewer than `most` are left; awaited: of these, too. */
static void forget_closed(struct sl_broker_core *core, uint32_t most, bool awaited) {
    struct sl_core_agents *all = core->agents;
    for (uint32_t i = 0; i < all->token_count && all->token_count >= most;) {
        const struct sl_core_token *token = &all->tokens[i];
        if (is_open(core, token) || (!awaited && is_awaited(core, token))) {
            i++;
            continue;
        }
        forget_token(all, i);
    }
}

/* Forgets what nobody asks for any more; the store prunes by itself. */
void sl_core_tokens_sweep(struct sl_broker_core *core) {
    struct sl_core_agents *all = core->agents;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < all->token_count; i++) {
        const struct sl_core_token *token = &all->tokens[i];
        bool old = core->now.wall.ms - token->row.expires.ms > KEPT_MS && !is_open(core, token);
        if (!old) {
            all->tokens[kept++] = *token;
        }
    }
    all->token_count = kept;
    /* Beyond reason. */
    forget_closed(core, TOKENS_MAX / 2, false);
    forget_closed(core, TOKENS_MAX, true);
}

/* ---- presenting ---- */

static void answer(struct sl_broker_core *core, const struct sl_core_join *join, uint64_t ticket,
                   enum sl_join_status status, const char *text) {
    struct sl_core_item *item = sl_core_put(core, SL_CCMD_JOIN_REPLY, ticket);
    item->command.join_conn = join->conn;
    sl_text_copy(item->command.peer.key, sizeof item->command.peer.key, join->key);
    struct sl_join_reply *reply = sl_core_calloc(1, sizeof *reply);
    reply->status = status;
    sl_text_copy(reply->node, sizeof reply->node, join->node);
    sl_text_copy(reply->text, sizeof reply->text, text);
    item->command.join = reply;
}

static void refuse_join(struct sl_broker_core *core, const struct sl_core_join *join,
                        enum sl_refusal why, const char *text, const char *logged) {
    answer(core, join, 0, SL_JOIN_REFUSED, text);
    sl_core_refused(core, why, join, logged);
}

/* How the agent stands, told to itself. A request repeated by the key that used the token. */
static void tell(struct sl_broker_core *core, const struct sl_core_join *join,
                 const struct sl_agent_row *row) {
    /* Its row may be on its way to the disk. */
    uint64_t ticket = core->txn ? sl_core_ticket(core) : core->ticket;
    switch (row->state) {
    case SL_AGENT_APPROVED:
        answer(core, join, ticket, SL_JOIN_APPROVED, "approved");
        break;
    case SL_AGENT_WAITING:
        answer(core, join, ticket, SL_JOIN_WAITING,
               "waits for an operator: `sluice agents approve NAME`");
        break;
    case SL_AGENT_REJECTED:
    case SL_AGENT_REVOKED:
    case SL_AGENT_STATE_INVALID:
    case SL_AGENT_STATES:
    default:
        refuse_join(core, join, SL_REFUSAL_REVOKED,
                    "an operator has rejected or revoked this agent", "it was rejected or revoked");
        break;
    }
}

static void take_in(struct sl_broker_core *core, const struct sl_core_join *join,
                    struct sl_core_token *token) {
    const struct sl_policy_joining *policy = &core->config.policy.joining;
    bool few = policy->max_devices == 0 || join->devices <= (uint64_t)policy->max_devices;
    bool automatic = policy->approve == SL_JOINING_AUTO && few;
    struct sl_agent_row row = {.state = automatic ? SL_AGENT_APPROVED : SL_AGENT_WAITING,
                               .joined = core->now.wall};
    sl_text_copy(row.id, sizeof row.id, join->key);
    sl_text_copy(row.key, sizeof row.key, join->key);
    sl_text_copy(row.name, sizeof row.name, token->row.name);
    sl_text_copy(row.enrolment, sizeof row.enrolment, token->row.id);
    sl_text_copy(row.version, sizeof row.version, join->version);
    sl_text_copy(row.inventory, sizeof row.inventory, join->inventory);
    if (automatic) {
        row.decided = core->now.wall;
        sl_text_copy(row.actor, sizeof row.actor, "policy");
    }
    token->row.used = core->now.wall;
    sl_text_copy(token->row.key, sizeof token->row.key, join->key);
    store_token(core, token);
    uint32_t agent = sl_core_agent_add(core, &row);
    sl_core_agent_store(core, agent, automatic ? "agents.join.approved" : "agents.join",
                        token->row.actor, join->key);
    sl_core_log(core, SL_LOG_INFO, "agents.join", "node=%s key=%s state=%s devices=%u: %s",
                row.name, row.key, sl_agent_state_name(row.state), join->devices, row.inventory);
    sl_core_event_note(core, SL_SEVERITY_INFO, "agents.join", SL_CORE_NONE, SL_CORE_NONE,
                       "%s joined and is %s: %s", row.name, sl_agent_state_name(row.state),
                       row.inventory);
    if (automatic) {
        sl_core_admit(core, sl_core_ticket(core));
    }
    tell(core, join, &row);
}

/* The token whose secret was presented; all are compared. */
static struct sl_core_token *find_token(struct sl_broker_core *core, const uint8_t hash[32]) {
    struct sl_core_token *found = NULL;
    for (uint32_t i = 0; i < core->agents->token_count; i++) {
        struct sl_core_token *token = &core->agents->tokens[i];
        if (sodium_memcmp(token->row.hash, hash, sizeof token->row.hash) == 0) {
            found = token;
        }
    }
    return found;
}

/* Tells about the token only to who knows its secret. */
static void present(struct sl_broker_core *core, const struct sl_core_join *join,
                    struct sl_core_token *token) {
    if (strcmp(token->row.name, join->node) != 0) {
        refuse_join(core, join, SL_REFUSAL_OTHER_NODE, "the token is for a node of another name",
                    "another name");
    } else if (token->row.used.ms != 0 && !SL_MUTANT(token_used_twice)) {
        refuse_join(core, join, SL_REFUSAL_USED_TOKEN,
                    "the token was used already, by another key. If that was not you, tell an "
                    "operator at once; else ask for a new one",
                    "its token was used by another key");
    } else if (token->row.used.ms == 0 && !is_open(core, token)) {
        refuse_join(core, join, SL_REFUSAL_EXPIRED_TOKEN,
                    "the token has expired or was withdrawn: ask for a new one",
                    "its token has expired");
    } else if (token->row.used.ms == 0 && sl_core_name_taken(core, token->row.name)) {
        refuse_join(core, join, SL_REFUSAL_OTHER_NODE, "an agent of this name has joined meanwhile",
                    "its name is taken");
    } else {
        take_in(core, join, token);
    }
}

void sl_core_join(struct sl_broker_core *core, const struct sl_core_join *join) {
    struct sl_core_token *token = find_token(core, join->hash);
    uint32_t agent = sl_core_agent_by_key(core, join->key);
    const struct sl_agent_row *row =
        agent == SL_CORE_NONE ? NULL : &core->agents->agents[agent].row;
    if (!token) {
        refuse_join(core, join, SL_REFUSAL_UNKNOWN_TOKEN,
                    "the broker does not know this token: it is mistyped, too old, or for another "
                    "site; ask for a new one",
                    "no such token");
    } else if (row && strcmp(token->row.key, join->key) == 0) {
        tell(core, join, row);
    } else if (row || !sl_core_agent_heard(core, join->key) ||
               sl_core_node_find(core, join->key) != SL_CORE_NONE) {
        refuse_join(core, join, SL_REFUSAL_KNOWN_KEY,
                    "this key is an agent's already, or was: make a new one", "its key is known");
    } else {
        present(core, join, token);
    }
}

void sl_core_tokens_start(struct sl_broker_core *core) {
    for (uint32_t i = 0; i < core->agents->token_count; i++) {
        struct sl_core_token *token = &core->agents->tokens[i];
        int64_t ttl_ms = token->row.expires.ms - token->row.created.ms;
        int64_t left_ms = token->row.expires.ms - core->now.wall.ms;
        left_ms = left_ms < 0 ? 0 : left_ms > ttl_ms ? ttl_ms : left_ms;
        token->end = sl_mono_after_ms(core->now.mono, left_ms);
    }
    for (uint32_t i = 0; i < core->agents->agent_count; i++) {
        struct sl_core_agent *a = &core->agents->agents[i];
        int64_t left_ms = a->row.before_until.ms - core->now.wall.ms;
        left_ms = left_ms < 0 ? 0 : left_ms > SL_OVERLAP_MAX_MS ? SL_OVERLAP_MAX_MS : left_ms;
        a->before_end = sl_mono_after_ms(core->now.mono, left_ms);
    }
}

static bool may_come(const struct sl_core_token *token, struct sl_wall created) {
    return token->row.used.ms == 0 && token->row.expires.ms > created.ms;
}

/* A busy week leaves more rows than are kept here: the oldest one that is closed goes, one of an
 * agent that waits only when there is no other, and never one that somebody may still present.
 * Rows rise by their creation, which tells how late it was. Agents were restored before. */
static void make_room(struct sl_broker_core *core, struct sl_wall created) {
    struct sl_core_agents *all = core->agents;
    uint32_t at = 0;
    while (at < all->token_count &&
           (may_come(&all->tokens[at], created) || is_awaited(core, &all->tokens[at]))) {
        at++;
    }
    for (uint32_t i = 0; at == all->token_count && i < all->token_count; i++) {
        at = may_come(&all->tokens[i], created) ? at : i;
    }
    forget_token(all, at < all->token_count ? at : 0);
}

int sl_broker_core_restore_enrolment(struct sl_broker_core *core,
                                     const struct sl_enrolment_row *row) {
    struct sl_core_agents *all = core->agents;
    int64_t ttl_ms = row->expires.ms - row->created.ms;
    if (row->id[0] == '\0' || row->name[0] == '\0' || ttl_ms > SL_TOKEN_TTL_MAX_MS) {
        return -SL_CORRUPT;
    }
    if (all->token_count >= TOKENS_MAX) {
        make_room(core, row->created);
    }
    sl_core_grow(&all->tokens, all->token_count, &all->token_cap, sizeof *all->tokens);
    struct sl_core_token *token = &all->tokens[all->token_count++];
    *token = (struct sl_core_token){.row = *row};
    if (ttl_ms < 0) { /* withdrawn by an earlier version after the clock was set back */
        token->row.expires = row->created;
    }
    return SL_OK;
}

bool sl_view_token_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                       struct sl_view_token *ret_view) {
    for (uint32_t i = 0; i < core->agents->token_count; i++) {
        const struct sl_core_token *token = &core->agents->tokens[i];
        bool open = token->row.used.ms == 0 && now.mono.ns < token->end.ns &&
                    now.wall.ms < token->row.expires.ms;
        if (!open || index-- != 0) {
            continue;
        }
        memset(ret_view, 0, sizeof *ret_view);
        sl_text_copy(ret_view->id, sizeof ret_view->id, token->row.id);
        sl_text_copy(ret_view->name, sizeof ret_view->name, token->row.name);
        sl_text_copy(ret_view->actor, sizeof ret_view->actor, token->row.actor);
        ret_view->created = token->row.created;
        ret_view->expires = token->row.expires;
        return true;
    }
    return false;
}
