/* SPDX-License-Identifier: Apache-2.0
 * The agent's pools: one connection each, kept up whether or not a device hashes for it, so that a
 * change of pool costs nothing but the next job. A device hashes for one pool at a time: the one
 * that its newest directive names, else (or while that has no work, does not answer, or refuses all
 * shares) the first that has and does; where none answers, as if all did.
 *
 * Inside of the core; included by core_internal.h. Thread: the core's. */
#ifndef SLUICE_AGENT_CORE_POOL_SET_H
#define SLUICE_AGENT_CORE_POOL_SET_H

#include "agent/core/core.h"
#include "agent/core/pool.h"
#include "proto/wire/msg.h"

#define AGENT_POOL_LATENCIES 256 /* newest answers, of which the quantiles are */

struct agent_pool_slot {
    char name[SL_MSG_POOL_NAME_MAX];
    bool suggest_auto;
    struct agent_pool *client;
    struct sl_job *job;    /* newest, a reference; NULL: no work */
    struct sl_mono job_at; /* when it came */
    bool suspect;          /* it has a job, and does not answer to shares or refuses all */
    double suggested;      /* difficulty; 0: none yet */
    int64_t suggested_ns;
    /* Of this process. */
    uint64_t submitted, accepted, stale, rejected, unknown;
    uint64_t duplicate, low, unauthorised; /* of rejected */
    uint64_t work_accepted, hashes_spent;
    int64_t answered_ns; /* 0: never */
    uint32_t latency_us[AGENT_POOL_LATENCIES];
    uint64_t latencies;
};

/* A share of it got its outcome. latency_us < 0: it was not answered. */
void agent_pool_count(struct agent_pool_slot *slot, struct sl_now now,
                      enum sl_share_outcome outcome, int32_t code, uint64_t work_hashes,
                      int64_t latency_us);

#endif
