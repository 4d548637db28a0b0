/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/tick_rows.h"

#include <stdlib.h>
#include <string.h>

static void free_tables(struct sl_broker_core *core) {
    free(core->input_memory);
    free(core->plan_memory);
    free(core->decided);
    free(core->tick_batch);
}

/* Fresh tables with the rows of the old ones; pages behind the last row are never touched. */
static void resize(struct sl_broker_core *core, uint32_t cap) {
    uint32_t count = core->input.count;
    struct sl_policy_input in = core->input;
    struct sl_plan plan = core->plan;
    void *input_memory = sl_core_calloc(1, sl_policy_input_bytes(cap));
    void *plan_memory = sl_core_calloc(1, sl_plan_bytes(cap));
    uint8_t(*decided)[2] = sl_core_calloc(cap, sizeof *decided);
    struct sl_core_batch **batch = sl_core_calloc(cap, sizeof(struct sl_core_batch *));
    sl_policy_input_place(&in, input_memory, cap);
    sl_plan_place(&plan, plan_memory, cap);
    if (count > 0) {
#define COPY_INPUT(type, name) memcpy(in.name, core->input.name, count * sizeof(type));
#define COPY_PLAN(type, name) memcpy(plan.name, core->plan.name, count * sizeof(type));
#define COPY_MODES(type, name)                                                                     \
    for (int m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {                                           \
        memcpy(in.name[m], core->input.name[m], count * sizeof(type));                             \
    }
        SL_POLICY_COLUMNS(COPY_INPUT)
        SL_POLICY_MODE_COLUMNS(COPY_MODES)
        SL_PLAN_COLUMNS(COPY_PLAN)
        memcpy(decided, core->decided, count * sizeof *decided);
        memcpy(batch, core->tick_batch, count * sizeof(struct sl_core_batch *));
    }
    free_tables(core);
    core->input = in;
    core->plan = plan;
    core->input_memory = input_memory;
    core->plan_memory = plan_memory;
    core->decided = decided;
    core->tick_batch = batch;
    core->tick_cap = cap;
}

void sl_core_rows_reserve(struct sl_broker_core *core, uint32_t rows) {
    if (rows <= core->tick_cap) {
        return;
    }
    uint32_t cap = core->tick_cap > SL_CORE_ROWS_MIN ? core->tick_cap : SL_CORE_ROWS_MIN;
    while (cap < rows) {
        sl_assert(cap <= UINT32_MAX / 2);
        cap *= 2;
    }
    resize(core, cap);
}

void sl_core_rows_move(struct sl_broker_core *core, uint32_t from, uint32_t to) {
    struct sl_policy_input *in = &core->input;
    struct sl_plan *plan = &core->plan;
    core->fleet.row[in->id[from]] = to;
    if (from == to) {
        return;
    }
#define MOVE_INPUT(type, name) in->name[to] = in->name[from];
#define MOVE_PLAN(type, name) plan->name[to] = plan->name[from];
#define MOVE_MODES(type, name)                                                                     \
    for (int m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {                                           \
        in->name[m][to] = in->name[m][from];                                                       \
    }
    SL_POLICY_COLUMNS(MOVE_INPUT)
    SL_POLICY_MODE_COLUMNS(MOVE_MODES)
    SL_PLAN_COLUMNS(MOVE_PLAN)
    core->decided[to][0] = core->decided[from][0];
    core->decided[to][1] = core->decided[from][1];
    core->tick_batch[to] = core->tick_batch[from];
}

bool sl_core_row_is_asked_for(const struct sl_broker_core *core, uint32_t dev, enum sl_rule rule) {
    /* An order that finds the device where it wants it sends nothing, and rules all the same. */
    bool ordered = rule == SL_RULE_STOP || rule == SL_RULE_DRAIN || rule == SL_RULE_FAULT ||
                   rule == SL_RULE_PIN;
    bool limited = rule == SL_RULE_CURTAIL || rule == SL_RULE_CAP;
    return ordered || limited || rule == SL_RULE_HOLD || rule == SL_RULE_DWELL ||
           core->fleet.rule[dev] == 0;
}

void sl_core_rows_drop(struct sl_broker_core *core) {
    uint32_t kept = 0;
    for (uint32_t row = 0; row < core->plan.count; row++) {
        uint32_t dev = core->input.id[row];
        if (sl_core_row_is_asked_for(core, dev, (enum sl_rule)core->plan.rule[row])) {
            sl_core_rows_move(core, row, kept++);
        } else {
            core->fleet.row[dev] = SL_CORE_NONE;
        }
    }
    core->input.count = kept;
    core->plan.count = kept;
    if (core->tick_cap > SL_CORE_ROWS_MIN && core->tick_cap / 8 >= kept) {
        uint32_t twice = 2 * kept;
        resize(core, twice > SL_CORE_ROWS_MIN ? twice : SL_CORE_ROWS_MIN);
    }
}

void sl_core_rows_fini(struct sl_broker_core *core) {
    free_tables(core);
    core->input_memory = NULL;
    core->plan_memory = NULL;
    core->decided = NULL;
    core->tick_batch = NULL;
    core->tick_cap = 0;
}
