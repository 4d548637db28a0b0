/* SPDX-License-Identifier: Apache-2.0
 * Blocks do not overlap, keep what is written, and slabs that are empty go back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/blocks.h"

#include <cmocka.h>

#define COUNT 3000

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static bool holds(const unsigned char *block, size_t bytes, unsigned char mark) {
    for (size_t i = 0; i < bytes; i++) {
        if (block[i] != mark) {
            return false;
        }
    }
    return true;
}

static void test_blocks_keep_what_is_written(void **state) {
    (void)state;
    struct sl_core_blocks blocks = {0};
    unsigned char *at[COUNT] = {NULL};
    size_t bytes[COUNT] = {0};
    uint32_t random = 1;
    for (int turn = 0; turn < 40000; turn++) {
        uint32_t i = next_random(&random) % COUNT;
        if (at[i]) {
            assert_true(holds(at[i], bytes[i], (unsigned char)i));
        }
        sl_core_block_drop(&blocks, at[i]);
        at[i] = NULL;
        if (next_random(&random) % 4) {
            bytes[i] = 1 + next_random(&random) % (next_random(&random) % 50 ? 300 : 40000);
            at[i] = sl_core_block_take(&blocks, bytes[i]);
            assert_int_equal((uintptr_t)at[i] % 8, 0);
            assert_true(sl_core_block_room(at[i]) >= bytes[i]);
            memset(at[i], (int)(i & 0xff), bytes[i]);
        }
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        if (at[i]) {
            assert_true(holds(at[i], bytes[i], (unsigned char)i));
        }
        sl_core_block_drop(&blocks, at[i]);
    }
    assert_int_equal(blocks.slabs, 0);
}

/* All of a fleet get larger: the slabs that they leave are freed, so that there are never many more
 * than both sizes need. */
static void test_a_slab_that_is_left_goes_back(void **state) {
    (void)state;
    struct sl_core_blocks blocks = {0};
    void *at[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        at[i] = sl_core_block_take(&blocks, 96);
    }
    size_t before = blocks.slabs;
    assert_in_range(before, COUNT * 96 / 65536, COUNT * 96 / 65536 + 2);
    size_t most = before;
    for (uint32_t i = 0; i < COUNT; i++) {
        sl_core_block_drop(&blocks, at[i]);
        at[i] = sl_core_block_take(&blocks, 97);
        assert_int_equal(sl_core_block_room(at[i]), 104);
        most = blocks.slabs > most ? blocks.slabs : most;
    }
    assert_true(most <= before + before / 6 + 3);
    for (uint32_t i = 0; i < COUNT; i++) {
        sl_core_block_drop(&blocks, at[i]);
    }
    assert_int_equal(blocks.slabs, 0);
    assert_int_equal(sl_core_block_room(NULL), 0);
    sl_core_block_drop(&blocks, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_keep_what_is_written),
        cmocka_unit_test(test_a_slab_that_is_left_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
