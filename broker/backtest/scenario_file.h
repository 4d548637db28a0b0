/* SPDX-License-Identifier: Apache-2.0
 * A scenario file: the constants of a made-up market in YAML, and which recorded prices it lies on.
 * Columns and constants, never dates: the window is the overlap of its series. docs/backtest.md has
 * every key. Thread: any. */
#ifndef SLUICE_BROKER_BACKTEST_SCENARIO_FILE_H
#define SLUICE_BROKER_BACKTEST_SCENARIO_FILE_H

#include "broker/backtest/recording.h"
#include "schedulers/scenario.h"

#define SL_SCENARIO_STEPS_MAX 2000000

enum sl_scenario_role { SL_SCENARIO_HASH, SL_SCENARIO_POWER, SL_SCENARIO_LEASE, SL_SCENARIO_ROLES };

/* The window asked for; INT64_MIN and INT64_MAX where it is open. */
struct sl_scenario_window {
    int64_t from_ms, to_ms;
};

struct sl_scenario_set {
    struct sl_scenario scenario; /* its series point into `values` */
    uint32_t steps;
    int64_t start_ms; /* 0 where it has no series */
    double *values[SL_SCENARIO_ROLES];
};

/* Reads the file, the series it names from the folders (the later extends the earlier), and lays
 * them over one another. No overlap is an error that names both spans. */
int sl_scenario_load(const char *path, const char *const *folders, size_t folder_count,
                     const struct sl_scenario_window *window, struct sl_scenario_set **ret_set,
                     struct sl_error *err);
void sl_scenario_set_destroy(struct sl_scenario_set *set);
SL_DEFINE_AUTO(sl_scenario_set, sl_scenario_set_destroy)

#endif
