/* SPDX-License-Identifier: Apache-2.0
 * Units of price sources as text, "usd_per_ph_day": which role they fit, which currency they are
 * in, and by what a figure is multiplied to be in the role's own unit (broker/core/core.h), in the
 * same currency. Currencies are converted by the core, never here. Thread: any; pure. */
#ifndef SLUICE_BROKER_FEEDS_UNIT_H
#define SLUICE_BROKER_FEEDS_UNIT_H

#include "broker/core/core.h"
#include "broker/feeds/number.h"

#define SL_FEED_UNIT_MAX 48

struct sl_feed_unit {
    enum sl_feed_role role;
    char currency[8]; /* "USD"; CURRENCY: the one that is priced in USD; CARBON: empty */
    struct sl_feed_number scale;
};

/* -SL_INVALID: the text says what would fit the role. */
int sl_feed_unit_parse(const char *text, enum sl_feed_role role, struct sl_feed_unit *ret_unit,
                       struct sl_error *err);

/* The role's own unit in this currency: "btc_per_ph_day", as recordings name their column. */
const char *sl_feed_unit_name(const struct sl_feed_unit *unit, char out[SL_FEED_UNIT_MAX]);

#endif
