/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void sl_standard_hold(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            /* The lowest free number is this one. Kept open for the program's life. */
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

int sl_standard_end(const char *program, int code) {
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || code != 0) {
        return code;
    }
    fprintf(stderr, "%s: writing to standard output: %s\n", program,
            errno ? strerror(errno) : "part of it was lost");
    return 1;
}
