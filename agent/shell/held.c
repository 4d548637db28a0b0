/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/held.h"

#include <stdlib.h>
#include <string.h>

#include "agent/stratum/work.h"
#include "proto/base/error.h"

/* What the skipped job ended stays ended: the new one is the device's own copy. */
static bool replace_job(struct sl_held_posts *held, struct sl_device_cmd *cmd) {
    struct sl_held_post *post = held->first;
    while (post && post->cmd.kind != SL_DEVCMD_JOB) {
        post = post->next;
    }
    if (!post) {
        return false;
    }
    const struct sl_job *old = post->cmd.job;
    if (cmd->job) {
        cmd->job->clean = cmd->job->clean || !old || old->clean;
    }
    sl_device_cmd_fini(&post->cmd);
    post->cmd = *cmd;
    memset(cmd, 0, sizeof *cmd);
    return true;
}

bool sl_held_keep(struct sl_held_posts *held, struct sl_device_cmd *cmd) {
    if (cmd->kind == SL_DEVCMD_JOB && replace_job(held, cmd)) {
        return false;
    }
    struct sl_held_post *post = calloc(1, sizeof *post);
    sl_assert(post);
    post->cmd = *cmd;
    memset(cmd, 0, sizeof *cmd);
    if (!held->first) {
        held->last = &held->first;
    }
    *held->last = post;
    held->last = &post->next;
    return true;
}

void sl_held_drop_first(struct sl_held_posts *held) {
    struct sl_held_post *post = held->first;
    held->first = post->next;
    sl_device_cmd_fini(&post->cmd);
    free(post);
}
