/* SPDX-License-Identifier: Apache-2.0
 * What happened on the site (a node came or went, a device was quarantined), and which devices are
 * not trusted: plain records that core, store and HTTP share, part of types.h. No ownership. */
#ifndef SLUICE_BROKER_CORE_EVENT_ROW_H
#define SLUICE_BROKER_CORE_EVENT_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/decided.h"
#include "proto/base/clock.h"
#include "proto/wire/msg_limits.h"

#define SL_UUID_TEXT_MAX 48 /* of a device, with NUL */

enum sl_severity {
    SL_SEVERITY_INVALID = 0,
    SL_SEVERITY_INFO,
    SL_SEVERITY_WARN,
    SL_SEVERITY_ALERT, /* somebody has to act */
};

struct sl_event_row {
    uint64_t id; /* given by the store, rising; a restored backup goes back to its own */
    struct sl_wall at;
    char node[SL_MSG_NAME_MAX];  /* empty: of the site */
    char device[SL_MSG_KEY_MAX]; /* empty: of the whole node */
    char kind[32];               /* "session.lost", "health.quarantine", ... */
    enum sl_severity severity;
    char text[SL_WHY_MAX]; /* for people; one line */
};
/* "info", "warn", "alert". */
const char *sl_severity_name(enum sl_severity severity);

/* How far a device is trusted (broker/core/health.h). In rising order. */
enum sl_health_state {
    SL_HEALTH_OK = 0,
    SL_HEALTH_WARN,       /* works on; somebody should look */
    SL_HEALTH_DRAIN,      /* gets no work until it has passed re-tests */
    SL_HEALTH_QUARANTINE, /* gets no work until a person clears it */
    SL_HEALTH_STATES,
};
const char *sl_health_state_name(enum sl_health_state state);

struct sl_health_row {
    char device[SL_MSG_KEY_MAX];
    char uuid[SL_UUID_TEXT_MAX]; /* empty: not known */
    enum sl_health_state state;
    uint8_t cause; /* enum sl_figure of the fact behind it; 0: none */
    uint32_t code; /* of an Xid */
    char text[SL_WHY_MAX];
    struct sl_wall since;
    uint32_t incidents;         /* quarantines since `first` */
    struct sl_wall incident_at; /* first of them */
    bool rma;                   /* so many that it should be sent back */
    char seen[192];             /* boot id and counts that were judged already */
};

#endif
