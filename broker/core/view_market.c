/* SPDX-License-Identifier: Apache-2.0
 * Prices for people: what each kind is worth, which sources have a vote, and why others have not.
 */
#include <stdio.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"

static void say_why(const struct sl_broker_core *core, const struct sl_core_quote *quote,
                    uint32_t feed, enum sl_quote_why why, char *out, size_t size) {
    if (why == SL_QUOTE_NO_CURRENCY) {
        snprintf(out, size, "no fresh %s price", core->config.feeds[feed].currency);
    } else if (why == SL_QUOTE_JUMPED && !quote->trusted_before) {
        sl_text_copy(out, size, "speaks alone: waits for another to agree");
    } else {
        sl_text_copy(out, size, sl_quote_words(why));
    }
}

void sl_core_view_vote(const struct sl_broker_core *core, uint32_t index,
                       struct sl_view_feed *view) {
    struct sl_core_quote quote;
    sl_core_quote(core, sl_core_group(core, index), &quote);
    for (uint32_t i = 0; i < quote.count; i++) {
        if (quote.feed[i] == index) {
            enum sl_quote_why why = quote.sources[i].why;
            /* Without a majority even those that agree have no say. */
            why = why == SL_QUOTE_GOOD ? quote.result.hold : why;
            view->counts = why == SL_QUOTE_GOOD;
            view->in_usd = view->known && why != SL_QUOTE_NO_CURRENCY;
            say_why(core, &quote, index, why, view->out, sizeof view->out);
            view->usd_nano = quote.sources[i].value_nano;
        }
    }
}

bool sl_view_price_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                       struct sl_view_price *ret_view) {
    (void)now;
    uint32_t seen = 0;
    uint32_t group = 0;
    while (group < core->config.feed_count &&
           (sl_core_group(core, group) != group || seen++ != index)) {
        group++;
    }
    if (group == core->config.feed_count) {
        return false;
    }
    struct sl_core_quote quote;
    sl_core_quote(core, group, &quote);
    const struct sl_quote *result = &quote.result;
    struct sl_view_price view = {.feed = core->config.feeds[group],
                                 .known = result->hold == SL_QUOTE_GOOD || quote.trusted_before,
                                 .value_nano = result->value_nano,
                                 .sources = quote.count,
                                 .fresh = result->fresh,
                                 .agree = result->agree,
                                 .low_nano = result->low_nano,
                                 .high_nano = result->high_nano,
                                 .wait_ms = result->wait_ms,
                                 .factor_ppm = 1000000};
    say_why(core, &quote, group, result->hold, view.hold, sizeof view.hold);
    enum sl_feed_role role = view.feed.role;
    view.decides = (role == SL_FEED_HASHPRICE || role == SL_FEED_POWER) &&
                   sl_core_group_of_role(core, role) == group;
    if (view.decides && role == SL_FEED_HASHPRICE) {
        view.factor_ppm = sl_core_calibration_ppm(core);
    }
    *ret_view = view;
    return true;
}
