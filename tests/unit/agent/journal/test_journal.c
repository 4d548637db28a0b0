/* SPDX-License-Identifier: Apache-2.0
 * The real thread on real files: group commit, lingering, order of tickets, lock, replay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "agent/journal/journal_internal.h"
#include "tests/unit/agent/journal/helpers.h"

struct slow_disk {
    struct sl_journal_ops ops; /* the real ones with a slow sync */
    atomic_int syncs;
    atomic_int fail_from; /* fail this sync and later ones; 0: never */
};

static int slow_sync(void *context, int fd) {
    struct slow_disk *disk = context;
    int n = atomic_fetch_add(&disk->syncs, 1) + 1;
    struct timespec span = {0, 5000000};
    nanosleep(&span, NULL);
    if (disk->fail_from && n >= disk->fail_from) {
        return -EIO;
    }
    return sl_journal_file_ops()->sync(NULL, fd);
}

struct fixture {
    char dir[64];
    struct slow_disk disk;
    struct sl_journal *journal;
    struct sl_mailbox *done;
};

static void set_up(struct fixture *f, int64_t linger_ms) {
    memset(f, 0, sizeof *f);
    strcpy(f->dir, "/tmp/sluice-journal-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->disk.ops = *sl_journal_file_ops();
    f->disk.ops.context = &f->disk;
    f->disk.ops.sync = slow_sync;
    struct sl_error err;
    struct sl_journal_config config = {
        .dir = f->dir, .ops = &f->disk.ops, .grow_bytes = 1 << 20, .linger_ms = linger_ms};
    assert_int_equal(sl_journal_open(&config, &f->journal, &err), 0);
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_journal_done), 4096, &f->done, &err), 0);
    assert_int_equal(sl_journal_start(f->journal, f->done, true, &err), 0);
}

static void tear_down(struct fixture *f) {
    sl_journal_close(f->journal);
    sl_mailbox_destroy(f->done);
    char path[128];
    static const char *const names[] = {"journal", "journal.new", "lock"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", f->dir, names[i]);
        unlink(path);
    }
    rmdir(f->dir);
}

/* Waits until `ticket` is durable (or the journal failed); the status. */
static int wait_for(struct fixture *f, uint64_t ticket, struct sl_journal_done *ret_done) {
    uint64_t last = 0;
    for (;;) {
        assert_int_equal(sl_mailbox_take_wait(f->done, 10 * SL_NS_PER_S, ret_done), 0);
        assert_true(ret_done->ticket >= last);
        last = ret_done->ticket;
        if (ret_done->status || last >= ticket) {
            return ret_done->status;
        }
    }
}

static void many_records_share_few_syncs(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f, 0);
    int before = f.disk.syncs;
    struct map map = {0};
    for (int i = 0; i < 500; i++) {
        assert_int_equal(map_queue(f.journal, &map, i % MAP_KEYS, i + 1, 40, (uint64_t)i + 1, true),
                         0);
    }
    struct sl_journal_done done;
    assert_int_equal(wait_for(&f, 500, &done), 0);
    assert_true(f.disk.syncs - before < 20);
    struct sl_journal_stats stats;
    sl_journal_get_stats(f.journal, &stats);
    assert_int_equal(stats.records, 500);
    assert_int_equal(stats.live_records, MAP_KEYS);
    sl_journal_close(f.journal);
    struct sl_journal_config config = {.dir = f.dir};
    struct sl_error err;
    assert_int_equal(sl_journal_open(&config, &f.journal, &err), 0);
    struct map found = {0};
    assert_int_equal(sl_journal_replay(f.journal, map_visit, &found, &err), 0);
    assert_memory_equal(&found, &map, sizeof map);
    tear_down(&f);
}

static void what_is_not_urgent_lingers_and_goes_along(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f, 2000);
    struct sl_mono begin = sl_clock_mono();
    map_queue(f.journal, NULL, 1, 1, 10, 1, false);
    struct sl_journal_done done;
    assert_int_equal(sl_mailbox_take_wait(f.done, 100 * SL_NS_PER_MS, &done), -SL_TIMEOUT);
    map_queue(f.journal, NULL, 2, 1, 10, 2, true);
    assert_int_equal(wait_for(&f, 2, &done), 0);
    assert_true(sl_mono_since_ns(sl_clock_mono(), begin) < SL_NS_PER_S);
    struct sl_journal_stats stats;
    sl_journal_get_stats(f.journal, &stats);
    assert_int_equal(stats.batches, 1);
    tear_down(&f);
}

static void lingering_ends(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f, 30);
    map_queue(f.journal, NULL, 1, 1, 10, 1, false);
    struct sl_journal_done done;
    assert_int_equal(wait_for(&f, 1, &done), 0);
    tear_down(&f);
}

static void a_failed_sync_is_final_and_says_why(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f, 0);
    f.disk.fail_from = f.disk.syncs + 1;
    map_queue(f.journal, NULL, 1, 1, 10, 1, true);
    struct sl_journal_done done;
    assert_int_equal(wait_for(&f, 1, &done), -SL_IO);
    assert_non_null(strstr(done.text, "check the disk"));
    f.disk.fail_from = 0;
    assert_int_equal(map_queue(f.journal, NULL, 2, 1, 10, 2, true), -SL_CLOSED);
    /* Whoever queues first is told why, not only that it is closed. */
    const struct sl_journal_change change = {
        .space = SL_JOURNAL_RESULT, .key = "k", .key_size = 1, .ticket = 2};
    struct sl_error err;
    assert_int_equal(sl_journal_queue(f.journal, &change, &err), -SL_CLOSED);
    assert_string_equal(err.text, done.text);
    tear_down(&f);
}

static void close_commits_what_is_queued(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f, 10000);
    struct map map = {0};
    map_queue(f.journal, &map, 7, 3, 10, 1, false);
    sl_journal_close(f.journal);
    struct sl_journal_config config = {.dir = f.dir};
    struct sl_error err;
    assert_int_equal(sl_journal_open(&config, &f.journal, &err), 0);
    struct map found = {0};
    assert_int_equal(sl_journal_replay(f.journal, map_visit, &found, &err), 0);
    assert_memory_equal(&found, &map, sizeof map);
    tear_down(&f);
}

static void a_second_agent_is_refused(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f, 0);
    struct sl_journal_config config = {.dir = f.dir};
    struct sl_error err;
    struct sl_journal *second = NULL;
    assert_int_equal(sl_journal_open(&config, &second, &err), -SL_EXISTS);
    assert_null(second);
    assert_non_null(strstr(err.text, f.dir));
    tear_down(&f);
}

static void limits(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f, 0);
    char key[SL_JOURNAL_KEY_MAX + 1] = {'k'};
    struct sl_journal_change change = {
        .space = SL_JOURNAL_NODE, .key = key, .key_size = sizeof key, .value = "", .ticket = 1};
    assert_int_equal(sl_journal_queue(f.journal, &change, NULL), -SL_LIMIT);
    change.key_size = 0;
    assert_int_equal(sl_journal_queue(f.journal, &change, NULL), -SL_LIMIT);
    change.key_size = 1;
    change.value_size = SL_JOURNAL_VALUE_MAX + 1;
    assert_int_equal(sl_journal_queue(f.journal, &change, NULL), -SL_LIMIT);
    tear_down(&f);
    struct sl_journal_config config = {.dir = "/proc/sluice-cannot-be"};
    struct sl_error err;
    assert_int_equal(sl_journal_open(&config, &f.journal, &err), -SL_IO);
}

static int visit_large(void *context, enum sl_journal_space space, const void *key, size_t key_size,
                       const void *value, size_t value_size, struct sl_error *err) {
    (void)key;
    (void)key_size;
    (void)err;
    const uint8_t *bytes = value;
    size_t *sum = context;
    assert_int_equal(space, SL_JOURNAL_RESULT);
    assert_int_equal(bytes[0], 1);
    assert_int_equal(bytes[value_size - 1], 2);
    *sum += value_size;
    return SL_OK;
}

/* The largest batch there can be, of a record behind others that almost fill one; it is read back,
 * and copied as a start does. */
static void the_largest_record(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f, 2000);
    const size_t sizes[] = {JOURNAL_BATCH_WANTED - 1000, SL_JOURNAL_VALUE_MAX};
    uint8_t *value = malloc(SL_JOURNAL_VALUE_MAX);
    memset(value, 0xA5, SL_JOURNAL_VALUE_MAX);
    value[0] = 1;
    for (size_t i = 0; i < 2; i++) {
        uint8_t last = value[sizes[i] - 1];
        value[sizes[i] - 1] = 2;
        struct sl_journal_change change = {.space = SL_JOURNAL_RESULT,
                                           .key = i ? "b" : "a",
                                           .key_size = 1,
                                           .value = value,
                                           .value_size = sizes[i],
                                           .ticket = i + 1,
                                           .urgent = i == 1};
        assert_int_equal(sl_journal_queue(f.journal, &change, NULL), SL_OK);
        value[sizes[i] - 1] = last;
    }
    free(value);
    struct sl_journal_done done;
    assert_int_equal(wait_for(&f, 2, &done), 0);
    struct sl_journal_stats stats;
    sl_journal_get_stats(f.journal, &stats);
    assert_int_equal(stats.batches, 1);
    for (int i = 0; i < 2; i++) {
        sl_journal_close(f.journal);
        struct sl_journal_config config = {.dir = f.dir};
        struct sl_error err;
        if (sl_journal_open(&config, &f.journal, &err)) {
            fail_msg("%s", err.text);
        }
        size_t sum = 0;
        assert_int_equal(sl_journal_replay(f.journal, visit_large, &sum, &err), SL_OK);
        assert_int_equal(sum, sizes[0] + sizes[1]);
        assert_int_equal(sl_journal_start(f.journal, f.done, true, &err), 0);
    }
    tear_down(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_records_share_few_syncs),
        cmocka_unit_test(the_largest_record),
        cmocka_unit_test(what_is_not_urgent_lingers_and_goes_along),
        cmocka_unit_test(lingering_ends),
        cmocka_unit_test(a_failed_sync_is_final_and_says_why),
        cmocka_unit_test(close_commits_what_is_queued),
        cmocka_unit_test(a_second_agent_is_refused),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
