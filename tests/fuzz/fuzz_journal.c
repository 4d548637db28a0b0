/* SPDX-License-Identifier: Apache-2.0
 * A hostile journal file on a disk in memory. It is refused with file and reason, or opens, and
 * then: opening again gives the same records, also after a power failure at any step of the first
 * opening; what is added is there after another opening; and a refused file is left as it was.
 * Byte 0: bit 0 makes the sums right (else nothing behind the sums would ever be reached), bit 1
 * lets the power fail; byte 1: at which step. */
#include "tests/fuzz/fuzz.h"

#include "agent/journal/crc32c.h"
#include "agent/journal/journal_internal.h"
#include "tests/unit/agent/journal/fake_disk.h"

#define FILE_MAX (DISK_BYTES / 2)

static uint32_t get_u32(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_u32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* Whatever stands where a batch may begin gets the sums that it should have. */
static void make_sums_right(uint8_t *bytes, size_t size) {
    if (size >= JOURNAL_UNIT) {
        journal_file_head(bytes);
    }
    for (size_t at = JOURNAL_UNIT; at + JOURNAL_UNIT <= size;) {
        size_t payload = get_u32(bytes + at + 4);
        bool batch = get_u32(bytes + at) == JOURNAL_BATCH_MAGIC && payload % JOURNAL_UNIT == 0 &&
                     payload <= size - at - JOURNAL_UNIT;
        if (batch) {
            put_u32(bytes + at + 20, sl_crc32c(0, bytes + at + JOURNAL_UNIT, payload));
            put_u32(bytes + at + 60, sl_crc32c(0, bytes + at, 60));
        }
        at += JOURNAL_UNIT + (batch ? payload : 0);
    }
}

static int note_record(void *context, enum sl_journal_space space, const void *key, size_t key_size,
                       const void *value, size_t value_size, struct sl_error *err) {
    (void)err;
    struct sl_buf *all = context;
    fuzz_check(space > SL_JOURNAL_INVALID && space < SL_JOURNAL_SPACE_COUNT);
    fuzz_check(key_size <= SL_JOURNAL_KEY_MAX && value_size <= FILE_MAX);
    sl_buf_printf(all, "%d %zu %zu ", (int)space, key_size, value_size);
    sl_buf_append(all, key, key_size);
    sl_buf_append(all, value, value_size);
    return SL_OK;
}

static int open_journal(struct disk *disk, struct sl_journal **ret_journal, struct sl_error *err) {
    struct sl_journal_ops ops = disk_ops(disk);
    struct sl_journal_ops *kept = malloc(sizeof ops); /* the journal borrows it */
    fuzz_check(kept);
    *kept = ops;
    struct sl_journal_config config = {
        .dir = "/d", .ops = kept, .compact_bytes = 4096, .grow_bytes = 1024};
    int rc = sl_journal_open(&config, ret_journal, err);
    if (rc != SL_OK) {
        free(kept);
    }
    return rc;
}

static void close_journal(struct sl_journal *journal) {
    const struct sl_journal_ops *ops = journal->ops;
    sl_journal_close(journal);
    free((void *)(uintptr_t)ops);
}

static int read_all(struct disk *disk, struct sl_buf *all, struct sl_error *err) {
    struct sl_journal *journal = NULL;
    int rc = open_journal(disk, &journal, err);
    if (rc == SL_OK) {
        fuzz_check(sl_journal_replay(journal, note_record, all, err) == SL_OK);
        close_journal(journal);
    } else {
        fuzz_check(!journal);
        fuzz_check_error(rc, err);
    }
    return rc;
}

static void must_read(struct disk *disk, const struct sl_buf *want) {
    SL_AUTO_BUF struct sl_buf all = {0};
    struct sl_error err = {0};
    int rc = read_all(disk, &all, &err);
    if (rc != SL_OK) {
        fprintf(stderr, "%s\n", err.text);
    }
    fuzz_check(rc == SL_OK);
    fuzz_check(all.len == want->len &&
               (all.len == 0 || memcmp(all.data, want->data, all.len) == 0));
}

static void add_one(struct disk *disk, struct sl_buf *want) {
    static const char key[] = "key that no file has";
    struct sl_journal *journal = NULL;
    struct sl_mailbox *done = NULL;
    struct sl_journal_done said = {0};
    fuzz_check(open_journal(disk, &journal, NULL) == SL_OK);
    fuzz_check(sl_mailbox_create(sizeof said, 4, &done, NULL) == SL_OK);
    fuzz_check(sl_journal_start(journal, done, false, NULL) == SL_OK);
    struct sl_journal_change change = {.space = SL_JOURNAL_EPOCH,
                                       .key = key,
                                       .key_size = sizeof key,
                                       .value = "v",
                                       .value_size = 1,
                                       .ticket = 9};
    fuzz_check(sl_journal_queue(journal, &change, NULL) == SL_OK);
    fuzz_check(sl_journal_commit(journal));
    fuzz_check(sl_mailbox_take(done, &said) && said.ticket == 9);
    if (said.status == SL_OK) {
        (void)note_record(want, change.space, key, sizeof key, "v", 1, NULL);
    } else {
        fuzz_check(said.text[0] != '\0');
    }
    close_journal(journal);
    sl_mailbox_destroy(done);
}

static void put_file(struct disk *disk, const uint8_t *bytes, size_t size) {
    struct disk_file *file = &disk->files[0];
    *file = (struct disk_file){.used = true,
                               .name = "journal",
                               .durable = "journal",
                               .size = (int64_t)size,
                               .synced_size = (int64_t)size};
    file->data = calloc(1, DISK_BYTES);
    file->synced = calloc(1, DISK_BYTES);
    fuzz_check(file->data && file->synced);
    memcpy(file->data, bytes, size);
    memcpy(file->synced, bytes, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input in = {data, size};
    uint8_t how = fuzz_u8(&in);
    uint8_t crash_at = fuzz_u8(&in);
    size_t n = in.left < FILE_MAX ? in.left : FILE_MAX;
    uint8_t *bytes = fuzz_copy(in.at, n);
    SL_AUTO_BUF struct sl_buf first = {0};
    SL_AUTO_BUF struct sl_buf again = {0};
    struct sl_error err = {0};
    static struct disk disk;
    disk = (struct disk){.seed = size};
    if (how & 1) {
        make_sums_right(bytes, n);
    }
    put_file(&disk, bytes, n);
    int rc = read_all(&disk, &first, &err);
    if (rc != SL_OK) {
        fuzz_check(rc == -SL_CORRUPT && strstr(err.text, "/d/journal"));
        const struct disk_file *file = disk_find(&disk, "journal");
        fuzz_check(file && file->size == (int64_t)n && memcmp(file->data, bytes, n) == 0);
    } else {
        must_read(&disk, &first);
        if (how & 2) {
            disk_free(&disk);
            disk.seed = crash_at;
            put_file(&disk, bytes, n);
            disk.crash_at = 1 + crash_at % 16;
            (void)read_all(&disk, &again, &err);
            disk_crash(&disk);
            must_read(&disk, &first);
        }
        add_one(&disk, &first);
        must_read(&disk, &first);
    }
    disk_free(&disk);
    free(bytes);
    return 0;
}
