/* SPDX-License-Identifier: Apache-2.0
 * Settlements: what pools credited, beside what the shares of the span were quoted at. Which shares
 * are meant is said by one clause for reading and marking, so that both mean the same ones. */
#include <string.h>

#include "broker/store/settlements.h"
#include "broker/store/store_internal.h"

/* ?1 from, ?2 to, ?3 the highest share looked at, ?4 scope, ?6 the one pool that is meant (empty:
 * all). A node is meant by its name, whatever keys it had. */
#define OPEN_SHARES                                                                                \
    " settlement=0 AND outcome=1 AND seq<=?3 AND (?4='*' OR node_key IN"                           \
    " (SELECT node_key FROM devices WHERE node=?4)) AND (?6='' OR pool=?6)"
#define OF_THE_SPAN " AND at_ms>=?1 AND at_ms<?2"
#define LATE                                                                                       \
    " AND at_ms<?1 AND EXISTS (SELECT 1 FROM settlements s WHERE s.scope=?4 AND"                   \
    " (s.only_pool='' OR s.only_pool=shares.pool) AND"                                             \
    " shares.at_ms>=s.from_ms AND shares.at_ms<s.to_ms)"

/* SQLite's sum() fails beyond 2^63: what agents claim can come to more, in two halves it cannot. */
#define SUM_OF_SHARES                                                                              \
    "SELECT coalesce(sum(amount_nusd>>32),0),coalesce(sum(amount_nusd&4294967295),0) FROM shares"  \
    " WHERE"

static void bind(sqlite3_stmt *stmt, const struct sl_settlement_row *row) {
    sqlite3_bind_int64(stmt, 1, row->from.ms);
    sqlite3_bind_int64(stmt, 2, row->to.ms);
    sqlite3_bind_int64(stmt, 3, (int64_t)row->share_seq);
    sqlite3_bind_text(stmt, 4, row->scope, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 6, row->only_pool, -1, SQLITE_STATIC);
}

static int insert(struct sl_statements *s, const struct sl_settlement_row *row,
                  struct sl_error *err) {
    static const char sql[] =
        "INSERT INTO settlements(id,scope,pool,from_ms,to_ms,amount_nano,currency,rate_nano,"
        "settled_nusd,quoted_nusd,late_nusd,actor,at_ms,only_pool)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)";
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    sqlite3_bind_int64(stmt, 1, (int64_t)row->id);
    sqlite3_bind_text(stmt, 2, row->scope, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 3, row->pool, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 4, row->from.ms);
    sqlite3_bind_int64(stmt, 5, row->to.ms);
    sqlite3_bind_int64(stmt, 6, row->amount_nano);
    sqlite3_bind_text(stmt, 7, row->currency, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 8, row->rate_nano);
    sqlite3_bind_int64(stmt, 9, row->settled_nusd);
    sqlite3_bind_int64(stmt, 10, row->quoted_nusd);
    sqlite3_bind_int64(stmt, 11, row->late_nusd);
    sqlite3_bind_text(stmt, 12, row->actor, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 13, row->at.ms);
    sqlite3_bind_text(stmt, 14, row->only_pool, -1, SQLITE_STATIC);
    return sl_store_run(s->db, stmt, "recording a settlement", err);
}

int sl_store_apply_settlement(struct sl_statements *s, const struct sl_settlement_row *row,
                              struct sl_error *err) {
    static const char span[] = "UPDATE shares SET settlement=?5 WHERE" OPEN_SHARES OF_THE_SPAN;
    static const char late[] = "UPDATE shares SET settlement=?5 WHERE" OPEN_SHARES LATE;
    int rc = insert(s, row, err);
    for (int i = 0; i < (row->takes_late ? 2 : 1) && rc == SL_OK; i++) {
        sqlite3_stmt *stmt = sl_statements_get(s, i == 0 ? span : late, err);
        if (!stmt) {
            return -SL_IO;
        }
        bind(stmt, row);
        sqlite3_bind_int64(stmt, 5, (int64_t)row->id);
        rc = sl_store_run(s->db, stmt, "marking settled shares", err);
    }
    return rc;
}

static int sum(struct sl_reader *r, const char *sql, const struct sl_settlement_row *row,
               int64_t *ret_nusd, struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(&r->statements, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    bind(stmt, row);
    int rc = SL_OK;
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        sl_i128 nusd = (sl_i128)sqlite3_column_int64(stmt, 0) * (INT64_C(1) << 32) +
                       sqlite3_column_int64(stmt, 1);
        *ret_nusd = nusd > INT64_MAX ? INT64_MAX : (int64_t)nusd;
    } else {
        rc = sl_store_fail(err, r->db, "adding up shares");
    }
    sqlite3_reset(stmt);
    return rc;
}

static bool is_first_of_scope(const struct sl_settlement_row *rows, uint32_t at) {
    for (uint32_t i = 0; i < at; i++) {
        if (strcmp(rows[i].scope, rows[at].scope) == 0 &&
            strcmp(rows[i].only_pool, rows[at].only_pool) == 0) {
            return false;
        }
    }
    return true;
}

/* A name that shares are booked under means those shares; any other text is for people. */
static int name_pool(struct sl_reader *r, struct sl_settlement_row *row, struct sl_error *err) {
    sqlite3_stmt *stmt =
        sl_statements_get(&r->statements, "SELECT 1 FROM pools WHERE name=?1", err);
    row->only_pool[0] = '\0';
    if (!stmt) {
        return -SL_IO;
    }
    sqlite3_bind_text(stmt, 1, row->pool, -1, SQLITE_STATIC);
    if (sqlite3_step(stmt) == SQLITE_ROW && strcmp(row->scope, "*") == 0) {
        sl_text_copy(row->only_pool, sizeof row->only_pool, row->pool);
    }
    sqlite3_reset(stmt);
    return SL_OK;
}

static int fill(struct sl_reader *r, struct sl_settlement_row *rows, uint32_t count,
                uint64_t *ret_high, struct sl_error *err) {
    static const char span[] = SUM_OF_SHARES OPEN_SHARES OF_THE_SPAN;
    static const char late[] = SUM_OF_SHARES OPEN_SHARES LATE;
    int64_t high = 0;
    int64_t seq = 0;
    int rc = sl_store_int(r->db, "SELECT coalesce(max(id),0) FROM settlements", &high, err);
    rc = rc ? rc : sl_store_int(r->db, "SELECT coalesce(max(seq),0) FROM shares", &seq, err);
    for (uint32_t i = 0; i < count && rc == SL_OK; i++) {
        rc = name_pool(r, &rows[i], err);
    }
    for (uint32_t i = 0; i < count && rc == SL_OK; i++) {
        struct sl_settlement_row *row = &rows[i];
        row->share_seq = (uint64_t)seq;
        row->takes_late = is_first_of_scope(rows, i);
        row->late_nusd = 0;
        rc = sum(r, span, row, &row->quoted_nusd, err);
        rc = rc || !row->takes_late ? rc : sum(r, late, row, &row->late_nusd, err);
    }
    *ret_high = (uint64_t)high;
    return rc;
}

int sl_reader_quoted(struct sl_reader *r, struct sl_settlement_row *rows, uint32_t count,
                     uint64_t *ret_high, struct sl_error *err) {
    if (sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        return sl_store_fail(err, r->db, "adding up shares");
    }
    int rc = fill(r, rows, count, ret_high, err);
    sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
    return rc;
}

static bool read_row(sqlite3_stmt *stmt, struct sl_settlement_row *row) {
    bool good = true;
    row->id = (uint64_t)sqlite3_column_int64(stmt, 0);
    good &= sl_column_text(stmt, 1, row->scope, sizeof row->scope);
    good &= sl_column_text(stmt, 2, row->pool, sizeof row->pool);
    row->from.ms = sqlite3_column_int64(stmt, 3);
    row->to.ms = sqlite3_column_int64(stmt, 4);
    row->amount_nano = sqlite3_column_int64(stmt, 5);
    good &= sl_column_text(stmt, 6, row->currency, sizeof row->currency);
    row->rate_nano = sqlite3_column_int64(stmt, 7);
    row->settled_nusd = sqlite3_column_int64(stmt, 8);
    row->quoted_nusd = sqlite3_column_int64(stmt, 9);
    row->late_nusd = sqlite3_column_int64(stmt, 10);
    good &= sl_column_text(stmt, 11, row->actor, sizeof row->actor);
    row->at.ms = sqlite3_column_int64(stmt, 12);
    good &= sl_column_text(stmt, 13, row->only_pool, sizeof row->only_pool);
    return good;
}

int sl_reader_settlements(struct sl_reader *r, uint64_t after, uint32_t limit, sl_row_cb cb,
                          void *arg, struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(
        &r->statements,
        "SELECT id,scope,pool,from_ms,to_ms,amount_nano,currency,rate_nano,settled_nusd,"
        "quoted_nusd,late_nusd,actor,at_ms,only_pool FROM settlements WHERE id>?1 ORDER BY id "
        "LIMIT ?2",
        err);
    if (!stmt) {
        return -SL_IO;
    }
    sqlite3_bind_int64(stmt, 1, (int64_t)after);
    sqlite3_bind_int64(stmt, 2, limit);
    int step = SQLITE_OK;
    int rc = SL_OK;
    bool on = true;
    while (on && rc == SL_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct sl_settlement_row row = {0};
        if (!read_row(stmt, &row)) {
            rc = sl_fail(err, SL_CORRUPT,
                         "the store is damaged: a row of 'settlements' cannot be read; restore a "
                         "backup");
        } else {
            on = cb(arg, &row) == 0;
        }
    }
    if (rc == SL_OK && on && step != SQLITE_DONE) {
        rc = sl_store_fail(err, r->db, "reading settlements");
    }
    sqlite3_reset(stmt);
    return rc;
}
