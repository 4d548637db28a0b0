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
    static const enum sl_agent_cmd_kind turns[] = {SL_AGENT_JOURNAL, SL_AGENT_TOKENIZE,
                                                   SL_AGENT_LOG};
    let_one_sync_do(later);
    for (size_t turn = 0; turn < sizeof turns / sizeof turns[0]; turn++) {
        for (uint32_t i = 0; i < later->count; i++) {
            if (later->cmds[i].kind == turns[turn]) {
                fn(context, &later->cmds[i]);
            }
        }
    }
    for (uint32_t i = 0; i < later->count; i++) {
        sl_agent_cmd_fini(&later->cmds[i]);
    }
    later->count = 0;
}
