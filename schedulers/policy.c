/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/policy.h"

#include <string.h>

static const struct sl_policy *const policies[] = {
    &sl_policy_threshold,     &sl_policy_fbf,    &sl_policy_percent, &sl_policy_minimum,
    &sl_policy_work_function, &sl_policy_greedy, &sl_policy_fixed,
};

const struct sl_switching_modes sl_policy_modes = {
    .count = SL_POLICY_MODES,
    .kind = {SL_SWITCHING_HASH, SL_SWITCHING_LEASE, SL_SWITCHING_IDLE},
};

const struct sl_policy *sl_policy_at(size_t index) {
    return index < sizeof policies / sizeof policies[0] ? policies[index] : NULL;
}

const struct sl_policy *sl_policy_find(const char *name) {
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        if (strcmp(policies[i]->name, name) == 0) {
            return policies[i];
        }
    }
    return NULL;
}

const char *sl_rule_name(enum sl_rule rule) {
    static const char *const names[] = {
        "invalid",     "stop",        "drain", "faulty",    "pin",  "hold", "start",
        "lease-end",   "stay",        "dwell", "threshold", "idle", "band", "regret",
        "lease-enter", "lease-leave", "fixed", "curtail",   "cap"};
    return (size_t)rule < sizeof names / sizeof names[0] ? names[rule] : names[0];
}

/* Columns stand one behind the other, each on a multiple of 8 bytes. */
static size_t column_bytes(size_t item, uint32_t cap) {
    return (item * cap + 7) / 8 * 8;
}

#define ADD_COLUMN(type, name) bytes += column_bytes(sizeof(type), cap);
#define ADD_MODE_COLUMN(type, name) bytes += SL_MODE_COUNT * column_bytes(sizeof(type), cap);

size_t sl_policy_input_bytes(uint32_t cap) {
    size_t bytes = 0;
    SL_POLICY_COLUMNS(ADD_COLUMN)
    SL_POLICY_MODE_COLUMNS(ADD_MODE_COLUMN)
    return bytes;
}

size_t sl_plan_bytes(uint32_t cap) {
    size_t bytes = 0;
    SL_PLAN_COLUMNS(ADD_COLUMN)
    return bytes;
}

static void *next_column(char **at, size_t item, uint32_t cap) {
    void *column = *at;
    *at += column_bytes(item, cap);
    return column;
}

#define PLACE_INPUT(type, name) in->name = next_column(&at, sizeof(type), cap);
#define PLACE_INPUT_MODE(type, name)                                                               \
    for (int mode = 0; mode < SL_MODE_COUNT; mode++) {                                             \
        in->name[mode] = next_column(&at, sizeof(type), cap);                                      \
    }
#define PLACE_PLAN(type, name) plan->name = next_column(&at, sizeof(type), cap);

void sl_policy_input_place(struct sl_policy_input *in, void *memory, uint32_t cap) {
    char *at = memory;
    SL_POLICY_COLUMNS(PLACE_INPUT)
    SL_POLICY_MODE_COLUMNS(PLACE_INPUT_MODE)
}

void sl_plan_place(struct sl_plan *plan, void *memory, uint32_t cap) {
    char *at = memory;
    SL_PLAN_COLUMNS(PLACE_PLAN)
}
