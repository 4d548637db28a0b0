/* SPDX-License-Identifier: Apache-2.0
 * Reading settlements and what the shares of a span were quoted at. Thread: the reader's. Errors:
 * negative, with a text that says what to do. */
#ifndef SLUICE_BROKER_STORE_SETTLEMENTS_H
#define SLUICE_BROKER_STORE_SETTLEMENTS_H

#include "broker/store/store.h"

/* Fills in quoted_nusd, late_nusd, share_seq and takes_late of rows that are to be imported, in one
 * view of the store; *ret_high: the newest settlement in it. */
int sl_reader_quoted(struct sl_reader *r, struct sl_settlement_row *rows, uint32_t count,
                     uint64_t *ret_high, struct sl_error *err);
/* struct sl_settlement_row above `after`, oldest first. */
int sl_reader_settlements(struct sl_reader *r, uint64_t after, uint32_t limit, sl_row_cb cb,
                          void *arg, struct sl_error *err);

#endif
