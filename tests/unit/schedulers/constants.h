/* SPDX-License-Identifier: Apache-2.0
 * The constants of the switching policies as shipped, for programs without the policy document
 * (another machine's digest). tests/unit/broker/policy/test_document.c holds them to it. */
#ifndef SLUICE_TESTS_UNIT_SCHEDULERS_CONSTANTS_H
#define SLUICE_TESTS_UNIT_SCHEDULERS_CONSTANTS_H

#include "schedulers/switching.h"

static const struct sl_switching_params shipped_constants = {
    .theta_ppm = 2000000,
    .kz_ppm = 250000,
    .horizon_ms = 4 * 3600000,
    .memory_steps = 2016,
    .lag_short_steps = 24,
    .clip = 16,
    .gap_prior_ms = 3600000,
    .lease_prior_ms = 4 * 3600000,
    .lease_memory = 50,
    .percent_ppm = 30000,
    .minimum_ms = 600000,
};

#endif
