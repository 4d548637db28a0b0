/* SPDX-License-Identifier: Apache-2.0
 * The part of the policy document about health: what is done with a device of which something is
 * known. Part of document.h. Plain struct, no ownership. Thread: any. */
#ifndef SLUICE_BROKER_POLICY_HEALTH_H
#define SLUICE_BROKER_POLICY_HEALTH_H

#include <stdint.h>

#define SL_POLICY_XIDS_MAX 32

/* What is done, in rising order: ignore, warn, drain, quarantine. As enum sl_health_state. */
#define SL_POLICY_ACTIONS "ignore|warn|drain|quarantine"

struct sl_policy_xid {
    int64_t xid;
    int64_t action;
};

struct sl_policy_health {
    struct sl_policy_xid xids[SL_POLICY_XIDS_MAX]; /* before the built-in table */
    uint32_t xid_count;
    /* Actions. */
    int64_t ecc;    /* uncorrected memory errors */
    int64_t reset;  /* the driver wants a reset, or memory rows wait for one */
    int64_t remap;  /* bad memory rows can no longer be replaced */
    int64_t lost;   /* fallen off the bus */
    int64_t hung;   /* a kernel never returned */
    int64_t canary; /* a known answer was wrong */
    /* Slowed without a break; 0: never. */
    int64_t thermal_warn_ms, thermal_drain_ms, brake_warn_ms;
    int64_t passes;        /* re-tests passed in a row end a warning or a drain */
    int64_t rma_incidents; /* quarantines within rma_span_ms: send it back; 0: never said */
    int64_t rma_span_ms;
};

#endif
