/* SPDX-License-Identifier: Apache-2.0
 * Regular files, mapped or read. */
#include "agent/models/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/text.h"

#define PIECE_BYTES 65536

static struct sl_file_stamp stamp_of(const struct stat *st) {
    return (struct sl_file_stamp){
        .device = st->st_dev,
        .inode = st->st_ino,
        .size = st->st_size,
        .mtime_ns = st->st_mtim.tv_sec * SL_NS_PER_S + st->st_mtim.tv_nsec,
        .ctime_ns = st->st_ctim.tv_sec * SL_NS_PER_S + st->st_ctim.tv_nsec,
    };
}

/* links: O_NOFOLLOW, or 0 where they are followed. O_NONBLOCK: a FIFO in a file's place must not
 * hang us. */
static int open_regular(const char *path, int links, int *ret_fd, struct sl_file_stamp *ret_stamp,
                        struct sl_error *err) {
    struct stat st;
    SL_AUTO_FD int fd = open(path, O_RDONLY | links | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP && links) {
        return sl_fail(err, SL_IO, "it is a symbolic link: name the file itself");
    }
    if (fd < 0 && errno == ENOENT) {
        return sl_fail(err, SL_NOTFOUND, "there is no such file");
    }
    if (fd < 0) {
        return sl_fail_errno(err, "cannot open it");
    }
    if (fstat(fd, &st) < 0) {
        return sl_fail_errno(err, "cannot read its size");
    }
    if (!S_ISREG(st.st_mode)) {
        return sl_fail(err, SL_IO, "it is not a regular file");
    }
    if (st.st_size == 0) {
        return sl_fail(err, SL_CORRUPT, "it is empty: fetch it again");
    }
    *ret_stamp = stamp_of(&st);
    *ret_fd = fd;
    /* Its cleanup reads it. NOLINTNEXTLINE(clang-analyzer-deadcode.DeadStores) */
    fd = -1;
    return SL_OK;
}

int sl_mapping_open(const char *path, struct sl_mapping *ret_mapping, struct sl_error *err) {
    struct sl_file_stamp stamp = {0};
    SL_AUTO_FD int fd = -1;
    int rc = open_regular(path, 0, &fd, &stamp, err);
    if (rc) {
        return rc;
    }
    void *bytes = mmap(NULL, (size_t)stamp.size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        return sl_fail_errno(err, "cannot map it into memory");
    }
    *ret_mapping = (struct sl_mapping){(const uint8_t *)bytes, (size_t)stamp.size};
    return SL_OK;
}

/* All of the file goes to take(), in order. */
static int read_all(int fd, const struct sl_file_stamp *stamp, uint8_t *out, size_t room,
                    void (*take)(void *context, const uint8_t *bytes, size_t n), void *context,
                    struct sl_error *err) {
    int64_t at = 0;
    while (at < stamp->size) {
        uint8_t *to = take ? out : out + at;
        int64_t left = stamp->size - at;
        ssize_t n = pread(fd, to, take && left > (int64_t)room ? room : (size_t)left, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return sl_fail_errno(err, "cannot read it");
        }
        if (n == 0) {
            break; /* shortened meanwhile */
        }
        if (take) {
            take(context, to, (size_t)n);
        }
        at += n;
    }
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return sl_fail_errno(err, "cannot read its size");
    }
    struct sl_file_stamp after = stamp_of(&st);
    return at == stamp->size && sl_file_stamp_same(stamp, &after)
               ? SL_OK
               : sl_fail(err, SL_CORRUPT,
                         "it changed while it was read: try again when it is whole, and replace "
                         "it by rename, not in place");
}

int sl_mapping_read(const char *path, struct sl_mapping *ret_mapping,
                    struct sl_file_stamp *ret_stamp, struct sl_error *err) {
    struct sl_file_stamp stamp = {0};
    SL_AUTO_FD int fd = -1;
    int rc = open_regular(path, O_NOFOLLOW, &fd, &stamp, err);
    if (rc) {
        return rc;
    }
    size_t size = (size_t)stamp.size;
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED) {
        return sl_fail(err, SL_NOMEM, "no memory for its %zu MiB", size >> 20);
    }
    rc = read_all(fd, &stamp, bytes, size, NULL, NULL, err);
    if (rc) {
        munmap(bytes, size);
        return rc;
    }
    *ret_mapping = (struct sl_mapping){(const uint8_t *)bytes, size};
    *ret_stamp = stamp;
    return SL_OK;
}

void sl_mapping_close(struct sl_mapping *mapping) {
    if (mapping->bytes) {
        munmap((void *)(uintptr_t)mapping->bytes, mapping->n);
        *mapping = (struct sl_mapping){0};
    }
}

int sl_file_stamp_read(const char *path, struct sl_file_stamp *ret_stamp, struct sl_error *err) {
    SL_AUTO_FD int fd = -1;
    return open_regular(path, O_NOFOLLOW, &fd, ret_stamp, err);
}

bool sl_file_stamp_same(const struct sl_file_stamp *a, const struct sl_file_stamp *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static void hash_piece(void *context, const uint8_t *bytes, size_t n) {
    crypto_hash_sha256_update(context, bytes, n);
}

int sl_file_sha256(const char *path, char ret_hex[65], struct sl_file_stamp *ret_stamp,
                   struct sl_error *err) {
    uint8_t piece[PIECE_BYTES];
    uint8_t digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    struct sl_file_stamp stamp = {0};
    SL_AUTO_FD int fd = -1;
    int rc = open_regular(path, O_NOFOLLOW, &fd, &stamp, err);
    if (rc) {
        return rc;
    }
    crypto_hash_sha256_init(&state);
    rc = read_all(fd, &stamp, piece, sizeof piece, hash_piece, &state, err);
    if (rc) {
        return rc;
    }
    crypto_hash_sha256_final(&state, digest);
    sl_hex_encode(digest, sizeof digest, ret_hex);
    *ret_stamp = stamp;
    return SL_OK;
}
