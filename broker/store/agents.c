/* SPDX-License-Identifier: Apache-2.0
 * Agents and tokens. A token that was used is never open again, and lets in one agent: the store
 * enforces both, whatever the core does. */
#include "broker/store/agents.h"

#include <string.h>

#include "broker/store/store_internal.h"

#define KEPT_MS (INT64_C(7) * 24 * 3600 * 1000)

static void bind_text(sqlite3_stmt *stmt, int at, const char *text) {
    sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

static int prune(struct sl_statements *s, struct sl_wall created, struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(s, "DELETE FROM enrolments WHERE expires_ms < ?1", err);
    if (!stmt) {
        return -SL_IO;
    }
    sqlite3_bind_int64(stmt, 1, created.ms - KEPT_MS);
    return sl_store_run(s->db, stmt, "pruning old tokens", err);
}

int sl_store_apply_enrolment(struct sl_statements *s, const struct sl_enrolment_row *row,
                             struct sl_error *err) {
    static const char sql[] =
        "INSERT INTO enrolments(id,name,hash,created_ms,expires_ms,used_ms,key,actor)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"
        " ON CONFLICT(id) DO UPDATE SET expires_ms=?5, used_ms=?6, key=?7"
        " WHERE used_ms=0";
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->id);
    bind_text(stmt, 2, row->name);
    sqlite3_bind_blob(stmt, 3, row->hash, sizeof row->hash, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 4, row->created.ms);
    sqlite3_bind_int64(stmt, 5, row->expires.ms);
    sqlite3_bind_int64(stmt, 6, row->used.ms);
    bind_text(stmt, 7, row->key);
    bind_text(stmt, 8, row->actor);
    int rc = sl_store_run(s->db, stmt, "recording a token", err);
    if (rc == SL_OK && sqlite3_changes(s->db) != 1) {
        return sl_fail(err, SL_BADSTATE, "token %s was used already", row->id);
    }
    return rc ? rc : prune(s, row->created, err);
}

static int retire(struct sl_statements *s, const struct sl_agent_row *row, struct sl_error *err) {
    sqlite3_stmt *stmt =
        sl_statements_get(s, "INSERT OR IGNORE INTO retired_keys(key,id) VALUES(?1,?2)", err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->retired);
    bind_text(stmt, 2, row->id);
    return sl_store_run(s->db, stmt, "recording a key that is refused", err);
}

int sl_store_apply_agent(struct sl_statements *s, const struct sl_agent_row *row,
                         struct sl_error *err) {
    static const char sql[] =
        "INSERT INTO agents(id,name,state,key,key_before,before_until_ms,rotation,rotating,"
        "overlap_ms,enrolment,version,inventory,joined_ms,decided_ms,actor)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)"
        " ON CONFLICT(id) DO UPDATE SET state=?3, key=?4, key_before=?5, before_until_ms=?6,"
        " rotation=?7, rotating=?8, overlap_ms=?9, version=?11, decided_ms=?14, actor=?15";
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind_text(stmt, 1, row->id);
    bind_text(stmt, 2, row->name);
    sqlite3_bind_int(stmt, 3, row->state);
    bind_text(stmt, 4, row->key);
    bind_text(stmt, 5, row->key_before);
    sqlite3_bind_int64(stmt, 6, row->before_until.ms);
    sqlite3_bind_int64(stmt, 7, (int64_t)row->rotation);
    sqlite3_bind_int(stmt, 8, row->rotating);
    sqlite3_bind_int64(stmt, 9, row->overlap_ms);
    bind_text(stmt, 10, row->enrolment);
    bind_text(stmt, 11, row->version);
    bind_text(stmt, 12, row->inventory);
    sqlite3_bind_int64(stmt, 13, row->joined.ms);
    sqlite3_bind_int64(stmt, 14, row->decided.ms);
    bind_text(stmt, 15, row->actor);
    int rc = sl_store_run(s->db, stmt, "recording an agent", err);
    return rc || row->retired[0] == '\0' ? rc : retire(s, row, err);
}

/* ---- reading ---- */

static int damaged(const char *table, struct sl_error *err) {
    return sl_fail(err, SL_CORRUPT,
                   "the store is damaged: a row of '%s' cannot be read; restore a backup", table);
}

/* Rows of a prepared statement; fill tells whether one is sound. */
static int each(struct sl_reader *r, sqlite3_stmt *stmt, const char *table,
                bool (*fill)(sqlite3_stmt *stmt, void *row), void *row, sl_row_cb cb, void *arg,
                struct sl_error *err) {
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (!fill(stmt, row)) {
            sqlite3_reset(stmt);
            return damaged(table, err);
        }
        if (cb(arg, row)) {
            rc = SQLITE_DONE;
            break;
        }
    }
    int status = rc == SQLITE_DONE ? SL_OK : sl_store_fail(err, r->db, "reading the store");
    sqlite3_reset(stmt);
    return status;
}

static bool fill_agent(sqlite3_stmt *stmt, void *at) {
    struct sl_agent_row *row = at;
    memset(row, 0, sizeof *row);
    bool good = true;
    good &= sl_column_text(stmt, 0, row->id, sizeof row->id);
    good &= sl_column_text(stmt, 1, row->name, sizeof row->name);
    row->state = (enum sl_agent_state)sqlite3_column_int(stmt, 2);
    good &= sl_column_text(stmt, 3, row->key, sizeof row->key);
    good &= sl_column_text(stmt, 4, row->key_before, sizeof row->key_before);
    row->before_until.ms = sqlite3_column_int64(stmt, 5);
    row->rotation = (uint64_t)sqlite3_column_int64(stmt, 6);
    row->rotating = sqlite3_column_int(stmt, 7) != 0;
    row->overlap_ms = sqlite3_column_int64(stmt, 8);
    good &= sl_column_text(stmt, 9, row->enrolment, sizeof row->enrolment);
    good &= sl_column_text(stmt, 10, row->version, sizeof row->version);
    good &= sl_column_text(stmt, 11, row->inventory, sizeof row->inventory);
    row->joined.ms = sqlite3_column_int64(stmt, 12);
    row->decided.ms = sqlite3_column_int64(stmt, 13);
    good &= sl_column_text(stmt, 14, row->actor, sizeof row->actor);
    return good;
}

int sl_reader_agents(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(
        &r->statements,
        "SELECT id,name,state,key,key_before,before_until_ms,rotation,rotating,overlap_ms,"
        "enrolment,version,inventory,joined_ms,decided_ms,actor FROM agents ORDER BY joined_ms, id",
        err);
    struct sl_agent_row row;
    return stmt ? each(r, stmt, "agents", fill_agent, &row, cb, arg, err) : -SL_IO;
}

static bool fill_enrolment(sqlite3_stmt *stmt, void *at) {
    struct sl_enrolment_row *row = at;
    memset(row, 0, sizeof *row);
    bool good = true;
    good &= sl_column_text(stmt, 0, row->id, sizeof row->id);
    good &= sl_column_text(stmt, 1, row->name, sizeof row->name);
    good &= sqlite3_column_bytes(stmt, 2) == (int)sizeof row->hash;
    if (good) {
        memcpy(row->hash, sqlite3_column_blob(stmt, 2), sizeof row->hash);
    }
    row->created.ms = sqlite3_column_int64(stmt, 3);
    row->expires.ms = sqlite3_column_int64(stmt, 4);
    row->used.ms = sqlite3_column_int64(stmt, 5);
    good &= sl_column_text(stmt, 6, row->key, sizeof row->key);
    good &= sl_column_text(stmt, 7, row->actor, sizeof row->actor);
    return good;
}

int sl_reader_enrolments(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(
        &r->statements,
        "SELECT id,name,hash,created_ms,expires_ms,used_ms,key,actor FROM enrolments"
        " ORDER BY created_ms, id",
        err);
    struct sl_enrolment_row row;
    return stmt ? each(r, stmt, "enrolments", fill_enrolment, &row, cb, arg, err) : -SL_IO;
}

static bool fill_retired(sqlite3_stmt *stmt, void *at) {
    struct sl_retired_row *row = at;
    return sl_column_text(stmt, 0, row->key, sizeof row->key) &&
           sl_column_text(stmt, 1, row->id, sizeof row->id);
}

int sl_reader_retired(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err) {
    sqlite3_stmt *stmt =
        sl_statements_get(&r->statements, "SELECT key,id FROM retired_keys ORDER BY key", err);
    struct sl_retired_row row;
    return stmt ? each(r, stmt, "retired_keys", fill_retired, &row, cb, arg, err) : -SL_IO;
}
