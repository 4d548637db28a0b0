/* SPDX-License-Identifier: Apache-2.0
 * What is left after a kill and after a power failure; snapshots; looking at files. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_crash.h"

void sim_disk_killed(struct sim_disk *disk) {
    disk->boot++;
    disk->dead = false;
    disk->die_at = 0;
    disk->fail_writes = 0;
    disk->fail_syncs = 0;
    disk->fail_at = 0;
    disk->fail_sync_of = NULL;
    memset(disk->fds, 0, sizeof disk->fds);
    for (struct disk_file *file = disk->files; file;) {
        struct disk_file *next = file->next;
        disk_vfs_forget(disk, file);
        file->opens = 0;
        file->lock_fd = 0;
        disk_file_drop_if_unused(disk, file);
        file = next;
    }
}

static bool old_is_newest(const struct disk_sector *sector) {
    static const uint8_t zeros[SIM_DISK_SECTOR];
    return memcmp(sector->old ? sector->old : zeros, sector->now ? sector->now : zeros,
                  SIM_DISK_SECTOR) == 0;
}

/* Two settlings upon one durable state left the same when the sums are equal. */
static void note_choice(struct sim_disk *disk, const struct disk_unit *unit, bool durable,
                        uint64_t what) {
    if (durable) {
        return;
    }
    uint64_t state = what ^ (uint64_t)unit->kind << 60 ^ (uint64_t)unit->file << 32 ^ unit->sector;
    disk->settled += disk_draw(&state);
}

static uint64_t sum_sector(const uint8_t *data) {
    uint64_t sum = 0;
    for (size_t at = 0; data && at < SIM_DISK_SECTOR; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, 8);
        sum = (sum ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        sum ^= sum >> 29;
    }
    return sum;
}

/* Versions are counted from the durable one, 0, over those between to the newest; behind it, with
 * tear, the newest one's first half and its second half upon the durable rest. */
static void sector_choose(struct sim_disk *disk, struct disk_sector *sector, uint32_t version) {
    uint32_t newest = sector->between_count + 1;
    uint8_t kept[SIM_DISK_SECTOR] = {0};
    const size_t half = SIM_DISK_SECTOR / 2;
    if (version == newest) {
        disk_sector_settle(disk, sector);
        return;
    }
    if (sector->old) {
        memcpy(kept, sector->old, sizeof kept);
    }
    if (version > newest) {
        size_t in = version == newest + 1 ? 0 : half;
        static const uint8_t zeros[SIM_DISK_SECTOR];
        memcpy(kept + in, (sector->now ? sector->now : zeros) + in, half);
        disk->stats.torn_sectors++;
    } else if (version > 0) {
        const struct disk_version *at = sector->between;
        for (uint32_t i = sector->between_count; i > version; i--) {
            at = at->older;
        }
        memcpy(kept, at->data, sizeof kept);
    }
    disk->stats.lost_sectors++;
    if (!sector->now) {
        sector->now = disk_block_get(disk);
    }
    memcpy(sector->now, kept, sizeof kept);
    disk_sector_settle(disk, sector);
}

static void settle_names(struct sim_disk *disk, disk_pick_fn pick, void *arg) {
    uint32_t count = 0;
    for (struct disk_change *change = disk->changes; change; change = change->next) {
        count++;
    }
    struct disk_unit unit = {.kind = UNIT_NAMES, .choices = count + 1, .newest = count};
    uint32_t kept = count ? pick(arg, &unit) : 0;
    note_choice(disk, &unit, kept == 0, kept);
    while (disk->changes) {
        struct disk_change *change = disk->changes;
        disk->changes = change->next;
        if (kept > 0) {
            disk_change_apply(disk, change);
            kept--;
        }
        disk_change_free(disk, change);
    }
    disk_names_forget_lost_dirs(disk);
    for (struct disk_name *name = disk->names; name; name = name->next) {
        if (name->now != name->durable) {
            disk_name_point(disk, name, name->durable);
        }
    }
}

static void settle_file(struct sim_disk *disk, struct disk_file *file, bool tear, disk_pick_fn pick,
                        void *arg) {
    struct disk_unit unit = {.kind = UNIT_LENGTH, .file = file->id, .choices = 2, .newest = 1};
    int64_t size = file->size;
    int64_t grown = file->size - file->synced_size;
    if (grown != 0) {
        unit.choices += tear && grown > 1;
        uint32_t choice = pick(arg, &unit);
        size = choice == 0 ? file->synced_size : choice == 1 ? size : size - grown / 2;
        note_choice(disk, &unit, choice == 0, (uint64_t)size);
    }
    unit.kind = UNIT_SECTOR;
    for (uint32_t i = 0; i < file->dirty_count; i++) {
        struct disk_sector *sector = &file->sectors[file->dirty[i]];
        int64_t at = (int64_t)file->dirty[i] * SIM_DISK_SECTOR;
        /* What was cut off keeps its content if the cut is lost: nothing writes zeros there. */
        bool cut_off = at >= file->size;
        if (sector->state == SECTOR_DROPPED || at >= size ||
            (cut_off && sector->between_count == 0)) {
            sector_choose(disk, sector, 0);
        } else if (sector->between_count || !old_is_newest(sector)) {
            unit.sector = file->dirty[i];
            unit.newest = sector->between_count + !cut_off;
            unit.choices = unit.newest + 1 + (tear && !cut_off ? 2 : 0);
            uint32_t version = pick(arg, &unit);
            sector_choose(disk, sector, version);
            if (disk->keep_versions) {
                note_choice(disk, &unit, version == 0, sum_sector(sector->now));
            }
        } else {
            disk_sector_settle(disk, sector);
        }
    }
    file->dirty_count = 0;
    disk_file_cut(disk, file, size);
    disk_set_size(disk, file, size);
    file->synced_size = size;
}

void disk_settle(struct sim_disk *disk, bool tear, disk_pick_fn pick, void *arg) {
    sim_disk_killed(disk);
    disk->settled = 0;
    settle_names(disk, pick, arg);
    for (struct disk_file *file = disk->files; file; file = file->next) {
        settle_file(disk, file, tear, pick, arg);
    }
}

static uint32_t throw_dice(void *arg, const struct disk_unit *unit) {
    uint64_t *dice = arg;
    uint32_t torn = unit->choices - unit->newest - 1;
    uint64_t throw = disk_draw(dice);
    /* Tears are rarer than losses. */
    return torn && throw % 8 == 0 ? unit->newest + 1 + (uint32_t)((throw >> 8) % torn)
                                  : (uint32_t)((throw >> 8) % (unit->newest + 1));
}

void sim_disk_power_failed(struct sim_disk *disk, bool tear) {
    disk_settle(disk, tear, throw_dice, &disk->dice);
}

/* ---- snapshots ---- */

struct saved_file {
    struct saved_file *next;
    char name[DISK_NAME_MAX];
    bool directory;
    size_t size;
    uint8_t data[];
};

struct sim_disk_snapshot {
    struct saved_file *files;
};

struct sim_disk_snapshot *sim_disk_snapshot(const struct sim_disk *disk) {
    struct sim_disk_snapshot *snapshot = disk_alloc(sizeof *snapshot);
    struct saved_file **at = &snapshot->files;
    for (const struct disk_name *name = disk->names; name; name = name->next) {
        if (!name->now) {
            continue;
        }
        size_t size = (size_t)name->now->size;
        struct saved_file *saved = disk_alloc(sizeof *saved + size);
        memcpy(saved->name, name->text, sizeof saved->name);
        saved->directory = name->now->directory;
        saved->size = size;
        disk_peek(name->now, saved->data, size);
        *at = saved;
        at = &saved->next;
    }
    return snapshot;
}

void sim_disk_snapshot_free(struct sim_disk_snapshot *snapshot) {
    while (snapshot && snapshot->files) {
        struct saved_file *file = snapshot->files;
        snapshot->files = file->next;
        free(file);
    }
    free(snapshot);
}

/* A durable file of this name; the one that had it goes away. */
static struct disk_file *plant(struct sim_disk *disk, const char *text, const uint8_t *data,
                               size_t size) {
    struct disk_name *name = disk_name_get(disk, text);
    struct disk_file *file = name->now;
    if (file) {
        disk_file_cut(disk, file, 0);
        file->dirty_count = 0;
    } else {
        file = disk_file_new(disk);
        disk_name_point(disk, name, file);
    }
    for (size_t at = 0; at < size; at += SIM_DISK_SECTOR) {
        struct disk_sector *sector = disk_sector_at(file, (uint32_t)(at / SIM_DISK_SECTOR));
        size_t n = size - at < SIM_DISK_SECTOR ? size - at : SIM_DISK_SECTOR;
        sector->now = disk_block_get(disk);
        memset(sector->now, 0, SIM_DISK_SECTOR);
        memcpy(sector->now, data + at, n);
    }
    disk_set_size(disk, file, (int64_t)size);
    file->synced_size = (int64_t)size;
    disk_names_plant(disk, name, file);
    return file;
}

void sim_disk_restore(struct sim_disk *disk, const struct sim_disk_snapshot *snapshot) {
    sim_disk_killed(disk);
    disk_names_clear(disk);
    for (const struct saved_file *saved = snapshot->files; saved; saved = saved->next) {
        plant(disk, saved->name, saved->data, saved->size)->directory = saved->directory;
    }
}

/* ---- looking ---- */

void disk_peek(const struct disk_file *file, uint8_t *data, size_t size) {
    for (size_t at = 0; at < size; at += SIM_DISK_SECTOR) {
        size_t n = size - at < SIM_DISK_SECTOR ? size - at : SIM_DISK_SECTOR;
        uint32_t index = (uint32_t)(at / SIM_DISK_SECTOR);
        const uint8_t *now = index < file->sector_room ? file->sectors[index].now : NULL;
        if (now) {
            memcpy(data + at, now, n);
        } else {
            memset(data + at, 0, n);
        }
    }
}

uint8_t *sim_disk_read_file(const struct sim_disk *disk, const char *name, size_t *ret_size) {
    const struct disk_file *file = disk_find(disk, name);
    if (!file) {
        return NULL;
    }
    uint8_t *data = disk_alloc((size_t)file->size + 1);
    disk_peek(file, data, (size_t)file->size);
    *ret_size = (size_t)file->size;
    return data;
}

void sim_disk_write_file(struct sim_disk *disk, const char *name, const void *data, size_t size) {
    plant(disk, name, data, size);
}
