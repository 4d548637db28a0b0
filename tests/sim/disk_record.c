/* SPDX-License-Identifier: Apache-2.0
 * The log of all changing operations, to be done again on another disk up to any point. */
#include "tests/sim/disk_record.h"

#include <stdlib.h>
#include <string.h>

struct disk_log {
    struct disk_op *ops; /* [count] */
    size_t count;
    size_t room;
};

static struct disk_op *log_add(struct sim_disk *disk) {
    struct disk_log *log = disk->log;
    if (log->count == log->room) {
        log->room = log->room ? log->room * 2 : 1024;
        log->ops = realloc(log->ops, log->room * sizeof *log->ops);
        if (!log->ops) {
            abort();
        }
    }
    struct disk_op *op = &log->ops[log->count++];
    memset(op, 0, sizeof *op);
    return op;
}

void disk_log_data(struct sim_disk *disk, enum disk_op_kind kind, const struct disk_file *file,
                   const void *data, size_t size, int64_t offset) {
    if (!disk->log) {
        return;
    }
    struct disk_op *op = log_add(disk);
    op->kind = kind;
    op->file = file->id;
    op->size = size;
    op->offset = offset;
    if (size) {
        op->data = disk_alloc(size);
        memcpy(op->data, data, size);
    }
}

void disk_log_names(struct sim_disk *disk, enum disk_op_kind kind, const char *name,
                    const char *to) {
    if (!disk->log) {
        return;
    }
    struct disk_op *op = log_add(disk);
    op->kind = kind;
    strcpy(op->name, name);
    strcpy(op->to, to);
}

void disk_log_free(struct disk_log *log) {
    for (size_t i = 0; log && i < log->count; i++) {
        free(log->ops[i].data);
    }
    if (log) {
        free(log->ops);
    }
    free(log);
}

void disk_record(struct sim_disk *disk) {
    disk->log = disk_alloc(sizeof *disk->log);
}

size_t disk_record_count(const struct sim_disk *disk) {
    return disk->log->count;
}

const struct disk_op *disk_record_at(const struct sim_disk *disk, size_t i) {
    return &disk->log->ops[i];
}
