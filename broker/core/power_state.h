/* SPDX-License-Identifier: Apache-2.0
 * What power.c, power_limit.c and power_view.c share; units as in power.h. Owned by the core. */
#ifndef SLUICE_BROKER_CORE_POWER_STATE_H
#define SLUICE_BROKER_CORE_POWER_STATE_H

#include "broker/core/core_internal.h"
#include "broker/core/power.h"
#include "schedulers/cap.h"
#include "schedulers/curtail.h"

#define SL_POWER_NONE UINT8_MAX /* no class, no circuit */

struct sl_power_device {
    uint8_t bits;    /* modes that it may be running: 1 << enum sl_mode; 0: never heard */
    uint8_t verdict; /* enum sl_cap_verdict of the last tick */
    uint8_t wished;  /* mode planned before caps and strike prices */
    uint8_t best;    /* working mode worth most in the last tick; 0: none was possible */
    uint8_t class_;  /* index, or SL_POWER_NONE */
    uint8_t circuit; /* index, or SL_POWER_NONE */
    bool off;        /* curtailed */
    bool named;      /* class and circuit were looked up for this report's name */
};

struct sl_core_power {
    struct sl_policy_power policy;
    struct sl_power_device *devices; /* [cap] */
    /* [cap] mW x ms of believable watts (said.c) fit for centuries; sums of a site do not. A column
     * each: of a mode that few devices are in, most of it is never touched. */
    int64_t *device_energy[SL_MODE_COUNT - 1]; /* from idle on */
    int64_t *device_curtailed;
    uint32_t cap;
    struct sl_curtail_class classes[SL_POLICY_CLASSES_MAX];
    struct sl_curtail_ramp ramp;
    bool begun;
    int64_t started_ns; /* first tick */
    bool warned;        /* about classes and circuits that nothing fits */
    bool dirty;
    bool incomplete; /* something ran with unknown watts */
    sl_i128 energy[SL_MODE_COUNT], curtailed, carbon_ng, carbon_rem, carbon_energy;
    /* Scratch of a tick, [tick_cap]. */
    uint32_t tick_cap;
    struct sl_cap_row *cap_rows;
    struct sl_curtail_row *curtail_rows;
    uint32_t *curtail_index; /* plan row of each */
    struct sl_merit *merits;
    uint32_t *order;
};

/* The device's part; the table grows with the fleet. */
struct sl_power_device *sl_core_power_device(struct sl_broker_core *core, uint32_t dev);
/* Without growing: NULL for one that was never looked at. */
const struct sl_power_device *sl_core_power_find(const struct sl_broker_core *core, uint32_t dev);
/* Watts of a mode as they count under a cap; < 0: not known. */
int64_t sl_core_power_mw(const struct sl_broker_core *core, uint32_t dev, enum sl_mode mode);
/* The most that the device may be drawing now. */
int64_t sl_core_power_held_mw(const struct sl_broker_core *core, uint32_t dev);
void sl_core_power_free_tick(struct sl_core_power *power);
bool sl_core_power_capped(const struct sl_core_power *power);

#endif
