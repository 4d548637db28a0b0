/* SPDX-License-Identifier: Apache-2.0
 * Life of the core: creation, replay of the journal, start, messages, time, stop. */
#include "agent/core/core.h"

#include <stdlib.h>
#include <string.h>

#include "agent/core/core_internal.h"
#include "agent/core/records.h"
#include "proto/base/mutant.h"

#define ARENA_BYTES (64u << 20)
#define ANSWERS_MS 1000 /* stopping: for shares that the pool has not answered */
#define STOP_MS 3000
#define STARTS_MAX (UINT64_C(1) << 30)

static int check_config(const struct sl_agent_config *config, struct sl_error *err) {
    if (config->device_count > SL_AGENT_DEVICES_MAX || config->model_count > SL_AGENT_MODELS_MAX) {
        return sl_fail(err, SL_LIMIT, "at most %d devices and %d models", SL_AGENT_DEVICES_MAX,
                       SL_AGENT_MODELS_MAX);
    }
    if (!config->node[0] ||
        (config->safe_mode != SL_MODE_HASH && config->safe_mode != SL_MODE_IDLE)) {
        return sl_fail(err, SL_INVALID, "a node needs a name, and a safe mode of hash or idle");
    }
    for (uint32_t i = 0; i < config->device_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(config->devices[i].info.key, config->devices[j].info.key) == 0) {
                return sl_fail(err, SL_EXISTS, "two devices with the identity %s",
                               config->devices[i].info.key);
            }
        }
    }
    return SL_OK;
}

static void copy_config(struct sl_agent_core *core, const struct sl_agent_config *config) {
    core->config = *config;
    for (uint32_t i = 0; i < config->model_count; i++) {
        core->models[i] = config->models[i];
    }
    for (uint32_t i = 0; i < config->device_count; i++) {
        struct agent_device *device = &core->devices[i];
        device->index = i;
        device->state = DEV_PROVING;
        device->info = config->devices[i].info;
        memcpy(device->rated_mw, config->devices[i].rated_mw, sizeof device->rated_mw);
        sl_text_copy(device->health, sizeof device->health, "self-test and measurement under way");
        device->safe_until_ns = AGENT_NEVER;
    }
    core->config.models = NULL;
    core->config.devices = NULL;
    core->config.pools = NULL;
    core->session.safe_mode = config->safe_mode;
    core->session.safe_mode_max_ms = config->safe_mode_max_ms;
    core->session.state = SESSION_BOOTING;
    core->random = config->seed;
}

int sl_agent_core_create(const struct sl_agent_config *config, struct sl_agent_core **ret_core,
                         struct sl_error *err) {
    int rc = check_config(config, err);
    if (rc) {
        return rc;
    }
    SL_AUTO(sl_agent_core) core = calloc(1, sizeof *core);
    if (!core) {
        return sl_fail(err, SL_NOMEM, "no memory for the agent");
    }
    core->devices = calloc(config->device_count + 1, sizeof *core->devices);
    core->inventory = calloc(config->device_count + 1, sizeof *core->inventory);
    if (!core->devices || !core->inventory) {
        return sl_fail(err, SL_NOMEM, "no memory for the agent");
    }
    copy_config(core, config);
    rc = sl_msg_arena_create(ARENA_BYTES, &core->arena, err);
    rc = rc ? rc : agent_pools_create(core, config, err);
    if (rc) {
        return rc;
    }
    *ret_core = sl_take(&core);
    return SL_OK;
}

void sl_agent_core_destroy(struct sl_agent_core *core) {
    if (!core) {
        return;
    }
    for (uint32_t i = 0; core->devices && i < core->config.device_count; i++) {
        agent_units_free(&core->devices[i]);
    }
    agent_results_free(&core->results);
    agent_shares_free(&core->shares);
    agent_outbox_free(&core->outbox);
    agent_pools_destroy(core);
    sl_msg_arena_destroy(core->arena);
    sl_buf_fini(&core->encoded);
    free(core->inventory);
    free(core->devices);
    free(core);
}

/* splitmix64 (Steele, Lea, Flood 2014): enough for jitter. */
uint64_t agent_random(struct sl_agent_core *core) {
    uint64_t z = core->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t agent_journal_id(struct sl_agent_core *core, enum sl_journal_space space, uint64_t id,
                          const void *value, size_t value_size, bool urgent) {
    uint8_t key[8];
    agent_put_le(key, id, 8);
    return agent_journal(core, space, key, sizeof key, value, value_size, urgent);
}

/* ---- replay and start ---- */

static bool key_is(const void *key, size_t key_size, const char *want) {
    return key_size == strlen(want) && memcmp(key, want, key_size) == 0;
}

static int replay_node(struct sl_agent_core *core, const void *key, size_t key_size,
                       const uint8_t *value, size_t value_size, struct sl_error *err) {
    if (key_is(key, key_size, AGENT_KEY_NAME)) {
        if (value_size != strlen(core->config.node) ||
            memcmp(value, core->config.node, value_size) != 0) {
            return sl_fail(err, SL_DENIED,
                           "the data directory belongs to node \"%.*s\", not to \"%s\": set its "
                           "name again, or use another data_dir (a new node needs one of its own)",
                           (int)(value_size < 64 ? value_size : 64), (const char *)value,
                           core->config.node);
        }
        core->node_known = true;
    } else if (key_is(key, key_size, AGENT_KEY_STARTS) && value_size == 8) {
        core->starts = agent_get_le(value, 8);
    } else if (key_is(key, key_size, AGENT_KEY_SAFE) && value_size == AGENT_SAFE_BYTES &&
               (value[0] == SL_MODE_IDLE || value[0] == SL_MODE_HASH)) {
        core->session.safe_mode = (enum sl_mode)value[0];
        core->session.safe_mode_max_ms =
            (int64_t)(agent_get_le(value + 1, 8) & (uint64_t)INT64_MAX);
    } else {
        return sl_fail(err, SL_CORRUPT, "the journal holds a node record that we never wrote");
    }
    return SL_OK;
}

static int replay_epoch(struct sl_agent_core *core, const void *key, size_t key_size,
                        const uint8_t *value, size_t value_size, struct sl_error *err) {
    char name[SL_JOURNAL_KEY_MAX + 1] = {0};
    if (value_size < 8 || value_size > AGENT_EPOCH_BYTES_MAX || key_size > SL_JOURNAL_KEY_MAX) {
        return sl_fail(err, SL_CORRUPT, "the journal holds an epoch that we never wrote");
    }
    memcpy(name, key, key_size);
    struct agent_device *device = agent_device_find(core, name);
    if (device) { /* else it is not in the machine today; the journal keeps it */
        device->epoch_durable = agent_get_le(value, 8);
        device->epoch_asked = device->epoch_durable;
        device->stay_idle = value_size == AGENT_EPOCH_BYTES_MAX && value[8] != 0;
    }
    return SL_OK;
}

int sl_agent_replay(struct sl_agent_core *core, struct sl_now now, enum sl_journal_space space,
                    const void *key, size_t key_size, const void *value, size_t value_size,
                    struct sl_error *err) {
    sl_assert(!core->started);
    bool by_id = space == SL_JOURNAL_RESULT || space == SL_JOURNAL_SHARE;
    if (by_id && key_size != 8) {
        return sl_fail(err, SL_CORRUPT, "the journal holds a key that we never wrote");
    }
    uint64_t id = by_id ? agent_get_le(key, 8) : 0;
    switch (space) {
    case SL_JOURNAL_NODE:
        return replay_node(core, key, key_size, value, value_size, err);
    case SL_JOURNAL_EPOCH:
        return replay_epoch(core, key, key_size, value, value_size, err);
    case SL_JOURNAL_RESULT:
        return agent_result_replay(core, id, value, value_size, err);
    case SL_JOURNAL_SHARE:
        return agent_share_replay(core, now, id, value, value_size, err);
    case SL_JOURNAL_INVALID:
    case SL_JOURNAL_SPACE_COUNT:
        break;
    }
    return sl_fail(err, SL_CORRUPT, "the journal holds a record that we never wrote");
}

void sl_agent_start(struct sl_agent_core *core, struct sl_now now) {
    core->started = true;
    core->starts = (core->starts + !SL_MUTANT(ids_used_again)) % STARTS_MAX;
    /* Ids carry the number of this start, so none is ever used twice, whatever was lost. */
    core->results.next_id = core->starts << 32 | 1;
    core->shares.next_id = core->starts << 32 | 1;
    if (!core->node_known) {
        agent_journal(core, SL_JOURNAL_NODE, AGENT_KEY_NAME, strlen(AGENT_KEY_NAME),
                      core->config.node, strlen(core->config.node), false);
    }
    uint8_t value[8];
    agent_put_le(value, core->starts, 8);
    core->boot_ticket = agent_journal(core, SL_JOURNAL_NODE, AGENT_KEY_STARTS,
                                      strlen(AGENT_KEY_STARTS), value, sizeof value, true);
    unsigned long long shares = core->shares.open.count + core->shares.settled.count;
    agent_log(core, SL_LOG_INFO, "agent.start",
              "node=%s devices=%u models=%u results_spooled=%llu shares_spooled=%llu",
              core->config.node, core->config.device_count, core->config.model_count,
              (unsigned long long)core->results.count, shares);
    agent_shares_start(core, now);
    agent_pools_begin(core, now);
    agent_settle(core, now);
}

/* ---- events ---- */

void sl_agent_message(struct sl_agent_core *core, struct sl_now now, struct sl_mono received,
                      const struct sl_msg *msg) {
    bool ours = msg->session == core->session.id && core->session.id != 0;
    if (ours) {
        core->session.heard_ns = now.mono.ns;
    }
    switch (msg->kind) {
    case SL_MSG_WELCOME:
        core->session.wire = msg->version;
        agent_on_welcome(core, now, msg);
        break;
    case SL_MSG_GOODBYE:
        /* Without a session it answers a hello. */
        if (ours || msg->session == 0) {
            core->session.wire = msg->version;
            agent_on_goodbye(core, now, &msg->goodbye);
        }
        break;
    case SL_MSG_DIRECTIVE:
        if (ours) {
            agent_on_directive(core, now, received, &msg->directive);
        }
        break;
    case SL_MSG_UNIT:
        if (ours) {
            agent_on_unit(core, now, &msg->unit);
        }
        break;
    case SL_MSG_RESULT_ACK:
        if (ours) {
            agent_results_acked(core, now, msg->result_ack.results, msg->result_ack.result_count);
            agent_shares_acked(core, msg->result_ack.shares, msg->result_ack.share_count);
        }
        break;
    case SL_MSG_DRAIN:
        if (ours) {
            agent_on_drain(core, now, &msg->drain);
        }
        break;
    case SL_MSG_ROTATE:
        if (ours) {
            agent_on_rotate(core, &msg->rotate);
        }
        break;
    case SL_MSG_ROTATE_KEY:
    case SL_MSG_INVALID:
    case SL_MSG_HELLO:
    case SL_MSG_REPORT:
    case SL_MSG_ACK:
    case SL_MSG_RESULT:
    case SL_MSG_SHARES:
        agent_log(core, SL_LOG_WARN, "message.odd", "kind=%s is not for an agent",
                  sl_msg_kind_name(msg->kind));
        break;
    }
    agent_settle(core, now);
}

void sl_agent_durable(struct sl_agent_core *core, struct sl_now now, uint64_t ticket,
                      struct sl_mono at) {
    if (ticket > core->durable) {
        core->durable = ticket;
    }
    agent_devices_durable(core, now, at);
    agent_shares_durable(core, now);
    if (core->session.state == SESSION_BOOTING && core->started &&
        core->durable >= core->boot_ticket) {
        agent_session_begin(core, now);
    }
    agent_settle(core, now);
}

void sl_agent_timer(struct sl_agent_core *core, struct sl_now now) {
    agent_devices_timer(core, now);
    agent_units_timer(core, now);
    agent_session_timer(core, now);
    if (core->results.resend_ns && now.mono.ns >= core->results.resend_ns) {
        agent_results_pump(core, now);
    }
    agent_shares_timer(core, now);
    agent_pools_timer(core, now);
    agent_settle(core, now);
}

struct sl_mono sl_agent_deadline(const struct sl_agent_core *core) {
    const int64_t all[] = {
        agent_devices_deadline(core),
        agent_units_deadline(core),
        agent_session_deadline(core),
        agent_results_deadline(core),
        agent_shares_deadline(core),
        agent_pools_deadline(core),
        core->stopping && !core->pool_stopped ? core->answers_by_ns : AGENT_NEVER,
        core->stopping ? core->stop_by_ns : AGENT_NEVER,
    };
    struct sl_mono when = {AGENT_NEVER};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        when.ns = all[i] < when.ns ? all[i] : when.ns;
    }
    return when;
}

/* ---- stop ---- */

static void leave(struct sl_agent_core *core, int code, const char *reason) {
    struct sl_msg msg = {.kind = SL_MSG_GOODBYE};
    sl_text_copy(msg.goodbye.reason, sizeof msg.goodbye.reason, reason);
    msg.goodbye.retry = true;
    if (agent_live(core)) {
        agent_send(core, &msg);
    }
    core->session.state = SESSION_STOPPED;
    struct sl_agent_cmd *cmd = agent_queue(core, SL_AGENT_EXIT);
    cmd->code = code;
    sl_text_copy(cmd->text, sizeof cmd->text, reason);
}

void sl_agent_stop(struct sl_agent_core *core, struct sl_now now, int code, const char *reason) {
    if (!core->stopping) {
        core->stopping = true;
        core->answers_by_ns = sl_mono_after_ms(now.mono, ANSWERS_MS).ns;
        core->stop_by_ns = sl_mono_after_ms(now.mono, STOP_MS).ns;
        agent_log(core, code ? SL_LOG_ERROR : SL_LOG_INFO, "agent.stop", "%s", reason);
        agent_devices_stop(core, now);
    }
    if (code && !core->outbox.ended) {
        leave(core, code, reason);
    }
    agent_settle(core, now);
}

static bool units_open(const struct sl_agent_core *core) {
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        if (core->devices[i].units) {
            return true;
        }
    }
    return false;
}

static void advance_stop(struct sl_agent_core *core, struct sl_now now) {
    bool late = now.mono.ns >= core->stop_by_ns;
    bool answered = core->shares.open.count == 0 || now.mono.ns >= core->answers_by_ns;
    if (!core->pool_stopped && (answered || late)) {
        core->pool_stopped = true;
        agent_pools_stop(core, now);
    }
    bool stored = core->durable >= core->ticket && core->shares.open.count == 0;
    if (core->pool_stopped && ((stored && !units_open(core)) || late)) {
        leave(core, 0, "the agent was told to stop");
    }
}

void agent_settle(struct sl_agent_core *core, struct sl_now now) {
    agent_pools_drain(core, now);
    if (core->stopping && !core->outbox.ended) {
        advance_stop(core, now);
    }
    agent_report_flush(core, now);
}

void sl_agent_get(const struct sl_agent_core *core, struct sl_agent_view *ret_view) {
    *ret_view = (struct sl_agent_view){
        .live = agent_live(core),
        .session = core->session.id,
        .results_spooled = core->results.count,
        .shares_open = core->shares.open.count + core->shares.settled.count,
    };
}
