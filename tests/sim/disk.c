/* SPDX-License-Identifier: Apache-2.0
 * Contents: sectors, what of them is durable, and the faults of single operations.
 *
 * A sector that is written keeps its durable content aside until the next sync. A sector that is
 * overwritten whole only changes owners of blocks, so a log that is written round and round copies
 * each byte once. */
#include "tests/sim/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_internal.h"

#define SLAB_BLOCKS 255

void *disk_alloc(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) {
        abort();
    }
    return memory;
}

uint64_t disk_draw(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

struct slab {
    void *next;
    uint8_t blocks[SLAB_BLOCKS][SIM_DISK_SECTOR];
};

uint8_t *disk_block_get(struct sim_disk *disk) {
    if (!disk->free_blocks) {
        struct slab *slab = malloc(sizeof *slab);
        if (!slab) {
            abort();
        }
        slab->next = disk->slabs;
        disk->slabs = slab;
        for (size_t i = SLAB_BLOCKS; i-- > 0;) {
            disk_block_put(disk, slab->blocks[i]);
        }
    }
    uint8_t *block = disk->free_blocks;
    memcpy(&disk->free_blocks, block, sizeof disk->free_blocks);
    return block;
}

void disk_block_put(struct sim_disk *disk, uint8_t *block) {
    if (block) {
        memcpy(block, &disk->free_blocks, sizeof disk->free_blocks);
        disk->free_blocks = block;
    }
}

struct sim_disk *sim_disk_create(uint64_t seed) {
    struct sim_disk *disk = disk_alloc(sizeof *disk);
    disk->dice = seed;
    disk->random = disk_draw(&seed) ^ UINT64_C(0x5DEECE66D);
    disk_journal_init(disk);
    return disk;
}

void sim_disk_destroy(struct sim_disk *disk) {
    if (!disk) {
        return;
    }
    sim_disk_vfs_unregister(disk);
    sim_disk_killed(disk);
    disk_names_clear(disk);
    while (disk->slabs) {
        struct slab *slab = disk->slabs;
        disk->slabs = slab->next;
        free(slab);
    }
    disk_log_free(disk->log);
    free(disk);
}

/* ---- files ---- */

struct disk_file *disk_file_new(struct sim_disk *disk) {
    struct disk_file *file = disk_alloc(sizeof *file);
    file->id = ++disk->file_count;
    if (disk->last_file) {
        disk->last_file->next = file;
    } else {
        disk->files = file;
    }
    disk->last_file = file;
    return file;
}

void disk_set_size(struct sim_disk *disk, struct disk_file *file, int64_t size) {
    if (file->counted) {
        disk->used_bytes += (uint64_t)size - (uint64_t)file->size;
    }
    file->size = size;
}

void disk_file_drop_if_unused(struct sim_disk *disk, struct disk_file *file) {
    if (file->links || file->opens) {
        return;
    }
    if (file->counted) {
        disk->used_bytes -= (uint64_t)file->size;
        file->counted = false;
    }
    if (!file->holds) {
        disk_file_cut(disk, file, 0);
        struct disk_file **at = &disk->files;
        struct disk_file *before = NULL;
        while (*at != file) {
            before = *at;
            at = &before->next;
        }
        *at = file->next;
        disk->last_file = disk->last_file == file ? before : disk->last_file;
        free(file->sectors);
        free(file->dirty);
        free(file);
    }
}

struct disk_sector *disk_sector_at(struct disk_file *file, uint32_t index) {
    if (index >= file->sector_room) {
        uint32_t room = file->sector_room ? file->sector_room * 2 : 64;
        room = room > index ? room : index + 1;
        file->sectors = realloc(file->sectors, room * sizeof *file->sectors);
        if (!file->sectors) {
            abort();
        }
        memset(file->sectors + file->sector_room, 0,
               (room - file->sector_room) * sizeof *file->sectors);
        file->sector_room = room;
    }
    return &file->sectors[index];
}

static void versions_free(struct disk_sector *sector) {
    while (sector->between) {
        struct disk_version *version = sector->between;
        sector->between = version->older;
        free(version);
    }
    sector->between_count = 0;
}

void disk_sector_settle(struct sim_disk *disk, struct disk_sector *sector) {
    disk_block_put(disk, sector->old);
    sector->old = NULL;
    versions_free(sector);
    sector->state = SECTOR_CLEAN;
}

void disk_file_cut(struct sim_disk *disk, struct disk_file *file, int64_t size) {
    uint32_t whole = (uint32_t)((size + SIM_DISK_SECTOR - 1) / SIM_DISK_SECTOR);
    for (uint32_t i = whole; i < file->sector_room; i++) {
        struct disk_sector *sector = &file->sectors[i];
        disk_block_put(disk, sector->now);
        sector->now = NULL;
        disk_sector_settle(disk, sector);
    }
    uint32_t in = (uint32_t)(size % SIM_DISK_SECTOR);
    if (in && whole <= file->sector_room && file->sectors[whole - 1].now) {
        memset(file->sectors[whole - 1].now + in, 0, SIM_DISK_SECTOR - in);
    }
}

/* ---- reading and writing ---- */

ssize_t disk_read(const struct sim_disk *disk, const struct disk_file *file, void *data,
                  size_t size, int64_t offset) {
    if (disk->dead) {
        return -EIO;
    }
    if (offset >= file->size) {
        return 0;
    }
    if ((int64_t)size > file->size - offset) {
        size = (size_t)(file->size - offset);
    }
    uint8_t *out = data;
    for (size_t done = 0; done < size;) {
        uint32_t index = (uint32_t)((offset + (int64_t)done) / SIM_DISK_SECTOR);
        size_t in = (size_t)((offset + (int64_t)done) % SIM_DISK_SECTOR);
        size_t n = size - done < SIM_DISK_SECTOR - in ? size - done : SIM_DISK_SECTOR - in;
        const uint8_t *from = index < file->sector_room ? file->sectors[index].now : NULL;
        if (from) {
            memcpy(out + done, from + in, n);
        } else {
            memset(out + done, 0, n);
        }
        done += n;
    }
    return (ssize_t)size;
}

static bool all_zero(const uint8_t *data, size_t size) {
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

static void note_dirty(struct disk_file *file, uint32_t index) {
    if (file->dirty_count == file->dirty_room) {
        file->dirty_room = file->dirty_room ? file->dirty_room * 2 : 64;
        file->dirty = realloc(file->dirty, file->dirty_room * sizeof *file->dirty);
        if (!file->dirty) {
            abort();
        }
    }
    file->dirty[file->dirty_count++] = index;
}

/* The durable content is put aside; the newest is a block of its own, whose content the caller
 * still has to write (or NULL for zeros). */
static void sector_change(struct sim_disk *disk, struct disk_file *file, uint32_t index,
                          uint8_t *now) {
    struct disk_sector *sector = &file->sectors[index];
    if (sector->state == SECTOR_CLEAN) {
        sector->old = sector->now;
        note_dirty(file, index);
    } else {
        if (disk->keep_versions && sector->state == SECTOR_DIRTY) {
            struct disk_version *version = disk_alloc(sizeof *version);
            if (sector->now) {
                memcpy(version->data, sector->now, SIM_DISK_SECTOR);
            }
            version->older = sector->between;
            sector->between = version;
            sector->between_count++;
        }
        disk_block_put(disk, sector->now);
    }
    sector->now = now;
    sector->state = SECTOR_DIRTY;
}

static void sector_write(struct sim_disk *disk, struct disk_file *file, uint32_t index,
                         const uint8_t *data, size_t in, size_t n) {
    struct disk_sector *sector = disk_sector_at(file, index);
    if (!sector->now && sector->state == SECTOR_CLEAN && all_zero(data, n)) {
        return; /* zeros upon zeros */
    }
    if (sector->state != SECTOR_CLEAN && sector->now && !disk->keep_versions) {
        memcpy(sector->now + in, data, n);
        sector->state = SECTOR_DIRTY;
        return;
    }
    uint8_t *block = disk_block_get(disk);
    if (n < SIM_DISK_SECTOR) {
        if (sector->now) {
            memcpy(block, sector->now, SIM_DISK_SECTOR);
        } else {
            memset(block, 0, SIM_DISK_SECTOR);
        }
    }
    memcpy(block + in, data, n);
    sector_change(disk, file, index, block);
}

int disk_write(struct sim_disk *disk, struct disk_file *file, const void *data, size_t size,
               int64_t offset) {
    int64_t end = offset + (int64_t)size;
    if (!file->temporary) {
        int rc = disk_step(disk, STEP_WRITE);
        rc = rc ? rc : disk_make_room(disk, file, end);
        if (rc) {
            return rc;
        }
        disk_log_data(disk, OP_WRITE, file, data, size, offset);
    }
    const uint8_t *bytes = data;
    for (size_t done = 0; done < size;) {
        uint32_t index = (uint32_t)((offset + (int64_t)done) / SIM_DISK_SECTOR);
        size_t in = (size_t)((offset + (int64_t)done) % SIM_DISK_SECTOR);
        size_t n = size - done < SIM_DISK_SECTOR - in ? size - done : SIM_DISK_SECTOR - in;
        sector_write(disk, file, index, bytes + done, in, n);
        done += n;
    }
    if (end > file->size) {
        disk_set_size(disk, file, end);
    }
    return 0;
}

int disk_truncate(struct sim_disk *disk, struct disk_file *file, int64_t size) {
    if (!file->temporary) {
        int rc = disk_step(disk, STEP_WRITE);
        rc = rc ? rc : disk_make_room(disk, file, size);
        if (rc) {
            return rc;
        }
        disk_log_data(disk, OP_TRUNCATE, file, NULL, 0, size);
    }
    uint32_t whole = (uint32_t)((size + SIM_DISK_SECTOR - 1) / SIM_DISK_SECTOR);
    uint32_t in = (uint32_t)(size % SIM_DISK_SECTOR);
    if (size < file->size) {
        uint32_t end = (uint32_t)((file->size + SIM_DISK_SECTOR - 1) / SIM_DISK_SECTOR);
        end = end < file->sector_room ? end : file->sector_room;
        for (uint32_t i = whole; i < end; i++) {
            if (file->sectors[i].now) {
                sector_change(disk, file, i, NULL);
            }
        }
        if (in && whole <= file->sector_room && file->sectors[whole - 1].now) {
            static const uint8_t zeros[SIM_DISK_SECTOR];
            sector_write(disk, file, whole - 1, zeros, in, SIM_DISK_SECTOR - in);
        }
    }
    disk_set_size(disk, file, size);
    return 0;
}

/* What a failed sync covered: some of it is on the platter, and the kernel has forgotten that the
 * rest is not. */
static void sync_half(struct sim_disk *disk, struct disk_file *file) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < file->dirty_count; i++) {
        struct disk_sector *sector = &file->sectors[file->dirty[i]];
        if (sector->state == SECTOR_DIRTY && (disk_draw(&disk->dice) & 1)) {
            disk_sector_settle(disk, sector);
        } else {
            sector->state = SECTOR_DROPPED;
            file->dirty[kept++] = file->dirty[i];
        }
    }
    file->dirty_count = kept;
}

int disk_sync(struct sim_disk *disk, struct disk_file *file) {
    if (file->temporary) {
        return 0;
    }
    int rc = disk_step(disk, STEP_SYNC);
    if (rc) {
        return rc;
    }
    if (disk->fail_sync_of && disk_is_called(disk, file, disk->fail_sync_of)) {
        disk->fail_sync_of = NULL;
        disk->fail_syncs++;
    }
    if (disk->fail_syncs) {
        disk->fail_syncs--;
        disk->stats.failed_syncs++;
        sync_half(disk, file);
        return -EIO;
    }
    disk_log_data(disk, OP_SYNC, file, NULL, 0, 0);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < file->dirty_count; i++) {
        struct disk_sector *sector = &file->sectors[file->dirty[i]];
        if (sector->state == SECTOR_DROPPED) {
            file->dirty[kept++] = file->dirty[i];
        } else {
            disk_sector_settle(disk, sector);
        }
    }
    file->dirty_count = kept;
    file->synced_size = file->size;
    if (!disk->strict_names) {
        disk_names_keep_file(disk, file);
    }
    return 0;
}

/* ---- faults ---- */

int disk_step(struct sim_disk *disk, enum disk_step_kind kind) {
    disk->stats.ops++;
    if (disk->die_at && disk->stats.ops >= disk->die_at) {
        disk->dead = true;
    }
    if (disk->dead) {
        return -EIO;
    }
    if (disk->stats.ops == disk->fail_at && kind == STEP_SYNC) {
        disk->fail_syncs++;
    } else if (disk->stats.ops == disk->fail_at) {
        disk->stats.failed_writes++;
        return -disk->fail_code;
    }
    if (kind == STEP_WRITE && disk->fail_writes) {
        disk->fail_writes--;
        disk->stats.failed_writes++;
        return -EIO;
    }
    disk->stats.writes += kind == STEP_WRITE;
    disk->stats.syncs += kind == STEP_SYNC;
    return 0;
}

int disk_make_room(struct sim_disk *disk, const struct disk_file *file, int64_t size) {
    if (size <= file->size || !disk->room_bytes ||
        disk->used_bytes + (uint64_t)(size - file->size) <= disk->room_bytes) {
        return 0;
    }
    disk->stats.full++;
    return -ENOSPC;
}

void sim_disk_die_at(struct sim_disk *disk, uint64_t n) {
    disk->die_at = n ? disk->stats.ops + n : 0;
}

void disk_fail_at(struct sim_disk *disk, uint64_t n, int code) {
    disk->fail_at = n ? disk->stats.ops + n : 0;
    disk->fail_code = code;
}

void disk_fail_sync_of(struct sim_disk *disk, const char *end) {
    disk->fail_sync_of = end;
}

bool sim_disk_is_dead(const struct sim_disk *disk) {
    return disk->dead;
}

void sim_disk_fail_writes(struct sim_disk *disk, uint32_t n) {
    disk->fail_writes = n;
}

void sim_disk_fail_syncs(struct sim_disk *disk, uint32_t n) {
    disk->fail_syncs = n;
}

void sim_disk_set_room(struct sim_disk *disk, uint64_t bytes) {
    disk->room_bytes = bytes;
}

uint64_t sim_disk_used(const struct sim_disk *disk) {
    return disk->used_bytes;
}

void sim_disk_set_wall_ms(struct sim_disk *disk, int64_t now_ms) {
    disk->now_ms = now_ms;
}

const struct sim_disk_stats *sim_disk_get_stats(const struct sim_disk *disk) {
    return &disk->stats;
}
