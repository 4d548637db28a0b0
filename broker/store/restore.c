/* SPDX-License-Identifier: Apache-2.0
 * Putting a backup back: all is prepared in DATA_DIR/restore.new, which becomes restore.ready when
 * it is complete and durable. That rename decides; restore_swap.c does the rest, now or at the next
 * start. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store/backup_internal.h"
#include "broker/store/file_check.h"
#include "broker/store/restore_swap.h"

/* Numbers that agents know jump to the time in ms times this: no broker gives out so many a
 * millisecond, so whatever was given out between the backup and now lies below. */
#define NUMBERS_PER_MS 1024

struct restoring {
    const struct sl_restore_config *config;
    struct sl_backup_facts backup;
    char store[SL_TREE_PATH_MAX]; /* the present one */
    char fresh[SL_TREE_PATH_MAX]; /* restore.new */
    char aside[SL_TREE_PATH_MAX];
    sqlite3 *db; /* the copy of the backup */
    struct sl_restore_kept kept;
};

/* ---- may it be put back here? ---- */

static int refuse_other_site(const struct restoring *r, const char *present_id,
                             struct sl_error *err) {
    const struct sl_restore_config *config = r->config;
    if (config->adopt) {
        return SL_OK;
    }
    if (config->site_key && r->backup.site_key[0] &&
        strcmp(config->site_key, r->backup.site_key) != 0) {
        return sl_fail(err, SL_DENIED,
                       "%s is of another site: of the broker with the public key %s, not %s. Use "
                       "that site's agents.key_file; or, if it is this site's and its keys are "
                       "new, say --adopt-store",
                       config->file, r->backup.site_key, config->site_key);
    }
    if (present_id[0] && strcmp(present_id, r->backup.site_id) != 0) {
        return sl_fail(err, SL_DENIED,
                       "%s is a backup of site %s, but %s is the store of site %s: restore into "
                       "its own data_dir, or say --adopt-store",
                       config->file, r->backup.site_id, r->store, present_id);
    }
    return SL_OK;
}

static int refuse_clock(const struct restoring *r, int64_t last_ms, struct sl_error *err) {
    char now[32];
    char then[32];
    if (r->config->now.ms > r->backup.at.ms && r->config->now.ms > last_ms) {
        return SL_OK;
    }
    bool backup = r->backup.at.ms >= r->config->now.ms;
    return sl_fail(err, SL_BADSTATE,
                   "the clock says %s, but the %s is of %s: set the clock first, since what was "
                   "given out before must not be given out again",
                   sl_wall_format(r->config->now, now), backup ? "backup" : "last restore",
                   sl_wall_format(backup ? r->backup.at : (struct sl_wall){last_ms}, then));
}

/* The present store, if it can be read at all: it may well be damaged. */
static int look_at_present(const struct restoring *r, struct sl_error *err) {
    char id[40] = "";
    char last[64] = "";
    SL_AUTO(sl_reader) reader = NULL;
    if (access(r->store, F_OK) == 0 && sl_reader_open(r->store, NULL, &reader, NULL) == SL_OK) {
        sl_reader_meta(reader, SL_META_SITE_ID, id, sizeof id);
        sl_reader_meta(reader, SL_META_RESTORED, last, sizeof last);
    }
    int rc = refuse_other_site(r, id, err);
    return rc ? rc : refuse_clock(r, strtoll(last, NULL, 10), err);
}

/* ---- what the backup holds ---- */

static int extract_part(const char *path, int part, const void *data, int n, struct sl_error *err) {
    int flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW | (part == 0 ? O_CREAT | O_EXCL : O_APPEND);
    SL_AUTO_FD int fd = open(path, flags, 0600);
    if (fd < 0 || write(fd, data, (size_t)n) != n || fsync(fd) != 0) {
        return sl_fail_errno(err, "writing %s", path);
    }
    return SL_OK;
}

/* A name is "operator.key", "files/ID" or "lines/ID": whatever else a file says leads nowhere. */
static bool good_name(const char *name) {
    const char *id =
        strncmp(name, "files/", 6) == 0 || strncmp(name, "lines/", 6) == 0 ? name + 6 : NULL;
    return strcmp(name, "operator.key") == 0 || (id && id[0] && !strpbrk(id, "/."));
}

static int extract_files(struct restoring *r, struct sl_error *err) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(r->db, "SELECT name, part, data FROM backup_file ORDER BY seq", -1,
                           &stmt, NULL)) {
        return sl_store_fail(err, r->db, "reading the backup");
    }
    int rc = SL_OK;
    int step = SQLITE_DONE;
    while (rc == SL_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        char path[SL_TREE_PATH_MAX];
        if (!name || !good_name(name)) {
            rc = sl_fail(err, SL_CORRUPT, "%s holds a file with a name that we never wrote",
                         r->config->file);
            break;
        }
        rc = sl_tree_path(r->fresh, name, path, err);
        const void *data = sqlite3_column_blob(stmt, 2);
        rc = rc ? rc
                : extract_part(path, sqlite3_column_int(stmt, 1), data ? data : "",
                               sqlite3_column_bytes(stmt, 2), err);
    }
    if (rc == SL_OK && step != SQLITE_DONE) {
        rc = sl_store_fail(err, r->db, "reading the backup");
    }
    sqlite3_finalize(stmt);
    return rc;
}

int sl_restore_mark(const char *path, const char *vfs, struct sl_wall from, struct sl_wall now,
                    struct sl_error *err) {
    char sql[900];
    char at[32];
    sqlite3 *db = NULL;
    long long floor = now.ms * NUMBERS_PER_MS;
    snprintf(sql, sizeof sql,
             "PRAGMA synchronous=FULL; BEGIN;"
             "UPDATE devices SET epoch_max = max(epoch_max + 1, %lld);"
             "INSERT INTO meta VALUES('" SL_META_RESTORED "','%lld') ON CONFLICT(key) DO UPDATE"
             " SET value=excluded.value;"
             "INSERT INTO meta VALUES('" SL_META_FLOOR "','%lld') ON CONFLICT(key) DO UPDATE"
             " SET value=excluded.value;"
             "INSERT INTO audit(actor,action,subject,detail,at_ms)"
             " VALUES('sluice-broker','restore','*','backup of %s',%lld);"
             "PRAGMA application_id=%d; COMMIT",
             floor, (long long)now.ms, floor, sl_wall_format(from, at), (long long)now.ms,
             SL_STORE_APPLICATION);
    int rc = sl_store_open_db(path, vfs, &db, err);
    rc = rc ? rc : sl_schema_migrate(db, err);
    rc = rc ? rc : sl_store_exec(db, sql, "preparing the restored store", err);
    sqlite3_close(db);
    return rc;
}

static int adopt(const char *path, const char *site_key, struct sl_error *err) {
    sqlite3 *db = NULL;
    int rc = sl_store_open_db(path, NULL, &db, err);
    rc = rc ? rc : sl_store_meta_put(db, SL_META_SITE_KEY, site_key, err);
    sqlite3_close(db);
    return rc;
}

/* The store without the files that the backup carries in it. */
static int extract_store(struct restoring *r, struct sl_error *err) {
    char path[SL_TREE_PATH_MAX];
    char into[SL_TREE_PATH_MAX + 32];
    int rc = sl_tree_path(r->fresh, "store.db", path, err);
    snprintf(into, sizeof into, "VACUUM INTO '%s'", path);
    if (rc == SL_OK && strchr(path, '\'')) {
        rc = sl_fail(err, SL_INVALID, "data_dir must not hold a quotation mark");
    }
    rc = rc ? rc
            : sl_store_exec(r->db, "DROP TABLE backup_file; DROP TABLE backup",
                            "preparing the restored store", err);
    rc = rc ? rc : sl_store_exec(r->db, into, "preparing the restored store", err);
    rc = rc ? rc : sl_restore_mark(path, NULL, r->backup.at, r->config->now, err);
    rc = rc ? rc : sl_restore_keep(r->store, path, &r->kept, err);
    if (rc == SL_OK && r->config->adopt && r->config->site_key) {
        rc = adopt(path, r->config->site_key, err);
    }
    return rc ? rc : sl_tree_sync(path, err);
}

static int prepare(struct restoring *r, struct sl_error *err) {
    char copy[SL_TREE_PATH_MAX];
    char files[SL_TREE_PATH_MAX];
    char lines[SL_TREE_PATH_MAX];
    int rc = sl_tree_remove(r->fresh, err);
    rc = rc ? rc : sl_tree_make_dir(r->fresh, err);
    rc = rc ? rc : sl_tree_path(r->fresh, "copy.db", copy, err);
    rc = rc ? rc : sl_tree_path(r->fresh, "files", files, err);
    rc = rc ? rc : sl_tree_path(r->fresh, "lines", lines, err);
    rc = rc ? rc : sl_tree_make_dir(files, err);
    rc = rc ? rc : sl_tree_make_dir(lines, err);
    rc = rc ? rc : sl_tree_copy(r->config->file, copy, err);
    rc = rc ? rc : sl_store_open_db(copy, NULL, &r->db, err);
    rc = rc ? rc
            : sl_store_exec(r->db, "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF",
                            "reading the backup", err);
    rc = rc ? rc : extract_files(r, err);
    rc = rc ? rc : extract_store(r, err);
    sqlite3_close(r->db);
    r->db = NULL;
    unlink(copy);
    rc = rc ? rc : sl_restore_note_aside(r->fresh, r->aside, err);
    rc = rc ? rc : sl_tree_sync(files, err);
    rc = rc ? rc : sl_tree_sync(lines, err);
    return rc ? rc : sl_tree_sync(r->fresh, err);
}

/* A name that is free: what an earlier restore within the same second put aside stays. */
static int name_aside(struct restoring *r, struct sl_error *err) {
    char name[80];
    char at[32];
    sl_wall_format(r->config->now, at);
    int n = snprintf(name, sizeof name, "before-restore.%.4s%.2s%.2sT%.2s%.2s%.2sZ", at, at + 5,
                     at + 8, at + 11, at + 14, at + 17);
    int rc = sl_tree_path(r->config->data_dir, name, r->aside, err);
    for (uint32_t i = 2; rc == SL_OK && access(r->aside, F_OK) == 0; i++) {
        snprintf(name + n, sizeof name - (size_t)n, "-%u", i);
        rc = sl_tree_path(r->config->data_dir, name, r->aside, err);
    }
    return rc;
}

static int restore_locked(struct restoring *r, int lock_fd, struct sl_error *err) {
    char ready[SL_TREE_PATH_MAX];
    int rc = sl_restore_finish(r->store, lock_fd, err);
    rc = rc ? rc : name_aside(r, err);
    rc = rc ? rc : look_at_present(r, err);
    rc = rc ? rc : sl_tree_path(r->config->data_dir, SL_RESTORE_READY, ready, err);
    rc = rc ? rc : prepare(r, err);
    if (rc == SL_OK && rename(r->fresh, ready) != 0) {
        rc = sl_fail_errno(err, "renaming %s", r->fresh);
    }
    if (rc) {
        sl_tree_remove(r->fresh, NULL);
        return rc;
    }
    rc = sl_tree_sync(r->config->data_dir, err);
    return rc ? rc : sl_restore_finish(r->store, lock_fd, err);
}

static int name_paths(struct restoring *r, struct sl_error *err) {
    int rc = sl_tree_path(r->config->data_dir, "store.db", r->store, err);
    return rc ? rc : sl_tree_path(r->config->data_dir, "restore.new", r->fresh, err);
}

int sl_restore(const struct sl_restore_config *config, struct sl_restore_facts *ret_facts,
               struct sl_error *err) {
    struct restoring r = {.config = config};
    int lock_fd = -1;
    mode_t old = umask(0077);
    int rc = name_paths(&r, err);
    rc = rc ? rc : sl_backup_check(config->file, &r.backup, err);
    rc = rc ? rc : sl_tree_make_dir(config->data_dir, err);
    rc = rc ? rc : sl_store_lock(r.store, 0, &lock_fd, err);
    rc = rc ? rc : restore_locked(&r, lock_fd, err);
    umask(old);
    if (lock_fd >= 0) {
        close(lock_fd);
    }
    if (rc) {
        return sl_wrap(err, "nothing was restored");
    }
    *ret_facts = (struct sl_restore_facts){.backup = r.backup, .kept = r.kept};
    if (access(r.aside, F_OK) == 0) {
        sl_text_copy(ret_facts->aside, sizeof ret_facts->aside, r.aside);
    }
    return SL_OK;
}
