/* SPDX-License-Identifier: Apache-2.0
 * The operator's own rates: the least that a tenant must bid for a model on a class of devices. The
 * most specific row counts: one that names the tenant before one that names the model, that before
 * one that names the class; of two classes the one with more letters. No row: no least rate.
 * Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_RATE_CARD_H
#define SLUICE_SCHEDULERS_RATE_CARD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/error.h"

#define SL_RATES_MAX 64
#define SL_RATE_STARS_MAX 2

struct sl_rate {
    char model[64];  /* exactly, or "*" */
    char class_[64]; /* of the device's name; '*' stands for any text */
    char tenant[64]; /* exactly, or "*" */
    int64_t nusd_per_mtok;
};

/* -SL_INVALID, by name, where two rows are equally specific and could both count; and for a class
 * with too many stars. */
int sl_rate_card_check(const struct sl_rate *rates, uint32_t count, struct sl_error *err);

/* The row that counts, or NULL. class_: the device's name. */
const struct sl_rate *sl_rate_card_find(const struct sl_rate *rates, uint32_t count,
                                        const char *model, const char *class_, const char *tenant);

/* Whether a name is one that a pattern with '*' stands for. */
bool sl_rate_card_matches(const char *pattern, const char *name);

#endif
