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

void disk_log_names(struct sim_disk *disk, enum disk_op_kind kind, const char *name, const char *to,
                    const struct disk_file *made) {
    if (!disk->log) {
        return;
    }
    struct disk_op *op = log_add(disk);
    op->kind = kind;
    op->file = made ? made->id : 0;
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

void disk_replay(struct sim_disk *disk, struct disk_file **files, const struct disk_op *op) {
    struct disk_file *file = op->file ? files[op->file] : NULL;
    switch (op->kind) {
    case OP_WRITE:
        disk_write(disk, file, op->data, op->size, op->offset);
        break;
    case OP_TRUNCATE:
        disk_truncate(disk, file, op->offset);
        break;
    case OP_SYNC:
        disk_sync(disk, file);
        break;
    case OP_SYNC_DIR:
        disk_sync_dir(disk, op->name);
        break;
    case OP_CREATE:
    case OP_MAKE_DIR:
        disk_create_file(disk, op->name, op->kind == OP_MAKE_DIR, &files[op->file]);
        files[op->file]->opens++; /* it may be written to after its name is gone */
        break;
    case OP_RENAME:
        disk_rename(disk, op->name, op->to);
        break;
    case OP_REMOVE:
        disk_remove(disk, op->name);
        break;
    case OP_INVALID:
    default:
        abort();
    }
}

static void copy_block(struct sim_disk *disk, const uint8_t *from, uint8_t **ret_to) {
    *ret_to = NULL;
    if (from) {
        *ret_to = disk_block_get(disk);
        memcpy(*ret_to, from, SIM_DISK_SECTOR);
    }
}

static void copy_file(struct sim_disk *disk, struct disk_file *from) {
    struct disk_file *to = disk_file_new(disk);
    from->copy = to;
    to->id = from->id;
    to->directory = from->directory;
    to->size = from->size;
    to->synced_size = from->synced_size;
    to->sector_room = from->sector_room;
    to->dirty_count = to->dirty_room = from->dirty_count;
    to->sectors = disk_alloc((from->sector_room + 1) * sizeof *to->sectors);
    to->dirty = disk_alloc((from->dirty_count + 1) * sizeof *to->dirty);
    for (uint32_t i = 0; i < from->dirty_count; i++) {
        to->dirty[i] = from->dirty[i];
    }
    for (uint32_t i = 0; i < from->sector_room; i++) {
        const struct disk_sector *sector = &from->sectors[i];
        struct disk_sector *copy = &to->sectors[i];
        copy->state = sector->state;
        copy->between_count = sector->between_count;
        copy_block(disk, sector->now, &copy->now);
        copy_block(disk, sector->old, &copy->old);
        struct disk_version **at = &copy->between;
        for (const struct disk_version *v = sector->between; v; v = v->older) {
            *at = disk_alloc(sizeof **at);
            memcpy((*at)->data, v->data, sizeof v->data);
            at = &(*at)->older;
        }
    }
}

struct sim_disk *disk_copy(const struct sim_disk *disk) {
    struct sim_disk *copy = sim_disk_create(disk->dice);
    copy->keep_versions = disk->keep_versions;
    copy->strict_names = disk->strict_names;
    copy->now_ms = disk->now_ms;
    for (struct disk_file *file = disk->files; file; file = file->next) {
        if (file->links || file->holds) {
            copy_file(copy, file);
        }
    }
    copy->file_count = disk->file_count;
    disk_names_copy(disk, copy);
    return copy;
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
