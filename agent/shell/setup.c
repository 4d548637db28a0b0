/* SPDX-License-Identifier: Apache-2.0
 * The core from the configuration and the journal. Apart from start.c, since the Stratum client's
 * header and the wire's have a name in common. */
#include <sys/random.h>

#include "agent/shell/agent.h"
#include "agent/stratum/client.h"
#include "proto/base/text.h"

struct replay {
    struct sl_agent *agent;
    struct sl_now now;
};

static int replay_record(void *context, enum sl_journal_space space, const void *key,
                         size_t key_size, const void *value, size_t value_size,
                         struct sl_error *err) {
    struct replay *replay = context;
    return sl_agent_replay(replay->agent->core, replay->now, space, key, key_size, value,
                           value_size, err);
}

int sl_agent_create_core(struct sl_agent *agent, const struct sl_agent_device_config *devices,
                         struct sl_error *err) {
    struct sl_agent_model models[SL_AGENT_MODELS_MAX] = {0};
    struct sl_stratum_config pool;
    struct sl_agent_pool_config pools = {
        .name = "default", .url = agent->options.pool_url, .client = &pool};
    struct sl_agent_config config = {
        .version = SLUICE_VERSION,
        .safe_mode = agent->options.safe_mode ? SL_MODE_HASH : SL_MODE_IDLE,
        .safe_mode_max_ms = agent->options.safe_mode_max_ms,
        .ack_durable = agent->options.step_times,
        .device_count = agent->device_count,
        .devices = devices,
        .models = models,
    };
    sl_text_copy(config.node, sizeof config.node, agent->options.node);
    if (getrandom(&config.boot_id, sizeof config.boot_id, 0) != sizeof config.boot_id ||
        getrandom(&config.seed, sizeof config.seed, 0) != sizeof config.seed) {
        return sl_fail(err, SL_IO, "the system gives no random numbers");
    }
    for (size_t i = 0; i < sl_model_set_count(agent->models); i++) {
        const struct sl_model *from = sl_model_set_at(agent->models, i);
        struct sl_agent_model *to = &models[config.model_count++];
        sl_text_copy(to->id, sizeof to->id, from->id);
        to->max_tokens = from->max_tokens;
        to->truncate = from->truncate;
    }
    if (agent->options.pool_url[0]) {
        int rc = sl_agent_options_pool(&agent->options, &pool, err);
        if (rc) {
            return rc;
        }
        config.pools = &pools;
        config.pool_count = 1;
    }
    int rc = sl_agent_core_create(&config, &agent->core, err);
    struct replay replay = {.agent = agent, .now = sl_clock_now()};
    rc = rc ? rc : sl_journal_replay(agent->journal, replay_record, &replay, err);
    return rc;
}
