/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "broker/store/store.h"

#define BLOCK 8u

struct sl_op *sl_txn_op(const struct sl_txn *txn, uint32_t index) {
    sl_assert(index < txn->block_count * BLOCK);
    return &txn->blocks[index / BLOCK][index % BLOCK];
}

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
        op_fini(sl_txn_op(txn, i));
    }
    for (uint32_t i = 0; i < txn->block_count; i++) {
        free(txn->blocks[i]);
    }
    free(txn->blocks);
    free(txn);
}

static bool is_power_of_two(uint32_t n) {
    return (n & (n - 1)) == 0;
}

/* Blocks stay in the heap; as one array they were mapped and unmapped for every switch, and each
 * unmapping interrupts the cores of all other threads. Their list doubles: it is full where its
 * length is a power of two. */
static bool add_block(struct sl_txn *txn) {
    uint32_t n = txn->block_count;
    if (is_power_of_two(n)) {
        struct sl_op **blocks = realloc(txn->blocks, (n ? 2 * (size_t)n : 1) * sizeof *blocks);
        if (!blocks) {
            return false;
        }
        txn->blocks = blocks;
    }
    txn->blocks[n] = malloc(BLOCK * sizeof *txn->blocks[n]);
    txn->block_count += txn->blocks[n] ? 1 : 0;
    return txn->blocks[n] != NULL;
}

int sl_txn_add(struct sl_txn *txn, const struct sl_op *op, struct sl_error *err) {
    sl_assert(op->kind != SL_OP_INVALID);
    if (txn->count == txn->block_count * BLOCK && !add_block(txn)) {
        struct sl_op owned = *op;
        op_fini(&owned);
        return sl_fail(err, SL_NOMEM, "no memory for a transaction of %u operations",
                       txn->count + 1);
    }
    *sl_txn_op(txn, txn->count++) = *op;
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
