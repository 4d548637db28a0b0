/* SPDX-License-Identifier: Apache-2.0
 * Rule "lines": finished work is never lost and never done again.
 *  - A line whose result was written is in no unit that is written after it.
 *  - A result or share is acknowledged to its agent only when it is durable (or can be of no use
 *    any more: its batch is being ended, or nobody issued its unit). */
#include <string.h>

#include "tests/sim/internal.h"

void sim_check_order_of_ops(struct sim *sim, const struct sl_op *op) {
    struct sim_batch *batch = op->kind == SL_OP_RESULT ? sim_batch_find(sim, op->result.batch)
                              : op->kind == SL_OP_UNIT && !op->unit.closed
                                  ? sim_batch_find(sim, op->unit.batch)
                                  : NULL;
    if (op->kind == SL_OP_UNIT && op->unit.closed &&
        sim->units[op->unit.unit_id % SIM_SEEN_UNITS].id == op->unit.unit_id) {
        sim->units[op->unit.unit_id % SIM_SEEN_UNITS].closed = true;
    }
    if (op->kind == SL_OP_BATCH && sim_batch_find(sim, op->batch->id)) {
        enum sl_batch_state state = op->batch->state;
        sim_batch_find(sim, op->batch->id)->ending =
            state != SL_BATCH_VALIDATING && state != SL_BATCH_IN_PROGRESS;
    } else if (op->kind == SL_OP_SHARE) {
        sim_check_share_price(sim, &op->share);
    }
    if (!batch) {
        return;
    }
    if (op->kind == SL_OP_UNIT && batch->ending) {
        sim_break(sim, "lines", "unit %llu of %s was issued though the batch is ending",
                  (unsigned long long)op->unit.unit_id, batch->id);
    }
    if (op->kind == SL_OP_RESULT) {
        batch->taken[op->result.line] = 1;
        return;
    }
    for (uint32_t i = 0; i < op->unit.line_count; i++) {
        if (op->unit.lines[i] >= batch->lines || batch->taken[op->unit.lines[i]]) {
            sim_break(sim, "lines", "line %u of %s is finished and is issued again in unit %llu",
                      op->unit.lines[i], batch->id, (unsigned long long)op->unit.unit_id);
        }
    }
}

void sim_check_orders_reset(struct sim *sim) {
    for (uint32_t i = 0; i < sim->batch_count; i++) {
        enum sl_batch_state state = sim->batches[i].state;
        memcpy(sim->batches[i].taken, sim->batches[i].done, sim->batches[i].lines);
        sim->batches[i].ending = state != SL_BATCH_INVALID && state != SL_BATCH_VALIDATING &&
                                 state != SL_BATCH_IN_PROGRESS;
    }
}

/* What a broker must not take for an answer. */
static bool is_nonsense(const struct sl_msg_result_line *line) {
    for (uint32_t i = 0; i < line->vector_count; i++) {
        for (uint32_t k = 0; k < line->vectors[i].dim; k++) {
            float value;
            memcpy(&value, line->vectors[i].data + 4 * (size_t)k, sizeof value);
            if (value != value) {
                return true;
            }
        }
    }
    return false;
}

static void note_result(struct sim *sim, uint32_t agent, const struct sl_msg_result *r) {
    const uint64_t slot = r->unit_id % SIM_SEEN_UNITS;
    if (sim->units[slot].id == r->unit_id && sim->units[slot].closed && r->line_count > 0) {
        sim_count(sim, SIM_RESULT_LATE);
    }
    for (uint32_t i = 0; i < SIM_SEEN_RESULTS; i++) {
        struct sim_seen_result *seen = &sim->seen[i];
        if (seen->id == r->result_id && seen->agent == agent) {
            bool part = r->line_count == 1 && r->lines[0].inputs > 0;
            sim_count(sim, part ? SIM_RESULT_IN_PARTS : SIM_RESULT_AGAIN);
            if (part && is_nonsense(&r->lines[0])) {
                seen->count = 0;
            }
            return;
        }
    }
    struct sim_seen_result *seen = &sim->seen[sim->seen_count++ % SIM_SEEN_RESULTS];
    *seen = (struct sim_seen_result){.agent = agent, .id = r->result_id, .unit = r->unit_id};
    for (uint32_t i = 0; i < r->line_count && i < SL_MSG_LINES_MAX; i++) {
        if (r->lines[i].status == SL_LINE_OK && !is_nonsense(&r->lines[i])) {
            seen->lines[seen->count++] = r->lines[i].line;
        }
    }
}

/* What reaches the broker, before it looks at it. */
void sim_check_arrival(struct sim *sim, uint32_t agent, const struct sl_msg *msg) {
    bool stale = msg->kind != SL_MSG_HELLO && msg->session != sim->agents[agent].session;
    if (stale) {
        sim_count(sim, SIM_MESSAGE_STALE);
    } else if (msg->kind == SL_MSG_HELLO && msg->hello.unit_count > 0) {
        sim_count(sim, SIM_UNIT_HELD);
    } else if (msg->kind == SL_MSG_RESULT) {
        note_result(sim, agent, &msg->result);
    }
    sim_check_health(sim, agent, msg, stale);
    for (uint32_t i = 0; msg->kind == SL_MSG_SHARES && i < msg->shares.share_count; i++) {
        if (sim_model_has_share(sim, sim->agents[agent].key, msg->shares.shares[i].share_id)) {
            sim_count(sim, SIM_SHARE_AGAIN);
        }
    }
}

/* The broker writes a batch's output once the batch is ending and none of its units is open:
 * results come too late from then on. What says so is durable, not the order to write the output:
 * an acknowledgement may overtake that. */
static bool is_past_results(const struct sim *sim, const struct sim_batch *batch) {
    if (sl_batch_state_is_final(batch->state)) {
        return true;
    }
    for (uint32_t i = 0; i < SIM_SEEN_UNITS; i++) {
        if (sim->units[i].id != 0 && !sim->units[i].closed &&
            &sim->batches[sim->units[i].batch] == batch) {
            return false;
        }
    }
    return batch->state == SL_BATCH_CANCELLING || batch->state == SL_BATCH_FINALIZING;
}

/* The batch whose unit it was, as the broker's durable units say; NULL: none that is open. */
static const struct sim_batch *open_batch_of(struct sim *sim, uint64_t unit) {
    for (uint32_t i = 0; i < SIM_SEEN_UNITS; i++) {
        if (sim->units[i].id == unit) {
            const struct sim_batch *batch = &sim->batches[sim->units[i].batch];
            return is_past_results(sim, batch) ? NULL : batch;
        }
    }
    return NULL;
}

static void check_result_ack(struct sim *sim, uint32_t agent, uint64_t id) {
    for (uint32_t i = 0; i < SIM_SEEN_RESULTS; i++) {
        const struct sim_seen_result *seen = &sim->seen[i];
        if (seen->id != id || seen->agent != agent) {
            continue;
        }
        const struct sim_batch *batch = open_batch_of(sim, seen->unit);
        /* A tenant with a budget never pays more than it, not even for what is done. */
        if (!batch || batch->tenant == 1 || !sim_model_has_unit(sim, seen->unit)) {
            sim_count(sim, batch ? SIM_BUDGET_HIT : SIM_RESULT_TOO_LATE);
            return;
        }
        for (uint32_t k = 0; k < seen->count; k++) {
            if (!batch->done[seen->lines[k]]) {
                sim_break(sim, "lines",
                          "the result of line %u of %s was acknowledged to %s, but "
                          "it is not durable",
                          seen->lines[k], batch->id, sim->agents[agent].node);
            }
        }
        return;
    }
}

void sim_check_ack(struct sim *sim, uint32_t agent, const struct sl_msg *msg) {
    const struct sl_msg_result_ack *ack = &msg->result_ack;
    for (uint32_t i = 0; i < ack->result_count; i++) {
        check_result_ack(sim, agent, ack->results[i]);
    }
    for (uint32_t i = 0; i < ack->share_count; i++) {
        if (!sim_model_has_share(sim, sim->agents[agent].key, ack->shares[i])) {
            sim_break(sim, "lines", "share %llu of %s was acknowledged, but it is not durable",
                      (unsigned long long)ack->shares[i], sim->agents[agent].node);
        }
    }
}

void sim_check_unit(struct sim *sim, const struct sl_unit_row *unit) {
    const struct sim_batch *batch = sim_batch_find(sim, unit->batch);
    if (!batch || !sim_model_has_unit(sim, unit->unit_id)) {
        sim_break(sim, "lines", "unit %llu left before it was durable",
                  (unsigned long long)unit->unit_id);
        return;
    }
    sim->units[unit->unit_id % SIM_SEEN_UNITS].id = unit->unit_id;
    sim->units[unit->unit_id % SIM_SEEN_UNITS].batch = (uint32_t)(batch - sim->batches);
    sim->units[unit->unit_id % SIM_SEEN_UNITS].closed = false;
}
