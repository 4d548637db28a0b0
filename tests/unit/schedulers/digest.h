/* SPDX-License-Identifier: Apache-2.0
 * Everything that a decision depends on, as one number: markets of two kinds, every policy's modes
 * and reasons, optimum; and a fleet under every site's policy, its decisions as the words that are
 * stored, in two orders of the devices and made again from those words. Whatever compiler and
 * machine, it must be SL_DIGEST_EXPECTED; a change of a formula changes it, and then it is written
 * anew here. */
#ifndef SLUICE_TESTS_UNIT_SCHEDULERS_DIGEST_H
#define SLUICE_TESTS_UNIT_SCHEDULERS_DIGEST_H

#include <stdint.h>
#include <stdlib.h>

#include "schedulers/backtest.h"
#include "schedulers/class.h"
#include "tests/unit/schedulers/constants.h"
#include "tests/unit/schedulers/digest_fleet.h"

#define SL_DIGEST_EXPECTED UINT64_C(0xc57f90f412cfbf1b)
#define SL_DIGEST_STEPS (30 * 288)

/* Algorithms, leases, idle, spiky power. */
static const struct sl_scenario digest_scenario = {.name = "E",
                                                   .step_ms = 300000,
                                                   .algorithms = 8,
                                                   .hash_usd_h = 0.06,
                                                   .spread = 0.15,
                                                   .half_life_h = 12,
                                                   .base = 0.06,
                                                   .common_volatility = 0.8,
                                                   .kw = 0.35,
                                                   .power_kind = SL_SCENARIO_POWER_SPIKY,
                                                   .lease = 1,
                                                   .lease_usd_h = 0.09,
                                                   .lease_sd = 0.4,
                                                   .gap_h = 4,
                                                   .lease_h = 4,
                                                   .lease_length_sd = 1.2,
                                                   .idle = 1,
                                                   .idle_kw = 0.02,
                                                   .waiting_kw = 0.03,
                                                   .lease_kw_factor = 0.9,
                                                   .noise = 0.05};

static inline uint64_t digest_policy(uint64_t digest, const struct sl_market *market,
                                     const struct sl_switching_policy *policy, int64_t cost) {
    void *memory = calloc(1, sl_switching_class_bytes(&shipped_constants));
    struct sl_switching_class *class =
        sl_switching_class_init(memory, &market->modes, &shipped_constants);
    struct sl_switching_device device = {0};
    struct sl_switching_step step = {.present = SL_SWITCHING_NONE};
    int64_t in_mode_ms = 0;
    for (uint32_t t = 0; t < market->steps; t++) {
        struct sl_switching_reason reason;
        uint8_t before = step.present;
        sl_backtest_step(market, t, cost, before, in_mode_ms, &step);
        sl_switching_class_observe(class, &step);
        step.present = policy->decide(&shipped_constants, sl_switching_class_view(class), &device,
                                      &step, &reason);
        in_mode_ms = (step.present == before ? in_mode_ms : 0) + market->step_ms;
        digest = digest_add(digest, step.present);
        digest = digest_add(digest, reason.rule);
        digest = digest_add(digest, reason.best);
        digest = digest_add(digest, reason.present_value);
        digest = digest_add(digest, reason.best_value);
        digest = digest_add(digest, reason.band);
        digest = digest_add(digest, reason.regret_nusd);
    }
    free(memory);
    return digest;
}

static inline uint64_t digest_everything(void) {
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    void *memory = malloc(sl_market_bytes(SL_DIGEST_STEPS));
    uint8_t *from = malloc((size_t)SL_DIGEST_STEPS * SL_SWITCHING_MODES);
    struct sl_market market = {0};
    struct sl_backtest_result optimum;
    sl_market_place(&market, memory, SL_DIGEST_STEPS);
    for (uint32_t instance = 0; instance < 2; instance++) {
        sl_scenario_make(&digest_scenario, 1, instance, &market);
        for (int64_t cost_ms = 1000; cost_ms <= 1000000; cost_ms *= 10) {
            int64_t cost = sl_market_switch_nusd(&market, cost_ms);
            sl_backtest_optimum(&market, cost, from, NULL, &optimum);
            digest = digest_add(digest_add(digest, cost), optimum.revenue_nusd);
            for (size_t p = 0; sl_switching_at(p); p++) {
                digest = digest_policy(digest, &market, sl_switching_at(p), cost);
            }
        }
    }
    free(memory);
    free(from);
    for (size_t p = 0; digest && sl_policy_at(p); p++) {
        digest = digest_fleet_policy(digest, sl_policy_at(p));
    }
    return digest;
}

#endif
