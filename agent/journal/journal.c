/* SPDX-License-Identifier: Apache-2.0
 * Opening, replay, the queue and the thread of the journal. */
#include "agent/journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/journal/journal_internal.h"

#define COMPACT_BYTES_DEFAULT (16u << 20)
#define GROW_BYTES_DEFAULT (1u << 20)
#define LINGER_MS_DEFAULT 100

/* A directory just made must itself survive a power failure. */
static int sync_parent(struct sl_journal *journal, struct sl_error *err) {
    const struct sl_journal_ops *ops = journal->ops;
    SL_AUTO_BUF struct sl_buf path = {0};
    journal_path(journal, "..", &path);
    if (path.failed) {
        return sl_fail(err, SL_NOMEM, "no memory to open the journal");
    }
    int fd = ops->open(ops->context, path.data, O_RDONLY | O_DIRECTORY, 0);
    int rc = fd < 0 ? fd : ops->sync(ops->context, fd);
    if (fd >= 0) {
        ops->close(ops->context, fd);
    }
    return rc < 0 ? sl_fail(err, SL_IO, "syncing %s: %s", path.data, strerror(-rc)) : SL_OK;
}

static int lock_dir(struct sl_journal *journal, int64_t wait_ms, struct sl_error *err) {
    const struct sl_journal_ops *ops = journal->ops;
    const char *dir = journal->dir.data;
    int rc = ops->make_dir(ops->context, dir, 0700);
    if (rc < 0 && rc != -EEXIST) {
        return sl_fail(err, SL_IO, "creating the data directory %s: %s", dir, strerror(-rc));
    }
    if (rc == 0 && sync_parent(journal, err) != SL_OK) {
        return -SL_IO;
    }
    SL_AUTO_BUF struct sl_buf path = {0};
    journal_path(journal, "lock", &path);
    if (path.failed) {
        return sl_fail(err, SL_NOMEM, "no memory to open the journal");
    }
    journal->lock_fd = ops->open(ops->context, path.data, O_RDWR | O_CREAT, 0600);
    if (journal->lock_fd < 0) {
        return sl_fail(err, SL_IO, "opening %s: %s; may this user write to the data directory?",
                       path.data, strerror(-journal->lock_fd));
    }
    rc = ops->lock(ops->context, journal->lock_fd, wait_ms);
    if (rc == -EWOULDBLOCK) {
        return sl_fail(err, SL_EXISTS,
                       "another sluice-agent uses the data directory %s: stop it, or give this one "
                       "a data_dir of its own",
                       dir);
    }
    return rc < 0 ? sl_fail(err, SL_IO, "locking %s: %s", path.data, strerror(-rc)) : SL_OK;
}

static int open_file(struct sl_journal *journal, struct sl_error *err) {
    const struct sl_journal_ops *ops = journal->ops;
    SL_AUTO_BUF struct sl_buf path = {0};
    journal_path(journal, "journal", &path);
    if (path.failed) {
        return sl_fail(err, SL_NOMEM, "no memory to open the journal");
    }
    uint64_t cut = 0;
    int fd = ops->open(ops->context, path.data, O_RDWR, 0600);
    if (fd < 0 && fd != -ENOENT) {
        return sl_fail(err, SL_IO, "opening %s: %s", path.data, strerror(-fd));
    }
    if (fd >= 0) {
        journal->file.fd = fd;
        int rc = journal_scan(path.data, &journal->file, &journal->index, &cut, err);
        if (rc) {
            return rc;
        }
    }
    journal->stats.cut_bytes = cut;
    /* What was read may stand in the system's cache only: a sync that fails drops what it could not
     * write and calls it clean, so that no later sync would write it, and a power failure would
     * take it from below what is appended now. A copy is written anew. It also has zeros behind its
     * end, where an unfinished batch may stand. */
    bool fatal;
    int rc = journal_compact(journal, &fatal, err);
    if (rc) {
        return rc;
    }
    journal->compact_next = journal->compact_bytes;
    return SL_OK;
}

int sl_journal_open(const struct sl_journal_config *config, struct sl_journal **ret_journal,
                    struct sl_error *err) {
    SL_AUTO(sl_journal) journal = calloc(1, sizeof *journal);
    if (!journal) {
        return sl_fail(err, SL_NOMEM, "no memory for the journal");
    }
    journal->ops = config->ops ? config->ops : sl_journal_file_ops();
    journal->file = (struct journal_file){.ops = journal->ops, .fd = -1};
    journal->lock_fd = -1;
    journal->compact_bytes = config->compact_bytes ? config->compact_bytes : COMPACT_BYTES_DEFAULT;
    journal->grow_bytes = config->grow_bytes ? config->grow_bytes : GROW_BYTES_DEFAULT;
    journal->linger_ns = (config->linger_ms ? config->linger_ms : LINGER_MS_DEFAULT) * SL_NS_PER_MS;
    pthread_mutex_init(&journal->lock, NULL);
    sl_buf_printf(&journal->dir, "%s", config->dir);
    journal->batch_items = calloc(JOURNAL_BATCH_ITEMS, sizeof *journal->batch_items);
    if (journal->dir.failed || !journal->batch_items) {
        return sl_fail(err, SL_NOMEM, "no memory for the journal");
    }
    int rc =
        sl_mailbox_create(sizeof(struct journal_item), JOURNAL_QUEUE_MAX, &journal->queue, err);
    rc = rc ? rc : journal_index_init(&journal->index, err);
    rc = rc ? rc : lock_dir(journal, config->lock_wait_ms, err);
    rc = rc ? rc : open_file(journal, err);
    if (rc) {
        return rc;
    }
    *ret_journal = sl_take(&journal);
    return SL_OK;
}

int sl_journal_replay(struct sl_journal *journal, sl_journal_visit_fn visit, void *context,
                      struct sl_error *err) {
    struct journal_entry **live = journal_index_sorted(&journal->index);
    if (!live) {
        return sl_fail(err, SL_NOMEM, "no memory to read the journal");
    }
    int rc = SL_OK;
    for (size_t i = 0; rc == SL_OK && i < journal->index.count; i++) {
        uint8_t *bytes = malloc(live[i]->bytes);
        if (!bytes) {
            rc = sl_fail(err, SL_NOMEM, "no memory to read the journal");
            break;
        }
        rc = journal_file_read(&journal->file, bytes, live[i]->bytes, live[i]->offset, err);
        struct journal_record record;
        size_t at = 0;
        if (rc == SL_OK && !journal_record_next(bytes, live[i]->bytes, &at, &record)) {
            rc = sl_fail(err, SL_CORRUPT, "the journal changed on the disk while it was read");
        }
        if (rc == SL_OK) {
            rc = visit(context, record.space, record.key, record.key_size, record.value,
                       record.value_size, err);
        }
        free(bytes);
    }
    free(live);
    return rc;
}

/* Whoever queues may be told of a failure before the message of it was read: the reason comes with
 * either. */
static int closed(struct sl_journal *journal, struct sl_error *err) {
    pthread_mutex_lock(&journal->lock);
    int rc =
        sl_fail(err, SL_CLOSED, "%s", journal->failed ? journal->reason : "the journal is closed");
    pthread_mutex_unlock(&journal->lock);
    return rc;
}

int sl_journal_queue(struct sl_journal *journal, const struct sl_journal_change *change,
                     struct sl_error *err) {
    if (change->key_size == 0 || change->key_size > SL_JOURNAL_KEY_MAX ||
        change->value_size > SL_JOURNAL_VALUE_MAX) {
        return sl_fail(err, SL_LIMIT, "a journal record of %zu bytes is over the limit",
                       change->value_size);
    }
    struct journal_item item = {.change = *change};
    item.block = malloc(change->key_size + change->value_size + 1);
    if (!item.block) {
        return sl_fail(err, SL_NOMEM, "no memory for a journal record");
    }
    memcpy(item.block, change->key, change->key_size);
    item.change.key = item.block;
    if (change->value) {
        memcpy(item.block + change->key_size, change->value, change->value_size);
        item.change.value = item.block + change->key_size;
    }
    int rc = sl_mailbox_put(journal->queue, &item);
    if (rc) {
        free(item.block);
        return rc == -SL_CLOSED ? closed(journal, err)
                                : sl_fail(err, SL_AGAIN,
                                          "the disk does not keep up: %d journal records wait for "
                                          "it",
                                          JOURNAL_QUEUE_MAX);
    }
    return SL_OK;
}

void sl_journal_get_stats(struct sl_journal *journal, struct sl_journal_stats *ret_stats) {
    pthread_mutex_lock(&journal->lock);
    *ret_stats = journal->stats;
    pthread_mutex_unlock(&journal->lock);
}
