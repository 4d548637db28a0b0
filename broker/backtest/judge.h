/* SPDX-License-Identifier: Apache-2.0
 * Every policy on every market at every cost of a switch, beside the clairvoyant optimum.
 *
 * One case is one scenario, instance and cost; whoever writes something out sees them one after
 * the other. "fixed", the best single mode by hindsight, stands among the policies although none
 * could have known it. Thread: any. */
#ifndef SLUICE_BROKER_BACKTEST_JUDGE_H
#define SLUICE_BROKER_BACKTEST_JUDGE_H

#include "broker/backtest/scenario_file.h"
#include "schedulers/backtest.h"

#define SL_JUDGE_POLICIES_MAX 8
#define SL_JUDGE_COSTS_MAX 16
#define SL_JUDGE_NOISE_OWN (-1.0)
#define SL_JUDGE_LAG_OWN UINT32_MAX

struct sl_judge_policy {
    char name[24];
    const struct sl_switching_policy *policy; /* NULL: fixed */
};

struct sl_judge_config {
    struct sl_judge_policy policies[SL_JUDGE_POLICIES_MAX];
    uint32_t policy_count;
    int64_t cost_ms[SL_JUDGE_COSTS_MAX]; /* revenue lost by a switch, as a span of the best mode */
    uint32_t cost_count;
    double noise; /* instead of the scenario's own; SL_JUDGE_NOISE_OWN */
    uint32_t lag; /* SL_JUDGE_LAG_OWN */
    uint64_t seed;
    struct sl_switching_params params;
};

struct sl_judge_case {
    const struct sl_judge_config *config;
    const struct sl_scenario_set *set;
    const struct sl_market *market;
    uint32_t instance;
    int64_t cost_ms;
    int64_t switch_nusd;
    double noise;
    struct sl_backtest_result optimum;
    const uint8_t *optimum_modes; /* [steps] */
    struct sl_backtest_result results[SL_JUDGE_POLICIES_MAX];
    const uint8_t *modes[SL_JUDGE_POLICIES_MAX]; /* [steps] each */
};

/* revenue / optimum; 0 where the optimum is not positive. */
double sl_judge_captured(const struct sl_backtest_result *result,
                         const struct sl_backtest_result *optimum);
/* "hash0" and so on, "lease", "idle"; into name[16]. */
void sl_judge_mode_name(const struct sl_market *market, uint32_t mode, char name[16]);

/* A negative status of `see` ends it. */
int sl_judge_run(const struct sl_judge_config *config, const struct sl_scenario_set *set,
                 int (*see)(void *arg, const struct sl_judge_case *one, struct sl_error *err),
                 void *arg, struct sl_error *err);

#endif
