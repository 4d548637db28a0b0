/* SPDX-License-Identifier: Apache-2.0
 * What waits for the broker's acknowledgement inside the core: results and shares. */
#ifndef SLUICE_AGENT_CORE_SPOOL_INTERNAL_H
#define SLUICE_AGENT_CORE_SPOOL_INTERNAL_H

#include "agent/core/device_internal.h"

struct sl_buf;

/* ---- results (results.c) ---- */

struct agent_result {
    struct agent_result *next;
    uint64_t id;
    int64_t finished_ms; /* wall */
    int64_t sent_ns;     /* 0: not in this session */
    bool journalled;
    size_t size;
    uint8_t bytes[]; /* an encoded RESULT of some session, or a bundle of its parts (parts.c) */
};

struct agent_results {
    struct agent_result *first, **last;
    uint64_t count;
    uint64_t bytes;
    uint64_t in_flight_bytes;
    uint64_t next_id;
    int64_t resend_ns; /* next look at what was not acknowledged */
};

/* parts.c: the result as one message, or as the parts of its only line, whose sequence numbers rise
 * from the message's. -SL_LIMIT when it fits neither. */
int agent_result_encode(const struct sl_agent_core *core, const struct sl_msg *msg,
                        struct sl_buf *out, uint32_t *ret_count, struct sl_error *err);
/* Inputs of a line whose vectors of this many numbers fit one message. */
uint32_t agent_message_inputs_max(const struct sl_agent_core *core, uint32_t width);
/* Gives the result its id, journals it (unless it holds no line), sends it when the session is
 * live. -SL_LIMIT when it is too large for one message, and cannot go in parts. */
int agent_result_add(struct sl_agent_core *core, struct sl_now now, struct sl_msg_result *result,
                     struct sl_error *err);
int agent_result_replay(struct sl_agent_core *core, uint64_t id, const uint8_t *value, size_t size,
                        struct sl_error *err);
void agent_results_acked(struct sl_agent_core *core, struct sl_now now, const uint64_t *ids,
                         uint32_t count);
void agent_results_pump(struct sl_agent_core *core, struct sl_now now);
void agent_results_restart(struct sl_agent_core *core); /* a new session: all unsent again */
int64_t agent_results_deadline(const struct sl_agent_core *core);
void agent_results_free(struct agent_results *results);

/* ---- shares (shares.c) ---- */

enum agent_share_state {
    SHARE_INVALID = 0,
    SHARE_STORING,   /* its record is not durable yet */
    SHARE_STORED,    /* durable, the pool client could not take it yet */
    SHARE_SUBMITTED, /* the pool client has it */
    SHARE_SETTLED,   /* has its outcome; until the broker acknowledges it */
};

struct agent_share {
    struct agent_share *next;
    uint64_t id;
    char device[SL_MSG_KEY_MAX];
    char pool[SL_MSG_POOL_NAME_MAX];
    uint32_t worker; /* index of its device */
    uint64_t ticket;
    enum agent_share_state state;
    enum sl_share_outcome outcome;
    int32_t code;
    uint64_t work_hashes;
    uint64_t difficulty_nano;
    int64_t settled_ms; /* wall */
    int64_t sent_ns;
    struct agent_find *find; /* what to submit; freed once submitted */
};

struct agent_find {
    struct sl_work work;
    uint32_t nonce;
};

struct agent_share_list {
    struct agent_share *first, **last; /* by id, nearly: in order of arrival in the list */
    uint64_t count;
};

struct agent_shares {
    struct agent_share_list open; /* not settled */
    struct agent_share_list settled;
    /* How many of them are of each pool: those of one that is configured no more count nowhere. */
    uint32_t open_of[SL_AGENT_POOLS_MAX], settled_of[SL_AGENT_POOLS_MAX];
    uint64_t next_id;
    int64_t retry_ns; /* some wait because the pool client was full; 0: none */
    int64_t send_ns;  /* when to look at the settled ones next */
    uint64_t dropped; /* since the last line about it */
    int64_t dropped_told_ns;
};

void agent_share_found(struct sl_agent_core *core, struct sl_now now,
                       const struct agent_device *device,
                       const struct sl_device_candidate *candidate);
void agent_shares_durable(struct sl_agent_core *core, struct sl_now now);
struct agent_pool_action;
void agent_share_settled(struct sl_agent_core *core, struct sl_now now,
                         const struct agent_pool_action *action);
int agent_share_replay(struct sl_agent_core *core, struct sl_now now, uint64_t id,
                       const uint8_t *value, size_t size, struct sl_error *err);
/* Shares without an answer from before the restart are unknown now. */
void agent_shares_start(struct sl_agent_core *core, struct sl_now now);
void agent_shares_acked(struct sl_agent_core *core, const uint64_t *ids, uint32_t count);
void agent_shares_timer(struct sl_agent_core *core, struct sl_now now);
void agent_shares_restart(struct sl_agent_core *core, struct sl_now now);
int64_t agent_shares_deadline(const struct sl_agent_core *core);
void agent_shares_free(struct agent_shares *shares);

#endif
