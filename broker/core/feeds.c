/* SPDX-License-Identifier: Apache-2.0
 * Prices: what was read, how old it is, what it means. A value that cannot be right is not used,
 * and the feed says why: until a good one comes it counts as stale. What several sources are worth
 * together is trust.c's. A source that cannot be reached has said nothing wrong: its last value
 * goes on until its age limit. */
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"
#include "schedulers/opportunity.h"

#define FUTURE_MS 60000 /* clocks of price sources are not ours */
#define STORE_EVERY_MS 60000

bool sl_core_feed_stale(const struct sl_broker_core *core, const struct sl_core_feed_state *feed,
                        struct sl_wall now) {
    (void)core;
    bool old = feed->config.age_max_ms > 0 && now.ms - feed->as_of.ms > feed->config.age_max_ms &&
               !SL_MUTANT(stale_feed_used);
    return feed->known && (old || (feed->wrong && !SL_MUTANT(wrong_feed_used)));
}

/* What the sources say, before what pools really pay is taken into account. */
static enum sl_core_known quoted(const struct sl_broker_core *core, int64_t *ret_price) {
    int64_t value = 0;
    enum sl_core_known known = sl_core_trusted(core, SL_FEED_HASHPRICE, &value);
    if (known != SL_KNOWN_NO) {
        *ret_price = sl_opportunity_hash_price(value, core->config.hash_factor_milli);
    }
    return known;
}

enum sl_core_known sl_core_hashprice(const struct sl_broker_core *core, int64_t *ret_price) {
    enum sl_core_known known = quoted(core, ret_price);
    if (known != SL_KNOWN_NO) {
        *ret_price = sl_core_calibrated(core, *ret_price);
    }
    return known;
}

enum sl_core_known sl_core_carbon(const struct sl_broker_core *core, int64_t *ret_nano_g) {
    return sl_core_trusted(core, SL_FEED_CARBON, ret_nano_g);
}

enum sl_core_known sl_core_tariff(const struct sl_broker_core *core, int64_t *ret_price) {
    if (sl_core_power_tariff(core, ret_price)) { /* by the time of day */
        return SL_KNOWN_FRESH;
    }
    if (core->config.power_nusd_per_kwh >= 0) {
        *ret_price = core->config.power_nusd_per_kwh;
        return SL_KNOWN_FRESH;
    }
    enum sl_core_known known = sl_core_trusted(core, SL_FEED_POWER, ret_price);
    if (known != SL_KNOWN_NO) {
        return known;
    }
    /* A tariff that is to come from a feed and has not come yet is missing; without such a feed
     * power has no price at all. */
    for (uint32_t i = 0; i < core->config.feed_count; i++) {
        if (core->feeds[i].config.role == SL_FEED_POWER) {
            return SL_KNOWN_STALE;
        }
    }
    return SL_KNOWN_NO;
}

bool sl_core_hashprice_at(const struct sl_broker_core *core, uint64_t age_ms, int64_t *ret_price) {
    if (core->history_count == 0) {
        return false;
    }
    int64_t at_ns = core->now.mono.ns - (int64_t)age_ms * SL_NS_PER_MS;
    uint32_t kept = core->history_count < SL_CORE_HISTORY ? core->history_count : SL_CORE_HISTORY;
    uint32_t oldest = core->history_count - kept;
    uint32_t found = oldest; /* nothing so old is remembered: the oldest that is */
    for (uint32_t i = core->history_count; i > oldest; i--) {
        if (core->history[(i - 1) % SL_CORE_HISTORY].mono_ns <= at_ns) {
            found = i - 1;
            break;
        }
    }
    *ret_price = core->history[found % SL_CORE_HISTORY].price;
    return true;
}

static void push_history(struct sl_broker_core *core, int64_t mono_ns, int64_t price) {
    uint32_t count = core->history_count;
    core->history[count % SL_CORE_HISTORY].mono_ns = mono_ns;
    core->history[count % SL_CORE_HISTORY].price = price;
    /* Far from wrapping, but a ring's count must keep its meaning if it ever did. */
    core->history_count = count + 1 == UINT32_MAX ? SL_CORE_HISTORY : count + 1;
}

/* While no price is trusted, the last one that was goes on: another feed's word (a tariff) must not
 * put a stale one in its place. Shares are credited at what was quoted: what a pool paid comes with
 * its settlement, and the ratio of both is the calibration. */
static void remember(struct sl_broker_core *core) {
    int64_t price = 0;
    uint32_t count = core->history_count;
    if (quoted(core, &price) != SL_KNOWN_FRESH ||
        (count > 0 && core->history[(count - 1) % SL_CORE_HISTORY].price == price)) {
        return;
    }
    push_history(core, core->now.mono.ns, price);
    sl_core_op_meta(core, "hashprice", "%lld", (long long)price);
}

int sl_core_hashprice_restore(struct sl_broker_core *core, const char *value) {
    sl_i128 price = 0;
    if (sl_i128_parse(value, &price) || price < 0 || price > INT64_MAX) {
        return -SL_CORRUPT;
    }
    push_history(core, INT64_MIN, (int64_t)price);
    return SL_OK;
}

static const char *refuse(const struct sl_broker_core *core, const struct sl_core_event *event,
                          const struct sl_core_feed_state *feed) {
    if (!event->price_ok) {
        return event->text[0] ? event->text : "no value could be read";
    }
    if (event->value_nano < 0 && feed->config.role != SL_FEED_POWER) {
        return "the value is negative";
    }
    if (event->as_of.ms > core->now.wall.ms + FUTURE_MS && !SL_MUTANT(future_price_taken)) {
        return "the value is dated in the future: check the clocks";
    }
    return NULL;
}

static void store(struct sl_broker_core *core, struct sl_core_feed_state *feed) {
    bool same = feed->stored.ms != 0 && feed->stored_nano == feed->value_nano &&
                core->now.wall.ms - feed->stored.ms < STORE_EVERY_MS;
    if (same) {
        return;
    }
    feed->stored_nano = feed->value_nano;
    feed->stored = core->now.wall;
    struct sl_op op = {.kind = SL_OP_PRICE};
    sl_text_copy(op.price.feed, sizeof op.price.feed, feed->config.id);
    op.price.value_nano = feed->value_nano;
    op.price.as_of = feed->as_of;
    op.price.seen = core->now.wall;
    sl_core_op(core, &op);
}

void sl_core_feed_price(struct sl_broker_core *core, const struct sl_core_event *event) {
    if (event->feed >= core->config.feed_count) {
        return;
    }
    struct sl_core_feed_state *feed = &core->feeds[event->feed];
    const char *why = refuse(core, event, feed);
    if (why) {
        if (strcmp(feed->health, why) != 0) {
            sl_core_log(core, SL_LOG_WARN, "feed.bad", "feed=%s: %s", feed->config.id, why);
        }
        sl_text_copy(feed->health, sizeof feed->health, why);
        feed->wrong = feed->wrong || !event->price_unreachable;
        core->price_moment++;
        sl_core_arm(core);
        return;
    }
    sl_core_shadow_advance(core);
    feed->health[0] = '\0';
    feed->wrong = false;
    feed->known = true;
    feed->value_nano = event->value_nano;
    feed->as_of = event->as_of;
    core->price_moment++;
    sl_core_quotes_learn(core);
    store(core, feed);
    remember(core);
    sl_core_arm(core);
}
