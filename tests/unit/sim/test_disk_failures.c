/* SPDX-License-Identifier: Apache-2.0
 * A disk that refuses a write, a sync or more room: store and journal say so once, with what to do,
 * acknowledge nothing afterwards, write nothing more, and what they had acknowledged is there after
 * a power failure. A failed sync drops what it covered, as the kernel does: trying again would lie.
 */
#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/store/store_internal.h"
#include "tests/sim/disk_internal.h"
#include "tests/unit/agent/journal/helpers.h"
#include "tests/unit/sim/store_life.h"

#define PATH "store.db"
#define CHECKPOINT_PAGES 60
#define SEEDS 4 /* of the power failure */

/* ---- the store ---- */

struct broker {
    struct sim_disk *disk;
    struct sl_store *store;
    struct life_counters counters;
    uint64_t last; /* submitted */
    uint64_t durable;
    int fatals;
    char reason[SL_ERROR_TEXT_MAX];
};

static void on_done(void *arg, uint64_t ticket) {
    struct broker *b = arg;
    assert_int_equal(b->fatals, 0);
    b->durable = ticket;
}

static void on_fatal(void *arg, const char *reason) {
    struct broker *b = arg;
    b->fatals++;
    snprintf(b->reason, sizeof b->reason, "%s", reason);
}

static int broker_open(struct broker *b, struct sl_error *err) {
    struct sl_store_config config = {.path = PATH,
                                     .fatal = on_fatal,
                                     .fatal_arg = b,
                                     .vfs = "failing",
                                     .threadless = true,
                                     .checkpoint_pages = CHECKPOINT_PAGES};
    return sl_store_open(&config, &b->store, err);
}

static void broker_create(struct broker *b, uint64_t seed) {
    *b = (struct broker){.disk = sim_disk_create(seed)};
    assert_int_equal(sim_disk_vfs_register(b->disk, "failing", false), SQLITE_OK);
}

static int submit(struct broker *b, struct sl_txn *txn) {
    txn->done = on_done;
    txn->arg = b;
    return sl_store_submit(b->store, txn);
}

static int submit_next(struct broker *b) {
    b->last++;
    return submit(b, life_txn(b->last, &b->counters));
}

static void commit_some(struct broker *b, int count) {
    for (int i = 0; i < count; i++) {
        assert_int_equal(submit_next(b), SL_OK);
        assert_true(sl_store_commit(b->store));
    }
    assert_int_equal(b->durable, b->last);
}

/* It has said why and what to do, and does nothing more, not even when it is closed. */
static void assert_stopped(struct broker *b, const char *what_to_do) {
    assert_int_equal(b->fatals, 1);
    if (!strstr(b->reason, what_to_do)) {
        fail_msg("'%s' does not say '%s'", b->reason, what_to_do);
    }
    uint64_t ops = b->disk->stats.ops;
    uint64_t durable = b->durable;
    struct life_counters spare = b->counters;
    assert_int_equal(submit(b, life_txn(b->last + 1, &spare)), -SL_CLOSED);
    (void)sl_store_commit(b->store);
    sl_store_close(b->store);
    b->store = NULL;
    assert_int_equal(b->fatals, 1);
    assert_int_equal(b->durable, durable);
    assert_int_equal(b->disk->stats.ops, ops);
}

/* After a power failure all that was acknowledged is there, whole, and writing goes on. */
static void assert_kept(struct broker *b) {
    sim_disk_set_room(b->disk, 0);
    sim_disk_power_failed(b->disk, true);
    struct sl_error err = {0};
    if (broker_open(b, &err)) {
        fail_msg("%s (after: %s)", err.text, b->reason);
    }
    SL_AUTO(sl_reader) reader = NULL;
    assert_int_equal(sl_reader_open(PATH, "failing", &reader, &err), SL_OK);
    uint64_t last = life_last(reader);
    if (last < b->durable || last > b->last) {
        fail_msg("%llu were acknowledged, %llu are there (after: %s)",
                 (unsigned long long)b->durable, (unsigned long long)last, b->reason);
    }
    if (sl_reader_ledger_check(reader, &err)) {
        fail_msg("%s (after: %s)", err.text, b->reason);
    }
    /* The counters of a transaction that was not kept are those of the one before. */
    b->counters = (struct life_counters){0};
    b->fatals = 0;
    for (b->last = 0; b->last < last; b->last++) {
        sl_txn_destroy(life_txn(b->last + 1, &b->counters));
    }
    commit_some(b, 3);
    sl_store_close(b->store);
    b->store = NULL;
}

static void broker_destroy(struct broker *b) {
    sl_store_close(b->store);
    sim_disk_destroy(b->disk);
}

enum fault { FAULT_WRITE, FAULT_SYNC, FAULT_FULL, FAULTS };

static const char *const store_says[FAULTS] = {"check the disk", "check the disk", "make room"};

static void inject(struct sim_disk *disk, enum fault fault) {
    if (fault == FAULT_WRITE) {
        sim_disk_fail_writes(disk, 1);
    } else if (fault == FAULT_SYNC) {
        sim_disk_fail_syncs(disk, 1);
    } else {
        sim_disk_set_room(disk, sim_disk_used(disk));
    }
}

static void a_failed_commit_stops_the_store(void **state) {
    (void)state;
    for (int fault = 0; fault < FAULTS; fault++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct broker b;
            broker_create(&b, seed);
            assert_int_equal(broker_open(&b, NULL), SL_OK);
            commit_some(&b, 12);
            assert_int_equal(submit_next(&b), SL_OK);
            inject(b.disk, (enum fault)fault);
            (void)sl_store_commit(b.store);
            assert_int_equal(b.durable, 12);
            assert_stopped(&b, store_says[fault]);
            assert_kept(&b);
            broker_destroy(&b);
        }
    }
}

/* Each operation of a life fails once, in each way. */
static void a_failure_anywhere_loses_nothing(void **state) {
    (void)state;
    int stopped = 0;
    int refused = 0;
    for (int full = 0; full < 2; full++) {
        bool reached = true;
        for (uint64_t n = 1; reached; n++) {
            struct broker b;
            broker_create(&b, n);
            disk_fail_at(b.disk, n, full ? ENOSPC : EIO);
            struct sl_error err = {0};
            if (broker_open(&b, &err)) {
                assert_true(err.text[0] != '\0');
                refused++;
            } else {
                for (int i = 0; i < 12 && submit_next(&b) == SL_OK; i++) {
                    (void)sl_store_commit(b.store);
                }
                stopped += b.fatals;
                sl_store_close(b.store);
                b.store = NULL;
            }
            reached = b.disk->stats.ops >= n;
            assert_kept(&b);
            broker_destroy(&b);
        }
    }
    print_message("store: %d failures at the start, %d while running\n", refused, stopped);
    assert_true(refused > 10 && stopped >= 2 * 2 * 12); /* a commit: one write, one sync */
}

/* A row of so many pages, and the number in "last". */
static void commit_large(struct broker *b, uint32_t pages) {
    struct sl_txn *txn = life_txn(++b->last, &b->counters);
    struct sl_op op = {.kind = SL_OP_RESULT};
    snprintf(op.result.batch, sizeof op.result.batch, "large_%u", (unsigned)b->last);
    op.result.status = SL_LINE_FAILED; /* costs nothing */
    op.result.vector_count = pages;
    op.result.dim = 1024;
    op.result.vectors = calloc(pages, 4096);
    assert_int_equal(sl_txn_add(txn, &op, NULL), 0);
    assert_int_equal(submit(b, txn), SL_OK);
    assert_true(sl_store_commit(b->store));
    assert_int_equal(b->durable, b->last);
}

static void a_failed_checkpoint_stops_the_store(void **state) {
    (void)state;
    for (int fault = 0; fault <= FAULTS; fault++) {
        struct broker b;
        broker_create(&b, (uint64_t)fault + 1);
        assert_int_equal(broker_open(&b, NULL), SL_OK);
        commit_some(&b, 2);
        commit_large(&b, 60);
        if (fault == FAULTS) { /* the database's own sync: the log's comes before it */
            disk_fail_sync_of(b.disk, ".db");
        } else {
            inject(b.disk, (enum fault)fault);
        }
        assert_true(sl_store_commit(b.store));
        assert_stopped(&b, fault == FAULTS ? "check the disk" : store_says[fault]);
        assert_kept(&b);
        broker_destroy(&b);
    }
}

/* A checkpoint that a reader keeps from being complete writes to the database without a sync. When
 * the next one's sync fails, those pages are lost; a third one would not write them again, and then
 * throw the log away. */
static void a_failed_sync_is_not_tried_again(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct broker b;
        broker_create(&b, seed);
        assert_int_equal(broker_open(&b, NULL), SL_OK);
        commit_some(&b, 2);
        commit_large(&b, 30);
        SL_AUTO(sl_reader) reader = NULL;
        assert_int_equal(sl_reader_open(PATH, "failing", &reader, NULL), SL_OK);
        assert_int_equal(sqlite3_exec(reader->db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(life_last(reader), b.last);
        commit_large(&b, 30);
        uint64_t writes = b.disk->stats.writes;
        assert_true(sl_store_commit(b.store));
        assert_true(b.disk->stats.writes > writes + 20); /* what the reader has seen */
        assert_int_equal(sqlite3_exec(reader->db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        sl_reader_close(sl_take(&reader));
        commit_some(&b, 1);
        disk_fail_sync_of(b.disk, ".db");
        (void)sl_store_commit(b.store);
        for (int i = 0; i < 3 && submit_next(&b) == SL_OK; i++) {
            (void)sl_store_commit(b.store);
            (void)sl_store_commit(b.store);
        }
        assert_int_equal(b.fatals, 1);
        sl_store_close(b.store);
        b.store = NULL;
        assert_kept(&b);
        broker_destroy(&b);
    }
}

/* ---- the journal ---- */

struct agent {
    struct sim_disk *disk;
    struct sl_journal *journal;
    struct sl_mailbox *done;
    struct map map;     /* queued */
    struct map durable; /* acknowledged */
    int ticket;
    int failures;
    char reason[SL_ERROR_TEXT_MAX];
};

static int agent_open(struct agent *a, struct map *ret_map, struct sl_error *err) {
    struct sl_journal_config config = {.dir = "var/agent",
                                       .ops = sim_disk_journal_ops(a->disk),
                                       .compact_bytes = 5000,
                                       .grow_bytes = 2000};
    memset(ret_map, 0, sizeof *ret_map);
    int rc = sl_journal_open(&config, &a->journal, err);
    rc = rc ? rc : sl_journal_replay(a->journal, map_visit, ret_map, err);
    return rc ? rc : sl_journal_start(a->journal, a->done, false, err);
}

static void agent_create(struct agent *a, uint64_t seed) {
    memset(a, 0, sizeof *a);
    a->disk = sim_disk_create(seed);
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_journal_done), 64, &a->done, NULL), SL_OK);
}

static void agent_destroy(struct agent *a) {
    sl_journal_close(a->journal);
    sl_mailbox_destroy(a->done);
    sim_disk_destroy(a->disk);
}

static int put(struct agent *a) {
    a->ticket++;
    return map_queue(a->journal, &a->map, a->ticket * 7 % 20, a->ticket,
                     (size_t)(a->ticket * 131 % 900), (uint64_t)a->ticket, true);
}

static void commit(struct agent *a) {
    (void)sl_journal_commit(a->journal);
    struct sl_journal_done message;
    while (sl_mailbox_take(a->done, &message)) {
        assert_int_equal(a->failures, 0);
        if (message.status == SL_OK) {
            a->durable = a->map;
        } else {
            a->failures++;
            snprintf(a->reason, sizeof a->reason, "%s", message.text);
        }
    }
}

static void assert_journal_kept(struct agent *a) {
    sl_journal_close(sl_take(&a->journal));
    sim_disk_set_room(a->disk, 0);
    sim_disk_power_failed(a->disk, true);
    struct map found;
    struct sl_error err = {0};
    if (agent_open(a, &found, &err)) {
        fail_msg("%s (after: %s)", err.text, a->reason);
    }
    if (memcmp(&found, &a->durable, sizeof found) != 0 &&
        memcmp(&found, &a->map, sizeof found) != 0) {
        fail_msg("something that was acknowledged is not there (after: %s)", a->reason);
    }
    a->map = found;
    a->failures = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(put(a), SL_OK);
        commit(a);
    }
    assert_int_equal(a->failures, 0);
    assert_memory_equal(&a->durable, &a->map, sizeof a->map);
}

static void a_failed_commit_stops_the_journal(void **state) {
    (void)state;
    static const char *const says[FAULTS] = {"check the disk", "check the disk", "free some space"};
    for (int fault = 0; fault < FAULTS; fault++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct agent a;
            struct map found;
            agent_create(&a, seed);
            assert_int_equal(agent_open(&a, &found, NULL), SL_OK);
            for (int i = 0; i < 8; i++) {
                assert_int_equal(put(&a), SL_OK);
                commit(&a);
            }
            inject(a.disk, (enum fault)fault);
            /* Room is asked for only where the zeros ahead end. */
            for (int i = 0; i < 10 && a.failures == 0; i++) {
                assert_int_equal(put(&a), SL_OK);
                commit(&a);
            }
            assert_int_equal(a.failures, 1);
            if (!strstr(a.reason, says[fault])) {
                fail_msg("'%s' does not say '%s'", a.reason, says[fault]);
            }
            struct map spare = a.map;
            uint64_t ops = a.disk->stats.ops;
            assert_int_equal(map_queue(a.journal, &spare, 3, 99, 10, 99, true), -SL_CLOSED);
            commit(&a);
            sl_journal_close(sl_take(&a.journal));
            assert_int_equal(a.failures, 1);
            assert_int_equal(a.disk->stats.ops, ops);
            assert_journal_kept(&a);
            agent_destroy(&a);
        }
    }
}

static void a_failure_anywhere_loses_no_record(void **state) {
    (void)state;
    int stopped = 0;
    int refused = 0;
    for (int full = 0; full < 2; full++) {
        bool reached = true;
        for (uint64_t n = 1; reached; n++) {
            struct agent a;
            struct map found;
            struct sl_error err = {0};
            agent_create(&a, n);
            disk_fail_at(a.disk, n, full ? ENOSPC : EIO);
            if (agent_open(&a, &found, &err)) {
                assert_true(err.text[0] != '\0');
                refused++;
            } else {
                for (int i = 0; i < 60 && put(&a) == SL_OK; i++) {
                    commit(&a);
                }
                stopped += a.failures;
            }
            reached = a.disk->stats.ops >= n;
            assert_journal_kept(&a);
            agent_destroy(&a);
        }
    }
    print_message("journal: %d failures at the start, %d while running\n", refused, stopped);
    assert_true(refused > 5 && stopped > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_commit_stops_the_store),
        cmocka_unit_test(a_failure_anywhere_loses_nothing),
        cmocka_unit_test(a_failed_checkpoint_stops_the_store),
        cmocka_unit_test(a_failed_sync_is_not_tried_again),
        cmocka_unit_test(a_failed_commit_stops_the_journal),
        cmocka_unit_test(a_failure_anywhere_loses_no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
