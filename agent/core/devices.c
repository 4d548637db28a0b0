/* SPDX-License-Identifier: Apache-2.0
 * Device events and deadlines, turned into causes for the machine. */
#include <stdlib.h>
#include <string.h>

#include "agent/core/core_internal.h"

#define MOVE_MS 10 /* more than a halt, a sync and a first launch take */

struct agent_device *agent_device_find(struct sl_agent_core *core, const char *key) {
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        if (strcmp(core->devices[i].info.key, key) == 0) {
            return &core->devices[i];
        }
    }
    return NULL;
}

bool agent_device_has_model(const struct agent_device *device, const char *model) {
    for (uint32_t i = 0; i < device->stats.model_count; i++) {
        if (strcmp(device->stats.models[i].id, model) == 0) {
            return true;
        }
    }
    return false;
}

void agent_devices_durable(struct sl_agent_core *core, struct sl_now now, struct sl_mono at) {
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        struct agent_device *device = &core->devices[i];
        if (device->epoch_ticket && device->epoch_ticket <= core->durable) {
            device->epoch_durable = device->epoch_asked;
            device->epoch_ticket = 0;
        }
        if (device->state == DEV_STORING && device->lease.ticket <= core->durable) {
            agent_device_step(core, device, now,
                              &(struct agent_cause){.kind = DEVC_DURABLE, .at_ns = at.ns});
        }
    }
}

void agent_devices_timer(struct sl_agent_core *core, struct sl_now now) {
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        struct agent_device *device = &core->devices[i];
        struct agent_cause cause = {.kind = DEVC_INVALID};
        int64_t now_ns = agent_lease_clock(now, now.mono.ns);
        if (agent_device_bound(device) && device->lease.expires_ns <= now_ns) {
            cause.kind = DEVC_EXPIRED;
        } else if (device->state == DEV_SAFE && device->safe_until_ns <= now.mono.ns) {
            cause.kind = DEVC_RESTED;
        }
        if (cause.kind != DEVC_INVALID) {
            agent_device_step(core, device, now, &cause);
        }
        agent_health_timer(core, device, now);
    }
}

int64_t agent_devices_deadline(const struct sl_agent_core *core) {
    int64_t when = AGENT_NEVER;
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        const struct agent_device *device = &core->devices[i];
        int64_t at = agent_device_bound(device)  ? device->lease.expires_ns
                     : device->state == DEV_SAFE ? device->safe_until_ns
                                                 : AGENT_NEVER;
        int64_t canary = agent_health_deadline(device);
        at = canary < at ? canary : at;
        when = at < when ? at : when;
    }
    return when;
}

int64_t agent_devices_moving_until(const struct sl_agent_core *core) {
    int64_t until = 0;
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        const struct agent_device *device = &core->devices[i];
        if (device->state == DEV_STORING || device->state == DEV_STARTING) {
            int64_t end = device->lease.received_ns + MOVE_MS * SL_NS_PER_MS;
            until = end > until ? end : until;
        }
    }
    return until;
}

static void step_all(struct sl_agent_core *core, struct sl_now now, enum agent_device_cause kind) {
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        agent_device_step(core, &core->devices[i], now, &(struct agent_cause){.kind = kind});
    }
}

void agent_devices_safe_changed(struct sl_agent_core *core, struct sl_now now) {
    step_all(core, now, DEVC_SAFE);
}

void agent_devices_stop(struct sl_agent_core *core, struct sl_now now) {
    step_all(core, now, DEVC_STOP);
}

static void take_report(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                        const struct sl_device_report *report) {
    uint64_t before = device->has_stats ? device->stats.hashes_total : 0;
    uint64_t total = report->stats.hashes_total;
    agent_pool_spent(core, now, device, total > before ? total - before : 0);
    device->stats = report->stats;
    if (device->stats.model_count > SL_DEVICE_MODELS_MAX) {
        device->stats.model_count = SL_DEVICE_MODELS_MAX;
    }
    device->has_stats = true;
    agent_pools_suggest(core, now);
}

static void handle(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                   struct sl_device_event *event) {
    struct agent_cause cause = {.at_ns = event->at.ns, .text = ""};
    switch (event->kind) {
    case SL_DEVEV_READY:
        take_report(core, now, device, event->report);
        cause.kind = DEVC_READY;
        break;
    case SL_DEVEV_FAILED:
        cause.kind = DEVC_FAILED;
        cause.text = event->text;
        device->sensed.hung = device->sensed.hung || event->hung;
        break;
    case SL_DEVEV_HALTED:
        cause.kind = DEVC_HALTED;
        break;
    case SL_DEVEV_STARTED:
        /* Only of the mode posted last; an older one is overtaken. */
        if (event->epoch == device->epoch && event->mode == device->mode) {
            cause.kind = DEVC_STARTED;
        }
        break;
    case SL_DEVEV_CANDIDATE:
        agent_share_found(core, now, device, &event->candidate);
        break;
    case SL_DEVEV_LINE:
        agent_unit_line_done(core, now, device, &event->line);
        break;
    case SL_DEVEV_UNIT_DONE:
        agent_unit_done(core, now, device, event->unit_id);
        break;
    case SL_DEVEV_NEED_WORK:
        core->session.report_wanted = true;
        break;
    case SL_DEVEV_CANARY:
        agent_log(core, SL_LOG_DEBUG, "device.retest", "device=%u took_us=%llu", device->index,
                  (unsigned long long)event->unit_id);
        agent_health_canary(core, device, now, event->text);
        break;
    case SL_DEVEV_STATS:
        take_report(core, now, device, event->report);
        break;
    case SL_DEVEV_JOB_STARTED:
        agent_pool_job_started(core, device, event);
        break;
    case SL_DEVEV_INVALID:
        break;
    }
    if (cause.kind != DEVC_INVALID) {
        agent_device_step(core, device, now, &cause);
    }
}

void sl_agent_device(struct sl_agent_core *core, struct sl_now now, struct sl_device_event *event) {
    if (event->device < core->config.device_count) {
        handle(core, now, &core->devices[event->device], event);
    }
    sl_device_event_fini(event);
    agent_settle(core, now);
}

void sl_agent_device_get(const struct sl_agent_core *core, uint32_t index,
                         struct sl_agent_device_view *ret_view) {
    const struct agent_device *device = &core->devices[index];
    *ret_view = (struct sl_agent_device_view){
        .state = agent_device_state_name(device->state),
        .mode = device->mode,
        .epoch = device->leased ? device->epoch : 0,
        .epoch_max = device->epoch_durable,
        .units = device->unit_count,
        .edges_refused = device->edges_refused,
        .pool = device->pool_posted ? core->pools[device->pool_posted - 1].name : "",
    };
}
