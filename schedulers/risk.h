/* SPDX-License-Identifier: Apache-2.0
 * What uncertainty costs: a premium on each kind of revenue, taken off before modes are compared,
 * as power is. It moves no money; it makes a decision ask for more. nano-USD per device-hour.
 * Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_RISK_H
#define SLUICE_SCHEDULERS_RISK_H

#include <stdint.h>

#include "proto/base/mode.h"

/* As the policy document gives them: parts per million of the gross. */
struct sl_risk_params {
    int64_t hash_ppm;
    int64_t lease_ppm;
};

/* The premium on `gross` in a mode; rounded up, 0 for idle and where nothing is earned. */
int64_t sl_risk_premium(const struct sl_risk_params *params, enum sl_mode mode,
                        int64_t gross_nusd_h);

#endif
