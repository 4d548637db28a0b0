/* SPDX-License-Identifier: Apache-2.0
 * What is durable, as the broker was told it: the checkers' own picture of the store, made from the
 * transactions that were committed, and compared with the store's rows after every start.
 *
 * Rule "durability": what a commit was reported for is in the store after any crash, unchanged. */
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "tests/sim/internal.h"

enum fact_kind {
    FACT_DIRECTIVE = 'D',
    FACT_RESULT = 'R',
    FACT_TRANSFER = 'T',
    FACT_SHARE = 'S',
    FACT_UNIT = 'U'
};

/* One thing that a transaction says. */
struct saying {
    enum sl_op_kind kind;
    uint64_t key, value; /* of a fact; 0: none */
    uint32_t index;      /* batch or order */
    uint32_t line;
    int what; /* batch state or override kind */
};

struct sim_pending {
    struct sim_pending *next;
    uint64_t ticket;
    uint32_t count;
    struct saying sayings[];
};

/* ---- rows to facts; the same fold for an operation and for a row of the file ---- */

static uint64_t directive_key(const char *device, uint64_t epoch) {
    return sim_fold(sim_fold_text(FACT_DIRECTIVE, device), epoch);
}
static uint64_t directive_value(const char *mode, const char *batch, int64_t price) {
    return sim_fold(sim_fold_text(sim_fold_text(1, mode), batch), (uint64_t)price);
}
static uint64_t result_key(const char *batch, uint32_t line) {
    return sim_fold(sim_fold_text(FACT_RESULT, batch), line);
}
static uint64_t result_value(uint64_t unit, int status, uint32_t tokens, int64_t amount) {
    return sim_fold(sim_fold(sim_fold(unit, (uint64_t)status), tokens), (uint64_t)amount);
}
static uint64_t transfer_key(int kind, const char *ref) {
    return sim_fold(sim_fold_text(FACT_TRANSFER, ref), (uint64_t)kind);
}
static uint64_t transfer_value(uint64_t id, const char *debit, const char *credit, int64_t amount) {
    return sim_fold(sim_fold_text(sim_fold_text(id, debit), credit), (uint64_t)amount);
}
static uint64_t share_key(const char *node_key, uint64_t id) {
    return sim_fold(sim_fold_text(FACT_SHARE, node_key), id);
}
static uint64_t share_value(int outcome, uint64_t work, int64_t amount) {
    return sim_fold(sim_fold((uint64_t)outcome, work), (uint64_t)amount);
}
static uint64_t unit_key(uint64_t id) {
    return sim_fold(FACT_UNIT, id);
}
static uint64_t unit_value(const char *device, uint64_t epoch, const char *batch, int64_t price) {
    return sim_fold(sim_fold_text(sim_fold_text(epoch, device), batch), (uint64_t)price);
}

bool sim_model_has_directive(const struct sim *sim, const char *device, uint64_t epoch) {
    return sim_facts_get(sim->durable, directive_key(device, epoch), NULL);
}
bool sim_model_has_share(const struct sim *sim, const char *node_key, uint64_t id) {
    return sim_facts_get(sim->durable, share_key(node_key, id), NULL);
}
bool sim_model_has_unit(const struct sim *sim, uint64_t id) {
    return sim_facts_get(sim->durable, unit_key(id), NULL);
}

/* ---- a transaction on its way ---- */

static uint32_t order_index(const struct sim *sim, const char *subject) {
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        if (strcmp(sim->agents[i].node, subject) == 0) {
            return i;
        }
    }
    return strcmp(subject, "*") == 0 ? sim->agent_count : UINT32_MAX;
}

static uint32_t batch_index(struct sim *sim, const char *id) {
    const struct sim_batch *batch = sim_batch_find(sim, id);
    return batch ? (uint32_t)(batch - sim->batches) : UINT32_MAX;
}

static void read_op(struct sim *sim, const struct sl_op *op, struct saying *out) {
    switch (op->kind) {
    case SL_OP_DIRECTIVE:
        out->key = directive_key(op->directive.device, op->directive.epoch);
        out->value = directive_value(sl_mode_name(op->directive.mode), op->directive.batch,
                                     op->directive.price_nusd_per_mtok);
        break;
    case SL_OP_RESULT:
        out->key = result_key(op->result.batch, op->result.line);
        out->value = result_value(op->result.unit_id, op->result.status, op->result.tokens,
                                  op->result.amount_nusd);
        out->index = batch_index(sim, op->result.batch);
        out->line = op->result.line;
        break;
    case SL_OP_TRANSFER:
        out->key = transfer_key(op->transfer.kind, op->transfer.ref);
        out->value = transfer_value(op->transfer.id, op->transfer.debit, op->transfer.credit,
                                    op->transfer.amount.v);
        break;
    case SL_OP_SHARE:
        out->key = share_key(op->share.node_key, op->share.share_id);
        out->value = share_value(op->share.outcome, op->share.work_hashes, op->share.amount_nusd);
        break;
    case SL_OP_UNIT:
        if (!op->unit.closed) {
            out->key = unit_key(op->unit.unit_id);
            out->value = unit_value(op->unit.device, op->unit.epoch, op->unit.batch,
                                    op->unit.price_nusd_per_mtok);
        }
        break;
    case SL_OP_BATCH:
        out->index = batch_index(sim, op->batch->id);
        out->what = (int)op->batch->state;
        break;
    case SL_OP_OVERRIDE:
        out->index = order_index(sim, op->override_.subject);
        out->what = (int)op->override_.kind;
        break;
    case SL_OP_INVALID:
    case SL_OP_DEVICE:
    case SL_OP_FILE:
    case SL_OP_FILE_DELETE:
    case SL_OP_KEY:
    case SL_OP_AUDIT:
    case SL_OP_POOL: /* says what its shares say; the store's check compares them */
    case SL_OP_PRICE:
    case SL_OP_AGAINST:
    case SL_OP_SETTLEMENT:
    case SL_OP_ENROLMENT:
    case SL_OP_AGENT:
    case SL_OP_EVENT:
    case SL_OP_HEALTH:
    case SL_OP_META:
    default:
        break;
    }
}

void sim_model_submitted(struct sim *sim, const struct sl_txn *txn) {
    struct sim_pending *pending =
        calloc(1, sizeof *pending + txn->count * sizeof pending->sayings[0]);
    sl_assert(pending);
    pending->ticket = txn->ticket;
    for (uint32_t i = 0; i < txn->count; i++) {
        struct saying *out = &pending->sayings[pending->count];
        const struct sl_op *op = sl_txn_op(txn, i);
        *out = (struct saying){.kind = op->kind, .index = UINT32_MAX};
        read_op(sim, op, out);
        pending->count += out->key != 0 || out->index != UINT32_MAX ? 1 : 0;
        sim_check_order_of_ops(sim, op);
        sim_joining_op(sim, op);
        if (op->kind == SL_OP_HEALTH) {
            sim_retests_written(sim, &op->health);
        }
    }
    struct sim_pending **end = &sim->pending;
    while (*end) {
        end = &(*end)->next;
    }
    *end = pending;
}

static void take_state(struct sim *sim, uint32_t index, enum sl_batch_state state) {
    struct sim_batch *batch = &sim->batches[index];
    if (sl_batch_state_is_final(batch->state) && state != batch->state) {
        sim_break(sim, "batches", "%s was %s and is %s now", batch->id,
                  sl_batch_state_name(batch->state), sl_batch_state_name(state));
    }
    batch->state = state;
}

static void take(struct sim *sim, const struct saying *s) {
    if (s->key != 0 && !sim_facts_put(sim->durable, s->key, s->value)) {
        sim_break(sim, "durability", "a row of kind %d was written twice with other figures",
                  (int)s->kind);
    }
    if (s->index == UINT32_MAX) {
        return;
    }
    if (s->kind == SL_OP_RESULT) {
        sim->batches[s->index].done[s->line] = 1;
        sim->result->lines++;
    } else if (s->kind == SL_OP_BATCH) {
        take_state(sim, s->index, (enum sl_batch_state)s->what);
    } else if (s->kind == SL_OP_OVERRIDE) {
        sim->orders[s->index].durable = (enum sl_override_kind)s->what;
        sim->orders[s->index].durable_ns = sim->now_ns;
    }
}

void sim_model_durable(struct sim *sim, uint64_t ticket) {
    while (sim->pending && sim->pending->ticket <= ticket) {
        struct sim_pending *first = sim->pending;
        sim->pending = first->next;
        for (uint32_t i = 0; i < first->count; i++) {
            take(sim, &first->sayings[i]);
        }
        free(first);
    }
}

void sim_model_crashed(struct sim *sim) {
    if (sim->pending && !sim->over) {
        sim_count(sim, SIM_COMMIT_LOST);
    }
    while (sim->pending) {
        struct sim_pending *first = sim->pending;
        sim->pending = first->next;
        free(first);
    }
}

/* ---- the store's rows ---- */

static const char *text_of(sqlite3_stmt *stmt, int column) {
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

typedef void (*row_fn)(struct sim *sim, sqlite3_stmt *stmt, struct sim_facts *found);

static void directive_row(struct sim *sim, sqlite3_stmt *stmt, struct sim_facts *found) {
    (void)sim;
    sim_facts_put(
        found, directive_key(text_of(stmt, 0), (uint64_t)sqlite3_column_int64(stmt, 1)),
        directive_value(text_of(stmt, 2), text_of(stmt, 3), sqlite3_column_int64(stmt, 4)));
}
static void result_row(struct sim *sim, sqlite3_stmt *stmt, struct sim_facts *found) {
    uint32_t line = (uint32_t)sqlite3_column_int64(stmt, 1);
    sim_facts_put(found, result_key(text_of(stmt, 0), line),
                  result_value((uint64_t)sqlite3_column_int64(stmt, 2), sqlite3_column_int(stmt, 3),
                               (uint32_t)sqlite3_column_int64(stmt, 4),
                               sqlite3_column_int64(stmt, 5)));
    struct sim_batch *batch = sim_batch_find(sim, text_of(stmt, 0));
    if (batch && line < batch->lines) {
        batch->done[line] = 1;
    }
}
static void transfer_row(struct sim *sim, sqlite3_stmt *stmt, struct sim_facts *found) {
    (void)sim;
    sim_facts_put(found, transfer_key(sqlite3_column_int(stmt, 1), text_of(stmt, 5)),
                  transfer_value((uint64_t)sqlite3_column_int64(stmt, 0), text_of(stmt, 2),
                                 text_of(stmt, 3), sqlite3_column_int64(stmt, 4)));
}
static void share_row(struct sim *sim, sqlite3_stmt *stmt, struct sim_facts *found) {
    (void)sim;
    sim_facts_put(found, share_key(text_of(stmt, 0), (uint64_t)sqlite3_column_int64(stmt, 1)),
                  share_value(sqlite3_column_int(stmt, 2), (uint64_t)sqlite3_column_int64(stmt, 3),
                              sqlite3_column_int64(stmt, 4)));
}
static void unit_row(struct sim *sim, sqlite3_stmt *stmt, struct sim_facts *found) {
    (void)sim;
    sim_facts_put(found, unit_key((uint64_t)sqlite3_column_int64(stmt, 0)),
                  unit_value(text_of(stmt, 1), (uint64_t)sqlite3_column_int64(stmt, 2),
                             text_of(stmt, 3), sqlite3_column_int64(stmt, 4)));
}

/* A state that was reported durable may have gone on, never back. */
static void batch_row(struct sim *sim, sqlite3_stmt *stmt, struct sim_facts *found) {
    (void)found;
    struct sim_batch *batch = sim_batch_find(sim, text_of(stmt, 0));
    enum sl_batch_state state = sl_batch_state_parse(text_of(stmt, 1));
    if (!batch) {
        sim_break(sim, "batches", "the store has a batch that nobody asked for: %s",
                  text_of(stmt, 0));
        return;
    }
    if (sl_batch_state_is_final(batch->state) && state != batch->state) {
        sim_break(sim, "durability", "%s was %s and is %s after a restart", batch->id,
                  sl_batch_state_name(batch->state), sl_batch_state_name(state));
    }
    batch->state = state;
    batch->in_store = true;
}

static void override_row(struct sim *sim, sqlite3_stmt *stmt, struct sim_facts *found) {
    (void)found;
    uint32_t index = order_index(sim, text_of(stmt, 0));
    if (index != UINT32_MAX) {
        sim_count(sim, SIM_ORDER_SURVIVED);
        sim->orders[index].in_store = (enum sl_override_kind)sqlite3_column_int(stmt, 1);
    }
}

static void health_row(struct sim *sim, sqlite3_stmt *stmt, struct sim_facts *found) {
    (void)found;
    sim_retests_found(sim, text_of(stmt, 0), (enum sl_health_state)sqlite3_column_int(stmt, 1));
}

static void each(struct sim *sim, sqlite3 *db, const char *sql, row_fn row,
                 struct sim_facts *found) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    while (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        row(sim, stmt, found);
    }
    if (rc != SQLITE_OK) {
        sim_break(sim, "durability", "the store cannot be read: %s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(stmt);
}

static void compare_orders(struct sim *sim, bool restored) {
    for (uint32_t i = 0; i <= sim->agent_count; i++) {
        enum sl_override_kind now = sim->orders[i].in_store;
        if (!restored && now != sim->orders[i].durable && now != sim->orders[i].asked) {
            sim_break(sim, "durability", "a person's order (subject %u) did not outlive a restart",
                      i);
        }
        sim->orders[i].durable = now;
        sim->orders[i].durable_ns = sim->now_ns;
        if (restored) {
            sim->orders[i].asked = now;
            sim->orders[i].answered = true;
        }
    }
}

static void compare_batches(struct sim *sim, bool restored) {
    for (uint32_t i = 0; i < sim->batch_count; i++) {
        struct sim_batch *batch = &sim->batches[i];
        if (batch->in_store) {
            batch->told_end = batch->told_end && sl_batch_state_is_final(batch->state);
            continue;
        }
        if (batch->state != SL_BATCH_INVALID && !restored) {
            sim_break(sim, "durability", "%s was durable and is gone", batch->id);
        }
        batch->lost = batch->lost || batch->acknowledged;
        batch->state = SL_BATCH_INVALID;
    }
}

void sim_model_check_store(struct sim *sim, bool restored) {
    sqlite3 *db = NULL;
    struct sim_facts *found = sim_facts_create();
    if (sqlite3_open_v2(SIM_STORE, &db, SQLITE_OPEN_READONLY, SIM_VFS) != SQLITE_OK) {
        sim_break(sim, "durability", "the store cannot be opened to be read");
    }
    for (uint32_t i = 0; i < sim->batch_count; i++) {
        sim->batches[i].in_store = false;
        memset(sim->batches[i].done, 0, sim->batches[i].lines);
        sim->batches[i].state = restored ? SL_BATCH_INVALID : sim->batches[i].state;
    }
    for (uint32_t i = 0; i <= sim->agent_count; i++) {
        sim->orders[i].in_store = SL_OVERRIDE_NONE;
    }
    each(sim, db, "SELECT device,epoch,mode,batch,price_nusd_per_mtok FROM directives",
         directive_row, found);
    each(sim, db, "SELECT batch,line,unit_id,status,tokens,amount_nusd FROM results", result_row,
         found);
    each(sim, db, "SELECT id,kind,debit,credit,amount_nusd,ref FROM transfers", transfer_row,
         found);
    each(sim, db, "SELECT node_key,share_id,outcome,work_hashes,amount_nusd FROM shares", share_row,
         found);
    each(sim, db, "SELECT unit_id,device,epoch,batch,price_nusd_per_mtok FROM units", unit_row,
         found);
    each(sim, db, "SELECT id,state FROM batches", batch_row, found);
    each(sim, db, "SELECT subject,kind FROM overrides", override_row, found);
    sim_retests_found(sim, NULL, SL_HEALTH_OK);
    each(sim, db, "SELECT device,state FROM device_health", health_row, found);
    sqlite3_close(db);
    size_t index = 0;
    uint64_t key, value, now;
    while (!restored && sim_facts_at(sim->durable, &index, &key, &value)) {
        if (!sim_facts_get(found, key, &now) || now != value) {
            sim_break(sim, "durability",
                      "a row that was reported durable is %s after a restart (%zu of %zu rows)",
                      sim_facts_get(found, key, &now) ? "another" : "gone", sim_facts_count(found),
                      sim_facts_count(sim->durable));
        }
    }
    compare_batches(sim, restored);
    compare_orders(sim, restored);
    sim_facts_destroy(sim->durable);
    sim->durable = found;
    sim_check_orders_reset(sim);
}
