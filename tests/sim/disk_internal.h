/* SPDX-License-Identifier: Apache-2.0
 * How the disk in memory is built: files of sectors, names that point to files, and the operations
 * that both faces and the recording share. All return 0 or a negative errno. */
#ifndef SLUICE_TESTS_SIM_DISK_INTERNAL_H
#define SLUICE_TESTS_SIM_DISK_INTERNAL_H

#include <sqlite3.h>
#include <sys/types.h>

#include "agent/journal/journal.h"
#include "tests/sim/disk.h"

#define DISK_NAME_MAX 256
#define DISK_FDS 256

enum { SECTOR_CLEAN = 0, SECTOR_DIRTY = 1, SECTOR_DROPPED = 2 /* by a failed sync; also dirty */ };

/* A content between the durable one and the newest; kept only where asked for (disk_record.h). */
struct disk_version {
    struct disk_version *older;
    uint8_t data[SIM_DISK_SECTOR];
};

/* NULL data are zeros. */
struct disk_sector {
    uint8_t *now;
    uint8_t *old; /* the durable content of a dirty sector */
    struct disk_version *between;
    uint32_t between_count;
    uint8_t state;
};

struct disk_shm;
struct disk_handle;

struct disk_file {
    struct disk_file *next; /* of the disk's files, in the order of creation */
    uint32_t id;
    bool directory;
    bool temporary; /* SQLite's nameless files: not part of the host's state */
    bool counted;   /* among the used bytes: it has a name or is open */
    int64_t size;
    int64_t synced_size;
    struct disk_sector *sectors; /* [sector_room] */
    uint32_t sector_room;
    uint32_t *dirty; /* [dirty_count] of sectors */
    uint32_t dirty_count;
    uint32_t dirty_room;
    uint32_t links;              /* names in the cache */
    uint32_t holds;              /* durable names and pending changes that name it */
    uint32_t opens;              /* of this boot */
    int lock_fd;                 /* flock holder + 1; 0: nobody */
    struct disk_handle *handles; /* SQLite's, of this boot */
    struct disk_shm *shm;
    struct disk_file *copy; /* while a disk is copied */
};

struct disk_name {
    struct disk_name *next;
    struct disk_file *now;
    struct disk_file *durable;
    char text[DISK_NAME_MAX];
};

enum disk_change_kind { CHANGE_INVALID = 0, CHANGE_LINK, CHANGE_RENAME, CHANGE_UNLINK };

/* A change of names that no sync has covered yet. */
struct disk_change {
    struct disk_change *next;
    enum disk_change_kind kind;
    struct disk_file *file;
    struct disk_name *name; /* RENAME: the new one */
    struct disk_name *from;
};

struct disk_fd {
    struct disk_file *file;
    char dir[DISK_NAME_MAX]; /* of an open directory */
    bool used;
    bool is_dir;
};

struct sim_disk {
    uint64_t dice;
    uint64_t random; /* of SQLite's xRandomness: another stream, so that it moves no fault */
    struct disk_file *files;
    struct disk_file *last_file;
    uint32_t file_count; /* ever made */
    struct disk_name *names;
    struct disk_change *changes; /* oldest first */
    uint8_t *free_blocks;        /* each begins with the address of the next */
    void *slabs;
    uint64_t used_bytes;
    uint64_t room_bytes;
    uint64_t die_at;
    bool dead;
    bool keep_versions;
    bool strict_names; /* a sync of a file does not keep its name, only one of its directory */
    uint64_t settled;  /* with keep_versions: a sum of what the last settling chose */
    uint32_t fail_writes;
    uint32_t fail_syncs;
    uint64_t fail_at; /* this operation, counted by stats.ops, fails: once */
    int fail_code;
    const char *fail_sync_of; /* the next sync of the file whose name ends so */
    uint32_t boot;            /* counts kills: what was opened before one is void */
    int64_t now_ms;
    struct sim_disk_stats stats;
    struct disk_fd fds[DISK_FDS];
    struct sl_journal_ops ops;
    sqlite3_vfs vfs;
    struct disk_log *log;
};

void *disk_alloc(size_t size); /* zeroed; aborts */
uint64_t disk_draw(uint64_t *state);
uint8_t *disk_block_get(struct sim_disk *disk);
void disk_block_put(struct sim_disk *disk, uint8_t *block);

/* The n-th changing operation from now on fails with -EIO or -ENOSPC, whatever it is (a sync with
 * EIO only). It alone. 0: none. */
void disk_fail_at(struct sim_disk *disk, uint64_t n, int code);
/* So does the next sync of the file whose name ends so (kept by the caller). */
void disk_fail_sync_of(struct sim_disk *disk, const char *end);

/* ---- contents (disk.c) ---- */
struct disk_sector *disk_sector_at(struct disk_file *file, uint32_t index);
/* Makes the sector clean: its newest content is the durable one. */
void disk_sector_settle(struct sim_disk *disk, struct disk_sector *sector);
/* Content without notice: from `size` on nothing is left. */
void disk_file_cut(struct sim_disk *disk, struct disk_file *file, int64_t size);
void disk_file_drop_if_unused(struct sim_disk *disk, struct disk_file *file);
struct disk_file *disk_file_new(struct sim_disk *disk);

ssize_t disk_read(const struct sim_disk *disk, const struct disk_file *file, void *data,
                  size_t size, int64_t offset);
int disk_write(struct sim_disk *disk, struct disk_file *file, const void *data, size_t size,
               int64_t offset);
int disk_truncate(struct sim_disk *disk, struct disk_file *file, int64_t size);
int disk_sync(struct sim_disk *disk, struct disk_file *file);

/* ---- names (disk_names.c) ---- */
struct disk_name *disk_name_find(const struct sim_disk *disk, const char *text);
struct disk_name *disk_name_get(struct sim_disk *disk, const char *text); /* makes it */
struct disk_file *disk_find(const struct sim_disk *disk, const char *text);
bool disk_is_called(const struct sim_disk *disk, const struct disk_file *file, const char *end);
void disk_name_point(struct sim_disk *disk, struct disk_name *name, struct disk_file *file);
int disk_create_file(struct sim_disk *disk, const char *text, bool directory,
                     struct disk_file **ret_file);
int disk_rename(struct sim_disk *disk, const char *from, const char *to);
int disk_remove(struct sim_disk *disk, const char *text);
int disk_sync_dir(struct sim_disk *disk, const char *dir);
/* Puts the changes that name the file, or the directory that it is in, on the platter. */
void disk_names_keep_file(struct sim_disk *disk, struct disk_file *file);
void disk_change_apply(struct sim_disk *disk, const struct disk_change *change);
void disk_change_free(struct sim_disk *disk, struct disk_change *change);
void disk_names_clear(struct sim_disk *disk);
/* What is in a directory that is not on the platter is gone too. */
void disk_names_forget_lost_dirs(struct sim_disk *disk);
/* The name points to the file and is durable. */
void disk_names_plant(struct sim_disk *disk, struct disk_name *name, struct disk_file *file);
void disk_names_copy(const struct sim_disk *from, struct sim_disk *to);

/* One changing operation begins: 0, or what it fails with. */
enum disk_step_kind { STEP_INVALID = 0, STEP_WRITE, STEP_SYNC, STEP_NAME };
int disk_step(struct sim_disk *disk, enum disk_step_kind kind);
/* Growth by so many bytes: 0 or -ENOSPC. */
int disk_make_room(struct sim_disk *disk, const struct disk_file *file, int64_t size);
void disk_set_size(struct sim_disk *disk, struct disk_file *file, int64_t size);

/* ---- recording (disk_record.c); nothing when it is off ---- */
enum disk_op_kind {
    OP_INVALID = 0,
    OP_WRITE,
    OP_TRUNCATE,
    OP_SYNC,
    OP_SYNC_DIR,
    OP_CREATE,
    OP_MAKE_DIR,
    OP_RENAME,
    OP_REMOVE,
};
void disk_log_data(struct sim_disk *disk, enum disk_op_kind kind, const struct disk_file *file,
                   const void *data, size_t size, int64_t offset);
void disk_log_names(struct sim_disk *disk, enum disk_op_kind kind, const char *name, const char *to,
                    const struct disk_file *made);
void disk_log_free(struct disk_log *log);

void disk_journal_init(struct sim_disk *disk);
/* Forgets the handles of the boot that ends. */
void disk_vfs_forget(struct sim_disk *disk, struct disk_file *file);

#endif
