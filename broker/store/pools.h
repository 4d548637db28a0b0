/* SPDX-License-Identifier: Apache-2.0
 * Reading what was booked under each pool. Thread: the reader's. */
#ifndef SLUICE_BROKER_STORE_POOLS_H
#define SLUICE_BROKER_STORE_POOLS_H

#include "broker/store/store.h"

/* struct sl_pool_row, by name. */
int sl_reader_pools(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);

#endif
