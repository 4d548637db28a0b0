/* SPDX-License-Identifier: Apache-2.0
 * What every policy of the fleet does alike, around the one question of whether a price moves a
 * device: people and faults first; then a stale price, which forbids every move caused by price;
 * then what ended by itself. Private to schedulers. Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_FRAME_H
#define SLUICE_SCHEDULERS_FRAME_H

#include <stdbool.h>

#include "schedulers/policy.h"

struct sl_frame {
    const struct sl_policy_input *in;
    struct sl_plan *out;
    uint32_t row;
    enum sl_mode present;
    bool gross; /* like is compared with like: some power is unknown, so none counts */
};

/* Empties the row of the plan and says whether a rule above prices settled it. */
bool sl_frame_begin(struct sl_frame *frame, const struct sl_policy_input *in, struct sl_plan *out,
                    uint32_t row);
bool sl_frame_has(const struct sl_frame *frame, enum sl_mode mode, unsigned bits);
/* Net of power where that is known of every mode that could be chosen. */
int64_t sl_frame_value(const struct sl_frame *frame, enum sl_mode mode);
/* Equal values: what runs goes on; then earning modes before idle. */
enum sl_mode sl_frame_best(const struct sl_frame *frame);
void sl_frame_settle(const struct sl_frame *frame, enum sl_mode mode, enum sl_rule rule);
/* It did nothing before, or what it did is not there any more: the best is taken. */
bool sl_frame_restart(const struct sl_frame *frame);

#endif
