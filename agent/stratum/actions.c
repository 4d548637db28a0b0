/* SPDX-License-Identifier: Apache-2.0
 * The queue of actions that the shell takes. */
#include "agent/stratum/client_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sl_stratum_action *sl_stratum_queue(struct sl_stratum *client,
                                           enum sl_stratum_action_type type) {
    struct sl_stratum_node *node = calloc(1, sizeof *node);
    /* Without memory for it, the fate of a share would be lost without a trace: better to stop and
     * let the journal say "unknown" after the restart. */
    sl_assert(node);
    node->action.type = type;
    if (client->last) {
        client->last->next = node;
    } else {
        client->first = node;
    }
    client->last = node;
    return &node->action;
}

static __attribute__((format(printf, 3, 0))) void
queue_text(struct sl_stratum *client, enum sl_log_level level, const char *format, va_list args) {
    struct sl_stratum_action *action = sl_stratum_queue(client, SL_STRATUM_LOG);
    action->level = level;
    vsnprintf(action->text, sizeof action->text, format, args);
}

void sl_stratum_queue_log(struct sl_stratum *client, enum sl_log_level level, const char *format,
                          ...) {
    va_list args;
    va_start(args, format);
    queue_text(client, level, format, args);
    va_end(args);
}

void sl_stratum_queue_chatter(struct sl_stratum *client, enum sl_log_level level,
                              const char *format, ...) {
    if (client->link.chatter >= SL_STRATUM_CHATTER_MAX) {
        return;
    }
    client->link.chatter++;
    va_list args;
    va_start(args, format);
    queue_text(client, level, format, args);
    va_end(args);
}

void sl_stratum_queue_send(struct sl_stratum *client, char *line, size_t size) {
    sl_assert(line);
    struct sl_stratum_action *action = sl_stratum_queue(client, SL_STRATUM_SEND);
    action->data = line;
    action->size = size;
    client->last->data = line;
}

void sl_stratum_queue_job(struct sl_stratum *client, struct sl_job *job) {
    struct sl_stratum_action *action = sl_stratum_queue(client, SL_STRATUM_JOB);
    action->job = sl_job_ref(job);
    client->last->job = job;
}

int64_t sl_stratum_request(struct sl_stratum *client, const char *method, json_t *params) {
    size_t size = 0;
    int64_t id = client->next_id++;
    char *line = sl_message_write_request(id, method, params, &size);
    sl_stratum_queue_send(client, line, size);
    return id;
}

static void free_node(struct sl_stratum_node *node) {
    if (node) {
        free(node->data);
        sl_job_unref(node->job);
        free(node);
    }
}

bool sl_stratum_take(struct sl_stratum *client, struct sl_stratum_action *ret_action) {
    free_node(client->taken);
    client->taken = client->first;
    if (!client->first) {
        return false;
    }
    client->first = client->first->next;
    if (!client->first) {
        client->last = NULL;
    }
    *ret_action = client->taken->action;
    return true;
}

void sl_stratum_queue_clear(struct sl_stratum *client) {
    free_node(client->taken);
    client->taken = NULL;
    while (client->first) {
        struct sl_stratum_node *node = client->first;
        client->first = node->next;
        free_node(node);
    }
    client->last = NULL;
}
