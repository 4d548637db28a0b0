/* SPDX-License-Identifier: Apache-2.0
 * Commands on their way to the shell, in order. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/core_internal.h"

/* One event never makes so many: the spool and the shares are sent through windows. */
#define OUTBOX_MAX 65536

void *agent_alloc(size_t size) {
    void *block = calloc(1, size ? size : 1);
    sl_assert(block);
    return block;
}

void sl_agent_cmd_fini(struct sl_agent_cmd *cmd) {
    sl_device_cmd_fini(&cmd->post);
    free(cmd->data);
    sl_agent_tokens_free(cmd->tokens);
    memset(cmd, 0, sizeof *cmd);
}

static void grow(struct agent_outbox *outbox) {
    size_t capacity = outbox->capacity ? outbox->capacity * 2 : 64;
    sl_assert(capacity <= OUTBOX_MAX);
    struct sl_agent_cmd *cmds = agent_alloc(capacity * sizeof *cmds);
    for (size_t i = 0; i < outbox->count; i++) {
        cmds[i] = outbox->cmds[(outbox->head + i) % outbox->capacity];
    }
    free(outbox->cmds);
    outbox->cmds = cmds;
    outbox->capacity = capacity;
    outbox->head = 0;
}

struct sl_agent_cmd *agent_queue(struct sl_agent_core *core, enum sl_agent_cmd_kind kind) {
    struct agent_outbox *outbox = &core->outbox;
    struct sl_agent_cmd *cmd = &outbox->scrap;
    if (outbox->ended) {
        sl_agent_cmd_fini(cmd); /* what the last one was given */
    } else {
        if (outbox->count == outbox->capacity) {
            grow(outbox);
        }
        cmd = &outbox->cmds[(outbox->head + outbox->count++) % outbox->capacity];
        memset(cmd, 0, sizeof *cmd);
        outbox->ended = kind == SL_AGENT_EXIT;
    }
    cmd->kind = kind;
    return cmd;
}

bool sl_agent_take(struct sl_agent_core *core, struct sl_agent_cmd *ret_cmd) {
    struct agent_outbox *outbox = &core->outbox;
    if (outbox->count == 0) {
        return false;
    }
    *ret_cmd = outbox->cmds[outbox->head];
    outbox->head = (outbox->head + 1) % outbox->capacity;
    outbox->count--;
    return true;
}

void agent_outbox_free(struct agent_outbox *outbox) {
    for (size_t i = 0; i < outbox->count; i++) {
        sl_agent_cmd_fini(&outbox->cmds[(outbox->head + i) % outbox->capacity]);
    }
    free(outbox->cmds);
    sl_agent_cmd_fini(&outbox->scrap);
}

void agent_log(struct sl_agent_core *core, enum sl_log_level level, const char *event,
               const char *format, ...) {
    struct sl_agent_cmd *cmd = agent_queue(core, SL_AGENT_LOG);
    cmd->level = level;
    cmd->event = event;
    va_list args;
    va_start(args, format);
    vsnprintf(cmd->text, sizeof cmd->text, format, args);
    va_end(args);
}

void agent_post(struct sl_agent_core *core, uint32_t device, const struct sl_device_cmd *post) {
    struct sl_agent_cmd *cmd = agent_queue(core, SL_AGENT_POST);
    cmd->device = device;
    cmd->post = *post;
}

uint64_t agent_journal(struct sl_agent_core *core, enum sl_journal_space space, const void *key,
                       size_t key_size, const void *value, size_t value_size, bool urgent) {
    struct sl_agent_cmd *cmd = agent_queue(core, SL_AGENT_JOURNAL);
    cmd->space = space;
    cmd->key_size = key_size;
    memcpy(cmd->key, key, key_size);
    cmd->urgent = urgent;
    cmd->ticket = ++core->ticket;
    if (value) {
        cmd->data = agent_alloc(value_size);
        memcpy(cmd->data, value, value_size);
        cmd->size = value_size;
    }
    return core->ticket;
}
