/* SPDX-License-Identifier: Apache-2.0
 * The writer thread: group commit, checkpoints when nothing waits, and the end of the process's
 * writing at the first failure. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "broker/store/backup.h"
#include "broker/store/file_check.h"
#include "broker/store/log_file.h"
#include "broker/store/page_sum.h"
#include "broker/store/store_internal.h"
#include "proto/base/clock.h"
#include "proto/base/mailbox.h"
#include "proto/base/mutant.h"
#include "proto/base/thread.h"

#define GROUP_MAX 512
#define QUEUE_MAX 16384
#define TIMES_MAX 1024
/* A checkpoint costs some ms of disk time, so it waits for a quiet moment, but not for ever. */
#define CHECKPOINT_PAGES 5000
#define CHECKPOINT_FORCED 6 /* times as many */
#define QUIET_NS (20 * SL_NS_PER_MS)
/* The WAL is made so long at the start: a sync that only overwrites needs no journal commit of the
 * file system, which is what the slowest syncs wait for. */
#define WAL_ROOM_PAGES 5000

/* Found again by their addresses. */
static const char begin_sql[] = "BEGIN IMMEDIATE";
static const char commit_sql[] = "COMMIT";

struct sl_store {
    sqlite3 *db;
    struct sl_statements statements;
    struct sl_mailbox *inbox; /* of struct sl_txn * */
    pthread_t thread;
    bool thread_started;
    bool started;
    int lock_fd;
    int wal_pages;
    int checkpoint_pages;
    _Atomic bool failed;
    void (*fatal)(void *arg, const char *reason);
    void *fatal_arg;
    pthread_mutex_t times_lock;
    uint32_t times_us[TIMES_MAX]; /* ring of commit times */
    uint32_t times_count;
};

int sl_store_fail(struct sl_error *err, sqlite3 *db, const char *what) {
    int code = sqlite3_errcode(db) & 0xff;
    bool bad_page = sqlite3_extended_errcode(db) == SQLITE_IOERR_DATA;
    const char *advice = code == SQLITE_FULL    ? "; the disk is full: make room and start again"
                         : code == SQLITE_BUSY  ? "; another program holds the store"
                         : bad_page             ? "; a page does not fit its checksum: stop, then "
                                                  "restore a backup (sluice-broker restore)"
                         : code == SQLITE_IOERR ? "; check the disk, then start again"
                                                : "";
    bool damage = bad_page || code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    enum sl_status status = damage ? SL_CORRUPT : SL_IO;
    return sl_fail(err, status, "%s failed: %s%s", what, sqlite3_errmsg(db), advice);
}

int sl_store_run(sqlite3 *db, sqlite3_stmt *stmt, const char *what, struct sl_error *err) {
    int rc = sqlite3_step(stmt);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW) {
        int status = sl_store_fail(err, db, what);
        sqlite3_reset(stmt);
        return status;
    }
    sqlite3_reset(stmt);
    return SL_OK;
}

sqlite3_stmt *sl_statements_get(struct sl_statements *s, const char *sql, struct sl_error *err) {
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->sql[i] == sql) {
            sqlite3_reset(s->stmt[i]);
            sqlite3_clear_bindings(s->stmt[i]);
            return s->stmt[i];
        }
    }
    sl_assert(s->count < SL_STATEMENTS_MAX);
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
        sl_store_fail(err, s->db, "preparing a statement");
        return NULL;
    }
    s->sql[s->count] = sql;
    s->stmt[s->count++] = stmt;
    return stmt;
}

void sl_statements_fini(struct sl_statements *s) {
    for (uint32_t i = 0; i < s->count; i++) {
        sqlite3_finalize(s->stmt[i]);
    }
    s->count = 0;
}

static void note_commit_time(struct sl_store *store, int64_t ns) {
    int64_t us = ns / 1000;
    pthread_mutex_lock(&store->times_lock);
    store->times_us[store->times_count++ % TIMES_MAX] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    pthread_mutex_unlock(&store->times_lock);
}

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

void sl_store_commit_times(struct sl_store *store, uint32_t *ret_p50_us, uint32_t *ret_p99_us) {
    uint32_t sorted[TIMES_MAX];
    pthread_mutex_lock(&store->times_lock);
    uint32_t n = store->times_count < TIMES_MAX ? store->times_count : TIMES_MAX;
    memcpy(sorted, store->times_us, n * sizeof sorted[0]);
    pthread_mutex_unlock(&store->times_lock);
    qsort(sorted, n, sizeof sorted[0], compare_u32);
    *ret_p50_us = n ? sorted[n / 2] : 0;
    *ret_p99_us = n ? sorted[(uint64_t)n * 99 / 100] : 0;
}

/* Prepared, like what runs between: a directive waits for both. */
static int begin(struct sl_store *store, struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(&store->statements, begin_sql, err);
    return stmt ? sl_store_run(store->db, stmt, "beginning a transaction", err) : -SL_IO;
}

static int end(struct sl_store *store, struct sl_error *err) {
    sqlite3_stmt *stmt = sl_statements_get(&store->statements, commit_sql, err);
    return stmt ? sl_store_run(store->db, stmt, "committing to the store", err) : -SL_IO;
}

static int commit_group(struct sl_store *store, struct sl_txn **group, uint32_t count,
                        struct sl_error *err) {
    int begun = begin(store, err);
    if (begun) {
        return begun;
    }
    store->statements.delta_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < group[i]->count; k++) {
            const struct sl_op *op = sl_txn_op(group[i], k);
            int rc = sl_store_apply(&store->statements, op, err);
            if (rc) {
                sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
                return rc;
            }
            if (SL_MUTANT(transaction_torn) && op->kind == SL_OP_TRANSFER) {
                sqlite3_exec(store->db, "COMMIT; BEGIN IMMEDIATE", NULL, NULL, NULL);
            }
        }
    }
    int ended = sl_store_apply_end(&store->statements, err);
    if (ended) {
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        return ended;
    }
    ended = end(store, err);
    if (ended) {
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return ended;
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages) {
    (void)db;
    (void)name;
    ((struct sl_store *)arg)->wal_pages = pages;
    return SQLITE_OK;
}

/* After a failure nothing is written any more: what was not committed was never acknowledged. */
static void fail_for_good(struct sl_store *store, const struct sl_error *err) {
    if (!atomic_exchange(&store->failed, true)) {
        sl_mailbox_close(store->inbox);
        store->fatal(store->fatal_arg, err->text);
    }
}

/* A failed one is the end, too: the kernel may have dropped what was to be synced, and the next
 * checkpoint would succeed without it and give the log up. */
static void checkpoint(struct sl_store *store) {
    int rc = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    store->wal_pages = 0; /* the next commit's hook tells the truth again */
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY) {
        struct sl_error err;
        sl_store_fail(&err, store->db, "moving the log into the store");
        fail_for_good(store, &err);
    }
}

/* The next transaction; while a checkpoint is due, a pause in the traffic is used for it. */
static int next_txn(struct sl_store *store, struct sl_txn **ret_txn) {
    if (store->wal_pages > CHECKPOINT_FORCED * store->checkpoint_pages) {
        checkpoint(store);
    }
    if (store->wal_pages > store->checkpoint_pages) {
        int rc = sl_mailbox_take_wait(store->inbox, QUIET_NS, ret_txn);
        if (rc != -SL_TIMEOUT) {
            return rc;
        }
        checkpoint(store);
    }
    return sl_mailbox_take_wait(store->inbox, -1, ret_txn);
}

/* What the last process left in the log may stand in the system's cache only: a sync that fails
 * drops what it could not write and calls it clean. So it is written back before anything is
 * appended. The log must then begin anew on the disk, too: if the power failed now, what the disk
 * has of it would be shorter, and writing that back again would undo what is in the file. A
 * transaction that changes nothing writes the new head, and syncs it. */
static int settle_log(sqlite3 *db, struct sl_error *err) {
    int64_t version = 0;
    char same[64];
    int rc = sl_store_int(db, "PRAGMA user_version", &version, err);
    if (rc) {
        return rc;
    }
    snprintf(same, sizeof same, "PRAGMA user_version = %d", (int)version);
    if (sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, same, NULL, NULL, NULL) != SQLITE_OK) {
        return sl_store_fail(err, db, "writing the store's log back");
    }
    return SL_OK;
}

/* Writes and drops a blob of the wanted length: the file keeps its length when the log restarts at
 * its beginning, and the pages are free for rows. */
static int make_wal_room(sqlite3 *db, const char *path, struct sl_error *err) {
    char insert[96];
    struct statvfs disk;
    uint64_t room = (uint64_t)WAL_ROOM_PAGES * SL_PAGE_BYTES;
    if (statvfs(path, &disk) != 0 || (uint64_t)disk.f_bavail * disk.f_frsize < 16 * room) {
        return SL_OK; /* a small disk needs its room for rows */
    }
    snprintf(insert, sizeof insert, "INSERT INTO wal_room VALUES(zeroblob(%d))",
             WAL_ROOM_PAGES * SL_PAGE_BYTES);
    if (sqlite3_exec(db, "CREATE TABLE IF NOT EXISTS wal_room(x BLOB)", NULL, NULL, NULL) ||
        sqlite3_exec(db, insert, NULL, NULL, NULL) ||
        sqlite3_exec(db, "DROP TABLE wal_room", NULL, NULL, NULL)) {
        return sl_store_fail(err, db, "making room for the store's log");
    }
    int rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    return rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY
               ? SL_OK
               : sl_store_fail(err, db, "making room for the store's log");
}

/* Commits `txn` and all that wait behind it. */
static void commit_waiting(struct sl_store *store, struct sl_txn *txn) {
    struct sl_txn *group[GROUP_MAX];
    uint32_t count = 0;
    group[count++] = txn;
    while (count < GROUP_MAX && sl_mailbox_take(store->inbox, &txn)) {
        group[count++] = txn;
    }
    struct sl_error err;
    struct sl_mono start = sl_clock_mono();
    int rc = atomic_load(&store->failed) ? -SL_CLOSED : commit_group(store, group, count, &err);
    if (rc == SL_OK) {
        note_commit_time(store, sl_mono_since_ns(sl_clock_mono(), start));
    } else if (rc != -SL_CLOSED && !SL_MUTANT(store_goes_on)) {
        fail_for_good(store, &err);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (rc == SL_OK && group[i]->done) {
            group[i]->done(group[i]->arg, group[i]->ticket);
        }
        sl_txn_destroy(group[i]);
    }
}

static void *writer_main(void *arg) {
    struct sl_store *store = arg;
    struct sl_txn *txn = NULL;
    sl_thread_name("store");
    while (next_txn(store, &txn) == SL_OK) {
        commit_waiting(store, txn);
    }
    return NULL;
}

bool sl_store_commit(struct sl_store *store) {
    struct sl_txn *txn = NULL;
    if (sl_mailbox_take(store->inbox, &txn)) {
        commit_waiting(store, txn);
        return true;
    }
    if (store->wal_pages > store->checkpoint_pages && !atomic_load(&store->failed)) {
        checkpoint(store);
        return true;
    }
    return false;
}

int sl_store_open_db(const char *path, const char *vfs, sqlite3 **ret_db, struct sl_error *err) {
    sqlite3 *db = NULL;
    char page_vfs[SL_PAGE_VFS_NAME_MAX];
    int reserved = SL_PAGE_SUM_BYTES;
    int rc = sl_page_vfs(vfs, page_vfs);
    mode_t old = umask(0077);
    rc = rc ? rc
            : sqlite3_open_v2(path, &db,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                              page_vfs);
    umask(old);
    rc = rc ? rc : sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
    if (rc != SQLITE_OK) {
        sl_fail(err, SL_IO, "cannot open the store %s: %s", path,
                db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
        sqlite3_close(db);
        return -SL_IO;
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, 5000);
    /* A start that refuses the store must not have written to it. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    *ret_db = db;
    return SL_OK;
}

/* What the last broker left word of must be there: a log that was cut at a frame's end, or left
 * behind when the store was copied, shows in nothing else. */
static int check_record(const struct sl_store_record *record, const struct sl_file_facts *facts,
                        const char *path, struct sl_error *err) {
    if (record->known && !facts->present && access(path, F_OK) == 0) {
        return sl_fail(err, SL_CORRUPT,
                       "the store %s is empty, but there was something in it; restore a backup "
                       "(sluice-broker restore), or move %s* away to start with an empty ledger",
                       path, path);
    }
    if (record->open && (!facts->present || facts->wal_bytes < record->wal_bytes)) {
        return sl_fail(err, SL_CORRUPT,
                       "%s-wal was cut short or left behind: %lld bytes, not %lld; transactions "
                       "that were acknowledged would be lost. Put it back, restore a backup "
                       "(sluice-broker restore), or remove %s.lock to go on with what is there",
                       path, (long long)facts->wal_bytes, (long long)record->wal_bytes, path);
    }
    return SL_OK;
}

/* Locked, looked at, and brought into today's form. */
static int prepare_files(struct sl_store *store, const struct sl_store_config *config,
                         struct sl_error *err) {
    const char *path = config->path;
    struct sl_file_facts facts = {0};
    struct sl_store_record record = {0};
    int rc = config->vfs ? SL_OK : sl_store_lock(path, config->lock_wait_ms, &store->lock_fd, err);
    rc = rc || config->vfs ? rc : sl_restore_finish(path, store->lock_fd, err);
    rc = rc || config->vfs ? rc : sl_store_check_files(path, err);
    rc = rc || config->vfs ? rc : sl_store_record_read(store->lock_fd, &record, err);
    rc = rc ? rc : sl_file_check(config->vfs, path, &facts, err);
    rc = rc ? rc : check_record(&record, &facts, path, err);
    if (rc || !facts.present || facts.has_sums) {
        return rc;
    }
    if (config->vfs) {
        return sl_fail(err, SL_UNSUPPORTED, "the store %s is of schema 1: only a file is converted",
                       path);
    }
    return sl_store_rebuild(path, err);
}

static int write_record(struct sl_store *store, const char *path, bool open, struct sl_error *err) {
    struct sl_store_record record = {.known = true, .open = open};
    char wal[512];
    struct stat st;
    snprintf(wal, sizeof wal, "%s-wal", path);
    record.wal_bytes = open && stat(wal, &st) == 0 ? st.st_size : 0;
    return sl_store_record_write(store->lock_fd, &record, err);
}

static int start(struct sl_store *store, const struct sl_store_config *config,
                 struct sl_error *err) {
    const char *path = config->path;
    int rc = prepare_files(store, config, err);
    rc = rc ? rc : sl_store_open_db(path, config->vfs, &store->db, err);
    rc = rc ? rc : sl_schema_prepare(store->db, path, err);
    rc = rc ? rc : sl_site_claim(store->db, config, err);
    if (rc == SL_OK) {
        rc = settle_log(store->db, err);
    }
    if (rc == SL_OK) {
        sqlite3_wal_autocheckpoint(store->db, 0);
        rc = config->vfs ? SL_OK : make_wal_room(store->db, path, err);
        rc = rc || config->vfs ? rc : write_record(store, path, true, err);
        sl_log_gather(store->db);
    }
    if (rc) {
        return rc;
    }
    store->statements.db = store->db;
    sqlite3_wal_hook(store->db, on_wal, store);
    rc = sl_mailbox_create(sizeof(struct sl_txn *), QUEUE_MAX, &store->inbox, err);
    if (rc || config->threadless) {
        return rc;
    }
    if (pthread_create(&store->thread, NULL, writer_main, store) != 0) {
        return sl_fail(err, SL_NOMEM, "cannot start the store's thread");
    }
    store->thread_started = true;
    return SL_OK;
}

int sl_store_open(const struct sl_store_config *config, struct sl_store **ret_store,
                  struct sl_error *err) {
    SL_AUTO(sl_store) store = calloc(1, sizeof *store);
    if (!store) {
        return sl_fail(err, SL_NOMEM, "no memory for the store");
    }
    store->lock_fd = -1;
    store->checkpoint_pages =
        config->checkpoint_pages ? (int)config->checkpoint_pages : CHECKPOINT_PAGES;
    store->fatal = config->fatal;
    store->fatal_arg = config->fatal_arg;
    pthread_mutex_init(&store->times_lock, NULL);
    int rc = start(store, config, err);
    if (rc) {
        return rc;
    }
    store->started = true;
    *ret_store = sl_take(&store);
    return SL_OK;
}

/* Everything into the file; the log goes. Word of that first: what follows only takes away. */
static void close_orderly(struct sl_store *store) {
    const char *path = sqlite3_db_filename(store->db, "main");
    bool recorded = store->lock_fd < 0 || write_record(store, path, false, NULL) == SL_OK;
    int rc = recorded ? sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                                  NULL)
                      : SQLITE_IOERR;
    /* After a failure the log stays as it is: the next start moves all of it. */
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, rc != SQLITE_OK, NULL);
}

void sl_store_close(struct sl_store *store) {
    if (!store) {
        return;
    }
    if (store->inbox) {
        sl_mailbox_close(store->inbox);
    }
    if (store->thread_started) {
        pthread_join(store->thread, NULL);
    }
    if (store->inbox) {
        struct sl_txn *txn = NULL;
        while (sl_mailbox_take(store->inbox, &txn)) {
            sl_txn_destroy(txn);
        }
        sl_mailbox_destroy(store->inbox);
    }
    sl_statements_fini(&store->statements);
    if (store->db) {
        if (store->started && !atomic_load(&store->failed)) {
            close_orderly(store);
        }
        sqlite3_close(store->db);
    }
    if (store->lock_fd >= 0) {
        close(store->lock_fd);
    }
    pthread_mutex_destroy(&store->times_lock);
    free(store);
}

int sl_store_submit(struct sl_store *store, struct sl_txn *txn) {
    int rc = sl_mailbox_put_wait(store->inbox, &txn);
    if (rc) {
        sl_txn_destroy(txn);
    }
    return rc;
}
