/* SPDX-License-Identifier: Apache-2.0
 * What a device said last, in little memory (said.c). Private to broker/core and its tests. */
#ifndef SLUICE_BROKER_CORE_SAID_H
#define SLUICE_BROKER_CORE_SAID_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/msg.h"

struct sl_broker_core;

#define SL_CORE_SWITCH_PAIRS ((SL_MODE_COUNT - 1) * (SL_MODE_COUNT - 2))

struct sl_core_model {
    const char *id;   /* names.c */
    const char *file; /* model_file.h; NULL: not said */
    uint64_t tokens_per_s_milli;
    uint32_t limit;   /* of tokens; SL_CORE_MODEL_CUTS: longer texts are cut */
    uint32_t lengths; /* bytes from here to its rates by length; 0: none was measured */
};
#define SL_CORE_MODEL_CUTS (UINT32_C(1) << 31)

/* What decisions are made from. Whatever else it said is packed (sl_msg_device_unpack). */
struct sl_core_report {
    const char *name; /* of its class, names.c; NULL before the first report */
    const char *head; /* what its class says alike (said.c), names.c; or NULL */
    void *block;      /* models, their rates by length, then `size` bytes: all else */
    uint64_t epoch;
    uint64_t token_rate_milli;                /* tokens by the time spent on leases; 0: not known */
    int32_t watts_mw[SL_MODE_COUNT - 1];      /* of modes from idle on */
    uint32_t switch_us[SL_CORE_SWITCH_PAIRS]; /* from one mode to another */
    uint32_t size;
    uint8_t model_count, lengths_count; /* models, and those with rates by length */
    uint8_t mode;                       /* enum sl_mode */
    uint8_t watts_source[SL_MODE_COUNT - 1];
    bool safe : 1;
    bool ill : 1;   /* it said why it is not offered */
    bool holds : 1; /* units or lines of ours */
    /* Not in the bytes, but: the highest epoch in `epoch`, the hash rate in the fleet's column, the
     * watts here with the times spent in modes before the bytes. */
    bool epoch_is_max : 1, rate_open : 1, watts_open : 1;
};

static inline const struct sl_core_model *sl_core_models(const struct sl_core_report *report) {
    return report->block; /* [model_count] */
}

/* bytes: the device as it came, or NULL: it is packed anew. */
void sl_core_report_keep(struct sl_broker_core *core, uint32_t dev,
                         const struct sl_msg_device *report, const struct sl_msg_bytes *bytes);
/* All of it; zeros but for the key where it has said nothing yet. */
void sl_core_report_get(const struct sl_broker_core *core, uint32_t dev,
                        struct sl_msg_device *ret_device);
void sl_core_report_drop(struct sl_broker_core *core, uint32_t dev);
/* [SL_LENGTHS], never NULL. */
const uint64_t *sl_core_length_rates(const struct sl_core_model *model);
/* Never NULL. */
const char *sl_core_class_name(const struct sl_broker_core *core, uint32_t dev);
/* Unknown for SL_MODE_INVALID. */
struct sl_watts sl_core_watts(const struct sl_broker_core *core, uint32_t dev, unsigned mode);
/* 0: not measured. */
int64_t sl_core_switch_us(const struct sl_broker_core *core, uint32_t dev, unsigned from,
                          unsigned to);
#endif
