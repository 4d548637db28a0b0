/* SPDX-License-Identifier: Apache-2.0
 * What the broker tells a device to do: accepted, renewed, or refused with the reason. */
#include <stdio.h>
#include <string.h>

#include "agent/core/core_internal.h"
#include "proto/base/mutant.h"

/* Longer spans are cut: nobody plans to be away for a day without a word. */
#define TTL_MS_MAX (INT64_C(24) * 3600 * 1000)

static void refuse(struct sl_agent_core *core, const struct sl_msg_directive *directive,
                   const char *why) {
    struct sl_msg msg = {.kind = SL_MSG_ACK};
    sl_text_copy(msg.ack.device, sizeof msg.ack.device, directive->device);
    msg.ack.epoch = directive->epoch;
    msg.ack.outcome = SL_ACK_REFUSED;
    sl_text_copy(msg.ack.text, sizeof msg.ack.text, why);
    agent_send(core, &msg);
    agent_log(core, SL_LOG_WARN, "directive.refused", "device=%s epoch=%llu %s", directive->device,
              (unsigned long long)directive->epoch, why);
}

/* False: acceptable. Else the reason stands in `why`. */
static bool must_refuse(const struct sl_agent_core *core, const struct agent_device *device,
                        const struct sl_msg_directive *directive, char *why, size_t why_size) {
    why[0] = '\0';
    if (device->state == DEV_PROVING) {
        snprintf(why, why_size, "the device is still being tested and measured");
    } else if (device->state == DEV_FAILED) {
        snprintf(why, why_size, "the device has failed: %.200s", device->health);
    } else if (device->state == DEV_STOPPED) {
        snprintf(why, why_size, "the agent is stopping");
    } else if (directive->epoch + SL_MUTANT(directive_obeyed_again) <= device->epoch_asked &&
               !SL_MUTANT(lower_epoch_accepted)) {
        snprintf(why, why_size, "epoch %llu is over: the highest here is %llu, grant a higher one",
                 (unsigned long long)directive->epoch, (unsigned long long)device->epoch_asked);
    } else if (directive->mode == SL_MODE_HASH && core->pool_count == 0) {
        snprintf(why, why_size, "no pool is configured here");
    } else if (directive->mode == SL_MODE_INFER &&
               !agent_device_has_model(device, directive->model)) {
        snprintf(why, why_size, "the model is not offered by this device");
    }
    return why[0] != '\0';
}

static bool same_lease(const struct agent_lease *lease, const struct sl_msg_directive *directive) {
    return lease->mode == directive->mode && strcmp(lease->model, directive->model) == 0;
}

void agent_on_directive(struct sl_agent_core *core, struct sl_now now, struct sl_mono received,
                        const struct sl_msg_directive *directive) {
    struct agent_device *device = agent_device_find(core, directive->device);
    if (!device) {
        refuse(core, directive, "there is no such device here");
        return;
    }
    int64_t ttl_ms = directive->ttl_ms < (uint64_t)TTL_MS_MAX && !SL_MUTANT(lease_never_expires)
                         ? (int64_t)directive->ttl_ms
                         : TTL_MS_MAX;
    struct agent_lease lease = {
        .epoch = directive->epoch,
        .mode = directive->mode,
        .expires_ns = agent_lease_clock(now, sl_mono_after_ms(received, ttl_ms).ns),
        .received_ns = received.ns,
        .pool = directive->pool,
        .stay_idle = directive->stay_idle,
    };
    sl_text_copy(lease.model, sizeof lease.model, directive->model);
    struct agent_cause cause = {.kind = DEVC_RENEW, .lease = &lease};
    if (agent_device_bound(device) && directive->epoch == device->lease.epoch) {
        if (!same_lease(&device->lease, directive)) {
            refuse(core, directive, "the same epoch with another mode or model");
            return;
        }
        agent_device_step(core, device, now, &cause);
        if (!directive->renewal && device->lease.running) {
            agent_send_ack(core, device, SL_ACK_RUNNING); /* its first one may be lost */
        }
        return;
    }
    char why[SL_MSG_TEXT_MAX];
    if (must_refuse(core, device, directive, why, sizeof why)) {
        refuse(core, directive, why);
        return;
    }
    cause.kind = DEVC_DIRECT;
    agent_device_step(core, device, now, &cause);
    /* After the halt and the journal: a log may be slow. */
    agent_log(core, SL_LOG_INFO, "directive", "device=%s epoch=%llu mode=%s ttl_ms=%lld",
              device->info.key, (unsigned long long)lease.epoch, sl_mode_name(lease.mode),
              (long long)ttl_ms);
}

static uint32_t span_us(int64_t from_ns, int64_t to_ns) {
    int64_t us = to_ns ? (to_ns - from_ns) / 1000 : 0;
    return us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void agent_send_ack(struct sl_agent_core *core, const struct agent_device *device,
                    enum sl_ack_outcome outcome) {
    const struct agent_lease *lease = &device->lease;
    struct sl_msg msg = {.kind = SL_MSG_ACK};
    struct sl_msg_ack *ack = &msg.ack;
    sl_text_copy(ack->device, sizeof ack->device, device->info.key);
    ack->epoch = lease->epoch;
    ack->outcome = outcome;
    ack->halted_us = span_us(lease->received_ns, lease->halted_ns);
    ack->durable_us = span_us(lease->received_ns, lease->durable_ns);
    ack->started_us = span_us(lease->received_ns, lease->started_ns);
    ack->received_ns = (uint64_t)lease->received_ns;
    ack->halted_ns = (uint64_t)lease->halted_ns;
    ack->durable_ns = (uint64_t)lease->durable_ns;
    ack->started_ns = (uint64_t)lease->started_ns;
    agent_send(core, &msg);
}
