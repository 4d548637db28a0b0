/* SPDX-License-Identifier: Apache-2.0
 * What the pool clients want done, as commands; their newest jobs to the devices. */
#include <string.h>

#include "agent/core/core_internal.h"

void agent_pool_job_started(struct sl_agent_core *core, const struct agent_device *device,
                            const struct sl_device_event *event) {
    uint32_t pool = agent_pool_of_serial(event->unit_id);
    const struct agent_pool_slot *slot = &core->pools[pool % SL_AGENT_POOLS_MAX];
    if (slot->job && agent_pool_serial(pool, slot->job->serial) == event->unit_id) {
        agent_log(core, SL_LOG_DEBUG, "pool.job_started",
                  "device=%u pool=%s job=%llu clean=%d after_us=%lld", device->index, slot->name,
                  (unsigned long long)slot->job->serial, slot->job->clean,
                  (long long)(event->at.ns - slot->job_at.ns) / 1000);
    }
}

static void take_job(struct sl_agent_core *core, struct sl_now now, uint32_t pool,
                     struct sl_job *job) {
    struct agent_pool_slot *slot = &core->pools[pool];
    sl_job_unref(slot->job);
    slot->job = job ? sl_job_ref(job) : NULL;
    slot->job_at = now.mono;
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        struct agent_device *device = &core->devices[i];
        /* Those that had its job get the new one, or another pool's; others may come (back). */
        agent_pool_post_job(core, now, device, device->pool_posted == pool + 1);
    }
}

/* The newest job of an event stands for all of them. A pool can put hundreds into one read, and
 * each would be a command and a copy for every device. What a skipped one ended stays ended. */
static void skip_to(struct sl_job **newest, struct sl_job *job) {
    struct sl_job *next = NULL;
    if (*newest && (*newest)->clean && !job->clean) {
        struct sl_job draft = *job;
        draft.clean = true;
        int rc = sl_job_create(&draft, &next, NULL);
        sl_assert(rc == SL_OK); /* it passed once; else memory is out */
    } else {
        next = sl_job_ref(job);
    }
    sl_job_unref(*newest);
    *newest = next;
}

/* Jobs go to *newest. */
static void handle(struct sl_agent_core *core, struct sl_now now, uint32_t pool,
                   const struct agent_pool_action *action, struct sl_job **newest) {
    struct sl_agent_cmd *cmd;
    uint32_t link = pool * SL_AGENT_LINKS_MAX + action->link;
    switch (action->kind) {
    case POOL_CONNECT:
        cmd = agent_queue(core, SL_AGENT_POOL_CONNECT);
        cmd->link = link;
        cmd->port = action->port;
        cmd->tls = action->tls;
        sl_text_copy(cmd->text, sizeof cmd->text, action->text);
        break;
    case POOL_SEND:
        cmd = agent_queue(core, SL_AGENT_POOL_SEND);
        cmd->link = link;
        cmd->data = agent_alloc(action->size);
        memcpy(cmd->data, action->data, action->size);
        cmd->size = action->size;
        break;
    case POOL_CLOSE:
        agent_queue(core, SL_AGENT_POOL_CLOSE)->link = link;
        break;
    case POOL_JOB:
        skip_to(newest, action->job);
        break;
    case POOL_NO_WORK:
        /* What is hashed without a connection is nearly always stale when it is back: another pool
         * gets the device, and without one nobody is served by its heat. */
        sl_job_unref(sl_take(newest));
        take_job(core, now, pool, NULL);
        core->session.report_wanted = true;
        break;
    case POOL_SHARE:
        agent_share_settled(core, now, action);
        break;
    case POOL_LOG:
        agent_log(core, action->level, "pool", "pool=%s %s", core->pools[pool].name, action->text);
        break;
    case POOL_INVALID:
        break;
    }
}

/* Whether it answers: devices leave it, or come back. */
static void note_trust(struct sl_agent_core *core, struct sl_now now, uint32_t pool) {
    struct agent_pool_slot *slot = &core->pools[pool];
    struct agent_pool_status status;
    bool suspect = agent_pool_is_suspect(slot->client);
    if (suspect == slot->suspect) {
        return;
    }
    slot->suspect = suspect;
    core->session.report_wanted = true;
    agent_pool_get_status(slot->client, now.mono, &status);
    if (suspect && status.refusing) {
        agent_log(core, SL_LOG_WARN, "pool.refusing",
                  "pool=%s url=%s it refuses every share, and no other address takes them; another "
                  "pool is hashed for, if there is one: check user, worker and difficulty",
                  slot->name, status.url);
    } else if (suspect) {
        agent_log(core, SL_LOG_WARN, "pool.suspect",
                  "pool=%s url=%s unanswered=%u it answers shares no more; another address or pool "
                  "is hashed for, if there is one",
                  slot->name, status.url, status.unanswered);
    } else {
        agent_log(core, SL_LOG_INFO, "pool.trusted", "pool=%s url=%s", slot->name, status.url);
    }
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        agent_pool_post_job(core, now, &core->devices[i], false);
    }
}

void agent_pools_drain(struct sl_agent_core *core, struct sl_now now) {
    for (uint32_t i = 0; i < core->pool_count; i++) {
        struct agent_pool_action action;
        struct sl_job *newest = NULL;
        bool had_job = core->pools[i].job != NULL;
        while (agent_pool_take(core->pools[i].client, &action)) {
            handle(core, now, i, &action, &newest);
        }
        if (newest) {
            take_job(core, now, i, newest);
            sl_job_unref(newest);
        }
        note_trust(core, now, i);
        if (!had_job && core->pools[i].job) {
            core->session.report_wanted = true; /* a choice more, for the broker */
        }
    }
}

static struct agent_pool *client_of(struct sl_agent_core *core, uint32_t link) {
    uint32_t pool = link / SL_AGENT_LINKS_MAX;
    return pool < core->pool_count ? core->pools[pool].client : NULL;
}

void sl_agent_pool_connected(struct sl_agent_core *core, struct sl_now now, uint32_t link) {
    struct agent_pool *client = client_of(core, link);
    if (client) {
        agent_pool_on_connected(client, link % SL_AGENT_LINKS_MAX, now.mono);
    }
    agent_settle(core, now);
}

void sl_agent_pool_received(struct sl_agent_core *core, struct sl_now now, uint32_t link,
                            const void *data, size_t size) {
    struct agent_pool *client = client_of(core, link);
    if (client) {
        agent_pool_on_received(client, link % SL_AGENT_LINKS_MAX, data, size, now.mono);
    }
    agent_settle(core, now);
}

void sl_agent_pool_disconnected(struct sl_agent_core *core, struct sl_now now, uint32_t link,
                                const char *reason) {
    struct agent_pool *client = client_of(core, link);
    if (client) {
        agent_pool_on_disconnected(client, link % SL_AGENT_LINKS_MAX, reason, now.mono);
    }
    agent_settle(core, now);
}
