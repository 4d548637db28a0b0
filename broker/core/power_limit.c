/* SPDX-License-Identifier: Apache-2.0
 * Strike prices and caps, laid over what the policy planned. Strike prices are prices: a pin and
 * every other order of people outranks them. Caps are for safety: they outrank pins.
 *
 * Nothing grows under a cap before the leases of an earlier process of this broker are over: until
 * then nobody here knows what runs. */
#include <stdio.h>
#include <string.h>

#include "broker/core/power_state.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"
#include "schedulers/opportunity.h"

#define NAMES_AFTER_NS (60 * SL_NS_PER_S) /* agents are there by then, or absent */

/* ---- the tick's tables ---- */

static void reserve(struct sl_broker_core *core) {
    struct sl_core_power *power = core->power;
    if (power->tick_cap >= core->tick_cap && power->order) {
        return;
    }
    sl_core_power_free_tick(power);
    power->tick_cap = core->tick_cap;
    power->cap_rows = sl_core_calloc(power->tick_cap, sizeof *power->cap_rows);
    power->curtail_rows = sl_core_calloc(power->tick_cap, sizeof *power->curtail_rows);
    power->curtail_index = sl_core_calloc(power->tick_cap, sizeof *power->curtail_index);
    power->merits = sl_core_calloc(power->tick_cap, sizeof *power->merits);
    power->order = sl_core_calloc(power->tick_cap, sizeof *power->order);
}

/* As the schedulers and the records of decisions say it. */
static uint32_t wide(uint8_t index) {
    _Static_assert(SL_CAP_NO_CIRCUIT == UINT32_MAX, "one word for none");
    return index == SL_POWER_NONE ? UINT32_MAX : index;
}

/* Which class and which circuit; looked up again when a report came. */
static void name(const struct sl_broker_core *core, uint32_t dev, struct sl_power_device *device) {
    const struct sl_policy_power *policy = &core->power->policy;
    if (device->named) {
        return;
    }
    device->named = true;
    device->class_ = SL_POWER_NONE;
    device->circuit = SL_POWER_NONE;
    for (uint32_t i = policy->strike_count; i > 0; i--) {
        if (sl_policy_power_fits(policy->strikes[i - 1].class_, sl_core_class_name(core, dev))) {
            device->class_ = (uint8_t)(i - 1);
        }
    }
    for (uint32_t i = policy->circuit_count; i > 0; i--) {
        if (sl_policy_power_fits(policy->circuits[i - 1].nodes,
                                 core->nodes[core->fleet.node[dev]].name)) {
            device->circuit = (uint8_t)(i - 1);
        }
    }
}

static int64_t value_of(const struct sl_broker_core *core, uint32_t row, enum sl_mode mode) {
    int64_t gross = core->input.gross_nusd_h[mode][row];
    bool power = core->input.offer[mode][row] & SL_OFFER_POWER;
    return power ? sl_opportunity_minus(gross, core->input.power_nusd_h[mode][row]) : gross;
}

/* What the mode earns more in an hour than standing idle. */
static int64_t margin_of(const struct sl_broker_core *core, uint32_t row, enum sl_mode mode) {
    return sl_opportunity_minus(value_of(core, row, mode), value_of(core, row, SL_MODE_IDLE));
}

static bool works(uint8_t mode) {
    return mode == SL_MODE_HASH || mode == SL_MODE_INFER;
}

/* The working mode that is wished, else the one worth most of those possible. */
static uint8_t best_work(const struct sl_broker_core *core, uint32_t row) {
    uint8_t best = core->plan.mode[row];
    if (works(best)) {
        return best;
    }
    best = SL_MODE_INVALID;
    for (enum sl_mode mode = SL_MODE_HASH; mode < SL_MODE_COUNT; mode++) {
        bool possible = core->input.offer[mode][row] & SL_OFFER_POSSIBLE;
        if (possible && (best == SL_MODE_INVALID ||
                         value_of(core, row, mode) > value_of(core, row, (enum sl_mode)best))) {
            best = (uint8_t)mode;
        }
    }
    return best;
}

static struct sl_merit merit_of(const struct sl_broker_core *core, uint32_t row, uint8_t mode) {
    uint32_t dev = core->input.id[row];
    struct sl_merit merit = {.key = dev};
    if (!works(mode)) {
        return merit;
    }
    int64_t mw = sl_core_power_mw(core, dev, (enum sl_mode)mode);
    int64_t idle_mw = sl_core_power_mw(core, dev, SL_MODE_IDLE);
    merit.margin_nusd_h = margin_of(core, row, (enum sl_mode)mode);
    merit.mw = mw < 0 ? 0 : mw - (idle_mw < 0 ? 0 : idle_mw);
    merit.bonus_ppm = core->input.present[row] == mode ? core->power->policy.advantage_ppm : 0;
    merit.last = core->input.order_kind[row] == SL_ORDER_PIN;
    return merit;
}

/* ---- strike prices ---- */

static void step_classes(struct sl_broker_core *core) {
    struct sl_core_power *power = core->power;
    int64_t price = 0;
    bool fresh = sl_core_tariff(core, &price) == SL_KNOWN_FRESH;
    if (SL_MUTANT(strike_ignored_when_stale)) {
        int64_t hashprice = 0;
        fresh = fresh && sl_core_hashprice(core, &hashprice) == SL_KNOWN_FRESH;
    }
    for (uint32_t i = 0; i < power->policy.strike_count; i++) {
        struct sl_curtail_class *class_ = &power->classes[i];
        const struct sl_policy_strike *strike = &power->policy.strikes[i];
        if (sl_curtail_step(&power->policy.curtail, strike->price, fresh, price,
                            core->now.mono.ns / SL_NS_PER_MS, class_)) {
            sl_core_log(core, SL_LOG_INFO, class_->off ? "power.curtail" : "power.resume",
                        "class=%s price=%lld strike=%lld nUSD/kWh", strike->class_,
                        (long long)price, (long long)strike->price);
            power->dirty = true;
        }
    }
}

/* Load that may be taken off before the floor is reached. */
static int64_t room_mw(const struct sl_broker_core *core) {
    if (core->power->policy.floor_mw <= 0) {
        return INT64_MAX;
    }
    int64_t sum = 0;
    for (uint32_t row = 0; row < core->plan.count; row++) {
        const struct sl_power_device *device = sl_core_power_find(core, core->input.id[row]);
        uint8_t mode = device && device->off ? SL_MODE_IDLE : core->plan.mode[row];
        int64_t mw = sl_core_power_mw(core, core->input.id[row], (enum sl_mode)mode);
        sum += mw < 0 ? 0 : mw;
    }
    return sum - core->power->policy.floor_mw;
}

static void curtail(struct sl_broker_core *core) {
    struct sl_core_power *power = core->power;
    uint32_t count = 0;
    step_classes(core);
    for (uint32_t row = 0; row < core->plan.count; row++) {
        struct sl_power_device *device = sl_core_power_device(core, core->input.id[row]);
        bool wanted = device->class_ != SL_POWER_NONE && power->classes[device->class_].off;
        if (core->input.order_kind[row] != SL_ORDER_NONE) {
            device->off = false;
            continue;
        }
        /* What does not work may not begin; ramps are for what does. */
        device->off = device->off || (wanted && !works(core->input.present[row]));
        power->curtail_index[count] = row;
        power->curtail_rows[count++] =
            (struct sl_curtail_row){merit_of(core, row, device->best), wanted, device->off};
    }
    sl_curtail_apply(&power->policy.curtail, core->now.mono.ns / SL_NS_PER_MS, room_mw(core),
                     power->curtail_rows, count, power->merits, power->order, &power->ramp);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = power->curtail_index[i];
        struct sl_power_device *device = sl_core_power_device(core, core->input.id[row]);
        device->off = power->curtail_rows[i].off;
        if (device->off) {
            core->plan.mode[row] = SL_MODE_IDLE;
            core->plan.rule[row] = SL_RULE_CURTAIL;
        }
    }
}

/* ---- caps ---- */

/* What the caps leave for the rows of this tick. */
static struct sl_cap_limits limits_of(struct sl_broker_core *core, int64_t *circuits) {
    const struct sl_core_power *power = core->power;
    int64_t hold_ns = core->config.lease_ttl_ms * SL_NS_PER_MS + sl_core_margin_ns(core);
    struct sl_cap_limits limits = {
        .site_mw = power->policy.site_mw < 0 ? SL_CAP_NONE : power->policy.site_mw,
        .circuit_count = power->policy.circuit_count,
        .circuit_mw = circuits,
        .frozen = core->now.mono.ns - power->started_ns < hold_ns,
    };
    for (uint32_t i = 0; i < limits.circuit_count; i++) {
        circuits[i] = power->policy.circuits[i].cap_mw;
    }
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        struct sl_power_device *device = sl_core_power_device(core, dev);
        name(core, dev, device);
        if (core->fleet.row[dev] != SL_CORE_NONE) {
            continue;
        }
        int64_t held = sl_core_power_held_mw(core, dev);
        if (limits.site_mw >= 0) {
            limits.site_mw = held < limits.site_mw ? limits.site_mw - held : 0;
        }
        if (device->circuit != SL_POWER_NONE) {
            int64_t *left = &circuits[device->circuit];
            *left = held < *left ? *left - held : 0;
        }
    }
    return limits;
}

static void fill_cap_row(struct sl_broker_core *core, uint32_t row) {
    uint32_t dev = core->input.id[row];
    const struct sl_power_device *device = sl_core_power_device(core, dev);
    struct sl_cap_row *out = &core->power->cap_rows[row];
    int64_t idle_mw = sl_core_power_mw(core, dev, SL_MODE_IDLE);
    *out = (struct sl_cap_row){
        .merit = merit_of(core, row, core->plan.mode[row]),
        .held_mw = sl_core_power_held_mw(core, dev),
        .idle_mw = idle_mw < 0 ? 0 : idle_mw,
        .circuit = wide(device->circuit),
    };
    uint8_t present = core->input.present[row];
    bool goes_on = works(present) && (core->input.offer[present][row] & SL_OFFER_POSSIBLE);
    out->stay_mw = goes_on ? sl_core_power_mw(core, dev, (enum sl_mode)present) : -1;
    out->want_mw = works(core->plan.mode[row])
                       ? sl_core_power_mw(core, dev, (enum sl_mode)core->plan.mode[row])
                       : out->idle_mw;
}

static void apply_verdict(struct sl_broker_core *core, uint32_t row) {
    uint8_t verdict = core->power->cap_rows[row].verdict;
    uint8_t present = core->input.present[row];
    sl_core_power_device(core, core->input.id[row])->verdict = verdict;
    if (verdict == SL_CAP_KEEP) {
        return;
    }
    /* What waits goes on with what it does, if that is still there. */
    bool stays = verdict == SL_CAP_WAIT && works(present) &&
                 (core->input.offer[present][row] & SL_OFFER_POSSIBLE);
    core->plan.mode[row] = stays ? present : SL_MODE_IDLE;
    core->plan.rule[row] = SL_RULE_CAP;
}

static void cap(struct sl_broker_core *core) {
    struct sl_core_power *power = core->power;
    int64_t circuits[SL_POLICY_CIRCUITS_MAX];
    int64_t sums[SL_POLICY_CIRCUITS_MAX + 1];
    struct sl_cap_limits limits = limits_of(core, circuits);
    for (uint32_t row = 0; row < core->plan.count; row++) {
        fill_cap_row(core, row);
    }
    sl_cap_apply(&limits, power->cap_rows, core->plan.count, power->merits, power->order, sums);
    for (uint32_t row = 0; row < core->plan.count; row++) {
        apply_verdict(core, row);
    }
}

/* Classes and circuits that nothing fits are a slip, or devices that have not joined yet. */
static void warn_of_names(struct sl_broker_core *core) {
    struct sl_core_power *power = core->power;
    uint32_t classes[SL_POLICY_CLASSES_MAX] = {0};
    uint32_t circuits[SL_POLICY_CIRCUITS_MAX] = {0};
    for (uint32_t dev = 0; dev < core->fleet.count; dev++) {
        const struct sl_power_device *device = sl_core_power_device(core, dev);
        if (device->class_ < SL_POLICY_CLASSES_MAX) {
            classes[device->class_]++;
        }
        if (device->circuit < SL_POLICY_CIRCUITS_MAX) {
            circuits[device->circuit]++;
        }
    }
    for (uint32_t i = 0; i < power->policy.strike_count; i++) {
        if (classes[i] == 0) {
            sl_core_log(core, SL_LOG_WARN, "power.class",
                        "no device is of the class '%s' of power.strike; `sluice devices` shows "
                        "their names",
                        power->policy.strikes[i].class_);
        }
    }
    for (uint32_t i = 0; i < power->policy.circuit_count; i++) {
        if (circuits[i] == 0) {
            sl_core_log(core, SL_LOG_WARN, "power.circuit",
                        "no device hangs on the circuit '%s' of caps.circuits: its nodes are '%s'",
                        power->policy.circuits[i].name, power->policy.circuits[i].nodes);
        }
    }
}

/* An agent that loses the broker hashes by itself, whatever the cap says. */
static void warn_of_safe_mode(struct sl_broker_core *core) {
    if (sl_core_power_capped(core->power) && core->config.safe_mode != SL_MODE_IDLE) {
        sl_core_log(core, SL_LOG_WARN, "power.safe_mode",
                    "agents that lose the broker hash by themselves, above a cap too; set "
                    "agents.safe_mode: idle here and safe_mode: idle at the agents");
    }
}

bool sl_core_power_limits(const struct sl_broker_core *core) {
    return sl_core_power_capped(core->power) || core->power->policy.strike_count > 0;
}

void sl_core_power_limit(struct sl_broker_core *core) {
    struct sl_core_power *power = core->power;
    if (!sl_core_power_limits(core)) {
        return;
    }
    if (!power->begun) {
        power->begun = true;
        power->started_ns = core->now.mono.ns;
        warn_of_safe_mode(core);
    }
    reserve(core);
    for (uint32_t row = 0; row < core->plan.count; row++) {
        uint32_t dev = core->input.id[row];
        struct sl_power_device *device = sl_core_power_device(core, dev);
        name(core, dev, device);
        device->verdict = SL_CAP_KEEP;
        device->wished = core->plan.mode[row];
        device->best = best_work(core, row);
    }
    if (power->policy.strike_count > 0) {
        curtail(core);
    }
    if (sl_core_power_capped(power)) {
        cap(core);
    }
    if (!power->warned && core->now.mono.ns - power->started_ns > NAMES_AFTER_NS) {
        power->warned = true;
        warn_of_names(core);
    }
}

/* ---- words ---- */

static int explain_curtail(const struct sl_broker_core *core, const struct sl_power_device *device,
                           char *out, size_t size) {
    char price_text[64], strike_text[64], back_text[64];
    int64_t price = 0;
    enum sl_core_known known = sl_core_tariff(core, &price);
    const struct sl_policy_power *policy = &core->power->policy;
    if (device->class_ == SL_POWER_NONE || !core->power->classes[device->class_].off) {
        return snprintf(out, size, "was curtailed; power.ramp lets devices back one by one");
    }
    const struct sl_policy_strike *strike = &policy->strikes[device->class_];
    sl_nusd_format(strike->price, strike_text);
    sl_nusd_format((sl_i128)strike->price - policy->curtail.resume_margin, back_text);
    const char *now = known == SL_KNOWN_FRESH ? sl_nusd_format(price, price_text) : "unknown";
    return snprintf(
        out, size,
        "power %s USD/kWh, strike price %s of class '%s'; back at %s or below for %lld s", now,
        strike_text, strike->class_, back_text, (long long)(policy->curtail.resume_ms / 1000));
}

/* "200.0 W" */
static const char *watts(int64_t mw, char text[32]) {
    snprintf(text, 32, "%lld.%lld W", (long long)(mw / 1000), (long long)(mw % 1000 / 100));
    return text;
}

int sl_core_power_explain(const struct sl_broker_core *core, uint32_t dev, uint32_t row, char *out,
                          size_t size) {
    const struct sl_power_device *device = sl_core_power_find(core, dev);
    if (core->plan.rule[row] == SL_RULE_CURTAIL) {
        return explain_curtail(core, device, out, size);
    }
    char need[32];
    const struct sl_cap_row *cap_row = &core->power->cap_rows[row];
    const char *mode = sl_mode_name((enum sl_mode)device->wished);
    bool circuit = cap_row->by_circuit && device->circuit != SL_POWER_NONE;
    const char *name = circuit ? core->power->policy.circuits[device->circuit].name : "site";
    if (device->verdict == SL_CAP_UNKNOWN) {
        return snprintf(out, size,
                        "cap of '%s': nobody knows the watts of %s, so idle; set "
                        "devices.rated_watts",
                        name, mode);
    }
    if (device->verdict == SL_CAP_WAIT) {
        return snprintf(out, size, "cap of '%s': %s needs %s and waits until there is room", name,
                        mode, watts(cap_row->want_mw, need));
    }
    return snprintf(out, size,
                    "cap of '%s': %s at %s does not fit; %lld nUSD/h more than idle is the least "
                    "per watt",
                    name, mode, watts(cap_row->want_mw, need),
                    (long long)cap_row->merit.margin_nusd_h);
}

void sl_core_power_digest(const struct sl_broker_core *core,
                          void (*add)(void *arg, const void *bytes, size_t size), void *arg) {
    const struct sl_core_power *power = core->power;
    bool capped = sl_core_power_capped(power);
    if (!capped && power->policy.strike_count == 0) {
        return;
    }
    for (uint32_t row = 0; row < core->plan.count; row++) {
        const struct sl_power_device *device = sl_core_power_find(core, core->input.id[row]);
        const struct sl_cap_row none = {0};
        const struct sl_cap_row *cap_row = capped ? &power->cap_rows[row] : &none;
        const int64_t figures[] = {device->off,           wide(device->class_),
                                   wide(device->circuit), cap_row->verdict,
                                   cap_row->held_mw,      cap_row->want_mw,
                                   cap_row->idle_mw,      cap_row->merit.margin_nusd_h};
        add(arg, figures, sizeof figures);
    }
}
