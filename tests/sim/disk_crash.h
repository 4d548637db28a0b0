/* SPDX-License-Identifier: Apache-2.0
 * A power failure with its losses chosen by the caller. */
#ifndef SLUICE_TESTS_SIM_DISK_CRASH_H
#define SLUICE_TESTS_SIM_DISK_CRASH_H

#include "tests/sim/disk_internal.h"

enum disk_unit_kind { UNIT_INVALID = 0, UNIT_NAMES, UNIT_LENGTH, UNIT_SECTOR };

/* One thing that is not durable. Choice 0 is the durable state; of names the choice is how many of
 * the pending changes are kept; of a length 1 is the newest and, with tear, 2 one half-way; of a
 * sector the versions follow, the newest one last, and behind it, with tear, its first half and its
 * second half alone. */
struct disk_unit {
    enum disk_unit_kind kind;
    uint32_t file;
    uint32_t sector;
    uint32_t newest; /* the choice that loses nothing; those above it are torn */
    uint32_t choices;
};

typedef uint32_t (*disk_pick_fn)(void *arg, const struct disk_unit *unit);

/* The power fails; `pick` is asked once for each unit, always in the same order. */
void disk_settle(struct sim_disk *disk, bool tear, disk_pick_fn pick, void *arg);
void disk_peek(const struct disk_file *file, uint8_t *data, size_t size);

#endif
