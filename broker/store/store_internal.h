/* SPDX-License-Identifier: Apache-2.0
 * Shared by the store's own files only. A statement cache holds one prepared statement per SQL text
 * (by address of the literal), so that the hot path never parses SQL. */
#ifndef SLUICE_BROKER_STORE_STORE_INTERNAL_H
#define SLUICE_BROKER_STORE_STORE_INTERNAL_H

#include <sqlite3.h>

#include "broker/store/store.h"
#include "proto/base/text.h"

#define SL_SCHEMA_SETTLEMENTS 4 /* the step that made their table */
#define SL_SCHEMA_POOLS 7       /* likewise */
#define SL_SCHEMA_MODEL_FILE 8  /* likewise, for its column */
#define SL_SCHEMA_OUTPUT_LIFE 9 /* likewise */
#define SL_SCHEMA_VERSION SL_SCHEMA_OUTPUT_LIFE
#define SL_STORE_APPLICATION 1397511491 /* "SLUC" */
#define SL_STATEMENTS_MAX 64

/* True for a row of `batches` whose batch is not final (sl_batch_state_is_final). */
#define SL_SQL_BATCH_OPEN "state IN ('validating','in_progress','finalizing','cancelling')"

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

/* Opens for writing through the VFS with page checksums, 0600; never checkpoints when closed. */
int sl_store_open_db(const char *path, const char *vfs, sqlite3 **ret_db, struct sl_error *err);

/* schema.c: creates or migrates, and sets the connection up; refuses a newer schema, a damaged file
 * and what is no store of ours by name. */
int sl_schema_prepare(sqlite3 *db, const char *path, struct sl_error *err);
/* A database of somebody else's would take our tables as willingly as ours. */
int sl_schema_refuse_foreign(sqlite3 *db, const char *path, struct sl_error *err);
/* PRAGMA quick_check. */
int sl_schema_quick_check(sqlite3 *db, const char *path, struct sl_error *err);
/* The steps from the present version on, each one transaction. */
int sl_schema_migrate(sqlite3 *db, struct sl_error *err);
/* One integer. */
int sl_store_int(sqlite3 *db, const char *sql, int64_t *ret_value, struct sl_error *err);

/* site.c: whose store it is, and rows of meta. */
#define SL_META_SITE_ID "site.id"
#define SL_META_SITE_KEY "site.key"
#define SL_META_RESTORED "restored.at_ms" /* of the last restore */
#define SL_META_FLOOR "restored.units"    /* unit ids and epochs go on above */
#define SL_SITE_KEY_MAX 64
int sl_store_meta_put(sqlite3 *db, const char *key, const char *value, struct sl_error *err);
int sl_site_claim(sqlite3 *db, const struct sl_store_config *config, struct sl_error *err);

/* rebuild.c: a store of schema 1 has no room for checksums in its pages: a copy that has replaces
 * it, by rename. */
int sl_store_rebuild(const char *path, struct sl_error *err);

/* lock.c: files that this user can use; one broker for a store, and what it left word of. */
int sl_store_check_files(const char *path, struct sl_error *err);
struct sl_store_record {
    bool known;        /* there is one */
    bool open;         /* the broker has not closed the store since */
    int64_t wal_bytes; /* the log is at least so long while it is open */
};
int sl_store_lock(const char *path, int64_t wait_ms, int *ret_fd, struct sl_error *err);
int sl_store_record_read(int fd, struct sl_store_record *ret_record, struct sl_error *err);
int sl_store_record_write(int fd, const struct sl_store_record *record, struct sl_error *err);
/* apply.c: one operation inside the open SQLite transaction, and what is left to write before its
 * commit. After a rollback s->delta_count must be set to 0. */
int sl_store_apply(struct sl_statements *s, const struct sl_op *op, struct sl_error *err);
int sl_store_apply_settlement(struct sl_statements *s, const struct sl_settlement_row *row,
                              struct sl_error *err); /* settlements.c */
int sl_store_apply_pool(struct sl_statements *s, const struct sl_pool_row *row,
                        struct sl_error *err); /* pools.c */
int sl_store_apply_enrolment(struct sl_statements *s, const struct sl_enrolment_row *row,
                             struct sl_error *err); /* agents.c */
int sl_store_apply_agent(struct sl_statements *s, const struct sl_agent_row *row,
                         struct sl_error *err); /* agents.c */
int sl_store_apply_event(struct sl_statements *s, const struct sl_event_row *row,
                         struct sl_error *err); /* events.c */
int sl_store_apply_health(struct sl_statements *s, const struct sl_health_row *row,
                          struct sl_error *err);
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
