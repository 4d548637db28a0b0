/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "proto/base/cleanup.h"

int sl_regular_open(const char *path, FILE **ret_file, struct sl_error *err) {
    struct stat st;
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return sl_fail(err, SL_NOTFOUND, "there is no %s", path);
    }
    if (fd < 0 || fstat(fd, &st) != 0) {
        return sl_fail_errno(err, "cannot read %s", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return sl_fail(err, SL_INVALID, "%s is not a regular file", path);
    }
    FILE *file = fdopen(fd, "r");
    if (!file) {
        return sl_fail_errno(err, "cannot read %s", path);
    }
    /* The file's now; its cleanup reads it. NOLINTNEXTLINE(clang-analyzer-deadcode.DeadStores) */
    fd = -1;
    *ret_file = file;
    return SL_OK;
}
