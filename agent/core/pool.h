/* SPDX-License-Identifier: Apache-2.0
 * One pool as the core sees it: for all devices of the node, at one of its addresses. A thin layer,
 * so that the client's vocabulary and the wire's stay apart. Thread: the core's. */
#ifndef SLUICE_AGENT_CORE_POOL_H
#define SLUICE_AGENT_CORE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/stratum/url.h"
#include "agent/stratum/work.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/wire/msg_work.h"

struct sl_failover_config;
struct agent_pool;

/* A serial of a job names its pool in the top bits, so that a share finds back to its connection
 * and a device never takes the jobs of two pools for one. */
static inline uint64_t agent_pool_serial(uint32_t pool, uint64_t serial) {
    return (uint64_t)pool << SL_JOB_SOURCE_SHIFT | serial;
}
static inline uint32_t agent_pool_of_serial(uint64_t serial) {
    return (uint32_t)(serial >> SL_JOB_SOURCE_SHIFT);
}

enum agent_pool_action_kind {
    POOL_INVALID = 0,
    POOL_CONNECT, /* link, text (host), port, tls */
    POOL_SEND,    /* link, data[size], borrowed until the next call */
    POOL_CLOSE,   /* link */
    POOL_JOB,     /* job, borrowed */
    POOL_NO_WORK, /* nothing to hash until the next job */
    POOL_SHARE,   /* share_id, outcome, sent, code */
    POOL_LOG,     /* level, text */
};

struct agent_pool_action {
    enum agent_pool_action_kind kind;
    uint32_t link; /* which of the pool's connections */
    const char *data;
    size_t size;
    uint16_t port;
    bool tls;
    struct sl_job *job;
    uint64_t share_id;
    enum sl_share_outcome outcome;
    bool sent;
    int code;
    int64_t latency_us; /* SHARE: from its submission to the answer; < 0: none came */
    enum sl_log_level level;
    char text[256];
};

struct agent_pool_status {
    bool connected; /* jobs come, shares may be sent */
    uint32_t unanswered;
    uint64_t difficulty_nano;      /* of the jobs to come; 0: not known */
    uint32_t url_index, url_count; /* which of its addresses serves; 0 where none does */
    bool tls;
    int64_t suspect_ms;             /* for so long its silence has been suspect; 0: it is trusted */
    bool refusing;                  /* it refuses all shares, and so do its other addresses */
    char url[SL_POOL_URL_TEXT_MAX]; /* of the address that serves, else of the first */
    char state[256];                /* why not connected, for people; empty when it is */
};

int agent_pool_create(const struct sl_failover_config *config, uint64_t seed,
                      struct agent_pool **ret_pool, struct sl_error *err);
void agent_pool_destroy(struct agent_pool *pool);
void agent_pool_start(struct agent_pool *pool, struct sl_mono now);
void agent_pool_stop(struct agent_pool *pool, struct sl_mono now);
void agent_pool_on_connected(struct agent_pool *pool, uint32_t link, struct sl_mono now);
void agent_pool_on_received(struct agent_pool *pool, uint32_t link, const void *data, size_t size,
                            struct sl_mono now);
void agent_pool_on_disconnected(struct agent_pool *pool, uint32_t link, const char *reason,
                                struct sl_mono now);
void agent_pool_on_timer(struct agent_pool *pool, struct sl_mono now);
/* -SL_AGAIN: too many are open; another failure: the share can never be sent. */
int agent_pool_submit(struct agent_pool *pool, const struct sl_work *work, uint32_t nonce,
                      uint64_t share_id, uint32_t worker, struct sl_mono now, struct sl_error *err);
void agent_pool_suggest(struct agent_pool *pool, double difficulty);
bool agent_pool_take(struct agent_pool *pool, struct agent_pool_action *ret_action);
bool agent_pool_deadline(const struct agent_pool *pool, struct sl_mono *ret_when);
/* It does not answer, or takes no share, and none of its other addresses is better. */
bool agent_pool_is_suspect(const struct agent_pool *pool);
void agent_pool_get_status(const struct agent_pool *pool, struct sl_mono now,
                           struct agent_pool_status *ret_status);

#endif
