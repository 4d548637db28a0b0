/* SPDX-License-Identifier: Apache-2.0
 * Price sources: three hashprices of one market and a tariff, each saying every few seconds what it
 * costs, lying, jumping or falling silent when struck. Beside it, what an honest reader may take
 * from it. */
#include <string.h>

#include "tests/sim/internal.h"

#define EVERY_NS (10 * SL_NS_PER_S)
#define AGE_MAX_MS 60000
#define HASHPRICE INT64_C(45000000000) /* 45 USD a PH/s and day */
#define TARIFF INT64_C(60000000)       /* 0.06 USD a kWh */

static int64_t walk(struct sim *sim, int64_t value, int64_t base, int64_t step) {
    value += sim_range(&sim->rng, -step, step);
    int64_t low = base / 3;
    int64_t high = base * 3;
    return value < low ? low : value > high ? high : value;
}

/* The value of this moment. Sources of the hashprice look at one market, each a little askew, so
 * that no two say the same to the last digit. */
static int64_t value_now(struct sim *sim, uint32_t i) {
    struct sim_feed *feed = &sim->feeds[i];
    if (i >= SIM_HASH_FEEDS) {
        feed->value_nano = walk(sim, feed->value_nano, feed->base_nano, feed->base_nano / 50);
        return feed->value_nano;
    }
    sim->market_nano = walk(sim, sim->market_nano, HASHPRICE, HASHPRICE / 100);
    int64_t askew = sim->market_nano / 100;
    return sim->market_nano + sim_range(&sim->rng, -askew, askew);
}

static void speak(struct sim *sim, struct sim_event *event) {
    uint32_t i = (uint32_t)event->a;
    struct sim_feed *feed = &sim->feeds[i];
    struct sl_core_event out = {.kind = SL_CEV_PRICE, .feed = i, .price_ok = true};
    struct sl_wall wall = sim_host_now(sim, SIM_BROKER).wall;
    out.value_nano = value_now(sim, i);
    out.as_of = wall;
    if (feed->stale_until_ns > sim->now_ns) {
        sim_count(sim, SIM_FEED_STALE);
        out.kind = SL_CEV_INVALID; /* nothing new is said */
    } else if (feed->lie_until_ns > sim->now_ns) {
        sim_count(sim, SIM_FEED_LIE);
        out.price_ok = sim_chance(&sim->rng, 500000) && i < SIM_HASH_FEEDS;
        out.value_nano = out.price_ok ? -out.value_nano : 0;
        sl_text_copy(out.text, sizeof out.text, "the source says nonsense");
    } else if (feed->future_until_ns > sim->now_ns) {
        sim_count(sim, SIM_FEED_FUTURE);
        out.as_of.ms += 3600000;
    } else if (feed->jump_until_ns > sim->now_ns) {
        sim_count(sim, SIM_FEED_JUMP);
        out.value_nano = sim_chance(&sim->rng, 500000) ? out.value_nano * 10 : out.value_nano / 10;
    }
    sim_power_feed(sim, i, &out); /* a spike that the strike prices are for */
    const struct sim_host *host = &sim->hosts[SIM_BROKER];
    if (out.kind == SL_CEV_PRICE && host->up && host->paused_until_ns <= sim->now_ns) {
        bool good = out.price_ok && out.value_nano >= 0 && out.as_of.ms == wall.ms;
        feed->known = feed->known || good;
        feed->wrong = !good;
        feed->as_of_ms = good ? out.as_of.ms : feed->as_of_ms;
        if (good && i == SIM_FEEDS - 1) {
            sim_check_power_price(sim, out.value_nano);
        }
        feed->said_nano = good ? out.value_nano : feed->said_nano;
        if (good) {
            sim_check_hashprice(sim);
        }
        sim_broker_step(sim, &out);
    }
    sim_at(sim, sim->now_ns + EVERY_NS + sim_range(&sim->rng, 0, SL_NS_PER_S), speak, SIM_NOBODY, i,
           0);
}

void sim_feeds_start(struct sim *sim) {
    sim->market_nano = HASHPRICE;
    for (uint32_t i = 0; i < SIM_FEEDS; i++) {
        struct sim_feed *feed = &sim->feeds[i];
        feed->base_nano = i < SIM_HASH_FEEDS ? HASHPRICE : TARIFF;
        feed->value_nano = feed->base_nano;
        feed->age_max_ms = AGE_MAX_MS;
        sim_at(sim, sim_range(&sim->rng, 10, 500) * SL_NS_PER_MS, speak, SIM_NOBODY, i, 0);
    }
}

void sim_feeds_forget(struct sim *sim) {
    for (uint32_t i = 0; i < SIM_FEEDS; i++) {
        sim->feeds[i].known = false;
        sim->feeds[i].wrong = false;
    }
    memset(&sim->belief, 0, sizeof sim->belief);
}

bool sim_feed_is_fresh(const struct sim *sim, uint32_t feed, int64_t wall_ms) {
    const struct sim_feed *f = &sim->feeds[feed];
    return f->known && !f->wrong && wall_ms - f->as_of_ms <= f->age_max_ms;
}

void sim_feeds_strike(struct sim *sim, enum sim_fault fault, int64_t until_ns) {
    /* Any of them, or all: one alone is outvoted, two outvote the third. */
    bool all = sim_chance(&sim->rng, 400000);
    uint32_t some = (uint32_t)sim_range(&sim->rng, 1, (1 << SIM_FEEDS) - 1);
    for (uint32_t i = 0; i < SIM_FEEDS; i++) {
        struct sim_feed *feed = &sim->feeds[i];
        if (!all && !(some & (1u << i))) {
            continue;
        }
        *(fault == SIM_FEED_LIE     ? &feed->lie_until_ns
          : fault == SIM_FEED_STALE ? &feed->stale_until_ns
          : fault == SIM_FEED_JUMP  ? &feed->jump_until_ns
                                    : &feed->future_until_ns) = until_ns;
    }
}
