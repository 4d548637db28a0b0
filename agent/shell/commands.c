/* SPDX-License-Identifier: Apache-2.0
 * What the core wants done, done. */
#include <stdlib.h>
#include <string.h>

#include "agent/shell/agent.h"
#include "proto/base/log.h"

#define LOST_LOG_MS 60000

static void on_pool_connected(void *context) {
    struct sl_agent_pool_link *pool = context;
    sl_agent_pool_connected(pool->agent->core, sl_clock_now(), pool->index);
    sl_agent_carry_out(pool->agent);
}

static void on_pool_received(void *context, const void *data, size_t size) {
    struct sl_agent_pool_link *pool = context;
    sl_agent_pool_received(pool->agent->core, sl_clock_now(), pool->index, data, size);
    sl_agent_carry_out(pool->agent);
}

static void on_pool_disconnected(void *context, const char *reason) {
    struct sl_agent_pool_link *pool = context;
    sl_agent_pool_disconnected(pool->agent->core, sl_clock_now(), pool->index, reason);
    sl_agent_carry_out(pool->agent);
}

const struct sl_pool_link_ops sl_agent_pool_ops = {
    .connected = on_pool_connected,
    .received = on_pool_received,
    .disconnected = on_pool_disconnected,
};

/* The core repeats what matters, so a lost message is only worth a line now and then. */
static void send_message(struct sl_agent *agent, const struct sl_agent_cmd *cmd) {
    struct sl_error err;
    if (!agent->link) {
        return; /* between two links */
    }
    if (sl_link_send(agent->link, NULL, cmd->data, cmd->size, &err) == SL_OK) {
        return;
    }
    struct sl_mono now = sl_clock_mono();
    agent->sends_lost++;
    if (agent->lost_logged.ns == 0 ||
        sl_mono_since_ns(now, agent->lost_logged) >= LOST_LOG_MS * SL_NS_PER_MS) {
        agent->lost_logged = now;
        sl_log(SL_LOG_WARN, "link.lost", "messages=%llu %s", (unsigned long long)agent->sends_lost,
               err.text);
    }
}

static void post_command(struct sl_agent *agent, uint32_t device, struct sl_device_cmd *cmd) {
    int rc = -SL_AGAIN;
    if (!agent->held[device].first) {
        rc = sl_device_post(agent->devices[device], cmd);
    }
    if (rc == -SL_AGAIN) {
        /* Behind those that wait already: order matters. */
        agent->held_count += sl_held_keep(&agent->held[device], cmd);
    } else if (rc != SL_OK) {
        sl_log(SL_LOG_ERROR, "device.post", "device=%u command=%d %s", device, (int)cmd->kind,
               sl_status_text(rc));
    }
}

void sl_agent_post_held(struct sl_agent *agent) {
    for (uint32_t i = 0; agent->held_count > 0 && i < agent->device_count; i++) {
        struct sl_held_posts *held = &agent->held[i];
        while (held->first) {
            if (sl_device_post(agent->devices[i], &held->first->cmd) == -SL_AGAIN) {
                break;
            }
            sl_held_drop_first(held);
            agent->held_count--;
        }
    }
}

void sl_agent_drop_held(struct sl_agent *agent) {
    for (uint32_t i = 0; i < agent->device_count; i++) {
        while (agent->held[i].first) {
            sl_held_drop_first(&agent->held[i]);
        }
    }
    agent->held_count = 0;
}

static void journal(struct sl_agent *agent, const struct sl_agent_cmd *cmd) {
    struct sl_journal_change change = {
        .space = cmd->space,
        .key = cmd->key,
        .key_size = cmd->key_size,
        .value = cmd->data,
        .value_size = cmd->size,
        .ticket = cmd->ticket,
        .urgent = cmd->urgent,
    };
    struct sl_error err;
    if (sl_journal_queue(agent->journal, &change, &err) != SL_OK) {
        sl_agent_stop(agent->core, sl_clock_now(), 1, err.text);
    }
}

static void carry_out(void *context, struct sl_agent_cmd *cmd) {
    struct sl_agent *agent = context;
    switch (cmd->kind) {
    case SL_AGENT_SEND:
        send_message(agent, cmd);
        break;
    case SL_AGENT_HALT:
        sl_device_halt(agent->devices[cmd->device]);
        break;
    case SL_AGENT_POST:
        post_command(agent, cmd->device, &cmd->post);
        break;
    case SL_AGENT_JOURNAL:
        journal(agent, cmd);
        break;
    case SL_AGENT_TOKENIZE:
        if (sl_tokenizer_put(agent->tokenizer, cmd->tokens) == SL_OK) {
            cmd->tokens = NULL;
        } /* else more than the core ever holds; the broker issues the unit again */
        break;
    case SL_AGENT_POOL_CONNECT:
        sl_pool_link_connect(&agent->pool_links[cmd->link].link, cmd->text, cmd->port, cmd->tls);
        break;
    case SL_AGENT_POOL_SEND:
        sl_pool_link_send(&agent->pool_links[cmd->link].link, cmd->data, cmd->size);
        break;
    case SL_AGENT_POOL_CLOSE:
        sl_pool_link_close(&agent->pool_links[cmd->link].link);
        break;
    case SL_AGENT_MAKE_KEY:
        sl_agent_make_key(agent, cmd->number);
        break;
    case SL_AGENT_USE_KEY:
        sl_agent_use_key(agent, cmd->text);
        break;
    case SL_AGENT_LOG:
        sl_log(cmd->level, cmd->event, "%s", cmd->text);
        break;
    case SL_AGENT_EXIT:
        agent->exit_code = cmd->code;
        uv_stop(&agent->loop);
        break;
    case SL_AGENT_CMD_INVALID:
        break;
    }
}

void sl_agent_carry_out(struct sl_agent *agent) {
    struct sl_agent_cmd cmd;
    while (sl_agent_take(agent->core, &cmd)) {
        if (!sl_later_keep(&agent->later, &cmd)) {
            if (agent->later.count == SL_LATER_MAX) {
                sl_later_do(&agent->later, carry_out, agent);
            }
            carry_out(agent, &cmd);
        }
        sl_agent_cmd_fini(&cmd);
    }
}

void sl_agent_burst_begin(struct sl_agent *agent) {
    agent->later.on = true;
}

void sl_agent_burst_end(struct sl_agent *agent) {
    agent->later.on = false;
    sl_later_do(&agent->later, carry_out, agent);
    sl_agent_carry_out(agent); /* a journal that refuses makes the core stop */
}
