/* SPDX-License-Identifier: Apache-2.0
 * Energy of all CPU packages from the kernel's RAPL counters (powercap sysfs). Absent in most
 * virtual machines and readable by root only: then power is unknown, never guessed.
 *
 * Thread: one at a time. */
#ifndef SLUICE_AGENT_DEVICE_POWER_H
#define SLUICE_AGENT_DEVICE_POWER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/clock.h"

#define SL_POWER_PACKAGES_MAX 16

struct sl_power {
    uint32_t count;
    bool denied;                           /* there is a counter, but this user may not read it */
    char path[SL_POWER_PACKAGES_MAX][200]; /* energy_uj files */
    uint64_t range_uj[SL_POWER_PACKAGES_MAX];
    uint64_t last_uj[SL_POWER_PACKAGES_MAX];
    struct sl_mono last;
};

/* Looks for packages under ROOT/class/powercap ("/sys" in life). False when there are none that can
 * be read. */
bool sl_power_open(struct sl_power *power, const char *root, struct sl_mono now);
/* Mean power of all packages since the last call or open. False when a counter has gone away or the
 * span is too short to say (under 100 ms): the span then goes on; also when a counter has begun
 * anew, as after a suspend: then the next span counts. */
bool sl_power_read(struct sl_power *power, struct sl_mono now, int64_t *ret_mw);

#endif
