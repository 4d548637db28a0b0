/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "broker/batch/batch.h"

#define KEPT_PART 16
#define KEPT_MAX (UINT64_C(2) << 30)
#define STORE_PART 4 /* of what is kept */
#define MIB (1 << 20)

bool sl_batch_room_is_enough(enum sl_batch_room_for whose, uint64_t total, uint64_t left,
                             uint64_t bytes) {
    uint64_t kept = total / KEPT_PART < KEPT_MAX ? total / KEPT_PART : KEPT_MAX;
    kept /= whose == SL_ROOM_RESULTS ? STORE_PART : 1;
    return total == 0 || (left >= kept && left - kept >= bytes);
}

int sl_batch_room(enum sl_batch_room_for whose, const char *path, int64_t bytes,
                  struct sl_error *err) {
    struct statvfs disk;
    if (statvfs(path, &disk) != 0) {
        return SL_OK; /* whoever writes there will hear why it cannot be done */
    }
    uint64_t total = (uint64_t)disk.f_blocks * disk.f_frsize;
    uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (sl_batch_room_is_enough(whose, total, left, bytes > 0 ? (uint64_t)bytes : 0)) {
        return SL_OK;
    }
    bool results = whose == SL_ROOM_RESULTS;
    return sl_fail(err, SL_IO, "%s for %s: %llu of %llu MiB are left, and %s (%s)",
                   strerror(ENOSPC), results ? "results" : "tenants' files",
                   (unsigned long long)left / MIB, (unsigned long long)total / MIB,
                   results ? "the store needs them"
                           : "the store and results of what was accepted need them",
                   path);
}

bool sl_batch_is_full(const struct sl_error *err) {
    return strstr(err->text, strerror(ENOSPC)) != NULL;
}
