/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/store/restore_swap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/store/backup_internal.h"

#define ASIDE_NOTE "aside"

int sl_restore_note_aside(const char *fresh, const char *aside, struct sl_error *err) {
    char path[SL_TREE_PATH_MAX];
    int rc = sl_tree_path(fresh, ASIDE_NOTE, path, err);
    if (rc) {
        return rc;
    }
    size_t n = strlen(aside);
    SL_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, aside, n) != (ssize_t)n || fsync(fd) != 0) {
        return sl_fail_errno(err, "writing %s", path);
    }
    return SL_OK;
}

struct swap {
    char dir[SL_TREE_PATH_MAX]; /* data_dir */
    char ready[SL_TREE_PATH_MAX];
    char aside[SL_TREE_PATH_MAX];
};

static int read_aside(struct swap *s, struct sl_error *err) {
    char path[SL_TREE_PATH_MAX];
    int rc = sl_tree_path(s->ready, ASIDE_NOTE, path, err);
    if (rc) {
        return rc;
    }
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return SL_OK; /* all is in its place, and the folder was being removed */
    }
    ssize_t n = fd < 0 ? -1 : read(fd, s->aside, sizeof s->aside - 1);
    if (n <= 0) {
        return sl_fail_errno(err, "reading %s, to end a restore that was cut off", path);
    }
    s->aside[n] = '\0';
    return SL_OK;
}

static bool is_there(const char *dir, const char *name, char path[SL_TREE_PATH_MAX]) {
    return sl_tree_path(dir, name, path, NULL) == SL_OK && access(path, F_OK) == 0;
}

static int move(const char *from, const char *to, struct sl_error *err) {
    return rename(from, to) == 0 ? SL_OK : sl_fail_errno(err, "moving %s to %s", from, to);
}

/* The present NAME goes aside, unless it is the new one already. */
static int put_aside(const struct swap *s, const char *name, const char *until_placed,
                     struct sl_error *err) {
    char fresh[SL_TREE_PATH_MAX];
    char present[SL_TREE_PATH_MAX];
    char aside[SL_TREE_PATH_MAX];
    if (!is_there(s->ready, until_placed, fresh) || !is_there(s->dir, name, present)) {
        return SL_OK;
    }
    int rc = sl_tree_make_dir(s->aside, err);
    rc = rc ? rc : sl_tree_path(s->aside, name, aside, err);
    if (rc == SL_OK && access(aside, F_OK) == 0) { /* an empty folder that a start made meanwhile */
        return remove(present) == 0 ? SL_OK : sl_fail_errno(err, "removing %s", present);
    }
    return rc ? rc : move(present, aside, err);
}

static int place(const struct swap *s, const char *name, struct sl_error *err) {
    char fresh[SL_TREE_PATH_MAX];
    char present[SL_TREE_PATH_MAX];
    if (!is_there(s->ready, name, fresh)) {
        return SL_OK;
    }
    int rc = sl_tree_path(s->dir, name, present, err);
    return rc ? rc : move(fresh, present, err);
}

/* A log that is read into a store it does not belong to would destroy it: it goes first, and
 * durably.
 */
static int swap_all(const struct swap *s, struct sl_error *err) {
    static const char *const logs[] = {"store.db-wal", "store.db-shm", "store.db-journal"};
    static const char *const names[] = {"store.db", "files", "lines", "operator.key"};
    int rc = SL_OK;
    for (size_t i = 0; rc == SL_OK && i < sizeof logs / sizeof logs[0]; i++) {
        rc = put_aside(s, logs[i], "store.db", err);
    }
    for (size_t i = 0; rc == SL_OK && i < sizeof names / sizeof names[0]; i++) {
        rc = put_aside(s, names[i], names[i], err);
    }
    if (rc == SL_OK && access(s->aside, F_OK) == 0) {
        rc = sl_tree_sync(s->aside, err);
    }
    rc = rc ? rc : sl_tree_sync(s->dir, err);
    for (size_t i = 0; rc == SL_OK && i < sizeof names / sizeof names[0]; i++) {
        rc = place(s, names[i], err);
    }
    return rc ? rc : sl_tree_sync(s->dir, err);
}

int sl_restore_finish(const char *store_path, int lock_fd, struct sl_error *err) {
    struct swap s = {0};
    const char *slash = strrchr(store_path, '/');
    snprintf(s.dir, sizeof s.dir, "%.*s", slash ? (int)(slash - store_path) : 1,
             slash ? store_path : ".");
    int rc = sl_tree_path(s.dir, SL_RESTORE_READY, s.ready, err);
    if (rc || access(s.ready, F_OK) != 0) {
        return rc;
    }
    rc = read_aside(&s, err);
    rc = rc || !s.aside[0] ? rc : swap_all(&s, err);
    /* What the lock file says is about the store that went aside. */
    rc = rc ? rc : sl_store_record_write(lock_fd, &(struct sl_store_record){.known = true}, err);
    rc = rc ? rc : sl_tree_remove(s.ready, err);
    return rc ? rc : sl_tree_sync(s.dir, err);
}
