/* SPDX-License-Identifier: Apache-2.0
 * What the simulator found: after a sync that failed, a process that starts again reads what only
 * the system's cache holds, since the kernel calls the pages clean that it could not write. What
 * is gone on from must be on the disk before anything is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/journal/journal.h"
#include "broker/store/store.h"
#include "proto/base/mailbox.h"
#include "tests/sim/disk.h"
#include "tests/unit/sim/store_life.h"

#include <cmocka.h>

static void on_fatal(void *arg, const char *reason) {
    *(bool *)arg = true;
    assert_non_null(strstr(reason, "check the disk"));
}

static struct sl_store *open_store(bool *failed) {
    struct sl_store *store = NULL;
    struct sl_error err;
    const struct sl_store_config config = {.path = "store.db",
                                           .vfs = "cached",
                                           .threadless = true,
                                           .fatal = on_fatal,
                                           .fatal_arg = failed};
    if (sl_store_open(&config, &store, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    return store;
}

static uint64_t last_there(void) {
    SL_AUTO(sl_reader) reader = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open("store.db", "cached", &reader, &err), SL_OK);
    return life_last(reader);
}

static void commit(struct sl_store *store, uint64_t n, struct life_counters *counters) {
    assert_int_equal(sl_store_submit(store, life_txn(n, counters)), SL_OK);
    while (sl_store_commit(store)) {}
}

/* The power fails right after the restart, or after one more transaction. */
static void one_story(uint64_t seed, bool goes_on) {
    struct sim_disk *disk = sim_disk_create(seed);
    struct life_counters counters = {0};
    bool failed = false;
    assert_int_equal(sim_disk_vfs_register(disk, "cached", false), 0);
    struct sl_store *store = open_store(&failed);
    for (uint64_t n = 1; n <= 5; n++) {
        commit(store, n, &counters);
    }
    struct life_counters before = counters;
    sim_disk_fail_syncs(disk, 1);
    commit(store, 6, &counters); /* fails; nobody is told */
    assert_true(failed);
    sim_disk_die_at(disk, 1);
    sl_store_close(store);
    sim_disk_killed(disk);
    store = open_store(&failed);
    uint64_t seen = last_there(); /* what the new process goes on from */
    assert_in_range(seen, 5, 6);
    counters = seen == 6 ? counters : before;
    if (goes_on) {
        commit(store, seen + 1, &counters);
        seen++;
    }
    sim_disk_die_at(disk, 1);
    sl_store_close(store);
    sim_disk_power_failed(disk, false);
    store = open_store(&failed);
    assert_int_equal(last_there(), seen);
    sl_store_close(store);
    sim_disk_destroy(disk);
}

static void a_log_in_the_cache_is_not_gone_on_from(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        one_story(seed, false);
        one_story(seed, true);
    }
}

/* ---- the agent's journal ---- */

static struct sl_journal *open_journal(struct sim_disk *disk, struct sl_mailbox *done) {
    struct sl_journal *journal = NULL;
    struct sl_error err;
    const struct sl_journal_config config = {.dir = "data", .ops = sim_disk_journal_ops(disk)};
    if (sl_journal_open(&config, &journal, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(sl_journal_start(journal, done, false, &err), SL_OK);
    return journal;
}

/* Longer than a sector, so that the next batch does not write this one again. */
static void put(struct sl_journal *journal, uint64_t ticket) {
    uint8_t value[2048];
    memset(value, (int)ticket, sizeof value);
    const struct sl_journal_change change = {.space = SL_JOURNAL_EPOCH,
                                             .key = &ticket,
                                             .key_size = sizeof ticket,
                                             .value = value,
                                             .value_size = sizeof value,
                                             .ticket = ticket,
                                             .urgent = true};
    struct sl_error err;
    assert_int_equal(sl_journal_queue(journal, &change, &err), SL_OK);
    while (sl_journal_commit(journal)) {}
}

static void end(struct sim_disk *disk, struct sl_journal *journal, struct sl_mailbox *done) {
    struct sl_journal_done note;
    sim_disk_die_at(disk, 1);
    sl_journal_close(journal);
    while (sl_mailbox_take(done, &note)) {}
}

static void a_batch_in_the_cache_is_not_gone_on_from(void **state) {
    (void)state;
    struct sl_mailbox *done = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_journal_done), 64, &done, NULL), SL_OK);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct sim_disk *disk = sim_disk_create(seed);
        struct sl_journal_stats stats;
        struct sl_journal *journal = open_journal(disk, done);
        put(journal, 1);
        sim_disk_fail_syncs(disk, 1);
        put(journal, 2); /* fails */
        end(disk, journal, done);
        sim_disk_killed(disk);
        journal = open_journal(disk, done);
        put(journal, 3); /* durable, and told */
        sl_journal_get_stats(journal, &stats);
        end(disk, journal, done);
        sim_disk_power_failed(disk, false);
        journal = open_journal(disk, done); /* or it says that a batch is missing */
        struct sl_journal_stats again;
        put(journal, 4);
        sl_journal_get_stats(journal, &again);
        assert_int_equal(again.live_records, stats.live_records + 1);
        end(disk, journal, done);
        sim_disk_destroy(disk);
    }
    sl_mailbox_destroy(done);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_in_the_cache_is_not_gone_on_from),
        cmocka_unit_test(a_batch_in_the_cache_is_not_gone_on_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
