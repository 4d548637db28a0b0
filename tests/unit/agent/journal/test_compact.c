/* SPDX-License-Identifier: Apache-2.0
 * The power fails at every single operation of a run with many compactions; what was promised is
 * always there afterwards, and nothing else than what was committed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/unit/agent/journal/fake_disk.h"
#include "tests/unit/agent/journal/helpers.h"

#define ROUNDS 40

struct run {
    struct map queued[ROUNDS + 1]; /* [n]: the state after round n */
    int reached;                   /* last round that was queued */
    int durable;                   /* highest round that was promised */
    uint64_t compactions;
    bool failed;
};

static void play(struct disk *disk, const struct sl_journal_ops *ops, struct run *run) {
    struct sl_journal_config config = {
        .dir = "d", .ops = ops, .grow_bytes = 2048, .compact_bytes = 3000};
    memset(run, 0, sizeof *run);
    struct sl_error err;
    struct sl_journal *journal = NULL;
    if (sl_journal_open(&config, &journal, &err) != SL_OK) {
        run->failed = true;
        return;
    }
    struct sl_mailbox *done = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_journal_done), 16, &done, NULL), 0);
    assert_int_equal(sl_journal_start(journal, done, false, NULL), 0);
    struct map map = {0};
    for (int round = 1; round <= ROUNDS && !run->failed; round++) {
        int key = round % 5;
        int rc =
            map_queue(journal, &map, key, round, (size_t)(round * 97 % 600), (uint64_t)round, true);
        if (round % 3 == 0) {
            rc = rc ? rc : map_queue(journal, &map, (round + 1) % 5, 0, 0, (uint64_t)round, true);
        }
        run->queued[round] = map;
        run->reached = round;
        sl_journal_commit(journal);
        struct sl_journal_done item;
        while (sl_mailbox_take(done, &item)) {
            if (item.status == SL_OK) {
                run->durable = (int)item.ticket;
            } else {
                run->failed = true;
                assert_true(item.text[0] != '\0');
            }
        }
        assert_true(rc == SL_OK || run->failed);
    }
    struct sl_journal_stats stats;
    sl_journal_get_stats(journal, &stats);
    run->compactions = stats.compactions;
    if (run->failed) {
        /* Final: nothing is taken any more, so nothing can be promised wrongly. */
        assert_int_equal(map_queue(journal, NULL, 1, 1, 1, 99, true), -SL_CLOSED);
    }
    sl_journal_close(journal);
    sl_mailbox_destroy(done);
    (void)disk;
}

static void check(struct disk *disk, const struct sl_journal_ops *ops, const struct run *run) {
    struct sl_journal_config config = {.dir = "d", .ops = ops, .grow_bytes = 2048};
    struct sl_error err = {0};
    struct sl_journal *journal = NULL;
    if (sl_journal_open(&config, &journal, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    struct map map = {0};
    assert_int_equal(sl_journal_replay(journal, map_visit, &map, &err), 0);
    sl_journal_close(journal);
    int shown = -1;
    for (int round = 0; round <= run->reached; round++) {
        if (memcmp(&map, &run->queued[round], sizeof map) == 0) {
            shown = round > shown ? round : shown;
        }
    }
    assert_true(shown >= run->durable);
    assert_true(shown <= run->durable + 1);
    (void)disk;
}

static void power_failure_at_every_operation(void **state) {
    (void)state;
    struct disk disk = {0};
    struct sl_journal_ops ops = disk_ops(&disk);
    static struct run run;
    play(&disk, &ops, &run);
    assert_false(run.failed);
    assert_true(run.compactions >= 3);
    int operations = disk.ops;
    disk_free(&disk);
    for (int at = 1; at <= operations; at++) {
        for (uint64_t seed = 0; seed < 8; seed++) {
            disk.seed = seed * 1000003 + (uint64_t)at;
            disk.crash_at = at;
            play(&disk, &ops, &run);
            disk_crash(&disk);
            check(&disk, &ops, &run);
            disk_free(&disk);
        }
    }
}

static void one_failing_operation(void **state) {
    (void)state;
    struct disk disk = {0};
    struct sl_journal_ops ops = disk_ops(&disk);
    static struct run run;
    play(&disk, &ops, &run);
    int operations = disk.ops;
    disk_free(&disk);
    int went_on = 0;
    for (int at = 1; at <= operations; at++) {
        disk.fail_at = at;
        disk.fail_code = at % 2 ? EIO : ENOSPC;
        play(&disk, &ops, &run);
        went_on += !run.failed;
        disk.locked = false;
        check(&disk, &ops, &run);
        disk_free(&disk);
    }
    /* A compaction that cannot write its new file leaves the old one in use. */
    assert_true(went_on > 0 && went_on < operations);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_failure_at_every_operation),
        cmocka_unit_test(one_failing_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
