/* SPDX-License-Identifier: Apache-2.0
 * A light picture of a device's health and sensors; part of view.h. Pointers are into the core and
 * good until its next step. */
#ifndef SLUICE_BROKER_CORE_VIEW_HEALTH_H
#define SLUICE_BROKER_CORE_VIEW_HEALTH_H

#include "broker/core/event_row.h"
#include "proto/wire/msg_telemetry.h"

struct sl_broker_core;

struct sl_view_health {
    const char *key;
    const char *node;
    const char *uuid; /* never NULL; empty: not known */
    enum sl_health_state state;
    enum sl_figure cause; /* of a state that is not OK */
    uint32_t code;        /* of an Xid */
    const char *text;     /* never NULL */
    const char *way_back;
    struct sl_wall since; /* ms 0: always */
    uint32_t incidents;
    bool rma;
    const char *fault; /* why its state is faulty whatever its health is; NULL: it is not */
    const char *fault_way_back;
    const char *doubt; /* why what it claims is not believed (claims.h); NULL: it is */
};
/* By index from 0; false past the end. */
bool sl_view_health_get(const struct sl_broker_core *core, uint32_t index,
                        struct sl_view_health *ret_view);

/* What sensors said of a device before it was lost says nothing about now: all but counts becomes
 * unknown. */
void sl_view_telemetry_now(const struct sl_broker_core *core, uint32_t index,
                           struct sl_msg_telemetry *telemetry);
/* What its sensors said in the last report; false past the end. It is unpacked for that, so not for
 * every device of a large site. */
bool sl_view_telemetry_get(const struct sl_broker_core *core, uint32_t index,
                           struct sl_msg_telemetry *ret_telemetry);

#endif
