/* SPDX-License-Identifier: Apache-2.0
 * Rule "power", in the runs that have a cap or a strike price:
 *  - All devices that work under a directive of the broker together never draw more than the
 *    site's cap, nor those of a circuit more than its cap, by the modes that their agents command
 * at that moment: also while devices move, agents and broker die and messages are late. With those
 *    that stand idle under a directive the sum may be above it for a moment only: an agent that
 *    comes back after the broker forgot it draws its idle power by itself, and others make room. A
 *    device in its safe mode is its agent's own doing: the broker counts it, this rule does not.
 *  - In a settled site no device stands idle by the cap while another earns clearly less per watt.
 *  - A device of a class does not work while power has been above the strike price for longer than
 *    the confirm window, whatever is known of hash prices.
 *  - A class that was curtailed comes back only after the whole resume window, and does come back.
 */
#include <string.h>

#include "broker/core/power.h"
#include "tests/sim/internal.h"

#define STRIKE INT64_C(80000000) /* the tariff walks around 60 */
#define MARGIN INT64_C(5000000)
#define CONFIRM_MS 20000
#define RESUME_MS 30000
#define EVERY_NS SL_NS_PER_S
#define ACT_NS (6 * SL_NS_PER_S) /* to be seen, decided, granted */
#define ROOM_NS (40 * SL_NS_PER_S)
#define UNFAIR_NS (45 * SL_NS_PER_S)

/* As the agents are told (agent.c). */
static const int64_t rated_mw[SL_MODE_COUNT] = {0, 20000, 200000, 150000};

void sim_power_draw(struct sim *sim, struct sl_core_config *config) {
    struct sim_rng rng = sim_rng_of(sim->options.seed, 6);
    struct sl_policy_power *power = &config->policy.power;
    int64_t count = (int64_t)sim->agent_count * sim->device_count;
    int64_t all = count * rated_mw[SL_MODE_HASH];
    int64_t some = count * rated_mw[SL_MODE_IDLE] + rated_mw[SL_MODE_HASH];
    int64_t cap = sim_range(&rng, all / 2, all);
    sim->power.cap = sim_chance(&rng, 500000);
    sim->power.strike = sim_chance(&rng, 400000);
    if (!sim->power.cap && !sim->power.strike) {
        return;
    }
    if (sim->power.cap) {
        power->site_mw = cap > some ? cap : some;
        config->safe_mode = SL_MODE_IDLE;
        if (sim_chance(&rng, 500000)) {
            int64_t full = sim->device_count * rated_mw[SL_MODE_HASH];
            power->circuit_count = 1;
            sl_text_copy(power->circuits[0].name, sizeof power->circuits[0].name, "first");
            sl_text_copy(power->circuits[0].nodes, sizeof power->circuits[0].nodes, "node0");
            power->circuits[0].cap_mw = sim_range(&rng, full / 2 + 120000, full + 20000);
        }
    }
    if (sim->power.strike) {
        power->strike_count = 1;
        sl_text_copy(power->strikes[0].class_, sizeof power->strikes[0].class_,
                     sim_chance(&rng, 500000) ? "*" : "fake 0");
        power->strikes[0].price = STRIKE;
        power->curtail.confirm_ms = CONFIRM_MS;
        power->curtail.resume_ms = RESUME_MS;
        power->curtail.resume_margin = MARGIN;
        sim->power.spike_ns = sim_range(&rng, 90, 600) * SL_NS_PER_S;
        sim->power.spike_until_ns = sim->power.spike_ns + sim_range(&rng, 40, 120) * SL_NS_PER_S;
    }
}

/* The spike, and silence of the hash prices from before it, so that they are stale by then; in the
 * end power is cheap: what is curtailed has to come back. */
void sim_power_feed(struct sim *sim, uint32_t feed, struct sl_core_event *event) {
    const struct sim_power *power = &sim->power;
    bool tariff = feed == SIM_FEEDS - 1;
    bool over = sim->now_ns > power->spike_until_ns;
    int64_t quiet_ns = power->spike_ns - (sim->feeds[feed].age_max_ms + 20000) * SL_NS_PER_MS;
    if (!power->strike || event->kind != SL_CEV_PRICE) {
        return;
    }
    if (tariff && event->price_ok && sim->calm) {
        event->value_nano = sim->feeds[feed].base_nano / 3;
    } else if (tariff && event->price_ok && sim->now_ns > power->spike_ns && !over) {
        event->value_nano = 2 * STRIKE;
    } else if (!tariff && sim->now_ns > quiet_ns && !over && !sim->calm) {
        event->kind = SL_CEV_INVALID; /* nothing is said */
    }
}

struct drawn {
    int64_t work_mw; /* of devices that hash or serve */
    int64_t all_mw;  /* and of those that stand idle under a directive */
};

static void add_drawn(const struct sim *sim, uint32_t agent, struct drawn *drawn) {
    const struct sim_host *host = &sim->hosts[agent + 1];
    if (!host->up || host->paused_until_ns > sim->now_ns) {
        return;
    }
    for (uint32_t k = 0; k < sim->device_count; k++) {
        struct sl_agent_device_view view;
        sl_agent_device_get(sim->agents[agent].core, k, &view);
        int64_t mw = view.epoch > 0 && view.mode < SL_MODE_COUNT ? rated_mw[view.mode] : 0;
        drawn->all_mw += mw;
        drawn->work_mw += view.mode == SL_MODE_IDLE ? 0 : mw;
    }
}

/* over_ns: since when the whole has been above the cap. */
static void check_drawn(struct sim *sim, const struct drawn *drawn, int64_t cap_mw,
                        const char *what, int64_t *over_ns) {
    *over_ns = drawn->all_mw <= cap_mw ? 0 : *over_ns ? *over_ns : sim->now_ns;
    bool late = *over_ns > 0 && sim->now_ns - *over_ns > ROOM_NS;
    if (drawn->work_mw > cap_mw || late) {
        sim_break(sim, "power", "%lld mW are drawn under directives, and the %s's cap is %lld mW",
                  (long long)(late ? drawn->all_mw : drawn->work_mw), what, (long long)cap_mw);
    }
}

void sim_check_applied(struct sim *sim) {
    const struct sl_policy_power *policy = &sim->broker_config->policy.power;
    struct drawn site = {0};
    struct drawn circuit = {0};
    if (!sim->power.cap) {
        return;
    }
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        add_drawn(sim, i, &site);
    }
    add_drawn(sim, 0, &circuit);
    check_drawn(sim, &site, policy->site_mw, "site", &sim->power.over_ns[0]);
    if (policy->circuit_count > 0) {
        check_drawn(sim, &circuit, policy->circuits[0].cap_mw, "circuit", &sim->power.over_ns[1]);
    }
}

void sim_power_note(struct sim *sim, const struct sl_directive_row *row) {
    if (strcmp(row->rule, "curtail") == 0) {
        sim_count(sim, SIM_POWER_CURTAILED);
    } else if (strcmp(row->rule, "cap") == 0) {
        sim_count(sim, strstr(row->why, "waits") ? SIM_POWER_WAITED : SIM_POWER_SHED);
    }
}

bool sim_power_excuses(const struct sim *sim, const char *rule) {
    return sim->power.cap && strcmp(rule, "cap") == 0;
}

/* ---- strike prices ---- */

static void watch_tariff(struct sim *sim, struct sim_power *power) {
    struct sl_wall wall = sim_host_now(sim, SIM_BROKER).wall;
    const struct sim_feed *tariff = &sim->feeds[SIM_FEEDS - 1];
    bool fresh = sim_feed_is_fresh(sim, SIM_FEEDS - 1, wall.ms);
    bool above = fresh && tariff->said_nano > STRIKE;
    bool low = fresh && tariff->said_nano <= STRIKE - MARGIN;
    power->above_ns = !above ? 0 : power->above_ns ? power->above_ns : sim->now_ns;
    /* Since the source said so, not since this look; what another word ended just now still counts.
     */
    int64_t said_ns = sim->now_ns - (wall.ms - tariff->as_of_ms) * SL_NS_PER_MS;
    power->was_low_ns = power->low_ns;
    power->low_ns = !low ? 0 : power->low_ns ? power->low_ns : said_ns;
}

static void watch_class(struct sim *sim, struct sim_power *power) {
    struct sl_now now = sim_host_now(sim, SIM_BROKER);
    struct sl_view_power_class view;
    if (!sl_view_power_class_get(sim->broker.core, now, 0, &view)) {
        return;
    }
    /* The watch looks once a second, the source speaks in between. */
    int64_t since_ns = power->low_ns ? power->low_ns : power->was_low_ns;
    int64_t low_ns = since_ns ? sim->now_ns - since_ns : 0;
    if (power->off && !view.off && low_ns < RESUME_MS * SL_NS_PER_MS - 3 * EVERY_NS) {
        sim_break(sim, "power", "'%s' came back after %lld ms of a low price, and the window is %d",
                  view.class_, (long long)(low_ns / SL_NS_PER_MS), RESUME_MS);
    }
    power->off = view.off;
    bool over =
        power->above_ns > 0 && sim->now_ns - power->above_ns > CONFIRM_MS * SL_NS_PER_MS + ACT_NS;
    struct sl_view_device device;
    for (uint32_t i = 0; over && sl_view_device_get(sim->broker.core, now, i, &device); i++) {
        bool ours = strcmp(view.class_, "*") == 0 || strcmp(view.class_, device.report.name) == 0;
        bool works = device.wanted == SL_MODE_HASH || device.wanted == SL_MODE_INFER;
        bool there = strcmp(device.state, "hashing") == 0 || strcmp(device.state, "leased") == 0;
        if (ours && works && there && device.override_ == SL_OVERRIDE_NONE) {
            sim_break(sim, "power",
                      "%s works (%s) though power has been above the strike price "
                      "for %lld ms",
                      device.report.key, sl_mode_name(device.wanted),
                      (long long)((sim->now_ns - power->above_ns) / SL_NS_PER_MS));
        }
    }
    if (sim->calm && power->off && power->low_ns > 0 &&
        sim->now_ns - power->low_ns > RESUME_MS * SL_NS_PER_MS + 10 * ACT_NS) {
        sim_break(sim, "power", "'%s' does not come back", view.class_);
    }
}

/* ---- who is shed ---- */

/* nUSD/h per kW of `mode` over idle; false when it cannot be said. */
static bool per_kw(const struct sl_view_device *device, enum sl_mode mode, int64_t *ret_value) {
    const struct sl_view_offer *offer = &device->offers[mode];
    const struct sl_view_offer *idle = &device->offers[SL_MODE_IDLE];
    int64_t mw = rated_mw[mode] - rated_mw[SL_MODE_IDLE];
    if (!offer->known || !offer->power_known || !idle->power_known) {
        return false;
    }
    *ret_value =
        (int64_t)((sl_i128)(offer->net_nusd_per_hour - idle->net_nusd_per_hour) * 1000000 / mw);
    return true;
}

static bool is_clearly_worse(const struct sl_view_device *works,
                             const struct sl_view_device *shed) {
    int64_t have = 0;
    int64_t could = 0;
    int64_t other = 0;
    bool hash = per_kw(shed, SL_MODE_HASH, &could);
    bool infer = per_kw(shed, SL_MODE_INFER, &other);
    if (!per_kw(works, works->wanted, &have) || !(hash || infer)) {
        return false;
    }
    /* Which of the two it would do is the policy's choice: the lower figure is the safe one. */
    could = hash && infer ? (could < other ? could : other) : hash ? could : other;
    return have > 0 && could > have + have / 8;
}

static bool is_unfair(struct sim *sim) {
    struct sl_now now = sim_host_now(sim, SIM_BROKER);
    struct sl_view_device shed;
    struct sl_view_device works;
    for (uint32_t i = 0; sl_view_device_get(sim->broker.core, now, i, &shed); i++) {
        if (shed.wanted != SL_MODE_IDLE || strcmp(shed.rule, "cap") != 0 ||
            strcmp(shed.state, "idle") != 0) {
            continue;
        }
        for (uint32_t k = 0; sl_view_device_get(sim->broker.core, now, k, &works); k++) {
            bool busy = works.wanted == SL_MODE_HASH || works.wanted == SL_MODE_INFER;
            if (busy && works.override_ == SL_OVERRIDE_NONE && is_clearly_worse(&works, &shed)) {
                return true;
            }
        }
    }
    return false;
}

static void watch(struct sim *sim, struct sim_event *event) {
    (void)event;
    struct sim_power *power = &sim->power;
    const struct sim_host *host = &sim->hosts[SIM_BROKER];
    bool up = host->up && host->paused_until_ns <= sim->now_ns;
    if (host->life != power->life) { /* a new process begins its windows anew */
        power->life = host->life;
        power->above_ns = 0;
        power->low_ns = 0;
        power->unfair_ns = 0;
        power->off = false;
    } else if (!up) { /* a price goes on while nobody looks, but nobody acts then */
        power->above_ns = 0;
        power->unfair_ns = 0;
        power->off = false; /* it may have come back between the last look and the pause */
    } else if (power->strike) {
        watch_tariff(sim, power);
        watch_class(sim, power);
    }
    bool circuits = power->cap && sim->broker_config->policy.power.circuit_count > 0;
    if (up && power->cap && !circuits && sim->calm) { /* a circuit has an order of its own */
        bool unfair = is_unfair(sim);
        power->unfair_ns = !unfair ? 0 : power->unfair_ns ? power->unfair_ns : sim->now_ns;
        if (unfair && sim->now_ns - power->unfair_ns > UNFAIR_NS) {
            sim_break(sim, "power", "a device is shed while another earns clearly less per watt");
        }
    }
    sim_at(sim, sim->now_ns + EVERY_NS, watch, SIM_NOBODY, 0, 0);
}

void sim_power_start(struct sim *sim) {
    if (sim->power.cap || sim->power.strike) {
        sim_at(sim, EVERY_NS, watch, SIM_NOBODY, 0, 0);
    }
}
