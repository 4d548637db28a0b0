/* SPDX-License-Identifier: Apache-2.0
 * Runs in processes of their own, some at a time: a run that crashes, aborts or hangs is a run that
 * failed, and every one begins with a fresh heap. */
#ifndef SLUICE_TESTS_SIM_RUNNER_H
#define SLUICE_TESTS_SIM_RUNNER_H

#include "proto/base/clock.h"
#include "tests/sim/sim.h"

#define SIM_RUN_SECONDS_MAX 120

struct sim_runner;

/* What came of run `tag`. Returns false to start no more. */
typedef bool (*sim_done_fn)(void *arg, uint64_t tag, const struct sim_options *options,
                            const struct sim_result *result);

struct sim_runner *sim_runner_create(uint32_t jobs, sim_done_fn done, void *arg);
/* Starts a run, waiting for a place when all are taken. mutant: NULL or a name. False: `done` asked
 * to stop. */
bool sim_runner_start(struct sim_runner *runner, uint64_t tag, const struct sim_options *options,
                      const char *mutant);
/* Waits for what still runs, then frees. */
void sim_runner_finish(struct sim_runner *runner);
/* For what the program says about itself. */
double sim_seconds_since(struct sl_mono then);
/* One run alone. */
void sim_run_apart(const struct sim_options *options, const char *mutant,
                   struct sim_result *ret_result);
/* A smaller run that breaks the same rule: fewer faults, fewer hosts, shorter. `options` must break
 * `rule`; at most `tries` runs. */
struct sim_options sim_shrink(const struct sim_options *options, const struct sim_result *result,
                              const char *mutant, uint32_t tries);

#endif
