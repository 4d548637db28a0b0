/* SPDX-License-Identifier: Apache-2.0
 * Rows of a table by their key: open addressing, at most three quarters full. Rows are only ever
 * added. A key that changes leaves its old slot behind until the table is laid out again. */
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"

static uint32_t *slot_of(const struct sl_broker_core *core, const struct sl_core_index *index,
                         const char *key) {
    uint32_t at = (uint32_t)sl_core_hash(key) & (index->cap - 1);
    while (index->slots[at] != 0 && strcmp(index->key_at(core, index->slots[at] - 1), key) != 0) {
        at = (at + 1) & (index->cap - 1);
    }
    return &index->slots[at];
}

uint32_t sl_core_index_find(const struct sl_broker_core *core, const struct sl_core_index *index,
                            const char *key) {
    if (index->cap == 0) {
        return SL_CORE_NONE;
    }
    uint32_t row = *slot_of(core, index, key);
    return row ? row - 1 : SL_CORE_NONE;
}

/* The rows once more, each by the key that it has now, into a table of so many slots. */
static void lay_out(struct sl_broker_core *core, struct sl_core_index *index, uint32_t cap) {
    struct sl_core_index fresh = {.cap = cap, .key_at = index->key_at};
    fresh.slots = sl_core_calloc(cap, sizeof *fresh.slots);
    for (uint32_t i = 0; i < index->cap; i++) {
        uint32_t row = index->slots[i];
        const char *key = row ? index->key_at(core, row - 1) : NULL;
        if (key && slot_of(core, index, key) == &index->slots[i]) {
            *slot_of(core, &fresh, key) = row;
            fresh.count++;
        }
    }
    free(index->slots);
    *index = fresh;
}

void sl_core_index_add(struct sl_broker_core *core, struct sl_core_index *index, uint32_t row) {
    if ((uint64_t)(index->count + 1) * 4 > (uint64_t)index->cap * 3) {
        uint32_t cap = index->cap ? index->cap : 64;
        lay_out(core, index, cap);
        if (index->count > cap / 8 * 3) { /* not only slots of keys that changed since */
            sl_assert(cap <= UINT32_MAX / 2);
            lay_out(core, index, cap * 2);
        }
    }
    *slot_of(core, index, index->key_at(core, row)) = row + 1;
    index->count++;
}

void sl_core_index_fini(struct sl_core_index *index) {
    free(index->slots);
    *index = (struct sl_core_index){.key_at = index->key_at};
}
