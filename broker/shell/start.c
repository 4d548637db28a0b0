/* SPDX-License-Identifier: Apache-2.0
 * Opening everything in order, and the core's memory restored from the store before anybody is let
 * in. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/core/agents.h"
#include "broker/shell/broker.h"
#include "broker/shell/join.h"
#include "broker/shell/restore.h"
#include "proto/base/folder.h"
#include "proto/base/lock.h"
#include "proto/base/log.h"

#define RESERVE_MAX 8192 /* descriptors, a quarter at most, that agents do not get */

/* data_dir itself may belong to somebody else while the store in it is ours. */
static int make_dir(const char *path, bool written, struct sl_error *err) {
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return sl_fail_errno(err, "cannot create %s; check data_dir and its permissions", path);
    }
    return sl_folder_check(path, written, "broker", err);
}

/* Prices are recorded where that is possible; without the others no batch is taken or answered. */
static int make_dirs(struct sl_broker *broker, struct sl_error *err) {
    static const char *const parts[] = {"", "/files", "/lines", "/prices"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s%s", broker->config.data_dir, parts[i]);
        bool written = strcmp(parts[i], "/files") == 0 || strcmp(parts[i], "/lines") == 0;
        int rc = make_dir(path, written, err);
        if (rc) {
            return rc;
        }
    }
    snprintf(broker->store_path, sizeof broker->store_path, "%s/store.db", broker->config.data_dir);
    return SL_OK;
}

static int open_store(struct sl_broker *broker, struct sl_error *err) {
    const struct sl_store_config store = {
        .path = broker->store_path,
        .fatal = sl_broker_on_fatal,
        .fatal_arg = broker,
        .site_key = broker->keys.public_key,
        .adopt = broker->adopt_store,
        .lock_wait_ms = SL_LOCK_WAIT_MS,
    };
    int rc = sl_mailbox_create(sizeof(uint64_t), 65536, &broker->durable, err);
    rc = rc ? rc : sl_mailbox_create(SL_ERROR_TEXT_MAX, 4, &broker->fatal, err);
    rc = rc ? rc : sl_store_open(&store, &broker->store, err);
    rc = rc ? rc : sl_reader_open(broker->store_path, NULL, &broker->reader, err);
    if (rc) {
        return rc;
    }
    struct sl_core_config *core_config = calloc(1, sizeof *core_config);
    if (!core_config) {
        return sl_fail(err, SL_NOMEM, "no memory for the core's configuration");
    }
    sl_broker_config_core(&broker->config, core_config);
    rc = sl_broker_core_create(core_config, &broker->core, err);
    free(core_config);
    SL_AUTO(sl_reader) second = NULL;
    rc = rc ? rc : sl_reader_open(broker->store_path, NULL, &second, err);
    return rc ? rc : sl_broker_restore(broker->core, broker->reader, second, err);
}

/* The rest is for people: 256 places of HTTP, the store, feeds, files, the joining socket; and for
 * those who were let in by the kernel before it was told that there are enough. */
static void limit_connections(struct sl_zmq_server_config *config) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur <= INT32_MAX) {
        uint32_t limit = (uint32_t)files.rlim_cur;
        uint32_t kept = limit / 4 < RESERVE_MAX ? limit / 4 : RESERVE_MAX;
        config->connections_max = limit - kept > 0 ? limit - kept : 1;
        config->backlog = (int)(kept / 2 > 0 ? kept / 2 : 1);
    } else {
        config->connections_max = INT32_MAX;
    }
}

static int open_link(struct sl_broker *broker, struct sl_error *err) {
    struct sl_zmq_server_config config = {
        .endpoint = broker->config.agents_listen,
        .allowed_path = broker->config.allowed_file,
        .hwm = 10000,
        .newest_only = sl_msg_bytes_report,
    };
    config.keys = broker->keys;
    limit_connections(&config);
    struct sl_link_admission admission; /* before anybody can connect: a revoked key stays out */
    sl_broker_core_admission(broker->core, &admission);
    config.admission = &admission;
    int rc = sl_msg_arena_create(SL_MSG_ARENA_BYTES, &broker->arena, err);
    rc = rc ? rc : sl_zmq_server_create(&config, &broker->link, err);
    free((void *)admission.admitted);
    free((void *)admission.refused);
    return rc ? rc : sl_broker_open_join(broker, err);
}

static int open_http(struct sl_broker *broker, struct sl_error *err) {
    char version[SL_POLICY_VERSION_MAX];
    sl_policy_document_version(&broker->config.document, version);
    struct sl_http_config config = {
        .coin_max_ppm = broker->config.document.exposure_coin_max_ppm,
        .tenant_max_ppm = broker->config.document.exposure_tenant_max_ppm,
        .policy_version = version,
        .listen = broker->config.http_listen,
        .port_file = broker->config.http_port_file,
        .data_dir = broker->config.data_dir,
        .store_path = broker->store_path,
        .store = broker->store,
        .log_ring = broker->log_ring,
        .model_count = broker->config.model_count,
        .tenant_count = broker->config.tenant_count,
        .host_count = broker->config.http_host_name[0] ? 1 : 0,
        .hosts = {broker->config.http_host_name},
        .join_endpoint = broker->join_endpoint,
        .agents_endpoint = broker->agents_endpoint,
        .server_key = broker->keys.public_key,
    };
    for (uint32_t i = 0; i < config.model_count; i++) {
        config.models[i] = broker->config.models[i].id;
    }
    for (uint32_t i = 0; i < config.tenant_count; i++) {
        config.tenants[i] = broker->config.tenants[i].id;
    }
    return sl_http_create(&config, &broker->http, err);
}

static int open_decisions(struct sl_broker *broker, struct sl_error *err) {
    char path[400];
    if (!broker->config.log_decisions) {
        return SL_OK;
    }
    snprintf(path, sizeof path, "%s/decisions.jsonl", broker->config.data_dir);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    broker->decisions = fd < 0 ? NULL : fdopen(fd, "a");
    return broker->decisions ? SL_OK : sl_fail_errno(err, "cannot write %s", path);
}

static int start_feeds(struct sl_broker *broker, struct sl_error *err) {
    int rc = sl_mailbox_create(sizeof(struct sl_feed_event), 1024, &broker->feed_events, err);
    for (uint32_t i = 0; rc == SL_OK && i < broker->config.feed_count; i++) {
        struct sl_feed_config feed = broker->config.feeds[i];
        if (broker->config.record_prices) {
            snprintf(feed.record_dir, sizeof feed.record_dir, "%s/prices", broker->config.data_dir);
        }
        rc = sl_feed_start(i, &feed, broker->feed_events, &broker->feeds[i], err);
    }
    return rc;
}

int sl_broker_start(struct sl_broker *broker, struct sl_error *err) {
    if (uv_loop_init(&broker->loop) != 0) {
        return sl_fail(err, SL_IO, "the event loop cannot be started");
    }
    int rc = sl_link_keys_read(broker->config.key_file, &broker->keys, err);
    if (rc == SL_OK && strcmp(broker->config.next_key, broker->keys.public_key) == 0) {
        broker->config.next_key[0] = '\0'; /* it has come */
    }
    rc = rc ? rc : make_dirs(broker, err);
    rc = rc ? rc : open_store(broker, err);
    rc = rc ? rc : open_link(broker, err);
    rc = rc ? rc : open_http(broker, err);
    rc = rc ? rc : open_decisions(broker, err);
    rc = rc ? rc : start_feeds(broker, err);
    rc = rc ? rc : sl_broker_loop_init(broker, err);
    if (rc == SL_OK) {
        sl_log(SL_LOG_INFO, "broker.start", "version=%s agents=%s joining=%s http=%s store=%s",
               SLUICE_VERSION, sl_zmq_server_endpoint(broker->link),
               broker->join ? sl_join_server_endpoint(broker->join) : "off",
               sl_http_url(broker->http), broker->store_path);
    }
    return rc;
}

static void close_handle(uv_handle_t *handle, void *arg) {
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void sl_broker_fini(struct sl_broker *broker) {
    /* Nobody may ask any more; then what was decided becomes durable; then all is closed. */
    sl_http_destroy(broker->http);
    for (uint32_t i = 0; i < SL_CORE_FEEDS_MAX; i++) {
        sl_feed_stop(broker->feeds[i]);
    }
    uv_walk(&broker->loop, close_handle, NULL);
    uv_run(&broker->loop, UV_RUN_DEFAULT); /* lets jobs on worker threads end */
    sl_broker_carry_out_rest(broker);      /* their log lines: the timer is gone */
    sl_broker_work_drop(broker);
    if (broker->decisions) {
        fclose(broker->decisions);
    }
    sl_store_close(broker->store);
    sl_reader_close(broker->reader);
    sl_join_server_destroy(broker->join);
    sl_link_destroy(broker->link);
    sl_broker_core_destroy(broker->core);
    for (size_t i = 0; i < SL_BROKER_SPOOLS_MAX; i++) {
        sl_spool_close(broker->spools[i].spool);
    }
    sl_msg_arena_destroy(broker->arena);
    sl_buf_fini(&broker->outgoing);
    sl_buf_fini(&broker->bundle);
    sl_mailbox_destroy(broker->durable);
    sl_mailbox_destroy(broker->feed_events);
    sl_mailbox_destroy(broker->fatal);
    uv_loop_close(&broker->loop);
}
