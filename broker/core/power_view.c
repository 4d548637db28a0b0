/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "broker/core/power_state.h"
#include "proto/base/text.h"
#include "schedulers/tariff.h"

static const char *tariff_name(const struct sl_broker_core *core) {
    if (core->config.tariff.count > 0) {
        return "time_of_day";
    }
    if (core->config.power_nusd_per_kwh >= 0) {
        return "fixed";
    }
    for (uint32_t i = 0; i < core->config.feed_count; i++) {
        if (core->feeds[i].config.role == SL_FEED_POWER) {
            return "feed";
        }
    }
    return "unknown";
}

static bool is_there(const struct sl_broker_core *core, uint32_t dev) {
    return sl_core_node_up(core, core->fleet.node[dev]) && core->fleet.state[dev] != SL_DEVICE_LOST;
}

static void fill_price(const struct sl_broker_core *core, struct sl_now now,
                       struct sl_view_power *view) {
    enum sl_core_known known = sl_core_tariff(core, &view->price);
    view->tariff = tariff_name(core);
    view->price_known = known != SL_KNOWN_NO;
    view->price_fresh = known == SL_KNOWN_FRESH;
    if (core->config.tariff.count > 0) {
        int64_t until_ms = SL_TARIFF_NEVER;
        sl_tariff_price(&core->config.tariff, now.wall.ms, &until_ms);
        view->price_until.ms = until_ms == SL_TARIFF_NEVER ? 0 : until_ms;
    }
    view->carbon_known = sl_core_carbon(core, &view->carbon_nano_g) == SL_KNOWN_FRESH;
}

void sl_view_power_get(const struct sl_broker_core *core, struct sl_now now,
                       struct sl_view_power *ret_view) {
    const struct sl_core_power *power = core->power;
    struct sl_view_power view = {
        .site_cap_mw = power->policy.site_mw,
        .floor_mw = power->policy.floor_mw,
        .curtailed = power->curtailed,
        .carbon_ng = power->carbon_ng,
        .carbon_energy = power->carbon_energy,
        .energy_complete = !power->incomplete,
    };
    memcpy(view.energy, power->energy, sizeof view.energy);
    fill_price(core, now, &view);
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        const struct sl_power_device *device = sl_core_power_find(core, dev);
        uint8_t mode = core->fleet.running_mode[dev];
        view.drawn_mw += sl_core_power_held_mw(core, dev);
        view.devices_unknown +=
            is_there(core, dev) && sl_core_watts(core, dev, mode).source == SL_SOURCE_UNKNOWN;
        view.devices_curtailed += device && device->off;
        view.devices_capped += device && device->verdict != SL_CAP_KEEP;
    }
    *ret_view = view;
}

bool sl_view_power_class_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                             struct sl_view_power_class *ret_view) {
    const struct sl_core_power *power = core->power;
    if (index >= power->policy.strike_count) {
        return false;
    }
    const struct sl_curtail_class *class_ = &power->classes[index];
    const struct sl_curtail_params *params = &power->policy.curtail;
    struct sl_view_power_class view = {.strike = power->policy.strikes[index].price,
                                       .off = class_->off,
                                       .counting = class_->counting};
    sl_text_copy(view.class_, sizeof view.class_, power->policy.strikes[index].class_);
    if (class_->counting) {
        int64_t window_ms = class_->off ? params->resume_ms : params->confirm_ms;
        int64_t left_ms = class_->since_ms + window_ms - now.mono.ns / SL_NS_PER_MS;
        view.window_left_ms = left_ms > 0 ? left_ms : 0;
    }
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        const struct sl_power_device *device = sl_core_power_find(core, dev);
        view.devices += device && device->named && device->class_ == index;
    }
    *ret_view = view;
    return true;
}

bool sl_view_power_circuit_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                               struct sl_view_power_circuit *ret_view) {
    (void)now;
    const struct sl_policy_power *policy = &core->power->policy;
    if (index >= policy->circuit_count) {
        return false;
    }
    struct sl_view_power_circuit view = {.cap_mw = policy->circuits[index].cap_mw};
    sl_text_copy(view.name, sizeof view.name, policy->circuits[index].name);
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        const struct sl_power_device *device = sl_core_power_find(core, dev);
        if (device && device->named && device->circuit == index) {
            view.devices++;
            view.drawn_mw += sl_core_power_held_mw(core, dev);
        }
    }
    *ret_view = view;
    return true;
}

bool sl_view_power_device_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                              struct sl_view_power_device *ret_view) {
    (void)now;
    if (index >= core->fleet.count) {
        return false;
    }
    uint8_t mode = is_there(core, index) ? core->fleet.running_mode[index] : 0;
    struct sl_view_power_device view = {
        .mode = (enum sl_mode)mode,
        .watts = sl_core_watts(core, index, mode),
        .held_mw = sl_core_power_held_mw(core, index),
    };
    const struct sl_power_device *device = sl_core_power_find(core, index);
    sl_text_copy(view.key, sizeof view.key, core->fleet.cold[index].key);
    if (device) {
        view.curtailed = device->off;
        view.capped = device->verdict != SL_CAP_KEEP;
        view.curtailed_energy = core->power->device_curtailed[index];
        for (int m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {
            view.energy[m] = core->power->device_energy[m - 1][index];
        }
    }
    *ret_view = view;
    return true;
}
