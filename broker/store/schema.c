/* SPDX-License-Identifier: Apache-2.0
 * The schema, its version and its migrations. Version N is reached by running steps[0..N-1]; a
 * store written by a newer program is refused, never guessed at. */
#include <stdio.h>
#include <string.h>

#include "broker/store/store_internal.h"
#include "proto/base/mutant.h"

/* Integers hold nano-USD and ms; sums that outgrow 64 bits and remainders are decimal texts. */
static const char step_1[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE keys(id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, role INTEGER NOT NULL,"
    " tenant TEXT NOT NULL, label TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    " revoked_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE files(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL,"
    " filename TEXT NOT NULL, purpose TEXT NOT NULL, bytes INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    " deleted INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE batches(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL,"
    " input_file TEXT NOT NULL, output_file TEXT NOT NULL, error_file TEXT NOT NULL,"
    " model TEXT NOT NULL, endpoint TEXT NOT NULL, state TEXT NOT NULL, after TEXT NOT NULL,"
    " bid_nusd_per_mtok INTEGER NOT NULL, created_ms INTEGER, in_progress_ms INTEGER,"
    " finalizing_ms INTEGER, completed_ms INTEGER, failed_ms INTEGER, expired_ms INTEGER,"
    " cancelling_ms INTEGER, cancelled_ms INTEGER, deadline_ms INTEGER, lines_total INTEGER,"
    " lines_completed INTEGER, lines_failed INTEGER, tokens INTEGER, remainder TEXT NOT NULL,"
    " billed_nusd INTEGER NOT NULL, metadata TEXT, errors TEXT);"
    "CREATE INDEX batches_by_state ON batches(state);"
    "CREATE TABLE devices(key TEXT PRIMARY KEY, node TEXT NOT NULL, node_key TEXT NOT NULL,"
    " epoch_max INTEGER NOT NULL, first_seen_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE directives(device TEXT NOT NULL, epoch INTEGER NOT NULL, mode TEXT NOT NULL,"
    " batch TEXT NOT NULL, price_nusd_per_mtok INTEGER NOT NULL, rule TEXT NOT NULL,"
    " why TEXT NOT NULL, inputs_digest BLOB NOT NULL, at_ms INTEGER NOT NULL,"
    " PRIMARY KEY(device, epoch)) WITHOUT ROWID;"
    "CREATE TABLE units(unit_id INTEGER PRIMARY KEY, node_key TEXT NOT NULL, device TEXT NOT NULL,"
    " epoch INTEGER NOT NULL, batch TEXT NOT NULL, price_nusd_per_mtok INTEGER NOT NULL,"
    " reserved_nusd INTEGER NOT NULL, lines BLOB NOT NULL, closed INTEGER NOT NULL);"
    "CREATE INDEX units_open ON units(unit_id) WHERE closed = 0;"
    "CREATE TABLE results(batch TEXT NOT NULL, line INTEGER NOT NULL, unit_id INTEGER NOT NULL,"
    " status INTEGER NOT NULL, tokens INTEGER NOT NULL, vector_count INTEGER NOT NULL,"
    " dim INTEGER NOT NULL, vectors BLOB, amount_nusd INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    " PRIMARY KEY(batch, line)) WITHOUT ROWID;"
    "CREATE TABLE transfers(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, debit TEXT NOT NULL,"
    " credit TEXT NOT NULL, amount_nusd INTEGER NOT NULL CHECK(amount_nusd >= 0),"
    " ref TEXT NOT NULL, at_ms INTEGER NOT NULL, UNIQUE(kind, ref));"
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, debits TEXT NOT NULL, credits TEXT NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE shares(seq INTEGER PRIMARY KEY, node_key TEXT NOT NULL, share_id INTEGER NOT "
    "NULL,"
    " device TEXT NOT NULL, outcome INTEGER NOT NULL, code INTEGER NOT NULL,"
    " work_hashes INTEGER NOT NULL, difficulty_nano INTEGER NOT NULL,"
    " price_nusd_per_ph_day INTEGER NOT NULL, amount_nusd INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, UNIQUE(node_key, share_id));"
    "CREATE TABLE overrides(subject TEXT PRIMARY KEY, kind INTEGER NOT NULL, mode TEXT NOT NULL,"
    " actor TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE audit(seq INTEGER PRIMARY KEY, actor TEXT NOT NULL, action TEXT NOT NULL,"
    " subject TEXT NOT NULL, detail TEXT NOT NULL, at_ms INTEGER NOT NULL);"
    "CREATE TABLE prices(seq INTEGER PRIMARY KEY, feed TEXT NOT NULL, value_nano INTEGER NOT NULL,"
    " as_of_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL);"
    "CREATE INDEX prices_by_age ON prices(seen_ms);";

/* Page checksums come with the file itself (rebuild.c); application_id lets `file` name it. */
static const char step_2[] = "PRAGMA application_id = 1397511491;"; /* "SLUC" */

/* Decisions that can be made again, and what would have been earned otherwise. */
static const char step_3[] =
    "ALTER TABLE directives ADD COLUMN policy TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE directives ADD COLUMN policy_version TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE directives ADD COLUMN record BLOB;"
    "CREATE INDEX directives_by_time ON directives(device, at_ms);"
    "CREATE TABLE against(device TEXT NOT NULL, at_ms INTEGER NOT NULL, span_ms INTEGER NOT NULL,"
    " actual INTEGER NOT NULL, hash INTEGER NOT NULL, lease INTEGER NOT NULL,"
    " idle INTEGER NOT NULL, fbf INTEGER NOT NULL, work_function INTEGER NOT NULL,"
    " percent INTEGER NOT NULL, minimum_time INTEGER NOT NULL, greedy INTEGER NOT NULL);"
    "CREATE INDEX against_by_time ON against(at_ms);"
    "CREATE INDEX against_by_device ON against(device, at_ms);";

/* What pools really credited; a share knows by which import it was settled (0: not yet). */
static const char step_4[] =
    "CREATE TABLE settlements(id INTEGER PRIMARY KEY, scope TEXT NOT NULL, pool TEXT NOT NULL,"
    " from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, amount_nano INTEGER NOT NULL,"
    " currency TEXT NOT NULL, rate_nano INTEGER NOT NULL, settled_nusd INTEGER NOT NULL,"
    " quoted_nusd INTEGER NOT NULL, late_nusd INTEGER NOT NULL, actor TEXT NOT NULL,"
    " at_ms INTEGER NOT NULL, CHECK(from_ms < to_ms AND amount_nano >= 0 AND settled_nusd >= 0));"
    "ALTER TABLE shares ADD COLUMN settlement INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX shares_unsettled ON shares(at_ms) WHERE settlement = 0 AND outcome = 1;";

/* What happened, for people and scripts that follow it; and which devices are not trusted, why. */
static const char step_events[] =
    "CREATE TABLE events(id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, node TEXT NOT NULL,"
    " device TEXT NOT NULL, kind TEXT NOT NULL, severity INTEGER NOT NULL, text TEXT NOT NULL);"
    "CREATE TABLE device_health(device TEXT PRIMARY KEY, uuid TEXT NOT NULL,"
    " state INTEGER NOT NULL, cause INTEGER NOT NULL, code INTEGER NOT NULL, text TEXT NOT NULL,"
    " since_ms INTEGER NOT NULL, incidents INTEGER NOT NULL, incident_ms INTEGER NOT NULL,"
    " rma INTEGER NOT NULL, seen TEXT NOT NULL) WITHOUT ROWID;";

/* Nodes that join with a token, and keys that are refused for ever. */
static const char step_joining[] =
    "CREATE TABLE enrolments(id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL UNIQUE,"
    " created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL,"
    " key TEXT NOT NULL, actor TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE agents(id TEXT PRIMARY KEY, name TEXT NOT NULL, state INTEGER NOT NULL,"
    " key TEXT NOT NULL UNIQUE, key_before TEXT NOT NULL, before_until_ms INTEGER NOT NULL,"
    " rotation INTEGER NOT NULL, rotating INTEGER NOT NULL, overlap_ms INTEGER NOT NULL,"
    " enrolment TEXT NOT NULL, version TEXT NOT NULL, inventory TEXT NOT NULL,"
    " joined_ms INTEGER NOT NULL, decided_ms INTEGER NOT NULL, actor TEXT NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE UNIQUE INDEX agents_by_enrolment ON agents(enrolment) WHERE enrolment <> '';"
    "CREATE TABLE retired_keys(key TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID;";

/* A share knows its pool; each pool has its sums (128 bits, as decimal texts). A settlement may be
 * about one pool's shares only (empty: about all). */
static const char step_pools[] =
    "ALTER TABLE shares ADD COLUMN pool TEXT NOT NULL DEFAULT 'default';"
    "ALTER TABLE settlements ADD COLUMN only_pool TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE pools(name TEXT PRIMARY KEY, accepted INTEGER NOT NULL, stale INTEGER NOT NULL,"
    " rejected INTEGER NOT NULL, unknown INTEGER NOT NULL, duplicate INTEGER NOT NULL,"
    " low INTEGER NOT NULL, unauthorised INTEGER NOT NULL, work TEXT NOT NULL,"
    " amount TEXT NOT NULL, last_share_ms INTEGER NOT NULL) WITHOUT ROWID;"
    /* Sums of shares of one pool of a store of before: 64 bits were enough for its own totals. */
    "INSERT INTO pools SELECT 'default', sum(outcome=1), sum(outcome=2), sum(outcome=3),"
    " sum(outcome=4), sum(outcome=3 AND code=22), sum(outcome=3 AND code=23),"
    " sum(outcome=3 AND code IN (24,25)),"
    " printf('%.0f', total(CASE WHEN outcome=1 THEN work_hashes ELSE 0 END)),"
    " CAST(sum(amount_nusd) AS TEXT), max(at_ms) FROM shares HAVING count(*)>0;";

/* The file of its model that a batch keeps to. */
static const char step_model_file[] =
    "ALTER TABLE batches ADD COLUMN model_sha256 TEXT NOT NULL DEFAULT '';";

/* How long its results stay; those of batches of before stay until they are deleted. */
static const char step_output_life[] =
    "ALTER TABLE batches ADD COLUMN output_life_ms INTEGER NOT NULL DEFAULT 0;";

static const char *const steps[SL_SCHEMA_VERSION] = {step_1,     step_2,          step_3,
                                                     step_4,     step_events,     step_joining,
                                                     step_pools, step_model_file, step_output_life};

int sl_store_int(sqlite3 *db, const char *sql, int64_t *ret_value, struct sl_error *err) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        return sl_store_fail(err, db, "reading the store");
    }
    int rc = sqlite3_step(stmt);
    int64_t value = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return sl_store_fail(err, db, "reading the store");
    }
    *ret_value = value;
    return SL_OK;
}

int sl_schema_quick_check(sqlite3 *db, const char *path, struct sl_error *err) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    bool good = rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
    char said[120] = "";
    if (!good) {
        sl_text_copy(said, sizeof said,
                     rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0)
                                      : sqlite3_errmsg(db));
    }
    sqlite3_finalize(stmt);
    if (!good) {
        return sl_fail(err, SL_CORRUPT,
                       "the store %s is damaged (%s); restore a backup (sluice-broker restore), or "
                       "move %s* away to start with an empty ledger",
                       path, said, path);
    }
    return SL_OK;
}

int sl_schema_migrate(sqlite3 *db, struct sl_error *err) {
    int64_t version = 0;
    int rc = sl_store_int(db, "PRAGMA user_version", &version, err);
    for (; rc == SL_OK && version < SL_SCHEMA_VERSION; version++) {
        char set_version[64];
        snprintf(set_version, sizeof set_version, "PRAGMA user_version = %d", (int)version + 1);
        if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_exec(db, steps[version], NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_exec(db, set_version, NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
            return sl_store_fail(err, db, "preparing the store's tables");
        }
    }
    return rc;
}

int sl_schema_refuse_foreign(sqlite3 *db, const char *path, struct sl_error *err) {
    static const char ours_sql[] =
        "SELECT count(*) FROM sqlite_master WHERE name IN ('meta','units','transfers')";
    int64_t version = 0;
    int64_t tables = 0;
    int64_t ours = 0;
    int64_t backup = 0;
    int rc = sl_store_int(db, "SELECT count(*) FROM sqlite_master WHERE name='backup_file'",
                          &backup, err);
    if (rc == SL_OK && backup) {
        return sl_fail(err, SL_INVALID,
                       "%s is a backup, not a store: put it back with `sluice-broker restore`",
                       path);
    }
    rc = rc ? rc : sl_store_int(db, "PRAGMA user_version", &version, err);
    rc = rc ? rc : sl_store_int(db, "SELECT count(*) FROM sqlite_master", &tables, err);
    rc = rc ? rc : sl_store_int(db, ours_sql, &ours, err);
    if (rc == SL_OK && (version == 0 ? tables > 0 : ours != 3)) {
        rc = sl_fail(err, SL_CORRUPT,
                     "%s is not a Sluice store but another program's database; give another "
                     "data_dir or move the file away",
                     path);
    }
    return rc;
}

int sl_schema_prepare(sqlite3 *db, const char *path, struct sl_error *err) {
    int64_t version = 0;
    /* A text that is not a database at all shows itself at the first read. */
    if (sl_store_int(db, "PRAGMA user_version", &version, err)) {
        return sl_fail(err, SL_CORRUPT,
                       "%s is not a Sluice store (%s); give another data_dir or move the file away",
                       path, sqlite3_errmsg(db));
    }
    if (version < 0) {
        return sl_fail(err, SL_CORRUPT,
                       "%s is not a Sluice store (schema %d); give another data_dir or move the "
                       "file away",
                       path, (int)version);
    }
    if (version > SL_SCHEMA_VERSION) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "the store %s has schema %d and this program knows %d; run the newer "
                       "sluice-broker",
                       path, (int)version, SL_SCHEMA_VERSION);
    }
    int rc = sl_schema_refuse_foreign(db, path, err);
    rc = rc || version == 0 ? rc : sl_schema_quick_check(db, path, err);
    if (rc) {
        return rc;
    }
    if (sqlite3_exec(db,
                     SL_MUTANT(store_unsynced)
                         ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"
                         : "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                           "PRAGMA wal_autocheckpoint = 1000; PRAGMA foreign_keys = ON;",
                     NULL, NULL, NULL) != SQLITE_OK) {
        return sl_store_fail(err, db, "setting up the store");
    }
    return sl_schema_migrate(db, err);
}
