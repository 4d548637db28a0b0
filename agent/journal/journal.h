/* SPDX-License-Identifier: Apache-2.0
 * The agent's durable memory: an append-only file of checked batches in the data directory, read
 * as a map (space, key) -> value. It is what makes epochs fence, shares count and results survive.
 *
 * Durability. The loop queues changes with rising tickets; the journal's thread writes
 * everything queued as one batch with one fdatasync (group commit), then tells in the `done`
 * mailbox up to which ticket all is durable. The file is filled with zeros ahead of its end, so
 * that a commit changes no metadata and costs one bare fdatasync. What nobody waits for (results,
 * deletes) lingers a little for company, so that an epoch seldom meets a sync under way.
 *
 * Damage. A batch carries its number and CRC-32C sums and is written only after the one before it
 * is durable. So an incomplete last batch (a power failure; its missing sectors read as zeros) was
 * never promised to anybody and is cut. Anything else is damage: it is refused by file name and
 * offset, never skipped. A failed write or sync is final: the journal reports it and takes no more
 * (the kernel may have dropped the pages, so trying again would lie).
 *
 * Compaction writes the live records to a new file, syncs it, renames it over the old one and syncs
 * the directory. The directory is locked against a second agent.
 *
 * Thread: queue and close from one thread (the loop); everything else before start. */
#ifndef SLUICE_AGENT_JOURNAL_JOURNAL_H
#define SLUICE_AGENT_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/journal/record.h"
#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/mailbox.h"

/* File operations; injected so that a test or the simulator can fail each of them. All return a
 * negative errno on failure. */
struct sl_journal_ops {
    void *context;
    int (*open)(void *context, const char *path, int flags, int mode);
    int (*close)(void *context, int fd);
    int64_t (*size)(void *context, int fd);
    ssize_t (*read)(void *context, int fd, void *data, size_t size, int64_t offset);
    ssize_t (*write)(void *context, int fd, const void *data, size_t size, int64_t offset);
    int (*sync)(void *context, int fd); /* fdatasync, or fsync of a directory */
    int (*rename)(void *context, const char *from, const char *to);
    int (*make_dir)(void *context, const char *path, int mode);
    /* Exclusive, tried for wait_ms (0: once); -EWOULDBLOCK when it stays taken. */
    int (*lock)(void *context, int fd, int64_t wait_ms);
};
/* The real ones. */
const struct sl_journal_ops *sl_journal_file_ops(void);

struct sl_journal_config {
    const char *dir;                  /* created (0700) when absent */
    const struct sl_journal_ops *ops; /* NULL: the real ones */
    uint64_t compact_bytes;           /* not before the file has so many; 0: 16 MiB */
    uint64_t grow_bytes;              /* zeros ahead of the end; 0: 1 MiB */
    int64_t linger_ms;                /* of records that are not urgent; 0: 100 ms */
    int64_t lock_wait_ms;             /* for an agent that is ending (proto/base/lock.h) */
};

/* All tickets up to and including `ticket` are durable since `at`. A negative status is the end. */
struct sl_journal_done {
    uint64_t ticket;
    struct sl_mono at;
    int status;
    char text[SL_ERROR_TEXT_MAX]; /* of a failure: what to do */
};

struct sl_journal_stats {
    uint64_t batches; /* = fdatasyncs on the commit path */
    uint64_t records;
    uint64_t file_bytes; /* up to the end of the last batch */
    uint64_t live_bytes;
    uint64_t live_records;
    uint64_t compactions;
    uint64_t cut_bytes; /* of an incomplete last batch, found when opening */
};

struct sl_journal;

/* Locks the directory, checks the whole file, cuts an incomplete last batch. -SL_EXISTS: another
 * agent holds the directory. -SL_CORRUPT: damaged; the text names file and offset and says what may
 * be done. */
int sl_journal_open(const struct sl_journal_config *config, struct sl_journal **ret_journal,
                    struct sl_error *err);
/* Commits what is queued (unless it has failed), ends the thread, unlocks. Accepts NULL. */
void sl_journal_close(struct sl_journal *journal);
SL_DEFINE_AUTO(sl_journal, sl_journal_close)

typedef int (*sl_journal_visit_fn)(void *context, enum sl_journal_space space, const void *key,
                                   size_t key_size, const void *value, size_t value_size,
                                   struct sl_error *err);
/* Every live record, in the order of its last put. Before start. Ends at the first failure. */
int sl_journal_replay(struct sl_journal *journal, sl_journal_visit_fn visit, void *context,
                      struct sl_error *err);

/* `done` gets one sl_journal_done a batch; borrowed. Starts the thread, unless `threaded` is false:
 * then sl_journal_commit is called instead (simulator, tests). */
int sl_journal_start(struct sl_journal *journal, struct sl_mailbox *done, bool threaded,
                     struct sl_error *err);

/* One change: a put, or a delete where value is NULL. Deleting an absent key is allowed. */
struct sl_journal_change {
    enum sl_journal_space space;
    const void *key; /* [key_size], copied */
    size_t key_size;
    const void *value; /* [value_size], copied; NULL: delete */
    size_t value_size;
    uint64_t ticket; /* never lower than the one before */
    bool urgent;     /* somebody waits for it: commit at once */
};
/* -SL_AGAIN: the queue is full (the disk hangs); -SL_CLOSED: the journal failed before,
 * the text says of what; -SL_LIMIT: key or value too large. */
int sl_journal_queue(struct sl_journal *journal, const struct sl_journal_change *change,
                     struct sl_error *err);

/* Commits what is queued now; for a journal without a thread. True when there was something. */
bool sl_journal_commit(struct sl_journal *journal);

/* Of a moment ago; any thread. */
void sl_journal_get_stats(struct sl_journal *journal, struct sl_journal_stats *ret_stats);

#endif
