/* SPDX-License-Identifier: Apache-2.0
 * Carrying out what the broker's core wants done, and being watched in it. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/internal.h"

static void on_done(void *arg, uint64_t ticket) {
    struct sim *sim = arg;
    if (sl_mailbox_put(sim->broker.durable, &ticket) != SL_OK) {
        sl_assert(false && "the mailbox of tickets is full");
    }
}

static void store(struct sim *sim, struct sl_core_command *command) {
    struct sl_txn *txn = command->txn;
    command->txn = NULL;
    for (uint32_t i = 0; i < txn->count; i++) {
        const struct sl_op *op = sl_txn_op(txn, i);
        if (op->kind == SL_OP_DIRECTIVE) {
            sim_check_decided(sim, &op->directive);
            sim_check_policy(sim, &op->directive);
        }
    }
    sim_model_submitted(sim, txn);
    txn->done = on_done;
    txn->arg = sim;
    sl_store_submit(sim->broker.store, txn);
    sim_broker_commit_soon(sim);
}

static void send_msg(struct sim *sim, const struct sl_link_peer *peer, const struct sl_msg *msg) {
    struct sl_buf *out = &sim->broker.outgoing;
    struct sl_error err;
    out->len = 0;
    if (sl_msg_encode(msg, out, &err) != SL_OK) {
        sim_break(sim, "wire", "the broker's %s cannot be encoded: %s", sl_msg_kind_name(msg->kind),
                  err.text);
        return;
    }
    sim_joining_heard(sim, peer, msg);
    uint32_t agent = sim_agent_by_key(sim, peer->key);
    if (agent != SIM_NOBODY && msg->kind == SL_MSG_DIRECTIVE) {
        sim_check_grant(sim, agent, msg);
    } else if (agent != SIM_NOBODY && msg->kind == SL_MSG_RESULT_ACK) {
        sim_check_ack(sim, agent, msg);
    } else if (agent != SIM_NOBODY && msg->kind == SL_MSG_WELCOME) {
        sim->agents[agent].session = msg->welcome.session;
    } else if (agent != SIM_NOBODY && msg->kind == SL_MSG_UNIT && sim->agents[agent].loses_unit) {
        sim->agents[agent].loses_unit = false;
        sim_count(sim, SIM_NET_UNIT_LOST);
        return;
    }
    sim_net_down(sim, peer, (const uint8_t *)out->data, out->len);
}

static void send_unit(struct sim *sim, const struct sl_core_command *command) {
    const struct sl_unit_row *unit = &command->unit;
    struct sl_msg_unit_line lines[SL_MSG_LINES_MAX];
    struct sl_msg_input inputs[SL_MSG_LINES_MAX][SIM_INPUTS_WIDE];
    static const size_t room = 128;
    char *texts = malloc(unit->line_count * room + 1);
    uint32_t *ids = calloc(unit->line_count * room + 1, sizeof *ids);
    sl_assert(texts && ids);
    const struct sim_batch *batch = sim_batch_find(sim, unit->batch);
    sl_assert(batch);
    uint32_t at = (uint32_t)(batch - sim->batches);
    bool has_ids = sim_batch_has_ids(sim, at);
    for (uint32_t i = 0; i < unit->line_count; i++) {
        char *text = texts + i * room;
        uint32_t bytes = sim_line_text(sim, at, unit->lines[i], text, room);
        for (uint32_t k = 0; k < bytes; k++) {
            ids[i * room + k] = (uint8_t)text[k];
        }
        lines[i] =
            (struct sl_msg_unit_line){.line = unit->lines[i],
                                      .input_count = sim_line_inputs(sim, at, unit->lines[i]),
                                      .inputs = inputs[i],
                                      .tokens = has_ids};
        for (uint32_t k = 0; k < lines[i].input_count; k++) {
            uint32_t from = sim_input_start(bytes, k);
            inputs[i][k] =
                has_ids
                    ? (struct sl_msg_input){.ids = ids + i * room + from, .id_count = bytes - from}
                    : (struct sl_msg_input){.text = text + from, .bytes = bytes - from};
        }
    }
    sim->result->counts[SIM_IDS_SENT] += has_ids;
    sim_check_unit(sim, unit);
    struct sl_msg msg = *command->msg;
    msg.kind = SL_MSG_UNIT;
    msg.unit = (struct sl_msg_unit){.unit_id = unit->unit_id,
                                    .epoch = unit->epoch,
                                    .line_count = unit->line_count,
                                    .lines = lines};
    sl_text_copy(msg.unit.device, sizeof msg.unit.device, unit->device);
    sl_text_copy(msg.unit.model, sizeof msg.unit.model, command->model);
    send_msg(sim, &command->peer, &msg);
    free(texts);
    free(ids);
}

/* ---- work that the shell gives to threads ---- */

static void validated(struct sim *sim, struct sim_event *event) {
    const struct sim_batch *batch = &sim->batches[event->a];
    struct sl_core_event out = {.kind = SL_CEV_VALIDATED};
    sl_text_copy(out.batch, sizeof out.batch, batch->id);
    sl_text_copy(out.model, sizeof out.model, SIM_MODEL);
    out.lines.count = batch->lines;
    out.lines.tokens = sim_batch_has_ids(sim, (uint32_t)event->a);
    out.lines.worst_tokens = calloc(batch->lines, sizeof(uint32_t));
    sl_assert(out.lines.worst_tokens);
    for (uint32_t i = 0; i < batch->lines; i++) {
        bool refused = sim_line_is_refused(sim, (uint32_t)event->a, i);
        out.lines.worst_tokens[i] = refused ? 0 : sim_line_tokens(sim, (uint32_t)event->a, i);
    }
    sim_broker_step(sim, &out);
    free(out.lines.worst_tokens); /* NULL when the core took it */
    free(out.errors);
}

static void finalized(struct sim *sim, struct sim_event *event) {
    const struct sim_batch *batch = &sim->batches[event->a];
    struct sl_core_event out = {.kind = SL_CEV_FINALIZED};
    sl_text_copy(out.batch, sizeof out.batch, batch->id);
    snprintf(out.output.id, sizeof out.output.id, "file_%s", batch->id);
    snprintf(out.output.tenant, sizeof out.output.tenant, "tenant%u", batch->tenant);
    sl_text_copy(out.output.purpose, sizeof out.output.purpose, "batch_output");
    sim_broker_step(sim, &out);
}

static void work(struct sim *sim, const char *id,
                 void (*done)(struct sim *sim, struct sim_event *event)) {
    const struct sim_batch *batch = sim_batch_find(sim, id);
    if (!batch) {
        sim_break(sim, "batches", "the broker works on a batch that nobody asked for: %s", id);
        return;
    }
    int64_t span_ns = sim_span(&sim->work_rng, SL_NS_PER_MS, 2 * SL_NS_PER_S);
    sim_at(sim, sim->now_ns + span_ns, done, SIM_BROKER, (uint64_t)(batch - sim->batches), 0);
}

/* ---- what its log says about paths that are seldom walked ---- */

static void note(struct sim *sim, const char *event, const char *text) {
    static const struct {
        const char *event, *holds;
        enum sim_fault path;
    } paths[] = {
        {"session.state", "live->hello", SIM_SESSION_TAKEN},
        {"session.state", "->lost", SIM_SESSION_LOST},
        {"unit.closed", "", SIM_UNIT_LOST},
        {"batch.deadline", "", SIM_BATCH_EXPIRED},
        {"lease.grant", "rule=threshold", SIM_MOVED},
        {"lease.grant", "rule=hold", SIM_FEED_HELD},
        {"lease.refused", "", SIM_DIRECTIVE_REFUSED},
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (strcmp(event, paths[i].event) == 0 && strstr(text, paths[i].holds)) {
            sim_count(sim, paths[i].path);
        }
    }
}

static void log_line(struct sim *sim, const struct sl_core_command *command) {
    sim_check_text(sim, SIM_BROKER, command->event, command->text);
    sim_digest(sim, 2000, command->text, strlen(command->text));
    note(sim, command->event, command->text);
    if (command->level != SL_LOG_DEBUG || sim->options.story_debug) {
        sim_story(sim, "broker: %s %s", command->event, command->text);
    }
}

static void carry_out(struct sim *sim, struct sl_core_command *command) {
    switch (command->kind) {
    case SL_CCMD_SEND:
        send_msg(sim, &command->peer, command->msg);
        break;
    case SL_CCMD_SEND_UNIT:
        send_unit(sim, command);
        break;
    case SL_CCMD_STORE:
        store(sim, command);
        break;
    case SL_CCMD_REPLY:
        sim_check_text(sim, SIM_BROKER, "reply", command->text);
        sim_people_reply(sim, command->cookie, command->status, command->text);
        break;
    case SL_CCMD_VALIDATE:
        work(sim, command->batch, validated);
        break;
    case SL_CCMD_FINALIZE:
        work(sim, command->batch, finalized);
        break;
    case SL_CCMD_LOG:
        log_line(sim, command);
        break;
    case SL_CCMD_JOIN_REPLY:
        sim_joining_answer(sim, command);
        break;
    case SL_CCMD_ADMIT: /* the core refuses by itself what the link would */
    case SL_CCMD_DECISION:
    case SL_CCMD_FORGET: /* texts here are made anew each time */
    case SL_CCMD_INVALID:
    default:
        break;
    }
}

void sim_broker_commands(struct sim *sim) {
    struct sim_host *host = &sim->hosts[SIM_BROKER];
    struct sl_core_command command;
    while (!host->doomed && sl_broker_core_next(sim->broker.core, &command)) {
        if (sim->broker.cut_in >= 0 && sim->broker.cut_in-- == 0) {
            sim_count(sim, SIM_BROKER_CUT);
            sim_story(sim, "broker: dies between two commands");
            host->doomed = true;
        } else {
            carry_out(sim, &command);
        }
        sl_core_command_fini(&command);
    }
}
