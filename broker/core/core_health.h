/* SPDX-License-Identifier: Apache-2.0
 * The core's own calls about what people are told, and whom to trust. Part of core_internal.h. */
#ifndef SLUICE_BROKER_CORE_CORE_HEALTH_H
#define SLUICE_BROKER_CORE_CORE_HEALTH_H

#include "broker/core/types.h"

struct sl_broker_core;

/* events.c: appended with the step's transaction. node, dev: SL_CORE_NONE where there is none; with
 * a device its node is known. */
void sl_core_event_note(struct sl_broker_core *core, enum sl_severity severity, const char *kind,
                        uint32_t node, uint32_t dev, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

#endif
