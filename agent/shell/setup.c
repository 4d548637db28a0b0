/* SPDX-License-Identifier: Apache-2.0
 * The core from the configuration and the journal. Apart from start.c, since the Stratum client's
 * header and the wire's have a name in common. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent/shell/agent.h"
#include "agent/shell/config_pools.h"
#include "agent/stratum/failover.h"
#include "proto/base/folder.h"
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

/* What the core needs of its pools while it is created; holds passwords, so it is wiped. */
struct pools {
    struct sl_agent_pool_config list[SL_AGENT_POOLS_MAX];
    struct sl_failover_config clients[SL_AGENT_POOLS_MAX];
    char users[SL_AGENT_POOLS_MAX][SL_AGENT_DEVICES_MAX][SL_POOL_USER_MAX];
    const char *workers[SL_AGENT_POOLS_MAX][SL_AGENT_DEVICES_MAX];
};

/* A pool's state machine gets its part of the configuration, its connections theirs. */
static int open_links(struct sl_agent *agent, uint32_t at, const struct sl_pool_options *options,
                      const char *section, struct sl_failover_config *config,
                      struct sl_error *err) {
    bool tls = false;
    int rc = sl_pool_options_client(options, section, config, err);
    rc = rc ? rc : sl_pool_options_link(options, section, &agent->pool_options[at], err);
    for (uint32_t i = 0; rc == SL_OK && i < config->url_count; i++) {
        tls = tls || config->urls[i].tls;
    }
    if (rc == SL_OK && tls) {
        rc = sl_pool_trust_create(&agent->pool_options[at].pins, agent->pool_options[at].ca_file,
                                  &agent->pool_trust[at], err);
        rc = rc ? sl_wrap(err, "%s", section) : SL_OK;
    }
    return rc;
}

uint32_t sl_agent_check_files(struct sl_agent *agent, sl_agent_bad_fn bad, void *context) {
    struct sl_error err;
    uint32_t count = 0;
    if (sl_folder_check(agent->options.data_dir, true, "agent", &err)) {
        (void)sl_wrap(&err, "data_dir");
        bad(context, &err);
        count++;
    }
    if (sl_link_connect_check(agent->options.broker_endpoint, &err)) {
        (void)sl_wrap(&err, "broker.endpoint");
        bad(context, &err);
        count++;
    }
    if (sl_link_keys_read(agent->options.key_file, &agent->keys, &err)) {
        (void)sl_wrap(&err, "broker.key_file");
        bad(context, &err);
        count++;
    }
    explicit_bzero(&agent->keys, sizeof agent->keys);
    for (uint32_t i = 0; i < sl_agent_pool_count(&agent->options); i++) {
        struct sl_failover_config client;
        const char *name = NULL;
        char section[16];
        const struct sl_pool_options *options =
            sl_agent_pool_at(&agent->options, i, &name, section);
        if (open_links(agent, i, options, section, &client, &err)) {
            bad(context, &err);
            count++;
        }
        explicit_bzero(&client, sizeof client); /* with its password */
        sl_pool_trust_destroy(sl_take(&agent->pool_trust[i]));
    }
    explicit_bzero(&agent->pool_options, sizeof agent->pool_options);
    return count;
}

/* One worker for all devices, or one for each. */
static int name_workers(struct sl_agent *agent, struct pools *pools, uint32_t at, const char *user,
                        const char *name, const struct sl_agent_device_config *devices,
                        struct sl_error *err) {
    struct sl_stratum_config *client = &pools->clients[at].client;
    bool each = sl_pool_user_by_device(user);
    uint32_t count = each ? agent->device_count : 1;
    for (uint32_t i = 0; i < count; i++) {
        char device[40] = "";
        if (each) {
            sl_pool_device_id(agent->options.node, devices[i].info.key, device, sizeof device);
        }
        int rc =
            sl_pool_user_expand(user, agent->options.node, device, name, pools->users[at][i], err);
        if (rc) {
            return rc;
        }
        pools->workers[at][i] = pools->users[at][i];
    }
    sl_text_copy(client->user, sizeof client->user, count ? pools->users[at][0] : user);
    client->workers = pools->workers[at];
    client->worker_count = each ? count : 0;
    return SL_OK;
}

static int open_pools(struct sl_agent *agent, const struct sl_agent_device_config *devices,
                      struct pools *pools, struct sl_agent_config *config, struct sl_error *err) {
    int rc = SL_OK;
    config->pools = pools->list;
    config->pool_count = sl_agent_pool_count(&agent->options);
    for (uint32_t i = 0; i < config->pool_count && rc == SL_OK; i++) {
        const char *name = NULL;
        char section[16];
        const struct sl_pool_options *options =
            sl_agent_pool_at(&agent->options, i, &name, section);
        rc = open_links(agent, i, options, section, &pools->clients[i], err);
        if (rc == SL_OK && name_workers(agent, pools, i, options->user, name, devices, err)) {
            rc = sl_wrap(err, "%s.user", section);
        }
        pools->list[i] = (struct sl_agent_pool_config){
            .name = name,
            .client = &pools->clients[i],
            .suggest_auto = sl_pool_options_auto(options),
        };
    }
    return rc;
}

int sl_agent_create_core(struct sl_agent *agent, const struct sl_agent_device_config *devices,
                         struct sl_error *err) {
    struct sl_agent_model models[SL_AGENT_MODELS_MAX] = {0};
    struct pools *pools = calloc(1, sizeof *pools);
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
    sl_text_copy(config.note, sizeof config.note, agent->model_trouble);
    sl_text_copy(config.next_server_key, sizeof config.next_server_key, agent->server_keys.next);
    if (getrandom(&config.boot_id, sizeof config.boot_id, 0) != sizeof config.boot_id ||
        getrandom(&config.seed, sizeof config.seed, 0) != sizeof config.seed) {
        free(pools);
        return sl_fail(err, SL_IO, "the system gives no random numbers");
    }
    for (size_t i = 0; i < sl_model_set_count(agent->models); i++) {
        const struct sl_model *from = sl_model_set_at(agent->models, i);
        struct sl_agent_model *to = &models[config.model_count++];
        sl_text_copy(to->id, sizeof to->id, from->id);
        to->max_tokens = from->max_tokens;
        to->truncate = from->truncate;
        to->width = from->bert->config.n_embd;
        int bad = sodium_hex2bin(to->sha256, sizeof to->sha256, from->sha256, strlen(from->sha256),
                                 NULL, NULL, NULL);
        sl_assert(bad == 0);
    }
    int rc = pools ? open_pools(agent, devices, pools, &config, err)
                   : sl_fail(err, SL_NOMEM, "no memory for the pools");
    rc = rc ? rc : sl_agent_core_create(&config, &agent->core, err);
    if (pools) {
        explicit_bzero(pools, sizeof *pools);
    }
    free(pools);
    struct replay replay = {.agent = agent, .now = sl_clock_now()};
    rc = rc ? rc : sl_journal_replay(agent->journal, replay_record, &replay, err);
    return rc;
}
