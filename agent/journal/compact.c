/* SPDX-License-Identifier: Apache-2.0
 * Live records into a new file, which then takes the place of the old one. */
#include "agent/journal/journal_internal.h"
#include "proto/base/mutant.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define COPY_BATCH_BYTES (1u << 20)

void journal_path(const struct sl_journal *journal, const char *name, struct sl_buf *ret_path) {
    sl_buf_printf(ret_path, "%s/%s", journal->dir.data, name);
}

struct copy {
    struct journal_file *to;
    struct journal_index *index; /* of the new file */
    struct sl_buf batch;
    uint32_t records;
};

static int flush(struct copy *copy, struct sl_error *err) {
    if (copy->records == 0) {
        return SL_OK;
    }
    journal_batch_seal(&copy->batch, copy->to->number + 1, copy->records);
    if (copy->batch.failed) {
        return sl_fail(err, SL_NOMEM, "no memory to compact the journal");
    }
    const uint8_t *payload = (const uint8_t *)copy->batch.data + JOURNAL_UNIT;
    size_t at = 0;
    for (uint32_t i = 0; i < copy->records; i++) {
        struct journal_record record;
        size_t start = at;
        if (!journal_record_next(payload, copy->batch.len - JOURNAL_UNIT, &at, &record)) {
            return sl_fail(err, SL_CORRUPT, "a live record changed on the disk under us");
        }
        int rc = journal_index_apply(copy->index, &record,
                                     copy->to->end + JOURNAL_UNIT + (int64_t)start, err);
        if (rc) {
            return rc;
        }
    }
    int rc = journal_file_write(copy->to, copy->batch.data, copy->batch.len, copy->to->end, err);
    if (rc) {
        return rc;
    }
    copy->to->end += (int64_t)copy->batch.len;
    copy->to->number++;
    copy->records = 0;
    copy->batch.len = 0;
    return SL_OK;
}

static int copy_record(struct copy *copy, const struct journal_file *from,
                       const struct journal_entry *entry, struct sl_error *err) {
    static const uint8_t head[JOURNAL_UNIT];
    if (copy->records == 0) {
        sl_buf_append(&copy->batch, head, sizeof head);
    }
    uint8_t *record = malloc(entry->bytes);
    if (!record) {
        return sl_fail(err, SL_NOMEM, "no memory to compact the journal");
    }
    int rc = journal_file_read(from, record, entry->bytes, entry->offset, err);
    if (rc == SL_OK) {
        sl_buf_append(&copy->batch, record, entry->bytes);
        copy->records++;
    }
    free(record);
    if (rc == SL_OK && copy->batch.len >= COPY_BATCH_BYTES) {
        rc = flush(copy, err);
    }
    return rc;
}

static int copy_live(struct sl_journal *journal, struct journal_file *to,
                     struct journal_index *index, struct sl_error *err) {
    struct journal_entry **live = journal_index_sorted(&journal->index);
    if (!live) {
        return sl_fail(err, SL_NOMEM, "no memory to compact the journal");
    }
    uint8_t head[JOURNAL_UNIT];
    journal_file_head(head);
    int rc = journal_file_write(to, head, sizeof head, 0, err);
    to->end = JOURNAL_UNIT;
    struct copy copy = {.to = to, .index = index};
    size_t lost = SL_MUTANT(compaction_loses_newest);
    for (size_t i = 0; rc == SL_OK && i + lost < journal->index.count; i++) {
        rc = copy_record(&copy, &journal->file, live[i], err);
    }
    if (rc == SL_OK) {
        rc = flush(&copy, err);
    }
    sl_buf_fini(&copy.batch);
    free(live);
    if (rc == SL_OK) {
        to->size = to->end;
        rc = journal_file_grow(to, to->end + (int64_t)journal->grow_bytes, err);
    }
    return rc;
}

/* After the rename there is no way back: a directory that cannot be synced is fatal. */
static int put_in_place(const struct sl_journal *journal, const char *from, const char *to,
                        bool *ret_fatal, struct sl_error *err) {
    const struct sl_journal_ops *ops = journal->ops;
    int rc = ops->rename(ops->context, from, to);
    if (rc < 0) {
        return sl_fail(err, SL_IO, "renaming %s to %s: %s", from, to, strerror(-rc));
    }
    *ret_fatal = true;
    int dir = ops->open(ops->context, journal->dir.data, O_RDONLY | O_DIRECTORY, 0);
    rc = dir < 0 ? dir : ops->sync(ops->context, dir);
    if (dir >= 0) {
        ops->close(ops->context, dir);
    }
    if (rc < 0) {
        return sl_fail(err, SL_IO, "syncing the directory %s: %s", journal->dir.data,
                       strerror(-rc));
    }
    *ret_fatal = false;
    return SL_OK;
}

int journal_compact(struct sl_journal *journal, bool *ret_fatal, struct sl_error *err) {
    const struct sl_journal_ops *ops = journal->ops;
    SL_AUTO_BUF struct sl_buf from = {0};
    SL_AUTO_BUF struct sl_buf to = {0};
    journal_path(journal, "journal.new", &from);
    journal_path(journal, "journal", &to);
    *ret_fatal = false;
    if (from.failed || to.failed) {
        return sl_fail(err, SL_NOMEM, "no memory to compact the journal");
    }
    struct journal_index index;
    int rc = journal_index_init(&index, err);
    if (rc) {
        return rc;
    }
    struct journal_file file = {.ops = ops};
    file.fd = ops->open(ops->context, from.data, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file.fd < 0) {
        rc = sl_fail(err, SL_IO, "creating %s: %s", from.data, strerror(-file.fd));
    } else {
        rc = copy_live(journal, &file, &index, err);
    }
    if (rc == SL_OK) {
        rc = put_in_place(journal, from.data, to.data, ret_fatal, err);
    }
    if (rc != SL_OK) {
        journal_index_fini(&index);
        if (file.fd >= 0) {
            ops->close(ops->context, file.fd);
        }
        return rc;
    }
    if (journal->file.fd >= 0) {
        ops->close(ops->context, journal->file.fd);
    }
    journal_index_fini(&journal->index);
    journal->index = index;
    journal->file = file;
    return SL_OK;
}
