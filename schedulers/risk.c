/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/risk.h"

#include "proto/base/money.h"

int64_t sl_risk_premium(const struct sl_risk_params *params, enum sl_mode mode,
                        int64_t gross_nusd_h) {
    int64_t ppm = 0;
    if (mode == SL_MODE_HASH) {
        ppm = params->hash_ppm;
    } else if (mode == SL_MODE_INFER) {
        ppm = params->lease_ppm;
    }
    if (ppm <= 0 || gross_nusd_h <= 0) {
        return 0;
    }
    sl_i128 premium = ((sl_i128)gross_nusd_h * ppm + 999999) / 1000000;
    return premium > INT64_MAX ? INT64_MAX : (int64_t)premium;
}
