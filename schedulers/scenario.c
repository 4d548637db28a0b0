/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/scenario.h"

#include <math.h>
#include <string.h>

#include "schedulers/random.h"
#include "schedulers/real.h"

#define NUSD 1e9
#define LN2 0.69314718055994530942
#define TWO_PI 6.28318530717958647693
#define MS_PER_H 3600000.0
#define MODES SL_SWITCHING_MODES

enum stream {
    STREAM_COMMON = 1,
    STREAM_POWER,
    STREAM_LEASE,
    STREAM_BASE,
    STREAM_WALK = 16,
    STREAM_QUOTE = 32
};

size_t sl_market_bytes(uint32_t steps) {
    return (size_t)steps * ((3 * MODES + 2) * sizeof(int64_t) + 1);
}

void sl_market_place(struct sl_market *market, void *memory, uint32_t steps) {
    int64_t *at = memory;
    market->steps = steps;
    market->true_nusd_h = at;
    market->gross_nusd_h = at += (size_t)steps * MODES;
    market->known_nusd_h = at += (size_t)steps * MODES;
    market->waiting_nusd_h = at += (size_t)steps * MODES;
    market->lease_left_ms = at += steps;
    market->lease_on = (uint8_t *)(at + steps);
}

void sl_scenario_modes(const struct sl_scenario *scenario, struct sl_switching_modes *ret_modes) {
    memset(ret_modes, 0, sizeof *ret_modes);
    for (uint32_t a = 0; a < scenario->algorithms && a < SL_SCENARIO_ALGORITHMS; a++) {
        ret_modes->kind[ret_modes->count++] = SL_SWITCHING_HASH;
    }
    if (scenario->lease) {
        ret_modes->kind[ret_modes->count++] = SL_SWITCHING_LEASE;
    }
    if (scenario->idle) {
        ret_modes->kind[ret_modes->count++] = SL_SWITCHING_IDLE;
    }
}

/* The seed of an instance of a scenario: other scenarios and instances share no stream. */
static uint64_t seed_of(const struct sl_scenario *scenario, uint64_t seed, uint32_t instance) {
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a of the name */
    for (const char *c = scenario->name; *c; c++) {
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    }
    return hash ^ (seed * 0x9e3779b97f4a7c15u) ^ ((uint64_t)instance << 48);
}

/* ---- power ---- */

struct power {
    const struct sl_scenario *scenario;
    struct sl_random random;
    double spike;
};

static double power_at(struct power *p, uint32_t step) {
    const struct sl_scenario *s = p->scenario;
    if (s->power_kind == SL_SCENARIO_POWER_SERIES) {
        return s->power_series[step] * s->power_factor + s->power_usd_kwh;
    }
    if (s->power_kind == SL_SCENARIO_POWER_CONSTANT) {
        return s->power_usd_kwh;
    }
    double step_h = (double)s->step_ms / MS_PER_H;
    double day = 0.5 + 0.5 * sl_real_sin(TWO_PI * ((double)step * step_h - 9.0) / 24.0);
    p->spike *= sl_real_exp(-step_h / 1.5);
    p->spike = p->spike < 0.005 ? 0 : p->spike;
    double chance = (day > 0.7 ? 0.4 : 0.05) * step_h / 6.0;
    if (sl_random_uniform(&p->random) < chance) {
        p->spike += 0.05 * sl_real_exp(1.2 * sl_random_normal(&p->random));
    }
    return 0.02 + 0.04 * day + p->spike;
}

/* ---- leases ---- */

struct leases {
    const struct sl_scenario *scenario;
    struct sl_random random;
    double end_h; /* of the present gap or lease */
    int on;
    double rate;
    double declared; /* factor of what is left */
};

static double gap_h(struct leases *l) {
    return -l->scenario->gap_h * sl_real_log(sl_random_uniform(&l->random));
}

static void next_lease(struct leases *l, uint32_t step) {
    const struct sl_scenario *s = l->scenario;
    double step_h = (double)s->step_ms / MS_PER_H;
    l->on = !l->on;
    if (!l->on) {
        l->end_h += gap_h(l);
        return;
    }
    double length = s->lease_h * sl_real_exp(s->lease_length_sd * sl_random_normal(&l->random) -
                                             s->lease_length_sd * s->lease_length_sd / 2);
    l->end_h += length > step_h ? length : step_h;
    double level = s->lease_series ? s->lease_usd_h * s->lease_series[step] : s->lease_usd_h;
    l->rate = level * sl_real_exp(s->lease_sd * sl_random_normal(&l->random) -
                                  s->lease_sd * s->lease_sd / 2);
    l->declared = sl_real_exp(0.5 * sl_random_normal(&l->random));
}

static void lease_at(struct leases *l, uint32_t step) {
    double now_h = (double)step * ((double)l->scenario->step_ms / MS_PER_H);
    while (l->end_h <= now_h) {
        next_lease(l, step);
    }
}

static void put_lease(struct leases *l, double power, uint32_t step, struct sl_market *market,
                      uint32_t mode) {
    const struct sl_scenario *s = l->scenario;
    lease_at(l, step);
    double now_h = (double)step * ((double)s->step_ms / MS_PER_H);
    size_t at = (size_t)step * MODES + mode;
    double kw = l->on ? s->kw * s->lease_kw_factor : s->waiting_kw;
    market->lease_on[step] = (uint8_t)l->on;
    market->lease_left_ms[step] =
        l->on ? sl_real_round((l->end_h - now_h) * l->declared * MS_PER_H) : 0;
    market->waiting_nusd_h[step] = -sl_real_round(power * s->waiting_kw * NUSD);
    market->gross_nusd_h[at] = l->on ? sl_real_round(l->rate * NUSD) : 0;
    market->known_nusd_h[at] = sl_real_round(power * kw * NUSD);
}

/* ---- hashing ---- */

struct walk {
    struct sl_random random, quotes;
    double base, x;
};

struct hashing {
    struct sl_random common_random;
    double common;
    struct walk walks[SL_SCENARIO_ALGORITHMS];
};

static void hashing_init(struct hashing *h, const struct sl_scenario *s, uint64_t seed) {
    struct sl_random bases;
    sl_random_init(&bases, seed, STREAM_BASE);
    sl_random_init(&h->common_random, seed, STREAM_COMMON);
    h->common = 0;
    for (uint32_t a = 0; a < s->algorithms; a++) {
        struct walk *walk = &h->walks[a];
        sl_random_init(&walk->random, seed, STREAM_WALK + a);
        sl_random_init(&walk->quotes, seed, STREAM_QUOTE + a);
        walk->base = s->base * sl_random_normal(&bases);
        walk->x = s->spread * sl_random_normal(&walk->random);
    }
}

/* True gross values of a step; the quotes follow once all steps are there, since they may lag. */
static void put_hashing(struct hashing *h, const struct sl_scenario *s, double power, uint32_t step,
                        struct sl_market *market) {
    double step_h = (double)s->step_ms / MS_PER_H;
    double keep = s->half_life_h > 0 ? sl_real_exp(-LN2 / s->half_life_h * step_h) : 0;
    double move = s->spread * sqrt(1 - keep * keep);
    double level = s->hash_series ? s->hash_usd_h * s->hash_series[step] : s->hash_usd_h;
    if (step > 0) {
        h->common +=
            s->common_volatility * sqrt(step_h / (365 * 24)) * sl_random_normal(&h->common_random);
    }
    for (uint32_t a = 0; a < s->algorithms; a++) {
        struct walk *walk = &h->walks[a];
        if (step > 0) {
            walk->x = walk->x * keep + move * sl_random_normal(&walk->random);
        }
        size_t at = (size_t)step * MODES + a;
        double gross =
            level * sl_real_exp(h->common + walk->base + walk->x - s->spread * s->spread / 2);
        market->gross_nusd_h[at] = sl_real_round(gross * NUSD);
        market->known_nusd_h[at] = sl_real_round(power * s->kw * NUSD);
    }
}

/* From the last step back, so that a late quote still finds the truth that it is late of. */
static void quote(struct hashing *h, const struct sl_scenario *s, struct sl_market *market) {
    for (uint32_t a = 0; a < s->algorithms; a++) {
        for (uint32_t t = market->steps; t > 0; t--) {
            uint32_t of = t - 1 > s->lag_steps ? t - 1 - s->lag_steps : 0;
            double gross = (double)market->gross_nusd_h[(size_t)of * MODES + a];
            double seen = gross * (1 + s->noise * sl_random_normal(&h->walks[a].quotes));
            market->gross_nusd_h[(size_t)(t - 1) * MODES + a] = sl_real_round(seen);
        }
    }
}

void sl_scenario_make(const struct sl_scenario *scenario, uint64_t seed, uint32_t instance,
                      struct sl_market *market) {
    uint64_t own = seed_of(scenario, seed, instance);
    struct hashing hashing;
    struct power power = {.scenario = scenario};
    struct leases leases = {.scenario = scenario};
    sl_scenario_modes(scenario, &market->modes);
    market->step_ms = scenario->step_ms;
    hashing_init(&hashing, scenario, own);
    sl_random_init(&power.random, own, STREAM_POWER);
    sl_random_init(&leases.random, own, STREAM_LEASE);
    leases.end_h = scenario->first_gap_h > 0 ? scenario->first_gap_h
                   : scenario->lease         ? gap_h(&leases)
                                             : 0;
    uint32_t lease = scenario->algorithms;
    uint32_t idle = lease + (scenario->lease ? 1 : 0);
    memset(market->true_nusd_h, 0, sl_market_bytes(market->steps));
    for (uint32_t t = 0; t < market->steps; t++) {
        double usd_kwh = power_at(&power, t);
        put_hashing(&hashing, scenario, usd_kwh, t, market);
        if (scenario->lease) {
            put_lease(&leases, usd_kwh, t, market, lease);
        }
        if (scenario->idle) {
            market->known_nusd_h[(size_t)t * MODES + idle] =
                sl_real_round(usd_kwh * scenario->idle_kw * NUSD);
        }
        for (size_t at = (size_t)t * MODES; at < (size_t)(t + 1) * MODES; at++) {
            market->true_nusd_h[at] = market->gross_nusd_h[at] - market->known_nusd_h[at];
        }
    }
    quote(&hashing, scenario, market);
}

int64_t sl_market_switch_nusd(const struct sl_market *market, int64_t switch_ms) {
    __int128 sum = 0;
    for (uint32_t t = 0; t < market->steps; t++) {
        const int64_t *row = market->true_nusd_h + (size_t)t * MODES;
        int64_t best = row[0];
        for (uint32_t m = 1; m < market->modes.count; m++) {
            best = row[m] > best ? row[m] : best;
        }
        sum += best;
    }
    __int128 cost = sum * switch_ms / 3600000 / (market->steps ? market->steps : 1);
    return cost > 0 ? (int64_t)cost : 0;
}
