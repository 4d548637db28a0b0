/* SPDX-License-Identifier: Apache-2.0
 * Looking at the store's write-ahead log before SQLite does. SQLite ends its reading at the first
 * frame that does not fit and drops what stands behind it: right after a power failure, wrong after
 * damage, since whole acknowledged transactions would go without a word.
 *
 * The two are told apart by what a power failure can leave. The log is synced at the end of every
 * transaction (synchronous=FULL), so nothing of the next one is written before the last is durable:
 * only the last transaction can be torn. Each frame's sum continues the sum of the frame before it;
 * so a frame that continues a commit was written after it, and all before it was durable then. A
 * bad frame in front of such a pair is damage. In the last transaction one flipped bit is turned
 * back when all of the transaction is there then: the frame's 64-bit sum says which bit. (When
 * several bits would do, the store is refused.) Whatever else is wrong with the last transaction
 * looks as if it had been torn, and is dropped as SQLite would.
 *
 * Thread: any; before the store is opened. */
#ifndef SLUICE_BROKER_STORE_WAL_VIEW_H
#define SLUICE_BROKER_STORE_WAL_VIEW_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/error.h"

#define SL_WAL_HEAD_BYTES 32
#define SL_WAL_FRAME_HEAD_BYTES 24

struct sl_wal_view {
    sqlite3_file *file; /* borrowed; NULL: there is no log */
    const char *path;
    int64_t size;
    uint32_t room; /* frames that the file has place for */
    bool big_endian;
    bool head_bad; /* the log's head is damaged: frames below are what it would have held */
    uint32_t salt[2];
    uint32_t frame_count; /* of whole transactions */
    uint32_t page_count;  /* of the store after the last one; 0: no transaction */
    uint32_t map_count;
    uint32_t *map; /* [map_count] by page number - 1: the last frame that holds it, 0: none */
};

/* Reads and judges. -SL_CORRUPT names file, byte and what is wrong. */
int sl_wal_view_read(struct sl_wal_view *view, sqlite3_file *file, const char *path,
                     struct sl_error *err);
void sl_wal_view_fini(struct sl_wal_view *view);
/* The last frame that holds a page, 0: none. */
uint32_t sl_wal_view_frame(const struct sl_wal_view *view, uint32_t page);
int sl_wal_view_page(const struct sl_wal_view *view, uint32_t frame, uint8_t *ret_page,
                     struct sl_error *err);

#endif
