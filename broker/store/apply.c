/* SPDX-License-Identifier: Apache-2.0
 * One function per operation: binds a row and runs its statement. Rules that must hold whatever the
 * core does (epochs rise, a line is billed once, accounts are sums of transfers) are enforced here
 * again; a violation fails the whole commit. */
#include <string.h>

#include "broker/store/store_internal.h"

static void bind_text(sqlite3_stmt *stmt, int at, const char *text) {
    sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

static void bind_int(sqlite3_stmt *stmt, int at, int64_t value) {
    sqlite3_bind_int64(stmt, at, value);
}

static void bind_text_or_null(sqlite3_stmt *stmt, int at, const char *text) {
    if (text) {
        bind_text(stmt, at, text);
    } else {
        sqlite3_bind_null(stmt, at);
    }
}

static int apply_device(struct sl_statements *s, const struct sl_device_row *row,
                        struct sl_error *err) {
    static const char sql[] =
        "INSERT INTO devices(key,node,node_key,epoch_max,first_seen_ms) VALUES(?1,?2,?3,?4,?5)"
        " ON CONFLICT(key) DO UPDATE SET node=?2, node_key=?3, epoch_max=max(epoch_max,?4)";
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->key);
    bind_text(stmt, 2, row->node);
    bind_text(stmt, 3, row->node_key);
    bind_int(stmt, 4, (int64_t)row->epoch_max);
    bind_int(stmt, 5, row->first_seen.ms);
    return sl_store_run(s->db, stmt, "recording a device", err);
}

static int raise_epoch(struct sl_statements *s, const struct sl_directive_row *row,
                       struct sl_error *err) {
    static const char sql[] = "UPDATE devices SET epoch_max=?2 WHERE key=?1 AND epoch_max<?2";
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->device);
    bind_int(stmt, 2, (int64_t)row->epoch);
    int rc = sl_store_run(s->db, stmt, "raising an epoch", err);
    if (rc == SL_OK && sqlite3_changes(s->db) != 1) {
        return sl_fail(err, SL_BADSTATE, "epoch %llu of %s does not exceed the one in the store",
                       (unsigned long long)row->epoch, row->device);
    }
    return rc;
}

static int apply_directive(struct sl_statements *s, const struct sl_directive_row *row,
                           struct sl_error *err) {
    static const char sql[] =
        "INSERT INTO directives(device,epoch,mode,batch,price_nusd_per_mtok,rule,why,"
        "inputs_digest,at_ms,policy,policy_version,record)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)";
    int rc = raise_epoch(s, row, err);
    if (rc) {
        return rc;
    }
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->device);
    bind_int(stmt, 2, (int64_t)row->epoch);
    bind_text(stmt, 3, sl_mode_name(row->mode));
    bind_text(stmt, 4, row->batch);
    bind_int(stmt, 5, row->price_nusd_per_mtok);
    bind_text(stmt, 6, row->rule);
    bind_text(stmt, 7, row->why);
    sqlite3_bind_blob(stmt, 8, row->inputs_digest, sizeof row->inputs_digest, SQLITE_STATIC);
    bind_int(stmt, 9, row->at.ms);
    bind_text(stmt, 10, row->policy);
    bind_text(stmt, 11, row->policy_version);
    if (row->recorded) {
        sqlite3_bind_blob(stmt, 12, row->record, sizeof row->record, SQLITE_STATIC);
    } else {
        sqlite3_bind_null(stmt, 12);
    }
    return sl_store_run(s->db, stmt, "recording a directive", err);
}

static int apply_unit(struct sl_statements *s, const struct sl_unit_row *row,
                      struct sl_error *err) {
    static const char insert[] =
        "INSERT INTO units(unit_id,node_key,device,epoch,batch,price_nusd_per_mtok,reserved_nusd,"
        "lines,closed) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,0)";
    static const char close_unit[] = "UPDATE units SET closed=1, reserved_nusd=0 WHERE unit_id=?1";
    sqlite3_stmt *stmt = sl_statements_get(s, row->closed ? close_unit : insert, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_int(stmt, 1, (int64_t)row->unit_id);
    if (!row->closed) {
        bind_text(stmt, 2, row->node_key);
        bind_text(stmt, 3, row->device);
        bind_int(stmt, 4, (int64_t)row->epoch);
        bind_text(stmt, 5, row->batch);
        bind_int(stmt, 6, row->price_nusd_per_mtok);
        bind_int(stmt, 7, row->reserved_nusd);
        sqlite3_bind_blob(stmt, 8, row->lines, (int)(row->line_count * sizeof row->lines[0]),
                          SQLITE_STATIC);
    }
    return sl_store_run(s->db, stmt, "recording a work unit", err);
}

static int apply_result(struct sl_statements *s, const struct sl_result_row *row,
                        struct sl_error *err) {
    static const char sql[] =
        "INSERT INTO results(batch,line,unit_id,status,tokens,vector_count,dim,vectors,amount_nusd,"
        "at_ms) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)";
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->batch);
    bind_int(stmt, 2, row->line);
    bind_int(stmt, 3, (int64_t)row->unit_id);
    bind_int(stmt, 4, row->status);
    bind_int(stmt, 5, row->tokens);
    bind_int(stmt, 6, row->vector_count);
    bind_int(stmt, 7, row->dim);
    if (row->vectors) {
        uint64_t bytes = (uint64_t)row->vector_count * row->dim * 4;
        sqlite3_bind_blob64(stmt, 8, row->vectors, bytes, SQLITE_STATIC);
    } else {
        sqlite3_bind_null(stmt, 8);
    }
    bind_int(stmt, 9, row->amount_nusd);
    bind_int(stmt, 10, row->at.ms);
    return sl_store_run(s->db, stmt, "recording a result", err);
}

/* Reads an account's sums, adds and writes them back; sums are 128-bit and SQL's SUM is 64-bit. */
static int account_write(struct sl_statements *s, const struct sl_account_delta *delta,
                         struct sl_error *err) {
    static const char read_sql[] = "SELECT debits, credits FROM accounts WHERE id=?1";
    static const char write_sql[] = "INSERT INTO accounts(id,debits,credits) VALUES(?1,?2,?3)"
                                    " ON CONFLICT(id) DO UPDATE SET debits=?2, credits=?3";
    sqlite3_stmt *stmt = sl_statements_get(s, read_sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, delta->id);
    sl_i128 debits = 0;
    sl_i128 credits = 0;
    if (sqlite3_step(stmt) == SQLITE_ROW &&
        (sl_i128_parse((const char *)sqlite3_column_text(stmt, 0), &debits) ||
         sl_i128_parse((const char *)sqlite3_column_text(stmt, 1), &credits))) {
        sqlite3_reset(stmt);
        return sl_fail(err, SL_CORRUPT, "account %s holds something that is no number", delta->id);
    }
    sqlite3_reset(stmt);
    char debit_text[48];
    char credit_text[48];
    sl_i128_format(debits + delta->debits, debit_text);
    sl_i128_format(credits + delta->credits, credit_text);
    stmt = sl_statements_get(s, write_sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, delta->id);
    bind_text(stmt, 2, debit_text);
    bind_text(stmt, 3, credit_text);
    return sl_store_run(s->db, stmt, "adding to an account", err);
}

int sl_store_apply_end(struct sl_statements *s, struct sl_error *err) {
    int rc = SL_OK;
    for (uint32_t i = 0; i < s->delta_count && rc == SL_OK; i++) {
        rc = account_write(s, &s->deltas[i], err);
    }
    s->delta_count = 0;
    return rc;
}

static int account_add(struct sl_statements *s, const char *id, bool debit, int64_t amount,
                       struct sl_error *err) {
    uint32_t at = 0;
    while (at < s->delta_count && strcmp(s->deltas[at].id, id) != 0) {
        at++;
    }
    if (at == SL_DELTAS_MAX) {
        int rc = sl_store_apply_end(s, err);
        if (rc) {
            return rc;
        }
        at = 0;
    }
    struct sl_account_delta *delta = &s->deltas[at];
    if (at == s->delta_count) {
        *delta = (struct sl_account_delta){0};
        sl_text_copy(delta->id, sizeof delta->id, id);
        s->delta_count++;
    }
    *(debit ? &delta->debits : &delta->credits) += amount;
    return SL_OK;
}

static int apply_transfer(struct sl_statements *s, const struct sl_transfer_row *row,
                          struct sl_error *err) {
    static const char sql[] = "INSERT INTO transfers(id,kind,debit,credit,amount_nusd,ref,at_ms)"
                              " VALUES(?1,?2,?3,?4,?5,?6,?7)";
    if (row->amount.v < 0 || strcmp(row->debit, row->credit) == 0) {
        return sl_fail(err, SL_BADSTATE, "transfer %llu is negative or goes nowhere",
                       (unsigned long long)row->id);
    }
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_int(stmt, 1, (int64_t)row->id);
    bind_int(stmt, 2, row->kind);
    bind_text(stmt, 3, row->debit);
    bind_text(stmt, 4, row->credit);
    bind_int(stmt, 5, row->amount.v);
    bind_text(stmt, 6, row->ref);
    bind_int(stmt, 7, row->at.ms);
    int rc = sl_store_run(s->db, stmt, "posting a transfer", err);
    if (rc == SL_OK) {
        rc = account_add(s, row->debit, true, row->amount.v, err);
    }
    return rc == SL_OK ? account_add(s, row->credit, false, row->amount.v, err) : rc;
}

static int apply_share(struct sl_statements *s, const struct sl_share_row *row,
                       struct sl_error *err) {
    static const char sql[] =
        "INSERT INTO shares(node_key,share_id,device,outcome,code,work_hashes,difficulty_nano,"
        "price_nusd_per_ph_day,amount_nusd,at_ms,pool) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,"
        "?11)";
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->node_key);
    bind_int(stmt, 2, (int64_t)row->share_id);
    bind_text(stmt, 3, row->device);
    bind_int(stmt, 4, row->outcome);
    bind_int(stmt, 5, row->code);
    bind_int(stmt, 6, (int64_t)row->work_hashes);
    bind_int(stmt, 7, (int64_t)row->difficulty_nano);
    bind_int(stmt, 8, row->price_nusd_per_ph_day);
    bind_int(stmt, 9, row->amount_nusd);
    bind_int(stmt, 10, row->at.ms);
    bind_text(stmt, 11, row->pool[0] ? row->pool : SL_POOL_UNNAMED);
    return sl_store_run(s->db, stmt, "recording a share", err);
}

static void bind_batch_times(sqlite3_stmt *stmt, const struct sl_batch_row *row) {
    const struct sl_wall times[] = {row->created,    row->in_progress, row->finalizing,
                                    row->completed,  row->failed,      row->expired,
                                    row->cancelling, row->cancelled,   row->deadline};
    for (int i = 0; i < 9; i++) {
        bind_int(stmt, 11 + i, times[i].ms);
    }
}

/* `remainder` must live until the statement has run. */
static void bind_batch(sqlite3_stmt *stmt, const struct sl_batch_row *row, const char *remainder) {
    const char *texts[] = {row->id,         row->tenant, row->input_file, row->output_file,
                           row->error_file, row->model,  row->endpoint};
    for (int i = 0; i < 7; i++) {
        bind_text(stmt, 1 + i, texts[i]);
    }
    bind_text(stmt, 8, sl_batch_state_name(row->state));
    bind_text(stmt, 9, sl_batch_state_name(row->after_finalizing));
    bind_int(stmt, 10, row->bid_nusd_per_mtok);
    bind_batch_times(stmt, row);
    bind_int(stmt, 20, row->lines_total);
    bind_int(stmt, 21, row->lines_completed);
    bind_int(stmt, 22, row->lines_failed);
    bind_int(stmt, 23, row->tokens);
    bind_text(stmt, 24, remainder);
    bind_int(stmt, 25, row->billed_nusd);
    bind_text_or_null(stmt, 26, row->metadata);
    bind_text_or_null(stmt, 27, row->errors);
    bind_text(stmt, 28, row->model_sha256);
    bind_int(stmt, 29, row->output_life_ms);
}

/* Most often only figures change. SQLite writes an index anew whenever its column is set, so that
 * the state is set only where it is another one saves a page of every such commit. (The output's
 * life never changes; that it is asked for lets both statements be bound alike.) */
#define BATCH_SET                                                                                  \
    " SET output_file=?4, error_file=?5, model=?6, after=?9, bid_nusd_per_mtok=?10,"               \
    " in_progress_ms=?12, finalizing_ms=?13, completed_ms=?14, failed_ms=?15, expired_ms=?16,"     \
    " cancelling_ms=?17, cancelled_ms=?18, deadline_ms=?19, lines_total=?20, lines_completed=?21," \
    " lines_failed=?22, tokens=?23, remainder=?24, billed_nusd=?25, errors=?27, model_sha256=?28"

static int apply_batch(struct sl_statements *s, const struct sl_batch_row *row,
                       struct sl_error *err) {
    static const char same_state[] =
        "UPDATE batches" BATCH_SET " WHERE id=?1 AND state=?8 AND output_life_ms=?29";
    static const char any_state[] =
        "INSERT INTO "
        "batches(id,tenant,input_file,output_file,error_file,model,endpoint,state,after,"
        "bid_nusd_per_mtok,created_ms,in_progress_ms,finalizing_ms,completed_ms,failed_ms,"
        "expired_ms,cancelling_ms,cancelled_ms,deadline_ms,lines_total,lines_completed,"
        "lines_failed,tokens,remainder,billed_nusd,metadata,errors,model_sha256,"
        "output_life_ms)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,"
        "?23,?24,?25,?26,?27,?28,?29) ON CONFLICT(id) DO UPDATE" BATCH_SET ", state=?8";
    char remainder[48];
    sl_i128_format(row->accrual.rem, remainder);
    sqlite3_stmt *stmt = sl_statements_get(s, same_state, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_batch(stmt, row, remainder);
    int rc = sl_store_run(s->db, stmt, "recording a batch", err);
    if (rc || sqlite3_changes(s->db) > 0) {
        return rc;
    }
    stmt = sl_statements_get(s, any_state, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_batch(stmt, row, remainder);
    return sl_store_run(s->db, stmt, "recording a batch", err);
}

static int apply_file(struct sl_statements *s, const struct sl_file_row *row,
                      struct sl_error *err) {
    static const char sql[] =
        "INSERT INTO files(id,tenant,filename,purpose,bytes,created_ms,expires_ms)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7) ON CONFLICT(id) DO UPDATE SET bytes=?5, expires_ms=?7";
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->id);
    bind_text(stmt, 2, row->tenant);
    bind_text(stmt, 3, row->filename);
    bind_text(stmt, 4, row->purpose);
    bind_int(stmt, 5, row->bytes);
    bind_int(stmt, 6, row->created.ms);
    bind_int(stmt, 7, row->expires.ms);
    return sl_store_run(s->db, stmt, "recording a file", err);
}

static int apply_file_delete(struct sl_statements *s, const struct sl_file_row *row,
                             struct sl_error *err) {
    /* The row stays: a list may go on after a deleted file. */
    sqlite3_stmt *stmt = sl_statements_get(s, "UPDATE files SET deleted=1 WHERE id=?1", err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->id);
    return sl_store_run(s->db, stmt, "deleting a file", err);
}

static int apply_key(struct sl_statements *s, const struct sl_key_row *row, struct sl_error *err) {
    static const char sql[] =
        "INSERT INTO keys(id,hash,role,tenant,label,created_ms,revoked_ms)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7) ON CONFLICT(id) DO UPDATE SET label=?5, revoked_ms=?7";
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->id);
    sqlite3_bind_blob(stmt, 2, row->hash, sizeof row->hash, SQLITE_STATIC);
    bind_int(stmt, 3, row->role);
    bind_text(stmt, 4, row->tenant);
    bind_text(stmt, 5, row->label);
    bind_int(stmt, 6, row->created.ms);
    bind_int(stmt, 7, row->revoked.ms);
    return sl_store_run(s->db, stmt, "recording a key", err);
}

static int apply_override(struct sl_statements *s, const struct sl_override_row *row,
                          struct sl_error *err) {
    static const char put[] =
        "INSERT INTO overrides(subject,kind,mode,actor,at_ms) VALUES(?1,?2,?3,?4,?5)"
        " ON CONFLICT(subject) DO UPDATE SET kind=?2, mode=?3, actor=?4, at_ms=?5";
    bool lift = row->kind == SL_OVERRIDE_NONE;
    sqlite3_stmt *stmt =
        sl_statements_get(s, lift ? "DELETE FROM overrides WHERE subject=?1" : put, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->subject);
    if (!lift) {
        bind_int(stmt, 2, row->kind);
        bind_text(stmt, 3, sl_mode_name(row->mode));
        bind_text(stmt, 4, row->actor);
        bind_int(stmt, 5, row->at.ms);
    }
    return sl_store_run(s->db, stmt, "recording an operator's order", err);
}

static int apply_audit(struct sl_statements *s, const struct sl_audit_row *row,
                       struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(
        s, "INSERT INTO audit(actor,action,subject,detail,at_ms) VALUES(?1,?2,?3,?4,?5)", err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->actor);
    bind_text(stmt, 2, row->action);
    bind_text(stmt, 3, row->subject);
    bind_text(stmt, 4, row->detail);
    bind_int(stmt, 5, row->at.ms);
    return sl_store_run(s->db, stmt, "recording an audit entry", err);
}

#define PRICE_KEPT_MS (INT64_C(30) * 86400 * 1000)

static int apply_price(struct sl_statements *s, const struct sl_price_row *row,
                       struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(
        s, "INSERT INTO prices(feed,value_nano,as_of_ms,seen_ms) VALUES(?1,?2,?3,?4)", err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->feed);
    bind_int(stmt, 2, row->value_nano);
    bind_int(stmt, 3, row->as_of.ms);
    bind_int(stmt, 4, row->seen.ms);
    int rc = sl_store_run(s->db, stmt, "recording a price", err);
    if (rc) {
        return rc;
    }
    stmt = sl_statements_get(s, "DELETE FROM prices WHERE seen_ms < ?1", err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_int(stmt, 1, row->seen.ms - PRICE_KEPT_MS);
    return sl_store_run(s->db, stmt, "pruning old prices", err);
}

#define AGAINST_KEPT_MS (INT64_C(400) * 24 * 3600 * 1000)

static int apply_against(struct sl_statements *s, const struct sl_against_row *row,
                         struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(
        s, "INSERT INTO against VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)", err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->device);
    bind_int(stmt, 2, row->at.ms);
    bind_int(stmt, 3, row->span_ms);
    for (int i = 0; i < SL_AGAINST_COUNT; i++) {
        bind_int(stmt, 4 + i, row->nusd[i]);
    }
    int rc = sl_store_run(s->db, stmt, "recording what else would have been earned", err);
    if (rc) {
        return rc;
    }
    stmt = sl_statements_get(s, "DELETE FROM against WHERE at_ms < ?1", err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_int(stmt, 1, row->at.ms - AGAINST_KEPT_MS);
    return sl_store_run(s->db, stmt, "pruning what else would have been earned", err);
}

static int apply_meta(struct sl_statements *s, const struct sl_op_meta *row, struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(
        s, "INSERT INTO meta(key,value) VALUES(?1,?2) ON CONFLICT(key) DO UPDATE SET value=?2",
        err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->key);
    bind_text(stmt, 2, row->value);
    return sl_store_run(s->db, stmt, "recording a counter", err);
}

int sl_store_apply(struct sl_statements *s, const struct sl_op *op, struct sl_error *err) {
    switch (op->kind) {
    case SL_OP_DEVICE:
        return apply_device(s, &op->device, err);
    case SL_OP_DIRECTIVE:
        return apply_directive(s, &op->directive, err);
    case SL_OP_UNIT:
        return apply_unit(s, &op->unit, err);
    case SL_OP_RESULT:
        return apply_result(s, &op->result, err);
    case SL_OP_TRANSFER:
        return apply_transfer(s, &op->transfer, err);
    case SL_OP_SHARE:
        return apply_share(s, &op->share, err);
    case SL_OP_BATCH:
        return apply_batch(s, op->batch, err);
    case SL_OP_FILE:
        return apply_file(s, &op->file, err);
    case SL_OP_FILE_DELETE:
        return apply_file_delete(s, &op->file, err);
    case SL_OP_KEY:
        return apply_key(s, &op->key, err);
    case SL_OP_OVERRIDE:
        return apply_override(s, &op->override_, err);
    case SL_OP_AUDIT:
        return apply_audit(s, &op->audit, err);
    case SL_OP_PRICE:
        return apply_price(s, &op->price, err);
    case SL_OP_AGAINST:
        return apply_against(s, &op->against, err);
    case SL_OP_SETTLEMENT:
        return sl_store_apply_settlement(s, &op->settlement, err);
    case SL_OP_POOL:
        return sl_store_apply_pool(s, &op->pool, err);
    case SL_OP_ENROLMENT:
        return sl_store_apply_enrolment(s, &op->enrolment, err);
    case SL_OP_AGENT:
        return sl_store_apply_agent(s, &op->agent, err);
    case SL_OP_EVENT:
        return sl_store_apply_event(s, &op->event, err);
    case SL_OP_HEALTH:
        return sl_store_apply_health(s, &op->health, err);
    case SL_OP_META:
        return apply_meta(s, &op->meta, err);
    case SL_OP_INVALID:
    default:
        return sl_fail(err, SL_BADSTATE, "the store was given an operation it does not know");
    }
}
