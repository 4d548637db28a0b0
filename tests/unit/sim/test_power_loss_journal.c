/* SPDX-License-Identifier: Apache-2.0
 * What the agent's journal has acknowledged survives a power failure: every state that one can
 * leave of a recorded life is opened by the real journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/disk_record.h"
#include "tests/unit/agent/journal/helpers.h"
#include "tests/unit/sim/power_loss.h"

#define DIR "var/agent"
#define BATCHES_MAX 400
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BATCHES 14 /* a life */
#else
#define BATCHES 25
#endif
/* Of so many images the recovery is recorded too; more often where an incomplete batch is cut. */
#define RECOVERY_OF_CUT 31
#define RECOVERY 257

struct history {
    struct sim_disk *disk;
    struct map after[BATCHES_MAX];     /* [n]: what batch n left */
    size_t durable_since[BATCHES_MAX]; /* operations after which it was acknowledged */
    int batches;
    struct map map;
    uint64_t ticket;
    uint64_t compactions;
    uint64_t images;
    uint64_t cuts;
    uint64_t recoveries;
    uint64_t recovery_images;
    char wrong[600];
};

static struct sl_journal *open_journal(struct sim_disk *disk, struct sl_mailbox *done,
                                       struct map *ret_map, struct sl_error *err) {
    struct sl_journal_config config = {
        .dir = DIR, .ops = sim_disk_journal_ops(disk), .compact_bytes = 6000, .grow_bytes = 3000};
    SL_AUTO(sl_journal) journal = NULL;
    memset(ret_map, 0, sizeof *ret_map);
    int rc = sl_journal_open(&config, &journal, err);
    rc = rc ? rc : sl_journal_replay(journal, map_visit, ret_map, err);
    rc = rc ? rc : sl_journal_start(journal, done, false, err);
    return rc ? NULL : sl_take(&journal);
}

/* Commits what is queued; true when it was acknowledged. */
static bool commit(struct sl_journal *journal, struct sl_mailbox *done) {
    struct sl_journal_done message;
    sl_journal_commit(journal);
    return sl_mailbox_take(done, &message) && message.status == SL_OK;
}

static void live(struct history *h, struct sl_journal *journal, struct sl_mailbox *done,
                 int batches) {
    for (int i = 0; i < batches; i++) {
        int n = h->batches;
        int records = n % 7 == 6 ? 9 : 1 + n % 3;
        for (int k = 0; k < records; k++) {
            int key = (n * 5 + k * 3) % 23;
            bool put = h->map.generation[key] == 0 || (n + k) % 4 != 0;
            size_t size = n % 7 == 3 ? 1400 : n % 7 == 5 ? 500 : (size_t)(n * 13 % 90);
            assert_int_equal(
                map_queue(journal, &h->map, key, put ? n + 1 : 0, size, ++h->ticket, true), SL_OK);
        }
        assert_true(commit(journal, done));
        assert_true(++h->batches < BATCHES_MAX);
        h->after[h->batches] = h->map;
        h->durable_since[h->batches] = disk_record_count(h->disk);
    }
    struct sl_journal_stats stats;
    sl_journal_get_stats(journal, &stats);
    h->compactions += stats.compactions;
}

/* Four lives, two of them ended by a kill. */
static void record(struct history *h, int batches) {
    memset(h, 0, sizeof *h);
    h->disk = sim_disk_create(4);
    disk_record(h->disk);
    struct sl_mailbox *done = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_journal_done), 64, &done, NULL), SL_OK);
    for (int i = 0; i < 4; i++) {
        struct map found;
        struct sl_error err = {0};
        struct sl_journal *journal = open_journal(h->disk, done, &found, &err);
        if (!journal) {
            fail_msg("%s", err.text);
        }
        assert_memory_equal(&found, &h->map, sizeof found);
        live(h, journal, done, batches);
        if (i % 2 == 1) {
            sim_disk_killed(h->disk);
        }
        sl_journal_close(journal);
    }
    sl_mailbox_destroy(done);
}

static int state_of(const struct history *h, const struct map *map) {
    for (int n = h->batches; n >= 0; n--) {
        if (memcmp(map, &h->after[n], sizeof *map) == 0) {
            return n;
        }
    }
    return -1;
}

struct life {
    struct map found;
    struct map next; /* with one more batch */
};

/* Opens, looks, writes one batch on. NULL, or what is wrong. */
static const char *live_on(struct history *h, struct sim_disk *disk, struct life *ret_life,
                           size_t *ret_durable_since) {
    struct sl_mailbox *done = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_journal_done), 4, &done, NULL), SL_OK);
    const char *wrong = NULL;
    struct sl_error err = {0};
    struct sl_journal *journal = open_journal(disk, done, &ret_life->found, &err);
    if (!journal) {
        snprintf(h->wrong, sizeof h->wrong, "%s", err.text);
        wrong = h->wrong;
    } else {
        struct sl_journal_stats stats;
        sl_journal_get_stats(journal, &stats);
        h->cuts += stats.cut_bytes > 0;
        struct map *next = &ret_life->next;
        *next = ret_life->found;
        int generation = next->generation[40] + 1;
        if (map_queue(journal, next, 40, generation, 700, 1, true) || !commit(journal, done)) {
            wrong = "it takes no more";
        }
        if (ret_durable_since) {
            *ret_durable_since = disk_record_count(disk);
        }
    }
    sim_disk_killed(disk);
    sl_journal_close(journal);
    sl_mailbox_destroy(done);
    return wrong;
}

static bool same_map(const struct map *a, const struct map *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

/* ---- a power failure while the next life recovers from the first one ---- */

struct recovery {
    struct history *h;
    struct life life;
    size_t durable_since;
};

static const char *check_recovery(void *arg, struct sim_disk *image, size_t prefix) {
    struct recovery *first = arg;
    struct life life;
    const char *wrong = live_on(first->h, image, &life, NULL);
    bool old = same_map(&life.found, &first->life.found);
    bool new = same_map(&life.found, &first->life.next);
    if (!wrong && !new && (!old || prefix >= first->durable_since)) {
        wrong = "the failure during a recovery lost something";
    }
    return wrong;
}

static const char *fail_again(struct history *h, const struct sim_disk *image) {
    struct recovery first = {.h = h};
    struct sim_disk *disk = disk_copy(image);
    disk_record(disk);
    const char *wrong = live_on(h, disk, &first.life, &first.durable_since);
    if (!wrong) {
        struct power_loss run = {.recorded = disk,
                                 .base = image,
                                 .check = check_recovery,
                                 .arg = &first,
                                 .strict_names = image->strict_names};
        power_loss_run(&run);
        h->recoveries++;
        h->recovery_images += run.images;
        if (run.failures) {
            snprintf(h->wrong, sizeof h->wrong, "recovery, %s", run.first_failure);
            wrong = h->wrong;
        }
    }
    sim_disk_destroy(disk);
    return wrong;
}

static const char *check(void *arg, struct sim_disk *image, size_t prefix) {
    struct history *h = arg;
    int acknowledged = 0;
    while (acknowledged < h->batches && h->durable_since[acknowledged + 1] <= prefix) {
        acknowledged++;
    }
    uint64_t cuts = h->cuts;
    struct sim_disk *before = disk_copy(image);
    struct life life;
    const char *wrong = live_on(h, image, &life, NULL);
    int state = wrong ? 0 : state_of(h, &life.found);
    if (!wrong && state < acknowledged) {
        snprintf(h->wrong, sizeof h->wrong,
                 "%d batches were acknowledged, %d are there (-1: a state that never was)",
                 acknowledged, state);
        wrong = h->wrong;
    }
    if (!wrong && (h->images % (h->cuts > cuts ? RECOVERY_OF_CUT : RECOVERY) == 0)) {
        wrong = fail_again(h, before);
    }
    h->images++;
    sim_disk_destroy(before);
    return wrong;
}

static void test_nothing_acknowledged_is_lost(void **state) {
    (void)state;
    static struct history h;
    record(&h, power_loss_long() ? 60 : BATCHES);
    assert_true(h.compactions >= 2);
    for (int strict = 0; strict < 2; strict++) {
        struct power_loss run = {.recorded = h.disk,
                                 .check = check,
                                 .arg = &h,
                                 .strict_names = strict,
                                 .thorough = power_loss_long()};
        power_loss_run(&run);
        power_loss_print(&run, strict ? "journal, strict names" : "journal");
        printf("  and while recovering: %llu recoveries, %llu images opened\n",
               (unsigned long long)h.recoveries, (unsigned long long)h.recovery_images);
        if (run.failures) {
            fail_msg("%s", run.first_failure);
        }
        assert_true(run.images > 1000 && run.torn > 100 && h.cuts > 100 && h.recoveries > 10);
    }
    sim_disk_destroy(h.disk);
}

/* The test finds what it is there to find: with syncs that do nothing, losses. */
static void test_missing_syncs_are_found(void **state) {
    (void)state;
    static struct history h;
    record(&h, 12);
    static const struct {
        const char *name;
        const char *deaf;
        bool dirs;
    } cases[] = {{"journal without its syncs", "/journal", false},
                 {"journal without those of the directory", NULL, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct power_loss run = {.recorded = h.disk,
                                 .check = check,
                                 .arg = &h,
                                 .strict_names = true,
                                 .deaf = cases[i].deaf,
                                 .deaf_dirs = cases[i].dirs,
                                 .deaf_from = h.durable_since[1]};
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
