/* SPDX-License-Identifier: Apache-2.0
 * Who may speak for which node: agents and tokens (agents.c, enrol.c, rotate.c). The first part is
 * the core's own, the second is for the shell. A core without any row behaves as if every peer that
 * the link lets in were one of the file of allowed keys. Thread: the core's. */
#ifndef SLUICE_BROKER_CORE_AGENTS_H
#define SLUICE_BROKER_CORE_AGENTS_H

#include "broker/core/core.h"
#include "broker/core/refusals.h"

struct sl_broker_core;
struct sl_core_event;

struct sl_core_agent {
    struct sl_agent_row row;
    struct sl_mono before_end; /* of key_before, besides before_until: clocks are set */
};

struct sl_core_token {
    struct sl_enrolment_row row;
    struct sl_mono end; /* besides row.expires */
};

struct sl_core_key {
    char key[SL_NODE_KEY_MAX];
    uint32_t agent; /* SL_CORE_NONE: a retired one */
};

struct sl_core_key_list {   /* sorted by key */
    struct sl_core_key *at; /* [count] */
    uint32_t count, cap;
};

struct sl_core_agents {
    struct sl_core_agent *agents; /* [agent_count] */
    uint32_t agent_count, agent_cap;
    struct sl_core_token *tokens; /* [token_count] open ones, and others for a while */
    uint32_t token_count, token_cap;
    struct sl_retired_row *retired; /* [retired_count] */
    uint32_t retired_count, retired_cap;
    struct sl_core_key_list keys; /* every one that is or was an agent's */
    struct sl_core_key_list ids;  /* identities */
    struct sl_core_refusals refusals;
    uint64_t foreign;
    struct sl_mono foreign_logged;
};

/* ---- session.c; wire: the version that the peer speaks ---- */
void sl_core_goodbye(struct sl_broker_core *core, const struct sl_link_peer *peer, uint32_t wire,
                     bool retry, const char *reason);

/* ---- agents.c ---- */
void sl_core_agents_create(struct sl_broker_core *core);
void sl_core_agents_destroy(struct sl_broker_core *core);
void sl_core_agent_order(struct sl_broker_core *core, const struct sl_core_event *event);
/* False: this peer is heard no more (revoked, retired), or not yet. */
bool sl_core_agent_heard(const struct sl_broker_core *core, const char *key);
/* The node for which the peer speaks, or SL_CORE_NONE while it never said hello. */
uint32_t sl_core_node_of_peer(const struct sl_broker_core *core, const char *key);
/* The key under which a peer's node is known for life. */
const char *sl_core_identity(const struct sl_broker_core *core, const char *key);
/* NULL, or why this peer may not call itself `name`. */
const char *sl_core_name_trouble(const struct sl_broker_core *core, const char *key,
                                 const char *name);
bool sl_core_node_revoked(const struct sl_broker_core *core, uint32_t node);
/* A node spoke of a device, unit or lease that is another's: counted, and told now and then. */
void sl_core_foreign(struct sl_broker_core *core, uint32_t node, const char *what,
                     const char *subject, uint32_t owner);
/* A node said of a device of its own what cannot be: as above. */
void sl_core_made_up(struct sl_broker_core *core, uint32_t node, const char *key, const char *what);
/* Of one node: it has 64 at most; over the years they are replaced and change their places. */
#define SL_CORE_NODE_DEVICES_MAX 1024
/* Index of the agent that holds or held the key, or SL_CORE_NONE. */
uint32_t sl_core_agent_by_key(const struct sl_broker_core *core, const char *key);
uint32_t sl_core_agent_add(struct sl_broker_core *core, const struct sl_agent_row *row);
/* Row and audit entry go into the step's transaction; the index of keys is made anew. */
void sl_core_agent_store(struct sl_broker_core *core, uint32_t agent, const char *action,
                         const char *actor, const char *detail);
void sl_core_audit(struct sl_broker_core *core, const char *actor, const char *action,
                   const char *subject, const char *detail);
/* ADMIT behind the ticket. */
void sl_core_admit(struct sl_broker_core *core, uint64_t ticket);
bool sl_core_name_taken(const struct sl_broker_core *core, const char *name);

/* ---- enrol.c ---- */
void sl_core_enroll(struct sl_broker_core *core, const struct sl_core_event *event);
void sl_core_join(struct sl_broker_core *core, const struct sl_core_join *join);
/* Open tokens for a name are good no more. */
void sl_core_tokens_withdraw(struct sl_broker_core *core, const char *name);
void sl_core_tokens_sweep(struct sl_broker_core *core);
/* The first step after a restart: spans begin on this process's clock. */
void sl_core_tokens_start(struct sl_broker_core *core);

/* ---- rotate.c ---- */
void sl_core_rotate(struct sl_broker_core *core, uint32_t agent, const struct sl_core_event *event);
void sl_core_rotate_key(struct sl_broker_core *core, uint32_t node, const char *peer_key,
                        const struct sl_msg_rotate_key *msg);
/* A new session: what it should know of a rotation. */
void sl_core_rotate_hello(struct sl_broker_core *core, uint32_t node, const char *peer_key);
void sl_core_rotate_sweep(struct sl_broker_core *core);

/* ---- for the shell ---- */
/* Before the first event; after devices. */
int sl_broker_core_restore_agent(struct sl_broker_core *core, const struct sl_agent_row *row);
int sl_broker_core_restore_retired(struct sl_broker_core *core, const struct sl_retired_row *row);
int sl_broker_core_restore_enrolment(struct sl_broker_core *core,
                                     const struct sl_enrolment_row *row);
/* Who may connect, for sl_zmq_server_admit: arrays are malloc'ed, free both. */
void sl_broker_core_admission(const struct sl_broker_core *core,
                              struct sl_link_admission *ret_admission);

/* ---- for screens ---- */
struct sl_view_agent {
    char name[SL_MSG_NAME_MAX];
    char key[SL_NODE_KEY_MAX]; /* good now */
    char id[SL_NODE_KEY_MAX];
    const char *state; /* "static": of the file of allowed keys */
    const char *session;
    bool rotating;
    char key_before[SL_NODE_KEY_MAX];
    int64_t before_left_ms; /* of key_before */
    const char *next_key;   /* the broker's, to come: "kept", "not kept" or "none" is to come */
    char version[SL_MSG_NAME_MAX];
    char inventory[SL_WHY_MAX];
    uint32_t devices; /* that it owns */
    struct sl_wall joined, decided;
    char actor[SL_ID_MAX];
};
/* The one at or behind *cursor, which begins at 0 and goes on with it. False past the end. */
bool sl_view_agent_next(const struct sl_broker_core *core, struct sl_now now, uint32_t *cursor,
                        struct sl_view_agent *ret_view);
struct sl_view_token {
    char id[SL_ID_MAX];
    char name[SL_MSG_NAME_MAX];
    struct sl_wall created, expires;
    char actor[SL_ID_MAX];
};
/* Open ones. */
bool sl_view_token_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                       struct sl_view_token *ret_view);

#endif
