/* SPDX-License-Identifier: Apache-2.0
 * What the core has learnt of its market, by class of devices, and what would have been earned
 * otherwise. Part of core_state.h, which says who owns what. */
#ifndef SLUICE_BROKER_CORE_CORE_LEARN_H
#define SLUICE_BROKER_CORE_CORE_LEARN_H

#include <stdbool.h>

#include "broker/core/claims.h"
#include "broker/core/core.h"
#include "broker/core/types.h"
#include "schedulers/class.h"
#include "schedulers/policy.h"

struct sl_broker_core;
struct sl_core_batch;

struct sl_core_best { /* of one model, in this tick */
    const char *model;
    struct sl_core_batch *batch;
    sl_i128 tokens_left;             /* of all its batches that could be served, by estimate */
    uint32_t offering;               /* devices that have it */
    bool silent;                     /* one of them does not say which file */
    const struct sl_core_report *by; /* the first of them: batches are compared at its speed */
};

#define SL_CORE_SHADOW_SLOTS 8 /* open batches whose shadow survives a restart exactly */
struct sl_core_shadow_slot {
    char batch[SL_ID_MAX];
    int64_t milli;
    sl_i128 nusd;
};

#define SL_CORE_CLASSES_MAX 64 /* a device costs a byte for its own */

struct sl_core_class {
    char name[SL_MSG_KEY_MAX]; /* of its devices */
    void *memory;
    struct sl_switching_class *learnt;
    int64_t next_ns; /* step, once it has taken one */
    bool stepped;
    bool now; /* in this tick */
    /* measured on one of its devices, [from][to] */
    int64_t switch_us[SL_MODE_COUNT][SL_MODE_COUNT];
    struct sl_core_position { /* of each policy's shadow */
        struct sl_switching_device device;
        int64_t in_mode_ms;
        uint8_t mode;
        bool known;
    } shadows[SL_AGAINST_COUNT - SL_AGAINST_POLICIES];
    int64_t switch_loss[SL_AGAINST_COUNT - SL_AGAINST_POLICIES]; /* nano-USD, in this step */
};
struct sl_core_against_sum { /* of the site; nano-USD/h x ms */
    sl_i128 hash, rest;
    uint64_t switches;
};

struct sl_core_against_more { /* whole nano-USD beside the sums of a device */
    int64_t nusd[SL_AGAINST_COUNT];
};
struct sl_core_counters {                  /* META "counters", in this order */
    uint64_t shares[SL_SHARE_UNKNOWN + 1]; /* by outcome; slot 0 unused */
    uint64_t lines, tokens, switches;
    uint64_t power_missing;                 /* spans in which a device's power could not be known */
    struct sl_core_implausible implausible; /* META "claims" */
};

struct sl_core_feed_state {
    struct sl_core_feed config;
    bool known, wrong;               /* wrong: the source's last word was no price */
    int64_t value_nano, stored_nano; /* the newest; the last written to the store */
    struct sl_wall as_of, stored;
    char health[SL_WHY_MAX];
    struct sl_quote_state quote; /* of the group whose first feed it is; `hold` likewise: why */
    enum sl_quote_why hold;
};

/* What a role's sources say together, worked out once for each moment: every device asks. */
struct sl_core_believed {
    uint64_t moment;
    uint8_t known; /* enum sl_core_known */
    int64_t value;
};

/* classes.c */
uint32_t sl_core_class_of(struct sl_broker_core *core, uint32_t dev);
/* Whether prices are known: else nothing is learnt. */
bool sl_core_classes_may_step(const struct sl_broker_core *core);
/* Whether it takes a step now, if one of its devices has a row. */
bool sl_core_class_is_due(const struct sl_broker_core *core, uint32_t index);
/* Shows each class that is due its step, and says so to the rows of the snapshot. */
void sl_core_classes_step(struct sl_broker_core *core);
void sl_core_classes_fini(struct sl_broker_core *core);

/* against.c */
void sl_core_against_class(struct sl_broker_core *core, uint32_t index,
                           const struct sl_switching_step *seen);
/* What the device would have earned since its last row, nano-USD/h x ms. */
struct sl_core_fleet;
sl_i128 sl_core_against_of(const struct sl_core_fleet *fleet, uint32_t dev, uint32_t index);
/* Rows that are due; all of them at the end. */
void sl_core_against_sweep(struct sl_broker_core *core, bool last);
void sl_core_against_metas(struct sl_broker_core *core);
int sl_core_against_restore(struct sl_broker_core *core, const char *key, const char *value);

#endif
