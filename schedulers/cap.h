/* SPDX-License-Identifier: Apache-2.0
 * Site and circuit caps: hard limits on what all devices together draw, in any state that is
 * applied on the way, not only in the one that is wanted.
 *
 * Two steps. Shed: devices are set to idle, least margin per watt first, until what is wanted fits
 * under each cap; each circuit by itself first, then the site. Pinned devices come last, but come:
 * a cap is for safety. Grow: until the agents have confirmed it, a device that shrinks counts with
 * what it may still draw; a device that grows waits until there is room for it beside that, most
 * margin per watt first. So what is applied never exceeds a cap because of a move.
 *
 * What lies outside (devices that cannot be moved now) is taken off the caps by the caller. A
 * device whose watts in the planned mode are not known stays idle under a cap, unless the caller
 * gives a figure for them. Watts in mW, below 2^40 each. Rows in any order: the outcome does not
 * depend on it. Thread: any; pure, no heap. */
#ifndef SLUICE_SCHEDULERS_CAP_H
#define SLUICE_SCHEDULERS_CAP_H

#include "schedulers/merit.h"

#define SL_CAP_NONE (-1) /* no such cap */
#define SL_CAP_NO_CIRCUIT UINT32_MAX

enum sl_cap_verdict {
    SL_CAP_KEEP = 0, /* as planned */
    SL_CAP_SHED,     /* idle: what is planned does not fit */
    SL_CAP_WAIT,     /* fits, but not before others have shrunk */
    SL_CAP_UNKNOWN,  /* idle: nobody knows what it would draw */
};

struct sl_cap_row {
    struct sl_merit merit; /* of the planned mode over idle; mw is set here */
    int64_t held_mw;       /* the most it may be drawing now */
    int64_t stay_mw;       /* of what it does now, while that can go on; < 0: it cannot */
    int64_t want_mw;       /* in the planned mode; < 0: not known */
    int64_t idle_mw;
    uint32_t circuit;
    uint8_t verdict; /* out: enum sl_cap_verdict */
    bool by_circuit; /* out: the circuit's cap says so, not the site's */
};

struct sl_cap_limits {
    int64_t site_mw; /* what is left for these rows; SL_CAP_NONE: no cap */
    uint32_t circuit_count;
    const int64_t *circuit_mw; /* [circuit_count] likewise */
    bool frozen;               /* nothing may grow now */
};

/* A limit that is used up by what lies outside is 0, not SL_CAP_NONE. scratch_order has room for
 * rows, scratch_sums for circuit_count + 1. */
void sl_cap_apply(const struct sl_cap_limits *limits, struct sl_cap_row *rows, uint32_t count,
                  struct sl_merit *scratch_merits, uint32_t *scratch_order, int64_t *scratch_sums);

#endif
