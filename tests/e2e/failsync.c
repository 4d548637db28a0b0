/* SPDX-License-Identifier: Apache-2.0
 * A disk that reports an error when it is told to make writes durable: preloaded into a program, it
 * fails fsync and fdatasync with EIO for files whose path holds the text in the file that
 * SLUICE_FAILSYNC names. A text "left N" there says instead that N bytes are left on every disk.
 * While there is no such file, everything is as ever. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static ssize_t read_order(char text[64]) {
    const char *name = getenv("SLUICE_FAILSYNC");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) {
        return -1;
    }
    ssize_t n = read(file, text, 63);
    close(file);
    return n;
}

static bool fails(int fd) {
    char text[64] = "";
    char link[64];
    char path[512] = "";
    ssize_t n = read_order(text);
    if (n <= 0) {
        return false;
    }
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

EXPORT int statvfs(const char *path, struct statvfs *disk) {
    union {
        void *symbol;
        int (*call)(const char *, struct statvfs *);
    } real = {dlsym(RTLD_NEXT, "statvfs")};
    char text[64] = "";
    int rc = real.symbol ? real.call(path, disk) : -1;
    if (rc == 0 && read_order(text) > 5 && strncmp(text, "left ", 5) == 0) {
        disk->f_bavail = strtoull(text + 5, NULL, 10) / disk->f_frsize;
    }
    return rc;
}

EXPORT int fdatasync(int fd) {
    return sync_or_fail("fdatasync", fd);
}
