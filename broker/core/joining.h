/* SPDX-License-Identifier: Apache-2.0
 * Records of joining: tokens, agents that came by one, and what people order about them. Plain
 * structs, part of types.h.
 *
 * An agent is known in the store by the key with which it first came (its identity: in devices,
 * units and shares), for life; the keys that it has now stand beside that. So a rotation changes
 * one row, and whatever was said or promised under an earlier key goes on. */
#ifndef SLUICE_BROKER_CORE_JOINING_H
#define SLUICE_BROKER_CORE_JOINING_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/decided.h"
#include "proto/base/clock.h"
#include "proto/wire/join.h"
#include "proto/wire/msg_limits.h"

#define SL_NODE_KEY_MAX 48 /* a public key as text, with NUL */
#define SL_TOKENS_OPEN_MAX 64
#define SL_AGENTS_MAX 8192
#define SL_TOKEN_TTL_MIN_MS (INT64_C(60) * 1000)
#define SL_TOKEN_TTL_MAX_MS (INT64_C(24) * 3600 * 1000)
#define SL_OVERLAP_MIN_MS (INT64_C(60) * 1000)
#define SL_OVERLAP_MAX_MS (INT64_C(30) * 24 * 3600 * 1000)

/* One row of `enrolments`: a token that was made. The secret itself is nowhere. */
struct sl_enrolment_row {
    char id[SL_ID_MAX];
    char name[SL_MSG_NAME_MAX]; /* of the node that it lets in */
    uint8_t hash[32];           /* BLAKE2b-256 of the secret, 256 random bits */
    struct sl_wall created, expires;
    struct sl_wall used;       /* ms 0: not */
    char key[SL_NODE_KEY_MAX]; /* that used it */
    char actor[SL_ID_MAX];     /* key id of who made it */
};

enum sl_agent_state {
    SL_AGENT_STATE_INVALID = 0,
    SL_AGENT_WAITING, /* for approval */
    SL_AGENT_APPROVED,
    SL_AGENT_REJECTED,
    SL_AGENT_REVOKED,
    SL_AGENT_STATES,
};
/* "waiting", ... */
const char *sl_agent_state_name(enum sl_agent_state state);

/* One row of `agents`. An agent of the file of allowed keys has one once it was rotated or revoked.
 */
struct sl_agent_row {
    char id[SL_NODE_KEY_MAX]; /* its identity */
    char name[SL_MSG_NAME_MAX];
    enum sl_agent_state state;
    char key[SL_NODE_KEY_MAX];        /* good now */
    char key_before[SL_NODE_KEY_MAX]; /* good too, until before_until; empty: none */
    struct sl_wall before_until;
    uint64_t rotation; /* number of the last one that was asked for */
    bool rotating;     /* and its key has not come yet */
    int64_t overlap_ms;
    char retired[SL_NODE_KEY_MAX]; /* in an operation: a key that is refused from now on */
    char enrolment[SL_ID_MAX];     /* empty: of the file of allowed keys */
    char version[SL_MSG_NAME_MAX];
    char inventory[SL_WHY_MAX]; /* as it said when it joined */
    struct sl_wall joined, decided;
    char actor[SL_ID_MAX]; /* who decided: key id, or "policy" */
};

struct sl_retired_row { /* a key that was an agent's and is refused */
    char key[SL_NODE_KEY_MAX];
    char id[SL_NODE_KEY_MAX];
};

enum sl_agent_verb {
    SL_AGENT_VERB_INVALID = 0,
    SL_AGENT_ENROLL,
    SL_AGENT_APPROVE,
    SL_AGENT_REJECT,
    SL_AGENT_REVOKE,
    SL_AGENT_ROTATE,
};

/* By an operator, event.actor. */
struct sl_core_agent_order {
    enum sl_agent_verb verb;
    char subject[SL_NODE_KEY_MAX]; /* name, key, or the beginning of a key; ENROLL: name */
    int64_t span_ms;               /* ENROLL: ttl; ROTATE: overlap */
    char token[SL_ID_MAX];         /* ENROLL: id of the token */
    uint8_t hash[32];              /* ENROLL: of its secret */
};

/* A request of the second socket, decoded; its secret hashed. */
struct sl_core_join {
    char key[SL_NODE_KEY_MAX]; /* authenticated */
    uint32_t conn;
    uint8_t hash[32];
    char node[SL_MSG_NAME_MAX];
    char version[SL_MSG_NAME_MAX];
    uint32_t devices; /* in all */
    char inventory[SL_WHY_MAX];
};

#endif
