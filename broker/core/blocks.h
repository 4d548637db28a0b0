/* SPDX-License-Identifier: Apache-2.0
 * Room for many small blocks that are kept for long and now and then get larger, all of them at
 * about the same time: what 100,000 devices said last. On the heap each would leave a hole behind
 * among its neighbours, and nothing goes back. Here blocks of one size lie side by side in slabs; a
 * slab whose blocks have all moved on is freed. Private to broker/core; the core's thread. */
#ifndef SLUICE_BROKER_CORE_BLOCKS_H
#define SLUICE_BROKER_CORE_BLOCKS_H

#include <stddef.h>

#define SL_CORE_BLOCK_STEP 8u
#define SL_CORE_BLOCK_SIZES 128u /* up to 1 KB; a larger block has a slab of its own */

struct sl_core_slab;
struct sl_core_blocks {                             /* zeroed at first */
    struct sl_core_slab *open[SL_CORE_BLOCK_SIZES]; /* with room, by size */
    size_t slabs;
};

/* A block for at least so many bytes (1 or more), on a multiple of 8; its content is anything. */
void *sl_core_block_take(struct sl_core_blocks *blocks, size_t bytes);
/* How many it has room for. */
size_t sl_core_block_room(const void *block);
void sl_core_block_drop(struct sl_core_blocks *blocks, void *block); /* NULL: nothing */

#endif
