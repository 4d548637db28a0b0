/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/exposure.h"

#include <string.h>

#include "proto/base/text.h"

#define WHOLE 1000000

static struct sl_exposure_row *row_of(struct sl_exposure *exposure, enum sl_exposure_kind kind,
                                      const char *name) {
    for (uint32_t i = 0; i < exposure->count; i++) {
        struct sl_exposure_row *row = &exposure->rows[i];
        if (row->kind == kind && strcmp(row->name, name) == 0) {
            return row;
        }
    }
    if (exposure->count == exposure->cap) {
        struct sl_exposure_row *last = &exposure->rows[exposure->cap - 1];
        sl_text_copy(last->name, sizeof last->name, "others");
        return last;
    }
    struct sl_exposure_row *row = &exposure->rows[exposure->count++];
    *row = (struct sl_exposure_row){.kind = kind};
    sl_text_copy(row->name, sizeof row->name, name);
    return row;
}

void sl_exposure_add(struct sl_exposure *exposure, enum sl_exposure_kind kind, const char *name,
                     sl_i128 revenue_nusd) {
    row_of(exposure, kind, name)->revenue_nusd += revenue_nusd;
    exposure->total_nusd += revenue_nusd;
}

static bool before(const struct sl_exposure_row *a, const struct sl_exposure_row *b) {
    if (a->revenue_nusd != b->revenue_nusd) {
        return a->revenue_nusd > b->revenue_nusd;
    }
    return a->kind != b->kind ? a->kind < b->kind : strcmp(a->name, b->name) < 0;
}

/* Few rows: no library sort, which may take memory. */
static void sort(struct sl_exposure *exposure) {
    for (uint32_t i = 1; i < exposure->count; i++) {
        struct sl_exposure_row row = exposure->rows[i];
        uint32_t at = i;
        for (; at > 0 && before(&row, &exposure->rows[at - 1]); at--) {
            exposure->rows[at] = exposure->rows[at - 1];
        }
        exposure->rows[at] = row;
    }
}

void sl_exposure_close(struct sl_exposure *exposure, int64_t coin_max_ppm, int64_t tenant_max_ppm) {
    sl_i128 squares = 0;
    sort(exposure);
    for (uint32_t i = 0; i < exposure->count; i++) {
        struct sl_exposure_row *row = &exposure->rows[i];
        int64_t limit = row->kind == SL_EXPOSURE_COIN ? coin_max_ppm : tenant_max_ppm;
        row->share_ppm = 0;
        row->over = false;
        if (exposure->total_nusd <= 0 || row->revenue_nusd <= 0) {
            continue;
        }
        sl_i128 scaled = row->revenue_nusd * WHOLE;
        row->share_ppm = (int64_t)((scaled + exposure->total_nusd / 2) / exposure->total_nusd);
        row->over = scaled > exposure->total_nusd * limit; /* exact, not by the rounded share */
        squares += (sl_i128)row->share_ppm * row->share_ppm;
    }
    exposure->hhi_ppm = (int64_t)((squares + WHOLE / 2) / WHOLE);
}
