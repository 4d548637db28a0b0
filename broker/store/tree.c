/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/store/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"

int sl_tree_path(const char *dir, const char *name, char ret_path[SL_TREE_PATH_MAX],
                 struct sl_error *err) {
    int n = snprintf(ret_path, SL_TREE_PATH_MAX, "%s/%s", dir, name);
    return n < SL_TREE_PATH_MAX - 16 ? SL_OK
                                     : sl_fail(err, SL_LIMIT, "the path %s is too long", dir);
}

int sl_tree_make_dir(const char *path, struct sl_error *err) {
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return sl_fail_errno(err, "cannot create the folder %s", path);
    }
    return SL_OK;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

int sl_tree_remove(const char *path, struct sl_error *err) {
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT) {
        return sl_fail_errno(err, "removing %s", path);
    }
    return SL_OK;
}

int sl_tree_sync(const char *path, struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        return sl_fail_errno(err, "making %s durable", path);
    }
    return SL_OK;
}

int sl_tree_sync_parent(const char *path, struct sl_error *err) {
    char dir[SL_TREE_PATH_MAX];
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) : 1;
    snprintf(dir, sizeof dir, "%.*s", n ? n : 1, slash ? path : ".");
    return sl_tree_sync(dir, err);
}

int sl_tree_copy(const char *from, const char *to, struct sl_error *err) {
    SL_AUTO_FD int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) {
        return sl_fail_errno(err, "reading %s", from);
    }
    SL_AUTO_FD int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char chunk[65536];
    ssize_t n = out < 0 ? -1 : 1;
    while (n > 0) {
        n = read(in, chunk, sizeof chunk);
        for (ssize_t at = 0, m; n > 0 && at < n; at += m) {
            m = write(out, chunk + at, (size_t)(n - at));
            if (m <= 0) {
                return sl_fail_errno(err, "writing %s", to);
            }
        }
    }
    if (n < 0 || fsync(out) != 0) {
        return sl_fail_errno(err, "copying %s to %s", from, to);
    }
    return SL_OK;
}
