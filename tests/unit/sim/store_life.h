/* SPDX-License-Identifier: Apache-2.0
 * A broker's life as its store sees it: numbered transactions of all kinds, each a function of its
 * number and of what the ones before it counted, and a digest of all that the store holds. */
#ifndef SLUICE_TESTS_STORE_LIFE_H
#define SLUICE_TESTS_STORE_LIFE_H

#include "broker/store/store.h"

/* What rises from one transaction to the next. */
struct life_counters {
    uint64_t epoch;
    uint64_t unit;
    uint64_t transfer;
    uint64_t share;
    uint32_t line;
    int64_t billed_nusd;
    struct sl_pool_row pool;
};

/* Transaction n; moves the counters on. It also puts n into the meta "last". */
struct sl_txn *life_txn(uint64_t n, struct life_counters *counters);
/* Number of the last transaction that is there; 0: none. */
uint64_t life_last(struct sl_reader *reader);
/* Of every row of every table that a life writes. */
uint64_t life_digest(struct sl_reader *reader);

#endif
