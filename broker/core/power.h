/* SPDX-License-Identifier: Apache-2.0
 * Power at the site: what each device may be drawing, strike prices and caps laid over a plan,
 * energy by mode. Private to broker/core, but for the pictures (sl_view_power_*), which broker/http
 * reads.
 *
 * Watts in mW, energy in mW x ms, carbon in nano-grams of CO2, prices in nano-USD/kWh. Watts come
 * from an agent's report: measured, else rated, else unknown; an unknown figure is never counted as
 * if it were known. Everything belongs to the core and is touched by its thread only. */
#ifndef SLUICE_BROKER_CORE_POWER_H
#define SLUICE_BROKER_CORE_POWER_H

#include "broker/core/core.h"

struct sl_core_power;

/* ---- power.c: hooks of other files, each one call ---- */
void sl_core_power_create(struct sl_broker_core *core);
void sl_core_power_destroy(struct sl_broker_core *core);
/* A directive of this mode is on its way: the device may run it from now on. */
void sl_core_power_granted(struct sl_broker_core *core, uint32_t dev, enum sl_mode mode);
/* The agent runs the newest directive: no older one can start any more. */
void sl_core_power_confirmed(struct sl_broker_core *core, uint32_t dev, enum sl_mode mode);
void sl_core_power_heard(struct sl_broker_core *core, uint32_t dev,
                         const struct sl_msg_device *report);
/* A new process of the agent: nothing of the earlier one runs. */
void sl_core_power_forget(struct sl_broker_core *core, uint32_t dev);
/* The device ran its present mode for so long. */
void sl_core_power_meter(struct sl_broker_core *core, uint32_t dev, int64_t span_ms);
bool sl_core_power_dirty(const struct sl_broker_core *core);
void sl_core_power_metas(struct sl_broker_core *core);
/* -SL_NOTFOUND: a key of somebody else. */
int sl_core_power_restore(struct sl_broker_core *core, const char *key, const char *value);
/* False: the tariff has no times of day. */
bool sl_core_power_tariff(const struct sl_broker_core *core, int64_t *ret_price);

/* ---- power_limit.c: after the policy, before the plan is carried out ---- */
void sl_core_power_limit(struct sl_broker_core *core);
/* Whether it ever does anything: all rows of the tick must lie open for it. */
bool sl_core_power_limits(const struct sl_broker_core *core);
/* What both depended on, for the digest of a decision; nothing where there is no limit. */
void sl_core_power_digest(const struct sl_broker_core *core,
                          void (*add)(void *arg, const void *bytes, size_t size), void *arg);
/* Words for SL_RULE_CURTAIL and SL_RULE_CAP. */
int sl_core_power_explain(const struct sl_broker_core *core, uint32_t dev, uint32_t row, char *out,
                          size_t size);

/* ---- power_view.c ---- */
struct sl_view_power {
    const char *tariff; /* "unknown", "fixed", "feed", "time_of_day" */
    bool price_known, price_fresh;
    int64_t price;
    struct sl_wall price_until; /* next change by time of day; ms 0: none known */
    int64_t site_cap_mw;        /* < 0: none */
    int64_t floor_mw;
    int64_t drawn_mw;         /* the most that all devices may be drawing now */
    uint32_t devices_unknown; /* there, but the watts of what they run are not known */
    uint32_t devices_curtailed, devices_capped;
    sl_i128 energy[SL_MODE_COUNT]; /* mW x ms since the store began */
    sl_i128 curtailed;             /* ... that were not drawn because of a strike price */
    sl_i128 carbon_ng;
    sl_i128 carbon_energy; /* mW x ms for which an intensity was known */
    bool carbon_known;     /* an intensity is known now */
    int64_t carbon_nano_g; /* per kWh */
    bool energy_complete;  /* false: some time was run with unknown watts */
};
struct sl_view_power_class {
    char class_[SL_POLICY_NAME_MAX];
    int64_t strike;
    bool off;
    bool counting; /* a window is under way */
    int64_t window_left_ms;
    uint32_t devices;
};
struct sl_view_power_circuit {
    char name[SL_POLICY_NAME_MAX];
    int64_t cap_mw, drawn_mw;
    uint32_t devices;
};
struct sl_view_power_device {
    char key[SL_MSG_KEY_MAX];
    enum sl_mode mode;
    struct sl_watts watts; /* of that mode */
    int64_t held_mw;       /* the most it may be drawing */
    bool curtailed, capped;
    sl_i128 energy[SL_MODE_COUNT]; /* since this broker started */
    sl_i128 curtailed_energy;
};
void sl_view_power_get(const struct sl_broker_core *core, struct sl_now now,
                       struct sl_view_power *ret_view);
/* By index from 0; false past the end. */
bool sl_view_power_class_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                             struct sl_view_power_class *ret_view);
bool sl_view_power_circuit_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                               struct sl_view_power_circuit *ret_view);
bool sl_view_power_device_get(const struct sl_broker_core *core, struct sl_now now, uint32_t index,
                              struct sl_view_power_device *ret_view);

#endif
