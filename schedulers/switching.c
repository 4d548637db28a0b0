/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/switching.h"

#include <string.h>

const struct sl_switching_params sl_switching_defaults = {
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

static const struct sl_switching_policy *const policies[] = {
    &sl_switching_fbf,     &sl_switching_work_function, &sl_switching_percent,
    &sl_switching_minimum, &sl_switching_greedy,
};

const struct sl_switching_policy *sl_switching_at(size_t index) {
    return index < sizeof policies / sizeof policies[0] ? policies[index] : NULL;
}

const struct sl_switching_policy *sl_switching_find(const char *name) {
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        if (strcmp(policies[i]->name, name) == 0) {
            return policies[i];
        }
    }
    return NULL;
}
