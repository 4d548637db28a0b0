/* SPDX-License-Identifier: Apache-2.0
 * A disk that reports an error when it is told to make writes durable: preloaded into a program, it
 * fails fsync and fdatasync with EIO for files whose path holds the text in the file that
 * SLUICE_FAILSYNC names. While there is no such file, everything is as ever. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static bool fails(int fd) {
    const char *name = getenv("SLUICE_FAILSYNC");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) {
        return false;
    }
    char text[64] = "";
    char link[64];
    char path[512] = "";
    ssize_t n = read(file, text, sizeof text - 1);
    close(file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return n > 0 && readlink(link, path, sizeof path - 1) > 0 && strstr(path, text);
}

static int sync_or_fail(const char *call, int fd) {
    union {
        void *symbol;
        int (*call)(int);
    } real = {dlsym(RTLD_NEXT, call)};
    if (!real.symbol) {
        abort();
    }
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return real.call(fd);
}

EXPORT int fsync(int fd) {
    return sync_or_fail("fsync", fd);
}

EXPORT int fdatasync(int fd) {
    return sync_or_fail("fdatasync", fd);
}
