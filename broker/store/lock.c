/* SPDX-License-Identifier: Apache-2.0
 * Whether the store's files can be used at all; the lock beside them, and the line in it: "open
 * BYTES" while a broker has the store, BYTES being the length of its log, "closed" after an orderly
 * end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store/file_check.h"
#include "broker/store/page_sum.h"
#include "broker/store/store_internal.h"
#include "proto/base/lock.h"

/* SQLite waits for ever for the writer of a FIFO, and says of files of another user's (a broker or
 * sqlite3 that root ran once) that they are no database, as if they were to be moved away. */
int sl_store_check_files(const char *path, struct sl_error *err) {
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char file[512];
        struct stat st;
        snprintf(file, sizeof file, "%s%s", path, endings[i]);
        if (stat(file, &st) != 0) {
            continue; /* none, or what keeps us from it is said when it is opened */
        }
        if (!S_ISREG(st.st_mode)) {
            return sl_fail(err, SL_INVALID, "%s is not a regular file: move it away", file);
        }
        if (faccessat(AT_FDCWD, file, R_OK | W_OK, AT_EACCESS) != 0) {
            return sl_fail_errno(err,
                                 "%s belongs to the user with the number %u and cannot be read and "
                                 "written by this one (%u): give it to the broker's user (chown, "
                                 "chmod 600)",
                                 file, (unsigned)st.st_uid, (unsigned)geteuid());
        }
    }
    return SL_OK;
}

int sl_file_check_head(const char *path, struct sl_error *err) {
    uint8_t head[100];
    int rc = sl_store_check_files(path, err);
    int fd = rc ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return rc || errno == ENOENT ? rc : sl_fail_errno(err, "reading the store %s", path);
    }
    ssize_t n = read(fd, head, sizeof head);
    close(fd);
    if (n == 0) {
        return SL_OK; /* an empty one is filled by the start */
    }
    if (n != (ssize_t)sizeof head || memcmp(head, "SQLite format 3", 16) != 0) {
        return sl_fail(err, SL_CORRUPT,
                       "%s is no store of Sluice: give another data_dir or move the file away",
                       path);
    }
    uint32_t schema = sl_page_be32(head + 60);
    return schema <= SL_SCHEMA_VERSION
               ? SL_OK
               : sl_fail(err, SL_UNSUPPORTED,
                         "the store %s has schema %u and this program knows %d; run the newer "
                         "sluice-broker",
                         path, schema, SL_SCHEMA_VERSION);
}

int sl_store_lock(const char *path, int64_t wait_ms, int *ret_fd, struct sl_error *err) {
    char lock_path[512];
    if (snprintf(lock_path, sizeof lock_path, "%s.lock", path) >= (int)sizeof lock_path) {
        return sl_fail(err, SL_LIMIT, "the path of the store is too long: %s", path);
    }
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return sl_fail_errno(err, "cannot create %s; check data_dir and its permissions",
                             lock_path);
    }
    int rc = sl_lock_take(fd, lock_path, wait_ms);
    if (rc != 0) {
        close(fd);
        return rc != -EWOULDBLOCK
                   ? sl_fail(err, SL_IO, "locking %s: %s", lock_path, strerror(-rc))
                   : sl_fail(
                         err, SL_EXISTS,
                         "another sluice-broker uses the store %s; stop it first or give this one "
                         "another data_dir",
                         path);
    }
    *ret_fd = fd;
    return SL_OK;
}

int sl_store_record_read(int fd, struct sl_store_record *ret_record, struct sl_error *err) {
    char text[64] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n < 0) {
        return sl_fail_errno(err, "reading the store's lock file");
    }
    /* A line that a crash left incomplete says nothing; a length cut short says less. */
    long long bytes = 0;
    bool open = sscanf(text, "open %lld", &bytes) == 1 && bytes >= 0;
    bool closed = strncmp(text, "closed\n", 7) == 0;
    *ret_record = (struct sl_store_record){
        .known = open || closed, .open = open, .wal_bytes = open ? bytes : 0};
    return SL_OK;
}

int sl_store_record_write(int fd, const struct sl_store_record *record, struct sl_error *err) {
    char text[64];
    memset(text, '\n', sizeof text); /* one write of one length: over whatever was there */
    char line[48];
    int n = record->open ? snprintf(line, sizeof line, "open %lld\n", (long long)record->wal_bytes)
                         : snprintf(line, sizeof line, "closed\n");
    memcpy(text, line, (size_t)n);
    errno = 0;
    if (pwrite(fd, text, sizeof text, 0) != (ssize_t)sizeof text || fsync(fd) != 0) {
        return sl_fail_errno(err, "writing the store's lock file");
    }
    return SL_OK;
}
