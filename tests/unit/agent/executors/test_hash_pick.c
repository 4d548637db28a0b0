/* SPDX-License-Identifier: Apache-2.0
 * Which shape is taken by its timings: what comes first unless another is quicker round by round,
 * however the rounds differ among themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/executors/hash_internal.h"

#define SHAPES 3

/* A machine whose clock and other work change from round to round, for all shapes alike. */
static const double moods[SL_HASH_TRIALS] = {1.0,  1.3, 1.02, 1.0, 1.7,  1.1,
                                             1.04, 1.0, 1.25, 1.5, 1.01, 1.08};

static void fill(struct sl_hash_trials *t, double ns, uint32_t count) {
    t->count = count;
    for (uint32_t i = 0; i < count; i++) {
        t->ns[i] = ns * moods[i];
    }
}

static void one_percent_is_seen_through_noise_that_all_share(void **state) {
    (void)state;
    struct sl_hash_trials shapes[SHAPES];
    fill(&shapes[0], 10.0, SL_HASH_TRIALS);
    fill(&shapes[1], 9.9, SL_HASH_TRIALS);
    fill(&shapes[2], 10.1, SL_HASH_TRIALS);
    assert_int_equal(sl_hash_pick(shapes, SHAPES), 1);
    fill(&shapes[2], 9.8, SL_HASH_TRIALS);
    assert_int_equal(sl_hash_pick(shapes, SHAPES), 2);
}

static void the_same_to_a_third_of_a_percent_is_the_first(void **state) {
    (void)state;
    struct sl_hash_trials shapes[SHAPES];
    fill(&shapes[0], 10.0, SL_HASH_TRIALS);
    fill(&shapes[1], 9.97, SL_HASH_TRIALS);
    fill(&shapes[2], 9.97, SL_HASH_TRIALS);
    assert_int_equal(sl_hash_pick(shapes, SHAPES), 0);
}

/* On a slow device the time is up after a round or two. */
static void few_rounds_need_more_than_many(void **state) {
    (void)state;
    struct sl_hash_trials shapes[SHAPES] = {0};
    for (uint32_t rounds = 1; rounds <= 5; rounds++) {
        fill(&shapes[0], 10.0, rounds);
        fill(&shapes[1], 9.9, rounds);
        assert_int_equal(sl_hash_pick(shapes, 2), rounds < 4 ? 0 : 1);
        fill(&shapes[1], 9.82, rounds); /* 1.8 % */
        assert_int_equal(sl_hash_pick(shapes, 2), rounds < 4 ? 0 : 1);
        fill(&shapes[1], 9.79, rounds);
        assert_int_equal(sl_hash_pick(shapes, 2), 1);
    }
    fill(&shapes[0], 10.0, SL_HASH_TRIALS); /* what counts is what both have */
    fill(&shapes[1], 9.9, 3);
    assert_int_equal(sl_hash_pick(shapes, 2), 0);
}

/* What hits one shape alone, in less than half of its rounds, decides nothing: neither against the
 * first nor for another. */
static void lucky_and_unlucky_rounds_decide_nothing(void **state) {
    (void)state;
    struct sl_hash_trials shapes[SHAPES];
    fill(&shapes[0], 10.0, SL_HASH_TRIALS);
    fill(&shapes[1], 10.1, SL_HASH_TRIALS);
    fill(&shapes[2], 10.1, SL_HASH_TRIALS);
    for (uint32_t i = 0; i < 5; i++) {
        shapes[1].ns[i * 2] *= 0.8;
    }
    assert_int_equal(sl_hash_pick(shapes, SHAPES), 0);
    fill(&shapes[1], 10.1, SL_HASH_TRIALS);
    for (uint32_t i = 0; i < 5; i++) {
        shapes[0].ns[i * 2 + 1] *= 1.5;
    }
    assert_int_equal(sl_hash_pick(shapes, SHAPES), 0);
}

static void what_does_not_run_is_not_taken(void **state) {
    (void)state;
    struct sl_hash_trials shapes[SHAPES];
    memset(shapes, 0, sizeof shapes);
    assert_int_equal(sl_hash_pick(shapes, SHAPES), SHAPES);
    fill(&shapes[2], 10.0, 1);
    assert_int_equal(sl_hash_pick(shapes, SHAPES), 2);
    fill(&shapes[1], 11.0, 3); /* dropped after three rounds */
    assert_int_equal(sl_hash_pick(shapes, SHAPES), 2);
    fill(&shapes[0], 9.0, 2);
    assert_int_equal(sl_hash_pick(shapes, SHAPES), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_percent_is_seen_through_noise_that_all_share),
        cmocka_unit_test(the_same_to_a_third_of_a_percent_is_the_first),
        cmocka_unit_test(few_rounds_need_more_than_many),
        cmocka_unit_test(lucky_and_unlucky_rounds_decide_nothing),
        cmocka_unit_test(what_does_not_run_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
