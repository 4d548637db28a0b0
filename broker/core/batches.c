/* SPDX-License-Identifier: Apache-2.0
 * Batches from a tenant's request to their final state. Finished lines are kept and billed however
 * a batch ends. Ending: nothing is issued any more, units under way are called back, and when none
 * is open the output is written; what comes later is acknowledged and dropped. */
#include <stdlib.h>
#include <string.h>

#include "broker/core/agents.h"
#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

#define BIDS_EVERY_NS SL_NS_PER_S /* of one tenant, that are decided upon at once */

struct sl_core_tenant_state *sl_core_tenant_get(struct sl_broker_core *core, const char *id) {
    for (uint32_t i = 0; i < core->tenant_count; i++) {
        if (strcmp(core->tenants[i]->config.id, id) == 0) {
            return core->tenants[i];
        }
    }
    sl_core_grow(&core->tenants, core->tenant_count, &core->tenant_cap, sizeof(void *));
    struct sl_core_tenant_state *tenant = sl_core_calloc(1, sizeof *tenant);
    sl_text_copy(tenant->config.id, sizeof tenant->config.id, id);
    tenant->gone = core->config.tenant_count > 0; /* sl_broker_core_create lists the others */
    tenant->config.budget_nusd = -1;
    tenant->config.default_bid_nusd_per_mtok = -1;
    char account[SL_TENANT_MAX + 16] = "tenant:";
    sl_text_copy(account + 7, sizeof account - 7, id);
    tenant->account = sl_core_account(core, account);
    core->tenants[core->tenant_count++] = tenant;
    return tenant;
}

struct sl_core_batch *sl_core_batch_find(const struct sl_broker_core *core, const char *id) {
    for (uint32_t i = 0; i < core->batch_count; i++) {
        if (strcmp(core->batches[i]->row.id, id) == 0) {
            return core->batches[i];
        }
    }
    return NULL;
}

static char *copy_text(const char *text) {
    if (!text) {
        return NULL;
    }
    size_t size = strlen(text) + 1;
    return memcpy(sl_core_calloc(size, 1), text, size);
}

struct sl_core_batch *sl_core_batch_add(struct sl_broker_core *core,
                                        const struct sl_batch_row *row) {
    struct sl_core_batch *batch = sl_core_calloc(1, sizeof *batch);
    batch->row = *row;
    batch->row.metadata = copy_text(row->metadata);
    batch->row.errors = copy_text(row->errors);
    batch->tenant = sl_core_tenant_get(core, row->tenant);
    sl_core_grow(&core->batches, core->batch_count, &core->batch_cap, sizeof(void *));
    core->batches[core->batch_count++] = batch;
    return batch;
}

void sl_core_batch_lines(struct sl_core_batch *batch, uint32_t count) {
    batch->row.lines_total = count;
    batch->line_state = sl_core_calloc(count, sizeof *batch->line_state);
    batch->line_tries = sl_core_calloc(count, sizeof *batch->line_tries);
    batch->line_unit = sl_core_calloc(count, sizeof *batch->line_unit);
    batch->waiting = count;
}

void sl_core_batch_free(struct sl_core_batch *batch) {
    for (uint32_t i = 0; i < batch->unit_count; i++) {
        free(batch->units[i]);
    }
    free(batch->units);
    free(batch->line_state);
    free(batch->line_tries);
    free(batch->line_unit);
    free(batch->worst);
    sl_batch_row_fini(&batch->row);
    free(batch);
}

void sl_core_batch_store(struct sl_broker_core *core, const struct sl_core_batch *batch) {
    struct sl_batch_row *row = sl_core_calloc(1, sizeof *row);
    *row = batch->row;
    row->metadata = copy_text(batch->row.metadata);
    row->errors = copy_text(batch->row.errors);
    struct sl_op op = {.kind = SL_OP_BATCH, .batch = row};
    sl_core_op(core, &op);
}

void sl_core_batch_order(struct sl_broker_core *core, const struct sl_core_batch *batch,
                         enum sl_core_command_kind kind, uint64_t ticket) {
    struct sl_core_item *item = sl_core_put(core, kind, ticket);
    sl_text_copy(item->command.batch, sizeof item->command.batch, batch->row.id);
    sl_text_copy(item->command.model, sizeof item->command.model, batch->row.model);
}

void sl_core_batch_line_back(struct sl_core_batch *batch, uint32_t line) {
    batch->line_state[line] = SL_CLINE_WAITING;
    batch->line_unit[line] = 0;
    batch->issued--;
    batch->waiting++;
    batch->hint = line < batch->hint ? line : batch->hint;
}

/* Takes it out of every table; its units and lines go with it. */
static void forget(struct sl_broker_core *core, struct sl_core_batch *batch) {
    sl_assert(batch->open_units == 0);
    sl_core_shadow_settle(core, batch);
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        if (core->fleet.batch[dev] == batch) {
            core->fleet.batch[dev] = NULL;
        }
    }
    core->best_count = 0; /* the last tick's choice may point at it */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < core->unit_count; i++) {
        if (core->units[i]->batch != batch) {
            core->units[kept++] = core->units[i];
        }
    }
    core->unit_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < core->batch_count; i++) {
        if (core->batches[i] != batch) {
            core->batches[kept++] = core->batches[i];
        }
    }
    core->batch_count = kept;
    sl_core_batch_free(batch);
    sl_core_arm(core);
}

static struct sl_wall *final_time(struct sl_batch_row *row, enum sl_batch_state state) {
    switch (state) {
    case SL_BATCH_COMPLETED:
        return &row->completed;
    case SL_BATCH_EXPIRED:
        return &row->expired;
    case SL_BATCH_CANCELLED:
        return &row->cancelled;
    case SL_BATCH_FAILED:
    case SL_BATCH_INVALID:
    case SL_BATCH_VALIDATING:
    case SL_BATCH_IN_PROGRESS:
    case SL_BATCH_FINALIZING:
    case SL_BATCH_CANCELLING:
    default:
        return &row->failed;
    }
}

/* The last write of a batch, then it is gone from here. */
static void finish(struct sl_broker_core *core, struct sl_core_batch *batch,
                   enum sl_batch_state state) {
    batch->row.state = state;
    *final_time(&batch->row, state) = core->now.wall;
    sl_core_batch_store(core, batch);
    sl_core_batch_order(core, batch, SL_CCMD_FORGET, sl_core_ticket(core));
    sl_core_log(core, SL_LOG_INFO, "batch.final", "batch=%s state=%s done=%u failed=%u of=%u",
                batch->row.id, sl_batch_state_name(state), batch->row.lines_completed,
                batch->row.lines_failed, batch->row.lines_total);
    forget(core, batch);
}

static void finalize_if_quiet(struct sl_broker_core *core, struct sl_core_batch *batch) {
    if (!batch->settling || batch->sealed || batch->open_units > 0 || batch->reading) {
        return;
    }
    batch->sealed = true;
    if (batch->row.lines_total == 0) {
        finish(core, batch, batch->row.after_finalizing); /* cancelled before it had a line */
        return;
    }
    sl_core_batch_order(core, batch, SL_CCMD_FINALIZE,
                        core->txn ? sl_core_ticket(core) : core->ticket);
}

static void settle(struct sl_broker_core *core, struct sl_core_batch *batch,
                   enum sl_batch_state after) {
    if (after != SL_BATCH_COMPLETED) {
        sl_core_shadow_advance(core); /* what is not done to its end is not corrected later */
    }
    batch->row.after_finalizing = after;
    if (after == SL_BATCH_CANCELLED) {
        batch->row.state = SL_BATCH_CANCELLING;
        batch->row.cancelling = core->now.wall;
    } else {
        batch->row.state = SL_BATCH_FINALIZING;
        batch->row.finalizing = core->now.wall;
    }
    batch->settling = true;
    sl_core_batch_store(core, batch);
    sl_core_unit_drop_all(core, batch);
    if (after == SL_BATCH_COMPLETED) {
        /* No line is open: what its agents may still do for it is worthless. */
        for (uint32_t i = 0; i < batch->unit_count; i++) {
            sl_core_unit_close(core, batch->units[i]);
        }
    }
    finalize_if_quiet(core, batch);
    sl_core_arm(core);
}

void sl_core_batch_check(struct sl_broker_core *core, struct sl_core_batch *batch) {
    if (batch->settling) {
        finalize_if_quiet(core, batch);
    } else if (batch->row.state == SL_BATCH_IN_PROGRESS && batch->lines_known &&
               batch->row.lines_completed + batch->row.lines_failed + SL_MUTANT(batch_done_early) ==
                   batch->row.lines_total) {
        settle(core, batch, SL_BATCH_COMPLETED);
    }
}

bool sl_core_batch_beats(const struct sl_core_batch *a, const struct sl_core_batch *b) {
    if (a->row.bid_nusd_per_mtok != b->row.bid_nusd_per_mtok) {
        return a->row.bid_nusd_per_mtok > b->row.bid_nusd_per_mtok;
    }
    if (a->row.created.ms != b->row.created.ms) {
        return a->row.created.ms < b->row.created.ms;
    }
    return strcmp(a->row.id, b->row.id) < 0;
}

bool sl_core_batch_pays_more(const struct sl_core_batch *a, const struct sl_core_batch *b) {
    return a->worth != b->worth ? a->worth > b->worth : sl_core_batch_beats(a, b);
}

/* The next waiting line's worst cost is covered by what its tenant has left. */
static bool is_next_affordable(const struct sl_broker_core *core,
                               const struct sl_core_batch *batch) {
    for (uint32_t line = batch->hint; line < batch->row.lines_total; line++) {
        if (batch->line_state[line] == SL_CLINE_WAITING) {
            return sl_core_unit_cost(batch->worst[line], batch->row.bid_nusd_per_mtok) <=
                   sl_core_tenant_left(core, batch->tenant);
        }
    }
    return false;
}

bool sl_core_batch_issuable(const struct sl_broker_core *core, const struct sl_core_batch *batch) {
    if (((batch->row.state != SL_BATCH_IN_PROGRESS || !batch->lines_known || batch->settling) &&
         (!batch->worst || batch->sealed || !SL_MUTANT(cancelled_batch_issued))) ||
        batch->waiting == 0 || core->now.wall.ms >= batch->row.deadline.ms) {
        return false;
    }
    return is_next_affordable(core, batch);
}

bool sl_core_batch_over_budget(const struct sl_broker_core *core,
                               const struct sl_core_batch *batch) {
    return batch->row.state == SL_BATCH_IN_PROGRESS && batch->lines_known && !batch->settling &&
           batch->waiting > 0 && !is_next_affordable(core, batch);
}

/* Bounded, so that one tenant cannot take every place from the others for weeks. */
static bool has_too_many(const struct sl_broker_core *core,
                         const struct sl_core_tenant_state *tenant) {
    uint32_t open = 0;
    for (uint32_t i = 0; i < core->batch_count; i++) {
        open += core->batches[i]->tenant == tenant;
    }
    return open >= SL_CORE_TENANT_BATCHES_MAX;
}

static int check_new(struct sl_broker_core *core, struct sl_batch_row *row, const char **ret_why) {
    struct sl_core_tenant_state *tenant = sl_core_tenant_get(core, row->tenant);
    if (tenant->gone) {
        *ret_why = "this tenant is not in the broker's configuration any more: nothing new is "
                   "taken from it; ask the operator";
        return -SL_DENIED;
    }
    _Static_assert(SL_CORE_TENANT_BATCHES_MAX == 1024, "the text says so");
    if (has_too_many(core, tenant)) {
        *ret_why = "this tenant has 1,024 batches open: wait until some are done, or cancel some";
        return -SL_LIMIT;
    }
    if (core->batch_count >= SL_CORE_BATCHES_MAX) {
        *ret_why = "too many batches are open; try again when some are done";
        return -SL_LIMIT;
    }
    if (sl_core_batch_find(core, row->id)) {
        *ret_why = "a batch of this id exists already";
        return -SL_EXISTS;
    }
    if (row->bid_nusd_per_mtok < 0) {
        row->bid_nusd_per_mtok = tenant->config.default_bid_nusd_per_mtok;
    }
    if (row->bid_nusd_per_mtok <= 0 || row->bid_nusd_per_mtok > SL_BID_MAX_NUSD) {
        *ret_why = "the batch has no usable bid and its tenant has no default: give "
                   "metadata sluice.bid_usd_per_mtok, more than 0 and at most 1000000";
        return -SL_INVALID;
    }
    if (row->deadline.ms != 0 && row->deadline.ms <= core->now.wall.ms) {
        *ret_why = "the deadline has passed already";
        return -SL_INVALID;
    }
    return SL_OK;
}

void sl_core_batch_create(struct sl_broker_core *core, struct sl_core_event *event) {
    struct sl_batch_row *row = event->row;
    event->row = NULL;
    const char *why = NULL;
    int rc = check_new(core, row, &why);
    if (rc) {
        sl_core_reply(core, event->cookie, 0, rc, "%s", why);
    } else {
        row->state = SL_BATCH_VALIDATING;
        row->created = row->created.ms ? row->created : core->now.wall;
        if (row->deadline.ms == 0) {
            row->deadline.ms = row->created.ms + core->config.batch_life_ms;
        }
        struct sl_core_batch *batch = sl_core_batch_add(core, row);
        sl_core_batch_store(core, batch);
        uint64_t ticket = sl_core_ticket(core);
        sl_core_reply(core, event->cookie, SL_MUTANT(batch_reply_before_durable) ? 0 : ticket,
                      SL_OK, "%s", row->id);
        sl_core_batch_order(core, batch, SL_CCMD_VALIDATE, ticket);
    }
    sl_batch_row_fini(row);
    free(row);
}

/* The bounds of all lines are known; those refused at validation count as failed, once. */
static void take_lines(struct sl_core_batch *batch, struct sl_core_event *event, bool first) {
    batch->worst = event->lines.worst_tokens;
    event->lines.worst_tokens = NULL;
    batch->lines_known = true;
    batch->tokens = event->lines.tokens;
    for (uint32_t line = 0; line < batch->row.lines_total; line++) {
        batch->worst_total += batch->worst[line];
        if (batch->line_state[line] == SL_CLINE_DONE) {
            batch->worst_done += batch->worst[line];
        } else if (batch->worst[line] == 0 && batch->line_state[line] == SL_CLINE_WAITING) {
            batch->line_state[line] = SL_CLINE_FAILED;
            batch->waiting--;
            batch->row.lines_failed += first || SL_MUTANT(refused_lines_counted_again) ? 1 : 0;
        }
        if (batch->line_state[line] == SL_CLINE_WAITING ||
            batch->line_state[line] == SL_CLINE_ISSUED) {
            sl_core_lengths_line(batch, batch->worst[line], 1);
        }
    }
}

/* After a restart: what is held for each open unit is the worst cost of the lines it still has. */
static void reserve_anew(struct sl_core_batch *batch) {
    for (uint32_t i = 0; i < batch->unit_count; i++) {
        struct sl_core_unit *unit = batch->units[i];
        int64_t held = 0;
        for (uint32_t k = 0; k < unit->line_count && !unit->closed; k++) {
            uint32_t line = unit->lines[k];
            bool its =
                batch->line_state[line] == SL_CLINE_ISSUED && batch->line_unit[line] == unit->id;
            held += its ? sl_core_unit_cost(batch->worst[line], unit->price) : 0;
        }
        if (!unit->closed && held < unit->reserved) {
            batch->tenant->reserved -= unit->reserved - held;
            unit->reserved = held;
        }
    }
}

/* It had begun: what its tenant was billed for is not delivered, so somebody has to act. */
static void note_lost(struct sl_broker_core *core, const struct sl_core_batch *batch,
                      const char *why) {
    char billed[64];
    sl_nusd_format(batch->row.billed_nusd, billed);
    sl_core_log(core, SL_LOG_ERROR, "batch.lost", "batch=%s tenant=%s billed_usd=%s %s",
                batch->row.id, batch->row.tenant, billed,
                why[0] ? why : "its lines cannot be read any more");
    sl_core_event_note(core, SL_SEVERITY_ALERT, "batch.lost", SL_CORE_NONE, SL_CORE_NONE,
                       "%s of %s failed: neither its spool nor its input file can be read. %s USD "
                       "were billed: check the disk, settle with the tenant",
                       batch->row.id, batch->row.tenant, billed);
}

static void fail(struct sl_broker_core *core, struct sl_core_batch *batch,
                 const struct sl_core_event *event) {
    if (batch->row.lines_total > 0) {
        note_lost(core, batch, event->text);
    }
    free(batch->row.errors);
    batch->row.errors = copy_text(event->errors);
    batch->settling = true;
    batch->sealed = true; /* closing its units must not finalize it */
    for (uint32_t i = 0; i < batch->unit_count; i++) {
        sl_core_unit_close(core, batch->units[i]);
    }
    finish(core, batch, SL_BATCH_FAILED);
}

void sl_core_batch_validated(struct sl_broker_core *core, struct sl_core_event *event) {
    struct sl_core_batch *batch = sl_core_batch_find(core, event->batch);
    if (!batch || batch->lines_known) {
        return;
    }
    batch->reading = false;
    if (batch->row.state == SL_BATCH_CANCELLING && batch->row.lines_total == 0) {
        finish(core, batch, SL_BATCH_CANCELLED); /* cancelled before it had a line */
        return;
    }
    if (batch->settling) { /* ended meanwhile, after a restart: nothing will be issued */
        finalize_if_quiet(core, batch);
        return;
    }
    bool first = batch->row.state == SL_BATCH_VALIDATING;
    bool fits = first || event->lines.count == batch->row.lines_total;
    bool usable = event->lines.count > 0 && event->lines.count <= SL_BATCH_LINES_MAX &&
                  event->lines.worst_tokens;
    if (!usable || !fits) {
        fail(core, batch, event);
        return;
    }
    sl_core_shadow_advance(core);
    if (first) {
        sl_core_batch_lines(batch, event->lines.count);
        sl_text_copy(batch->row.model, sizeof batch->row.model, event->model);
        batch->row.state = SL_BATCH_IN_PROGRESS;
        batch->row.in_progress = core->now.wall;
    }
    take_lines(batch, event, first);
    reserve_anew(batch);
    if (first) {
        sl_core_batch_store(core, batch);
    }
    sl_core_batch_check(core, batch);
    sl_core_arm(core);
}

static void store_file(struct sl_broker_core *core, const struct sl_file_row *row,
                       int64_t life_ms) {
    if (row->id[0] != '\0') {
        struct sl_op op = {.kind = SL_OP_FILE, .file = *row};
        op.file.expires.ms = life_ms ? row->created.ms + life_ms : 0;
        sl_core_op(core, &op);
    }
}

void sl_core_batch_finalized(struct sl_broker_core *core, const struct sl_core_event *event) {
    struct sl_core_batch *batch = sl_core_batch_find(core, event->batch);
    if (!batch || !batch->sealed) {
        return;
    }
    if (event->errors) {
        fail(core, batch, event);
        return;
    }
    store_file(core, &event->output, batch->row.output_life_ms);
    store_file(core, &event->error, batch->row.output_life_ms);
    sl_text_copy(batch->row.output_file, sizeof batch->row.output_file, event->output.id);
    sl_text_copy(batch->row.error_file, sizeof batch->row.error_file, event->error.id);
    finish(core, batch, batch->row.after_finalizing);
}

/* The batch that a request may touch, or a reply that says why not. A tenant is not told whether a
 * stranger's batch exists. */
static struct sl_core_batch *requested(struct sl_broker_core *core,
                                       const struct sl_core_event *event) {
    struct sl_core_batch *batch = sl_core_batch_find(core, event->batch);
    bool theirs =
        batch && (event->tenant[0] == '\0' || strcmp(batch->row.tenant, event->tenant) == 0);
    if (!theirs) {
        sl_core_reply(core, event->cookie, 0, -SL_NOTFOUND, "no open batch %s", event->batch);
        return NULL;
    }
    return batch;
}

void sl_core_batch_bid(struct sl_broker_core *core, const struct sl_core_event *event) {
    struct sl_core_batch *batch = requested(core, event);
    if (!batch) {
        return;
    }
    int64_t bid = event->bid_nusd_per_mtok;
    if (bid <= 0 || bid > SL_BID_MAX_NUSD) {
        sl_core_reply(core, event->cookie, 0, -SL_INVALID,
                      "a bid must be more than 0 and at most 1000000 USD per million tokens");
        return;
    }
    if (batch->row.state != SL_BATCH_VALIDATING && batch->row.state != SL_BATCH_IN_PROGRESS) {
        sl_core_reply(core, event->cookie, 0, -SL_BADSTATE, "batch %s is %s: its bid is settled",
                      batch->row.id, sl_batch_state_name(batch->row.state));
        return;
    }
    if (bid != batch->row.bid_nusd_per_mtok) {
        sl_core_shadow_advance(core);
        char detail[64];
        sl_nusd_format(bid, detail);
        batch->row.bid_nusd_per_mtok = bid;
        sl_core_batch_store(core, batch);
        sl_core_audit(core, event->actor, "bid", batch->row.id, detail);
        /* Who changes bids again and again does not make a large fleet decide each time. */
        int64_t *last_ns = &batch->tenant->bid_ns;
        bool often = *last_ns != 0 && core->now.mono.ns - *last_ns < BIDS_EVERY_NS;
        *last_ns = core->now.mono.ns;
        often ? sl_core_arm_soon(core) : sl_core_arm(core);
    }
    sl_core_reply(core, event->cookie, sl_core_ticket(core), SL_OK, "%s", batch->row.id);
}

void sl_core_batch_cancel(struct sl_broker_core *core, const struct sl_core_event *event) {
    struct sl_core_batch *batch = requested(core, event);
    if (!batch) {
        return;
    }
    enum sl_batch_state state = batch->row.state;
    if (state == SL_BATCH_FINALIZING) {
        sl_core_reply(core, event->cookie, 0, -SL_BADSTATE, "batch %s is being completed",
                      batch->row.id);
        return;
    }
    sl_core_audit(core, event->actor, "cancel", batch->row.id, "");
    if (state == SL_BATCH_VALIDATING) {
        batch->row.state = SL_BATCH_CANCELLING;
        batch->row.cancelling = core->now.wall;
        batch->row.after_finalizing = SL_BATCH_CANCELLED;
        sl_core_batch_store(core, batch);
    } else if (state == SL_BATCH_IN_PROGRESS) {
        settle(core, batch, SL_BATCH_CANCELLED);
    }
    sl_core_reply(core, event->cookie, sl_core_ticket(core), SL_OK, "%s", event->batch);
}

void sl_core_batch_sweep(struct sl_broker_core *core) {
    for (uint32_t i = core->batch_count; i > 0; i--) {
        struct sl_core_batch *batch = core->batches[i - 1];
        if (batch->row.state == SL_BATCH_IN_PROGRESS && !batch->settling &&
            core->now.wall.ms >= batch->row.deadline.ms && !SL_MUTANT(deadline_ignored)) {
            sl_core_log(core, SL_LOG_INFO, "batch.deadline", "batch=%s", batch->row.id);
            settle(core, batch, SL_BATCH_EXPIRED);
        }
    }
}
