/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "broker/store/store.h"

int sl_txn_create(struct sl_txn **ret_txn, struct sl_error *err) {
    struct sl_txn *txn = calloc(1, sizeof *txn);
    if (!txn) {
        return sl_fail(err, SL_NOMEM, "no memory for a transaction");
    }
    *ret_txn = txn;
    return SL_OK;
}

static void op_fini(struct sl_op *op) {
    if (op->kind == SL_OP_RESULT) {
        free(op->result.vectors);
    } else if (op->kind == SL_OP_BATCH && op->batch) {
        sl_batch_row_fini(op->batch);
        free(op->batch);
    }
}

void sl_txn_destroy(struct sl_txn *txn) {
    if (!txn) {
        return;
    }
    for (uint32_t i = 0; i < txn->count; i++) {
        op_fini(&txn->ops[i]);
    }
    free(txn->ops);
    free(txn);
}

int sl_txn_add(struct sl_txn *txn, const struct sl_op *op, struct sl_error *err) {
    sl_assert(op->kind != SL_OP_INVALID);
    if (txn->count == txn->cap) {
        uint32_t cap = txn->cap ? txn->cap * 2 : 8;
        struct sl_op *ops = realloc(txn->ops, cap * sizeof *ops);
        if (!ops) {
            struct sl_op owned = *op;
            op_fini(&owned);
            return sl_fail(err, SL_NOMEM, "no memory for a transaction of %u operations", cap);
        }
        txn->ops = ops;
        txn->cap = cap;
    }
    txn->ops[txn->count++] = *op;
    return SL_OK;
}

void sl_batch_row_fini(struct sl_batch_row *row) {
    if (row) {
        free(row->metadata);
        free(row->errors);
        row->metadata = NULL;
        row->errors = NULL;
    }
}

/* One table for both directions, in the order of enum sl_batch_state. */
static const char *const state_names[] = {"invalid",     "validating", "failed",
                                          "in_progress", "finalizing", "completed",
                                          "expired",     "cancelling", "cancelled"};
#define STATE_COUNT (sizeof state_names / sizeof state_names[0])

const char *sl_batch_state_name(enum sl_batch_state state) {
    return (size_t)state < STATE_COUNT ? state_names[state] : state_names[0];
}

enum sl_batch_state sl_batch_state_parse(const char *name) {
    for (size_t i = 1; i < STATE_COUNT; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            return (enum sl_batch_state)i;
        }
    }
    return SL_BATCH_INVALID;
}

bool sl_batch_state_is_final(enum sl_batch_state state) {
    return state == SL_BATCH_FAILED || state == SL_BATCH_COMPLETED || state == SL_BATCH_EXPIRED ||
           state == SL_BATCH_CANCELLED;
}

const char *sl_severity_name(enum sl_severity severity) {
    static const char *const names[] = {"invalid", "info", "warn", "alert"};
    return (size_t)severity < sizeof names / sizeof names[0] ? names[severity] : names[0];
}

const char *sl_health_state_name(enum sl_health_state state) {
    static const char *const names[SL_HEALTH_STATES] = {"ok", "warn", "drain", "quarantine"};
    return state < SL_HEALTH_STATES ? names[state] : "invalid";
}

const char *sl_against_name(uint32_t index) {
    /* Policies as sl_switching_at has them: tests/unit/schedulers/test_market.c. */
    static const char *const names[SL_AGAINST_COUNT] = {"actual",  "hash",         "lease",
                                                        "idle",    "fbf",          "work-function",
                                                        "percent", "minimum-time", "greedy"};
    return index < SL_AGAINST_COUNT ? names[index] : NULL;
}
