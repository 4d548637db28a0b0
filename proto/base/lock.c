/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/file.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/base/lock.h"
#include "proto/base/log.h"

#define TRY_EVERY_MS 20

int sl_lock_take(int fd, const char *what, int64_t wait_ms) {
    struct sl_mono until = sl_mono_after_ms(sl_clock_mono(), wait_ms);
    for (bool said = false;;) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return 0;
        }
        int failed = errno;
        if (failed != EWOULDBLOCK || sl_mono_since_ns(until, sl_clock_mono()) <= 0) {
            return -failed;
        }
        if (!said) {
            sl_log(SL_LOG_INFO, "lock.wait",
                   "%s is taken; trying for %.1f s, in case its owner is ending", what,
                   (double)wait_ms / 1e3);
            said = true;
        }
        poll(NULL, 0, TRY_EVERY_MS);
    }
}

bool sl_lock_is_held(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return held;
}
