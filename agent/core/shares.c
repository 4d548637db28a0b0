/* SPDX-License-Identifier: Apache-2.0
 * Shares: durable before they are submitted, one outcome each, reported until acknowledged. So
 * recorded accepted <= the pool's count <= accepted + unknown, whatever crashes when. */
#include <stdlib.h>
#include <string.h>

#include "agent/core/core_internal.h"
#include "agent/core/records.h"
#include "proto/base/mutant.h"

#define BATCH_MS 50
#define RETRY_MS 100
#define RESEND_MS 5000
/* Of all pools together. Half is for whoever comes, the other half for each pool in equal parts:
 * one that is hashed for alone is not bounded by those in reserve, and what one makes too many of
 * is its own loss. */
#define SHARES_MAX 1000000
/* Not settled at a time. A pool whose difficulty is next to nothing must neither fill the journal's
 * queue, nor make more commands of one event than the outbox takes: either ends the agent, and the
 * inference with it. */
#define OPEN_MAX 4096
#define TELL_DROPPED_NS (10 * SL_NS_PER_S)
/* Sent and not acknowledged at a time: the broker tells a repeat from a new share only among some
 * thousand (SL_CORE_SHARE_WINDOW), so what is sent must stay near the oldest that it may lack. */
#define IN_FLIGHT_MAX 4096

static void append(struct agent_share_list *list, struct agent_share *share) {
    if (!list->last) {
        list->last = &list->first;
    }
    share->next = NULL;
    *list->last = share;
    list->last = &share->next;
    list->count++;
}

static struct agent_share *take_out(struct agent_share_list *list, uint64_t id) {
    struct agent_share **link = &list->first;
    while (*link && (*link)->id != id) {
        link = &(*link)->next;
    }
    struct agent_share *share = *link;
    if (share) {
        *link = share->next;
        if (!*link) {
            list->last = link;
        }
        list->count--;
    }
    return share;
}

/* Notes in `counts` that its pool has one more, or one less. */
static void tally(struct sl_agent_core *core, uint32_t *counts, const struct agent_share *share,
                  bool more) {
    uint32_t pool = agent_pool_find(core, share->pool);
    if (pool < core->pool_count) {
        counts[pool] = more ? counts[pool] + 1 : counts[pool] - 1;
    }
}

static uint64_t journal_share(struct sl_agent_core *core, const struct agent_share *share,
                              bool urgent) {
    uint8_t value[AGENT_SHARE_BYTES_MAX];
    size_t size = agent_share_encode(share, value);
    return agent_journal_id(core, SL_JOURNAL_SHARE, share->id, value, size, urgent);
}

/* difficulty = expected hashes * 65535 / 2^48 */
static uint64_t difficulty_nano(uint64_t hashes) {
    return (uint64_t)(((unsigned __int128)hashes * 65535 * 1000000000u + (UINT64_C(1) << 47)) >>
                      48);
}

/* One line now and then: a pool can make a device find a hundred thousand a second. */
static void drop(struct sl_agent_core *core, struct sl_now now, const struct agent_device *device,
                 const char *why) {
    struct agent_shares *shares = &core->shares;
    shares->dropped++;
    if (shares->dropped_told_ns == 0 || now.mono.ns - shares->dropped_told_ns >= TELL_DROPPED_NS) {
        agent_log(core, SL_LOG_WARN, "share.dropped", "shares=%llu device=%s %s",
                  (unsigned long long)shares->dropped, device->info.key, why);
        shares->dropped = 0;
        shares->dropped_told_ns = now.mono.ns;
    }
}

static bool is_full(const struct sl_agent_core *core, uint64_t max, uint64_t all, uint64_t own) {
    uint64_t common = core->pool_count > 1 ? max / 2 : 0;
    return all >= common && own >= (max - common) / core->pool_count;
}

/* NULL: there is room for one more. */
static const char *why_dropped(const struct sl_agent_core *core, uint32_t pool) {
    const struct agent_shares *shares = &core->shares;
    if (pool >= core->pool_count) {
        return "there is no such pool";
    }
    if (core->pool_stopped) {
        return "the agent stops";
    }
    uint32_t open = shares->open_of[pool], all = open + shares->settled_of[pool];
    if (is_full(core, OPEN_MAX, shares->open.count, open)) {
        return "so many wait for the disk or for their pool's answer: the pool's difficulty is too "
               "low for these devices; see suggest_difficulty";
    }
    if (is_full(core, SHARES_MAX, shares->open.count + shares->settled.count, all)) {
        return "of a million that may wait for the broker, its pool has its part";
    }
    return NULL;
}

void agent_share_found(struct sl_agent_core *core, struct sl_now now,
                       const struct agent_device *device,
                       const struct sl_device_candidate *candidate) {
    struct agent_shares *shares = &core->shares;
    uint32_t pool = agent_pool_of_serial(candidate->work.job_serial);
    const char *why = why_dropped(core, pool);
    if (why) {
        drop(core, now, device, why);
        return;
    }
    struct agent_share *share = agent_alloc(sizeof *share);
    share->id = shares->next_id++;
    sl_text_copy(share->device, sizeof share->device, device->info.key);
    sl_text_copy(share->pool, sizeof share->pool, core->pools[pool].name);
    share->worker = device->index;
    share->state = SHARE_STORING;
    share->work_hashes = candidate->work.hashes_per_share;
    share->difficulty_nano = difficulty_nano(share->work_hashes);
    share->find = agent_alloc(sizeof *share->find);
    share->find->work = candidate->work;
    share->find->nonce = candidate->nonce;
    share->ticket = journal_share(core, share, true);
    append(&shares->open, share);
    tally(core, shares->open_of, share, true);
    if (SL_MUTANT(share_before_durable)) {
        share->ticket = 0;
        agent_shares_durable(core, now);
    }
}

/* Of a share that was taken out of the open ones; its journal record gets the outcome. */
static void settle(struct sl_agent_core *core, struct sl_now now, struct agent_share *share,
                   enum sl_share_outcome outcome, int32_t code, int64_t latency_us) {
    uint32_t pool = agent_pool_find(core, share->pool);
    struct agent_shares *shares = &core->shares;
    free(share->find);
    share->find = NULL;
    share->state = SHARE_SETTLED;
    share->outcome = outcome;
    share->code = code;
    share->settled_ms = now.wall.ms;
    journal_share(core, share, false);
    append(&shares->settled, share);
    tally(core, shares->open_of, share, false);
    tally(core, shares->settled_of, share, true);
    if (pool < core->pool_count) { /* else of a pool that was configured before a restart */
        agent_pool_count(&core->pools[pool], now, outcome, code, share->work_hashes, latency_us);
    }
    int64_t soon = sl_mono_after_ms(now.mono, BATCH_MS).ns;
    if (shares->send_ns == 0 || shares->send_ns > soon) {
        shares->send_ns = soon;
    }
}

/* Hands durable shares to the pool client. */
static void submit_stored(struct sl_agent_core *core, struct sl_now now) {
    struct agent_shares *shares = &core->shares;
    shares->retry_ns = 0;
    uint32_t full = 0; /* pools that take no more for now */
    for (struct agent_share *share = shares->open.first, *next; share; share = next) {
        next = share->next;
        if (share->state != SHARE_STORED) {
            continue;
        }
        uint32_t pool = agent_pool_of_serial(share->find->work.job_serial);
        if (full & 1u << pool) {
            continue;
        }
        struct sl_error err;
        share->state = SHARE_SUBMITTED;
        int rc = agent_pool_submit(core->pools[pool].client, &share->find->work, share->find->nonce,
                                   share->id, share->worker, now.mono, &err);
        if (rc == -SL_AGAIN) {
            share->state = SHARE_STORED;
            shares->retry_ns = sl_mono_after_ms(now.mono, RETRY_MS).ns;
            full |= 1u << pool;
            continue;
        }
        if (rc != SL_OK) {
            agent_log(core, SL_LOG_WARN, "share.unsent", "share=%llu %s",
                      (unsigned long long)share->id, err.text);
            take_out(&shares->open, share->id);
            settle(core, now, share, SL_SHARE_STALE, 0, -1);
            continue;
        }
        core->pools[pool].submitted++;
        free(share->find);
        share->find = NULL;
    }
}

void agent_shares_durable(struct sl_agent_core *core, struct sl_now now) {
    bool any = false;
    for (struct agent_share *share = core->shares.open.first; share; share = share->next) {
        if (share->state == SHARE_STORING && share->ticket <= core->durable) {
            share->state = SHARE_STORED;
            any = true;
        }
    }
    if (any) {
        submit_stored(core, now);
    }
}

void agent_share_settled(struct sl_agent_core *core, struct sl_now now,
                         const struct agent_pool_action *action) {
    struct agent_share *share = take_out(&core->shares.open, action->share_id);
    if (!share) {
        return;
    }
    uint32_t pool = agent_pool_find(core, share->pool);
    if (!action->sent && pool < core->pool_count) {
        core->pools[pool].submitted--;
    }
    settle(core, now, share, action->outcome, action->code, action->latency_us);
}

int agent_share_replay(struct sl_agent_core *core, struct sl_now now, uint64_t id,
                       const uint8_t *value, size_t size, struct sl_error *err) {
    (void)now;
    struct agent_share *share = agent_alloc(sizeof *share);
    share->id = id;
    if (!agent_share_decode(value, size, share)) {
        free(share);
        return sl_fail(err, SL_CORRUPT, "the journal's share %llu is none", (unsigned long long)id);
    }
    bool settled = share->outcome != SL_SHARE_INVALID;
    share->state = settled ? SHARE_SETTLED : SHARE_SUBMITTED;
    append(settled ? &core->shares.settled : &core->shares.open, share);
    tally(core, settled ? core->shares.settled_of : core->shares.open_of, share, true);
    return SL_OK;
}

void agent_shares_start(struct sl_agent_core *core, struct sl_now now) {
    while (core->shares.open.first) {
        struct agent_share *share = take_out(&core->shares.open, core->shares.open.first->id);
        enum sl_share_outcome outcome =
            SL_MUTANT(unknown_share_accepted) ? SL_SHARE_ACCEPTED : SL_SHARE_UNKNOWN;
        outcome = SL_MUTANT(unknown_share_stale) ? SL_SHARE_STALE : outcome;
        settle(core, now, share, outcome, 0, -1);
    }
}

void agent_shares_acked(struct sl_agent_core *core, const uint64_t *ids, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct agent_share_list *list = &core->shares.settled;
        bool other = SL_MUTANT(other_share_forgotten) && list->first;
        struct agent_share *share = take_out(list, other ? list->first->id : ids[i]);
        if (share) {
            tally(core, core->shares.settled_of, share, false);
            agent_journal_id(core, SL_JOURNAL_SHARE, share->id, NULL, 0, false);
            free(share);
        }
    }
}

/* Up to one message of settled shares that were not sent, or long ago. True: there are more. */
static bool send_batch(struct sl_agent_core *core, struct sl_now now) {
    struct sl_msg_share out[SL_MSG_SHARES_MAX];
    struct sl_msg msg = {.kind = SL_MSG_SHARES};
    msg.shares.shares = out;
    bool more = false;
    uint32_t in_flight = 0;
    for (struct agent_share *share = core->shares.settled.first; share; share = share->next) {
        if (share->sent_ns && now.mono.ns - share->sent_ns < RESEND_MS * SL_NS_PER_MS) {
            if (++in_flight >= IN_FLIGHT_MAX) {
                break;
            }
            continue;
        }
        if (msg.shares.share_count == SL_MSG_SHARES_MAX) {
            more = true;
            break;
        }
        int64_t age = now.wall.ms - share->settled_ms;
        struct sl_msg_share *to = &out[msg.shares.share_count++];
        *to = (struct sl_msg_share){
            .share_id = share->id,
            .outcome = share->outcome,
            .code = share->code,
            .work_hashes = share->work_hashes,
            .difficulty_nano = share->difficulty_nano,
            .age_ms = age < 0                    ? 0
                      : age > SL_MSG_SPAN_MS_MAX ? (uint64_t)SL_MSG_SPAN_MS_MAX
                                                 : (uint64_t)age,
        };
        sl_text_copy(to->device, sizeof to->device, share->device);
        sl_text_copy(to->pool, sizeof to->pool, share->pool);
        share->sent_ns = now.mono.ns;
    }
    if (msg.shares.share_count > 0) {
        agent_send(core, &msg);
    }
    return more;
}

void agent_shares_timer(struct sl_agent_core *core, struct sl_now now) {
    struct agent_shares *shares = &core->shares;
    if (shares->retry_ns && shares->retry_ns <= now.mono.ns) {
        submit_stored(core, now);
    }
    if (shares->send_ns == 0 || now.mono.ns < shares->send_ns || !agent_live(core)) {
        return;
    }
    bool more = send_batch(core, now);
    shares->send_ns =
        shares->settled.count ? sl_mono_after_ms(now.mono, more ? BATCH_MS : 1000).ns : 0;
}

void agent_shares_restart(struct sl_agent_core *core, struct sl_now now) {
    for (struct agent_share *share = core->shares.settled.first; share; share = share->next) {
        share->sent_ns = SL_MUTANT(shares_not_resent) ? AGENT_NEVER / 2 : 0;
    }
    core->shares.send_ns = core->shares.settled.count ? now.mono.ns : 0;
}

int64_t agent_shares_deadline(const struct sl_agent_core *core) {
    const struct agent_shares *shares = &core->shares;
    int64_t send = shares->send_ns && agent_live(core) ? shares->send_ns : AGENT_NEVER;
    return shares->retry_ns && shares->retry_ns < send ? shares->retry_ns : send;
}

static void free_list(struct agent_share_list *list) {
    while (list->first) {
        struct agent_share *next = list->first->next;
        free(list->first->find);
        free(list->first);
        list->first = next;
    }
}

void agent_shares_free(struct agent_shares *shares) {
    free_list(&shares->open);
    free_list(&shares->settled);
}
