/* SPDX-License-Identifier: Apache-2.0
 * The journal's file format, its index of live records, and the parts that share them.
 *
 * File, all integers little-endian:
 *   head, 64 bytes: "SLJRNL\0\1", u32 CRC-32C of those 8 bytes, zeros.
 *   batch*, each aligned to 64 bytes:
 *     head, 64 bytes: u32 magic, u32 payload bytes (multiple of 64), u64 number (1, 2, ...),
 *       u32 count of records, u32 CRC-32C of the payload, zeros, u32 CRC-32C of the 60 bytes before
 *     payload: records, then zeros up to the multiple of 64
 *   record: u8 op (1 put, 2 delete), u8 space, u16 key size, u32 value size, key, value
 *   zeros to the end of the file.
 * 64 divides the sector and its halves, so a batch's head is never cut by an incomplete write: that
 * leaves whole sectors, or halves of one, of zeros. */
#ifndef SLUICE_AGENT_JOURNAL_JOURNAL_INTERNAL_H
#define SLUICE_AGENT_JOURNAL_JOURNAL_INTERNAL_H

#include <pthread.h>

#include "agent/journal/journal.h"
#include "proto/base/text.h"

#define JOURNAL_UNIT 64
#define JOURNAL_TEAR 256 /* what an unfinished write leaves undone is so long, and so aligned */
#define JOURNAL_RECORD_HEAD 8
#define JOURNAL_BATCH_MAGIC 0x4C534A42u
#define JOURNAL_BATCH_MAX (44u << 20) /* payload; a batch may pass 4 MiB by one record */
#define JOURNAL_BATCH_WANTED (4u << 20)

enum journal_op { JOURNAL_PUT = 1, JOURNAL_DELETE = 2 };

/* One record as it stands in a payload; pointers into it. */
struct journal_record {
    enum journal_op op;
    enum sl_journal_space space;
    const uint8_t *key;
    size_t key_size;
    const uint8_t *value;
    size_t value_size;
};

/* ---- index.c: the live puts by (space, key) ---- */

struct journal_entry {
    struct journal_entry *next; /* in its bucket */
    int64_t offset;             /* of the record in the file */
    uint32_t bytes;             /* of the record */
    uint16_t key_size;
    uint8_t space;
    uint8_t key[];
};

struct journal_index {
    struct journal_entry **buckets;
    size_t bucket_count; /* power of two */
    size_t count;
    uint64_t bytes; /* sum of the live records */
};

int journal_index_init(struct journal_index *index, struct sl_error *err);
void journal_index_fini(struct journal_index *index);
/* Puts or deletes; `offset` is where the record stands. -SL_NOMEM. */
int journal_index_apply(struct journal_index *index, const struct journal_record *record,
                        int64_t offset, struct sl_error *err);
/* All entries by offset; malloc'ed array of index->count pointers. NULL: no memory. */
struct journal_entry **journal_index_sorted(const struct journal_index *index);

/* ---- format.c ---- */

void journal_file_head(uint8_t head[JOURNAL_UNIT]);
bool journal_file_head_ok(const uint8_t head[JOURNAL_UNIT]);
/* 0: not the head of a journal, of whatever version. */
int journal_file_version(const uint8_t head[JOURNAL_UNIT]);
#define JOURNAL_VERSION 1

struct journal_batch {
    uint64_t number;
    uint32_t payload_bytes;
    uint32_t record_count;
    uint32_t payload_crc;
};
/* False: not a sound batch head. */
bool journal_batch_decode(const uint8_t head[JOURNAL_UNIT], struct journal_batch *ret_batch);
/* `batch` holds room for the head and then records; pads it and fills the head in. */
void journal_batch_seal(struct sl_buf *batch, uint64_t number, uint32_t record_count);
void journal_record_append(struct sl_buf *batch, const struct journal_record *record);
/* The record at *offset of the payload; false when it is malformed. Moves *offset on. */
bool journal_record_next(const uint8_t *payload, size_t size, size_t *offset,
                         struct journal_record *ret_record);

/* ---- one open file ---- */

struct journal_file {
    const struct sl_journal_ops *ops;
    int fd;          /* -1: none */
    int64_t end;     /* of the last batch */
    int64_t size;    /* zeros reach to here */
    uint64_t number; /* of the last batch */
};

/* Loops over short transfers. */
int journal_file_write(struct journal_file *file, const void *data, size_t size, int64_t offset,
                       struct sl_error *err);
/* What is not there (beyond the end) reads as zeros. */
int journal_file_read(const struct journal_file *file, void *data, size_t size, int64_t offset,
                      struct sl_error *err);
/* Writes zeros up to `size` and syncs. */
int journal_file_grow(struct journal_file *file, int64_t size, struct sl_error *err);

/* scan.c: checks the file from its head and fills index, end, number. *ret_cut: bytes of an
 * incomplete last batch behind the end (the caller must not append then, but compact). */
int journal_scan(const char *path, struct journal_file *file, struct journal_index *index,
                 uint64_t *ret_cut, struct sl_error *err);

struct journal_item {
    struct sl_journal_change change; /* key and value point into `block` */
    uint8_t *block;                  /* malloc'ed */
};

struct sl_journal {
    const struct sl_journal_ops *ops;
    struct sl_buf dir;
    uint64_t compact_bytes, grow_bytes;
    int64_t linger_ns;
    int lock_fd;
    struct journal_file file;
    struct journal_index index;
    struct sl_mailbox *queue; /* of struct journal_item */
    struct sl_mailbox *done;  /* borrowed */
    pthread_t thread;
    bool threaded;
    bool started;
    uint64_t compact_next;            /* file bytes at which compaction is tried */
    struct journal_item *batch_items; /* [JOURNAL_BATCH_ITEMS], of the batch being gathered */
    pthread_mutex_t lock;             /* of what follows */
    bool failed;
    char reason[SL_ERROR_TEXT_MAX]; /* of the failure */
    struct sl_journal_stats stats;
};

#define JOURNAL_QUEUE_MAX 32768 /* one acknowledgement may bring 8192 deletes */
#define JOURNAL_BATCH_ITEMS 1024

/* compact.c: live records into a new file that replaces the present one. On failure the old file is
 * untouched and still in use, unless *ret_fatal. Also makes the first file. */
int journal_compact(struct sl_journal *journal, bool *ret_fatal, struct sl_error *err);
/* "DIR/name" into a buffer that the caller ends. */
void journal_path(const struct sl_journal *journal, const char *name, struct sl_buf *ret_path);

#endif
