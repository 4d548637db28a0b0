/* SPDX-License-Identifier: Apache-2.0
 * How much a site lives on one source: each source's share of revenue, the sum of squared shares
 * (HHI), and whether a share is above its limit. Integers; shares in parts per million, rounded to
 * nearest. Rows belong to the caller. Thread: any; pure, no heap. */
#ifndef SLUICE_SCHEDULERS_EXPOSURE_H
#define SLUICE_SCHEDULERS_EXPOSURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/money.h"

enum sl_exposure_kind { SL_EXPOSURE_COIN = 1, SL_EXPOSURE_TENANT };

struct sl_exposure_row {
    enum sl_exposure_kind kind;
    char name[64];
    sl_i128 revenue_nusd;
    int64_t share_ppm; /* of the total; set by close */
    bool over;         /* above its kind's limit; set by close */
};

struct sl_exposure {
    struct sl_exposure_row *rows; /* [cap], the caller's */
    uint32_t count, cap;
    sl_i128 total_nusd;
    int64_t hhi_ppm; /* 1000000: all from one source; 0: no revenue */
};

/* Adds to the source's row, made on first sight. Where no row is left the last one, "others" of its
 * kind or not, takes it, so that the total stays whole. Amounts below 0 are corrections. */
void sl_exposure_add(struct sl_exposure *exposure, enum sl_exposure_kind kind, const char *name,
                     sl_i128 revenue_nusd);

/* Shares, HHI and marks from the sums; largest first, then by name. The limits are parts per
 * million; a share at its limit is within it. */
void sl_exposure_close(struct sl_exposure *exposure, int64_t coin_max_ppm, int64_t tenant_max_ppm);

#endif
