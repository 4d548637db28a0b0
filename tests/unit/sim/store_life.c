/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sim/store_life.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/store_internal.h"

#define DEVICES 4
#define BATCH_TXNS 30 /* a new batch after so many */
#define START_MS INT64_C(1790000000000)

static void add(struct sl_txn *txn, const struct sl_op *op) {
    if (sl_txn_add(txn, op, NULL)) {
        abort();
    }
}

static struct sl_wall time_of(uint64_t n) {
    return (struct sl_wall){START_MS + (int64_t)n * 997};
}

static void add_device(struct sl_txn *txn, uint64_t n) {
    struct sl_op op = {.kind = SL_OP_DEVICE};
    snprintf(op.device.key, sizeof op.device.key, "rig/%u", (unsigned)(n % DEVICES));
    strcpy(op.device.node, "rig");
    strcpy(op.device.node_key, "nodekey");
    op.device.first_seen = time_of(n);
    add(txn, &op);
}

static void add_directive(struct sl_txn *txn, uint64_t n, struct life_counters *c) {
    struct sl_op op = {.kind = SL_OP_DIRECTIVE};
    struct sl_directive_row *row = &op.directive;
    snprintf(row->device, sizeof row->device, "rig/%u", (unsigned)(n / 5 % DEVICES));
    row->epoch = ++c->epoch;
    row->mode = n % 2 ? SL_MODE_INFER : SL_MODE_HASH;
    row->price_nusd_per_mtok = 50000000;
    strcpy(row->rule, "threshold");
    snprintf(row->why, sizeof row->why, "lease 1.%03u over hash 1.000 x 1.15",
             (unsigned)(n % 1000));
    memset(row->inputs_digest, (int)n, sizeof row->inputs_digest);
    row->at = time_of(n);
    add(txn, &op);
    struct sl_op unit = {.kind = SL_OP_UNIT};
    unit.unit.unit_id = ++c->unit;
    strcpy(unit.unit.node_key, "nodekey");
    strcpy(unit.unit.device, row->device);
    unit.unit.epoch = row->epoch;
    strcpy(unit.unit.batch, "batch");
    unit.unit.line_count = 8;
    for (uint32_t i = 0; i < 8; i++) {
        unit.unit.lines[i] = c->line + i;
    }
    add(txn, &unit);
}

static void add_transfer(struct sl_txn *txn, uint64_t n, struct life_counters *c,
                         enum sl_transfer_kind kind, unsigned payer, const char *ref,
                         int64_t amount) {
    struct sl_op op = {.kind = SL_OP_TRANSFER};
    op.transfer.id = ++c->transfer;
    op.transfer.kind = kind;
    snprintf(op.transfer.debit, sizeof op.transfer.debit, "tenant:%u", payer);
    strcpy(op.transfer.credit, kind == SL_TRANSFER_LINE ? "revenue:lease" : "revenue:hash");
    op.transfer.amount.v = amount;
    strcpy(op.transfer.ref, ref);
    op.transfer.at = time_of(n);
    add(txn, &op);
}

/* Finished lines: the result, its posting and the batch's bill belong together. */
static void add_results(struct sl_txn *txn, uint64_t n, struct life_counters *c) {
    char batch[SL_ID_MAX];
    unsigned payer = (unsigned)(n / BATCH_TXNS) % 3;
    snprintf(batch, sizeof batch, "batch_%u", (unsigned)(n / BATCH_TXNS));
    if (n % BATCH_TXNS == 1) {
        c->line = 0;
        c->billed_nusd = 0;
    }
    for (uint32_t i = 0; i <= n % 3; i++) {
        struct sl_op op = {.kind = SL_OP_RESULT};
        struct sl_result_row *row = &op.result;
        strcpy(row->batch, batch);
        row->line = c->line++;
        row->unit_id = 0; /* of no unit, since the amounts are made up */
        row->status = SL_LINE_OK;
        row->tokens = 7 + i;
        row->vector_count = 1;
        row->dim = n % 11 == 1 ? 1536 : 48; /* now and then over several pages */
        row->vectors = malloc(row->dim * 4);
        for (uint32_t k = 0; k < row->dim * 4; k++) {
            row->vectors[k] = (uint8_t)(n * 31 + k * 7 + i);
        }
        row->amount_nusd = 1000 + (int64_t)n + i;
        row->at = time_of(n);
        char ref[80];
        snprintf(ref, sizeof ref, "%s/%u", batch, row->line);
        int64_t amount = row->amount_nusd;
        add(txn, &op);
        add_transfer(txn, n, c, SL_TRANSFER_LINE, payer, ref, amount);
        c->billed_nusd += amount;
    }
    struct sl_op op = {.kind = SL_OP_BATCH, .batch = calloc(1, sizeof(struct sl_batch_row))};
    strcpy(op.batch->id, batch);
    snprintf(op.batch->tenant, sizeof op.batch->tenant, "%u", payer);
    op.batch->state = SL_BATCH_IN_PROGRESS;
    op.batch->after_finalizing = SL_BATCH_COMPLETED;
    op.batch->lines_completed = c->line;
    op.batch->billed_nusd = c->billed_nusd;
    op.batch->accrual.rem = (sl_i128)n * 12345;
    add(txn, &op);
}

static void add_share(struct sl_txn *txn, uint64_t n, struct life_counters *c) {
    struct sl_op op = {.kind = SL_OP_SHARE};
    struct sl_share_row *row = &op.share;
    strcpy(row->node_key, "nodekey");
    row->share_id = ++c->share;
    strcpy(row->device, "rig/0");
    row->outcome = n % 10 == 3 ? SL_SHARE_ACCEPTED : SL_SHARE_REJECTED;
    row->work_hashes = UINT64_C(1) << 42;
    row->amount_nusd = row->outcome == SL_SHARE_ACCEPTED ? 17 : 0;
    row->at = time_of(n);
    strcpy(row->pool, "a");
    add(txn, &op);
    struct sl_op sums = {.kind = SL_OP_POOL, .pool = c->pool};
    strcpy(sums.pool.name, "a");
    sums.pool.accepted += row->outcome == SL_SHARE_ACCEPTED;
    sums.pool.rejected += row->outcome == SL_SHARE_REJECTED;
    sums.pool.amount_nusd += row->amount_nusd;
    sums.pool.work += (sl_i128)row->work_hashes << 30;
    c->pool = sums.pool;
    add(txn, &sums);
    if (row->outcome == SL_SHARE_ACCEPTED) {
        char ref[80];
        snprintf(ref, sizeof ref, "nodekey/%llu", (unsigned long long)row->share_id);
        add_transfer(txn, n, c, SL_TRANSFER_SHARE, (unsigned)(n % 3), ref, 17);
    }
}

static void add_people(struct sl_txn *txn, uint64_t n, const struct life_counters *c) {
    struct sl_op op = {.kind = SL_OP_AUDIT};
    strcpy(op.audit.actor, "key_1");
    strcpy(op.audit.action, "drain");
    snprintf(op.audit.detail, sizeof op.audit.detail, "order %llu", (unsigned long long)n);
    op.audit.at = time_of(n);
    add(txn, &op);
    op = (struct sl_op){.kind = SL_OP_OVERRIDE};
    strcpy(op.override_.subject, "rig/1");
    op.override_.kind = n % 2 ? SL_OVERRIDE_DRAIN : SL_OVERRIDE_NONE;
    add(txn, &op);
    op = (struct sl_op){.kind = n % 20 == 9 ? SL_OP_FILE_DELETE : SL_OP_FILE};
    snprintf(op.file.id, sizeof op.file.id, "file_%u", (unsigned)(n / 20));
    strcpy(op.file.purpose, "batch");
    op.file.bytes = (int64_t)n;
    add(txn, &op);
    op = (struct sl_op){.kind = SL_OP_PRICE};
    strcpy(op.price.feed, "hashprice");
    op.price.value_nano = (int64_t)n * 1000000;
    op.price.seen = time_of(n);
    add(txn, &op);
    op = (struct sl_op){.kind = SL_OP_UNIT};
    op.unit.unit_id = c->unit;
    op.unit.closed = true;
    add(txn, &op);
}

struct sl_txn *life_txn(uint64_t n, struct life_counters *counters) {
    struct sl_txn *txn = NULL;
    if (sl_txn_create(&txn, NULL)) {
        abort();
    }
    switch (n <= DEVICES ? 9 : n % 5) {
    case 0:
        add_directive(txn, n, counters);
        break;
    case 1:
    case 2:
        add_results(txn, n, counters);
        break;
    case 3:
        add_share(txn, n, counters);
        break;
    case 4:
        add_people(txn, n, counters);
        break;
    default:
        add_device(txn, n);
        break;
    }
    struct sl_op op = {.kind = SL_OP_META};
    strcpy(op.meta.key, "last");
    snprintf(op.meta.value, sizeof op.meta.value, "%llu", (unsigned long long)n);
    add(txn, &op);
    txn->ticket = n;
    return txn;
}

uint64_t life_last(struct sl_reader *reader) {
    char value[192] = "0";
    (void)sl_reader_meta(reader, "last", value, sizeof value);
    return strtoull(value, NULL, 10);
}

static void mix(uint64_t *digest, const void *data, size_t size) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        *digest = (*digest ^ bytes[i]) * UINT64_C(0x100000001B3);
    }
}

static void mix_rows(uint64_t *digest, sqlite3 *db, const char *table) {
    /* What a store notes about itself there need not be a function of the life. */
    const char *which = strcmp(table, "meta") == 0 ? " WHERE key = 'last'" : "";
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT * FROM %s%s", table, which);
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        return;
    }
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            int type = sqlite3_column_type(stmt, i);
            const void *data = sqlite3_column_blob(stmt, i);
            mix(digest, &type, sizeof type);
            mix(digest, data, (size_t)sqlite3_column_bytes(stmt, i));
        }
    }
    mix(digest, &rc, sizeof rc);
    sqlite3_finalize(stmt);
}

uint64_t life_digest(struct sl_reader *reader) {
    uint64_t digest = UINT64_C(0xCBF29CE484222325);
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(reader->db,
                           "SELECT name FROM sqlite_schema WHERE type='table' ORDER BY name", -1,
                           &stmt, NULL) != SQLITE_OK) {
        return 0;
    }
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(stmt, 0);
        mix(&digest, table, strlen(table));
        mix_rows(&digest, reader->db, table);
    }
    sqlite3_finalize(stmt);
    return digest;
}
