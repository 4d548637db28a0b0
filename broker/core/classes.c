/* SPDX-License-Identifier: Apache-2.0
 * What the filters see of this site. Devices of one name are a class; at a fixed step (policy
 * document: `step`) each class is shown its typical device, the mean of those that could work, at
 * the present prices. A step is left out while a price is stale: nothing is learnt from what is not
 * known. A device's own past (its regret) accrues in the same steps. */
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"
#include "schedulers/opportunity.h"

static uint32_t class_find(const struct sl_broker_core *core, const char *name) {
    for (uint32_t i = 0; i < core->class_count; i++) {
        if (strcmp(core->classes[i].name, name) == 0) {
            return i;
        }
    }
    return SL_CORE_NONE;
}

/* Beyond the limit everything shares the last one: a site has a few dozen kinds of devices. */
static uint32_t class_add(struct sl_broker_core *core, const char *name) {
    if (core->class_count == SL_CORE_CLASSES_MAX) {
        return SL_CORE_CLASSES_MAX - 1;
    }
    uint32_t at = core->class_count++;
    struct sl_core_class *class = &core->classes[at];
    sl_text_copy(class->name, sizeof class->name, name);
    const struct sl_switching_params *params = &core->config.policy.switching;
    class->memory = sl_core_calloc(1, sl_switching_class_bytes(params));
    class->learnt = sl_switching_class_init(class->memory, &sl_policy_modes, params);
    core->class_views[at] = sl_switching_class_view(class->learnt);
    return at;
}

uint32_t sl_core_class_of(struct sl_broker_core *core, uint32_t dev) {
    const char *name = core->fleet.cold[dev].report.name;
    uint32_t known = core->fleet.class_row[dev];
    if (known > 0 && strcmp(core->classes[known - 1].name, name) == 0) {
        return known - 1;
    }
    uint32_t at = class_find(core, name);
    at = at == SL_CORE_NONE ? class_add(core, name) : at;
    core->fleet.class_row[dev] = at + 1;
    return at;
}

void sl_core_classes_fini(struct sl_broker_core *core) {
    for (uint32_t i = 0; i < core->class_count; i++) {
        free(core->classes[i].memory);
    }
}

static bool prices_are_known(const struct sl_broker_core *core) {
    int64_t price = 0;
    return sl_core_hashprice(core, &price) == SL_KNOWN_FRESH &&
           sl_core_tariff(core, &price) != SL_KNOWN_STALE;
}

/* Measured costs are those of one of them. */
static void take_costs(struct sl_broker_core *core, uint32_t index, uint32_t dev) {
    for (int from = SL_MODE_IDLE; from < SL_MODE_COUNT; from++) {
        for (int to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            uint64_t us = core->fleet.cold[dev].report.switch_us[from][to];
            core->classes[index].switch_us[from][to] = us > INT64_MAX ? INT64_MAX : (int64_t)us;
        }
    }
}

/* The typical device of a class, from its rows. False when none could work. */
static bool typical(struct sl_broker_core *core, uint32_t class,
                    struct sl_switching_step *ret_step) {
    const struct sl_policy_input *in = &core->input;
    sl_i128 rate = 0;
    sl_i128 gross = 0;
    sl_i128 lease = 0;
    int64_t leases = 0;
    bool hashing = false;
    sl_i128 power[SL_MODE_COUNT] = {0};
    int64_t devices = 0;
    for (uint32_t row = 0; row < in->count; row++) {
        if (in->class[row] != class) {
            continue;
        }
        if (devices++ == 0) {
            take_costs(core, class, in->id[row]);
        }
        rate += in->hash_rate[row];
        gross += in->gross_nusd_h[SL_MODE_HASH][row];
        for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
            bool known = in->offer[mode][row] & SL_OFFER_POWER;
            power[mode] += known ? in->power_nusd_h[mode][row] : 0;
        }
        hashing = hashing || (in->offer[SL_MODE_HASH][row] & SL_OFFER_POSSIBLE);
        if (in->offer[SL_MODE_INFER][row] & SL_OFFER_POSSIBLE) {
            lease += in->gross_nusd_h[SL_MODE_INFER][row];
            leases++;
        }
    }
    if (devices == 0) {
        return false;
    }
    *ret_step = (struct sl_switching_step){.span_ms = core->config.policy.step_ms,
                                           .lease_on = leases > 0,
                                           .possible = 1u << SL_POLICY_IDLE};
    ret_step->possible |= (uint16_t)(hashing << SL_POLICY_HASH | (leases > 0) << SL_POLICY_LEASE);
    ret_step->gross_nusd_h[SL_POLICY_LEASE] = leases > 0 ? (int64_t)(lease / leases) : 0;
    ret_step->gross_nusd_h[SL_POLICY_HASH] = (int64_t)(gross / devices);
    ret_step->rate[SL_POLICY_HASH] = (int64_t)(rate / devices);
    ret_step->known_nusd_h[SL_POLICY_HASH] = (int64_t)(power[SL_MODE_HASH] / devices);
    ret_step->known_nusd_h[SL_POLICY_LEASE] = (int64_t)(power[SL_MODE_INFER] / devices);
    ret_step->known_nusd_h[SL_POLICY_IDLE] = (int64_t)(power[SL_MODE_IDLE] / devices);
    ret_step->waiting_nusd_h = -ret_step->known_nusd_h[SL_POLICY_IDLE];
    return true;
}

/* Steps stand on a grid, however late a tick comes; after a pause the grid begins anew. */
static bool is_due(struct sl_core_class *class, int64_t now_ns, int64_t step_ms) {
    int64_t step_ns = step_ms * SL_NS_PER_MS;
    int64_t late_ns = now_ns - class->next_ns;
    if (class->stepped && late_ns < 0) {
        return false;
    }
    class->next_ns =
        class->stepped && late_ns < step_ns ? class->next_ns + step_ns : now_ns + step_ns;
    return true;
}

void sl_core_classes_step(struct sl_broker_core *core) {
    struct sl_policy_input *in = &core->input;
    bool known = prices_are_known(core);
    bool any = false;
    for (uint32_t i = 0; i < core->class_count; i++) {
        struct sl_core_class *class = &core->classes[i];
        struct sl_switching_step step;
        class->now = known && typical(core, i, &step) &&
                     is_due(class, core->now.mono.ns, core->config.policy.step_ms);
        if (class->now) {
            class->stepped = true;
            sl_switching_class_observe(class->learnt, &step);
            sl_core_against_class(core, i, &step);
            any = true;
        }
    }
    for (uint32_t row = 0; row < in->count; row++) {
        in->span_ms[row] = core->classes[in->class[row]].now ? core->config.policy.step_ms : 0;
    }
    /* What a decision starts from is part of it, and the policy is about to change it. */
    if (any) {
        memcpy(core->switching_before, core->switching,
               core->fleet.count * sizeof core->switching[0]);
    }
}
