/* SPDX-License-Identifier: Apache-2.0
 * Results: accepted from whom the unit was issued to, whatever the epoch is by now; the first
 * durable one per (batch, line) wins; result, posting and the batch's counters are one transaction;
 * the agent is told to forget only after it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "broker/core/model_file.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

#define GOOD_LINES_HEAL 1000

struct taking {
    struct sl_broker_core *core;
    const struct sl_msg_result *result;
    struct sl_core_unit *unit;
    struct sl_core_batch *batch;
    uint32_t accepted;
    bool pinned; /* to the file of its model: by this result */
};

static void acknowledge(struct sl_broker_core *core, uint32_t node, uint64_t result_id) {
    /* A duplicate of something not durable yet waits for whatever was submitted last. */
    uint64_t ticket = core->txn ? sl_core_ticket(core) : core->ticket;
    struct sl_core_item *item =
        sl_core_send(core, node, SL_MSG_RESULT_ACK,
                     SL_MUTANT(result_ack_before_durable) ? 0 : ticket, sizeof(uint64_t));
    struct sl_msg *msg = item->command.msg;
    uint64_t *id = (uint64_t *)(msg + 1);
    *id = result_id;
    msg->result_ack.result_count = 1;
    msg->result_ack.results = id;
}

static bool unit_has(const struct sl_core_unit *unit, uint32_t line) {
    for (uint32_t i = 0; i < unit->line_count; i++) {
        if (unit->lines[i] == line) {
            return true;
        }
    }
    return false;
}

/* The open unit that holds the line as issued, or NULL. */
static struct sl_core_unit *owner_of(const struct taking *t, uint32_t line) {
    if (t->batch->line_state[line] != SL_CLINE_ISSUED) {
        return NULL;
    }
    struct sl_core_unit *owner = sl_core_unit_find(t->core, t->batch->line_unit[line]);
    return owner && !owner->closed ? owner : NULL;
}

/* What is held for the line: its worst cost; while the bounds are not read again after a restart,
 * whatever its unit holds. */
static int64_t held_for(const struct taking *t, const struct sl_core_unit *owner, uint32_t line) {
    if (!owner || !t->batch->worst) {
        return owner ? owner->reserved : 0;
    }
    int64_t cost = sl_core_unit_cost(t->batch->worst[line], owner->price);
    return cost < owner->reserved ? cost : owner->reserved;
}

/* Whoever holds the line as issued holds it no more. */
static void release_line(struct taking *t, uint32_t line, int64_t amount_nusd) {
    struct sl_core_batch *batch = t->batch;
    struct sl_core_unit *owner = owner_of(t, line);
    if (batch->line_state[line] == SL_CLINE_WAITING) {
        batch->waiting--;
        return;
    }
    batch->issued--;
    batch->line_unit[line] = 0;
    if (!owner) {
        return;
    }
    owner->left--;
    int64_t held = held_for(t, owner, line);
    held = batch->worst || held < amount_nusd ? held : amount_nusd;
    owner->reserved -= held;
    batch->tenant->reserved -= held;
    if (owner->left == 0 && owner != t->unit) {
        sl_core_unit_close(t->core, owner);
    }
}

static void finish_line(struct taking *t, const struct sl_result_row *row, bool good) {
    release_line(t, row->line, row->amount_nusd);
    struct sl_core_batch *batch = t->batch;
    sl_core_lengths_line(batch, batch->worst ? batch->worst[row->line] : 0, -1);
    batch->line_state[row->line] = good ? SL_CLINE_DONE : SL_CLINE_FAILED;
    batch->row.lines_completed += good ? 1 : 0;
    batch->row.lines_failed += good ? 0 : 1;
    t->accepted++;
    struct sl_op op = {.kind = SL_OP_RESULT, .result = *row};
    if (!good || !SL_MUTANT(posting_without_result)) {
        sl_core_op(t->core, &op);
    }
}

/* Little-endian binary32 with all exponent bits set is an infinity or not a number. */
static bool is_finite(const uint8_t *data, uint32_t dim) {
    for (uint32_t i = 0; i < dim; i++) {
        if ((data[4 * i + 3] & 0x7f) == 0x7f && (data[4 * i + 2] & 0x80)) {
            return false;
        }
    }
    return true;
}

/* The vectors of a line in the order of its inputs, malloc'ed; NULL when they are not whole. */
static uint8_t *join_vectors(const struct sl_msg_result_line *line) {
    uint32_t dim = line->vector_count ? line->vectors[0].dim : 0;
    if (dim == 0 || dim > SL_MSG_VECTOR_MAX || line->vector_count > SL_MSG_INPUTS_MAX) {
        return NULL;
    }
    size_t one = (size_t)dim * 4;
    uint8_t *all = sl_core_calloc(line->vector_count, one);
    uint8_t seen[SL_MSG_INPUTS_MAX] = {0};
    for (uint32_t i = 0; i < line->vector_count; i++) {
        const struct sl_msg_vector *v = &line->vectors[i];
        if (v->input >= line->vector_count || seen[v->input] || v->dim != dim ||
            (!is_finite(v->data, dim) && !SL_MUTANT(bad_vector_billed))) {
            free(all);
            return NULL;
        }
        seen[v->input] = 1;
        memcpy(all + v->input * one, v->data, one);
    }
    return all;
}

static void fill_row(const struct taking *t, const struct sl_msg_result_line *line,
                     struct sl_result_row *row) {
    sl_text_copy(row->batch, sizeof row->batch, t->batch->row.id);
    row->line = line->line;
    row->unit_id = t->unit->id;
    row->status = line->status;
    row->tokens = line->tokens;
    row->at = t->core->now.wall;
}

static void take_failed(struct taking *t, const struct sl_msg_result_line *line,
                        enum sl_line_status status) {
    struct sl_result_row row = {0};
    fill_row(t, line, &row);
    row.status = status;
    row.dim = status == SL_LINE_TOO_LONG ? line->limit : 0;
    finish_line(t, &row, false);
}

static void give_back(struct taking *t, uint32_t line) {
    struct sl_core_batch *batch = t->batch;
    if (batch->line_state[line] == SL_CLINE_ISSUED && batch->line_unit[line] == t->unit->id) {
        release_line(t, line, 0);
        batch->issued++; /* line_back takes it off again */
        sl_core_batch_line_back(batch, line);
    }
}

/* The device gave something that cannot be right: the line is worked on again, elsewhere if there
 * is an elsewhere. A line that fails everywhere must not make one device after the other look
 * faulty: only its first failure counts against a device, and after some tries it fails itself.
 * What a spool still holds from before the device was healed says nothing about it now. */
static void take_bad(struct taking *t, const struct sl_msg_result_line *line, bool blame) {
    struct sl_broker_core *core = t->core;
    struct sl_core_batch *batch = t->batch;
    uint32_t dev = t->unit->device;
    bool first = batch->line_tries[line->line]++ == 0;
    if (first && blame && dev != SL_CORE_NONE && t->unit->id > core->fleet.healed_unit[dev]) {
        core->fleet.faults[dev]++;
        core->fleet.good_lines[dev] = 0;
        sl_core_log(core, SL_LOG_WARN, "device.bad_vector", "device=%s faults=%u batch=%s line=%u",
                    core->fleet.cold[dev].key, core->fleet.faults[dev], batch->row.id, line->line);
        if (core->fleet.faults[dev] >= SL_CORE_FAULTS_MAX) {
            core->fleet.broken[dev] = 1;
            sl_core_device_step(core, dev, SL_DEV_FAULT);
        }
    }
    if (batch->line_tries[line->line] >= SL_CORE_LINE_TRIES_MAX) {
        take_failed(t, line, SL_LINE_FAILED);
    } else {
        give_back(t, line->line);
    }
}

/* A result that comes after its unit was closed has nothing reserved any more. A tenant never pays
 * more than its budget, so such a line may have to wait although it is done. */
static bool is_affordable(const struct taking *t, const struct sl_msg_result_line *line) {
    const struct sl_core_unit *owner = owner_of(t, line->line);
    int64_t held = held_for(t, owner, line->line);
    int64_t cost = sl_core_unit_cost(line->tokens, t->unit->price);
    if (owner == t->unit) {
        return t->batch->worst || cost <= held; /* what it may cost was reserved for it */
    }
    return sl_core_tenant_left(t->core, t->batch->tenant) + held >= cost;
}

/* A batch has vectors of one length: where they are longer or shorter, the model's file is not the
 * one that the batch began with. Nothing says which node has the right one, so the device is not
 * called faulty for it: one wrong node that was first would take all others down. */
static bool is_of_another_model(const struct taking *t, const struct sl_msg_result_line *line) {
    uint32_t dim = line->vectors[0].dim;
    uint32_t dev = t->unit->device;
    if (t->batch->dim == 0 || t->batch->dim == dim) {
        return false;
    }
    if (!t->batch->mixed) { /* once is enough: every line may be one */
        t->batch->mixed = true;
        sl_core_log(t->core, SL_LOG_WARN, "result.other_model",
                    "device=%s batch=%s model=%s: vectors of %u numbers, before it of %u: its "
                    "agent has another file of this model (sha256 in its log)",
                    dev == SL_CORE_NONE ? "?" : t->core->fleet.cold[dev].key, t->batch->row.id,
                    t->batch->row.model, dim, t->batch->dim);
    }
    return true;
}

static void take_ok(struct taking *t, const struct sl_msg_result_line *line) {
    struct sl_broker_core *core = t->core;
    struct sl_core_batch *batch = t->batch;
    if (!is_affordable(t, line)) {
        sl_core_log(core, SL_LOG_WARN, "result.unaffordable", "batch=%s line=%u came late",
                    batch->row.id, line->line);
        return;
    }
    /* Each input has a token at least, so more inputs than that are none of the line's. */
    bool over_bound =
        line->inputs > 0 || (batch->worst && (line->tokens > batch->worst[line->line] ||
                                              line->vector_count > batch->worst[line->line]));
    uint8_t *vectors = over_bound || line->tokens == 0 ? NULL : join_vectors(line);
    if (!vectors) {
        take_bad(t, line, true);
        return;
    }
    if (is_of_another_model(t, line)) {
        free(vectors);
        take_bad(t, line, false);
        return;
    }
    struct sl_result_row row = {.vectors = vectors};
    fill_row(t, line, &row);
    row.vector_count = line->vector_count;
    row.dim = batch->dim = line->vectors[0].dim;
    t->pinned |= sl_core_file_pin(batch, t->result->model_sha256);
    struct sl_nusd amount = {0};
    /* Prices are at most 1e15 and tokens below 2^32: the amount always fits. */
    int64_t price = SL_MUTANT(price_of_present_bid) ? batch->row.bid_nusd_per_mtok : t->unit->price;
    batch->row.accrual.rem = SL_MUTANT(line_remainder_lost) ? 0 : batch->row.accrual.rem;
    int rc = sl_accrue(&batch->row.accrual, line->tokens, price, SL_DENOM_TOKEN, &amount, NULL);
    sl_assert(rc == SL_OK);
    row.amount_nusd = amount.v;
    batch->row.tokens += line->tokens;
    batch->row.billed_nusd += amount.v;
    if (batch->worst) {
        batch->worst_done += batch->worst[line->line];
    }
    sl_core_lengths_seen(core, batch, line);
    char ref[2 * SL_MSG_KEY_MAX];
    snprintf(ref, sizeof ref, "%s/%u", batch->row.id, line->line);
    sl_core_transfer(core, SL_TRANSFER_LINE, batch->tenant->account,
                     sl_core_account(core, "revenue:lease"), amount.v, ref);
    finish_line(t, &row, true);
    core->counters.lines++;
    core->counters.tokens += line->tokens;
    core->counters_dirty = true;
    uint32_t dev = t->unit->device;
    if (dev != SL_CORE_NONE && ++core->fleet.good_lines[dev] >= GOOD_LINES_HEAL) {
        core->fleet.faults[dev] = 0;
        core->fleet.good_lines[dev] = 0;
    }
}

static bool is_decided(const struct taking *t, uint32_t line) {
    uint8_t state = t->batch->line_state[line];
    return (state == SL_CLINE_DONE || state == SL_CLINE_FAILED) && !SL_MUTANT(resend_credited);
}

/* Whether parts of the line are to be gathered; else the part is answered like a whole result. */
static bool is_wanted(const struct taking *t, const struct sl_msg_result_line *line) {
    return unit_has(t->unit, line->line) && line->line < t->batch->row.lines_total &&
           !is_decided(t, line->line) &&
           (!t->batch->worst || line->inputs <= t->batch->worst[line->line]);
}

static void take_line(struct taking *t, const struct sl_msg_result_line *line) {
    if (!unit_has(t->unit, line->line) || line->line >= t->batch->row.lines_total) {
        sl_core_log(t->core, SL_LOG_WARN, "result.foreign_line", "unit=%llu line=%u",
                    (unsigned long long)t->unit->id, line->line);
        return;
    }
    if (is_decided(t, line->line)) {
        return; /* the first one won */
    }
    uint32_t dev = t->unit->device;
    if (sl_core_file_refuses(t->core, dev, t->batch, t->result->model_sha256)) {
        /* It was at work when the batch was pinned: nobody's fault, no try of the line. But one
         * that says the right file and computes with another must not be asked again for ever. */
        if (dev != SL_CORE_NONE && !sl_core_file_fits(t->core, dev, t->batch)) {
            give_back(t, line->line);
        } else {
            take_bad(t, line, false);
        }
        return;
    }
    switch (line->status) {
    case SL_LINE_OK:
        take_ok(t, line);
        break;
    case SL_LINE_TOO_LONG:
    case SL_LINE_BAD_TOKEN:
        take_failed(t, line, line->status);
        break;
    case SL_LINE_FAILED:
    case SL_LINE_BAD_MODEL: /* it was offered for this model: the device's fault */
        take_bad(t, line, true);
        break;
    case SL_LINE_INVALID:
    default:
        break;
    }
}

void sl_core_result(struct sl_broker_core *core, uint32_t node,
                    const struct sl_msg_result *result) {
    const uint64_t result_id = result->result_id;
    struct taking t = {
        .core = core, .result = result, .unit = sl_core_unit_find(core, result->unit_id)};
    if (!t.unit || t.unit->node != node || t.unit->batch->sealed ||
        (t.unit->closed && SL_MUTANT(late_result_dropped)) ||
        (t.unit->batch->settling && SL_MUTANT(cancel_drops_results))) {
        if (t.unit && t.unit->node != node) {
            char unit[24];
            snprintf(unit, sizeof unit, "%llu", (unsigned long long)result->unit_id);
            sl_core_foreign(core, node, "unit", unit, t.unit->node);
        }
        /* Its batch is final, or it is not this agent's: in any case there is nothing to resend. */
        acknowledge(core, node, result_id);
        sl_core_half_done(core, node, result_id);
        return;
    }
    t.batch = t.unit->batch;
    t.unit->touched_ns = core->now.mono.ns;
    uint32_t dev = t.unit->device;
    if (result->line_count == 1 && result->lines[0].inputs > 0 &&
        is_wanted(&t, &result->lines[0])) {
        result = t.result = sl_core_half_join(core, node, result);
        if (!result) {
            if (SL_MUTANT(part_acknowledged)) {
                acknowledge(core, node, result_id);
            }
            return; /* its agent keeps all parts until the whole is durable */
        }
    }
    for (uint32_t i = 0; i < result->line_count; i++) {
        take_line(&t, &result->lines[i]);
    }
    if (t.accepted > 0) {
        sl_core_batch_store(core, t.batch);
    }
    if (t.pinned) {
        sl_core_file_call_back(core, t.batch);
    }
    if (result->unit_done || t.unit->left == 0) {
        sl_core_unit_close(core, t.unit);
    }
    sl_core_batch_check(core, t.batch);
    if (dev != SL_CORE_NONE) {
        sl_core_unit_top_up(core, dev);
    }
    acknowledge(core, node, result_id);
    sl_core_half_done(core, node, result_id);
    sl_core_arm(core);
}
