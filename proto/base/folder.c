/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/text.h"

static int check_parent(const char *path, struct sl_error *err) {
    char parent[512];
    if (!sl_text_copy(parent, sizeof parent, path)) {
        return sl_fail(err, SL_LIMIT, "the path of the folder is too long: %s", path);
    }
    size_t n = strlen(parent);
    while (n > 1 && parent[n - 1] == '/') {
        parent[--n] = '\0';
    }
    char *slash = strrchr(parent, '/');
    if (slash) {
        slash[slash == parent] = '\0'; /* of the root its one letter stays */
    } else {
        sl_text_copy(parent, sizeof parent, ".");
    }
    struct stat st;
    if (stat(parent, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return sl_fail(
            err, SL_INVALID,
            "%s cannot be made, since %s is no folder: make that (mkdir -p), or configure "
            "another data_dir",
            path, parent);
    }
    if (faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) != 0) {
        return sl_fail_errno(err,
                             "%s is not there, and this user (%u) cannot make it in %s: make it as "
                             "root (install -d -m 700 -o USER), or configure another data_dir",
                             path, (unsigned)geteuid(), parent);
    }
    return SL_OK;
}

int sl_folder_check(const char *path, bool written, const char *program, struct sl_error *err) {
    struct stat st;
    bool there = stat(path, &st) == 0;
    if (!there && errno != ENOENT) {
        return sl_fail_errno(err, "cannot use the folder %s", path);
    }
    if (!there && lstat(path, &st) != 0) {
        return check_parent(path, err);
    }
    if (!S_ISDIR(st.st_mode)) { /* a link to nothing is none either */
        return sl_fail(err, SL_INVALID, "%s is no folder: move it away", path);
    }
    if (written && faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return sl_fail_errno(err,
                             "%s belongs to the user with the number %u and cannot be written by "
                             "this one (%u): give it to the %s's user (chown -R, chmod 700)",
                             path, (unsigned)st.st_uid, (unsigned)geteuid(), program);
    }
    return SL_OK;
}
