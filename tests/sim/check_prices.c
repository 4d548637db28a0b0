/* SPDX-License-Identifier: Apache-2.0
 * Rule "prices":
 *  - No device is moved by a price that is not to be trusted: a move to or from hashing that prices
 *    caused happens only while the hashprice is one that an honest reader believes: most of three
 *    fresh sources agree, or both of two, or the only one says what is near what was believed, or
 *    has said it for long enough.
 *  - An accepted share is credited at the hashprice that was believed at the moment of the pool's
 *    answer.
 * The belief is worked out here by itself, for three sources at most. */
#include <string.h>

#include "tests/sim/internal.h"

#define CONFIRM_MS 40000

static bool within(int64_t value, int64_t of, int64_t percent) {
    int64_t apart = value > of ? value - of : of - value;
    return apart * 100 <= of * percent;
}

static bool is_near(int64_t a, int64_t b) {
    return a <= 2 * b && b <= 2 * a;
}

struct view {
    uint32_t fresh;
    int64_t said[SIM_HASH_FEEDS]; /* rising */
    bool believed;
    int64_t price;
};

static void look(const struct sim *sim, struct view *view) {
    int64_t wall_ms = sim_host_now(sim, SIM_BROKER).wall.ms;
    memset(view, 0, sizeof *view);
    for (uint32_t i = 0; i < SIM_HASH_FEEDS; i++) {
        if (!sim_feed_is_fresh(sim, i, wall_ms)) {
            continue;
        }
        uint32_t at = view->fresh++;
        for (; at > 0 && view->said[at - 1] > sim->feeds[i].said_nano; at--) {
            view->said[at] = view->said[at - 1];
        }
        view->said[at] = sim->feeds[i].said_nano;
    }
    const int64_t *said = view->said;
    if (view->fresh == 3) {
        bool low = within(said[0], said[1], 25);
        bool high = within(said[2], said[1], 25);
        view->believed = low || high;
        view->price = low && !high ? said[0] : said[1];
    } else if (view->fresh == 2) {
        view->believed = within(said[1], said[0], 10);
        view->price = said[0];
    } else if (view->fresh == 1) {
        bool stayed = sim->belief.waiting && is_near(said[0], sim->belief.level_nano) &&
                      sim_host_now(sim, SIM_BROKER).mono.ns / SL_NS_PER_MS - sim->belief.since_ms >=
                          CONFIRM_MS;
        view->believed = stayed || (sim->belief.known && is_near(said[0], sim->belief.nano));
        view->price = said[0];
    }
}

/* A good word of any feed makes the broker look at all of them. */
static bool look_and_learn(struct sim *sim, int64_t *ret_price) {
    struct view view;
    look(sim, &view);
    if (view.believed) {
        memset(&sim->belief, 0, sizeof sim->belief);
        sim->belief.known = true;
        sim->belief.nano = *ret_price = view.price;
        return true;
    }
    if (view.fresh != 1) {
        sim->belief.waiting = false;
    } else if (!sim->belief.waiting || !is_near(view.said[0], sim->belief.level_nano)) {
        sim->belief.waiting = true;
        sim->belief.level_nano = view.said[0];
        sim->belief.since_ms = sim_host_now(sim, SIM_BROKER).mono.ns / SL_NS_PER_MS;
    }
    return false;
}

static struct sim_watched *watched_of(struct sim *sim, const char *device) {
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        size_t length = strlen(sim->agents[i].node);
        if (strncmp(device, sim->agents[i].node, length) == 0 && device[length] == '/') {
            return &sim->agents[i].watched[(uint32_t)(device[length + 6] - '0') % SIM_DEVICES_MAX];
        }
    }
    return NULL;
}

static bool is_price_rule(const char *rule) {
    static const char *const rules[] = {"threshold", "band", "regret", "lease-enter",
                                        "lease-leave"};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(rule, rules[i]) == 0) {
            return true;
        }
    }
    return false;
}

void sim_check_decided(struct sim *sim, const struct sl_directive_row *row) {
    struct sim_watched *watched = watched_of(sim, row->device);
    sim_power_note(sim, row);
    struct view view;
    look(sim, &view);
    bool about_hash = row->mode == SL_MODE_HASH || (watched && watched->decided == SL_MODE_HASH);
    if (is_price_rule(row->rule) && about_hash && !view.believed) {
        sim_break(sim, "prices", "%s was moved to %s by a price that is not to be trusted",
                  row->device, sl_mode_name(row->mode));
    }
    if (watched && watched->unhealthy && row->mode != SL_MODE_IDLE) {
        sim_break(sim, "owner", "%s was given work (%s) though its agent says that it has failed",
                  row->device, sl_mode_name(row->mode));
    }
    if (watched) {
        watched->decided = row->mode;
    }
}

void sim_check_hashprice(struct sim *sim) {
    int64_t price = 0;
    if (!look_and_learn(sim, &price)) {
        return; /* the last price goes on */
    }
    /* The factor of a demo is in the price. */
    price = (int64_t)((sl_i128)price * sim->broker_config->hash_factor_milli / 1000);
    if (sim->broker.priced_ns > sim->now_ns) {
        sim->broker.priced_ns = sim->now_ns;
    }
    sim->prices[sim->price_count % SIM_PRICES].ns = sim->now_ns;
    sim->prices[sim->price_count++ % SIM_PRICES].price = price;
}

/* True when the price ruled at some moment between the two. */
static bool ruled(const struct sim *sim, int64_t price, int64_t from_ns, int64_t to_ns) {
    uint32_t kept = sim->price_count < SIM_PRICES ? sim->price_count : SIM_PRICES;
    for (uint32_t i = 0; i < kept; i++) {
        uint32_t at = sim->price_count - 1 - i;
        int64_t begin_ns = sim->prices[at % SIM_PRICES].ns;
        int64_t end_ns = i == 0 ? INT64_MAX : sim->prices[(at + 1) % SIM_PRICES].ns;
        if (sim->prices[at % SIM_PRICES].price == price && begin_ns <= to_ns && end_ns >= from_ns) {
            return true;
        }
    }
    return kept == SIM_PRICES; /* too long ago to be judged */
}

void sim_check_share_price(struct sim *sim, const struct sl_share_row *row) {
    int64_t age_ms = sim_host_now(sim, SIM_BROKER).wall.ms - row->at.ms;
    int64_t at_ns = sim->now_ns - age_ms * SL_NS_PER_MS;
    int64_t slack_ns = 3 * SL_NS_PER_S + age_ms * 2000; /* clocks that drift */
    if (row->outcome != SL_SHARE_ACCEPTED || row->price_nusd_per_ph_day == 0 ||
        sim->restored_once) {
        return;
    }
    /* Of what was before it heard a price, a broker knows the last one that it had stored only. */
    bool heard = at_ns - slack_ns > sim->broker.priced_ns;
    int64_t from_ns = heard ? at_ns - slack_ns : at_ns - 600 * SL_NS_PER_S;
    int64_t to_ns = heard ? at_ns + slack_ns : sim->now_ns;
    if (!ruled(sim, row->price_nusd_per_ph_day, from_ns, to_ns)) {
        sim_break(sim, "prices",
                  "share %llu, accepted %lld ms ago, was credited at a price (%lld) "
                  "that did not rule then",
                  (unsigned long long)row->share_id, (long long)age_ms,
                  (long long)row->price_nusd_per_ph_day);
    }
}
