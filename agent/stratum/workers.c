/* SPDX-License-Identifier: Apache-2.0
 * Several workers on one connection: Stratum V1 allows mining.authorize more than once, and a
 * submit names its worker. A pool that does not know one of them is no reason to hash for nobody:
 * its shares go under the first. */
#include <stdlib.h>
#include <string.h>

#include "agent/stratum/client_internal.h"

int sl_stratum_workers_create(struct sl_stratum *client, const struct sl_stratum_config *config,
                              struct sl_error *err) {
    if (config->worker_count > SL_STRATUM_WORKERS_MAX) {
        return sl_fail(err, SL_LIMIT, "at most %d workers on one connection",
                       SL_STRATUM_WORKERS_MAX);
    }
    client->config.workers = NULL;
    client->config.worker_count = 0;
    if (config->worker_count == 0) {
        return SL_OK;
    }
    client->workers = calloc(config->worker_count, sizeof *client->workers);
    if (!client->workers) {
        return sl_fail(err, SL_NOMEM, "no memory for the workers of a pool");
    }
    client->config.worker_count = config->worker_count;
    for (uint32_t i = 0; i < config->worker_count; i++) {
        const char *user = config->workers[i];
        if (!user[0] || strlen(user) > SL_STRATUM_USER_MAX || !sl_utf8_valid(user, strlen(user))) {
            return sl_fail(err, SL_INVALID, "worker %u of the pool has no usable name", i);
        }
        client->workers[i].authorize_id = -1;
        client->workers[i].user = strdup(user);
        if (!client->workers[i].user) {
            return sl_fail(err, SL_NOMEM, "no memory for the workers of a pool");
        }
    }
    return SL_OK;
}

void sl_stratum_workers_free(struct sl_stratum *client) {
    for (uint32_t i = 0; client->workers && i < client->config.worker_count; i++) {
        free(client->workers[i].user);
    }
    free(client->workers);
    client->workers = NULL;
}

void sl_stratum_workers_authorize(struct sl_stratum *client) {
    for (uint32_t i = 0; i < client->config.worker_count; i++) {
        struct sl_stratum_worker *worker = &client->workers[i];
        /* Two devices may be called the same: the pool hears of it once. */
        worker->known = strcmp(worker->user, client->config.user) == 0;
        worker->authorize_id = -1;
        if (!worker->known) {
            worker->authorize_id =
                sl_stratum_request(client, "mining.authorize",
                                   json_pack("[s,s]", worker->user, client->config.password));
        }
    }
}

bool sl_stratum_worker_answered(struct sl_stratum *client, const struct sl_message *message) {
    int64_t id = sl_message_id(message);
    for (uint32_t i = 0; id >= 0 && i < client->config.worker_count; i++) {
        struct sl_stratum_worker *worker = &client->workers[i];
        if (worker->authorize_id != id) {
            continue;
        }
        worker->authorize_id = -1;
        worker->known = sl_message_is_yes(message);
        if (!worker->known) {
            sl_stratum_queue_chatter(
                client, SL_LOG_WARN,
                "the pool refuses the worker %.80s (%.60s): its shares go under %.80s",
                worker->user, message->error.present ? message->error.text : "no reason given",
                client->config.user);
        }
        return true;
    }
    return false;
}

uint32_t sl_stratum_worker_for(const struct sl_stratum *client, uint32_t wanted) {
    return wanted < client->config.worker_count && client->workers[wanted].known ? wanted
                                                                                 : UINT32_MAX;
}

const char *sl_stratum_worker_user(const struct sl_stratum *client, uint32_t worker) {
    return worker < client->config.worker_count ? client->workers[worker].user
                                                : client->config.user;
}

bool sl_stratum_worker_refused(struct sl_stratum *client, uint32_t worker) {
    if (worker >= client->config.worker_count ||
        strcmp(client->workers[worker].user, client->config.user) == 0) {
        return false;
    }
    client->workers[worker].known = false;
    sl_stratum_queue_chatter(client, SL_LOG_WARN,
                             "the pool refuses shares of the worker %.80s: they go under %.80s",
                             client->workers[worker].user, client->config.user);
    return true;
}
