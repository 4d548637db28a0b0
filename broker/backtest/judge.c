/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/backtest/judge.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schedulers/class.h"

struct bench {
    void *market_memory;
    void *state; /* of a class */
    size_t state_bytes;
    uint8_t *from; /* [steps][SL_SWITCHING_MODES] */
    uint8_t *modes[SL_JUDGE_POLICIES_MAX + 1];
};

double sl_judge_captured(const struct sl_backtest_result *result,
                         const struct sl_backtest_result *optimum) {
    return optimum->revenue_nusd > 0 ? (double)result->revenue_nusd / (double)optimum->revenue_nusd
                                     : 0;
}

void sl_judge_mode_name(const struct sl_market *market, uint32_t mode, char name[16]) {
    switch (market->modes.kind[mode]) {
    case SL_SWITCHING_LEASE:
        snprintf(name, 16, "lease");
        break;
    case SL_SWITCHING_IDLE:
        snprintf(name, 16, "idle");
        break;
    default:
        snprintf(name, 16, "hash%u", mode % 100);
        break;
    }
}

static void bench_fini(struct bench *b) {
    free(b->market_memory);
    free(b->state);
    free(b->from);
    for (size_t i = 0; i < sizeof b->modes / sizeof b->modes[0]; i++) {
        free(b->modes[i]);
    }
}

static int bench_init(struct bench *b, const struct sl_judge_config *config, uint32_t steps,
                      struct sl_error *err) {
    b->state_bytes = sl_switching_class_bytes(&config->params);
    b->market_memory = malloc(sl_market_bytes(steps));
    b->state = malloc(b->state_bytes);
    b->from = malloc((size_t)steps * SL_SWITCHING_MODES);
    bool failed = !b->market_memory || !b->state || !b->from;
    for (uint32_t p = 0; p <= config->policy_count; p++) {
        b->modes[p] = malloc(steps);
        failed = failed || !b->modes[p];
    }
    return failed ? sl_fail(err, SL_NOMEM, "no memory for a market of %u steps", steps) : SL_OK;
}

static void judge_policies(struct bench *b, struct sl_judge_case *one) {
    const struct sl_judge_config *config = one->config;
    for (uint32_t p = 0; p < config->policy_count; p++) {
        const struct sl_switching_policy *policy = config->policies[p].policy;
        if (policy) {
            memset(b->state, 0, b->state_bytes);
            sl_backtest_run(one->market, one->switch_nusd, policy, &config->params, b->state,
                            b->modes[p], &one->results[p]);
        } else {
            sl_backtest_fixed(one->market, b->modes[p], &one->results[p]);
        }
        one->modes[p] = b->modes[p];
    }
}

int sl_judge_run(const struct sl_judge_config *config, const struct sl_scenario_set *set,
                 int (*see)(void *arg, const struct sl_judge_case *one, struct sl_error *err),
                 void *arg, struct sl_error *err) {
    struct bench b = {0};
    struct sl_market market = {0};
    struct sl_scenario scenario = set->scenario;
    scenario.noise = config->noise >= 0 ? config->noise : scenario.noise;
    scenario.lag_steps = config->lag == SL_JUDGE_LAG_OWN ? scenario.lag_steps : config->lag;
    int rc = bench_init(&b, config, set->steps, err);
    for (uint32_t i = 0; rc == SL_OK && i < scenario.instances; i++) {
        sl_market_place(&market, b.market_memory, set->steps);
        sl_scenario_make(&scenario, config->seed, i, &market);
        for (uint32_t c = 0; rc == SL_OK && c < config->cost_count; c++) {
            struct sl_judge_case one = {
                .config = config,
                .set = set,
                .market = &market,
                .instance = i,
                .cost_ms = config->cost_ms[c],
                .switch_nusd = sl_market_switch_nusd(&market, config->cost_ms[c]),
                .noise = scenario.noise,
                .optimum_modes = b.modes[config->policy_count],
            };
            sl_backtest_optimum(&market, one.switch_nusd, b.from, b.modes[config->policy_count],
                                &one.optimum);
            judge_policies(&b, &one);
            rc = see(arg, &one, err);
        }
    }
    bench_fini(&b);
    return rc;
}
