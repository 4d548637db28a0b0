/* SPDX-License-Identifier: Apache-2.0
 * Curtailment: a class of devices stands idle while power costs more than its strike price.
 *
 * The price must stay above the strike for the whole confirm window before the class is off, and at
 * or below strike - resume margin for the whole resume window before it is on again. A price that
 * is stale or not known moves nothing: windows begin anew, what is off stays off. Prices of other
 * things do not count here, so curtailment acts while hash prices are stale.
 *
 * How fast devices follow their class is bounded by ramps for the whole site (a token bucket that
 * holds one minute's worth): least margin per watt first off, most first on. A device larger than a
 * minute's worth goes when the bucket is full. A floor keeps so much load on.
 *
 * Prices in nano-USD/kWh, watts in mW (below 2^40), times in ms of any steady clock. States are
 * plain, the caller's, zeroed at first. Thread: any; pure, no heap. */
#ifndef SLUICE_SCHEDULERS_CURTAIL_H
#define SLUICE_SCHEDULERS_CURTAIL_H

#include "proto/base/money.h"
#include "schedulers/merit.h"

struct sl_curtail_params {
    int64_t confirm_ms;
    int64_t resume_ms;
    int64_t resume_margin; /* nano-USD/kWh, >= 0 */
    int64_t ramp_mw;       /* per minute; 0: no limit */
    int64_t ramp_devices;  /* per minute; 0: no limit */
};

struct sl_curtail_class {
    int64_t since_ms; /* of the window under way */
    bool counting;    /* one is under way */
    bool off;
};

/* True when the class has just gone off or on. */
bool sl_curtail_step(const struct sl_curtail_params *params, int64_t strike, bool fresh,
                     int64_t price, int64_t now_ms, struct sl_curtail_class *class_);

struct sl_curtail_ramp {
    bool begun;
    int64_t at_ms;
    sl_i128 mw;      /* x 60000: what is left in the bucket; may be below 0 */
    sl_i128 devices; /* x 60000 */
};

struct sl_curtail_row {
    struct sl_merit merit; /* of its best working mode over idle */
    bool wanted_off;       /* its class is off */
    bool off;              /* in and out */
};

/* Moves rows towards what is wanted, as far as ramp and floor allow. room_mw: so much may still be
 * taken off (INT64_MAX: no floor). scratch_order has room for rows. */
void sl_curtail_apply(const struct sl_curtail_params *params, int64_t now_ms, int64_t room_mw,
                      struct sl_curtail_row *rows, uint32_t count, struct sl_merit *scratch_merits,
                      uint32_t *scratch_order, struct sl_curtail_ramp *ramp);

#endif
