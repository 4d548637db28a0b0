/* SPDX-License-Identifier: Apache-2.0
 * Names: what the cache says, what the platter says, and the changes between the two.
 *
 * Changes of names become durable in their order, as in the log of a file system. A sync of a
 * directory covers all changes in it; a sync of a file those that name it and those that made the
 * directories above it; both all older ones, too. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_internal.h"

struct disk_name *disk_name_find(const struct sim_disk *disk, const char *text) {
    for (struct disk_name *name = disk->names; name; name = name->next) {
        if (strcmp(name->text, text) == 0) {
            return name;
        }
    }
    return NULL;
}

struct disk_name *disk_name_get(struct sim_disk *disk, const char *text) {
    struct disk_name *name = disk_name_find(disk, text);
    if (!name) {
        name = disk_alloc(sizeof *name);
        if (snprintf(name->text, sizeof name->text, "%s", text) >= (int)sizeof name->text) {
            abort();
        }
        struct disk_name **at = &disk->names;
        while (*at) {
            at = &(*at)->next;
        }
        *at = name;
    }
    return name;
}

struct disk_file *disk_find(const struct sim_disk *disk, const char *text) {
    struct disk_name *name = disk_name_find(disk, text);
    return name ? name->now : NULL;
}

bool disk_is_called(const struct sim_disk *disk, const struct disk_file *file, const char *end) {
    size_t m = strlen(end);
    for (const struct disk_name *name = disk->names; name; name = name->next) {
        size_t n = strlen(name->text);
        if (name->now == file && n >= m && strcmp(name->text + n - m, end) == 0) {
            return true;
        }
    }
    return false;
}

void disk_name_point(struct sim_disk *disk, struct disk_name *name, struct disk_file *file) {
    struct disk_file *before = name->now;
    if (file) {
        file->links++;
        if (!file->counted) {
            file->counted = true;
            disk->used_bytes += (uint64_t)file->size;
        }
    }
    name->now = file;
    if (before) {
        before->links--;
        disk_file_drop_if_unused(disk, before);
    }
}

static void point_durable(struct sim_disk *disk, struct disk_name *name, struct disk_file *file) {
    struct disk_file *before = name->durable;
    if (file) {
        file->holds++;
    }
    name->durable = file;
    if (before) {
        before->holds--;
        disk_file_drop_if_unused(disk, before);
    }
}

static void change_note(struct sim_disk *disk, enum disk_change_kind kind, struct disk_name *name,
                        struct disk_name *from, struct disk_file *file) {
    struct disk_change *change = disk_alloc(sizeof *change);
    *change = (struct disk_change){.kind = kind, .file = file, .name = name, .from = from};
    file->holds++;
    struct disk_change **at = &disk->changes;
    while (*at) {
        at = &(*at)->next;
    }
    *at = change;
}

void disk_change_free(struct sim_disk *disk, struct disk_change *change) {
    change->file->holds--;
    disk_file_drop_if_unused(disk, change->file);
    free(change);
}

void disk_change_apply(struct sim_disk *disk, const struct disk_change *change) {
    if (change->kind == CHANGE_UNLINK) {
        point_durable(disk, change->name, NULL);
        return;
    }
    if (change->kind == CHANGE_RENAME) {
        point_durable(disk, change->from, NULL);
    }
    point_durable(disk, change->name, change->file);
}

/* All changes up to the last wanted one: a log of a file system is written in its order. */
static void apply_until(struct sim_disk *disk, const struct disk_change *last) {
    while (last) {
        struct disk_change *change = disk->changes;
        disk->changes = change->next;
        last = change == last ? NULL : last;
        disk_change_apply(disk, change);
        disk_change_free(disk, change);
    }
}

/* Whether `text` is directly in the directory. */
static bool is_in(const char *text, const char *dir) {
    const char *slash = strrchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : 0;
    return strlen(dir) == n && strncmp(text, dir, n) == 0;
}

static bool is_above(const struct disk_name *dir, const char *text) {
    size_t n = strlen(dir->text);
    return strncmp(dir->text, text, n) == 0 && text[n] == '/';
}

void disk_names_keep_file(struct sim_disk *disk, struct disk_file *file) {
    const char *own = "";
    for (struct disk_name *name = disk->names; disk->changes && name; name = name->next) {
        own = name->now == file ? name->text : own;
    }
    const struct disk_change *last = NULL;
    for (struct disk_change *change = disk->changes; change; change = change->next) {
        bool above = change->file->directory && is_above(change->name, own);
        last = change->file == file || above ? change : last;
    }
    apply_until(disk, last);
}

int disk_sync_dir(struct sim_disk *disk, const char *dir) {
    int rc = disk_step(disk, STEP_SYNC);
    if (rc) {
        return rc;
    }
    if (disk->fail_syncs) {
        disk->fail_syncs--;
        disk->stats.failed_syncs++;
        return -EIO;
    }
    disk_log_names(disk, OP_SYNC_DIR, dir, "", NULL);
    const struct disk_change *last = NULL;
    for (struct disk_change *change = disk->changes; change; change = change->next) {
        bool in =
            is_in(change->name->text, dir) || (change->from && is_in(change->from->text, dir));
        last = in ? change : last;
    }
    apply_until(disk, last);
    return 0;
}

int disk_create_file(struct sim_disk *disk, const char *text, bool directory,
                     struct disk_file **ret_file) {
    if (strlen(text) >= DISK_NAME_MAX) {
        return -ENAMETOOLONG;
    }
    int rc = disk_step(disk, STEP_NAME);
    if (rc) {
        return rc;
    }
    struct disk_name *name = disk_name_get(disk, text);
    struct disk_file *file = disk_file_new(disk);
    disk_log_names(disk, directory ? OP_MAKE_DIR : OP_CREATE, text, "", file);
    file->directory = directory;
    disk_name_point(disk, name, file);
    change_note(disk, CHANGE_LINK, name, NULL, file);
    *ret_file = file;
    return 0;
}

int disk_rename(struct sim_disk *disk, const char *from, const char *to) {
    struct disk_name *source = disk_name_find(disk, from);
    if (!source || !source->now) {
        return disk->dead ? -EIO : -ENOENT;
    }
    if (strlen(to) >= DISK_NAME_MAX) {
        return -ENAMETOOLONG;
    }
    int rc = disk_step(disk, STEP_NAME);
    if (rc) {
        return rc;
    }
    disk_log_names(disk, OP_RENAME, from, to, NULL);
    struct disk_name *target = disk_name_get(disk, to);
    struct disk_file *file = source->now;
    if (target == source) {
        return 0;
    }
    change_note(disk, CHANGE_RENAME, target, source, file);
    disk_name_point(disk, target, file);
    disk_name_point(disk, source, NULL);
    return 0;
}

int disk_remove(struct sim_disk *disk, const char *text) {
    struct disk_name *name = disk_name_find(disk, text);
    if (!name || !name->now) {
        return disk->dead ? -EIO : -ENOENT;
    }
    int rc = disk_step(disk, STEP_NAME);
    if (rc) {
        return rc;
    }
    disk_log_names(disk, OP_REMOVE, text, "", NULL);
    change_note(disk, CHANGE_UNLINK, name, NULL, name->now);
    disk_name_point(disk, name, NULL);
    return 0;
}

void disk_names_plant(struct sim_disk *disk, struct disk_name *name, struct disk_file *file) {
    struct disk_change **at = &disk->changes;
    while (*at) {
        struct disk_change *change = *at;
        if (change->file == file || change->name == name) {
            *at = change->next;
            disk_change_free(disk, change);
        } else {
            at = &change->next;
        }
    }
    point_durable(disk, name, file);
}

void disk_names_copy(const struct sim_disk *from, struct sim_disk *to) {
    for (const struct disk_name *name = from->names; name; name = name->next) {
        struct disk_name *copy = disk_name_get(to, name->text);
        disk_name_point(to, copy, name->now ? name->now->copy : NULL);
        point_durable(to, copy, name->durable ? name->durable->copy : NULL);
    }
    for (const struct disk_change *change = from->changes; change; change = change->next) {
        struct disk_name *source = change->from ? disk_name_get(to, change->from->text) : NULL;
        change_note(to, change->kind, disk_name_get(to, change->name->text), source,
                    change->file->copy);
    }
}

void disk_names_forget_lost_dirs(struct sim_disk *disk) {
    for (struct disk_name *dir = disk->names; dir; dir = dir->next) {
        if (!dir->now || !dir->now->directory || dir->durable) {
            continue;
        }
        for (struct disk_name *name = disk->names; name; name = name->next) {
            if (is_above(dir, name->text)) {
                point_durable(disk, name, NULL);
            }
        }
    }
}

void disk_names_clear(struct sim_disk *disk) {
    while (disk->changes) {
        struct disk_change *change = disk->changes;
        disk->changes = change->next;
        disk_change_free(disk, change);
    }
    while (disk->names) {
        struct disk_name *name = disk->names;
        disk->names = name->next;
        disk_name_point(disk, name, NULL);
        point_durable(disk, name, NULL);
        free(name);
    }
}
