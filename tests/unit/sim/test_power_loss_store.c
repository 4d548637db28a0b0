/* SPDX-License-Identifier: Apache-2.0
 * What the broker's store has acknowledged survives a power failure, whole and in order: every
 * state that one can leave of a recorded life is opened by the real store, compared row by row, and
 * written on. */
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
#include "tests/sim/disk_record.h"
#include "tests/unit/sim/power_loss.h"
#include "tests/unit/sim/store_life.h"

#define PATH "store.db"
#define TXNS_MAX 200
#define CHECKPOINT_PAGES 30
#define LIVES 3
#define CHECKPOINTS 1 /* complete ones in a life */
/* Of so many images the ledger is checked by the product's own check, a second power failure
 * follows, or one while the first is recovered from. */
#define LEDGER 13
#define AGAIN 7
#define RECOVERY 797

struct history {
    struct sim_disk *disk;
    struct sl_store *store;
    struct life_counters counters[TXNS_MAX]; /* [n]: after transaction n */
    uint64_t digest[TXNS_MAX];               /* [n]: of a store with n transactions */
    size_t durable_since[TXNS_MAX];          /* [n]: operations after which n was acknowledged */
    bool group_end[TXNS_MAX];
    size_t life_since[LIVES]; /* operations before each life */
    uint64_t last;            /* submitted */
    uint64_t durable;
    uint64_t images;
    uint64_t recoveries;
    uint64_t recovery_images;
    char wrong[800];
};

static void on_fatal(void *arg, const char *reason) {
    struct history *h = arg;
    snprintf(h->wrong, sizeof h->wrong, "fatal: %s", reason);
}

static void on_done(void *arg, uint64_t ticket) {
    *(uint64_t *)arg = ticket;
}

static int open_store(struct history *h, const char *vfs, struct sl_store **ret_store,
                      struct sl_error *err) {
    struct sl_store_config config = {.path = PATH,
                                     .fatal = on_fatal,
                                     .fatal_arg = h,
                                     .vfs = vfs,
                                     .threadless = true,
                                     .checkpoint_pages = CHECKPOINT_PAGES};
    return sl_store_open(&config, ret_store, err);
}

/* ---- the life that is recorded ---- */

/* A store to which every transaction is committed alone: what must be there after each. */
static void make_reference(struct history *h, uint64_t txns) {
    struct sim_disk *disk = sim_disk_create(1);
    sim_disk_vfs_register(disk, "reference", false);
    struct sl_store *store = NULL;
    struct sl_reader *reader = NULL;
    assert_int_equal(open_store(h, "reference", &store, NULL), SL_OK);
    assert_int_equal(sl_reader_open(PATH, "reference", &reader, NULL), SL_OK);
    h->digest[0] = life_digest(reader);
    for (uint64_t n = 1; n <= txns; n++) {
        h->counters[n] = h->counters[n - 1];
        assert_int_equal(sl_store_submit(store, life_txn(n, &h->counters[n])), SL_OK);
        assert_true(sl_store_commit(store));
        assert_string_equal(h->wrong, "");
        h->digest[n] = life_digest(reader);
        struct sl_error err = {0};
        if (sl_reader_ledger_check(reader, &err)) {
            fail_msg("transaction %llu: %s", (unsigned long long)n, err.text);
        }
    }
    sl_reader_close(reader);
    sl_store_close(store);
    sim_disk_destroy(disk);
}

static void commit_group(struct history *h, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t n = ++h->last;
        struct life_counters counters = h->counters[n - 1];
        struct sl_txn *txn = life_txn(n, &counters);
        txn->done = on_done;
        txn->arg = &h->durable;
        assert_int_equal(sl_store_submit(h->store, txn), SL_OK);
    }
    assert_true(sl_store_commit(h->store));
    assert_int_equal(h->durable, h->last);
    h->group_end[h->last] = true;
    for (uint64_t i = 0; i < count; i++) {
        h->durable_since[h->last - i] = disk_record_count(h->disk);
    }
}

/* How often the log was begun: it starts with a head of 32 bytes. */
static int count_logs(const struct history *h) {
    int count = 0;
    for (size_t i = 0; i < disk_record_count(h->disk); i++) {
        const struct disk_op *op = disk_record_at(h->disk, i);
        count += op->kind == OP_WRITE && op->offset == 0 && op->size == 32;
    }
    return count;
}

/* Commits until the log is moved into the file. */
static void commit_until_checkpoint(struct history *h) {
    do {
        commit_group(h, 1 + h->last % 3);
    } while (!sl_store_commit(h->store));
}

/* What the reader's transaction does not see stays in the log, which cannot begin anew. */
static void checkpoint_beside_reader(struct history *h, struct sl_reader *reader) {
    commit_group(h, 1);
    assert_int_equal(sqlite3_exec(reader->db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    uint64_t last = life_last(reader);
    assert_int_equal(last, h->last);
    int logs = count_logs(h);
    commit_until_checkpoint(h);
    commit_group(h, 1);
    assert_int_equal(count_logs(h), logs);
    assert_int_equal(life_last(reader), last);
    assert_int_equal(sqlite3_exec(reader->db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
}

/* Three lives: the first ends by a kill, the second nicely. Checkpoints in each: complete ones,
 * after which the log begins anew, and one that a reader keeps from being complete. */
static void record(struct history *h, int checkpoints) {
    memset(h, 0, sizeof *h);
    make_reference(h, TXNS_MAX - 1);
    h->group_end[0] = true;
    h->disk = sim_disk_create(2);
    disk_record(h->disk);
    sim_disk_vfs_register(h->disk, "recorded", false);
    for (int life = 0; life < LIVES; life++) {
        struct sl_error err = {0};
        h->life_since[life] = disk_record_count(h->disk);
        if (open_store(h, "recorded", &h->store, &err)) {
            fail_msg("%s", err.text);
        }
        struct sl_reader *reader = NULL;
        assert_int_equal(sl_reader_open(PATH, "recorded", &reader, NULL), SL_OK);
        int logs = count_logs(h);
        for (int i = 0; i < checkpoints; i++) {
            commit_until_checkpoint(h);
        }
        checkpoint_beside_reader(h, reader);
        assert_true(count_logs(h) >= logs + checkpoints);
        assert_true(life_digest(reader) == h->digest[h->last]);
        sl_reader_close(reader);
        if (life == 0) {
            sim_disk_killed(h->disk);
        }
        sl_store_close(h->store);
    }
    sim_disk_vfs_unregister(h->disk);
}

/* ---- what is left ---- */

static const char *say(struct history *h, const char *what, const char *why) {
    char text[sizeof h->wrong];
    snprintf(text, sizeof text, "%s: %.400s", what, why);
    memcpy(h->wrong, text, sizeof text);
    return h->wrong;
}

/* Compares the open store with what there must be, and writes the next transaction. */
static const char *look(struct history *h, struct sl_store *store, uint64_t at_least, bool ledger,
                        uint64_t *ret_last) {
    struct sl_error err = {0};
    SL_AUTO(sl_reader) reader = NULL;
    if (sl_reader_open(PATH, "image", &reader, &err)) {
        return say(h, "reading", err.text);
    }
    uint64_t last = life_last(reader);
    if (last < at_least || last >= TXNS_MAX || life_digest(reader) != h->digest[last]) {
        snprintf(h->wrong, sizeof h->wrong, "%llu transactions were acknowledged, %llu are there%s",
                 (unsigned long long)at_least, (unsigned long long)last,
                 last < at_least ? "" : ", and not whole");
        return h->wrong;
    }
    uint64_t durable = 0;
    struct life_counters counters = h->counters[last];
    struct sl_txn *txn = life_txn(last + 1, &counters);
    txn->done = on_done;
    txn->arg = &durable;
    if (sl_store_submit(store, txn) || !sl_store_commit(store) || durable != last + 1) {
        return h->wrong[0] ? h->wrong : "it takes no more";
    }
    if (life_digest(reader) != h->digest[last + 1]) {
        return "what was written on is not there, or not whole";
    }
    if (ledger && sl_reader_ledger_check(reader, &err)) {
        return say(h, "ledger", err.text);
    }
    *ret_last = last;
    return NULL;
}

enum ending { END_NICELY, END_BY_KILL, END_BY_POWER };

static const char *live_on(struct history *h, struct sim_disk *disk, uint64_t at_least,
                           enum ending ending, bool ledger, uint64_t *ret_last) {
    struct sl_store *store = NULL;
    struct sl_error err = {0};
    h->wrong[0] = '\0';
    sim_disk_vfs_register(disk, "image", false);
    const char *wrong = NULL;
    if (open_store(h, "image", &store, &err)) {
        wrong = say(h, "opening", err.text);
    } else {
        wrong = look(h, store, at_least, ledger, ret_last);
    }
    if (ending == END_BY_POWER) {
        sim_disk_power_failed(disk, true);
    } else if (ending == END_BY_KILL) {
        sim_disk_killed(disk);
    }
    sl_store_close(store);
    sim_disk_vfs_unregister(disk);
    return wrong;
}

/* ---- a power failure while the next life recovers from the first one ---- */

struct recovery {
    struct history *h;
    uint64_t last; /* that it found */
    size_t durable_since;
};

static const char *check_recovery(void *arg, struct sim_disk *image, size_t prefix) {
    struct recovery *first = arg;
    uint64_t must = first->last + (prefix >= first->durable_since);
    uint64_t last = 0;
    return live_on(first->h, image, must, END_BY_KILL, false, &last);
}

static const char *fail_again(struct history *h, const struct sim_disk *image) {
    struct recovery first = {.h = h};
    struct sim_disk *disk = disk_copy(image);
    disk_record(disk);
    const char *wrong = live_on(h, disk, 0, END_BY_KILL, false, &first.last);
    first.durable_since = disk_record_count(disk);
    if (!wrong) {
        struct power_loss run = {
            .recorded = disk, .base = image, .check = check_recovery, .arg = &first};
        power_loss_run(&run);
        h->recoveries++;
        h->recovery_images += run.images;
        if (run.failures) {
            wrong = say(h, "recovery", run.first_failure);
        }
    }
    sim_disk_destroy(disk);
    return wrong;
}

static const char *check(void *arg, struct sim_disk *image, size_t prefix) {
    struct history *h = arg;
    uint64_t acknowledged = 0;
    while (acknowledged < h->last && h->durable_since[acknowledged + 1] <= prefix) {
        acknowledged++;
    }
    uint64_t nth = h->images++;
    struct sim_disk *before = nth % RECOVERY == RECOVERY - 1 ? disk_copy(image) : NULL;
    bool again = nth % AGAIN == AGAIN - 1;
    uint64_t last = 0;
    const char *wrong = live_on(h, image, acknowledged, again ? END_BY_POWER : END_NICELY,
                                nth % LEDGER == 0, &last);
    if (!wrong && !h->group_end[last]) {
        wrong = "half a group of transactions is there";
    }
    if (!wrong && again) {
        wrong = live_on(h, image, last + 1, END_NICELY, false, &last);
    }
    if (!wrong && before) {
        wrong = fail_again(h, before);
    }
    sim_disk_destroy(before);
    return wrong;
}

static void test_nothing_acknowledged_is_lost(void **state) {
    (void)state;
    static struct history h;
    record(&h, CHECKPOINTS);
    for (int strict = 0; strict <= power_loss_long(); strict++) {
        struct power_loss run = {.recorded = h.disk,
                                 .check = check,
                                 .arg = &h,
                                 .strict_names = strict,
                                 .thorough = power_loss_long()};
        power_loss_run(&run);
        power_loss_print(&run, strict ? "store, strict names" : "store");
        printf("  and while recovering: %llu recoveries, %llu images opened\n",
               (unsigned long long)h.recoveries, (unsigned long long)h.recovery_images);
        if (run.failures) {
            fail_msg("%s", run.first_failure);
        }
        assert_true(run.images > 1000 && run.torn > 100 && h.recoveries > 1);
    }
    sim_disk_destroy(h.disk);
}

/* The test finds what it is there to find: with syncs that do nothing, losses. */
static void test_missing_syncs_are_found(void **state) {
    (void)state;
    static struct history h;
    record(&h, 1);
    static const struct {
        const char *name;
        const char *deaf;
        bool dirs;
        int life; /* The third one makes its log anew: the second took it away. */
    } cases[] = {{"store without the syncs of its log", "-wal", false, 0},
                 {"store without those of the database", ".db", false, 0},
                 {"store without those of the directory", NULL, true, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct power_loss run = {.recorded = h.disk,
                                 .check = check,
                                 .arg = &h,
                                 .strict_names = true,
                                 .deaf = cases[i].deaf,
                                 .deaf_dirs = cases[i].dirs,
                                 .deaf_from = h.durable_since[1],
                                 .from = h.life_since[cases[i].life]};
        power_loss_run(&run);
        power_loss_print(&run, cases[i].name);
        assert_true(run.failures > 0);
    }
    sim_disk_destroy(h.disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_acknowledged_is_lost),
        cmocka_unit_test(test_missing_syncs_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
