/* SPDX-License-Identifier: Apache-2.0
 * What a price means and where it comes from: part of core.h. Plain records. */
#ifndef SLUICE_BROKER_CORE_FEED_H
#define SLUICE_BROKER_CORE_FEED_H

#include <stdint.h>

enum sl_feed_role { /* what a value means; a bare number is never a price (design 5) */
                    SL_FEED_INVALID = 0,
                    SL_FEED_HASHPRICE, /* per PH/s per day, of one algorithm */
                    SL_FEED_POWER,     /* per kWh */
                    SL_FEED_LEASE_REF, /* per GPU-hour, shown beside bids */
                    SL_FEED_CURRENCY,  /* USD for one unit of `currency` */
                    SL_FEED_CARBON,    /* grams of CO2 (equivalents) per kWh */
};

struct sl_core_feed {
    char id[32];
    enum sl_feed_role role;
    int64_t age_max_ms;
    char currency[8];   /* of the value: "USD", "BTC", "GBP"; of a CURRENCY feed: what it prices;
                           empty: USD (or no money, CARBON) */
    char algorithm[16]; /* HASHPRICE: "sha256d"; empty means that too */
    char model[48];     /* LEASE_REF: of the GPU, as its source names it; else empty */
};

#endif
