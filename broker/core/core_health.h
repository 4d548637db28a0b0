/* SPDX-License-Identifier: Apache-2.0
 * The core's own calls about what people are told, and whom to trust. Part of core_internal.h. */
#ifndef SLUICE_BROKER_CORE_CORE_HEALTH_H
#define SLUICE_BROKER_CORE_CORE_HEALTH_H

#include "broker/core/types.h"

struct sl_broker_core;
struct sl_core_health;

/* events.c: appended with the step's transaction. node, dev: SL_CORE_NONE where there is none; with
 * a device its node is known. */
void sl_core_event_note(struct sl_broker_core *core, enum sl_severity severity, const char *kind,
                        uint32_t node, uint32_t dev, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* health.c: a device has reported; a person clears its state (by: who, for the event). */
void sl_core_health_heard(struct sl_broker_core *core, uint32_t dev,
                          const struct sl_msg_device *report);
void sl_core_health_clear(struct sl_broker_core *core, uint32_t dev, const char *by);
/* A person says of one that is trusted that it was repaired: quarantines count anew. */
void sl_core_health_unmark(struct sl_broker_core *core, uint32_t dev, const char *by);
/* Of the device's hardware; never NULL, empty: not known. */
const char *sl_core_health_uuid(const struct sl_broker_core *core, uint32_t dev);
/* Why it gets no work, where the cause is there in what its agent says now: then nobody can clear
 * it. NULL: it can be cleared. */
const char *sl_core_health_holds(const struct sl_broker_core *core, uint32_t dev);
/* An agent's hello finds these devices; NULL: not this one. Before `heard` of any of them: a UUID
 * that is in use moves nowhere, and in a hello another device of the node may have this one's. */
void sl_core_health_here(struct sl_broker_core *core, uint32_t dev,
                         const struct sl_msg_hello *hello);
/* Whether this is a GPU that was known at another place, which it has left. Such are heard first:
 * who came to that place would else take its name away. */
bool sl_core_health_moved(const struct sl_broker_core *core, const struct sl_msg_device *report);
/* Why it gets no work; NULL: health is no reason. */
const char *sl_core_health_bars(const struct sl_broker_core *core, uint32_t dev);
/* Never NULL. */
const struct sl_core_health *sl_core_health_of(const struct sl_broker_core *core, uint32_t dev);
void sl_core_health_destroy(struct sl_core_health *health);

#endif
