/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "broker/batch/batch.h"

#define KEPT_PART 16
#define KEPT_MAX (UINT64_C(2) << 30)
#define MIB (1 << 20)

bool sl_batch_room_is_enough(uint64_t total, uint64_t left, uint64_t bytes) {
    uint64_t kept = total / KEPT_PART < KEPT_MAX ? total / KEPT_PART : KEPT_MAX;
    return total == 0 || (left >= kept && left - kept >= bytes);
}

int sl_batch_room(const char *path, int64_t bytes, struct sl_error *err) {
    struct statvfs disk;
    if (statvfs(path, &disk) != 0) {
        return SL_OK; /* whoever writes there will hear why it cannot be done */
    }
    uint64_t total = (uint64_t)disk.f_blocks * disk.f_frsize;
    uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (sl_batch_room_is_enough(total, left, bytes > 0 ? (uint64_t)bytes : 0)) {
        return SL_OK;
    }
    return sl_fail(err, SL_IO,
                   "%s for tenants' files: %llu of %llu MiB are left, and the store and results of "
                   "what was accepted need them (%s)",
                   strerror(ENOSPC), (unsigned long long)left / MIB,
                   (unsigned long long)total / MIB, path);
}
