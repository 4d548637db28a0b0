/* SPDX-License-Identifier: Apache-2.0
 * The part of digest.h about a fleet: decisions as the words that are stored. */
#ifndef SLUICE_TESTS_UNIT_SCHEDULERS_DIGEST_FLEET_H
#define SLUICE_TESTS_UNIT_SCHEDULERS_DIGEST_FLEET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schedulers/class.h"
#include "schedulers/decision.h"
#include "tests/unit/schedulers/constants.h"

static inline uint64_t digest_add(uint64_t digest, int64_t value) {
    for (int i = 0; i < 8; i++) {
        digest = (digest ^ ((uint64_t)value >> (8 * i) & 0xff)) * UINT64_C(0x100000001b3);
    }
    return digest;
}

#define SL_DIGEST_DEVICES 64
#define SL_DIGEST_ROUNDS 60

struct digest_fleet {
    struct sl_policy_input in;
    struct sl_plan plan;
    struct sl_switching_device devices[SL_DIGEST_DEVICES], before[SL_DIGEST_DEVICES];
    void *in_memory, *plan_memory;
};

static inline uint32_t digest_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

/* Device `id` in a market of its own, at place `row`. */
static inline void digest_row(uint64_t seed, struct sl_policy_input *in, uint32_t row, uint32_t id,
                              int64_t span_ms) {
    uint64_t random = seed + id * UINT64_C(0x9e3779b97f4a7c15);
    in->id[row] = id;
    in->class[row] = 0;
    in->span_ms[row] = span_ms;
    in->present[row] = (uint8_t)(digest_random(&random) % 4);
    in->in_mode_ms[row] = digest_random(&random) % 2000000;
    in->lease_open[row] = (uint8_t)(digest_random(&random) % 2);
    in->order_kind[row] = (uint8_t)(digest_random(&random) % 32);
    in->order_pinned[row] = (uint8_t)(digest_random(&random) % 5);
    in->lease_left_ms[row] = digest_random(&random) % 10000000;
    in->hash_rate[row] = 500 + digest_random(&random) % 1000;
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        in->gross_nusd_h[mode][row] = mode == SL_MODE_IDLE ? 0 : digest_random(&random);
        in->power_nusd_h[mode][row] = (int64_t)digest_random(&random) / 2 - 100000000;
        in->switch_us[mode][row] = digest_random(&random) % 2000000000;
        in->back_us[mode][row] = digest_random(&random) % 2000000000;
        in->offer[mode][row] = (uint8_t)(mode == SL_MODE_IDLE ? 7 : digest_random(&random) % 8);
    }
}

static inline void digest_fleet_init(struct digest_fleet *f,
                                     const struct sl_switching_view *const *views) {
    f->in_memory = calloc(1, sl_policy_input_bytes(SL_DIGEST_DEVICES));
    f->plan_memory = calloc(1, sl_plan_bytes(SL_DIGEST_DEVICES));
    sl_policy_input_place(&f->in, f->in_memory, SL_DIGEST_DEVICES);
    sl_plan_place(&f->plan, f->plan_memory, SL_DIGEST_DEVICES);
    f->in.classes = views;
    f->in.count = SL_DIGEST_DEVICES;
    f->in.params = (struct sl_policy_params){.threshold_ppm = 20000,
                                             .dwell_min_ms = 10000,
                                             .switch_horizon_ms = 60000,
                                             .safe_mode = SL_MODE_HASH,
                                             .fixed = SL_MODE_HASH,
                                             .switching = shipped_constants};
}

/* 0 where the other order, or the words alone, lead to other words. */
static inline uint64_t digest_fleet_policy(uint64_t digest, const struct sl_policy *policy) {
    void *memory = calloc(1, sl_switching_class_bytes(&shipped_constants));
    struct sl_switching_class *class =
        sl_switching_class_init(memory, &sl_policy_modes, &shipped_constants);
    const struct sl_switching_view *view = sl_switching_class_view(class);
    struct digest_fleet fleets[2] = {0};
    bool same = true;
    digest_fleet_init(&fleets[0], &view);
    digest_fleet_init(&fleets[1], &view);
    for (uint64_t round = 0; round < SL_DIGEST_ROUNDS; round++) {
        int64_t span_ms = round % 3 ? 300000 : 0;
        struct sl_switching_step typical;
        for (int f = 0; f < 2; f++) {
            for (uint32_t id = 0; id < SL_DIGEST_DEVICES; id++) {
                uint32_t row = f ? (id * 29 + 7) % SL_DIGEST_DEVICES : id;
                digest_row(round, &fleets[f].in, row, id, span_ms);
            }
            memcpy(fleets[f].before, fleets[f].devices, sizeof fleets[f].before);
        }
        sl_policy_typical(&fleets[round % 2].in, 0, 300000, &typical);
        sl_switching_class_observe(class, &typical);
        for (int f = 0; f < 2; f++) {
            policy->decide(&fleets[f].in, fleets[f].devices, &fleets[f].plan);
        }
        for (uint32_t id = 0; id < SL_DIGEST_DEVICES; id++) {
            struct sl_decision one, other, again;
            int64_t words[3][SL_DECISION_WORDS];
            uint32_t row = (id * 29 + 7) % SL_DIGEST_DEVICES;
            sl_decision_take(&fleets[0].in, &fleets[0].before[id], &fleets[0].plan, id, &one);
            sl_decision_take(&fleets[1].in, &fleets[1].before[id], &fleets[1].plan, row, &other);
            sl_decision_pack(&one, words[0]);
            sl_decision_pack(&other, words[1]);
            same = same && sl_decision_unpack(words[0], &other);
            sl_decision_again(policy, &other, &again);
            sl_decision_pack(&again, words[2]);
            same = same && memcmp(words[0], words[1], sizeof words[0]) == 0 &&
                   memcmp(words[0], words[2], sizeof words[0]) == 0;
            for (int w = 0; w < SL_DECISION_WORDS; w++) {
                digest = digest_add(digest, words[0][w]);
            }
        }
    }
    for (int f = 0; f < 2; f++) {
        free(fleets[f].in_memory);
        free(fleets[f].plan_memory);
    }
    free(memory);
    return same ? digest : 0;
}

#endif
