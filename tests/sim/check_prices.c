/* SPDX-License-Identifier: Apache-2.0
 * Rule "prices":
 *  - No device is moved by a price that is not to be trusted: a move to or from hashing that prices
 *    caused happens only while some source of the hashprice is fresh.
 *  - An accepted share is credited at the hashprice (lower median of the fresh sources) of the
 *    moment of the pool's answer. */
#include <string.h>

#include "tests/sim/internal.h"

static struct sim_watched *watched_of(struct sim *sim, const char *device) {
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        size_t length = strlen(sim->agents[i].node);
        if (strncmp(device, sim->agents[i].node, length) == 0 && device[length] == '/') {
            return &sim->agents[i].watched[(uint32_t)(device[length + 6] - '0') % SIM_DEVICES_MAX];
        }
    }
    return NULL;
}

void sim_check_decided(struct sim *sim, const struct sl_directive_row *row) {
    struct sim_watched *watched = watched_of(sim, row->device);
    sim_power_note(sim, row);
    int64_t wall_ms = sim_host_now(sim, SIM_BROKER).wall.ms;
    bool fresh = sim_feed_is_fresh(sim, 0, wall_ms) || sim_feed_is_fresh(sim, 1, wall_ms);
    bool about_hash = row->mode == SL_MODE_HASH || (watched && watched->decided == SL_MODE_HASH);
    if (strcmp(row->rule, "threshold") == 0 && about_hash && !fresh) {
        sim_break(sim, "prices", "%s was moved to %s by a price that is stale or wrong",
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
    /* Any feed's good word makes the broker look at all of them again. */
    int64_t wall_ms = sim_host_now(sim, SIM_BROKER).wall.ms;
    const struct sim_feed *a = &sim->feeds[0];
    const struct sim_feed *b = &sim->feeds[1];
    bool a_fresh = sim_feed_is_fresh(sim, 0, wall_ms);
    bool b_fresh = sim_feed_is_fresh(sim, 1, wall_ms);
    if (!a_fresh && !b_fresh) {
        return; /* the last price goes on */
    }
    int64_t low = a->said_nano < b->said_nano ? a->said_nano : b->said_nano;
    int64_t price = a_fresh && b_fresh ? low : a_fresh ? a->said_nano : b->said_nano;
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
