/* SPDX-License-Identifier: Apache-2.0
 * A host's disk in memory: a file system of a few files that knows what is durable and what is only
 * cached, fails or dies at a chosen operation, and loses what was not synced when the power goes.
 * The broker's SQLite (as a VFS) and the agent's journal (as its file operations) run on it
 * unchanged.
 *
 * Model. A file is a row of 512-byte sectors, each either on the platter or only cached. A sync of
 * the file puts all of its sectors and its length on the platter. A sync of the directory does so
 * for names (creation, rename, removal); a sync of a file also keeps the file's own name, since
 * journalling file systems do. A power failure keeps of every cached sector the old or the new
 * content, each by a throw of the dice, and with `tear` also half of one; a length the old or the
 * new one, and with `tear` one half-way to where it had grown; of the changes of names as many of
 * the oldest as the dice say. What was cut off comes back whole if the cut is lost. An operation
 * costs time proportional to its own bytes, never to the file's: an hour of simulation syncs tens
 * of thousands of times.
 *
 * Everything is a function of the seed and the calls. Thread: one. Out of memory: abort. */
#ifndef SLUICE_TESTS_SIM_DISK_H
#define SLUICE_TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sl_journal_ops;
struct sim_disk;

#define SIM_DISK_SECTOR 512

struct sim_disk_stats {
    uint64_t ops; /* changing operations: write, sync, truncate, create, rename, remove */
    uint64_t writes, syncs;
    uint64_t lost_sectors;  /* cached sectors that a power failure took back */
    uint64_t torn_sectors;  /* of which only a part was kept */
    uint64_t failed_writes; /* operations that were made to fail, by kind */
    uint64_t failed_syncs, full;
};

struct sim_disk *sim_disk_create(uint64_t seed);
void sim_disk_destroy(struct sim_disk *disk);

/* ---- the two faces ---- */

/* Registers a VFS of this name on the disk (paths are bare names, "store.db"). Its xRandomness is
 * drawn from the disk's seed, its time from `now_ms` below. With make_default, SQLite's own
 * generator can be reseeded by sqlite3_randomness(0, NULL): it asks the default VFS. One process,
 * no locking between processes; WAL works (xShm in memory). 0, or an SQLite code. Connections of
 * a dead process may be closed at any time, but before the disk is destroyed. */
int sim_disk_vfs_register(struct sim_disk *disk, const char *name, bool make_default);
void sim_disk_vfs_unregister(struct sim_disk *disk);
/* Borrowed; valid as long as the disk. */
const struct sl_journal_ops *sim_disk_journal_ops(struct sim_disk *disk);
void sim_disk_set_wall_ms(struct sim_disk *disk, int64_t now_ms);

/* ---- faults ---- */

/* The n-th changing operation from now on (1: the next one) and all that follow fail with an I/O
 * error and change nothing: the host has died in the middle of it, see sim_disk_is_dead. 0: never.
 */
void sim_disk_die_at(struct sim_disk *disk, uint64_t n);
bool sim_disk_is_dead(const struct sim_disk *disk);
/* The next n writes / syncs fail with EIO; the content that a failed sync covered is then half on
 * the platter and no later sync can put the rest there (the kernel has dropped the pages). */
void sim_disk_fail_writes(struct sim_disk *disk, uint32_t n);
void sim_disk_fail_syncs(struct sim_disk *disk, uint32_t n);
/* Bytes that all files together may have; growing beyond fails with ENOSPC. 0: no limit. */
void sim_disk_set_room(struct sim_disk *disk, uint64_t bytes);
uint64_t sim_disk_used(const struct sim_disk *disk);

/* The process died, the machine did not (kill -9): cached content stays; open files are closed,
 * locks released, shared memory of WAL forgotten. Ends is_dead and pending failures. */
void sim_disk_killed(struct sim_disk *disk);
/* The power failed: what was not synced is kept or lost sector by sector, by the dice. Also all
 * that sim_disk_killed does. */
void sim_disk_power_failed(struct sim_disk *disk, bool tear);
/* A copy of the durable files, and putting it back: what a restored old backup is. The snapshot is
 * as after a power failure that lost nothing. */
struct sim_disk_snapshot *sim_disk_snapshot(const struct sim_disk *disk);
void sim_disk_restore(struct sim_disk *disk, const struct sim_disk_snapshot *snapshot);
void sim_disk_snapshot_free(struct sim_disk_snapshot *snapshot);

/* ---- looking ---- */
const struct sim_disk_stats *sim_disk_get_stats(const struct sim_disk *disk);
/* Cached content of a file, malloc'ed; NULL: no such file. */
uint8_t *sim_disk_read_file(const struct sim_disk *disk, const char *name, size_t *ret_size);
/* Replaces or makes a file with durable content (to plant damage). */
void sim_disk_write_file(struct sim_disk *disk, const char *name, const void *data, size_t size);

#endif
