/* SPDX-License-Identifier: Apache-2.0
 * The made-up store of world.h. */
#ifndef SLUICE_TESTS_UNIT_BROKER_CORE_WORLD_STORE_H
#define SLUICE_TESTS_UNIT_BROKER_CORE_WORLD_STORE_H

#include "tests/unit/broker/core/world.h"

void world_store_apply(struct world_store *s, const struct sl_txn *txn);
void world_store_restore(const struct world_store *s, struct sl_broker_core *core);

#endif
