/* SPDX-License-Identifier: Apache-2.0
 * Whose store it is: a random id, made with the store, and the public key of the broker that it
 * belongs to. */
#include <stdio.h>
#include <string.h>

#include "broker/store/store_internal.h"

static int meta_get(sqlite3 *db, const char *key, char *ret_value, size_t size,
                    struct sl_error *err) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE key=?1", -1, &stmt, NULL)) {
        return sl_store_fail(err, db, "reading whose store it is");
    }
    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    int rc = sqlite3_step(stmt);
    ret_value[0] = '\0';
    if (rc == SQLITE_ROW) {
        sl_column_text(stmt, 0, ret_value, size);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE
               ? SL_OK
               : sl_store_fail(err, db, "reading whose store it is");
}

int sl_store_meta_put(sqlite3 *db, const char *key, const char *value, struct sl_error *err) {
    sqlite3_stmt *stmt = NULL;
    static const char sql[] = "INSERT INTO meta(key,value) VALUES(?1,?2)"
                              " ON CONFLICT(key) DO UPDATE SET value=?2";
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL)) {
        return sl_store_fail(err, db, "writing to the store");
    }
    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
    int rc = sl_store_run(db, stmt, "writing to the store", err);
    sqlite3_finalize(stmt);
    return rc;
}

static int write_site(sqlite3 *db, bool new_id, const char *key, struct sl_error *err) {
    uint8_t random[16];
    char id[33];
    sqlite3_randomness(sizeof random, random);
    for (size_t i = 0; i < sizeof random; i++) {
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    }
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
        return sl_store_fail(err, db, "writing whose store it is");
    }
    int rc = new_id ? sl_store_meta_put(db, SL_META_SITE_ID, id, err) : SL_OK;
    rc = rc || !key ? rc : sl_store_meta_put(db, SL_META_SITE_KEY, key, err);
    if (rc == SL_OK && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        rc = sl_store_fail(err, db, "writing whose store it is");
    }
    if (rc) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return rc;
}

int sl_site_claim(sqlite3 *db, const struct sl_store_config *config, struct sl_error *err) {
    char id[64] = "";
    char key[SL_SITE_KEY_MAX] = "";
    int rc = meta_get(db, SL_META_SITE_ID, id, sizeof id, err);
    rc = rc ? rc : meta_get(db, SL_META_SITE_KEY, key, sizeof key, err);
    if (rc) {
        return rc;
    }
    bool other = config->site_key && key[0] && strcmp(key, config->site_key) != 0;
    if (other && !config->adopt) {
        return sl_fail(err, SL_DENIED,
                       "the store %s belongs to another site: to the broker with the public key "
                       "%s, not %s. Use that site's agents.key_file; or, if it is this site's and "
                       "its keys are new, start once with --adopt-store",
                       config->path, key, config->site_key);
    }
    bool unsaid = config->site_key && !key[0];
    return id[0] && !unsaid && !other ? SL_OK : write_site(db, !id[0], config->site_key, err);
}
