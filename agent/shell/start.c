/* SPDX-License-Identifier: Apache-2.0
 * Opening everything in order, and closing it again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/shell/agent.h"
#include "agent/shell/config_pools.h"
#include "agent/shell/model_watch.h"
#include "proto/base/lock.h"
#include "proto/base/log.h"
#include "proto/base/text.h"
#include "proto/wire/codec.h"

#define EVENTS_MAX 4096
#define DURABLE_MAX 4096
#define ARENA_BYTES (64u << 20)
#define RESOLVER_MAX 128u

/* For the log whole; for the broker's lists as many as there is room for. */
static void note_bad(void *context, const struct sl_model_config *model,
                     const struct sl_error *why) {
    struct sl_agent *agent = context;
    char *text = agent->model_trouble;
    size_t used = strlen(text);
    sl_log(SL_LOG_ERROR, "model.unavailable",
           "model=%s is not offered: %s; put it right and restart the agent", model->id, why->text);
    snprintf(text + used, sizeof agent->model_trouble - used, "%smodel %s is not offered: %s",
             used ? "; " : "", model->id, why->text);
}

static int load_models(struct sl_agent *agent, sl_model_bad_fn bad, struct sl_error *err) {
    struct sl_model_config configs[SL_AGENT_CONFIG_MODELS_MAX] = {0};
    for (uint32_t i = 0; i < agent->options.model_count; i++) {
        const struct sl_agent_model_option *from = &agent->options.models[i];
        sl_text_copy(configs[i].id, sizeof configs[i].id, from->id);
        sl_text_copy(configs[i].path, sizeof configs[i].path, from->path);
        configs[i].max_tokens = (uint32_t)from->max_tokens;
        configs[i].truncate = from->truncate;
        sl_text_copy(configs[i].sha256, sizeof configs[i].sha256, from->sha256);
    }
    int rc = sl_model_set_load_some(configs, agent->options.model_count, bad, agent, &agent->models,
                                    err);
    for (size_t i = 0; rc == SL_OK && i < sl_model_set_count(agent->models); i++) {
        const struct sl_model *m = sl_model_set_at(agent->models, i);
        sl_log(SL_LOG_INFO, "model.loaded", "model=%s sha256=%s tokens=%s mib=%zu", m->id,
               m->sha256, sl_ggml_type_name(m->embed[SL_EMBED_TOKEN].type), m->packed_bytes >> 20);
    }
    return rc;
}

int sl_agent_check_models(struct sl_agent *agent, struct sl_error *err) {
    int rc = load_models(agent, NULL, err);
    sl_model_set_destroy(agent->models);
    agent->models = NULL;
    return rc;
}

int sl_agent_load_models(struct sl_agent *agent, struct sl_error *err) {
    agent->model_trouble[0] = '\0';
    int rc = load_models(agent, note_bad, err);
    if (rc == SL_OK && sl_model_set_count(agent->models) == 0 && agent->options.model_count > 0 &&
        sl_agent_pool_count(&agent->options) == 0) {
        rc = sl_fail(err, SL_INVALID,
                     "no work is possible: there is no pool, and no model can be "
                     "loaded: %s",
                     agent->model_trouble);
    }
    return rc;
}

int sl_agent_open_journal(struct sl_agent *agent, struct sl_error *err) {
    struct sl_journal_config config = {.dir = agent->options.data_dir,
                                       .lock_wait_ms = SL_LOCK_WAIT_MS};
    int rc = sl_journal_open(&config, &agent->journal, err);
    if (rc == SL_OK) {
        struct sl_journal_stats stats;
        sl_journal_get_stats(agent->journal, &stats);
        if (stats.cut_bytes) {
            sl_log(SL_LOG_WARN, "journal.cut",
                   "an incomplete last write (a power failure?) was cut; nothing promised is lost");
        }
    }
    return rc;
}

int sl_agent_open_link(struct sl_agent *agent, struct sl_error *err) {
    struct sl_zmq_client_config config = {.endpoint = agent->options.broker_endpoint,
                                          .keys = agent->keys};
    sl_text_copy(config.server_key, sizeof config.server_key, agent->server_keys.now);
    sl_text_copy(config.next_server_key, sizeof config.next_server_key, agent->server_keys.next);
    return sl_zmq_client_create(&config, &agent->link, err);
}

static int open_loop(struct sl_agent *agent, struct sl_error *err) {
    int rc = uv_loop_init(&agent->loop);
    if (rc) {
        return sl_fail(err, SL_IO, "no event loop: %s", uv_strerror(rc));
    }
    agent->loop_open = true;
    _Static_assert(SL_AGENT_LINKS_MAX >= SL_FAILOVER_URLS_MAX, "an address, a link");
    for (uint32_t i = 0; i < SL_AGENT_POOLS_MAX * SL_AGENT_LINKS_MAX; i++) {
        struct sl_agent_pool_link *pool = &agent->pool_links[i];
        *pool = (struct sl_agent_pool_link){.agent = agent, .index = i};
        sl_pool_link_init(&pool->link, &agent->loop, &sl_agent_pool_ops, pool);
        pool->link.options = &agent->pool_options[i / SL_AGENT_LINKS_MAX];
        pool->link.trust = agent->pool_trust[i / SL_AGENT_LINKS_MAX];
    }
    return sl_agent_loop_init(agent, err);
}

/* libuv resolves names on half of its threads, and a name whose resolver hangs keeps one for long
 * after the attempt was given up: so many that no address of a pool waits for another's. */
static void size_resolver(const struct sl_agent *agent) {
    char text[16];
    uint32_t threads = 4 * sl_agent_address_count(&agent->options);
    snprintf(text, sizeof text, "%u", threads > RESOLVER_MAX ? RESOLVER_MAX : threads);
    if (threads > 0) {
        setenv("UV_THREADPOOL_SIZE", text, 0); /* whoever has set it knows better */
    }
}

/* What is cheap to refuse comes first; the discovery makes the first OpenCL call and changes the
 * environment, so it comes before every thread. */
int sl_agent_start_up(struct sl_agent *agent, struct sl_error *err) {
    struct sl_agent_device_config *devices = calloc(SL_AGENT_DEVICES_MAX, sizeof *devices);
    if (!devices) {
        return sl_fail(err, SL_NOMEM, "no memory for the devices");
    }
    size_resolver(agent);
    int rc = sl_link_keys_read(agent->options.key_file, &agent->keys, err);
    rc = rc ? rc : sl_agent_open_journal(agent, err);
    sl_agent_server_keys_open(agent);
    rc = rc ? rc : sl_agent_load_models(agent, err);
    rc = rc ? rc : sl_agent_find_devices(agent, devices, err);
    rc = rc ? rc : sl_agent_create_core(agent, devices, err);
    rc = rc ? rc : sl_agent_sensors_open(agent, devices, err);
    free(devices);
    rc = rc ? rc
            : sl_mailbox_create(sizeof(struct sl_device_event), EVENTS_MAX, &agent->events, err);
    rc = rc ? rc
            : sl_mailbox_create(sizeof(struct sl_journal_done), DURABLE_MAX, &agent->durable, err);
    rc = rc ? rc : sl_msg_arena_create(ARENA_BYTES, &agent->arena, err);
    rc = rc ? rc : sl_journal_start(agent->journal, agent->durable, true, err);
    rc = rc ? rc : sl_tokenizer_start(agent->models, &agent->tokenizer, err);
    rc = rc ? rc
            : sl_model_watch_start(agent->models, SL_MODEL_WATCH_MS, sl_model_watch_log, NULL,
                                   &agent->model_watch, err);
    rc = rc ? rc : sl_agent_open_link(agent, err);
    rc = rc ? rc : open_loop(agent, err);
    rc = rc ? rc : sl_agent_create_devices(agent, err);
    if (rc == SL_OK) {
        sl_agent_sensors_start(agent);
        sl_agent_start(agent->core, sl_clock_now());
        sl_agent_carry_out(agent);
    }
    return rc;
}

void sl_agent_fini(struct sl_agent *agent) {
    if (agent->events) {
        sl_mailbox_close(agent->events); /* a device that waits for room must not wait for ever */
    }
    for (uint32_t i = 0; i < agent->device_count; i++) {
        sl_device_destroy(agent->devices[i]);
    }
    sl_agent_drop_held(agent);
    sl_tokenizer_destroy(agent->tokenizer);
    sl_model_watch_destroy(agent->model_watch);
    if (agent->durable) {
        sl_mailbox_close(agent->durable);
    }
    sl_journal_close(agent->journal);
    sl_agent_loop_fini(agent);
    sl_telemetry_destroy(agent->telemetry);
    sl_link_destroy(agent->link);
    sl_agent_core_destroy(agent->core);
    struct sl_device_event event;
    while (agent->events && sl_mailbox_take(agent->events, &event)) {
        sl_device_event_fini(&event);
    }
    sl_mailbox_destroy(agent->events);
    sl_mailbox_destroy(agent->durable);
    sl_msg_arena_destroy(agent->arena);
    sl_buf_fini(&agent->bundle);
    sl_discovery_destroy(agent->discovery);
    sl_model_set_destroy(agent->models);
    for (uint32_t i = 0; i < SL_AGENT_POOLS_MAX; i++) {
        sl_pool_trust_destroy(agent->pool_trust[i]);
    }
    explicit_bzero(&agent->pool_options, sizeof agent->pool_options);
    explicit_bzero(&agent->keys, sizeof agent->keys);
}
