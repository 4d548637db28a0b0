/* SPDX-License-Identifier: Apache-2.0
 * The site as a stress test sees it (schedulers/stress.h): taken from the core at one moment, with
 * where each figure comes from. Names in it are the core's: valid in the step in which it was
 * taken. Nothing here changes state. Thread: the loop's. Money nano-USD, rates per device-hour. */
#ifndef SLUICE_BROKER_CORE_STRESS_H
#define SLUICE_BROKER_CORE_STRESS_H

#include "broker/core/core.h"
#include "schedulers/stress.h"

enum sl_core_price { SL_CORE_PRICE_UNKNOWN = 0, SL_CORE_PRICE_STALE, SL_CORE_PRICE_FRESH };

struct sl_core_stress {
    struct sl_stress_input in; /* columns in `memory` */
    struct sl_stress_side before, after;
    const char **keys;    /* [in.count] */
    uint8_t *use_known;   /* [in.count] 1: measured; 0: a whole use is assumed */
    const char **batches; /* [in.commit_count] */
    const char **tenants; /* [in.commit_count]; commits[].tenant is the first row of that tenant */
    enum sl_core_price hash_known;
    int64_t hash_nusd_ph_day; /* with the factor */
    enum sl_core_price power_known;
    int64_t power_nusd_kwh;
    bool power_fixed;      /* by the configuration, not from a feed */
    uint32_t devices_away; /* not counted: lost, not proven, or not healthy */
    uint32_t commits_left_out;
    void *memory;
};

/* NULL: no memory. */
struct sl_core_stress *sl_core_stress_take(const struct sl_broker_core *core, struct sl_now now);
void sl_core_stress_destroy(struct sl_core_stress *stress);
SL_DEFINE_AUTO(sl_core_stress, sl_core_stress_destroy)

/* The number by which commits know a tenant; SL_SHOCK_NOBODY - 1 for one without an open batch. */
uint32_t sl_core_stress_tenant(const struct sl_core_stress *stress, const char *tenant);

/* The document that the core decides by. */
const struct sl_policy_document *sl_core_document(const struct sl_broker_core *core);

#endif
