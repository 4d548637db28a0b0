/* SPDX-License-Identifier: Apache-2.0
 * Mutants: the simulator proves itself by seeing each bug that was put into the product on purpose
 * (proto/base/mutant.h). */
#ifndef SLUICE_TESTS_SIM_HUNT_H
#define SLUICE_TESTS_SIM_HUNT_H

#include "tests/sim/options.h"

/* 0 when every one was seen by one of the seeds; 2 in a build without mutants. */
int sim_hunt_mutants(const struct sim_cli *cli);

#endif
