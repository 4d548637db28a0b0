/* SPDX-License-Identifier: Apache-2.0
 * Lists of rows: one SELECT, one row filler, one loop each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/events.h"
#include "broker/store/store_internal.h"

/* A row that does not say what its table promises is damage; it is never guessed at. */
static int damaged(sqlite3_stmt *stmt, struct sl_error *err) {
    const char *from = strstr(sqlite3_sql(stmt), " FROM ");
    return sl_fail(
        err, SL_CORRUPT,
        "the store is damaged: a row of '%.*s' cannot be read; restore a backup, or move "
        "the store away to start with an empty ledger",
        from ? (int)strcspn(from + 6, " ") : 0, from ? from + 6 : "");
}

/* Runs a bound statement and hands each filled row on. A filler tells whether the row is sound. */
#define FOR_ROWS(stmt, row_type, fill)                                                             \
    do {                                                                                           \
        int rc_;                                                                                   \
        while ((rc_ = sqlite3_step(stmt)) == SQLITE_ROW) {                                         \
            row_type row = {0};                                                                    \
            if (!fill(stmt, &row)) {                                                               \
                sqlite3_reset(stmt);                                                               \
                return damaged(stmt, err);                                                         \
            }                                                                                      \
            if (cb(arg, &row)) {                                                                   \
                rc_ = SQLITE_DONE;                                                                 \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
        if (rc_ != SQLITE_DONE) {                                                                  \
            int status_ = sl_store_fail(err, r->db, "reading the store");                          \
            sqlite3_reset(stmt);                                                                   \
            return status_;                                                                        \
        }                                                                                          \
        sqlite3_reset(stmt);                                                                       \
    } while (0)

#define PREPARE(stmt, sql)                                                                         \
    sqlite3_stmt *stmt = sl_statements_get(&r->statements, sql, err);                              \
    if (!stmt) {                                                                                   \
        return -SL_IO;                                                                             \
    }

/* Never NULL. */
static const char *column_text(sqlite3_stmt *stmt, int column) {
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

static struct sl_wall column_wall(sqlite3_stmt *stmt, int column) {
    return (struct sl_wall){sqlite3_column_int64(stmt, column)};
}

static bool fill_device(sqlite3_stmt *stmt, struct sl_device_row *row) {
    bool good = true;
    good &= sl_column_text(stmt, 0, row->key, sizeof row->key);
    good &= sl_column_text(stmt, 1, row->node, sizeof row->node);
    good &= sl_column_text(stmt, 2, row->node_key, sizeof row->node_key);
    row->epoch_max = (uint64_t)sqlite3_column_int64(stmt, 3);
    row->first_seen = column_wall(stmt, 4);
    return good;
}

int sl_reader_devices(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err) {
    PREPARE(stmt, "SELECT key,node,node_key,epoch_max,first_seen_ms FROM devices ORDER BY key")
    FOR_ROWS(stmt, struct sl_device_row, fill_device);
    return SL_OK;
}

static bool fill_override(sqlite3_stmt *stmt, struct sl_override_row *row) {
    bool good = true;
    good &= sl_column_text(stmt, 0, row->subject, sizeof row->subject);
    row->kind = (enum sl_override_kind)sqlite3_column_int(stmt, 1);
    row->mode = sl_mode_parse(column_text(stmt, 2));
    good &= sl_column_text(stmt, 3, row->actor, sizeof row->actor);
    row->at = column_wall(stmt, 4);
    return good;
}

int sl_reader_overrides(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err) {
    PREPARE(stmt, "SELECT subject,kind,mode,actor,at_ms FROM overrides ORDER BY subject")
    FOR_ROWS(stmt, struct sl_override_row, fill_override);
    return SL_OK;
}

static bool fill_unit(sqlite3_stmt *stmt, struct sl_unit_row *row) {
    bool good = true;
    row->unit_id = (uint64_t)sqlite3_column_int64(stmt, 0);
    good &= sl_column_text(stmt, 1, row->node_key, sizeof row->node_key);
    good &= sl_column_text(stmt, 2, row->device, sizeof row->device);
    row->epoch = (uint64_t)sqlite3_column_int64(stmt, 3);
    good &= sl_column_text(stmt, 4, row->batch, sizeof row->batch);
    row->price_nusd_per_mtok = sqlite3_column_int64(stmt, 5);
    row->reserved_nusd = sqlite3_column_int64(stmt, 6);
    size_t bytes = (size_t)sqlite3_column_bytes(stmt, 7);
    good &= bytes <= sizeof row->lines && bytes % sizeof row->lines[0] == 0;
    if (good && bytes > 0) {
        memcpy(row->lines, sqlite3_column_blob(stmt, 7), bytes);
    }
    row->line_count = (uint32_t)(bytes / sizeof row->lines[0]);
    row->closed = sqlite3_column_int(stmt, 8) != 0;
    return good;
}

int sl_reader_open_units(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err) {
    /* Closed ones of open batches too: their agent may still hold finished lines. */
    PREPARE(stmt, "SELECT unit_id,node_key,device,epoch,batch,price_nusd_per_mtok,reserved_nusd,"
                  "lines,closed FROM units WHERE closed=0 OR batch IN (SELECT id FROM batches WHERE"
                  " " SL_SQL_BATCH_OPEN ")"
                  " ORDER BY unit_id")
    FOR_ROWS(stmt, struct sl_unit_row, fill_unit);
    return SL_OK;
}

static bool fill_key(sqlite3_stmt *stmt, struct sl_key_row *row) {
    bool good = true;
    good &= sl_column_text(stmt, 0, row->id, sizeof row->id);
    good &= sqlite3_column_bytes(stmt, 1) == (int)sizeof row->hash;
    if (good) {
        memcpy(row->hash, sqlite3_column_blob(stmt, 1), sizeof row->hash);
    }
    row->role = (enum sl_key_role)sqlite3_column_int(stmt, 2);
    good &= sl_column_text(stmt, 3, row->tenant, sizeof row->tenant);
    good &= sl_column_text(stmt, 4, row->label, sizeof row->label);
    row->created = column_wall(stmt, 5);
    row->revoked = column_wall(stmt, 6);
    return good;
}

int sl_reader_keys(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err) {
    PREPARE(stmt, "SELECT id,hash,role,tenant,label,created_ms,revoked_ms FROM keys"
                  " ORDER BY created_ms, id")
    FOR_ROWS(stmt, struct sl_key_row, fill_key);
    return SL_OK;
}

#define BATCH_COLUMNS                                                                              \
    "id,tenant,input_file,output_file,error_file,model,endpoint,state,after,bid_nusd_per_mtok,"    \
    "created_ms,in_progress_ms,finalizing_ms,completed_ms,failed_ms,expired_ms,cancelling_ms,"     \
    "cancelled_ms,deadline_ms,lines_total,lines_completed,lines_failed,tokens,remainder,"          \
    "billed_nusd,metadata,errors,model_sha256,output_life_ms"

/* metadata and errors point into SQLite's row: valid during the callback only. */
static bool fill_batch(sqlite3_stmt *stmt, struct sl_batch_row *row) {
    bool good = true;
    good &= sl_column_text(stmt, 0, row->id, sizeof row->id);
    good &= sl_column_text(stmt, 1, row->tenant, sizeof row->tenant);
    good &= sl_column_text(stmt, 2, row->input_file, sizeof row->input_file);
    good &= sl_column_text(stmt, 3, row->output_file, sizeof row->output_file);
    good &= sl_column_text(stmt, 4, row->error_file, sizeof row->error_file);
    good &= sl_column_text(stmt, 5, row->model, sizeof row->model);
    good &= sl_column_text(stmt, 6, row->endpoint, sizeof row->endpoint);
    row->state = sl_batch_state_parse(column_text(stmt, 7));
    row->after_finalizing = sl_batch_state_parse(column_text(stmt, 8));
    row->bid_nusd_per_mtok = sqlite3_column_int64(stmt, 9);
    struct sl_wall *times[] = {&row->created,    &row->in_progress, &row->finalizing,
                               &row->completed,  &row->failed,      &row->expired,
                               &row->cancelling, &row->cancelled,   &row->deadline};
    for (int i = 0; i < 9; i++) {
        *times[i] = column_wall(stmt, 10 + i);
    }
    row->lines_total = (uint32_t)sqlite3_column_int64(stmt, 19);
    row->lines_completed = (uint32_t)sqlite3_column_int64(stmt, 20);
    row->lines_failed = (uint32_t)sqlite3_column_int64(stmt, 21);
    row->tokens = sqlite3_column_int64(stmt, 22);
    good &= sl_i128_parse(column_text(stmt, 23), &row->accrual.rem) == SL_OK;
    row->billed_nusd = sqlite3_column_int64(stmt, 24);
    row->metadata = (char *)(uintptr_t)sqlite3_column_text(stmt, 25);
    row->errors = (char *)(uintptr_t)sqlite3_column_text(stmt, 26);
    good &= sl_column_text(stmt, 27, row->model_sha256, sizeof row->model_sha256);
    row->output_life_ms = sqlite3_column_int64(stmt, 28);
    return good;
}

int sl_reader_open_batches(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err) {
    PREPARE(stmt, "SELECT " BATCH_COLUMNS " FROM batches WHERE " SL_SQL_BATCH_OPEN " ORDER BY seq")
    FOR_ROWS(stmt, struct sl_batch_row, fill_batch);
    return SL_OK;
}

/* Lists read one row more than wanted, to know whether there are others. */
struct page {
    uint32_t limit;
    uint32_t seen;
    bool more;
    sl_row_cb cb;
    void *arg;
};

static int page_row(void *arg, const void *row) {
    struct page *page = arg;
    if (page->seen == page->limit) {
        page->more = true;
        return 1;
    }
    page->seen++;
    return page->cb(page->arg, row);
}

static int list_batches(struct sl_reader *r, const char *tenant, const char *after, uint32_t limit,
                        sl_row_cb cb, void *arg, struct sl_error *err) {
    PREPARE(stmt, "SELECT " BATCH_COLUMNS " FROM batches WHERE (?1 IS NULL OR tenant=?1) AND"
                  " (?2 IS NULL OR seq < (SELECT seq FROM batches WHERE id=?2))"
                  " ORDER BY seq DESC LIMIT ?3")
    sqlite3_bind_text(stmt, 1, tenant, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, after, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 3, (int64_t)limit + 1);
    FOR_ROWS(stmt, struct sl_batch_row, fill_batch);
    return SL_OK;
}

int sl_reader_batches(struct sl_reader *r, const char *tenant, const char *after, uint32_t limit,
                      sl_row_cb cb, void *arg, bool *ret_has_more, struct sl_error *err) {
    struct page page = {.limit = limit, .cb = cb, .arg = arg};
    int rc = list_batches(r, tenant, after, limit, page_row, &page, err);
    if (rc == SL_OK) {
        *ret_has_more = page.more;
    }
    return rc;
}

static bool fill_file(sqlite3_stmt *stmt, struct sl_file_row *row) {
    bool good = true;
    good &= sl_column_text(stmt, 0, row->id, sizeof row->id);
    good &= sl_column_text(stmt, 1, row->tenant, sizeof row->tenant);
    good &= sl_column_text(stmt, 2, row->filename, sizeof row->filename);
    good &= sl_column_text(stmt, 3, row->purpose, sizeof row->purpose);
    row->bytes = sqlite3_column_int64(stmt, 4);
    row->created = column_wall(stmt, 5);
    row->expires = column_wall(stmt, 6);
    return good;
}

#define FILE_COLUMNS "id,tenant,filename,purpose,bytes,created_ms,expires_ms"

static int list_files(struct sl_reader *r, const struct sl_file_list *which, struct page *page,
                      struct sl_error *err) {
#define FILES_WHERE                                                                                \
    "SELECT " FILE_COLUMNS " FROM files WHERE deleted=0 AND (?1 IS NULL OR tenant=?1) AND"         \
    " (?2 IS NULL OR purpose=?2) AND (?5=0 OR expires_ms=0 OR expires_ms>?5) AND"
    static const char newest_first[] =
        FILES_WHERE " (?3 IS NULL OR seq < (SELECT seq FROM files WHERE id=?3))"
                    " ORDER BY seq DESC LIMIT ?4";
    static const char oldest_first[] =
        FILES_WHERE " (?3 IS NULL OR seq > (SELECT seq FROM files WHERE id=?3))"
                    " ORDER BY seq ASC LIMIT ?4";
#undef FILES_WHERE
    sl_row_cb cb = page_row;
    void *arg = page;
    PREPARE(stmt, which->ascending ? oldest_first : newest_first)
    sqlite3_bind_text(stmt, 1, which->tenant, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, which->purpose, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 3, which->after, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 4, (int64_t)which->limit + 1);
    sqlite3_bind_int64(stmt, 5, which->living_at.ms);
    FOR_ROWS(stmt, struct sl_file_row, fill_file);
    return SL_OK;
}

int sl_reader_files(struct sl_reader *r, const struct sl_file_list *which, sl_row_cb cb, void *arg,
                    bool *ret_has_more, struct sl_error *err) {
    struct page page = {.limit = which->limit, .cb = cb, .arg = arg};
    int rc = list_files(r, which, &page, err);
    if (rc == SL_OK) {
        *ret_has_more = page.more;
    }
    return rc;
}

int sl_reader_batch(struct sl_reader *r, const char *id, struct sl_batch_row *ret_row,
                    struct sl_error *err) {
    PREPARE(stmt, "SELECT " BATCH_COLUMNS " FROM batches WHERE id=?1")
    sqlite3_bind_text(stmt, 1, id, -1, SQLITE_STATIC);
    int step = sqlite3_step(stmt);
    if (step != SQLITE_ROW) {
        int rc = step == SQLITE_DONE ? sl_fail(err, SL_NOTFOUND, "no batch %s", id)
                                     : sl_store_fail(err, r->db, "reading the store");
        sqlite3_reset(stmt);
        return rc;
    }
    struct sl_batch_row row = {0};
    if (!fill_batch(stmt, &row)) {
        sqlite3_reset(stmt);
        return damaged(stmt, err);
    }
    row.metadata = row.metadata ? strdup(row.metadata) : NULL;
    row.errors = row.errors ? strdup(row.errors) : NULL;
    sqlite3_reset(stmt);
    *ret_row = row;
    return SL_OK;
}

int sl_reader_file(struct sl_reader *r, const char *id, struct sl_file_row *ret_row,
                   struct sl_error *err) {
    PREPARE(stmt, "SELECT " FILE_COLUMNS " FROM files WHERE id=?1 AND deleted=0")
    sqlite3_bind_text(stmt, 1, id, -1, SQLITE_STATIC);
    int step = sqlite3_step(stmt);
    if (step != SQLITE_ROW) {
        int rc = step == SQLITE_DONE ? sl_fail(err, SL_NOTFOUND, "no file %s", id)
                                     : sl_store_fail(err, r->db, "reading the store");
        sqlite3_reset(stmt);
        return rc;
    }
    struct sl_file_row row = {0};
    if (!fill_file(stmt, &row)) {
        sqlite3_reset(stmt);
        return damaged(stmt, err);
    }
    sqlite3_reset(stmt);
    *ret_row = row;
    return SL_OK;
}

/* vectors points into SQLite's row: valid during the callback only. */
static bool fill_result(sqlite3_stmt *stmt, struct sl_result_row *row) {
    bool good = true;
    good &= sl_column_text(stmt, 0, row->batch, sizeof row->batch);
    row->line = (uint32_t)sqlite3_column_int64(stmt, 1);
    row->unit_id = (uint64_t)sqlite3_column_int64(stmt, 2);
    row->status = (enum sl_line_status)sqlite3_column_int(stmt, 3);
    row->tokens = (uint32_t)sqlite3_column_int64(stmt, 4);
    row->vector_count = (uint32_t)sqlite3_column_int64(stmt, 5);
    row->dim = (uint32_t)sqlite3_column_int64(stmt, 6);
    row->amount_nusd = sqlite3_column_int64(stmt, 7);
    row->at = column_wall(stmt, 8);
    if (sqlite3_column_count(stmt) > 9) {
        uint64_t wanted = (uint64_t)row->vector_count * row->dim * 4;
        if ((uint64_t)sqlite3_column_bytes(stmt, 9) == wanted && wanted > 0) {
            row->vectors = (uint8_t *)(uintptr_t)sqlite3_column_blob(stmt, 9);
        }
    }
    return good;
}

#define RESULT_COLUMNS "batch,line,unit_id,status,tokens,vector_count,dim,amount_nusd,at_ms"

int sl_reader_results(struct sl_reader *r, const char *batch, bool with_vectors, sl_row_cb cb,
                      void *arg, struct sl_error *err) {
    static const char bare[] =
        "SELECT " RESULT_COLUMNS " FROM results WHERE batch=?1 ORDER BY line";
    static const char full[] =
        "SELECT " RESULT_COLUMNS ",vectors FROM results WHERE batch=?1 ORDER BY line";
    PREPARE(stmt, with_vectors ? full : bare)
    sqlite3_bind_text(stmt, 1, batch, -1, SQLITE_STATIC);
    FOR_ROWS(stmt, struct sl_result_row, fill_result);
    return SL_OK;
}

static bool fill_directive(sqlite3_stmt *stmt, struct sl_directive_row *row) {
    bool good = true;
    good &= sl_column_text(stmt, 0, row->device, sizeof row->device);
    row->epoch = (uint64_t)sqlite3_column_int64(stmt, 1);
    row->mode = sl_mode_parse(column_text(stmt, 2));
    good &= sl_column_text(stmt, 3, row->batch, sizeof row->batch);
    row->price_nusd_per_mtok = sqlite3_column_int64(stmt, 4);
    good &= sl_column_text(stmt, 5, row->rule, sizeof row->rule);
    good &= sl_column_text(stmt, 6, row->why, sizeof row->why);
    if (sqlite3_column_bytes(stmt, 7) == (int)sizeof row->inputs_digest) {
        memcpy(row->inputs_digest, sqlite3_column_blob(stmt, 7), sizeof row->inputs_digest);
    }
    row->at = column_wall(stmt, 8);
    good &= sl_column_text(stmt, 9, row->policy, sizeof row->policy);
    good &= sl_column_text(stmt, 10, row->policy_version, sizeof row->policy_version);
    row->recorded = sqlite3_column_bytes(stmt, 11) == (int)sizeof row->record;
    if (row->recorded) {
        memcpy(row->record, sqlite3_column_blob(stmt, 11), sizeof row->record);
    }
    return good;
}

#define DIRECTIVE_COLUMNS                                                                          \
    "device,epoch,mode,batch,price_nusd_per_mtok,rule,why,inputs_digest,at_ms,policy,"             \
    "policy_version,record"

int sl_reader_decision(struct sl_reader *r, const char *device, uint64_t epoch, struct sl_wall at,
                       struct sl_directive_row *ret_row, struct sl_error *err) {
    PREPARE(stmt, "SELECT " DIRECTIVE_COLUMNS " FROM directives WHERE device=?1"
                  " AND (?2=0 OR epoch=?2) AND (?3=0 OR at_ms<=?3)"
                  " ORDER BY at_ms DESC, epoch DESC LIMIT 1")
    sqlite3_bind_text(stmt, 1, device, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, (int64_t)epoch);
    sqlite3_bind_int64(stmt, 3, at.ms);
    memset(ret_row, 0, sizeof *ret_row);
    int step = sqlite3_step(stmt);
    bool good = step == SQLITE_ROW && fill_directive(stmt, ret_row);
    sqlite3_reset(stmt);
    if (step == SQLITE_DONE) {
        return sl_fail(err, SL_NOTFOUND, "there is no such decision");
    }
    return good ? SL_OK : damaged(stmt, err);
}

static bool fill_against(sqlite3_stmt *stmt, struct sl_against_row *row) {
    bool good = sl_column_text(stmt, 0, row->device, sizeof row->device);
    row->at = column_wall(stmt, 1);
    row->span_ms = sqlite3_column_int64(stmt, 2);
    for (int i = 0; i < SL_AGAINST_COUNT; i++) {
        row->nusd[i] = sqlite3_column_int64(stmt, 3 + i);
    }
    return good;
}

int sl_reader_against(struct sl_reader *r, const char *device, uint32_t limit, sl_row_cb cb,
                      void *arg, struct sl_error *err) {
    PREPARE(stmt, "SELECT * FROM against WHERE (?1 IS NULL OR device=?1)"
                  " ORDER BY at_ms DESC, device LIMIT ?2")
    sqlite3_bind_text(stmt, 1, device, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, limit);
    FOR_ROWS(stmt, struct sl_against_row, fill_against);
    return SL_OK;
}

int sl_reader_directives(struct sl_reader *r, const char *device, uint32_t limit, sl_row_cb cb,
                         void *arg, struct sl_error *err) {
    PREPARE(stmt, "SELECT " DIRECTIVE_COLUMNS " FROM directives WHERE (?1 IS NULL OR device=?1)"
                  " ORDER BY at_ms DESC, epoch DESC LIMIT ?2")
    sqlite3_bind_text(stmt, 1, device, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, limit);
    FOR_ROWS(stmt, struct sl_directive_row, fill_directive);
    return SL_OK;
}

static bool fill_transfer(sqlite3_stmt *stmt, struct sl_transfer_row *row) {
    bool good = true;
    row->id = (uint64_t)sqlite3_column_int64(stmt, 0);
    row->kind = (enum sl_transfer_kind)sqlite3_column_int(stmt, 1);
    good &= sl_column_text(stmt, 2, row->debit, sizeof row->debit);
    good &= sl_column_text(stmt, 3, row->credit, sizeof row->credit);
    row->amount.v = sqlite3_column_int64(stmt, 4);
    good &= sl_column_text(stmt, 5, row->ref, sizeof row->ref);
    row->at = column_wall(stmt, 6);
    return good;
}

int sl_reader_transfers(struct sl_reader *r, uint64_t after_id, uint32_t limit, sl_row_cb cb,
                        void *arg, struct sl_error *err) {
    PREPARE(stmt, "SELECT id,kind,debit,credit,amount_nusd,ref,at_ms FROM transfers WHERE id > ?1"
                  " ORDER BY id LIMIT ?2")
    sqlite3_bind_int64(stmt, 1, (int64_t)after_id);
    sqlite3_bind_int64(stmt, 2, limit);
    FOR_ROWS(stmt, struct sl_transfer_row, fill_transfer);
    return SL_OK;
}

static bool fill_audit(sqlite3_stmt *stmt, struct sl_audit_row *row) {
    bool good = true;
    good &= sl_column_text(stmt, 0, row->actor, sizeof row->actor);
    good &= sl_column_text(stmt, 1, row->action, sizeof row->action);
    good &= sl_column_text(stmt, 2, row->subject, sizeof row->subject);
    good &= sl_column_text(stmt, 3, row->detail, sizeof row->detail);
    row->at = column_wall(stmt, 4);
    row->id = (uint64_t)sqlite3_column_int64(stmt, 5);
    return good;
}

int sl_reader_audit(struct sl_reader *r, struct sl_wall since, uint32_t limit, sl_row_cb cb,
                    void *arg, struct sl_error *err) {
    PREPARE(stmt, "SELECT actor,action,subject,detail,at_ms,seq FROM audit WHERE at_ms>=?1"
                  " ORDER BY seq DESC LIMIT ?2")
    sqlite3_bind_int64(stmt, 1, since.ms);
    sqlite3_bind_int64(stmt, 2, limit);
    FOR_ROWS(stmt, struct sl_audit_row, fill_audit);
    return SL_OK;
}

int sl_reader_audit_after(struct sl_reader *r, uint64_t after, uint32_t limit, sl_row_cb cb,
                          void *arg, struct sl_error *err) {
    PREPARE(stmt, "SELECT actor,action,subject,detail,at_ms,seq FROM audit WHERE seq>?1"
                  " ORDER BY seq LIMIT ?2")
    sqlite3_bind_int64(stmt, 1, after > INT64_MAX ? INT64_MAX : (sqlite3_int64)after);
    sqlite3_bind_int64(stmt, 2, limit);
    FOR_ROWS(stmt, struct sl_audit_row, fill_audit);
    return SL_OK;
}

int sl_reader_audit_high(struct sl_reader *r, uint64_t *ret_id, struct sl_error *err) {
    int64_t id = 0;
    int rc = sl_store_int(r->db, "SELECT coalesce(max(seq),0) FROM audit", &id, err);
    *ret_id = rc == SL_OK ? (uint64_t)id : 0;
    return rc;
}

static bool fill_account(sqlite3_stmt *stmt, struct sl_account_row *row) {
    bool good = true;
    good &= sl_column_text(stmt, 0, row->id, sizeof row->id);
    good &= sl_i128_parse(column_text(stmt, 1), &row->debits.v) == SL_OK;
    good &= sl_i128_parse(column_text(stmt, 2), &row->credits.v) == SL_OK;
    return good;
}

int sl_reader_accounts(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err) {
    PREPARE(stmt, "SELECT id,debits,credits FROM accounts ORDER BY id")
    FOR_ROWS(stmt, struct sl_account_row, fill_account);
    return SL_OK;
}

/* Two seeks in the index of UNIQUE(node_key, share_id) for each node: the start of a broker does
 * not grow with the years of shares in its store. */
int sl_reader_share_refs(struct sl_reader *r, uint32_t limit, sl_row_cb cb, void *arg,
                         struct sl_error *err) {
    PREPARE(next, "SELECT min(node_key) FROM shares WHERE node_key > ?1")
    PREPARE(ids, "SELECT share_id FROM shares WHERE node_key=?1 ORDER BY share_id DESC LIMIT ?2")
    struct sl_share_ref ref = {.node_key = ""};
    int rc = SQLITE_ROW;
    for (;;) {
        sqlite3_bind_text(next, 1, ref.node_key, -1, SQLITE_TRANSIENT);
        rc = sqlite3_step(next);
        if (rc != SQLITE_ROW || sqlite3_column_type(next, 0) == SQLITE_NULL) {
            break;
        }
        bool good = sl_column_text(next, 0, ref.node_key, sizeof ref.node_key);
        sqlite3_reset(next);
        if (!good) {
            return damaged(next, err);
        }
        sqlite3_bind_text(ids, 1, ref.node_key, -1, SQLITE_TRANSIENT);
        sqlite3_bind_int64(ids, 2, limit);
        while ((rc = sqlite3_step(ids)) == SQLITE_ROW) {
            ref.share_id = (uint64_t)sqlite3_column_int64(ids, 0);
            if (cb(arg, &ref)) {
                sqlite3_reset(ids);
                return SL_OK;
            }
        }
        sqlite3_reset(ids);
        if (rc != SQLITE_DONE) {
            return sl_store_fail(err, r->db, "reading shares");
        }
    }
    sqlite3_reset(next);
    return rc == SQLITE_ROW ? SL_OK : sl_store_fail(err, r->db, "reading shares");
}
