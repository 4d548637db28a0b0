/* SPDX-License-Identifier: Apache-2.0
 * The ledger's proof: every transfer is replayed from the first and compared with what the
 * accounts, results and shares say. Read in one transaction, so that a running broker may be
 * checked. */
#include <stdlib.h>
#include <string.h>

#include "broker/store/store_internal.h"

#define ACCOUNTS_MAX 4096

struct replay {
    uint32_t count;
    struct sl_account_row *rows; /* [ACCOUNTS_MAX], replayed sums */
    uint64_t next_id;
    struct sl_error *err;
    int rc;
};

static struct sl_account_row *find_account(struct replay *replay, const char *id) {
    for (uint32_t i = 0; i < replay->count; i++) {
        if (strcmp(replay->rows[i].id, id) == 0) {
            return &replay->rows[i];
        }
    }
    if (replay->count == ACCOUNTS_MAX) {
        return NULL;
    }
    struct sl_account_row *row = &replay->rows[replay->count++];
    sl_text_copy(row->id, sizeof row->id, id);
    return row;
}

static int replay_transfer(void *arg, const void *row_arg) {
    struct replay *replay = arg;
    const struct sl_transfer_row *row = row_arg;
    struct sl_account_row *debit = find_account(replay, row->debit);
    struct sl_account_row *credit = find_account(replay, row->credit);
    if (!debit || !credit) {
        replay->rc = sl_fail(replay->err, SL_LIMIT, "more than %d accounts", ACCOUNTS_MAX);
        return 1;
    }
    if (row->id != replay->next_id) {
        replay->rc = sl_fail(replay->err, SL_CORRUPT, "transfer %llu is missing",
                             (unsigned long long)replay->next_id);
        return 1;
    }
    replay->next_id++;
    debit->debits.v += row->amount.v;
    credit->credits.v += row->amount.v;
    return 0;
}

static int compare_account(void *arg, const void *row_arg) {
    struct replay *replay = arg;
    const struct sl_account_row *row = row_arg;
    const struct sl_account_row *sum = find_account(replay, row->id);
    if (!sum || sum->debits.v != row->debits.v || sum->credits.v != row->credits.v) {
        replay->rc = sl_fail(replay->err, SL_CORRUPT,
                             "account %s does not equal the sum of its transfers", row->id);
        return 1;
    }
    return 0;
}

/* 0 rows is right for each of these. */
static int expect_none(struct sl_reader *r, const char *sql, const char *what,
                       struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(&r->statements, sql, err);
    if (!stmt) {
        return -SL_IO;
    }
    int rc = SL_OK;
    int step = sqlite3_step(stmt);
    if (step == SQLITE_ROW) {
        char which[120];
        sl_column_text(stmt, 0, which, sizeof which);
        rc = sl_fail(err, SL_CORRUPT, "%s: %s", what, which);
    } else if (step != SQLITE_DONE) {
        rc = sl_store_fail(err, r->db, "checking the ledger");
    }
    sqlite3_reset(stmt);
    return rc;
}

/* Sums of what agents claim may be beyond 2^63, where SQLite's fail: they are made in two parts. */
#define GIGA "1000000000"

static int check_references(struct sl_reader *r, struct sl_error *err) {
    static const struct {
        const char *sql;
        const char *what;
        int schema; /* with which its tables came: backups may be older than this program */
    } rules[] = {
        {"SELECT r.batch||'/'||r.line FROM results r LEFT JOIN transfers t ON t.kind=1 AND"
         " t.ref=r.batch||'/'||r.line WHERE r.status=1 AND (t.id IS NULL OR"
         " t.amount_nusd<>r.amount_nusd) LIMIT 1",
         "a finished line without its posting, or with another amount", 1},
        {"SELECT r.batch||'/'||r.line FROM results r LEFT JOIN transfers t ON t.kind=1 AND"
         " t.ref=r.batch||'/'||r.line LEFT JOIN batches b ON b.id=r.batch WHERE r.status=1 AND"
         " (b.id IS NULL OR t.debit<>'tenant:'||b.tenant OR t.credit<>'revenue:lease') LIMIT 1",
         "a line without its batch, or billed to another tenant than its batch's", 1},
        {"SELECT t.ref FROM transfers t WHERE t.kind=1 AND NOT EXISTS (SELECT 1 FROM results r"
         " WHERE r.batch=substr(t.ref,1,instr(t.ref,'/')-1) AND"
         " r.line=CAST(substr(t.ref,instr(t.ref,'/')+1) AS INTEGER) AND r.status=1) LIMIT 1",
         "a posting for a line that has no result", 1},
        {"SELECT s.node_key||'/'||s.share_id FROM shares s LEFT JOIN transfers t ON t.kind=2 AND"
         " t.ref=s.node_key||'/'||s.share_id WHERE (s.outcome=1) <> (t.id IS NOT NULL) OR"
         " (t.id IS NOT NULL AND t.amount_nusd<>s.amount_nusd) LIMIT 1",
         "a share whose posting is missing, too much, or of another amount", 1},
        {"SELECT id FROM batches b WHERE billed_nusd <> (SELECT coalesce(sum(amount_nusd),0) FROM"
         " results WHERE batch=b.id AND status=1) LIMIT 1",
         "a batch whose bill is not the sum of its lines", 1},
        /* A price is at most 1e15, a line's tokens below 2^32: the product is made in two parts. */
        {"WITH q AS (SELECT r.batch AS id, count(*) AS n, count(u.unit_id) AS u,"
         " sum(r.tokens) AS t, sum(r.amount_nusd) AS a,"
         " sum(r.tokens*(u.price_nusd_per_mtok/1000000))"
         "+sum(r.tokens*(u.price_nusd_per_mtok%1000000))/1000000 AS p FROM results r"
         " LEFT JOIN units u ON u.unit_id=r.unit_id WHERE r.status=1 GROUP BY r.batch)"
         " SELECT b.id FROM batches b JOIN q ON q.id=b.id WHERE q.u=q.n AND (q.p<>q.a OR"
         " b.tokens<>q.t OR b.lines_completed<>q.n) LIMIT 1",
         "a batch whose tokens or lines are not those of its results, or not billed at the "
         "price of its work units",
         1},
        {"SELECT 'settlement/'||s.id FROM settlements s LEFT JOIN (SELECT settlement,"
         " sum(amount_nusd) AS total FROM shares WHERE settlement<>0 GROUP BY settlement) q"
         " ON q.settlement=s.id WHERE s.quoted_nusd+s.late_nusd<>coalesce(q.total,0) LIMIT 1",
         "a settlement that is not about its shares", SL_SCHEMA_SETTLEMENTS},
        {"SELECT 'settlement/'||s.id FROM settlements s LEFT JOIN transfers t ON t.kind=4 AND"
         " t.ref='settlement/'||s.id LEFT JOIN transfers d ON d.kind=5 AND"
         " d.ref='settlement/'||s.id WHERE s.settled_nusd<>coalesce(t.amount_nusd,0) OR"
         " abs(s.settled_nusd-s.quoted_nusd-s.late_nusd)<>coalesce(d.amount_nusd,0) LIMIT 1",
         "a settlement whose postings are missing or of another amount", SL_SCHEMA_SETTLEMENTS},
        {"SELECT ref FROM transfers WHERE kind IN (4,5) AND NOT EXISTS (SELECT 1 FROM settlements"
         " s WHERE 'settlement/'||s.id=ref) LIMIT 1",
         "a posting for a settlement that is not there", SL_SCHEMA_SETTLEMENTS},
        {"WITH s AS (SELECT pool, sum(outcome=1) AS a, sum(outcome=2) AS b, sum(outcome=3) AS c,"
         " sum(outcome=4) AS d, sum(amount_nusd/" GIGA ") AS h, sum(amount_nusd%" GIGA ") AS l"
         " FROM shares GROUP BY pool), q AS (SELECT *, CASE WHEN h+l/" GIGA
         "=0 THEN CAST(l AS TEXT)"
         " ELSE (h+l/" GIGA ")||printf('%09d',l%" GIGA ") END AS m FROM s)"
         " SELECT coalesce(p.name,'') FROM pools p LEFT JOIN q ON q.pool=p.name WHERE"
         " p.accepted<>coalesce(q.a,0) OR p.stale<>coalesce(q.b,0) OR p.rejected<>coalesce(q.c,0)"
         " OR p.unknown<>coalesce(q.d,0) OR p.amount<>coalesce(q.m,'0')"
         " UNION ALL SELECT q.pool FROM q WHERE q.pool NOT IN (SELECT name FROM pools) LIMIT 1",
         "a pool whose sums are not those of its shares", SL_SCHEMA_POOLS},
    };
    int64_t version = 0;
    int rc = sl_store_int(r->db, "PRAGMA user_version", &version, err);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0] && rc == SL_OK; i++) {
        rc = version < rules[i].schema ? SL_OK : expect_none(r, rules[i].sql, rules[i].what, err);
    }
    return rc;
}

static int check_sums(struct sl_reader *r, struct replay *replay, struct sl_error *err) {
    uint64_t after = 0;
    do {
        after = replay->next_id - 1;
        int rc = sl_reader_transfers(r, after, 100000, replay_transfer, replay, err);
        if (rc || replay->rc) {
            return rc ? rc : replay->rc;
        }
    } while (replay->next_id - 1 > after);
    uint32_t replayed = replay->count;
    int rc = sl_reader_accounts(r, compare_account, replay, err);
    if (rc || replay->rc) {
        return rc ? rc : replay->rc;
    }
    sl_i128 debits = 0;
    sl_i128 credits = 0;
    for (uint32_t i = 0; i < replayed; i++) {
        debits += replay->rows[i].debits.v;
        credits += replay->rows[i].credits.v;
    }
    if (debits != credits) {
        return sl_fail(err, SL_CORRUPT, "debits and credits differ");
    }
    return SL_OK;
}

int sl_reader_ledger_check(struct sl_reader *r, struct sl_error *err) {
    struct replay replay = {.next_id = 1, .err = err};
    replay.rows = calloc(ACCOUNTS_MAX, sizeof *replay.rows);
    if (!replay.rows) {
        return sl_fail(err, SL_NOMEM, "no memory to check the ledger");
    }
    int rc = SL_OK;
    if (sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        rc = sl_store_fail(err, r->db, "checking the ledger");
    } else {
        rc = check_sums(r, &replay, err);
        if (rc == SL_OK) {
            rc = check_references(r, err);
        }
        sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
    }
    free(replay.rows);
    return rc;
}
