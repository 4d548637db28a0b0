/* SPDX-License-Identifier: Apache-2.0
 * Every state that a power failure can leave of a recorded disk: after each prefix of the recorded
 * operations, every legal loss of what was not synced by then. Where these are too many: each thing
 * lost alone, each kept alone, each beginning and each end kept, each torn sector alone, and
 * mixtures by the dice. */
#ifndef SLUICE_TESTS_POWER_LOSS_H
#define SLUICE_TESTS_POWER_LOSS_H

#include "tests/sim/disk.h"

struct power_loss {
    const struct sim_disk *recorded;
    const struct sim_disk *base; /* what was there when the recording began; NULL: nothing */
    /* Looks at what is left after `prefix` operations. NULL, or what is wrong with it. */
    const char *(*check)(void *arg, struct sim_disk *image, size_t prefix);
    void *arg;
    bool strict_names;     /* a name is durable with a sync of its directory only */
    bool thorough;         /* also between two syncs; else only a few images there */
    const char *deaf;      /* syncs of files whose name ends so do nothing: to prove the test */
    bool deaf_dirs;        /* those of directories */
    size_t from;           /* shorter prefixes are not looked at */
    size_t deaf_from;      /* operations, from which on they do nothing */
    uint64_t failures_max; /* ends after so many */

    /* Counted. */
    uint64_t prefixes;
    uint64_t exhaustive; /* prefixes of which every loss was tried */
    uint64_t images;     /* looked at */
    uint64_t same;       /* not looked at again */
    uint64_t torn;       /* images with a torn sector */
    uint64_t failures;
    char first_failure[400];
};

void power_loss_run(struct power_loss *run);
void power_loss_print(const struct power_loss *run, const char *name);
/* SLUICE_POWER_LOSS=long: everything at every prefix. */
bool power_loss_long(void);

#endif
