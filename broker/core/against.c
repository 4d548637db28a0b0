/* SPDX-License-Identifier: Apache-2.0
 * What would have been earned otherwise, beside what is. At every step of a class (classes.c) each
 * switching policy decides for a shadow of its typical device, on the same market, with the
 * measured costs of a switch; what its mode, and each fixed mode, is worth at that moment is added
 * up for every device at its own rates. It is a picture of prices as quoted and rates as measured:
 * the revenue from hashing is kept apart, so that a reader can scale it by what pools really
 * credited.
 *
 * Kept: per device what is not stored yet, stored once an interval (OP_AGAINST); per policy the
 * sums of the site, in META with the other shadows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"
#include "schedulers/opportunity.h"

#define MS_PER_H 3600000

static const enum sl_mode mode_of[SL_POLICY_MODES] = {SL_MODE_HASH, SL_MODE_INFER, SL_MODE_IDLE};

#define KEY_MAX 48

static const char *key_of(uint32_t index, char key[KEY_MAX]) {
    snprintf(key, KEY_MAX, "against.%s", sl_against_name(index));
    return key;
}

static sl_i128 divided(sl_i128 sum) {
    return sum < 0 ? -((-sum + MS_PER_H / 2) / MS_PER_H) : (sum + MS_PER_H / 2) / MS_PER_H;
}

static int64_t as_int64(sl_i128 v) {
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

/* Most devices hash all the time, and so do most policies' shadows: what is kept of each is how far
 * it is from hashing (of leasing: from idling), in a column that is not touched while that is 0. */
static uint32_t base_of(uint32_t index) {
    bool base = index == SL_AGAINST_HASH || index == SL_AGAINST_IDLE;
    uint32_t other = index == SL_AGAINST_LEASE ? SL_AGAINST_IDLE : SL_AGAINST_HASH;
    return base ? index : other;
}

/* Exact, as long as what a device earns between two rows fits a row at all. Mad prices, or years,
 * do not fit the sum: whole nano-USD move out of it. */
static void add_sum(struct sl_core_fleet *fleet, uint32_t dev, uint32_t i, sl_i128 delta) {
    sl_i128 sum = fleet->against[i][dev] + delta;
    if (delta == 0) {
        return;
    }
    if (sum > INT64_MAX || sum < INT64_MIN) {
        struct sl_core_against_more **more = &fleet->against_more[dev];
        *more = *more ? *more : sl_core_calloc(1, sizeof **more);
        (*more)->nusd[i] = as_int64((*more)->nusd[i] + sum / MS_PER_H);
        sum %= MS_PER_H;
    }
    fleet->against[i][dev] = (int64_t)sum;
}

static sl_i128 sum_of(const struct sl_core_fleet *fleet, uint32_t dev, uint32_t i) {
    const struct sl_core_against_more *more = fleet->against_more[dev];
    return fleet->against[i][dev] + (sl_i128)(more ? more->nusd[i] : 0) * MS_PER_H;
}

sl_i128 sl_core_against_of(const struct sl_core_fleet *fleet, uint32_t dev, uint32_t index) {
    uint32_t base = base_of(index);
    return sum_of(fleet, dev, index) + (base == index ? 0 : sum_of(fleet, dev, base));
}

/* A mode that was not possible at that moment: idle, at what idle costs. */
static void worth(const struct sl_policy_input *in, uint32_t row, enum sl_mode mode,
                  int64_t *ret_hash, int64_t *ret_rest) {
    bool possible = in->offer[mode][row] & SL_OFFER_POSSIBLE;
    enum sl_mode real = possible ? mode : SL_MODE_IDLE;
    int64_t power = in->offer[real][row] & SL_OFFER_POWER ? in->power_nusd_h[real][row] : 0;
    int64_t gross = in->gross_nusd_h[real][row];
    *ret_hash = real == SL_MODE_HASH ? gross : 0;
    *ret_rest = sl_opportunity_minus(real == SL_MODE_HASH ? 0 : gross, power);
}

struct worths { /* of a device, by mode */
    int64_t hash[SL_MODE_COUNT], rest[SL_MODE_COUNT];
};

static void add(struct sl_broker_core *core, uint32_t row, uint32_t against, enum sl_mode mode,
                const struct worths *w) {
    static const enum sl_mode bases[SL_AGAINST_COUNT] = {
        [SL_AGAINST_HASH] = SL_MODE_HASH, [SL_AGAINST_IDLE] = SL_MODE_IDLE};
    int64_t span_ms = core->config.policy.step_ms;
    sl_i128 value = (sl_i128)w->hash[mode] + w->rest[mode];
    uint32_t base = base_of(against);
    if (base != against) {
        value -= (sl_i128)w->hash[bases[base]] + w->rest[bases[base]];
    }
    add_sum(&core->fleet, core->input.id[row], against, value * span_ms);
    core->against[against].hash += (sl_i128)w->hash[mode] * span_ms;
    core->against[against].rest += (sl_i128)w->rest[mode] * span_ms;
}

/* What the device itself lost by moving since the step before: as shadows lose it. */
static void add_own_switch(struct sl_broker_core *core, const struct sl_core_class *class,
                           uint32_t row, enum sl_mode present, const struct worths *w) {
    uint32_t dev = core->input.id[row];
    enum sl_mode before = (enum sl_mode)core->fleet.against_mode[dev];
    core->fleet.against_mode[dev] = (uint8_t)present;
    if (before == SL_MODE_INVALID || present == SL_MODE_INVALID || before == present) {
        return;
    }
    int64_t most = 0;
    for (uint32_t m = 0; m < SL_POLICY_MODES; m++) {
        int64_t all = w->hash[mode_of[m]] + w->rest[mode_of[m]];
        most = all > most ? all : most;
    }
    sl_i128 lost =
        (sl_i128)sl_opportunity_switch(class->switch_us[before][present], most) * MS_PER_H;
    add_sum(&core->fleet, dev, SL_AGAINST_ACTUAL, -lost);
    core->against[SL_AGAINST_ACTUAL].rest -= lost;
    core->against[SL_AGAINST_ACTUAL].switches++;
}

/* The shadow of a policy moves; a switch costs every device of the class what it costs. */
static void move_shadow(struct sl_broker_core *core, struct sl_core_class *class, uint32_t index,
                        const struct sl_switching_step *seen, int64_t devices) {
    const struct sl_switching_policy *policy = sl_switching_at(index);
    struct sl_core_position *position = &class->shadows[index];
    struct sl_switching_step step = *seen;
    struct sl_switching_reason why;
    int64_t most = 0;
    step.present = position->known ? position->mode : SL_SWITCHING_NONE;
    step.in_mode_ms = position->in_mode_ms;
    for (uint32_t m = 0; m < SL_POLICY_MODES; m++) {
        int64_t net = sl_opportunity_minus(step.gross_nusd_h[m], step.known_nusd_h[m]);
        most = (step.possible >> m & 1) && net > most ? net : most;
    }
    for (uint32_t m = 0; m < SL_POLICY_MODES; m++) {
        enum sl_mode from = mode_of[position->known ? position->mode : m];
        step.switch_nusd[m] = sl_opportunity_switch(class->switch_us[from][mode_of[m]], most);
        step.back_nusd[m] = sl_opportunity_switch(class->switch_us[mode_of[m]][from], most);
    }
    if (position->known && !(step.possible >> position->mode & 1)) {
        step.present = SL_SWITCHING_NONE; /* it ended by itself */
    }
    uint8_t to =
        policy->decide(&core->config.policy.switching, sl_switching_class_view(class->learnt),
                       &position->device, &step, &why);
    to = to < SL_POLICY_MODES ? to : SL_POLICY_IDLE;
    if (position->known && to != position->mode) {
        core->against[SL_AGAINST_POLICIES + index].rest -=
            (sl_i128)step.switch_nusd[to] * MS_PER_H * devices;
        core->against[SL_AGAINST_POLICIES + index].switches += (uint64_t)devices;
        class->switch_loss[index] = step.switch_nusd[to];
    } else {
        class->switch_loss[index] = 0;
    }
    position->in_mode_ms = (position->known && to == position->mode ? position->in_mode_ms : 0) +
                           core->config.policy.step_ms;
    position->known = true;
    position->mode = to;
}

void sl_core_against_class(struct sl_broker_core *core, uint32_t index,
                           const struct sl_switching_step *seen) {
    struct sl_core_class *class = &core->classes[index];
    const struct sl_policy_input *in = &core->input;
    int64_t devices = 0;
    for (uint32_t row = 0; row < in->count; row++) {
        devices += in->class[row] == index;
    }
    for (uint32_t p = 0; sl_switching_at(p); p++) {
        move_shadow(core, class, p, seen, devices);
    }
    for (uint32_t row = 0; row < in->count; row++) {
        if (in->class[row] != index) {
            continue;
        }
        enum sl_mode present = (enum sl_mode)in->present[row];
        struct worths w;
        for (enum sl_mode m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {
            worth(in, row, m, &w.hash[m], &w.rest[m]);
        }
        add(core, row, SL_AGAINST_ACTUAL, present ? present : SL_MODE_IDLE, &w);
        add_own_switch(core, class, row, present, &w);
        add(core, row, SL_AGAINST_HASH, SL_MODE_HASH, &w);
        add(core, row, SL_AGAINST_LEASE, SL_MODE_INFER, &w);
        add(core, row, SL_AGAINST_IDLE, SL_MODE_IDLE, &w);
        uint32_t dev = in->id[row];
        for (uint32_t p = 0; sl_switching_at(p); p++) {
            add(core, row, SL_AGAINST_POLICIES + p, mode_of[class->shadows[p].mode], &w);
            add_sum(&core->fleet, dev, SL_AGAINST_POLICIES + p,
                    -(sl_i128) class->switch_loss[p] * MS_PER_H);
        }
        core->fleet.against_ms[dev] += (uint32_t)core->config.policy.step_ms;
    }
    core->against_dirty = true;
}

/* Once an interval, and at the end: a row a device. */
static void store_device(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_fleet *fleet = &core->fleet;
    struct sl_op op = {.kind = SL_OP_AGAINST};
    sl_i128 left[SL_AGAINST_COUNT];
    if (fleet->against_ms[dev] == 0) {
        return;
    }
    sl_text_copy(op.against.device, sizeof op.against.device, fleet->cold[dev].key);
    op.against.at = core->now.wall;
    op.against.span_ms = fleet->against_ms[dev];
    for (uint32_t i = 0; i < SL_AGAINST_COUNT; i++) {
        sl_i128 sum = sl_core_against_of(fleet, dev, i);
        int64_t nusd = as_int64(divided(sum));
        op.against.nusd[i] = nusd;
        left[i] = sum - (sl_i128)nusd * MS_PER_H; /* what rounding left: the next row's */
    }
    if (fleet->against_more[dev]) {
        free(fleet->against_more[dev]);
        fleet->against_more[dev] = NULL;
    }
    for (uint32_t i = 0; i < SL_AGAINST_COUNT; i++) {
        sl_i128 part = left[i] - (base_of(i) == i ? 0 : left[base_of(i)]);
        add_sum(fleet, dev, i, part - fleet->against[i][dev]);
    }
    fleet->against_ms[dev] = 0;
    sl_core_op(core, &op);
}

void sl_core_against_sweep(struct sl_broker_core *core, bool last) {
    int64_t interval_ns = core->config.policy.against_ms * SL_NS_PER_MS;
    if (core->against_ns == 0) {
        core->against_ns = core->now.mono.ns;
    }
    if (!last && core->now.mono.ns - core->against_ns < interval_ns) {
        return;
    }
    core->against_ns = core->now.mono.ns;
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        store_device(core, dev);
    }
    sl_core_against_metas(core);
}

void sl_core_against_metas(struct sl_broker_core *core) {
    if (!core->against_dirty) {
        return;
    }
    core->against_dirty = false;
    for (uint32_t i = 0; i < SL_AGAINST_COUNT; i++) {
        char hash[48];
        char rest[48];
        char key[KEY_MAX];
        const struct sl_core_against_sum *sum = &core->against[i];
        sl_core_op_meta(core, key_of(i, key), "%s %s %llu", sl_i128_format(sum->hash, hash),
                        sl_i128_format(sum->rest, rest), (unsigned long long)sum->switches);
    }
}

int sl_core_against_restore(struct sl_broker_core *core, const char *key, const char *value) {
    char hash[48];
    char rest[48];
    unsigned long long switches = 0;
    for (uint32_t i = 0; i < SL_AGAINST_COUNT; i++) {
        char own[KEY_MAX];
        if (strcmp(key, key_of(i, own)) != 0) {
            continue;
        }
        struct sl_core_against_sum *sum = &core->against[i];
        bool good = sscanf(value, "%47s %47s %llu", hash, rest, &switches) == 3 &&
                    sl_i128_parse(hash, &sum->hash) == SL_OK &&
                    sl_i128_parse(rest, &sum->rest) == SL_OK;
        sum->switches = switches;
        return good ? SL_OK : -SL_CORRUPT;
    }
    return -SL_NOTFOUND;
}

void sl_view_shadow_get(const struct sl_broker_core *core, uint32_t index,
                        struct sl_view_shadow *ret_view) {
    const struct sl_core_against_sum *sum = &core->against[index];
    *ret_view = (struct sl_view_shadow){.name = sl_against_name(index),
                                        .hash_nusd = divided(sum->hash),
                                        .rest_nusd = divided(sum->rest),
                                        .switches = sum->switches};
}
