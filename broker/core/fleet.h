/* SPDX-License-Identifier: Apache-2.0
 * Rows of the fleet (fleet.c): who has which device, and what it is told to do. Private to
 * broker/core and its tests; included by core_internal.h. */
#ifndef SLUICE_BROKER_CORE_FLEET_H
#define SLUICE_BROKER_CORE_FLEET_H

#include "broker/core/core_state.h"

/* Its failures so far count no more, nor do those of units that were issued before. */
void sl_core_device_forgive(struct sl_broker_core *core, uint32_t dev);
uint32_t sl_core_device_find(const struct sl_broker_core *core, const char *key);
uint32_t sl_core_device_add(struct sl_broker_core *core, const char *key, uint32_t node);
void sl_core_fleet_hello(struct sl_broker_core *core, uint32_t node,
                         const struct sl_msg_hello *hello, bool new_boot);
void sl_core_fleet_report(struct sl_broker_core *core, uint32_t node,
                          const struct sl_msg_report *report);
void sl_core_fleet_lost(struct sl_broker_core *core, uint32_t node);
/* A text of the device that is kept until the next. */
void sl_core_device_why(struct sl_broker_core *core, uint32_t dev, const char *why);
/* The batch that its lease serves, and the price; NULL and 0: none. */
void sl_core_device_serves(struct sl_core_fleet *fleet, uint32_t dev, struct sl_core_batch *batch,
                           int64_t price);
void sl_core_fleet_create(struct sl_broker_core *core);
void sl_core_fleet_destroy(struct sl_broker_core *core);

#endif
