/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/remembered.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"

#define ROW_BYTES sizeof(int64_t[SL_POLICY_MODES])

_Static_assert(sizeof(((struct sl_switching_device *)0)->regret[0]) == sizeof(int64_t),
               "one size for both");

/* A fresh column with what the old one held; pages that nothing was written to take no memory. */
static void *moved(void *old, uint32_t old_cap, uint32_t cap, size_t size) {
    void *grown = sl_core_calloc(cap, size);
    if (old) {
        memcpy(grown, old, old_cap * size);
        free(old);
    }
    return grown;
}

void sl_core_remembered_grow(struct sl_core_remembered *r, uint32_t cap) {
    if (cap <= r->cap) {
        return;
    }
    r->noted = moved(r->noted, r->cap, cap, sizeof r->noted[0]);
    r->regret = r->regret ? moved(r->regret, r->cap, cap, ROW_BYTES) : NULL;
    r->work = r->work ? moved(r->work, r->cap, cap, ROW_BYTES) : NULL;
    r->cap = cap;
}

void sl_core_remembered_get(const struct sl_core_remembered *r, uint32_t dev,
                            struct sl_switching_device *ret_device) {
    memset(ret_device, 0, sizeof *ret_device);
    ret_device->noted = r->noted[dev][0];
    ret_device->noted_mode = r->noted[dev][1];
    if (r->regret) {
        memcpy(ret_device->regret, r->regret[dev], ROW_BYTES);
    }
    if (r->work) {
        memcpy(ret_device->work, r->work[dev], ROW_BYTES);
    }
}

static bool is_blank(const void *row) {
    uint64_t words[SL_POLICY_MODES];
    _Static_assert(sizeof words == ROW_BYTES, "a row is one word a mode");
    memcpy(words, row, sizeof words);
    uint64_t any = 0;
    for (size_t i = 0; i < SL_POLICY_MODES; i++) {
        any |= words[i];
    }
    return any == 0;
}

/* What is there already is not written: pages of devices that regret nothing take no memory. */
static void put_row(void *row, const void *fresh) {
    if (memcmp(row, fresh, ROW_BYTES) != 0) {
        memcpy(row, fresh, ROW_BYTES);
    }
}

void sl_core_remembered_put(struct sl_core_remembered *r, uint32_t dev,
                            const struct sl_switching_device *device) {
    r->noted[dev][0] = device->noted;
    r->noted[dev][1] = device->noted_mode;
    if (!r->regret && !is_blank(device->regret)) {
        r->regret = sl_core_calloc(r->cap, ROW_BYTES);
    }
    if (!r->work && !is_blank(device->work)) {
        r->work = sl_core_calloc(r->cap, ROW_BYTES);
    }
    if (r->regret) {
        put_row(r->regret[dev], device->regret);
    }
    if (r->work) {
        put_row(r->work[dev], device->work);
    }
}

static void *copy_of(const void *column, uint32_t count, size_t size) {
    return column ? memcpy(sl_core_calloc(count ? count : 1, size), column, count * size) : NULL;
}

void sl_core_remembered_copy(const struct sl_core_remembered *from, uint32_t count,
                             struct sl_core_remembered *to) {
    to->cap = count;
    to->noted = copy_of(from->noted, count, sizeof from->noted[0]);
    to->regret = copy_of(from->regret, count, ROW_BYTES);
    to->work = copy_of(from->work, count, ROW_BYTES);
}

void sl_core_remembered_fini(struct sl_core_remembered *r) {
    free(r->noted);
    free(r->regret);
    free(r->work);
    *r = (struct sl_core_remembered){0};
}
