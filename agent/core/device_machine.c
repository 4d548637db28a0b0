/* SPDX-License-Identifier: Apache-2.0
 * The machine of one device: who may use it, in which mode, until when. One table, one writer.
 *
 * Decisions. The mode is posted once the epoch is durable, whether or not the device has reported
 * its halt: it halts by itself if need be, and the report only gives a time. A directive for the
 * mode that runs already (a new price, a new grant) does not halt anything: the kernels in the
 * queue serve both grants, so only the epoch is stored and posted. */
#include "agent/core/core_internal.h"

#include <string.h>

#include "agent/core/records.h"
#include "proto/base/mutant.h"

typedef void (*edge_action)(struct sl_agent_core *core, struct agent_device *device,
                            struct sl_now now, const struct agent_cause *cause);

struct edge {
    enum agent_device_state from;
    enum agent_device_cause cause;
    enum agent_device_state to;
    edge_action action; /* NULL: nothing to do */
};

static void post_mode(struct sl_agent_core *core, struct agent_device *device, enum sl_mode mode,
                      uint64_t epoch) {
    agent_post(core, device->index,
               &(struct sl_device_cmd){.kind = SL_DEVCMD_MODE, .mode = mode, .epoch = epoch});
    device->sensed.mode_ns = device->mode == mode ? device->sensed.mode_ns : 0;
    device->mode = mode;
    device->epoch = epoch;
    core->session.report_wanted = true;
}

/* A halt holds until the next mode is posted: that one runs before it reports its first launch. */
static bool is_halted(const struct agent_device *device) {
    return device->lease.halting && !device->lease.posted;
}

static void halt(struct sl_agent_core *core, const struct agent_device *device) {
    agent_queue(core, SL_AGENT_HALT)->device = device->index;
}

/* Ends the lease (if any) and takes up a mode that needs no directive. Its command carries the
 * highest epoch that was accepted, so that the device drops what belongs to lower ones. */
static void unbind(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                   enum sl_mode mode) {
    bool as_it_is =
        device->mode == mode && !device->leased && !device->lease.halting && !device->units;
    agent_units_close(core, now, device, UINT64_MAX, false);
    if (!as_it_is) {
        if (device->mode != SL_MODE_INVALID && device->mode != mode && !is_halted(device)) {
            halt(core, device);
        }
        if (device->leased) {
            agent_post(core, device->index, &(struct sl_device_cmd){.kind = SL_DEVCMD_DROP});
        }
        post_mode(core, device, mode, device->epoch_asked);
    }
    device->leased = false;
    memset(&device->lease, 0, sizeof device->lease);
}

static void enter_safe(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                       const struct agent_cause *cause) {
    enum sl_mode mode = core->session.safe_mode;
    if (mode == SL_MODE_HASH && core->pool_count == 0) {
        mode = SL_MODE_IDLE; /* nothing to hash for */
    }
    if (device->sensed.unfit || (device->stay_idle && !SL_MUTANT(stay_idle_forgotten))) {
        mode = SL_MODE_IDLE; /* it is not to be trusted with any work, or people stopped it */
    }
    if (cause->kind == DEVC_EXPIRED) {
        agent_log(core, SL_LOG_WARN, "device.expired",
                  "device=%s epoch=%llu not renewed in time, safe mode %s from now on%s",
                  device->info.key, (unsigned long long)device->lease.epoch, sl_mode_name(mode),
                  device->stay_idle ? " (it was told to stay idle)" : "");
    }
    unbind(core, device, now, mode);
    device->safe_until_ns = SL_MUTANT(safe_mode_for_ever)
                                ? AGENT_NEVER
                                : sl_mono_after_ms(now.mono, core->session.safe_mode_max_ms).ns;
}

static void be_ready(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                     const struct agent_cause *cause) {
    device->health[0] = '\0';
    agent_log(core, SL_LOG_INFO, "device.ready", "device=%s hash_rate_hs=%llu models=%u",
              device->info.key, (unsigned long long)device->stats.hash_rate_hs,
              device->stats.model_count);
    agent_pool_post_job(core, now, device, true);
    agent_health_ready(core, device, now);
    enter_safe(core, device, now, cause);
}

static void rest(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                 const struct agent_cause *cause) {
    (void)cause;
    agent_log(core, SL_LOG_WARN, "device.rest",
              "device=%s the broker has been away for the whole time of the safe mode: idle",
              device->info.key);
    unbind(core, device, now, SL_MODE_IDLE);
    device->safe_until_ns = AGENT_NEVER;
}

static void fail(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                 const struct agent_cause *cause) {
    sl_text_copy(device->health, sizeof device->health, cause->text[0] ? cause->text : "failed");
    agent_log(core, SL_LOG_ERROR, "device.failed", "device=%s %s", device->info.key, cause->text);
    agent_units_close(core, now, device, UINT64_MAX, true);
    device->mode = SL_MODE_IDLE;
    device->leased = false;
    memset(&device->lease, 0, sizeof device->lease);
    core->session.report_wanted = true;
}

/* Eight bytes, as ever; a ninth where the device has to stay idle over a restart, too. */
static uint64_t write_epoch(struct sl_agent_core *core, const struct agent_device *device,
                            uint64_t epoch, bool urgent) {
    uint8_t value[AGENT_EPOCH_BYTES_MAX];
    agent_put_le(value, epoch, 8);
    value[8] = 1;
    return agent_journal(core, SL_JOURNAL_EPOCH, device->info.key, strlen(device->info.key), value,
                         device->stay_idle ? 9 : 8, urgent);
}

static void store(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                  const struct agent_cause *cause) {
    bool halting = is_halted(device); /* by an earlier directive */
    device->lease = *cause->lease;
    device->lease.pool = NULL;
    device->lease.halting = halting;
    if (device->mode != device->lease.mode && !halting) {
        device->lease.halting = true;
        halt(core, device);
    }
    device->stay_idle = device->lease.stay_idle;
    device->lease.ticket = write_epoch(
        core, device, SL_MUTANT(epoch_not_stored) ? device->epoch_durable : device->lease.epoch,
        true);
    device->epoch_asked = device->lease.epoch;
    device->epoch_ticket = device->lease.ticket;
    if (SL_MUTANT(epoch_not_durable)) {
        agent_device_step(core, device, now, &(struct agent_cause){.kind = DEVC_DURABLE});
    }
    if (device->lease.mode == SL_MODE_HASH) {
        agent_pool_ask(core, now, device, cause->lease->pool);
    }
}

static void renew(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                  const struct agent_cause *cause) {
    device->lease.expires_ns = cause->lease->expires_ns;
    if (device->stay_idle != cause->lease->stay_idle) { /* an order came or went while it idles */
        device->stay_idle = cause->lease->stay_idle;
        (void)write_epoch(core, device, device->epoch_asked, false);
    }
    if (device->lease.mode == SL_MODE_HASH) {
        agent_pool_ask(core, now, device, cause->lease->pool);
    }
}

static void post(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                 const struct agent_cause *cause) {
    device->lease.durable_ns = cause->at_ns;
    agent_units_close(core, now, device, device->lease.epoch, false);
    post_mode(core, device, device->lease.mode, device->lease.epoch);
    device->lease.posted = true;
    device->leased = true;
    for (struct agent_unit *unit = device->units; unit; unit = unit->next) {
        if (unit->waiting && unit->state == UNIT_WORKING) {
            agent_post(core, device->index,
                       &(struct sl_device_cmd){.kind = SL_DEVCMD_UNIT,
                                               .epoch = unit->epoch,
                                               .unit_id = unit->id,
                                               .unit = unit->waiting});
            unit->waiting = NULL;
        }
    }
    if (core->config.ack_durable) {
        agent_send_ack(core, device, SL_ACK_DURABLE);
    }
}

static void note_halted(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                        const struct agent_cause *cause) {
    (void)core;
    (void)now;
    if (device->lease.halting && !device->lease.halted_ns &&
        cause->at_ns >= device->lease.received_ns) {
        device->lease.halted_ns = cause->at_ns;
    }
}

static void run(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                const struct agent_cause *cause) {
    device->lease.started_ns = cause->at_ns;
    device->lease.running = true;
    device->lease.halting = false;
    agent_units_fence(core, now, device, device->lease.epoch);
    agent_send_ack(core, device, SL_ACK_RUNNING);
    core->session.report_wanted = true;
}

static void fence(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                  const struct agent_cause *cause) {
    (void)cause;
    agent_units_fence(core, now, device, UINT64_MAX);
}

static void stop(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                 const struct agent_cause *cause) {
    (void)cause;
    halt(core, device);
    agent_units_close(core, now, device, UINT64_MAX, false);
    agent_post(core, device->index, &(struct sl_device_cmd){.kind = SL_DEVCMD_QUIT});
    device->mode = SL_MODE_IDLE;
    device->leased = false;
    memset(&device->lease, 0, sizeof device->lease);
}

static const struct edge edges[] = {
    {DEV_PROVING, DEVC_READY, DEV_SAFE, be_ready},
    {DEV_PROVING, DEVC_FAILED, DEV_FAILED, fail},
    {DEV_PROVING, DEVC_SAFE, DEV_PROVING, NULL},
    {DEV_PROVING, DEVC_STOP, DEV_STOPPED, stop},

    {DEV_SAFE, DEVC_FAILED, DEV_FAILED, fail},
    {DEV_SAFE, DEVC_DIRECT, DEV_STORING, store},
    {DEV_SAFE, DEVC_HALTED, DEV_SAFE, NULL},
    {DEV_SAFE, DEVC_STARTED, DEV_SAFE, fence},
    {DEV_SAFE, DEVC_RESTED, DEV_RESTING, rest},
    {DEV_SAFE, DEVC_SAFE, DEV_SAFE, enter_safe},
    {DEV_SAFE, DEVC_STOP, DEV_STOPPED, stop},

    {DEV_RESTING, DEVC_FAILED, DEV_FAILED, fail},
    {DEV_RESTING, DEVC_DIRECT, DEV_STORING, store},
    {DEV_RESTING, DEVC_HALTED, DEV_RESTING, NULL},
    {DEV_RESTING, DEVC_STARTED, DEV_RESTING, fence},
    {DEV_RESTING, DEVC_SAFE, DEV_SAFE, enter_safe},
    {DEV_RESTING, DEVC_STOP, DEV_STOPPED, stop},

    {DEV_STORING, DEVC_FAILED, DEV_FAILED, fail},
    {DEV_STORING, DEVC_DIRECT, DEV_STORING, store},
    {DEV_STORING, DEVC_RENEW, DEV_STORING, renew},
    {DEV_STORING, DEVC_DURABLE, DEV_STARTING, post},
    {DEV_STORING, DEVC_HALTED, DEV_STORING, note_halted},
    {DEV_STORING, DEVC_STARTED, DEV_STORING, NULL}, /* of the mode before, seen late */
    {DEV_STORING, DEVC_EXPIRED, DEV_SAFE, enter_safe},
    {DEV_STORING, DEVC_SAFE, DEV_STORING, NULL},
    {DEV_STORING, DEVC_STOP, DEV_STOPPED, stop},

    {DEV_STARTING, DEVC_FAILED, DEV_FAILED, fail},
    {DEV_STARTING, DEVC_DIRECT, DEV_STORING, store},
    {DEV_STARTING, DEVC_RENEW, DEV_STARTING, renew},
    {DEV_STARTING, DEVC_HALTED, DEV_STARTING, note_halted},
    {DEV_STARTING, DEVC_STARTED, DEV_LEASED, run},
    {DEV_STARTING, DEVC_EXPIRED, DEV_SAFE, enter_safe},
    {DEV_STARTING, DEVC_SAFE, DEV_STARTING, NULL},
    {DEV_STARTING, DEVC_STOP, DEV_STOPPED, stop},

    {DEV_LEASED, DEVC_FAILED, DEV_FAILED, fail},
    {DEV_LEASED, DEVC_DIRECT, DEV_STORING, store},
    {DEV_LEASED, DEVC_RENEW, DEV_LEASED, renew},
    {DEV_LEASED, DEVC_HALTED, DEV_LEASED, NULL},
    {DEV_LEASED, DEVC_STARTED, DEV_LEASED, NULL},
    {DEV_LEASED, DEVC_EXPIRED, DEV_SAFE, enter_safe},
    {DEV_LEASED, DEVC_SAFE, DEV_LEASED, NULL},
    {DEV_LEASED, DEVC_STOP, DEV_STOPPED, stop},

    {DEV_FAILED, DEVC_FAILED, DEV_FAILED, NULL},
    {DEV_FAILED, DEVC_HALTED, DEV_FAILED, NULL},
    {DEV_FAILED, DEVC_STARTED, DEV_FAILED, NULL},
    {DEV_FAILED, DEVC_SAFE, DEV_FAILED, NULL},
    {DEV_FAILED, DEVC_STOP, DEV_STOPPED, stop},

    {DEV_STOPPED, DEVC_READY, DEV_STOPPED, NULL},
    {DEV_STOPPED, DEVC_FAILED, DEV_STOPPED, NULL},
    {DEV_STOPPED, DEVC_HALTED, DEV_STOPPED, NULL},
    {DEV_STOPPED, DEVC_STARTED, DEV_STOPPED, NULL},
    {DEV_STOPPED, DEVC_SAFE, DEV_STOPPED, NULL},
    {DEV_STOPPED, DEVC_STOP, DEV_STOPPED, NULL},
};

static const struct edge *find_edge(enum agent_device_state state, enum agent_device_cause cause) {
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        if (edges[i].from == state && edges[i].cause == cause) {
            return &edges[i];
        }
    }
    return NULL;
}

int agent_device_edge(enum agent_device_state state, enum agent_device_cause cause,
                      enum agent_device_state *ret_next) {
    const struct edge *edge = find_edge(state, cause);
    if (!edge) {
        return -SL_BADSTATE;
    }
    *ret_next = edge->to;
    return SL_OK;
}

const char *agent_device_state_name(enum agent_device_state state) {
    static const char *const names[DEV_STATES] = {"invalid", "proving", "safe",
                                                  "resting", "storing", "starting",
                                                  "leased",  "failed",  "stopped"};
    return (unsigned)state < DEV_STATES ? names[state] : names[0];
}

const char *agent_device_cause_name(enum agent_device_cause cause) {
    static const char *const names[DEVC_COUNT] = {"invalid", "ready",   "failed", "direct",
                                                  "renew",   "durable", "halted", "started",
                                                  "expired", "rested",  "safe",   "stop"};
    return (unsigned)cause < DEVC_COUNT ? names[cause] : names[0];
}

int agent_device_step(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                      const struct agent_cause *cause) {
    const struct edge *edge = find_edge(device->state, cause->kind);
    if (!edge) {
        device->edges_refused++;
        return -SL_BADSTATE;
    }
    device->state = edge->to;
    if (edge->action) {
        edge->action(core, device, now, cause);
    }
    if (edge->from != edge->to) {
        agent_log(core, SL_LOG_DEBUG, "device.state", "device=%s %s->%s on %s", device->info.key,
                  agent_device_state_name(edge->from), agent_device_state_name(edge->to),
                  agent_device_cause_name(cause->kind));
    }
    return SL_OK;
}
