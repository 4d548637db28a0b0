/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/ending.h"

#include <signal.h>
#include <unistd.h>

static void leave(int signum) {
    (void)signum;
    _exit(0);
}

void sl_ending_at_once(void) {
    signal(SIGTERM, leave);
    signal(SIGINT, leave);
}
