/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/pool_set.h"

#include <string.h>

#include "agent/core/core_internal.h"
#include "proto/base/mutant.h"

static int check_name(const char *name, struct sl_error *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    size_t n = strlen(name);
    if (n == 0 || n >= SL_MSG_POOL_NAME_MAX || name[strspn(name, allowed)] != '\0') {
        return sl_fail(err, SL_INVALID,
                       "a pool's name has 1 to %d letters, digits, '.', '_' and '-'",
                       SL_MSG_POOL_NAME_MAX - 1);
    }
    return SL_OK;
}

int agent_pools_create(struct sl_agent_core *core, const struct sl_agent_config *config,
                       struct sl_error *err) {
    _Static_assert(SL_AGENT_POOLS_MAX <= SL_MSG_POOLS_MAX, "a report names all of them");
    if (config->pool_count > SL_AGENT_POOLS_MAX) {
        return sl_fail(err, SL_LIMIT, "at most %d pools", SL_AGENT_POOLS_MAX);
    }
    for (uint32_t i = 0; i < config->pool_count; i++) {
        const struct sl_agent_pool_config *from = &config->pools[i];
        struct agent_pool_slot *slot = &core->pools[i];
        int rc = check_name(from->name, err);
        if (rc == SL_OK && agent_pool_find(core, from->name) != SL_AGENT_POOLS_MAX) {
            rc = sl_fail(err, SL_EXISTS, "two pools are called '%s'", from->name);
        }
        rc = rc ? rc : agent_pool_create(from->client, agent_random(core), &slot->client, err);
        if (rc) {
            return rc;
        }
        sl_text_copy(slot->name, sizeof slot->name, from->name);
        slot->suggest_auto = from->suggest_auto;
        core->pool_count = i + 1;
    }
    return SL_OK;
}

void agent_pools_destroy(struct sl_agent_core *core) {
    for (uint32_t i = 0; i < SL_AGENT_POOLS_MAX; i++) {
        agent_pool_destroy(core->pools[i].client);
        sl_job_unref(core->pools[i].job);
    }
}

void agent_pools_begin(struct sl_agent_core *core, struct sl_now now) {
    for (uint32_t i = 0; i < core->pool_count; i++) {
        agent_pool_start(core->pools[i].client, now.mono);
    }
}

void agent_pools_stop(struct sl_agent_core *core, struct sl_now now) {
    for (uint32_t i = 0; i < core->pool_count; i++) {
        agent_pool_stop(core->pools[i].client, now.mono);
    }
    agent_pools_drain(core, now);
}

void agent_pools_timer(struct sl_agent_core *core, struct sl_now now) {
    for (uint32_t i = 0; i < core->pool_count; i++) {
        struct sl_mono when;
        if (agent_pool_deadline(core->pools[i].client, &when) && when.ns <= now.mono.ns) {
            agent_pool_on_timer(core->pools[i].client, now.mono);
        }
    }
}

int64_t agent_pools_deadline(const struct sl_agent_core *core) {
    int64_t first = AGENT_NEVER;
    for (uint32_t i = 0; i < core->pool_count; i++) {
        struct sl_mono when;
        if (agent_pool_deadline(core->pools[i].client, &when) && when.ns < first) {
            first = when.ns;
        }
    }
    return first;
}

uint32_t agent_pool_find(const struct sl_agent_core *core, const char *name) {
    for (uint32_t i = 0; i < core->pool_count; i++) {
        if (strcmp(core->pools[i].name, name) == 0) {
            return i;
        }
    }
    return SL_AGENT_POOLS_MAX;
}

/* ---- which pool, and its job ---- */

static bool has_work(const struct agent_pool_slot *slot, bool or_suspect) {
    return slot->job && (or_suspect || !slot->suspect);
}

static uint32_t pick_among(const struct sl_agent_core *core, const struct agent_device *device,
                           bool or_suspect) {
    if (device->pool_asked && has_work(&core->pools[device->pool_asked - 1], or_suspect)) {
        return device->pool_asked;
    }
    for (uint32_t i = 0; i < core->pool_count; i++) {
        if (has_work(&core->pools[i], or_suspect)) {
            return i + 1;
        }
    }
    return 0;
}

/* Index + 1; 0: no pool has work. One that answers comes before one that does not. */
static uint32_t pick(const struct sl_agent_core *core, const struct agent_device *device) {
    uint32_t found = pick_among(core, device, false);
    return found ? found : pick_among(core, device, true);
}

static void note_span(struct agent_device *device, struct sl_now now) {
    if (device->pool_posted) {
        device->pool_span_ns[device->pool_posted - 1] += now.mono.ns - device->pool_since_ns;
    }
    device->pool_since_ns = now.mono.ns;
}

/* A job's reference count is plain, so every device gets a copy of its own. Devices share the
 * extranonce2 space of each pool by their index; the slots stay as they are while the agent runs.
 */
static void post(struct sl_agent_core *core, struct agent_device *device, uint32_t pool) {
    struct sl_job *copy = NULL;
    struct sl_error err;
    if (pool) {
        struct sl_job draft = *core->pools[pool - 1].job;
        draft.serial = agent_pool_serial(pool - 1, draft.serial);
        if (sl_job_create(&draft, &copy, &err) != SL_OK) {
            agent_log(core, SL_LOG_ERROR, "job.copy", "%s", err.text);
            return;
        }
    }
    agent_post(core, device->index,
               &(struct sl_device_cmd){.kind = SL_DEVCMD_JOB,
                                       .job = copy,
                                       .extranonce2_slot =
                                           SL_MUTANT(extranonce2_shared) ? 0 : device->index,
                                       .extranonce2_slots = core->config.device_count});
}

void agent_pool_post_job(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                         bool again) {
    uint32_t pool = pick(core, device);
    if (device->state == DEV_PROVING || device->state == DEV_FAILED ||
        device->state == DEV_STOPPED || (pool == device->pool_posted && !again)) {
        return;
    }
    if (pool != device->pool_posted) {
        note_span(device, now);
        agent_log(core, SL_LOG_INFO, "device.pool", "device=%s pool=%s asked=%s", device->info.key,
                  pool ? core->pools[pool - 1].name : "-",
                  device->pool_asked ? core->pools[device->pool_asked - 1].name : "-");
        device->pool_posted = pool;
    }
    post(core, device, pool);
}

void agent_pool_ask(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                    const char *name) {
    uint32_t at = name && name[0] ? agent_pool_find(core, name) : SL_AGENT_POOLS_MAX;
    uint32_t asked = at < SL_AGENT_POOLS_MAX ? at + 1 : 0;
    if (name && name[0] && !asked && device->pool_asked) {
        agent_log(core, SL_LOG_WARN, "pool.unknown",
                  "device=%s the broker names the pool '%.31s', which this agent does not have: "
                  "its first one with work is used",
                  device->info.key, name);
    }
    if (asked != device->pool_asked) {
        device->pool_asked = asked;
        agent_pool_post_job(core, now, device, false);
    }
}

/* A device tells its count about once a second: what it did since is the pools' by their time. */
void agent_pool_spent(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                      uint64_t hashes) {
    int64_t total_ns = 0;
    note_span(device, now);
    for (uint32_t i = 0; i < core->pool_count; i++) {
        total_ns += device->pool_span_ns[i];
    }
    for (uint32_t i = 0; i < core->pool_count; i++) {
        int64_t span_ns = device->pool_span_ns[i];
        device->pool_span_ns[i] = 0;
        if (span_ns > 0) {
            core->pools[i].hashes_spent += (uint64_t)((__int128)hashes * span_ns / total_ns);
        }
    }
}

void agent_pool_count(struct agent_pool_slot *slot, struct sl_now now,
                      enum sl_share_outcome outcome, int32_t code, uint64_t work_hashes,
                      int64_t latency_us) {
    bool rejected = outcome == SL_SHARE_REJECTED;
    slot->accepted += outcome == SL_SHARE_ACCEPTED;
    slot->stale += outcome == SL_SHARE_STALE;
    slot->rejected += rejected;
    slot->unknown += outcome == SL_SHARE_UNKNOWN;
    slot->duplicate += rejected && code == 22;
    slot->low += rejected && code == 23;
    slot->unauthorised += rejected && (code == 24 || code == 25);
    slot->work_accepted += outcome == SL_SHARE_ACCEPTED ? work_hashes : 0;
    if (latency_us >= 0) {
        slot->latency_us[slot->latencies++ % AGENT_POOL_LATENCIES] =
            latency_us > UINT32_MAX ? UINT32_MAX : (uint32_t)latency_us;
        slot->answered_ns = now.mono.ns;
    }
}
