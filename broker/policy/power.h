/* SPDX-License-Identifier: Apache-2.0
 * The part of the policy document about power: strike prices, ramps, caps, a floor. Part of
 * document.h. Watts in mW, prices in nano-USD/kWh. Plain struct, no ownership. Thread: any. */
#ifndef SLUICE_BROKER_POLICY_POWER_H
#define SLUICE_BROKER_POLICY_POWER_H

#include "proto/base/error.h"
#include "schedulers/curtail.h"

#define SL_POLICY_CLASSES_MAX 16
#define SL_POLICY_CIRCUITS_MAX 16
#define SL_POLICY_NAME_MAX 48
#define SL_POLICY_NODES_MAX 512

struct sl_policy_strike {
    char class_[SL_POLICY_NAME_MAX]; /* pattern of device names, as of a shell */
    int64_t price;
};

struct sl_policy_circuit {
    char name[SL_POLICY_NAME_MAX];
    char nodes[SL_POLICY_NODES_MAX]; /* names or patterns with commas between */
    int64_t cap_mw;
};

struct sl_policy_power {
    struct sl_curtail_params curtail;
    struct sl_policy_strike strikes[SL_POLICY_CLASSES_MAX];
    uint32_t strike_count;
    int64_t site_mw; /* < 0: no cap */
    struct sl_policy_circuit circuits[SL_POLICY_CIRCUITS_MAX];
    uint32_t circuit_count;
    int64_t unknown_mw;    /* < 0: a device whose watts nobody knows stays idle under a cap */
    int64_t advantage_ppm; /* what runs keeps its place under a cap against so much more */
    int64_t floor_mw;      /* curtailment goes no lower */
};

/* -SL_INVALID with both names for two parts that contradict each other. */
int sl_policy_power_check(const struct sl_policy_power *power, struct sl_error *err);
/* Whether a name fits a list such as "rig1, rig2*". */
bool sl_policy_power_fits(const char *list, const char *name);

#endif
