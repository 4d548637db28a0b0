/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/claims.h"

#include "schedulers/real.h"

bool sl_claims_plausible(sl_i128 work, uint64_t most, sl_i128 spent) {
    if (work <= spent || most == 0) {
        return true; /* not more than what is expected */
    }
    double count = (double)work / (double)most;
    double expected = (double)(spent > 0 ? spent : 1) / (double)most;
    return count * sl_real_log(count / expected) - count + expected < SL_CLAIMS_CHANCE_LN;
}
