/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/later.h"

#include <string.h>

static bool can_wait(const struct sl_agent_cmd *cmd) {
    return cmd->kind == SL_AGENT_JOURNAL || cmd->kind == SL_AGENT_TOKENIZE ||
           cmd->kind == SL_AGENT_LOG;
}

bool sl_later_keep(struct sl_later *later, struct sl_agent_cmd *cmd) {
    if (!later->on || later->count == SL_LATER_MAX || !can_wait(cmd)) {
        return false;
    }
    later->cmds[later->count++] = *cmd;
    memset(cmd, 0, sizeof *cmd);
    return true;
}

/* The writer, once woken by an urgent one, would sync it before it could see the next. */
static void let_one_sync_do(struct sl_later *later) {
    struct sl_agent_cmd *last = NULL;
    bool urgent = false;
    for (uint32_t i = 0; i < later->count; i++) {
        struct sl_agent_cmd *cmd = &later->cmds[i];
        if (cmd->kind == SL_AGENT_JOURNAL) {
            urgent = urgent || cmd->urgent;
            cmd->urgent = false;
            last = cmd;
        }
    }
    if (last) {
        last->urgent = urgent;
    }
}

void sl_later_do(struct sl_later *later, sl_later_fn fn, void *context) {
    let_one_sync_do(later);
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < later->count; i++) {
            struct sl_agent_cmd *cmd = &later->cmds[i];
            if ((cmd->kind == SL_AGENT_JOURNAL) == (turn == 0)) {
                fn(context, cmd);
            }
        }
    }
    for (uint32_t i = 0; i < later->count; i++) {
        sl_agent_cmd_fini(&later->cmds[i]);
    }
    later->count = 0;
}
