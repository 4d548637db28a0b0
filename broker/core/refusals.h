/* SPDX-License-Identifier: Apache-2.0
 * Requests to join that came to nothing, counted by reason since the broker's start: in the log at
 * most every few seconds, as an event for people at most once a minute, whoever knocks and however
 * often. Part of agents.h; its first part is plain, for the shell and for screens. Thread: the
 * core's. */
#ifndef SLUICE_BROKER_CORE_REFUSALS_H
#define SLUICE_BROKER_CORE_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/clock.h"

enum sl_refusal {
    SL_REFUSAL_INVALID = 0,
    SL_REFUSAL_UNKNOWN_TOKEN, /* mistyped, guessed, forgotten, or made by another broker */
    SL_REFUSAL_USED_TOKEN, /* by another key: whoever comes second may be a thief, or the first */
    SL_REFUSAL_EXPIRED_TOKEN, /* or withdrawn */
    SL_REFUSAL_OTHER_NODE,    /* the token is for another name, or its name has joined meanwhile */
    SL_REFUSAL_KNOWN_KEY,     /* the key is an agent's, or was */
    SL_REFUSAL_REVOKED,       /* rejected or revoked by an operator, and asks again */
    /* Of the socket: what never became a request. */
    SL_REFUSAL_MALFORMED,  /* no request that can be read, or no handshake */
    SL_REFUSAL_OTHER_SITE, /* handshakes that ask for another broker's key */
    SL_REFUSAL_FLOODED,    /* connections and messages above the socket's limits */
    SL_REFUSALS,
};
/* "unknown_token", ...; a label and a key of JSON. */
const char *sl_refusal_name(enum sl_refusal why);

struct sl_refusals {
    uint64_t count[SL_REFUSALS];
};

struct sl_core_refusals {
    struct sl_refusals all, noted; /* since the start; as the last event told */
    struct sl_mono logged, noted_at;
};

struct sl_broker_core;
struct sl_core_join;

/* One request, or more: `why` in words goes into the log. */
void sl_core_refused(struct sl_broker_core *core, enum sl_refusal why,
                     const struct sl_core_join *join, const char *text);
/* What the socket has refused by itself since the broker's start; other reasons are passed over. */
void sl_core_refused_outside(struct sl_broker_core *core, const struct sl_refusals *total);
void sl_core_refusals_sweep(struct sl_broker_core *core);

struct sl_view_refusal {
    const char *name;
    uint64_t count;
};
/* By index from 0; false past the end. */
bool sl_view_refusal_get(const struct sl_broker_core *core, uint32_t index,
                         struct sl_view_refusal *ret_view);

#endif
