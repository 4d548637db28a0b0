/* SPDX-License-Identifier: Apache-2.0
 * The site's pools inside the core: what the agents say of them, what was booked under each, and
 * which one every hashing device is sent to (schedulers/pools.h).
 *
 * The pool travels with the directive and with each of its renewals, under the same epoch: it says
 * where shares go, not who may use the device, so a change needs no stop, no new epoch and nothing
 * durable; a lost one comes again with the next renewal. Thread: the loop's. */
#ifndef SLUICE_BROKER_CORE_POOLS_H
#define SLUICE_BROKER_CORE_POOLS_H

#include "broker/core/core_state.h"
#include "schedulers/pools.h"

#define SL_CORE_POOLS_MAX 64 /* names that are told apart; agents could make up more */
#define SL_CORE_POOLS_OTHER "others"

/* Index of the name, added where it is new; with too many names, of SL_CORE_POOLS_OTHER. */
uint32_t sl_core_pool(struct sl_broker_core *core, const char *name);
/* The name under which a share of the agent's `name` is booked. Good until the next call. */
const char *sl_core_pool_booking(struct sl_broker_core *core, const char *name);
/* Shares that are not plausible (claims.h) say nothing of how the pool does. */
void sl_core_pool_booked(struct sl_broker_core *core, const struct sl_share_row *row,
                         bool plausible);
/* Rows that changed go into the step's transaction. */
void sl_core_pools_store(struct sl_broker_core *core);
void sl_core_pools_report(struct sl_broker_core *core, uint32_t node,
                          const struct sl_msg_report *report);
/* A new start of its agent: counts of it begin at 0. */
void sl_core_pools_boot(struct sl_broker_core *core, uint32_t node);
/* Told by its agent, of a device that we know nothing of: a broker that comes back leaves each
 * where it is, and moves those that the split wants elsewhere. */
void sl_core_pools_adopt(struct sl_broker_core *core, uint32_t dev, const char *name);
/* Chooses for the devices that the plan lets hash; then tells those that hash already. */
void sl_core_pools_tick(struct sl_broker_core *core);
void sl_core_pools_send(struct sl_broker_core *core);
/* The one of the node that stands for it on screens: the first that has work, else the first. */
void sl_core_pools_node(const struct sl_broker_core *core, uint32_t node,
                        struct sl_msg_pool *ret_pool);

/* Why the policy has left it; empty: it has not. */
void sl_core_pool_reason(const struct sl_pools_params *params, const struct sl_pools_health *health,
                         char *out, size_t size);

#endif
