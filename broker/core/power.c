/* SPDX-License-Identifier: Apache-2.0
 * What each device may be drawing, and what it has drawn.
 *
 * A device may run what it last said, and every directive given since until its agent confirms the
 * newest one: epochs only rise, so no older one can start after that. An agent that is not heard
 * goes to its safe mode when its lease is over, and to idle when the time of the safe mode is. */
#include "broker/core/power.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/power_state.h"
#include "proto/base/text.h"
#include "schedulers/tariff.h"

#define LATE_NS (60 * SL_NS_PER_S) /* no message is on its way for longer */

static uint8_t bit(enum sl_mode mode) {
    return (uint8_t)(1u << mode);
}

void sl_core_power_create(struct sl_broker_core *core) {
    core->power = sl_core_calloc(1, sizeof *core->power);
    core->power->policy = core->config.policy.power;
}

void sl_core_power_free_tick(struct sl_core_power *power) {
    free(power->cap_rows);
    free(power->curtail_rows);
    free(power->curtail_index);
    free(power->merits);
    free(power->order);
}

void sl_core_power_destroy(struct sl_broker_core *core) {
    struct sl_core_power *power = core->power;
    if (!power) {
        return;
    }
    free(power->devices);
    free(power->device_curtailed);
    for (size_t m = 0; m < SL_MODE_COUNT - 1; m++) {
        free(power->device_energy[m]);
    }
    sl_core_power_free_tick(power);
    free(power);
    core->power = NULL;
}

struct sl_power_device *sl_core_power_device(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_power *power = core->power;
    while (dev >= power->cap) {
        uint32_t cap = power->cap;
        for (size_t m = 0; m < SL_MODE_COUNT - 1; m++) {
            cap = power->cap;
            sl_core_grow(&power->device_energy[m], cap, &cap, sizeof(int64_t));
        }
        cap = power->cap;
        sl_core_grow(&power->device_curtailed, cap, &cap, sizeof(int64_t));
        sl_core_grow(&power->devices, power->cap, &power->cap, sizeof *power->devices);
    }
    return &power->devices[dev];
}

const struct sl_power_device *sl_core_power_find(const struct sl_broker_core *core, uint32_t dev) {
    return dev < core->power->cap ? &core->power->devices[dev] : NULL;
}

bool sl_core_power_capped(const struct sl_core_power *power) {
    return power->policy.site_mw >= 0 || power->policy.circuit_count > 0;
}

/* ---- what may run ---- */

void sl_core_power_granted(struct sl_broker_core *core, uint32_t dev, enum sl_mode mode) {
    sl_core_power_device(core, dev)->bits |= bit(mode);
}

void sl_core_power_confirmed(struct sl_broker_core *core, uint32_t dev, enum sl_mode mode) {
    sl_core_power_device(core, dev)->bits = bit(mode);
}

void sl_core_power_forget(struct sl_broker_core *core, uint32_t dev) {
    sl_core_power_device(core, dev)->bits = 0;
}

void sl_core_power_heard(struct sl_broker_core *core, uint32_t dev,
                         const struct sl_msg_device *report) {
    struct sl_power_device *device = sl_core_power_device(core, dev);
    const struct sl_core_fleet *fleet = &core->fleet;
    enum sl_mode mode = report->mode < SL_MODE_COUNT ? report->mode : SL_MODE_INVALID;
    bool newest = !report->safe && report->epoch > 0 && report->epoch == fleet->epoch[dev];
    bool old = fleet->mode[dev] == SL_MODE_INVALID &&
               core->now.mono.ns - sl_core_lease_sent_ns(core, dev) > LATE_NS;
    device->bits = newest || old ? 0 : device->bits;
    device->bits |= mode == SL_MODE_INVALID ? 0 : bit(mode);
    device->named = false;
}

int64_t sl_core_power_mw(const struct sl_broker_core *core, uint32_t dev, enum sl_mode mode) {
    struct sl_watts watts = sl_core_watts(core, dev, mode);
    int64_t mw = (int64_t)watts.mw;
    if (watts.source == SL_SOURCE_UNKNOWN) {
        return core->power->policy.unknown_mw;
    }
    return mw < 0 ? 0 : mw;
}

static uint8_t may_run(const struct sl_broker_core *core, uint32_t dev) {
    const struct sl_core_fleet *fleet = &core->fleet;
    const struct sl_power_device *device = sl_core_power_find(core, dev);
    uint8_t bits = device ? device->bits : 0;
    if (fleet->mode[dev] != SL_MODE_INVALID) {
        bits |= bit((enum sl_mode)fleet->mode[dev]);
    }
    if (sl_core_node_up(core, fleet->node[dev]) || bits == 0) {
        return bits;
    }
    int64_t silent_ns = core->now.mono.ns - core->nodes[fleet->node[dev]].reported.ns;
    int64_t lease_ns = core->config.lease_ttl_ms * SL_NS_PER_MS + LATE_NS;
    bits = silent_ns < lease_ns ? bits : bit(SL_MODE_IDLE);
    bool safe = silent_ns < lease_ns + core->config.safe_mode_max_ms * SL_NS_PER_MS;
    return safe ? bits | bit(core->config.safe_mode) : bits;
}

int64_t sl_core_power_held_mw(const struct sl_broker_core *core, uint32_t dev) {
    uint8_t bits = may_run(core, dev);
    int64_t most = 0;
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        int64_t mw = bits & bit(mode) ? sl_core_power_mw(core, dev, mode) : 0;
        most = mw > most ? mw : most;
    }
    return most;
}

/* ---- energy ---- */

/* Rated watts may be anything: a sum that does not fit stays where it is. */
static void add_energy(int64_t *sum, sl_i128 energy) {
    sl_i128 total = *sum + energy;
    *sum = total > INT64_MAX ? INT64_MAX : total < INT64_MIN ? INT64_MIN : (int64_t)total;
}

void sl_core_power_meter(struct sl_broker_core *core, uint32_t dev, int64_t span_ms) {
    struct sl_core_power *power = core->power;
    const struct sl_power_device *device = sl_core_power_device(core, dev);
    uint8_t mode = core->fleet.running_mode[dev];
    struct sl_watts watts = sl_core_watts(core, dev, mode);
    struct sl_watts best = sl_core_watts(core, dev, device->best);
    if (device->off && mode == SL_MODE_IDLE && best.source != SL_SOURCE_UNKNOWN) {
        sl_i128 spared = (sl_i128)best.mw * span_ms;
        add_energy(&power->device_curtailed[dev], spared);
        power->curtailed += spared;
    }
    power->dirty = true;
    if (watts.source == SL_SOURCE_UNKNOWN) {
        power->incomplete = true;
        return;
    }
    sl_i128 energy = (sl_i128)watts.mw * span_ms;
    if (mode != SL_MODE_INVALID) {
        add_energy(&power->device_energy[mode - 1][dev], energy);
    }
    power->energy[mode] += energy;
    int64_t nano_g = 0;
    if (sl_core_carbon(core, &nano_g) == SL_KNOWN_FRESH) {
        sl_i128 total = energy * nano_g + power->carbon_rem;
        power->carbon_ng += total / SL_CORE_DENOM_POWER;
        power->carbon_rem = total % SL_CORE_DENOM_POWER;
        power->carbon_energy += energy;
    }
}

bool sl_core_power_dirty(const struct sl_broker_core *core) {
    return core->power->dirty;
}

/* Tells apart the list of classes that the marks were written for. */
static uint64_t classes_hash(const struct sl_policy_power *policy) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (uint32_t i = 0; i < policy->strike_count; i++) {
        for (const char *c = policy->strikes[i].class_;; c++) {
            hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
            if (*c == '\0') {
                break;
            }
        }
    }
    return hash;
}

void sl_core_power_metas(struct sl_broker_core *core) {
    struct sl_core_power *power = core->power;
    char a[48], b[48], c[48], d[48];
    if (!power->dirty) {
        return;
    }
    power->dirty = false;
    sl_core_op_meta(core, "energy", "%s %s %s %s %d",
                    sl_i128_format(power->energy[SL_MODE_IDLE], a),
                    sl_i128_format(power->energy[SL_MODE_HASH], b),
                    sl_i128_format(power->energy[SL_MODE_INFER], c),
                    sl_i128_format(power->curtailed, d), power->incomplete);
    sl_core_op_meta(core, "carbon", "%s %s %s", sl_i128_format(power->carbon_ng, a),
                    sl_i128_format(power->carbon_rem, b), sl_i128_format(power->carbon_energy, c));
    if (power->policy.strike_count > 0) {
        char marks[SL_POLICY_CLASSES_MAX + 1] = "";
        for (uint32_t i = 0; i < power->policy.strike_count && i < SL_POLICY_CLASSES_MAX; i++) {
            marks[i] = power->classes[i].off ? '1' : '0';
        }
        sl_core_op_meta(core, "power.off", "%016" PRIx64 " %s", classes_hash(&power->policy),
                        marks);
    }
}

/* `count` sums of 0 or more with blanks between; what follows them into *ret_rest. */
static int read_sums(const char *value, sl_i128 *sums, int count, const char **ret_rest) {
    for (int i = 0; i < count; i++) {
        char word[48];
        size_t bytes = strcspn(value, " ");
        if (bytes == 0 || bytes >= sizeof word) {
            return -SL_CORRUPT;
        }
        memcpy(word, value, bytes);
        word[bytes] = '\0';
        if (sl_i128_parse(word, &sums[i]) || sums[i] < 0 || sums[i] >= (sl_i128)1 << 120) {
            return -SL_CORRUPT;
        }
        value += bytes + (value[bytes] == ' ');
    }
    *ret_rest = value;
    return SL_OK;
}

/* Marks of another list of classes say nothing about this one. */
static void restore_off(struct sl_core_power *power, const char *value) {
    char head[24];
    snprintf(head, sizeof head, "%016" PRIx64 " ", classes_hash(&power->policy));
    size_t bytes = strlen(head);
    if (strncmp(value, head, bytes) != 0 || strlen(value + bytes) != power->policy.strike_count) {
        return;
    }
    for (uint32_t i = 0; i < power->policy.strike_count; i++) {
        power->classes[i].off = value[bytes + i] == '1';
    }
}

int sl_core_power_restore(struct sl_broker_core *core, const char *key, const char *value) {
    struct sl_core_power *power = core->power;
    sl_i128 sums[4];
    const char *rest = "";
    if (strcmp(key, "energy") == 0) {
        if (read_sums(value, sums, 4, &rest) ||
            (strcmp(rest, "0") != 0 && strcmp(rest, "1") != 0)) {
            return -SL_CORRUPT;
        }
        power->energy[SL_MODE_IDLE] = sums[0];
        power->energy[SL_MODE_HASH] = sums[1];
        power->energy[SL_MODE_INFER] = sums[2];
        power->curtailed = sums[3];
        power->incomplete = rest[0] == '1';
        return SL_OK;
    }
    if (strcmp(key, "carbon") == 0) {
        if (read_sums(value, sums, 3, &rest) || sums[1] >= SL_CORE_DENOM_POWER) {
            return -SL_CORRUPT;
        }
        power->carbon_ng = sums[0];
        power->carbon_rem = sums[1];
        power->carbon_energy = sums[2];
        return SL_OK;
    }
    if (strcmp(key, "power.off") == 0) {
        restore_off(power, value);
        return SL_OK;
    }
    return -SL_NOTFOUND;
}

bool sl_core_power_tariff(const struct sl_broker_core *core, int64_t *ret_price) {
    if (core->config.tariff.count == 0) {
        return false;
    }
    *ret_price = sl_tariff_price(&core->config.tariff, core->now.wall.ms, NULL);
    return true;
}
