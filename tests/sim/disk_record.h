/* SPDX-License-Identifier: Apache-2.0
 * What a disk was told to change, in order. */
#ifndef SLUICE_TESTS_SIM_DISK_RECORD_H
#define SLUICE_TESTS_SIM_DISK_RECORD_H

#include "tests/sim/disk_internal.h"

struct disk_op {
    enum disk_op_kind kind;
    uint32_t file; /* WRITE, TRUNCATE, SYNC: disk_file.id, which a replay gives again */
    uint8_t *data;
    size_t size;
    int64_t offset; /* TRUNCATE: the new length */
    char name[DISK_NAME_MAX];
    char to[DISK_NAME_MAX];
};

/* Of a disk on which nothing has happened yet. */
void disk_record(struct sim_disk *disk);
size_t disk_record_count(const struct sim_disk *disk);
const struct disk_op *disk_record_at(const struct sim_disk *disk, size_t i);

/* Does the operation again. files: by disk_op.file, at least one more than the recorded disk has
 * made; filled in as they are made. */
void disk_replay(struct sim_disk *disk, struct disk_file **files, const struct disk_op *op);
/* All of its state, durable and not; but for open handles. */
struct sim_disk *disk_copy(const struct sim_disk *disk);

#endif
