/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/blocks.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto/base/error.h"

#define SLAB_BYTES ((size_t)64 * 1024) /* it lies on a multiple of this */

struct free_slot {
    struct free_slot *next;
};

struct sl_core_slab {
    struct sl_core_slab *next, *before; /* of those with room; NULL, NULL and not first: full */
    struct free_slot *free;
    uint32_t used, slots, fresh; /* fresh: slots from here on were never taken */
    size_t slot_bytes;
};

static size_t size_of(size_t bytes) {
    return (bytes + SL_CORE_BLOCK_STEP - 1) / SL_CORE_BLOCK_STEP * SL_CORE_BLOCK_STEP;
}

/* Too large to share a slab, and in no list. */
static bool is_alone(size_t slot_bytes) {
    return slot_bytes > (size_t)SL_CORE_BLOCK_SIZES * SL_CORE_BLOCK_STEP;
}

static struct sl_core_slab **list_of(struct sl_core_blocks *blocks, size_t slot_bytes) {
    return &blocks->open[slot_bytes / SL_CORE_BLOCK_STEP - 1];
}

static struct sl_core_slab *slab_of(const void *block) {
    return (struct sl_core_slab *)((uintptr_t)block & ~(uintptr_t)(SLAB_BYTES - 1));
}

static void put_first(struct sl_core_slab **list, struct sl_core_slab *slab) {
    slab->before = NULL;
    slab->next = *list;
    if (slab->next) {
        slab->next->before = slab;
    }
    *list = slab;
}

static void take_out(struct sl_core_slab **list, struct sl_core_slab *slab) {
    if (slab->before) {
        slab->before->next = slab->next;
    } else {
        *list = slab->next;
    }
    if (slab->next) {
        slab->next->before = slab->before;
    }
    slab->next = slab->before = NULL;
}

static struct sl_core_slab *open_slab(struct sl_core_blocks *blocks, size_t slot_bytes,
                                      bool alone) {
    size_t bytes = alone ? (sizeof(struct sl_core_slab) + slot_bytes + SLAB_BYTES - 1) /
                               SLAB_BYTES * SLAB_BYTES
                         : SLAB_BYTES;
    struct sl_core_slab *slab = aligned_alloc(SLAB_BYTES, bytes);
    if (!slab) {
        sl_assert_failed("out of memory: the broker stops, a restart continues from its store",
                         __FILE__, __LINE__);
    }
    size_t slots = alone ? 1 : (SLAB_BYTES - sizeof *slab) / slot_bytes;
    *slab = (struct sl_core_slab){.slot_bytes = slot_bytes, .slots = (uint32_t)slots};
    blocks->slabs++;
    return slab;
}

void *sl_core_block_take(struct sl_core_blocks *blocks, size_t bytes) {
    sl_assert(bytes > 0);
    size_t slot_bytes = size_of(bytes);
    bool alone = is_alone(slot_bytes);
    struct sl_core_slab *slab = alone ? NULL : *list_of(blocks, slot_bytes);
    if (!slab) {
        slab = open_slab(blocks, slot_bytes, alone);
        if (!alone) {
            put_first(list_of(blocks, slot_bytes), slab);
        }
    }
    void *block = slab->free;
    if (block) {
        slab->free = slab->free->next;
    } else {
        block = (char *)(slab + 1) + slab->fresh++ * slot_bytes;
    }
    if (++slab->used == slab->slots && !alone) {
        take_out(list_of(blocks, slot_bytes), slab);
    }
    return block;
}

size_t sl_core_block_room(const void *block) {
    return block ? slab_of(block)->slot_bytes : 0;
}

void sl_core_block_drop(struct sl_core_blocks *blocks, void *block) {
    if (!block) {
        return;
    }
    struct sl_core_slab *slab = slab_of(block);
    bool was_full = slab->used == slab->slots; /* one that is alone always is */
    if (--slab->used == 0) {
        if (!was_full) {
            take_out(list_of(blocks, slab->slot_bytes), slab);
        }
        free(slab);
        blocks->slabs--;
        return;
    }
    struct free_slot *slot = block;
    slot->next = slab->free;
    slab->free = slot;
    if (was_full) {
        put_first(list_of(blocks, slab->slot_bytes), slab);
    }
}
