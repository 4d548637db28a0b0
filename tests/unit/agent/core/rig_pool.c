/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/core/rig_pool.h"
#include "tests/sim/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/agent/core/rig.h"

int rig_pool_config_core(struct sl_agent_config *config, uint32_t pools,
                         struct sl_agent_core **ret_core, struct sl_error *err);

int rig_pool_core(struct rig *rig, struct sl_agent_config *config, struct sl_error *err) {
    if (rig->options.no_pool) {
        return sl_agent_core_create(config, &rig->core, err);
    }
    return rig_pool_config_core(config, rig->options.two_pools ? 2 : 1, &rig->core, err);
}

static void say(struct rig *rig, uint32_t pool, const char *line) {
    sl_agent_pool_received(rig->core, rig->now, pool * SL_AGENT_LINKS_MAX, line, strlen(line));
}

void rig_pool_job(struct rig *rig, int number, bool clean) {
    rig_pool_job_of(rig, 0, number, clean);
}

void rig_pool_job_of(struct rig *rig, uint32_t pool, int number, bool clean) {
    char line[1024];
    char prevhash[65];
    memset(prevhash, 'a', 64);
    prevhash[64] = '\0';
    snprintf(line, sizeof line,
             "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"job%d\",\"%s\"," NOTIFY_BODY
             ",%s]}\n",
             number, prevhash, clean ? "true" : "false");
    say(rig, pool, line);
    rig_pump(rig);
}

static void answer(struct rig *rig, uint32_t pool, const char *request) {
    char line[256];
    const char *id_at = strstr(request, "\"id\":");
    long id = id_at ? strtol(id_at + 5, NULL, 10) : 0;
    if (strstr(request, "mining.subscribe")) {
        snprintf(line, sizeof line,
                 "{\"id\":%ld,\"result\":[[[\"mining.notify\",\"s%d\"]],\"%08x\",4],"
                 "\"error\":null}\n",
                 id, rig->pool_session, 0xAB000000 + rig->pool_session);
        say(rig, pool, line);
    } else if (strstr(request, "mining.authorize")) {
        snprintf(line, sizeof line, "{\"id\":%ld,\"result\":true,\"error\":null}\n", id);
        say(rig, pool, line);
        if (strstr(request, "tester\"") || strstr(request, "tester.0")) {
            say(rig, pool,
                "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[0.001]}\n");
            rig_pool_job_of(rig, pool, 1, true);
        }
    } else if (strstr(request, "mining.submit")) {
        uint32_t *submits = pool ? &rig->other_submits : &rig->pool_submits;
        (*submits)++;
        sl_text_copy(rig->submit, sizeof rig->submit, request);
        if (!rig->pool_silent && !(pool && rig->other_silent)) {
            snprintf(line, sizeof line, "{\"id\":%ld,\"result\":true,\"error\":null}\n", id);
            say(rig, pool, line);
        }
    } else if (strstr(request, "suggest_difficulty")) {
        sl_text_copy(rig->suggested, sizeof rig->suggested, request);
    } else {
        snprintf(line, sizeof line, "{\"id\":%ld,\"result\":null,\"error\":[20,\"no\",null]}\n",
                 id);
        say(rig, pool, line);
    }
}

void rig_pool_obey(struct rig *rig, struct sl_agent_cmd *cmd) {
    uint32_t pool = cmd->link / SL_AGENT_LINKS_MAX;
    bool down = pool ? rig->other_down : rig->pool_down;
    bool *connected = pool ? &rig->other_connected : &rig->pool_connected;
    if (cmd->kind == SL_AGENT_POOL_CONNECT) {
        sl_assert(strcmp(cmd->text, pool ? "pool-b.test" : "pool.test") == 0 && cmd->port == 3333);
        *connected = !down;
        if (down) {
            sl_agent_pool_disconnected(rig->core, rig->now, cmd->link, "connection refused");
        } else {
            rig->pool_session++;
            sl_agent_pool_connected(rig->core, rig->now, cmd->link);
        }
    } else if (cmd->kind == SL_AGENT_POOL_CLOSE) {
        *connected = false;
    } else if (*connected) {
        char *text = calloc(1, cmd->size + 1);
        memcpy(text, cmd->data, cmd->size);
        answer(rig, pool, text);
        free(text);
    }
}

void rig_pool_cut_of(struct rig *rig, uint32_t pool) {
    *(pool ? &rig->other_connected : &rig->pool_connected) = false;
    sl_agent_pool_disconnected(rig->core, rig->now, pool * SL_AGENT_LINKS_MAX, "reset by the test");
    rig_pump(rig);
}

void rig_pool_cut(struct rig *rig) {
    rig_pool_cut_of(rig, 0);
}
