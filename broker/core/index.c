/* SPDX-License-Identifier: Apache-2.0
 * Rows of a table by their key: open addressing, at most three quarters full. Rows are only ever
 * added. */
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

void sl_core_index_add(struct sl_broker_core *core, struct sl_core_index *index, uint32_t row) {
    if ((uint64_t)(index->count + 1) * 4 > (uint64_t)index->cap * 3) {
        uint32_t *old = index->slots;
        uint32_t old_cap = index->cap;
        index->cap = old_cap ? old_cap * 2 : 64;
        sl_assert(index->cap > old_cap);
        index->slots = sl_core_calloc(index->cap, sizeof *index->slots);
        for (uint32_t i = 0; i < old_cap; i++) {
            if (old[i]) {
                *slot_of(core, index, index->key_at(core, old[i] - 1)) = old[i];
            }
        }
        free(old);
    }
    *slot_of(core, index, index->key_at(core, row)) = row + 1;
    index->count++;
}

void sl_core_index_fini(struct sl_core_index *index) {
    free(index->slots);
    *index = (struct sl_core_index){.key_at = index->key_at};
}
