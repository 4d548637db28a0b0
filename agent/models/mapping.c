/* SPDX-License-Identifier: Apache-2.0
 * Read-only mapping of a regular file. */
#include "agent/models/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "proto/base/cleanup.h"

/* O_NONBLOCK: a FIFO in a file's place must not hang us. */
int sl_mapping_open(const char *path, struct sl_mapping *ret_mapping, struct sl_error *err) {
    struct stat st;
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP) {
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
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        return sl_fail_errno(err, "cannot map it into memory");
    }
    *ret_mapping = (struct sl_mapping){(const uint8_t *)bytes, (size_t)st.st_size};
    return SL_OK;
}

void sl_mapping_close(struct sl_mapping *mapping) {
    if (mapping->bytes) {
        munmap((void *)(uintptr_t)mapping->bytes, mapping->n);
        *mapping = (struct sl_mapping){0};
    }
}
