/* SPDX-License-Identifier: Apache-2.0
 * How far a device is trusted. Agents report facts (msg_telemetry.h); the policy says what is done:
 * a warning changes nothing, a drain takes work away until re-tests have passed, a quarantine until
 * a person clears it. Quarantine and drain outrank prices and pins; orders of people to drain or
 * stop outrank them. The judging is pure, and shared with nobody. */
#ifndef SLUICE_BROKER_CORE_HEALTH_H
#define SLUICE_BROKER_CORE_HEALTH_H

#include "broker/core/event_row.h"
#include "broker/policy/document.h"
#include "proto/wire/msg_telemetry.h"

/* Counting facts that were judged already, of one start of the agent. */
struct sl_health_seen {
    uint64_t boot_id;
    uint32_t xids, ecc, canary_failed;
};

/* What is remembered of a device. */
struct sl_core_health {
    struct sl_health_seen seen;
    int64_t since_ms;    /* wall clock; of the state */
    int64_t told_ns;     /* when an event last said why; 0: never */
    int64_t incident_ms; /* first quarantine that counts towards an RMA */
    char *text;          /* malloc'ed, of a state that is not OK; else NULL */
    char *uuid;          /* malloc'ed, and of no other device; NULL: not known */
    uint32_t incidents;
    uint32_t passes_base; /* re-tests passed when the state began, or a fact last held */
    uint32_t passed;      /* of this start of the agent */
    uint16_t code;
    uint8_t state, cause; /* enum sl_health_state, enum sl_figure of the fact */
    bool rma, rows;       /* rows: the store has one */
    bool base_unknown;    /* restored: counts of this start of the agent were not stored */
    bool here;            /* its agent is there and finds it */
    bool uuid_told;       /* that the UUID which it names is another one's */
};

/* The worst of what a report says that was not judged before. */
struct sl_health_verdict {
    enum sl_health_state state; /* OK: nothing new, and nothing holds */
    enum sl_figure cause;
    uint32_t code; /* of an Xid */
    bool fresh;    /* something happened; else it only still holds */
};
/* Built-in: by NVIDIA's catalogue of Xids. */
enum sl_health_state sl_health_of_xid(const struct sl_policy_health *policy, uint32_t xid);
struct sl_health_verdict sl_health_judge(const struct sl_policy_health *policy,
                                         const struct sl_health_seen *seen,
                                         const struct sl_msg_telemetry *t);
/* "driver error 79: the GPU has fallen off its bus", ... */
void sl_health_text(const struct sl_health_verdict *verdict, const struct sl_msg_telemetry *t,
                    char *out, size_t size);
/* How the state ends, for people. */
const char *sl_health_way_back(enum sl_health_state state);

#endif
