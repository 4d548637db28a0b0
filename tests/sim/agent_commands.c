/* SPDX-License-Identifier: Apache-2.0
 * Carrying out what an agent's core wants done. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/internal.h"

/* ---- the journal: a commit is a moment later, a lingering one a tenth of a second ---- */

static void durable(struct sim *sim, uint32_t i) {
    struct sim_agent *agent = &sim->agents[i];
    struct sl_journal_done done;
    while (agent->journal_done && sl_mailbox_take(agent->journal_done, &done)) {
        struct sl_now now = sim_host_now(sim, i + 1);
        if (done.status != SL_OK) {
            sim_check_text(sim, i + 1, "journal", done.text);
            sim_count(sim, SIM_JOURNAL_FAILED);
            sim_story(sim, "%s: its journal failed: %s", agent->node, done.text);
            sl_agent_stop(agent->core, now, 1, done.text);
        } else {
            sim_check_journalled(sim, i, done.ticket);
            sl_agent_durable(agent->core, now, done.ticket, now.mono);
        }
        sim_agent_commands(sim, i);
    }
}

static void commit(struct sim *sim, struct sim_event *event) {
    uint32_t i = (uint32_t)event->a;
    struct sim_agent *agent = &sim->agents[i];
    if (event->b != 0 && agent->commit_urgent) {
        return; /* an urgent one came before the lingering one */
    }
    agent->commit_due = false;
    agent->commit_urgent = false;
    while (sl_journal_commit(agent->journal)) {}
    if (!sim_disk_is_dead(sim->hosts[i + 1].disk)) {
        durable(sim, i);
    }
    sim_agent_schedule(sim, i);
}

static void commit_soon(struct sim *sim, uint32_t i, bool urgent) {
    struct sim_agent *agent = &sim->agents[i];
    struct sim_host *host = &sim->hosts[i + 1];
    if (agent->commit_due && (!urgent || agent->commit_urgent)) {
        return;
    }
    agent->commit_due = true;
    agent->commit_urgent = urgent;
    int64_t span_ns = urgent ? sim_range(&host->rng, 200000, 3000000) : 100 * SL_NS_PER_MS;
    if (host->sync_slow_until_ns > sim->now_ns) {
        span_ns += sim_range(&host->rng, SL_NS_PER_S / 10, 5 * SL_NS_PER_S);
        sim_count(sim, SIM_DISK_SLOW);
    }
    sim_at(sim, sim->now_ns + span_ns, commit, i + 1, i, urgent ? 0 : 1);
}

static void journal(struct sim *sim, uint32_t i, const struct sl_agent_cmd *cmd) {
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
    struct sim_agent *agent = &sim->agents[i];
    sim_check_journal(sim, i, cmd);
    if (sl_journal_queue(agent->journal, &change, &err) != SL_OK) {
        sl_agent_stop(agent->core, sim_host_now(sim, i + 1), 1, err.text);
        return;
    }
    commit_soon(sim, i, cmd->urgent);
}

/* ---- the tokenizer: a token a byte, and two ---- */

static int encode(void *context, const char *model, const struct sl_agent_text *input,
                  int32_t *ret_ids, uint32_t room, uint32_t *ret_count, struct sl_error *err) {
    (void)context;
    (void)model;
    uint32_t bytes = input->id_count ? input->id_count : input->bytes;
    *ret_count = bytes + 2;
    if (*ret_count > room) {
        return sl_fail(err, SL_LIMIT, "too long");
    }
    for (uint32_t i = 0; i < *ret_count; i++) {
        bool special = i == 0 || i > bytes;
        ret_ids[i] = special           ? 1
                     : input->id_count ? (int32_t)input->ids[i - 1]
                                       : input->text[i - 1];
    }
    return SL_OK;
}

static void tokenized(struct sim *sim, struct sim_event *event) {
    struct sl_agent_tokens *tokens = NULL;
    memcpy(&tokens, event->data, sizeof tokens);
    uint32_t i = (uint32_t)event->a;
    if (sim->hosts[i + 1].up && sim->hosts[i + 1].life == event->b) {
        sl_agent_tokenized(sim->agents[i].core, sim_host_now(sim, i + 1), tokens);
        sim_agent_commands(sim, i);
        sim_agent_schedule(sim, i);
    } else {
        sl_agent_tokens_free(tokens);
    }
}

static void tokenize(struct sim *sim, uint32_t i, struct sl_agent_cmd *cmd) {
    struct sl_agent_tokens *tokens = cmd->tokens;
    cmd->tokens = NULL;
    if (sl_agent_tokens_run(tokens, SIM_MODEL_TOKENS, encode, NULL, NULL) != SL_OK) {
        sl_assert(false && "out of memory");
    }
    struct sim_event event = {.run = tokenized,
                              .host = SIM_NOBODY,
                              .a = i,
                              .b = sim->hosts[i + 1].life,
                              .at_ns = sim->now_ns + sim_range(&sim->work_rng, 10000, 3000000),
                              .size = sizeof tokens};
    event.data = malloc(sizeof tokens);
    sl_assert(event.data);
    memcpy(event.data, &tokens, sizeof tokens);
    sim_at_data(sim, &event);
}

/* ---- the rest ---- */

static void note(struct sim *sim, uint32_t i, const struct sl_agent_cmd *cmd) {
    static const struct {
        const char *event, *holds;
        enum sim_fault path;
    } paths[] = {
        {"device.expired", "", SIM_LEASE_RAN_OUT},
        {"device.rest", "", SIM_SAFE_RESTED},
        {"directive.refused", "epoch", SIM_OLD_EPOCH},
    };
    for (size_t k = 0; k < sizeof paths / sizeof paths[0]; k++) {
        if (strcmp(cmd->event, paths[k].event) == 0 && strstr(cmd->text, paths[k].holds)) {
            sim_count(sim, paths[k].path);
        }
    }
    sim_check_text(sim, i + 1, cmd->event, cmd->text);
    sim_digest(sim, 3000 + i, cmd->text, strlen(cmd->text));
    if (cmd->level != SL_LOG_DEBUG || sim->options.story_debug) {
        sim_story(sim, "%s: %s %s", sim->agents[i].node, cmd->event, cmd->text);
    }
}

static void obey(struct sim *sim, uint32_t i, struct sl_agent_cmd *cmd) {
    struct sim_agent *agent = &sim->agents[i];
    switch (cmd->kind) {
    case SL_AGENT_SEND:
        sim_net_up(sim, i, cmd->data, cmd->size);
        break;
    case SL_AGENT_HALT:
        sl_device_halt(agent->devices[cmd->device]);
        break;
    case SL_AGENT_POST:
        sim_check_post(sim, i, cmd->device, &cmd->post);
        sl_assert(sl_device_post(agent->devices[cmd->device], &cmd->post) == SL_OK);
        break;
    case SL_AGENT_JOURNAL:
        journal(sim, i, cmd);
        break;
    case SL_AGENT_TOKENIZE:
        tokenize(sim, i, cmd);
        break;
    case SL_AGENT_POOL_CONNECT:
        sim_pool_connect(sim, i);
        break;
    case SL_AGENT_POOL_SEND:
        sim_pool_input(sim, i, (const char *)cmd->data, cmd->size);
        break;
    case SL_AGENT_POOL_CLOSE:
        sim_pool_hung_up(sim, i);
        break;
    case SL_AGENT_LOG:
        note(sim, i, cmd);
        break;
    case SL_AGENT_EXIT: /* the process ends when this event is over */
        sim_story(sim, "%s: leaves with %d", agent->node, cmd->code);
        agent->leaves = true;
        sim->hosts[i + 1].doomed = true;
        break;
    case SL_AGENT_MAKE_KEY:
    case SL_AGENT_USE_KEY:
    case SL_AGENT_CMD_INVALID:
        break;
    }
}

void sim_agent_commands(struct sim *sim, uint32_t i) {
    struct sl_agent_cmd cmd;
    struct sim_host *host = &sim->hosts[i + 1];
    while (host->up && !host->doomed && sl_agent_take(sim->agents[i].core, &cmd)) {
        obey(sim, i, &cmd);
        sl_agent_cmd_fini(&cmd);
    }
}
