/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/cli.h"

int sl_cli_secret_open(const char *path, int *ret_fd, struct sl_error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno == EEXIST
                   ? sl_fail(err, SL_EXISTS, "%s is there already: name a new file", path)
                   : sl_fail_errno(err, "cannot write %s", path);
    }
    *ret_fd = fd;
    return SL_OK;
}

bool sl_cli_secret_write(int fd, const char *secret) {
    size_t n = strlen(secret);
    return write(fd, secret, n) == (ssize_t)n && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
}
