/* SPDX-License-Identifier: Apache-2.0
 * Every truncation and every flipped byte of a small journal opens with a state that was really
 * committed, or is refused: it never lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/journal/crc32c.h"
#include "agent/journal/journal_internal.h"
#include "tests/unit/agent/journal/fake_disk.h"
#include "tests/unit/agent/journal/helpers.h"

#define BATCHES 6
/* Every bit of every byte; one bit of each where a sanitizer makes that slow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BITS 1
#else
#define BITS 8
#endif

struct history {
    struct disk disk;
    struct map after[BATCHES + 1]; /* [n]: state after n batches */
    int64_t end[BATCHES + 1];      /* file offset after n batches */
};

static struct sl_journal *open_disk(struct disk *disk, struct sl_error *err) {
    struct sl_journal_ops ops = disk_ops(disk);
    static struct sl_journal_ops kept[1]; /* outlives the journal of one test */
    kept[0] = ops;
    struct sl_journal_config config = {.dir = "d", .ops = kept, .grow_bytes = 8192};
    struct sl_journal *journal = NULL;
    sl_journal_open(&config, &journal, err);
    return journal;
}

/* Six batches: small, one that spans many sectors, overwrites, deletes. */
static void make_history(struct history *history) {
    memset(history, 0, sizeof *history);
    struct sl_error err;
    struct sl_journal *journal = open_disk(&history->disk, &err);
    assert_non_null(journal);
    struct sl_mailbox *done = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_journal_done), 64, &done, &err), 0);
    assert_int_equal(sl_journal_start(journal, done, false, &err), 0);
    struct map map = {0};
    history->end[0] = 64;
    for (int b = 1; b <= BATCHES; b++) {
        map_queue(journal, &map, b, b, b == 3 ? 1700 : 20, (uint64_t)b, true);
        map_queue(journal, &map, 0, b, 33, (uint64_t)b, true);
        if (b == 5) {
            map_queue(journal, &map, 2, 0, 0, (uint64_t)b, true);
        }
        assert_true(sl_journal_commit(journal));
        struct sl_journal_stats stats;
        sl_journal_get_stats(journal, &stats);
        history->end[b] = (int64_t)stats.file_bytes;
        history->after[b] = map;
    }
    sl_journal_close(journal);
    sl_mailbox_destroy(done);
}

/* Opens the (damaged) disk; the number of batches whose state it shows, -1 when refused. */
static int state_shown(struct disk *disk, const struct history *history) {
    struct sl_error err = {0};
    struct sl_journal *journal = open_disk(disk, &err);
    if (!journal) {
        assert_int_equal(err.status, -SL_CORRUPT);
        assert_non_null(strstr(err.text, "d/journal"));
        return -1;
    }
    struct map map = {0};
    assert_int_equal(sl_journal_replay(journal, map_visit, &map, &err), 0);
    /* Whatever was cut: the file takes new batches, and they are found again. */
    sl_journal_close(journal);
    for (int b = BATCHES; b >= 0; b--) {
        if (memcmp(&map, &history->after[b], sizeof map) == 0) {
            return b;
        }
    }
    fail_msg("a state that never was");
    return -2;
}

static struct disk_file *journal_file(struct disk *disk) {
    struct disk_file *file = disk_find(disk, "journal");
    assert_non_null(file);
    return file;
}

static void every_truncation(void **state) {
    (void)state;
    struct history history;
    make_history(&history);
    struct disk_file *file = journal_file(&history.disk);
    uint8_t *whole = malloc(DISK_BYTES);
    memcpy(whole, file->data, DISK_BYTES);
    int64_t whole_size = file->size;
    for (int64_t size = 0; size <= whole_size; size++) {
        file = journal_file(&history.disk);
        memcpy(file->data, whole, DISK_BYTES);
        memset(file->data + size, 0, (size_t)(DISK_BYTES - size));
        file->size = size;
        int want = -1;
        for (int b = 0; b <= BATCHES; b++) {
            want = size >= history.end[b] ? b : want;
        }
        /* Bytes that are missing but would be zeros complete a batch. */
        int shown = state_shown(&history.disk, &history);
        assert_true(shown == want || (want >= 0 && shown == want + 1));
        /* A cut file was replaced by a clean copy: forget the spare inode. */
        for (int i = 0; i < DISK_FILES; i++) {
            struct disk_file *spare = &history.disk.files[i];
            if (spare->used && spare->name[0] == '\0') {
                free(spare->data);
                free(spare->synced);
                memset(spare, 0, sizeof *spare);
            }
        }
    }
    free(whole);
    disk_free(&history.disk);
}

static void a_newer_format_is_told_from_damage(void **state) {
    (void)state;
    struct history history;
    make_history(&history);
    struct disk_file *file = journal_file(&history.disk);
    struct sl_journal *journal = NULL;
    struct sl_error err = {0};
    struct sl_journal_ops ops = disk_ops(&history.disk);
    const struct sl_journal_config config = {.dir = "d", .ops = &ops};
    file->data[7] = 2; /* one wrong byte: its sum does not fit */
    assert_int_equal(sl_journal_open(&config, &journal, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "d/journal is damaged at byte 0"));
    uint32_t crc = sl_crc32c(0, file->data, 8);
    for (int i = 0; i < 4; i++) {
        file->data[8 + i] = (uint8_t)(crc >> 8 * i);
    }
    assert_int_equal(sl_journal_open(&config, &journal, &err), -SL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "d/journal has format 2 and this program knows 1"));
    disk_free(&history.disk);
}

static void every_flipped_byte(void **state) {
    (void)state;
    struct history history;
    make_history(&history);
    struct disk_file *file = journal_file(&history.disk);
    uint8_t *whole = malloc(DISK_BYTES);
    memcpy(whole, file->data, DISK_BYTES);
    int64_t whole_size = file->size;
    int refused = 0;
    for (int64_t at = 0; at < whole_size; at++) {
        for (int bit = 0; bit < (at < history.end[BATCHES] ? BITS : 1); bit++) {
            file = journal_file(&history.disk);
            memcpy(file->data, whole, DISK_BYTES);
            file->size = whole_size;
            file->data[at] ^= (uint8_t)(1 << ((bit + at) % 8));
            int shown = state_shown(&history.disk, &history);
            /* A flip cannot look like an incomplete write, so nothing committed is ever cut. What
             * stands where the next batch would begin may be anything, so that is refused too. */
            assert_int_equal(shown, at < history.end[BATCHES] + 64 ? -1 : BATCHES);
            refused += shown == -1;
            for (int i = 0; i < DISK_FILES; i++) {
                struct disk_file *spare = &history.disk.files[i];
                if (spare->used && spare->name[0] == '\0') {
                    free(spare->data);
                    free(spare->synced);
                    memset(spare, 0, sizeof *spare);
                }
            }
        }
    }
    assert_int_equal(refused, history.end[BATCHES] * BITS + 64);
    free(whole);
    disk_free(&history.disk);
}

static void a_missing_sector_of_the_last_batch_is_cut_of_an_earlier_one_refused(void **state) {
    (void)state;
    struct history history;
    make_history(&history);
    struct disk_file *file = journal_file(&history.disk);
    /* Batch 3 spans sectors; batches 4 to 6 stand behind it. */
    int64_t sector = (history.end[2] / DISK_SECTOR + 1) * DISK_SECTOR;
    memset(file->data + sector, 0, DISK_SECTOR);
    assert_int_equal(state_shown(&history.disk, &history), -1);
    /* The same with nothing behind it: a power failure in the middle of batch 3. */
    file = journal_file(&history.disk);
    memset(file->data + history.end[3], 0, (size_t)(DISK_BYTES - history.end[3]));
    assert_int_equal(state_shown(&history.disk, &history), 2);
    disk_free(&history.disk);
}

/* More keys than the index begins with room for. */
static void the_index_grows(void **state) {
    (void)state;
    struct journal_index index;
    assert_int_equal(journal_index_init(&index, NULL), SL_OK);
    size_t buckets = index.bucket_count;
    for (int64_t i = 0; i < 5000; i++) {
        struct journal_record record = {.op = i % 5 == 4 ? JOURNAL_DELETE
                                                         : JOURNAL_PUT, /* of the key before */
                                        .space = SL_JOURNAL_RESULT,
                                        .key = (const uint8_t *)&(int64_t){i % 5 == 4 ? i - 1 : i},
                                        .key_size = sizeof i};
        assert_int_equal(journal_index_apply(&index, &record, i, NULL), SL_OK);
    }
    assert_true(index.bucket_count > buckets);
    assert_int_equal(index.count, 3000);
    struct journal_entry **sorted = journal_index_sorted(&index);
    assert_non_null(sorted);
    for (int64_t i = 0, at = 0; i < 5000; i++) {
        if (i % 5 < 3) { /* each is there, in order, where it was put */
            assert_int_equal(sorted[at]->offset, i);
            assert_memory_equal(sorted[at]->key, &i, sizeof i);
            at++;
        }
    }
    free(sorted);
    journal_index_fini(&index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(every_flipped_byte),
        cmocka_unit_test(a_newer_format_is_told_from_damage),
        cmocka_unit_test(a_missing_sector_of_the_last_batch_is_cut_of_an_earlier_one_refused),
        cmocka_unit_test(the_index_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
