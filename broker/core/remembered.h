/* SPDX-License-Identifier: Apache-2.0
 * What the policy remembers of each device between two decisions (struct sl_switching_device), in
 * the room that a fleet needs: it has three modes of the ten that a market can have, and a policy
 * keeps either regrets or work. Private to broker/core; owned by the core, its thread's. */
#ifndef SLUICE_BROKER_CORE_REMEMBERED_H
#define SLUICE_BROKER_CORE_REMEMBERED_H

#include "schedulers/policy.h"

struct sl_core_remembered {
    uint32_t cap;
    uint8_t (*noted)[2];                 /* [cap] */
    uint64_t (*regret)[SL_POLICY_MODES]; /* [cap] their bits; NULL: none is above 0 yet */
    int64_t (*work)[SL_POLICY_MODES];    /* likewise */
};

/* Room for cap devices; it does not shrink. New ones are as at first. */
void sl_core_remembered_grow(struct sl_core_remembered *r, uint32_t cap);
void sl_core_remembered_get(const struct sl_core_remembered *r, uint32_t dev,
                            struct sl_switching_device *ret_device);
void sl_core_remembered_put(struct sl_core_remembered *r, uint32_t dev,
                            const struct sl_switching_device *device);
/* of the first count devices; *to is overwritten and wants its fini. */
void sl_core_remembered_copy(const struct sl_core_remembered *from, uint32_t count,
                             struct sl_core_remembered *to);
void sl_core_remembered_fini(struct sl_core_remembered *r);

#endif
