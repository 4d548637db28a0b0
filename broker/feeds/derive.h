/* SPDX-License-Identifier: Apache-2.0
 * Figures that no source answers but that follow from those it does. Thread: any; pure. */
#ifndef SLUICE_BROKER_FEEDS_DERIVE_H
#define SLUICE_BROKER_FEEDS_DERIVE_H

#include <stdbool.h>

#include "broker/feeds/number.h"

struct sl_feed_bitcoin {
    struct sl_feed_number difficulty;
    struct sl_feed_number reward; /* satoshi of all these blocks together, fees included */
    struct sl_feed_number first_block;
    struct sl_feed_number last_block; /* included */
    bool has_price;
    struct sl_feed_number price; /* of one BTC */
};

/* BTC, or where there is a price its currency, for one PH/s in one day: a hash is a block with the
 * chance 1 / (difficulty x 2^32). */
int sl_feed_bitcoin_hashprice(const struct sl_feed_bitcoin *in, struct sl_feed_number *ret_per_ph,
                              struct sl_error *err);

#endif
