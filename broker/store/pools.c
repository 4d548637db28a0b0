/* SPDX-License-Identifier: Apache-2.0
 * What was booked under each pool: written with the shares that it counts, so that it never says
 * more or less than they do (check.c). */
#include "broker/store/pools.h"

#include "broker/store/store_internal.h"

int sl_store_apply_pool(struct sl_statements *s, const struct sl_pool_row *row,
                        struct sl_error *err) {
    static const char sql[] =
        "INSERT INTO pools(name,accepted,stale,rejected,unknown,duplicate,low,unauthorised,work,"
        "amount,last_share_ms) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11) ON CONFLICT(name) DO"
        " UPDATE SET accepted=?2,stale=?3,rejected=?4,unknown=?5,duplicate=?6,low=?7,"
        "unauthorised=?8,work=?9,amount=?10,last_share_ms=?11";
    sqlite3_stmt *stmt = sl_statements_get(s, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    char work[48];
    char amount[48];
    const uint64_t counts[] = {row->accepted,  row->stale, row->rejected,    row->unknown,
                               row->duplicate, row->low,   row->unauthorised};
    sqlite3_bind_text(stmt, 1, row->name, -1, SQLITE_TRANSIENT);
    for (int i = 0; i < (int)(sizeof counts / sizeof counts[0]); i++) {
        sqlite3_bind_int64(stmt, 2 + i, (int64_t)counts[i]);
    }
    sqlite3_bind_text(stmt, 9, sl_i128_format(row->work, work), -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(stmt, 10, sl_i128_format(row->amount_nusd, amount), -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(stmt, 11, row->last_share.ms);
    return sl_store_run(s->db, stmt, "recording the sums of a pool", err);
}

static bool read_row(sqlite3_stmt *stmt, struct sl_pool_row *row) {
    char text[48];
    uint64_t *const counts[] = {&row->accepted,  &row->stale, &row->rejected,    &row->unknown,
                                &row->duplicate, &row->low,   &row->unauthorised};
    bool good = sl_column_text(stmt, 0, row->name, sizeof row->name);
    for (int i = 0; i < (int)(sizeof counts / sizeof counts[0]); i++) {
        int64_t count = sqlite3_column_int64(stmt, 1 + i);
        good &= count >= 0;
        *counts[i] = (uint64_t)count;
    }
    good &= sl_column_text(stmt, 8, text, sizeof text) && sl_i128_parse(text, &row->work) == SL_OK;
    good &= sl_column_text(stmt, 9, text, sizeof text) &&
            sl_i128_parse(text, &row->amount_nusd) == SL_OK;
    row->last_share.ms = sqlite3_column_int64(stmt, 10);
    return good;
}

int sl_reader_pools(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(
        &r->statements,
        "SELECT name,accepted,stale,rejected,unknown,duplicate,low,unauthorised,work,amount,"
        "last_share_ms FROM pools ORDER BY name",
        err);
    if (!stmt) {
        return -SL_IO;
    }
    int rc = SL_OK;
    int step = SQLITE_DONE;
    while (rc == SL_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct sl_pool_row row = {0};
        if (!read_row(stmt, &row)) {
            rc = sl_fail(err, SL_CORRUPT,
                         "the store is damaged: a row of 'pools' cannot be read; restore a backup");
        } else if (cb(arg, &row)) {
            step = SQLITE_DONE;
            break;
        }
    }
    if (rc == SL_OK && step != SQLITE_DONE) {
        rc = sl_store_fail(err, r->db, "reading pools");
    }
    sqlite3_reset(stmt);
    return rc;
}
