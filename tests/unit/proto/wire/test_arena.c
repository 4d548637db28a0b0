/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proto/wire/arena.h"

static bool is_zero(const char *at, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

static void memory_is_zero_and_aligned_also_after_a_reset(void **state) {
    (void)state;
    SL_AUTO(sl_msg_arena) arena = NULL;
    assert_int_equal(sl_msg_arena_create(4 * 1024 * 1024, &arena, NULL), 0);
    /* The second round's sizes lie on both sides of what a reset gives back to the system. */
    static const size_t sizes[] = {1, 17, 4096, 900 * 1024, 1024 * 1024, 1};
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            char *at = sl_msg_arena_alloc(arena, sizes[i]);
            assert_non_null(at);
            assert_int_equal((uintptr_t)at % 16, 0);
            assert_true(is_zero(at, sizes[i]));
            memset(at, 0xAA, sizes[i]);
        }
        sl_msg_arena_reset(arena);
    }
}

static void the_budget_holds(void **state) {
    (void)state;
    SL_AUTO(sl_msg_arena) arena = NULL;
    assert_int_equal(sl_msg_arena_create(1024, &arena, NULL), 0);
    assert_null(sl_msg_arena_alloc(arena, SIZE_MAX)); /* no overflow when rounding up */
    assert_true(sl_msg_arena_spent(arena));
    sl_msg_arena_reset(arena);
    assert_false(sl_msg_arena_spent(arena));
    size_t taken = 0;
    while (sl_msg_arena_alloc(arena, 48)) {
        taken += 48;
        assert_true(taken <= 1024);
    }
    assert_true(taken >= 1024 / 2);
    assert_true(sl_msg_arena_spent(arena));
}

static void an_impossible_budget_is_refused(void **state) {
    (void)state;
    struct sl_msg_arena *arena = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_msg_arena_create(0, &arena, &err), -SL_INVALID);
    assert_int_equal(sl_msg_arena_create(SIZE_MAX, &arena, &err), -SL_INVALID);
    assert_int_equal(sl_msg_arena_create(SIZE_MAX / 2, &arena, &err), -SL_NOMEM);
    assert_null(arena);
    sl_msg_arena_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zero_and_aligned_also_after_a_reset),
        cmocka_unit_test(the_budget_holds),
        cmocka_unit_test(an_impossible_budget_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
