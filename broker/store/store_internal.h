/* SPDX-License-Identifier: Apache-2.0
 * Shared by the store's own files only. A statement cache holds one prepared statement per SQL text
 * (by address of the literal), so that the hot path never parses SQL. */
#ifndef SLUICE_BROKER_STORE_STORE_INTERNAL_H
#define SLUICE_BROKER_STORE_STORE_INTERNAL_H

#include <sqlite3.h>

#include "broker/store/store.h"
#include "proto/base/text.h"

#define SL_SCHEMA_VERSION 1
#define SL_STATEMENTS_MAX 64

/* Sums that the transfers of one commit add to an account: written once at its end, since one
 * result message alone posts dozens of transfers between the same two accounts. */
#define SL_DELTAS_MAX 32
struct sl_account_delta {
    char id[SL_TENANT_MAX + 16];
    sl_i128 debits;
    sl_i128 credits;
};

struct sl_statements {
    sqlite3 *db;
    uint32_t delta_count;
    struct sl_account_delta deltas[SL_DELTAS_MAX];
    uint32_t count;
    const char *sql[SL_STATEMENTS_MAX];
    sqlite3_stmt *stmt[SL_STATEMENTS_MAX];
};

/* Prepared, reset and unbound; NULL on failure with *err set. sql must be a literal. */
sqlite3_stmt *sl_statements_get(struct sl_statements *s, const char *sql, struct sl_error *err);
void sl_statements_fini(struct sl_statements *s);

/* sl_fail with SQLite's own message. */
int sl_store_fail(struct sl_error *err, sqlite3 *db, const char *what);
/* Runs to the end; SL_OK when done. */
int sl_store_run(sqlite3 *db, sqlite3_stmt *stmt, const char *what, struct sl_error *err);

/* schema.c: creates or migrates; refuses a newer schema and a damaged file by name. */
int sl_schema_prepare(sqlite3 *db, const char *path, struct sl_error *err);
/* apply.c: one operation inside the open SQLite transaction, and what is left to write before its
 * commit. After a rollback s->delta_count must be set to 0. */
int sl_store_apply(struct sl_statements *s, const struct sl_op *op, struct sl_error *err);
int sl_store_apply_end(struct sl_statements *s, struct sl_error *err);

struct sl_reader {
    sqlite3 *db;
    struct sl_statements statements;
};

/* False when the column is NULL or does not fit: the row is damaged. */
static inline bool sl_column_text(sqlite3_stmt *stmt, int column, char *out, size_t size) {
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return sl_text_copy(out, size, text ? text : "") && text;
}

#endif
