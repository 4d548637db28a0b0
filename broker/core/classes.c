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
    const char *name = sl_core_class_name(core, dev);
    uint32_t known = core->fleet.class_row[dev];
    if (known > 0 && strcmp(core->classes[known - 1].name, name) == 0) {
        return known - 1;
    }
    uint32_t at = class_find(core, name);
    at = at == SL_CORE_NONE ? class_add(core, name) : at;
    core->fleet.class_row[dev] = (uint8_t)(at + 1);
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
            core->classes[index].switch_us[from][to] =
                sl_core_switch_us(core, dev, (unsigned)from, (unsigned)to);
        }
    }
}

bool sl_core_classes_may_step(const struct sl_broker_core *core) {
    return prices_are_known(core);
}

bool sl_core_class_is_due(const struct sl_broker_core *core, uint32_t index) {
    const struct sl_core_class *class = &core->classes[index];
    return !class->stepped || core->now.mono.ns >= class->next_ns;
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
    int64_t step_ms = core->config.policy.step_ms;
    for (uint32_t i = 0; i < core->class_count; i++) {
        struct sl_core_class *class = &core->classes[i];
        struct sl_switching_step step;
        uint32_t first = known ? sl_policy_typical(in, i, step_ms, &step) : SL_CORE_NONE;
        class->now = first != SL_CORE_NONE && is_due(class, core->now.mono.ns, step_ms);
        if (class->now) {
            take_costs(core, i, in->id[first]);
            class->stepped = true;
            sl_switching_class_observe(class->learnt, &step);
            sl_core_against_class(core, i, &step);
            any = true;
        }
    }
    for (uint32_t row = 0; row < in->count; row++) {
        in->span_ms[row] = core->classes[in->class[row]].now ? step_ms : 0;
    }
    /* What a decision starts from is part of it, and the policy is about to change it. */
    if (any) {
        sl_core_remembered_copy(&core->switching, core->fleet.count, &core->switching_before);
    }
}
