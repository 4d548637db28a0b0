/* SPDX-License-Identifier: Apache-2.0
 * Feeds that price the same thing, and what they are worth together (schedulers/quote.h). Feeds are
 * one group when role and, by role, algorithm, model or currency are the same; the group is known
 * by its first feed, which also keeps its memory. Of hashprices only sha256d's decides. */
#include <string.h>

#include "broker/core/core_internal.h"
#include "schedulers/opportunity.h"

#define DECIDING_ALGORITHM "sha256d"
#define NANO INT64_C(1000000000)

static const char *algorithm_of(const struct sl_core_feed *feed) {
    return feed->algorithm[0] != '\0' ? feed->algorithm : DECIDING_ALGORITHM;
}

static bool same_group(const struct sl_core_feed *a, const struct sl_core_feed *b) {
    if (a->role != b->role) {
        return false;
    }
    switch (a->role) {
    case SL_FEED_HASHPRICE:
        return strcmp(algorithm_of(a), algorithm_of(b)) == 0;
    case SL_FEED_LEASE_REF:
        return strcmp(a->model, b->model) == 0;
    case SL_FEED_CURRENCY:
        return strcmp(a->currency, b->currency) == 0;
    case SL_FEED_POWER:
    case SL_FEED_CARBON:
    case SL_FEED_INVALID:
    default:
        return true;
    }
}

uint32_t sl_core_group(const struct sl_broker_core *core, uint32_t feed) {
    for (uint32_t i = 0; i < feed; i++) {
        if (same_group(&core->config.feeds[i], &core->config.feeds[feed])) {
            return i;
        }
    }
    return feed;
}

uint32_t sl_core_group_of_role(const struct sl_broker_core *core, enum sl_feed_role role) {
    for (uint32_t i = 0; i < core->config.feed_count; i++) {
        const struct sl_core_feed *feed = &core->config.feeds[i];
        if (feed->role == role &&
            (role != SL_FEED_HASHPRICE || strcmp(algorithm_of(feed), DECIDING_ALGORITHM) == 0)) {
            return i;
        }
    }
    return SL_CORE_NONE;
}

static bool is_foreign(const struct sl_core_feed *feed) {
    return feed->currency[0] != '\0' && strcmp(feed->currency, "USD") != 0 &&
           feed->role != SL_FEED_CURRENCY && feed->role != SL_FEED_CARBON;
}

/* USD for one unit of the currency, x 1e9; false while there is no trusted price of it. */
bool sl_core_currency(const struct sl_broker_core *core, const char *currency,
                      int64_t *ret_rate_nano) {
    if (currency[0] == '\0' || strcmp(currency, "USD") == 0) {
        *ret_rate_nano = NANO;
        return true;
    }
    for (uint32_t i = 0; i < core->config.feed_count; i++) {
        const struct sl_core_feed *feed = &core->config.feeds[i];
        if (feed->role == SL_FEED_CURRENCY && strcmp(feed->currency, currency) == 0) {
            struct sl_core_quote quote;
            sl_core_quote(core, i, &quote);
            *ret_rate_nano = quote.result.value_nano;
            return quote.result.hold == SL_QUOTE_GOOD;
        }
    }
    return false;
}

static struct sl_quote_source source_of(const struct sl_broker_core *core, uint32_t index) {
    const struct sl_core_feed_state *feed = &core->feeds[index];
    struct sl_quote_source source = {.value_nano = feed->value_nano};
    int64_t rate = NANO;
    if (!feed->known) {
        source.why = feed->wrong ? SL_QUOTE_WRONG : SL_QUOTE_SILENT;
    } else if (sl_core_feed_stale(core, feed, core->now.wall)) {
        source.why = feed->wrong ? SL_QUOTE_WRONG : SL_QUOTE_OLD;
    } else if (is_foreign(&feed->config)) {
        if (sl_core_currency(core, feed->config.currency, &rate)) {
            sl_i128 usd = (sl_i128)feed->value_nano * rate / NANO;
            source.value_nano = usd > INT64_MAX   ? INT64_MAX
                                : usd < INT64_MIN ? INT64_MIN
                                                  : (int64_t)usd;
        } else {
            source.why = SL_QUOTE_NO_CURRENCY;
        }
    }
    return source;
}

/* Electricity is free, and less than free, on ordinary days, and its spikes are what curtailment is
 * for: one alone is believed at once, and small differences around zero are none. Rates of a GPU or
 * a grid's carbon decide nothing. */
static struct sl_quote_limits limits_of(const struct sl_broker_core *core, enum sl_feed_role role) {
    struct sl_quote_limits limits = core->config.quote;
    if (role != SL_FEED_HASHPRICE && role != SL_FEED_CURRENCY) {
        limits.jump_ppm = 0;
    }
    if (role != SL_FEED_POWER) {
        limits.floor_nano = 0;
    }
    return limits;
}

static int64_t now_ms(const struct sl_broker_core *core) {
    return core->now.mono.ns / SL_NS_PER_MS;
}

void sl_core_quote(const struct sl_broker_core *core, uint32_t group,
                   struct sl_core_quote *ret_quote) {
    struct sl_core_quote quote = {.group = group};
    const struct sl_core_feed_state *first = &core->feeds[group];
    for (uint32_t i = group; i < core->config.feed_count; i++) {
        if (same_group(&first->config, &core->config.feeds[i])) {
            quote.feed[quote.count] = i;
            quote.sources[quote.count++] = source_of(core, i);
        }
    }
    struct sl_quote_limits limits = limits_of(core, first->config.role);
    sl_quote_judge(&limits, &first->quote, now_ms(core), quote.sources, quote.count, &quote.result);
    quote.trusted_before = first->quote.trusted;
    *ret_quote = quote;
}

static void learn(struct sl_broker_core *core, bool currencies) {
    for (uint32_t i = 0; i < core->config.feed_count; i++) {
        enum sl_feed_role role = core->config.feeds[i].role;
        if ((role == SL_FEED_CURRENCY) != currencies || sl_core_group(core, i) != i) {
            continue;
        }
        struct sl_core_quote quote;
        sl_core_quote(core, i, &quote);
        struct sl_quote_limits limits = limits_of(core, role);
        enum sl_quote_why before = core->feeds[i].hold;
        sl_quote_learn(&limits, &quote.result, now_ms(core), &core->feeds[i].quote);
        core->feeds[i].hold = quote.result.hold;
        if (before != quote.result.hold && quote.result.hold >= SL_QUOTE_DISAGREE) {
            sl_core_log(core, SL_LOG_WARN, "feed.hold",
                        "feeds of %s's kind: %s: prices move nothing", core->config.feeds[i].id,
                        sl_quote_words(quote.result.hold));
        }
    }
}

void sl_core_quotes_learn(struct sl_broker_core *core) {
    core->price_moment++;
    learn(core, true); /* the others are converted by them */
    learn(core, false);
    core->price_moment++;
}

/* Nothing was ever trusted: what was said last, marked as stale. */
static bool newest_said(const struct sl_broker_core *core, const struct sl_core_quote *quote,
                        int64_t *ret_value) {
    const struct sl_core_feed_state *newest = NULL;
    for (uint32_t i = 0; i < quote->count; i++) {
        const struct sl_core_feed_state *feed = &core->feeds[quote->feed[i]];
        if (feed->known && (!newest || feed->as_of.ms > newest->as_of.ms)) {
            newest = feed;
            *ret_value = quote->sources[i].value_nano;
        }
    }
    return newest != NULL;
}

static enum sl_core_known judged(const struct sl_broker_core *core, enum sl_feed_role role,
                                 int64_t *ret_value) {
    uint32_t group = sl_core_group_of_role(core, role);
    struct sl_core_quote quote;
    if (group == SL_CORE_NONE) {
        return SL_KNOWN_NO;
    }
    sl_core_quote(core, group, &quote);
    if (quote.result.hold == SL_QUOTE_GOOD) {
        *ret_value = quote.result.value_nano;
        return SL_KNOWN_FRESH;
    }
    if (quote.trusted_before) {
        *ret_value = quote.result.value_nano;
        return SL_KNOWN_STALE;
    }
    return newest_said(core, &quote, ret_value) ? SL_KNOWN_STALE : SL_KNOWN_NO;
}

enum sl_core_known sl_core_trusted(const struct sl_broker_core *core, enum sl_feed_role role,
                                   int64_t *ret_value) {
    struct sl_core_believed *believed = &core->believed[role];
    if (believed->moment != core->price_moment) {
        believed->value = 0;
        believed->known = (uint8_t)judged(core, role, &believed->value);
        believed->moment = core->price_moment;
    }
    if (believed->known != SL_KNOWN_NO) {
        *ret_value = believed->value;
    }
    return (enum sl_core_known)believed->known;
}
