/* SPDX-License-Identifier: Apache-2.0
 * One decision as it can be stored and made again: every figure that the policy read of one device,
 * its class and its constants, and what it answered. Numbers only; the policy's name and version go
 * beside it. As words it is the same on every machine: integers as they are, estimates by the bits
 * of their binary64. Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_DECISION_H
#define SLUICE_SCHEDULERS_DECISION_H

#include <stdbool.h>

#include "schedulers/policy.h"

#define SL_DECISION_WORDS 78
#define SL_DECISION_INPUT_WORDS 68 /* of them, in front: what was read */

#define SL_DECISION_BYTES (SL_DECISION_WORDS * 8)

struct sl_decision {
    struct sl_policy_params params;
    struct { /* as the columns of struct sl_policy_input */
        int64_t in_mode_ms, span_ms, lease_left_ms, hash_rate;
        uint8_t present, lease_open, order_kind, order_pinned;
        int64_t gross_nusd_h[SL_MODE_COUNT], power_nusd_h[SL_MODE_COUNT];
        int64_t switch_us[SL_MODE_COUNT], back_us[SL_MODE_COUNT];
        uint8_t offer[SL_MODE_COUNT];
    } row;
    struct sl_switching_view view;     /* modes: sl_policy_modes */
    struct sl_switching_device device; /* before the decision */
    struct {                           /* as the columns of struct sl_plan */
        int64_t present_nusd_h, best_nusd_h, switch_nusd_h, margin_nusd_h, dwell_left_ms;
        int64_t regret_nusd;
        uint8_t mode, rule, best, marks;
    } plan;
};

/* Row `row` of a decided snapshot; `device` as it was before. */
void sl_decision_take(const struct sl_policy_input *in, const struct sl_switching_device *device,
                      const struct sl_plan *plan, uint32_t row, struct sl_decision *ret_decision);
/* Puts what was read into a row of a snapshot: columns only, neither id nor class. */
void sl_decision_put(const struct sl_decision *decision, struct sl_policy_input *in, uint32_t row);
/* Makes it once more: ret_again is *decision with the answer of now. */
void sl_decision_again(const struct sl_policy *policy, const struct sl_decision *decision,
                       struct sl_decision *ret_again);
void sl_decision_pack(const struct sl_decision *decision, int64_t words[SL_DECISION_WORDS]);
/* Little-endian, and back. */
void sl_decision_bytes(const int64_t words[SL_DECISION_WORDS], uint8_t bytes[SL_DECISION_BYTES]);
void sl_decision_words(const uint8_t bytes[SL_DECISION_BYTES], int64_t words[SL_DECISION_WORDS]);
/* False where a word is out of its range: these are no words of a decision. */
bool sl_decision_unpack(const int64_t words[SL_DECISION_WORDS], struct sl_decision *ret_decision);

#endif
