/* SPDX-License-Identifier: Apache-2.0
 * Bounded mailbox of plain structs between two threads, many writers and one reader, FIFO.
 *
 * Items are copied by value (item_size bytes); pointers inside an item change owner with it. The
 * reader may be woken in two ways, both optional: a file descriptor (eventfd, level: readable while
 * items wait) for a loop, or a blocking wait for a worker. Thread: any. */
#ifndef SLUICE_PROTO_BASE_MAILBOX_H
#define SLUICE_PROTO_BASE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/cleanup.h"
#include "proto/base/error.h"

struct sl_mailbox;

int sl_mailbox_create(size_t item_size, size_t capacity, struct sl_mailbox **ret_box,
                      struct sl_error *err);
/* Items inside are dropped as bytes. Every put must have returned: that its item was taken is not
 * enough, since the reader is woken last. */
void sl_mailbox_destroy(struct sl_mailbox *box);
SL_DEFINE_AUTO(sl_mailbox, sl_mailbox_destroy)

/* SL_OK, -SL_AGAIN when full, -SL_CLOSED after sl_mailbox_close. */
int sl_mailbox_put(struct sl_mailbox *box, const void *item);
/* As put, but waits for room. */
int sl_mailbox_put_wait(struct sl_mailbox *box, const void *item);
/* True when an item was taken. */
bool sl_mailbox_take(struct sl_mailbox *box, void *ret_item);
/* Waits up to timeout_ns (< 0: for ever) for an item. SL_OK, -SL_TIMEOUT, or -SL_CLOSED once it is
 * closed and empty. */
int sl_mailbox_take_wait(struct sl_mailbox *box, int64_t timeout_ns, void *ret_item);
/* Wakes all waiters; put fails from now on, take still empties it. */
void sl_mailbox_close(struct sl_mailbox *box);
size_t sl_mailbox_count(struct sl_mailbox *box);
/* For poll/uv_poll: readable while the box is not empty or is closed. Owned by the box, made by the
 * first call, so that a box that nobody polls costs no system call; -1: no descriptor is left. */
int sl_mailbox_fd(struct sl_mailbox *box);

#endif
