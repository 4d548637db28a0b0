/* SPDX-License-Identifier: Apache-2.0
 * What a restore must not undo: a key that was revoked since the backup is revoked for a reason
 * that the backup knows nothing of. */
#include "broker/store/restore_keep.h"

#include "broker/store/agents.h"
#include "broker/store/store_internal.h"

struct keeping {
    sqlite3 *db; /* the restored store */
    sqlite3_stmt *stmt;
    struct sl_restore_kept *kept;
    struct sl_error *err;
    int rc;
};

/* Runs the bound statement; the change of a row counts. */
static int keep(struct keeping *k, uint32_t *counter) {
    if (sqlite3_step(k->stmt) != SQLITE_DONE) {
        k->rc = sl_store_fail(k->err, k->db, "keeping what was revoked");
    } else {
        *counter += (uint32_t)sqlite3_changes(k->db);
    }
    sqlite3_reset(k->stmt);
    return k->rc;
}

static int keep_key(void *arg, const void *row) {
    struct keeping *k = arg;
    const struct sl_key_row *key = row;
    if (key->revoked.ms == 0) {
        return 0;
    }
    sqlite3_bind_text(k->stmt, 1, key->id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(k->stmt, 2, key->revoked.ms);
    return keep(k, &k->kept->keys);
}

static int keep_agent(void *arg, const void *row) {
    struct keeping *k = arg;
    const struct sl_agent_row *agent = row;
    if (agent->state != SL_AGENT_REVOKED) {
        return 0;
    }
    sqlite3_bind_text(k->stmt, 1, agent->id, -1, SQLITE_STATIC);
    sqlite3_bind_int(k->stmt, 2, SL_AGENT_REVOKED);
    sqlite3_bind_int64(k->stmt, 3, agent->decided.ms);
    sqlite3_bind_text(k->stmt, 4, agent->actor, -1, SQLITE_STATIC);
    return keep(k, &k->kept->agents);
}

/* A token that was used or withdrawn since has come to its end; whoever used it is not known to the
 * restored store, and needs another one. */
static int keep_token(void *arg, const void *row) {
    struct keeping *k = arg;
    const struct sl_enrolment_row *token = row;
    sqlite3_bind_text(k->stmt, 1, token->id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(k->stmt, 2, token->used.ms ? token->created.ms : token->expires.ms);
    return keep(k, &k->kept->tokens);
}

typedef int (*list_cb)(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);

/* -SL_CORRUPT: the list of the present store cannot be read. */
static int keep_list(struct keeping *k, struct sl_reader *present, list_cb list, sl_row_cb cb,
                     const char *sql) {
    if (sqlite3_prepare_v2(k->db, sql, -1, &k->stmt, NULL) != SQLITE_OK) {
        return sl_store_fail(k->err, k->db, "keeping what was revoked");
    }
    int rc = list(present, cb, k, NULL);
    sqlite3_finalize(k->stmt);
    k->stmt = NULL;
    return k->rc ? k->rc : rc ? -SL_CORRUPT : SL_OK;
}

int sl_restore_keep(const char *present_path, const char *restored_path,
                    struct sl_restore_kept *ret_kept, struct sl_error *err) {
    struct sl_restore_kept kept = {0};
    struct keeping k = {.kept = &kept, .err = err};
    SL_AUTO(sl_reader) present = NULL;
    if (sl_reader_open(present_path, NULL, &present, NULL) != SL_OK) {
        *ret_kept = kept;
        return SL_OK;
    }
    int rc = sl_store_open_db(restored_path, NULL, &k.db, err);
    rc = rc ? rc
            : keep_list(&k, present, sl_reader_keys, keep_key,
                        "UPDATE keys SET revoked_ms=?2 WHERE id=?1 AND revoked_ms=0");
    rc = rc ? rc
            : keep_list(&k, present, sl_reader_agents, keep_agent,
                        "UPDATE agents SET state=?2, decided_ms=?3, actor=?4, rotating=0"
                        " WHERE id=?1 AND state<>?2");
    rc = rc ? rc
            : keep_list(&k, present, sl_reader_enrolments, keep_token,
                        "UPDATE enrolments SET expires_ms=max(created_ms,?2)"
                        " WHERE id=?1 AND used_ms=0 AND expires_ms>max(created_ms,?2)");
    sqlite3_close(k.db);
    kept.known = rc == SL_OK;
    *ret_kept = kept;
    return rc == -SL_CORRUPT ? SL_OK : rc;
}
