/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stratum/failover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stratum/client_internal.h"
#include "proto/base/mutant.h"

#define NEVER_NS INT64_MAX
/* Attempts in a row without an accepted share, after which a better address rests. */
#define TRIES 3
/* Somebody serves and is suspect: the next address is tried too after it (as RFC 8305 staggers). */
#define STAGGER_MS 250

enum phase {
    RESTING = 1, /* closed; tried again at `at_ns`, NEVER_NS: when nobody serves */
    TRYING,      /* its own machine connects, backs off, or is refused */
    LEAVING,     /* served until another did; late shares and answers; closed from `at_ns` on */
};

struct member {
    struct sl_stratum *client;
    enum phase phase;
    int64_t at_ns;
    int64_t not_before_ns; /* RESTING: its own back-off, which is not forgotten */
    bool in_trouble;       /* what its machine says: waiting or refused; seen by the last turn */
    uint32_t tries;        /* that failed since the last accepted share */
    uint64_t accepted;
};

struct sl_failover {
    struct sl_failover_config config;
    uint64_t random;
    struct member members[SL_FAILOVER_URLS_MAX];
    uint32_t count;
    int serving;         /* -1: nobody */
    int served;          /* last; -1: nobody yet */
    int64_t next_ns;     /* nobody serves: when the next address gets its turn too */
    uint32_t turn;       /* next link to take actions of */
    struct sl_job *job;  /* to be told first: that of a new serving address */
    struct sl_job *told; /* keeps what the last action points at */
    bool no_work;        /* to be told: nothing to hash */
    bool suspect;        /* who serves is not to be trusted: seen by the last turn */
    bool started;
    uint64_t changes;
};

void sl_failover_config_defaults(struct sl_failover_config *config) {
    *config =
        (struct sl_failover_config){.head_start_ms = 3000, .retry_ms = 300000, .linger_ms = 5000};
    sl_stratum_config_defaults(&config->client);
}

int sl_failover_create(const struct sl_failover_config *config, uint64_t seed,
                       struct sl_failover **ret_pool, struct sl_error *err) {
    if (config->url_count == 0 || config->url_count > SL_FAILOVER_URLS_MAX ||
        config->head_start_ms <= 0 || config->retry_ms <= 0 || config->linger_ms <= 0) {
        return sl_fail(err, SL_INVALID, "a pool needs 1 to %d addresses, and time limits above 0",
                       SL_FAILOVER_URLS_MAX);
    }
    SL_AUTO(sl_failover) pool = calloc(1, sizeof *pool);
    if (!pool) {
        return sl_fail(err, SL_NOMEM, "no memory for a pool");
    }
    pool->config = *config;
    pool->random = seed;
    pool->serving = -1;
    pool->served = -1;
    for (uint32_t i = 0; i < config->url_count; i++) {
        struct sl_stratum_config client = config->client;
        client.url = config->urls[i];
        int rc = sl_stratum_create(&client, sl_stratum_random(&pool->random),
                                   &pool->members[i].client, err);
        if (rc < 0) {
            return rc;
        }
        pool->count++;
        pool->members[i].phase = RESTING;
        pool->members[i].at_ns = NEVER_NS;
        /* So that no job and no session of two addresses is ever taken for the other's. */
        pool->members[i].client->last_serial = (uint64_t)i << 56;
        pool->members[i].client->session = i << 24;
    }
    *ret_pool = sl_take(&pool);
    return SL_OK;
}

void sl_failover_destroy(struct sl_failover *pool) {
    if (!pool) {
        return;
    }
    for (uint32_t i = 0; i < pool->count; i++) {
        sl_stratum_destroy(pool->members[i].client);
    }
    sl_job_unref(pool->job);
    sl_job_unref(pool->told);
    free(pool);
}

void sl_failover_suggest(struct sl_failover *pool, double difficulty) {
    for (uint32_t i = 0; i < pool->count; i++) {
        sl_stratum_suggest(pool->members[i].client, difficulty);
    }
}

/* ---- who serves ---- */

static bool can_serve(const struct member *member) {
    const struct sl_stratum *client = member->client;
    return client->state == SL_STRATUM_READY && client->job && client->link.first_serial != 0 &&
           client->job->serial >= client->link.first_serial;
}

static void begin(struct member *member, struct sl_mono now) {
    member->phase = TRYING;
    member->in_trouble = false;
    sl_stratum_start(member->client, now);
}

static void rest(struct member *member, int64_t at_ns, struct sl_mono now) {
    bool backs_off =
        member->client->state == SL_STRATUM_WAITING || member->client->state == SL_STRATUM_REFUSED;
    member->phase = RESTING;
    member->not_before_ns = backs_off ? member->client->phase_end.ns : 0;
    member->at_ns = at_ns > member->not_before_ns ? at_ns : member->not_before_ns;
    member->in_trouble = false;
    sl_stratum_stop(member->client, now);
}

/* The job of an address that begins to serve, as a clean one: all older work is another's. */
static void tell_job(struct sl_failover *pool, const struct sl_stratum *client) {
    struct sl_job draft = *client->job;
    struct sl_job *job = NULL;
    draft.clean = true;
    sl_assert(sl_job_create(&draft, &job, NULL) == SL_OK); /* it passed once; else memory is out */
    sl_job_unref(pool->job);
    pool->job = job;
    pool->no_work = false;
}

static void serve_from(struct sl_failover *pool, uint32_t index, struct sl_mono now) {
    struct member *member = &pool->members[index];
    if (pool->serving >= 0) {
        struct member *before = &pool->members[pool->serving];
        before->phase = LEAVING;
        before->at_ns = sl_mono_after_ms(now, pool->config.linger_ms).ns;
    }
    pool->changes += pool->served >= 0 && pool->served != (int)index;
    pool->served = (int)index;
    pool->serving = (int)index;
    member->phase = TRYING;
    tell_job(pool, member->client);
}

/* The serving address has lost its connection. */
static void serve_no_more(struct sl_failover *pool) {
    pool->serving = -1;
    pool->suspect = false;
    pool->next_ns = 0; /* the next one at once */
    pool->no_work = true;
    sl_job_unref(pool->job);
    pool->job = NULL;
}

static bool is_silent(const struct member *member, struct sl_mono now) {
    struct sl_mono when;
    return sl_stratum_suspect_at(member->client, &when) && now.ns >= when.ns;
}

static bool is_suspect(const struct member *member, struct sl_mono now) {
    return member->client->refusing || is_silent(member, now);
}

/* Where nobody takes shares, the first is as good as any, and devices do not go to and fro. */
static bool refuses_first(const struct sl_failover *pool, uint32_t i, struct sl_mono now) {
    return (int)i < pool->serving && pool->members[pool->serving].client->refusing &&
           pool->members[i].client->refusing && !is_silent(&pool->members[i], now);
}

/* Whether member i is to serve in place of who does. */
static bool is_wanted(const struct sl_failover *pool, uint32_t i, bool suspects,
                      struct sl_mono now) {
    const struct member *member = &pool->members[i];
    if (!can_serve(member) || (int)i == pool->serving || is_suspect(member, now) != suspects) {
        return false;
    }
    if (pool->serving < 0) {
        return true;
    }
    if (suspects) {
        return refuses_first(pool, i, now);
    }
    return pool->suspect || ((int)i < pool->serving && !SL_MUTANT(primary_never_again));
}

static void note_suspicion(struct sl_failover *pool, struct sl_mono now) {
    bool suspect = pool->serving >= 0 && is_suspect(&pool->members[pool->serving], now);
    if (suspect && !pool->suspect) {
        pool->next_ns = 0; /* the next one at once */
    }
    pool->suspect = suspect;
}

/* Who answers comes before who does not, then the better one. */
static void choose(struct sl_failover *pool, struct sl_mono now) {
    if (pool->serving >= 0 && pool->members[pool->serving].client->state != SL_STRATUM_READY) {
        serve_no_more(pool);
    }
    note_suspicion(pool, now);
    for (uint32_t i = 0; i < 2 * pool->count; i++) {
        if (is_wanted(pool, i % pool->count, i >= pool->count, now)) {
            serve_from(pool, i % pool->count, now);
            note_suspicion(pool, now);
            return;
        }
    }
}

/* ---- who is tried ---- */

static void note_trouble(struct sl_failover *pool, struct member *member) {
    bool trouble =
        member->client->state == SL_STRATUM_WAITING || member->client->state == SL_STRATUM_REFUSED;
    if (member->client->accepted != member->accepted) {
        member->accepted = member->client->accepted;
        member->tries = 0;
    }
    if (trouble && !member->in_trouble) {
        member->tries++;
        pool->next_ns = 0;
    }
    member->in_trouble = trouble;
}

/* One whose pause has ended is worth a connection, where who serves is no better. */
static void note_refusals(struct sl_failover *pool, struct member *member, struct sl_mono now) {
    if (sl_stratum_weigh_refusals(member->client, pool->config.retry_ms, now)) {
        pool->next_ns = 0;
    }
}

static int64_t retry_at(struct sl_failover *pool, struct sl_mono now) {
    int64_t wait_ms = pool->config.retry_ms;
    wait_ms += (int64_t)(sl_stratum_random(&pool->random) % (uint64_t)(wait_ms + 1));
    return sl_mono_after_ms(now, wait_ms).ns;
}

/* A better one that refuses shares rests for its pause, a worse one until it is needed. */
static int64_t wake_at(const struct sl_failover *pool, int i) {
    const struct sl_stratum *client = pool->members[i].client;
    return i < pool->serving && client->refusing ? client->refusing_until.ns : NEVER_NS;
}

/* A worse address than the serving one is closed once nothing can be saved there any more. */
static void tend_worse(struct sl_failover *pool, int i, struct sl_mono now) {
    struct member *member = &pool->members[i];
    const struct sl_stratum *client = member->client;
    if (client->open_count > 0) {
        member->phase = LEAVING;
        member->at_ns = sl_mono_after_ms(now, pool->config.linger_ms).ns;
    } else if (client->waiting_count == 0 || member->tries >= TRIES) {
        rest(member, wake_at(pool, i), now);
    }
}

static void tend_better(struct sl_failover *pool, struct member *member, struct sl_mono now) {
    if (member->phase == TRYING) {
        if (member->client->state == SL_STRATUM_WAITING && member->tries >= TRIES) {
            rest(member, retry_at(pool, now), now);
        }
    } else if (member->at_ns == NEVER_NS) {
        member->at_ns = retry_at(pool, now); /* was closed as a worse one */
    } else if (now.ns >= member->at_ns) {
        begin(member, now);
    }
}

/* Somebody serves: the worse ones are closed, the better ones tried now and then. */
static void tend_others(struct sl_failover *pool, struct sl_mono now) {
    for (int i = 0; i < (int)pool->count; i++) {
        struct member *member = &pool->members[i];
        if (i == pool->serving || member->phase == LEAVING) {
            continue;
        }
        bool worse = i > pool->serving || member->client->refusing;
        if (worse && member->phase == TRYING) {
            tend_worse(pool, i, now);
        } else if (i < pool->serving) {
            tend_better(pool, member, now);
        }
    }
}

/* Nobody serves, or one that does not answer: one more address is tried with each failure, and
 * after each head start. */
static void try_another(struct sl_failover *pool, struct sl_mono now) {
    if (now.ns < pool->next_ns) {
        return;
    }
    pool->next_ns = NEVER_NS;
    for (uint32_t i = 0; i < pool->count; i++) {
        struct member *member = &pool->members[i];
        if (member->phase == RESTING && now.ns >= member->not_before_ns) {
            begin(member, now);
            int64_t ms = pool->serving < 0 ? pool->config.head_start_ms : STAGGER_MS;
            pool->next_ns = sl_mono_after_ms(now, ms).ns;
            return;
        }
        if (member->phase == RESTING && member->not_before_ns < pool->next_ns) {
            pool->next_ns = member->not_before_ns;
        }
    }
}

/* A better one was left because it did not answer: when it does, or has a new connection, it is
 * tried again. A worse one, and one that refuses shares, is closed when its answers are there. */
static void tend_leaving(struct sl_failover *pool, struct sl_mono now) {
    for (int i = 0; i < (int)pool->count; i++) {
        struct member *member = &pool->members[i];
        bool ready = member->client->state == SL_STRATUM_READY;
        bool answered = member->client->open_count == 0 && now.ns >= member->at_ns;
        if (member->phase != LEAVING) {
            continue;
        }
        if (i < pool->serving && !member->client->refusing) {
            member->phase = ready && is_suspect(member, now) ? LEAVING : TRYING;
        } else if (answered || !ready) {
            rest(member, wake_at(pool, i), now);
        }
    }
}

static void settle(struct sl_failover *pool, struct sl_mono now) {
    if (!pool->started) {
        return;
    }
    for (uint32_t i = 0; i < pool->count; i++) {
        note_trouble(pool, &pool->members[i]);
        note_refusals(pool, &pool->members[i], now);
    }
    choose(pool, now);
    tend_leaving(pool, now);
    if (pool->serving >= 0 && !pool->suspect) {
        tend_others(pool, now);
    } else {
        try_another(pool, now);
    }
}

/* ---- events ---- */

void sl_failover_start(struct sl_failover *pool, struct sl_mono now) {
    if (!pool->started) {
        pool->started = true;
        pool->next_ns = 0;
        settle(pool, now);
    }
}

void sl_failover_stop(struct sl_failover *pool, struct sl_mono now) {
    bool served = pool->serving >= 0;
    pool->started = false;
    for (uint32_t i = 0; i < pool->count; i++) {
        rest(&pool->members[i], NEVER_NS, now);
    }
    if (served) {
        serve_no_more(pool);
    }
}

void sl_failover_connected(struct sl_failover *pool, uint32_t link, struct sl_mono now) {
    if (link < pool->count) {
        sl_stratum_connected(pool->members[link].client, now);
        settle(pool, now);
    }
}

void sl_failover_received(struct sl_failover *pool, uint32_t link, const void *data, size_t size,
                          struct sl_mono now) {
    if (link < pool->count) {
        sl_stratum_received(pool->members[link].client, data, size, now);
        settle(pool, now);
    }
}

void sl_failover_disconnected(struct sl_failover *pool, uint32_t link, const char *reason,
                              struct sl_mono now) {
    if (link < pool->count) {
        sl_stratum_disconnected(pool->members[link].client, reason, now);
        settle(pool, now);
    }
}

void sl_failover_timer(struct sl_failover *pool, struct sl_mono now) {
    for (uint32_t i = 0; i < pool->count; i++) {
        sl_stratum_timer(pool->members[i].client, now);
    }
    settle(pool, now);
}

int sl_failover_submit(struct sl_failover *pool, const struct sl_share *share, struct sl_mono now,
                       struct sl_error *err) {
    uint64_t index = share->job_serial >> 56;
    if (index >= pool->count) {
        return sl_fail(err, SL_INVALID, "a share for a job of no address of this pool");
    }
    int rc = sl_stratum_submit(pool->members[index].client, share, now, err);
    settle(pool, now);
    return rc;
}

bool sl_failover_deadline(const struct sl_failover *pool, struct sl_mono *ret_when) {
    int64_t due_ns =
        pool->started && (pool->serving < 0 || pool->suspect) ? pool->next_ns : NEVER_NS;
    struct sl_mono doubt;
    if (pool->serving >= 0 && !pool->suspect &&
        sl_stratum_suspect_at(pool->members[pool->serving].client, &doubt) && doubt.ns < due_ns) {
        due_ns = doubt.ns;
    }
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct member *member = &pool->members[i];
        struct sl_mono when;
        if (sl_stratum_deadline(member->client, &when) && when.ns < due_ns) {
            due_ns = when.ns;
        }
        bool waits = (member->phase == LEAVING && member->client->open_count == 0) ||
                     (member->phase == RESTING && pool->serving > (int)i);
        if (pool->started && waits && member->at_ns < due_ns) {
            due_ns = member->at_ns;
        }
        const struct sl_stratum *client = member->client;
        if (pool->started && client->refusing && client->refusing_until.ns < due_ns) {
            due_ns = client->refusing_until.ns;
        }
    }
    ret_when->ns = due_ns;
    return due_ns != NEVER_NS;
}

/* ---- actions ---- */

/* Jobs only of who serves. Until its first one is told, a newer one takes that one's place. */
static bool pass_job(struct sl_failover *pool, uint32_t link, const struct sl_job *job) {
    if ((int)link != pool->serving) {
        return false;
    }
    if (!pool->job) {
        return true;
    }
    if (job->serial > pool->job->serial) {
        tell_job(pool, pool->members[link].client);
    }
    return false;
}

/* What the shell hears of; texts say whose they are. */
static bool pass(struct sl_failover *pool, uint32_t link, struct sl_stratum_action *action) {
    char url[SL_POOL_URL_TEXT_MAX];
    char text[SL_STRATUM_TEXT_MAX + 1];
    switch (action->type) {
    case SL_STRATUM_JOB:
        return pass_job(pool, link, action->job);
    case SL_STRATUM_DIFFICULTY:
        return (int)link == pool->serving;
    case SL_STRATUM_NO_WORK:
        return false; /* told when the address ceases to serve */
    case SL_STRATUM_LOG:
    case SL_STRATUM_MISCONFIGURED:
        if (pool->count > 1) {
            sl_pool_url_write(&pool->config.urls[link], url);
            int n = snprintf(text, sizeof text, "%.60s: ", url);
            sl_message_clean(action->text, text + n, sizeof text - (size_t)n);
            memcpy(action->text, text, sizeof text);
        }
        return true;
    case SL_STRATUM_CONNECT:
    case SL_STRATUM_SEND:
    case SL_STRATUM_CLOSE:
    case SL_STRATUM_SHARE:
        break;
    }
    return true;
}

static bool take_own(struct sl_failover *pool, struct sl_failover_action *ret_action) {
    if (!pool->job && !pool->no_work) {
        return false;
    }
    *ret_action =
        (struct sl_failover_action){.link = pool->serving < 0 ? 0 : (uint32_t)pool->serving};
    ret_action->action.type = pool->no_work ? SL_STRATUM_NO_WORK : SL_STRATUM_JOB;
    sl_job_unref(pool->told);
    pool->told = NULL;
    if (!pool->no_work) {
        pool->told = pool->job;
        pool->job = NULL;
        ret_action->action.job = pool->told;
    }
    pool->no_work = false;
    return true;
}

bool sl_failover_take(struct sl_failover *pool, struct sl_failover_action *ret_action) {
    for (uint32_t i = 0; i < pool->count;) {
        uint32_t link = (pool->turn + i) % pool->count;
        struct sl_stratum_action action;
        if (!sl_stratum_take(pool->members[link].client, &action)) {
            i++;
            continue;
        }
        if (pass(pool, link, &action)) {
            pool->turn = link; /* the order of one link's actions counts, not that between links */
            *ret_action = (struct sl_failover_action){link, action};
            return true;
        }
    }
    return take_own(pool, ret_action);
}

bool sl_failover_is_suspect(const struct sl_failover *pool) {
    return pool->suspect;
}

void sl_failover_status(const struct sl_failover *pool, struct sl_failover_status *ret_status) {
    uint32_t shown = pool->serving < 0 ? 0 : (uint32_t)pool->serving;
    *ret_status = (struct sl_failover_status){.urls = pool->count,
                                              .serving = pool->serving,
                                              .url = &pool->config.urls[shown],
                                              .changes = pool->changes};
    ret_status->refusing = pool->suspect && pool->members[shown].client->refusing;
    ret_status->suspect =
        pool->suspect && !ret_status->refusing &&
        sl_stratum_suspect_at(pool->members[shown].client, &ret_status->suspect_at);
    struct sl_stratum_status *total = &ret_status->client;
    sl_stratum_status(pool->members[shown].client, total);
    for (uint32_t i = 0; i < pool->count; i++) {
        struct sl_stratum_status one;
        if (i != shown) {
            sl_stratum_status(pool->members[i].client, &one);
            total->accepted += one.accepted;
            total->stale += one.stale;
            total->rejected += one.rejected;
            total->unknown += one.unknown;
            total->unanswered += one.unanswered;
            total->waiting += one.waiting;
        }
    }
}
