/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/stratum/failover.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

struct agent_pool {
    struct sl_failover *client;
};

int agent_pool_create(const struct sl_failover_config *config, uint64_t seed,
                      struct agent_pool **ret_pool, struct sl_error *err) {
    struct agent_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        return sl_fail(err, SL_NOMEM, "no memory for the pool connection");
    }
    int rc = sl_failover_create(config, seed, &pool->client, err);
    if (rc) {
        free(pool);
        return rc;
    }
    *ret_pool = pool;
    return SL_OK;
}

void agent_pool_destroy(struct agent_pool *pool) {
    if (pool) {
        sl_failover_destroy(pool->client);
        free(pool);
    }
}

void agent_pool_start(struct agent_pool *pool, struct sl_mono now) {
    sl_failover_start(pool->client, now);
}

void agent_pool_stop(struct agent_pool *pool, struct sl_mono now) {
    sl_failover_stop(pool->client, now);
}

void agent_pool_on_connected(struct agent_pool *pool, uint32_t link, struct sl_mono now) {
    sl_failover_connected(pool->client, link, now);
}

void agent_pool_on_received(struct agent_pool *pool, uint32_t link, const void *data, size_t size,
                            struct sl_mono now) {
    sl_failover_received(pool->client, link, data, size, now);
}

void agent_pool_on_disconnected(struct agent_pool *pool, uint32_t link, const char *reason,
                                struct sl_mono now) {
    sl_failover_disconnected(pool->client, link, reason, now);
}

void agent_pool_on_timer(struct agent_pool *pool, struct sl_mono now) {
    sl_failover_timer(pool->client, now);
}

int agent_pool_submit(struct agent_pool *pool, const struct sl_work *work, uint32_t nonce,
                      uint64_t share_id, uint32_t worker, struct sl_mono now,
                      struct sl_error *err) {
    struct sl_share share;
    sl_share_from_work(work, nonce, share_id, &share);
    share.job_serial &= (UINT64_C(1) << SL_JOB_SOURCE_SHIFT) - 1; /* the client's own number */
    share.worker = worker;
    return sl_failover_submit(pool->client, &share, now, err);
}

void agent_pool_suggest(struct agent_pool *pool, double difficulty) {
    sl_failover_suggest(pool->client, difficulty);
}

static enum agent_pool_action_kind kind_of(enum sl_stratum_action_type type) {
    switch (type) {
    case SL_STRATUM_CONNECT:
        return POOL_CONNECT;
    case SL_STRATUM_SEND:
        return POOL_SEND;
    case SL_STRATUM_CLOSE:
        return POOL_CLOSE;
    case SL_STRATUM_JOB:
        return POOL_JOB;
    case SL_STRATUM_NO_WORK:
        return POOL_NO_WORK;
    case SL_STRATUM_SHARE:
        return POOL_SHARE;
    case SL_STRATUM_MISCONFIGURED:
    case SL_STRATUM_LOG:
        return POOL_LOG;
    case SL_STRATUM_DIFFICULTY:
        break;
    }
    return POOL_INVALID;
}

static enum sl_share_outcome outcome_of(enum sl_share_answer answer) {
    switch (answer) {
    case SL_ANSWER_ACCEPTED:
        return SL_SHARE_ACCEPTED;
    case SL_ANSWER_STALE:
        return SL_MUTANT(stale_share_accepted) ? SL_SHARE_ACCEPTED : SL_SHARE_STALE;
    case SL_ANSWER_REJECTED:
        return SL_SHARE_REJECTED;
    case SL_ANSWER_UNKNOWN:
        break;
    }
    return SL_SHARE_UNKNOWN;
}

bool agent_pool_take(struct agent_pool *pool, struct agent_pool_action *ret_action) {
    struct sl_failover_action next;
    const struct sl_stratum_action *action = &next.action;
    enum agent_pool_action_kind kind;
    do {
        if (!sl_failover_take(pool->client, &next)) {
            return false;
        }
        kind = kind_of(action->type);
    } while (kind == POOL_INVALID);
    *ret_action = (struct agent_pool_action){
        .kind = kind,
        .link = next.link,
        .data = action->data,
        .size = action->size,
        .port = action->port,
        .tls = action->tls,
        .job = action->job,
        .share_id = action->share_seq,
        .outcome = outcome_of(action->outcome),
        .sent = action->sent,
        .code = action->code,
        .latency_us =
            action->sent && action->outcome != SL_ANSWER_UNKNOWN ? action->latency_us : -1,
        .level = action->type == SL_STRATUM_MISCONFIGURED ? SL_LOG_ERROR : action->level,
    };
    sl_text_copy(ret_action->text, sizeof ret_action->text,
                 kind == POOL_CONNECT ? action->host : action->text);
    return true;
}

bool agent_pool_deadline(const struct agent_pool *pool, struct sl_mono *ret_when) {
    return sl_failover_deadline(pool->client, ret_when);
}

bool agent_pool_is_suspect(const struct agent_pool *pool) {
    return sl_failover_is_suspect(pool->client);
}

void agent_pool_get_status(const struct agent_pool *pool, struct sl_mono now,
                           struct agent_pool_status *ret_status) {
    struct sl_failover_status both;
    sl_failover_status(pool->client, &both);
    const struct sl_stratum_status status = both.client;
    *ret_status = (struct agent_pool_status){
        .connected = status.state == SL_STRATUM_READY,
        .unanswered = status.unanswered,
    };
    sl_pool_url_write(both.url, ret_status->url);
    ret_status->tls = both.url->tls;
    ret_status->url_index = both.serving > 0 ? (uint32_t)both.serving : 0;
    ret_status->url_count = both.urls;
    ret_status->refusing = both.refusing;
    if (both.suspect) {
        int64_t ms = sl_mono_since_ns(now, both.suspect_at) / SL_NS_PER_MS;
        ret_status->suspect_ms = ms > 0 ? ms : 1;
    }
    /* For display: a rounded figure. Without a connection what it will be is not known. */
    double nano = ret_status->connected ? sl_difficulty_to_double(status.difficulty) * 1e9 : 0;
    ret_status->difficulty_nano = nano < 9e18 ? (uint64_t)nano : 0;
    if (!ret_status->connected) {
        snprintf(ret_status->state, sizeof ret_status->state, "%s%s%.200s",
                 sl_stratum_state_text(status.state), status.last_error[0] ? ": " : "",
                 status.last_error);
    }
}
