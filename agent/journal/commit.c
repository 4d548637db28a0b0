/* SPDX-License-Identifier: Apache-2.0
 * The journal's writer: gathers what is queued into one batch, one write, one sync. */
#include "agent/journal/journal.h"

#include <stdlib.h>
#include <string.h>

#include "agent/journal/journal_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/thread.h"

struct gather {
    struct sl_buf batch;
    uint32_t records;
    uint64_t ticket;
    size_t sizes[JOURNAL_BATCH_ITEMS]; /* offset of each record in the batch */
};

static void item_fini(struct journal_item *item) {
    free(item->block);
    item->block = NULL;
}

static void gather_item(struct sl_journal *journal, struct gather *gather,
                        const struct journal_item *item) {
    static const uint8_t head[JOURNAL_UNIT];
    if (gather->records == 0) {
        sl_buf_append(&gather->batch, head, sizeof head);
    }
    struct journal_record record = {
        .op = item->change.value ? JOURNAL_PUT : JOURNAL_DELETE,
        .space = item->change.space,
        .key = item->change.key,
        .key_size = item->change.key_size,
        .value = item->change.value,
        .value_size = item->change.value ? item->change.value_size : 0,
    };
    gather->sizes[gather->records] = gather->batch.len;
    journal_record_append(&gather->batch, &record);
    journal->batch_items[gather->records++] = *item;
    gather->ticket = item->change.ticket;
}

static bool gather_full(const struct gather *gather) {
    return gather->records == JOURNAL_BATCH_ITEMS || gather->batch.len >= JOURNAL_BATCH_WANTED;
}

/* Everything that waits; with a thread: from the first record on, until one is urgent or the first
 * has lingered long enough. False: nothing came and the queue is closed (or, without waiting,
 * empty). */
static bool gather_all(struct sl_journal *journal, bool wait, struct gather *gather) {
    struct journal_item item;
    struct sl_mono until = {0};
    bool urgent = !wait;
    while (!gather_full(gather)) {
        if (!sl_mailbox_take(journal->queue, &item)) {
            if (urgent || !wait) {
                break;
            }
            int64_t left = gather->records ? until.ns - sl_clock_mono().ns : -1;
            if (gather->records && left <= 0) {
                break;
            }
            if (sl_mailbox_take_wait(journal->queue, left, &item) != SL_OK) {
                break;
            }
        }
        if (gather->records == 0 && wait) {
            until.ns = sl_clock_mono().ns + journal->linger_ns;
        }
        urgent = urgent || item.change.urgent;
        gather_item(journal, gather, &item);
    }
    return gather->records > 0;
}

static int write_batch(struct sl_journal *journal, struct gather *gather, struct sl_error *err) {
    struct journal_file *file = &journal->file;
    journal_batch_seal(&gather->batch, file->number + 1, gather->records);
    if (gather->batch.failed) {
        return sl_fail(err, SL_NOMEM, "no memory to write the journal");
    }
    int64_t end = file->end + (int64_t)gather->batch.len;
    if (end > file->size) {
        int rc = journal_file_grow(file, end + (int64_t)journal->grow_bytes, err);
        if (rc) {
            return rc;
        }
    }
    int rc = journal_file_write(file, gather->batch.data, gather->batch.len, file->end, err);
    if (rc) {
        return rc;
    }
    rc = SL_MUTANT(journal_unsynced) ? 0 : file->ops->sync(file->ops->context, file->fd);
    if (rc < 0 && !SL_MUTANT(journal_sync_failure_ignored)) {
        return sl_fail(err, SL_IO,
                       "syncing the journal: %s; the agent stops, since it cannot promise "
                       "anything now: check the disk",
                       strerror(-rc));
    }
    for (uint32_t i = 0; i < gather->records; i++) {
        struct journal_record record;
        size_t at = gather->sizes[i];
        sl_assert(journal_record_next((const uint8_t *)gather->batch.data, gather->batch.len, &at,
                                      &record));
        rc = journal_index_apply(&journal->index, &record, file->end + (int64_t)gather->sizes[i],
                                 err);
        if (rc) {
            return rc;
        }
    }
    file->end = end;
    file->number++;
    return SL_OK;
}

static void report(struct sl_journal *journal, const struct gather *gather, int rc,
                   const struct sl_error *err) {
    struct sl_journal_done done = {.ticket = gather->ticket, .at = sl_clock_mono(), .status = rc};
    if (rc) {
        sl_text_copy(done.text, sizeof done.text, err->text);
    }
    pthread_mutex_lock(&journal->lock);
    if (rc && !journal->failed) {
        sl_text_copy(journal->reason, sizeof journal->reason, err->text);
    }
    journal->failed = journal->failed || rc != SL_OK;
    journal->stats.batches++;
    journal->stats.records += gather->records;
    journal->stats.file_bytes = (uint64_t)journal->file.end;
    journal->stats.live_bytes = journal->index.bytes;
    journal->stats.live_records = journal->index.count;
    pthread_mutex_unlock(&journal->lock);
    if (rc) {
        sl_mailbox_close(journal->queue);
    }
    /* The mailbox holds one entry a batch and its reader takes all at once; if it hangs for so
     * long, the writer waits for it. */
    (void)sl_mailbox_put_wait(journal->done, &done);
}

/* Between batches, when nothing is urgent: zeros ahead, and compaction where it pays. */
static void tidy_up(struct sl_journal *journal) {
    struct journal_file *file = &journal->file;
    struct sl_error err;
    if ((uint64_t)file->end >= journal->compact_next) {
        journal->compact_next = (uint64_t)file->end + journal->compact_bytes;
        if (journal->index.bytes < (uint64_t)file->end / 2) {
            bool fatal = false;
            int rc = journal_compact(journal, &fatal, &err);
            if (rc == SL_OK) {
                journal->compact_next = (uint64_t)journal->file.end + journal->compact_bytes;
                pthread_mutex_lock(&journal->lock);
                journal->stats.compactions++;
                pthread_mutex_unlock(&journal->lock);
            } else if (fatal) {
                struct gather none = {0};
                report(journal, &none, rc, &err);
                return;
            } /* else the old file goes on; tried again after as many bytes */
        }
    }
    file = &journal->file;
    if (file->size - file->end < (int64_t)journal->grow_bytes / 4) {
        /* A failure shows again, as an error, when the room is really needed. */
        (void)journal_file_grow(file, file->size + (int64_t)journal->grow_bytes, &err);
    }
}

static bool has_failed(struct sl_journal *journal) {
    pthread_mutex_lock(&journal->lock);
    bool failed = journal->failed;
    pthread_mutex_unlock(&journal->lock);
    return failed;
}

/* One batch. False: nothing to do (any more). */
static bool commit(struct sl_journal *journal, bool wait) {
    struct gather gather = {0};
    if (!gather_all(journal, wait, &gather)) {
        return false;
    }
    struct sl_error err = {0};
    if (!has_failed(journal)) {
        int rc = write_batch(journal, &gather, &err);
        report(journal, &gather, rc, &err);
        if (rc == SL_OK && sl_mailbox_count(journal->queue) == 0) {
            tidy_up(journal);
        }
    }
    for (uint32_t i = 0; i < gather.records; i++) {
        item_fini(&journal->batch_items[i]);
    }
    sl_buf_fini(&gather.batch);
    return true;
}

bool sl_journal_commit(struct sl_journal *journal) {
    return commit(journal, false);
}

static void *writer(void *context) {
    struct sl_journal *journal = context;
    sl_thread_name("journal");
    while (commit(journal, true)) {}
    return NULL;
}

int sl_journal_start(struct sl_journal *journal, struct sl_mailbox *done, bool threaded,
                     struct sl_error *err) {
    journal->done = done;
    journal->started = true;
    if (threaded) {
        if (pthread_create(&journal->thread, NULL, writer, journal) != 0) {
            return sl_fail(err, SL_NOMEM, "no thread for the journal");
        }
        journal->threaded = true;
    }
    return SL_OK;
}

void sl_journal_close(struct sl_journal *journal) {
    if (!journal) {
        return;
    }
    if (journal->queue) {
        sl_mailbox_close(journal->queue);
        if (journal->threaded) {
            pthread_join(journal->thread, NULL);
        } else if (journal->started) {
            while (commit(journal, false)) {}
        }
        struct journal_item item;
        while (sl_mailbox_take(journal->queue, &item)) {
            item_fini(&item);
        }
        sl_mailbox_destroy(journal->queue);
    }
    journal_index_fini(&journal->index);
    if (journal->file.fd >= 0) {
        journal->ops->close(journal->ops->context, journal->file.fd);
    }
    if (journal->lock_fd >= 0) {
        journal->ops->close(journal->ops->context, journal->lock_fd);
    }
    pthread_mutex_destroy(&journal->lock);
    free(journal->batch_items);
    sl_buf_fini(&journal->dir);
    free(journal);
}
