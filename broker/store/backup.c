/* SPDX-License-Identifier: Apache-2.0
 * Making a backup. */
#include "broker/store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store/backup_internal.h"
#include "broker/store/file_check.h"
#include "broker/store/page_sum.h"

#define PAGES_A_STEP 256
#define SYNC_BYTES (16 << 20) /* written and synced bit by bit: commits share the disk */
#define ROUNDS_MAX 5          /* a file may be deleted between its row and its link */
#define LINKS_DIR "backup.links"

struct making {
    const struct sl_backup_config *config;
    char store[SL_TREE_PATH_MAX];
    char links[SL_TREE_PATH_MAX]; /* folder of hard links, by number */
    char part[SL_TREE_PATH_MAX];
    int lock_fd; /* of the folder of links */
    sqlite3 *from, *to;
    uint32_t files;
    uint64_t file_bytes;
    uint64_t unsynced;
};

int sl_store_exec(sqlite3 *db, const char *sql, const char *what, struct sl_error *err) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? SL_OK
                                                                : sl_store_fail(err, db, what);
}

static int open_store(struct making *m, struct sl_error *err) {
    char vfs[SL_PAGE_VFS_NAME_MAX];
    struct sl_file_facts facts;
    int64_t version = 0;
    int fd = -1;
    if (access(m->store, F_OK) != 0) {
        return sl_fail_errno(err, "there is no store %s to back up; check data_dir", m->store);
    }
    /* No broker has looked at the files then, which may be damaged. */
    if (sl_store_lock(m->store, 0, &fd, NULL) == SL_OK) {
        int rc = sl_file_check(NULL, m->store, &facts, err);
        close(fd);
        if (rc) {
            return rc;
        }
    }
    int rc = sl_page_vfs(NULL, vfs);
    rc = rc ? rc : sqlite3_open_v2(m->store, &m->from, SQLITE_OPEN_READONLY, vfs);
    if (rc != SQLITE_OK) {
        return sl_fail(err, SL_IO, "cannot read the store %s: %s", m->store, sqlite3_errstr(rc));
    }
    sqlite3_busy_timeout(m->from, 5000);
    sqlite3_db_config(m->from, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    rc = sl_store_int(m->from, "PRAGMA user_version", &version, err);
    if (rc == SL_OK && version != SL_SCHEMA_VERSION) {
        rc = sl_fail(err, SL_UNSUPPORTED,
                     "the store %s has schema %d, this program %d; start this version of "
                     "sluice-broker on it first",
                     m->store, (int)version, SL_SCHEMA_VERSION);
    }
    return rc;
}

/* ---- what the rows refer to ---- */

/* MUST: a row without it is of another moment, or wrong. WANTED: likewise, but one that has really
 * gone from the site must not end all backups: its batch alone is hurt. */
enum need { NEED_NOT, NEED_WANTED, NEED_MUST };

/* Texts go as soon as their batch ends, files only when they are deleted: so texts are first. */
static const char names_sql[] =
    "SELECT 'lines/'||id, lines_total>0 FROM batches"
    " WHERE " SL_SQL_BATCH_OPEN " UNION ALL SELECT 'files/'||id, 2 FROM files WHERE deleted=0"
    " UNION ALL SELECT 'operator.key', 0";

/* Links every file, by its place in the list; *ret_gone when one is not there that is needed so. */
static int link_all(struct making *m, enum need need, bool *ret_gone, struct sl_error *err) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(m->from, names_sql, -1, &stmt, NULL) ? -SL_IO : SL_OK;
    uint32_t number = 0;
    *ret_gone = false;
    while (rc == SL_OK && !*ret_gone && sqlite3_step(stmt) == SQLITE_ROW) {
        char from[SL_TREE_PATH_MAX];
        char to[SL_TREE_PATH_MAX];
        char name[16];
        snprintf(name, sizeof name, "%u", number++);
        rc = sl_tree_path(m->config->data_dir, (const char *)sqlite3_column_text(stmt, 0), from,
                          err);
        rc = rc ? rc : sl_tree_path(m->links, name, to, err);
        if (rc == SL_OK && link(from, to) != 0) {
            *ret_gone = errno == ENOENT && sqlite3_column_int(stmt, 1) >= (int)need;
            rc = errno == ENOENT ? SL_OK : sl_fail_errno(err, "linking %s", from);
            if (*ret_gone) {
                sl_fail(err, SL_NOTFOUND, "the store knows of %s, but it is not there", from);
            }
        }
    }
    sqlite3_finalize(stmt);
    return rc;
}

/* One moment: a read transaction, and links to what it shows. */
static int pin(struct making *m, struct sl_error *err) {
    for (int round = 0; round < ROUNDS_MAX; round++) {
        bool gone = false;
        int rc = sl_tree_remove(m->links, err);
        rc = rc ? rc : sl_tree_make_dir(m->links, err);
        rc = rc ? rc : sl_store_exec(m->from, "BEGIN", "reading the store", err);
        enum need need = round < ROUNDS_MAX - 1 ? NEED_WANTED : NEED_MUST;
        rc = rc ? rc : link_all(m, need, &gone, err);
        if (rc || !gone) {
            return rc;
        }
        sqlite3_exec(m->from, "ROLLBACK", NULL, NULL, NULL);
    }
    return -SL_NOTFOUND;
}

/* ---- copying ---- */

static int smooth(struct making *m, uint64_t bytes, struct sl_error *err) {
    m->unsynced += bytes;
    if (m->unsynced < SYNC_BYTES) {
        return SL_OK;
    }
    m->unsynced = 0;
    return sl_tree_sync(m->part, err);
}

static int copy_pages(struct making *m, struct sl_error *err) {
    sqlite3_backup *copy = sqlite3_backup_init(m->to, "main", m->from, "main");
    if (!copy) {
        return sl_store_fail(err, m->to, "copying the store");
    }
    int rc = SL_OK;
    int step = SQLITE_OK;
    while (rc == SL_OK && step == SQLITE_OK) {
        step = sqlite3_backup_step(copy, PAGES_A_STEP);
        rc = smooth(m, (uint64_t)PAGES_A_STEP * SL_PAGE_BYTES, err);
    }
    int end = sqlite3_backup_finish(copy);
    if (rc == SL_OK && (step != SQLITE_DONE || end != SQLITE_OK)) {
        bool reading = sqlite3_errcode(m->from) != SQLITE_OK;
        rc = sl_store_fail(err, reading ? m->from : m->to, "copying the store");
    }
    return rc;
}

static int put_part(struct making *m, sqlite3_stmt *insert, const char *name, int part,
                    const void *data, size_t n, struct sl_error *err) {
    sqlite3_reset(insert);
    sqlite3_bind_text(insert, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int(insert, 2, part);
    sqlite3_bind_blob64(insert, 3, data, n, SQLITE_STATIC);
    int rc = sl_store_run(m->to, insert, "copying files", err);
    return rc ? rc : smooth(m, n, err);
}

static int copy_file(struct making *m, sqlite3_stmt *insert, const char *name, uint32_t number,
                     struct sl_error *err) {
    char path[SL_TREE_PATH_MAX];
    snprintf(path, sizeof path, "%s/%u", m->links, number);
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? SL_OK : sl_fail_errno(err, "reading %s", name);
    }
    SL_AUTO_FREE char *chunk = malloc(SL_BACKUP_PART_BYTES);
    if (!chunk) {
        return sl_fail(err, SL_NOMEM, "no memory to copy files");
    }
    int rc = SL_OK;
    size_t n = SL_BACKUP_PART_BYTES;
    for (int part = 0; rc == SL_OK && n == SL_BACKUP_PART_BYTES; part++) {
        ssize_t got = 1;
        for (n = 0; got > 0 && n < SL_BACKUP_PART_BYTES; n += (size_t)(got > 0 ? got : 0)) {
            got = read(fd, chunk + n, SL_BACKUP_PART_BYTES - n);
        }
        rc = got < 0 ? sl_fail_errno(err, "reading %s", name)
                     : put_part(m, insert, name, part, chunk, n, err);
        m->file_bytes += n;
    }
    m->files++;
    return rc;
}

static int copy_files(struct making *m, struct sl_error *err) {
    sqlite3_stmt *names = NULL;
    sqlite3_stmt *insert = NULL;
    uint32_t number = 0;
    int rc = sl_store_exec(m->to,
                           "CREATE TABLE backup(key TEXT PRIMARY KEY, value TEXT NOT NULL);"
                           "CREATE TABLE backup_file(seq INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                           " part INTEGER NOT NULL, data BLOB NOT NULL)",
                           "copying files", err);
    if (rc == SL_OK &&
        (sqlite3_prepare_v2(m->to, names_sql, -1, &names, NULL) ||
         sqlite3_prepare_v2(m->to, "INSERT INTO backup_file(name,part,data) VALUES(?1,?2,?3)", -1,
                            &insert, NULL))) {
        rc = sl_store_fail(err, m->to, "copying files");
    }
    while (rc == SL_OK && sqlite3_step(names) == SQLITE_ROW) {
        char name[64];
        sl_column_text(names, 0, name, sizeof name);
        rc = copy_file(m, insert, name, number++, err);
    }
    sqlite3_finalize(names);
    sqlite3_finalize(insert);
    return rc;
}

static int write_facts(struct making *m, struct sl_error *err) {
    char sql[400];
    snprintf(sql, sizeof sql,
             "INSERT INTO backup VALUES('format','%d'),('at_ms','%lld'),('files','%u'),"
             "('file_bytes','%llu'); PRAGMA application_id = %d",
             SL_BACKUP_FORMAT, (long long)m->config->now.ms, m->files,
             (unsigned long long)m->file_bytes, SL_BACKUP_APPLICATION);
    return sl_store_exec(m->to, sql, "ending the backup", err);
}

/* No journal: what is not whole is thrown away. */
static int fill(struct making *m, struct sl_error *err) {
    char journal[SL_TREE_PATH_MAX + 16];
    snprintf(journal, sizeof journal, "%s-journal", m->part);
    unlink(m->part);
    unlink(journal);
    int fd = open(m->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) { /* asked here, since SQLite does not say why */
        return sl_fail_errno(err, "cannot write %s; give another FILE", m->part);
    }
    close(fd);
    int rc = sl_store_open_db(m->part, NULL, &m->to, err);
    rc = rc ? rc
            : sl_store_exec(m->to, "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF",
                            "beginning the backup", err);
    rc = rc ? rc : copy_pages(m, err);
    sqlite3_exec(m->from, "COMMIT", NULL, NULL, NULL);
    rc = rc ? rc
            : sl_store_exec(m->to, "PRAGMA journal_mode=DELETE; PRAGMA journal_mode=OFF; BEGIN",
                            "ending the copy of the store", err);
    rc = rc ? rc : copy_files(m, err);
    rc = rc ? rc : write_facts(m, err);
    rc = rc ? rc : sl_store_exec(m->to, "COMMIT", "ending the backup", err);
    sqlite3_close(m->to);
    m->to = NULL;
    return rc ? rc : sl_tree_sync(m->part, err);
}

static int already_there(const char *file, struct sl_error *err) {
    return sl_fail(err, SL_EXISTS,
                   "%s is there already; give another name, or --force to replace it", file);
}

/* Only a backup, or an empty file, is replaced: FILE may as well have been thought to be what is
 * backed up, and then it names the store. */
static int check_replaced(const char *file, struct sl_error *err) {
    static const char magic[16] = "SQLite format 3";
    uint8_t head[72] = {0};
    struct stat info;
    if (lstat(file, &info) != 0) {
        return errno == ENOENT ? SL_OK : sl_fail_errno(err, "cannot look at %s", file);
    }
    if (S_ISREG(info.st_mode)) {
        SL_AUTO_FD int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 || read(fd, head, sizeof head) < 0) {
            return sl_fail_errno(err, "cannot read %s", file);
        }
        uint32_t application = (uint32_t)head[68] << 24 | (uint32_t)head[69] << 16 |
                               (uint32_t)head[70] << 8 | head[71];
        if (info.st_size == 0 || (memcmp(head, magic, sizeof magic) == 0 &&
                                  application == (uint32_t)SL_BACKUP_APPLICATION)) {
            return SL_OK;
        }
    }
    return sl_fail(err, SL_EXISTS,
                   "%s is there already and is no backup, so it is never replaced; FILE is the "
                   "new file that is to be written",
                   file);
}

static int put_in_place(struct making *m, struct sl_error *err) {
    const char *file = m->config->file;
    int rc = renameat2(AT_FDCWD, m->part, AT_FDCWD, file, m->config->force ? 0 : RENAME_NOREPLACE);
    if (rc != 0 && errno == EINVAL && access(file, F_OK) != 0) {
        rc = rename(m->part, file); /* a file system without such renames */
    }
    if (rc != 0 && errno == EEXIST) {
        return already_there(file, err);
    }
    return rc != 0 ? sl_fail_errno(err, "renaming %s to %s", m->part, file)
                   : sl_tree_sync_parent(file, err);
}

/* One backup at a time: they would share the folder of links. */
static int lock_links(struct making *m, struct sl_error *err) {
    char path[SL_TREE_PATH_MAX];
    int rc = sl_tree_path(m->config->data_dir, "backup.lock", path, err);
    m->lock_fd = rc ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (rc == SL_OK && m->lock_fd < 0) {
        rc = sl_fail_errno(err, "cannot create %s; run this as the broker's user", path);
    }
    if (rc == SL_OK && flock(m->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        rc = sl_fail(err, SL_EXISTS, "another backup of %s is being made; wait for its end",
                     m->config->data_dir);
    }
    return rc;
}

static int make(struct making *m, struct sl_error *err) {
    int rc = check_replaced(m->config->file, err);
    if (rc == SL_OK && !m->config->force && access(m->config->file, F_OK) == 0) {
        rc = already_there(m->config->file, err);
    }
    rc = rc ? rc : open_store(m, err);
    rc = rc ? rc : lock_links(m, err);
    if (rc) {
        return rc;
    }
    rc = pin(m, err);
    rc = rc ? rc : fill(m, err);
    rc = rc ? rc : put_in_place(m, err);
    if (rc) {
        unlink(m->part);
    }
    sl_tree_remove(m->links, NULL);
    return rc;
}

int sl_backup_make(const struct sl_backup_config *config, struct sl_backup_facts *ret_facts,
                   struct sl_error *err) {
    struct making m = {.config = config, .lock_fd = -1};
    int rc = sl_tree_path(config->data_dir, "store.db", m.store, err);
    rc = rc ? rc : sl_tree_path(config->data_dir, LINKS_DIR, m.links, err);
    if (rc == SL_OK &&
        snprintf(m.part, sizeof m.part, "%s.part", config->file) >= (int)sizeof m.part - 16) {
        rc = sl_fail(err, SL_LIMIT, "the path %s is too long", config->file);
    }
    mode_t old = umask(0077);
    rc = rc ? rc : make(&m, err);
    umask(old);
    sqlite3_close(m.to);
    sqlite3_close(m.from);
    if (m.lock_fd >= 0) {
        close(m.lock_fd);
    }
    /* Read again as a restore would: a backup that cannot be restored is none. */
    return rc ? sl_wrap(err, "no backup was made") : sl_backup_check(config->file, ret_facts, err);
}
