/* SPDX-License-Identifier: Apache-2.0
 * The disk in memory: each rule of its contract, and the real store and journal living on it
 * through kills and power failures. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/journal/journal.h"
#include "broker/store/store.h"
#include "tests/sim/disk.h"
#include "tests/sim/disk_internal.h"

#define SECTOR SIM_DISK_SECTOR

static int open_file(struct sim_disk *disk, const char *path, int flags) {
    const struct sl_journal_ops *ops = sim_disk_journal_ops(disk);
    return ops->open(ops->context, path, flags, 0600);
}

static void put(struct sim_disk *disk, int fd, int value, size_t size, int64_t offset) {
    const struct sl_journal_ops *ops = sim_disk_journal_ops(disk);
    uint8_t *data = malloc(size);
    memset(data, value, size);
    assert_int_equal(ops->write(ops->context, fd, data, size, offset), size);
    free(data);
}

static void sync_fd(struct sim_disk *disk, int fd) {
    const struct sl_journal_ops *ops = sim_disk_journal_ops(disk);
    assert_int_equal(ops->sync(ops->context, fd), 0);
}

static void sync_dir(struct sim_disk *disk, const char *dir) {
    int fd = open_file(disk, dir, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    sync_fd(disk, fd);
    const struct sl_journal_ops *ops = sim_disk_journal_ops(disk);
    assert_int_equal(ops->close(ops->context, fd), 0);
}

/* The byte at `at` of the file; -1: there is none. */
static int byte_at(struct sim_disk *disk, const char *name, size_t at) {
    size_t size = 0;
    uint8_t *data = sim_disk_read_file(disk, name, &size);
    int value = data && at < size ? data[at] : -1;
    free(data);
    return value;
}

/* ---- what a power failure takes ---- */

static void test_synced_is_kept(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 50; seed++) {
        struct sim_disk *disk = sim_disk_create(seed);
        int fd = open_file(disk, "dir/a", O_RDWR | O_CREAT);
        put(disk, fd, 7, 4 * SECTOR, 0);
        sync_fd(disk, fd);
        sim_disk_power_failed(disk, true);
        for (size_t at = 0; at < 4 * SECTOR; at++) {
            assert_int_equal(byte_at(disk, "dir/a", at), 7);
        }
        assert_int_equal(byte_at(disk, "dir/a", 4 * SECTOR), -1);
        sim_disk_destroy(disk);
    }
}

/* All mixtures of old, new and torn sectors turn up, and nothing else. */
static void test_unsynced_by_sector(void **state) {
    (void)state;
    bool seen[16] = {0};
    bool torn = false;
    for (uint64_t seed = 1; seed < 400; seed++) {
        struct sim_disk *disk = sim_disk_create(seed);
        int fd = open_file(disk, "a", O_RDWR | O_CREAT);
        put(disk, fd, 1, 4 * SECTOR, 0);
        sync_fd(disk, fd);
        put(disk, fd, 2, 4 * SECTOR, 0);
        sim_disk_power_failed(disk, seed > 200);
        unsigned mixture = 0;
        for (size_t i = 0; i < 4; i++) {
            int first = byte_at(disk, "a", i * SECTOR);
            int last = byte_at(disk, "a", i * SECTOR + SECTOR - 1);
            assert_true(first == 1 || first == 2);
            assert_true(last == 1 || last == 2);
            assert_true(first == last || seed > 200);
            torn = torn || first != last;
            mixture |= (unsigned)(first == 2) << i;
        }
        seen[mixture] = true;
        sim_disk_destroy(disk);
    }
    for (int i = 0; i < 16; i++) {
        assert_true(seen[i]);
    }
    assert_true(torn);
}

static void test_lengths(void **state) {
    (void)state;
    bool grown[2] = {0};
    bool cut[2] = {0};
    for (uint64_t seed = 1; seed < 50; seed++) {
        struct sim_disk *disk = sim_disk_create(seed);
        int fd = open_file(disk, "a", O_RDWR | O_CREAT);
        put(disk, fd, 1, 1000, 0);
        sync_fd(disk, fd);
        put(disk, fd, 2, 1000, 1000);
        sim_disk_power_failed(disk, false);
        grown[byte_at(disk, "a", 1999) >= 0] = true;
        assert_int_equal(byte_at(disk, "a", 999), 1);

        fd = open_file(disk, "a", O_RDWR | O_TRUNC);
        assert_int_equal(byte_at(disk, "a", 0), -1);
        sim_disk_power_failed(disk, false);
        int first = byte_at(disk, "a", 0);
        cut[first >= 0] = true;
        assert_true(first == -1 || first == 1 || first == 0);
        sim_disk_destroy(disk);
    }
    assert_true(grown[0] && grown[1] && cut[0] && cut[1]);
}

static void test_names(void **state) {
    (void)state;
    bool created[2] = {0};
    bool renamed[2] = {0};
    for (uint64_t seed = 1; seed < 60; seed++) {
        struct sim_disk *disk = sim_disk_create(seed);
        const struct sl_journal_ops *ops = sim_disk_journal_ops(disk);
        open_file(disk, "d/a", O_RDWR | O_CREAT);
        sim_disk_power_failed(disk, false);
        created[open_file(disk, "d/a", O_RDWR) >= 0] = true;

        int old = open_file(disk, "d/a", O_RDWR | O_CREAT);
        put(disk, old, 1, 10, 0);
        sync_fd(disk, old);
        int fresh = open_file(disk, "d/b", O_RDWR | O_CREAT);
        put(disk, fresh, 2, 10, 0);
        sync_fd(disk, fresh);
        assert_int_equal(ops->rename(ops->context, "d/b", "d/a"), 0);
        assert_int_equal(byte_at(disk, "d/a", 0), 2);
        bool synced = seed % 2;
        if (synced) {
            sync_dir(disk, seed % 4 == 1 ? "d" : "d/c/..");
        }
        sim_disk_power_failed(disk, false);
        /* Either both names as before or the new one alone: a rename is atomic. */
        bool done = byte_at(disk, "d/a", 0) == 2;
        assert_int_equal(byte_at(disk, "d/b", 0), done ? -1 : 2);
        assert_true(done || byte_at(disk, "d/a", 0) == 1);
        assert_true(done || !synced);
        renamed[done] = true;
        sim_disk_destroy(disk);
    }
    assert_true(created[0] && created[1] && renamed[0] && renamed[1]);
}

/* A directory that was made and never synced takes its files along. */
static void test_directories(void **state) {
    (void)state;
    bool lost = false;
    for (uint64_t seed = 1; seed < 40; seed++) {
        struct sim_disk *disk = sim_disk_create(seed);
        const struct sl_journal_ops *ops = sim_disk_journal_ops(disk);
        assert_int_equal(ops->make_dir(ops->context, "x/d", 0700), 0);
        assert_int_equal(ops->make_dir(ops->context, "x/d", 0700), -EEXIST);
        int fd = open_file(disk, "x/d/a", O_RDWR | O_CREAT);
        if (seed % 3 == 0) {
            sync_fd(disk, fd);
        } else if (seed % 3 == 1) {
            sync_dir(disk, "x/d/..");
        }
        sim_disk_power_failed(disk, false);
        size_t size = 0;
        uint8_t *data = sim_disk_read_file(disk, "x/d", &size);
        bool there = data != NULL;
        free(data);
        assert_true(there || seed % 3 == 2);
        assert_true(there || open_file(disk, "x/d/a", O_RDWR) == -ENOENT);
        lost = lost || !there;
        assert_int_equal(ops->make_dir(ops->context, "x/d", 0700), there ? -EEXIST : 0);
        sim_disk_destroy(disk);
    }
    assert_true(lost);
}

static void test_same_seed_same_disk(void **state) {
    (void)state;
    uint8_t *images[2];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        struct sim_disk *disk = sim_disk_create(42);
        int fd = open_file(disk, "a", O_RDWR | O_CREAT);
        for (int k = 0; k < 100; k++) {
            put(disk, fd, k, 300, k * 200);
            if (k == 50) {
                sync_fd(disk, fd);
            }
        }
        sim_disk_power_failed(disk, true);
        images[i] = sim_disk_read_file(disk, "a", &sizes[i]);
        sim_disk_destroy(disk);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(images[0], images[1], sizes[0]);
    free(images[0]);
    free(images[1]);
}

/* ---- kills, death, failures ---- */

static void test_kill_keeps_the_cache(void **state) {
    (void)state;
    struct sim_disk *disk = sim_disk_create(1);
    const struct sl_journal_ops *ops = sim_disk_journal_ops(disk);
    int fd = open_file(disk, "a", O_RDWR | O_CREAT);
    put(disk, fd, 5, 100, 0);
    assert_int_equal(ops->lock(ops->context, fd, 0), 0);
    int other = open_file(disk, "a", O_RDWR);
    assert_int_equal(ops->lock(ops->context, other, 0), -EWOULDBLOCK);
    sim_disk_killed(disk);
    assert_int_equal(byte_at(disk, "a", 99), 5);
    /* Handles of the dead are void and closing them hits nobody. */
    int fresh = open_file(disk, "a", O_RDWR);
    assert_int_equal(ops->lock(ops->context, fresh, 0), 0);
    assert_int_equal(ops->write(ops->context, fd, "x", 1, 0), -EBADF);
    assert_int_equal(ops->close(ops->context, fd), -EBADF);
    put(disk, fresh, 6, 1, 0);
    sim_disk_destroy(disk);
}

static void test_death(void **state) {
    (void)state;
    struct sim_disk *disk = sim_disk_create(1);
    const struct sl_journal_ops *ops = sim_disk_journal_ops(disk);
    int fd = open_file(disk, "a", O_RDWR | O_CREAT);
    sim_disk_die_at(disk, 3);
    put(disk, fd, 1, 10, 0);
    sync_fd(disk, fd);
    assert_false(sim_disk_is_dead(disk));
    assert_int_equal(ops->write(ops->context, fd, "x", 1, 0), -EIO);
    assert_true(sim_disk_is_dead(disk));
    char data[1];
    assert_int_equal(ops->read(ops->context, fd, data, 1, 0), -EIO);
    assert_int_equal(ops->sync(ops->context, fd), -EIO);
    assert_int_equal(open_file(disk, "b", O_RDWR | O_CREAT), -EIO);
    assert_int_equal(ops->rename(ops->context, "a", "b"), -EIO);
    assert_int_equal(byte_at(disk, "a", 0), 1);
    sim_disk_killed(disk);
    assert_false(sim_disk_is_dead(disk));
    assert_true(open_file(disk, "b", O_RDWR | O_CREAT) >= 0);
    sim_disk_destroy(disk);
}

static void test_failed_sync_drops(void **state) {
    (void)state;
    bool lost = false;
    bool kept = false;
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct sim_disk *disk = sim_disk_create(seed);
        const struct sl_journal_ops *ops = sim_disk_journal_ops(disk);
        int fd = open_file(disk, "a", O_RDWR | O_CREAT);
        put(disk, fd, 1, 8 * SECTOR, 0);
        sync_fd(disk, fd);
        put(disk, fd, 2, 8 * SECTOR, 0);
        sim_disk_fail_syncs(disk, 1);
        assert_int_equal(ops->sync(ops->context, fd), -EIO);
        assert_int_equal(byte_at(disk, "a", 0), 2); /* the cache still has it */
        sync_fd(disk, fd);                          /* says yes, and lies */
        put(disk, fd, 3, SECTOR, 7 * SECTOR);       /* written again: this one is good */
        sync_fd(disk, fd);
        sim_disk_power_failed(disk, false);
        for (size_t i = 0; i < 7; i++) {
            lost = lost || byte_at(disk, "a", i * SECTOR) == 1;
            kept = kept || byte_at(disk, "a", i * SECTOR) == 2;
        }
        assert_int_equal(byte_at(disk, "a", 7 * SECTOR), 3);
        assert_int_equal(sim_disk_get_stats(disk)->failed_syncs, 1);
        sim_disk_destroy(disk);
    }
    assert_true(lost && kept);
}

static void test_failed_write_and_full(void **state) {
    (void)state;
    struct sim_disk *disk = sim_disk_create(1);
    const struct sl_journal_ops *ops = sim_disk_journal_ops(disk);
    int fd = open_file(disk, "a", O_RDWR | O_CREAT);
    put(disk, fd, 1, 1000, 0);
    sim_disk_fail_writes(disk, 1);
    assert_int_equal(ops->write(ops->context, fd, "x", 1, 0), -EIO);
    assert_int_equal(byte_at(disk, "a", 0), 1);
    put(disk, fd, 2, 1, 0);
    sim_disk_set_room(disk, 1500);
    int other = open_file(disk, "b", O_RDWR | O_CREAT);
    put(disk, other, 3, 500, 0);
    assert_int_equal(ops->write(ops->context, other, "x", 1, 500), -ENOSPC);
    put(disk, fd, 4, 1000, 0); /* what is there may be overwritten */
    assert_int_equal(sim_disk_used(disk), 1500);
    assert_int_equal(ops->rename(ops->context, "b", "a"), 0);
    assert_int_equal(ops->close(ops->context, fd), 0);
    assert_int_equal(sim_disk_used(disk), 500); /* the old "a" is gone with its last user */
    put(disk, other, 5, 1000, 500);
    assert_int_equal(sim_disk_get_stats(disk)->full, 1);
    sim_disk_set_room(disk, 0);
    put(disk, other, 5, 100000, 500);
    sim_disk_destroy(disk);
}

static void test_snapshot(void **state) {
    (void)state;
    struct sim_disk *disk = sim_disk_create(1);
    int fd = open_file(disk, "a", O_RDWR | O_CREAT);
    put(disk, fd, 1, 1000, 0);
    struct sim_disk_snapshot *snapshot = sim_disk_snapshot(disk);
    put(disk, fd, 2, 3000, 0);
    open_file(disk, "b", O_RDWR | O_CREAT);
    sim_disk_restore(disk, snapshot);
    sim_disk_power_failed(disk, true);
    assert_int_equal(byte_at(disk, "a", 999), 1);
    assert_int_equal(byte_at(disk, "a", 1000), -1);
    assert_int_equal(open_file(disk, "b", O_RDWR), -ENOENT);
    assert_int_equal(sim_disk_used(disk), 1000);
    sim_disk_write_file(disk, "a", "damage", 6);
    sim_disk_power_failed(disk, true);
    assert_int_equal(byte_at(disk, "a", 5), 'e');
    assert_int_equal(byte_at(disk, "a", 6), -1);
    sim_disk_snapshot_free(snapshot);
    sim_disk_destroy(disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synced_is_kept),
        cmocka_unit_test(test_unsynced_by_sector),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_same_seed_same_disk),
        cmocka_unit_test(test_kill_keeps_the_cache),
        cmocka_unit_test(test_death),
        cmocka_unit_test(test_failed_sync_drops),
        cmocka_unit_test(test_failed_write_and_full),
        cmocka_unit_test(test_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
