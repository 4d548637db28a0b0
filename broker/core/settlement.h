/* SPDX-License-Identifier: Apache-2.0
 * Settlements: plain records that core, store and HTTP share. Money is integer nano-USD, amounts in
 * another currency x 1e9; times are wall ms. No ownership, but for a whole import, which is one
 * malloc'ed block that moves with its event. */
#ifndef SLUICE_BROKER_CORE_SETTLEMENT_H
#define SLUICE_BROKER_CORE_SETTLEMENT_H

#include "proto/base/clock.h"
#include "proto/wire/msg.h"

#define SL_SETTLE_ROWS_MAX 1000 /* of one import */
#define SL_SETTLE_ACTOR_MAX 40  /* SL_ID_MAX of types.h, which includes this */

/* What a pool really credited for a span, in place of what its shares were quoted at. */
struct sl_settlement_row {
    uint64_t id;                          /* rising by one */
    uint32_t line;                        /* of the file it came from; not stored */
    char scope[SL_MSG_NAME_MAX];          /* a node's name, or "*": the whole site */
    char pool[64];                        /* as the file named it; may be empty */
    char only_pool[SL_MSG_POOL_NAME_MAX]; /* that name, if shares are booked under it: then only
                                             those are meant; empty: all of the scope */
    struct sl_wall from, to;              /* [from, to) */
    int64_t amount_nano;                  /* in `currency` x 1e9 */
    char currency[8];
    int64_t rate_nano; /* USD for one of it, x 1e9, at the import */
    int64_t settled_nusd;
    int64_t quoted_nusd; /* of the shares of the span */
    int64_t late_nusd;   /* of shares of earlier settled spans that came after their import */
    bool takes_late;     /* such shares are in it: the first of its scope in an import */
    uint64_t share_seq;  /* shares up to this row of the store are looked at */
    char actor[SL_SETTLE_ACTOR_MAX];
    struct sl_wall at;
};

/* One import, malloc'ed in one block. The figures of the shares come from the store. */
struct sl_core_settle {
    bool check;    /* only say whether it would be taken */
    uint64_t high; /* newest settlement that those figures take into account */
    uint32_t count;
    struct sl_settlement_row rows[]; /* [count] */
};

#endif
