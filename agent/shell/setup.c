/* SPDX-License-Identifier: Apache-2.0
 * The core from the configuration and the journal. Apart from start.c, since the Stratum client's
 * header and the wire's have a name in common. */
#include <string.h>
#include <sys/random.h>

#include "agent/shell/agent.h"
#include "agent/stratum/failover.h"
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

/* The pool's state machine gets its part of the configuration, its connections theirs. */
static int open_pool(struct sl_agent *agent, struct sl_failover_config *ret_config,
                     struct sl_error *err) {
    bool tls = false;
    int rc = sl_pool_options_client(&agent->options.pool, "pool", ret_config, err);
    rc = rc ? rc : sl_pool_options_link(&agent->options.pool, "pool", &agent->pool_options, err);
    for (uint32_t i = 0; rc == SL_OK && i < ret_config->url_count; i++) {
        tls = tls || ret_config->urls[i].tls;
    }
    if (rc == SL_OK && tls) {
        rc = sl_pool_trust_create(&agent->pool_options.pins, agent->pool_options.ca_file,
                                  &agent->pool_trust, err);
    }
    return rc;
}

int sl_agent_create_core(struct sl_agent *agent, const struct sl_agent_device_config *devices,
                         struct sl_error *err) {
    struct sl_agent_model models[SL_AGENT_MODELS_MAX] = {0};
    struct sl_failover_config pool;
    struct sl_agent_config config = {
        .version = SLUICE_VERSION,
        .safe_mode = agent->options.safe_mode ? SL_MODE_HASH : SL_MODE_IDLE,
        .safe_mode_max_ms = agent->options.safe_mode_max_ms,
        .canary_ms = agent->options.canary_ms,
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
    int rc = SL_OK;
    if (agent->options.pool.url[0]) {
        rc = open_pool(agent, &pool, err);
        config.pool = &pool;
    }
    rc = rc ? rc : sl_agent_core_create(&config, &agent->core, err);
    explicit_bzero(&pool, sizeof pool);
    struct replay replay = {.agent = agent, .now = sl_clock_now()};
    rc = rc ? rc : sl_journal_replay(agent->journal, replay_record, &replay, err);
    return rc;
}
