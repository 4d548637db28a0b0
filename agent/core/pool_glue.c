/* SPDX-License-Identifier: Apache-2.0
 * What the pool client wants done, as commands; its newest job to every device. */
#include <string.h>

#include "agent/core/core_internal.h"
#include "proto/base/mutant.h"

void agent_pool_begin(struct sl_agent_core *core, struct sl_now now) {
    if (core->pool) {
        agent_pool_start(core->pool, now.mono);
    }
}

/* A job's reference count is plain, so every device gets a copy of its own. Devices share the
 * extranonce2 space by their index; the slots stay as they are while the agent runs. */
void agent_pool_post_job(struct sl_agent_core *core, struct agent_device *device) {
    struct sl_job *copy = NULL;
    struct sl_error err;
    if (core->job && sl_job_create(core->job, &copy, &err) != SL_OK) {
        agent_log(core, SL_LOG_ERROR, "job.copy", "%s", err.text);
        return;
    }
    agent_post(core, device->index,
               &(struct sl_device_cmd){.kind = SL_DEVCMD_JOB,
                                       .job = copy,
                                       .extranonce2_slot =
                                           SL_MUTANT(extranonce2_shared) ? 0 : device->index,
                                       .extranonce2_slots = core->config.device_count});
}

void agent_pool_job_started(struct sl_agent_core *core, const struct agent_device *device,
                            const struct sl_device_event *event) {
    if (core->job && core->job->serial == event->unit_id) {
        agent_log(core, SL_LOG_DEBUG, "pool.job_started",
                  "device=%u job=%llu clean=%d after_us=%lld", device->index,
                  (unsigned long long)core->job->serial, core->job->clean,
                  (long long)(event->at.ns - core->job_at.ns) / 1000);
    }
}

static void post_to_all(struct sl_agent_core *core) {
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        struct agent_device *device = &core->devices[i];
        if (device->state != DEV_PROVING && device->state != DEV_FAILED &&
            device->state != DEV_STOPPED) {
            agent_pool_post_job(core, device);
        }
    }
}

static void take_job(struct sl_agent_core *core, struct sl_job *job, struct sl_mono at) {
    sl_job_unref(core->job);
    core->job = job ? sl_job_ref(job) : NULL;
    core->job_at = at;
    post_to_all(core);
}

static void handle(struct sl_agent_core *core, struct sl_now now,
                   const struct agent_pool_action *action) {
    struct sl_agent_cmd *cmd;
    switch (action->kind) {
    case POOL_CONNECT:
        cmd = agent_queue(core, SL_AGENT_POOL_CONNECT);
        cmd->port = action->port;
        sl_text_copy(cmd->text, sizeof cmd->text, action->text);
        break;
    case POOL_SEND:
        cmd = agent_queue(core, SL_AGENT_POOL_SEND);
        cmd->data = agent_alloc(action->size);
        memcpy(cmd->data, action->data, action->size);
        cmd->size = action->size;
        break;
    case POOL_CLOSE:
        agent_queue(core, SL_AGENT_POOL_CLOSE);
        break;
    case POOL_JOB:
        take_job(core, action->job, now.mono);
        break;
    case POOL_NO_WORK:
        /* What is hashed without a connection is nearly always stale when it is back; nobody is
         * served by its heat. */
        take_job(core, NULL, now.mono);
        break;
    case POOL_SHARE:
        agent_share_settled(core, now, action->share_id, action->outcome, action->sent,
                            action->code);
        break;
    case POOL_LOG:
        agent_log(core, action->level, "pool", "%s", action->text);
        break;
    case POOL_INVALID:
        break;
    }
}

void agent_pool_drain(struct sl_agent_core *core, struct sl_now now) {
    struct agent_pool_action action;
    while (core->pool && agent_pool_take(core->pool, &action)) {
        handle(core, now, &action);
    }
}

void sl_agent_pool_connected(struct sl_agent_core *core, struct sl_now now) {
    if (core->pool) {
        agent_pool_on_connected(core->pool, now.mono);
    }
    agent_settle(core, now);
}

void sl_agent_pool_received(struct sl_agent_core *core, struct sl_now now, const void *data,
                            size_t size) {
    if (core->pool) {
        agent_pool_on_received(core->pool, data, size, now.mono);
    }
    agent_settle(core, now);
}

void sl_agent_pool_disconnected(struct sl_agent_core *core, struct sl_now now, const char *reason) {
    if (core->pool) {
        agent_pool_on_disconnected(core->pool, reason, now.mono);
    }
    agent_settle(core, now);
}
