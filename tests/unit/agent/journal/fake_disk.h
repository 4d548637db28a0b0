/* SPDX-License-Identifier: Apache-2.0
 * A disk in memory for journal tests: knows what is durable and what is only cached, fails or ends
 * the world at a chosen operation, and can lose any unsynced sector in a crash. */
#ifndef SLUICE_TESTS_FAKE_DISK_H
#define SLUICE_TESTS_FAKE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/journal/journal.h"

#define DISK_FILES 16
#define DISK_BYTES (1 << 16)
#define DISK_SECTOR 512
#define DISK_DIR_FD 1000

struct disk_file {
    bool used;
    char name[64];    /* as cached; empty: unlinked */
    char durable[64]; /* as on the platter */
    uint8_t *data;
    int64_t size;
    uint8_t *synced;
    int64_t synced_size;
};

struct disk {
    struct disk_file files[DISK_FILES];
    bool locked;
    int ops;      /* operations that change something, so far */
    int crash_at; /* this one and all after it do nothing and fail; 0: never */
    int fail_at;  /* this one fails with fail_code; 0: never */
    int fail_code;
    int syncs;
    uint64_t seed;
};

struct disk_file *disk_find(struct disk *disk, const char *name);
struct sl_journal_ops disk_ops(struct disk *disk);
/* What a reader may find after the power came back: names and sectors that were not synced are,
 * each by a throw of the dice, there or not. */
void disk_crash(struct disk *disk);
void disk_free(struct disk *disk);

#endif
