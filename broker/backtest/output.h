/* SPDX-License-Identifier: Apache-2.0
 * What a backtest found, for people and for programs: a table, JSON, a CSV from which anybody can
 * judge again, a page. Each sees every case (judge.h) and is finished once. Thread: any. */
#ifndef SLUICE_BROKER_BACKTEST_OUTPUT_H
#define SLUICE_BROKER_BACKTEST_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "broker/backtest/judge.h"

/* Captured by scenario, cost and policy, instances averaged; then medians and lowest. */
struct sl_backtest_table;
int sl_backtest_table_create(struct sl_backtest_table **ret_table, struct sl_error *err);
int sl_backtest_table_see(struct sl_backtest_table *table, const struct sl_judge_case *one,
                          struct sl_error *err);
void sl_backtest_table_print(const struct sl_backtest_table *table, FILE *out);
void sl_backtest_table_destroy(struct sl_backtest_table *table);
SL_DEFINE_AUTO(sl_backtest_table, sl_backtest_table_destroy)

/* One JSON array of one object a case and policy, written as it goes. */
struct sl_backtest_json {
    FILE *out;
    bool begun;
};
int sl_backtest_json_see(struct sl_backtest_json *json, const struct sl_judge_case *one,
                         struct sl_error *err);
void sl_backtest_json_end(struct sl_backtest_json *json);

/* scenario,instance,switch_cost_s,switch_cost_nusd,step,true_MODE...,quoted_MODE...,mode_POLICY...
 * Rates in nano-USD per hour, net of power; a mode that a scenario does not have stays empty. */
int sl_backtest_dump_head(FILE *out, const struct sl_judge_config *config, struct sl_error *err);
int sl_backtest_dump_see(FILE *out, const struct sl_judge_case *one, struct sl_error *err);

#endif
