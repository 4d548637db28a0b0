/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/executors/infer_rate.h"
#include "agent/models/bert_config.h"

#include <cmocka.h>

static const struct sl_bert_config MINI = {.n_embd = 384, .n_ff = 1536, .n_layer = 6};

static void test_texts_of_one_length(void **state) {
    (void)state;
    struct sl_infer_rate rate = {0};
    struct sl_infer_pick picks[4];
    for (int i = 0; i < 4; i++) {
        picks[i] = (struct sl_infer_pick){.n_ids = 64};
    }
    sl_infer_rate_add(&rate, &MINI, picks, 4, 1e8); /* 256 tokens in 0.1 s */
    assert_int_equal(sl_infer_rate_milli(&rate.all), 2560000);
    assert_int_equal(sl_infer_rate_milli(&rate.length[2]), 2560000);
    assert_int_equal(sl_infer_rate_milli(&rate.length[1]), 0);
    sl_infer_rate_add(&rate, &MINI, picks, 0, 1e8); /* nothing done says nothing */
    sl_infer_rate_add(&rate, &MINI, picks, 4, 0);
    assert_int_equal(sl_infer_rate_milli(&rate.all), 2560000);
}

/* A long text among short ones takes its larger share, and no time is lost or counted twice. */
static void test_a_mix_is_shared_by_arithmetic(void **state) {
    (void)state;
    struct sl_infer_rate rate = {0};
    struct sl_infer_pick picks[] = {{.n_ids = 16}, {.n_ids = 16}, {.n_ids = 512}};
    sl_infer_rate_add(&rate, &MINI, picks, 3, 1e9);
    double ns = 0;
    for (uint32_t k = 0; k < SL_LENGTHS; k++) {
        ns += rate.length[k].ns;
    }
    assert_true(ns > 1e9 - 1 && ns < 1e9 + 1);
    uint64_t shorter = sl_infer_rate_milli(&rate.length[0]);
    uint64_t longer = sl_infer_rate_milli(&rate.length[5]);
    /* 4 d + 2 ff + 48 = 4656 multiplications a row and dimension, 5 a pair: 7216 for 512 tokens,
     * 4736 for 16. */
    assert_in_range(shorter * 1000 / longer, 1520, 1527);
}

static void test_new_work_replaces_old(void **state) {
    (void)state;
    struct sl_infer_rate rate = {0};
    struct sl_infer_pick pick = {.n_ids = 100};
    for (int i = 0; i < 100; i++) {
        sl_infer_rate_add(&rate, &MINI, &pick, 1, 1e8);
    }
    assert_int_equal(sl_infer_rate_milli(&rate.length[3]), 1000000);
    for (int i = 0; i < 200; i++) { /* throttled to half */
        sl_infer_rate_add(&rate, &MINI, &pick, 1, 2e8);
    }
    assert_in_range(sl_infer_rate_milli(&rate.length[3]), 500000, 500500);
    assert_true(rate.all.ns <= SL_INFER_RATE_WINDOW_NS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_of_one_length),
        cmocka_unit_test(test_a_mix_is_shared_by_arithmetic),
        cmocka_unit_test(test_new_work_replaces_old),
    };
    return cmocka_run_group_tests_name("infer_rate", tests, NULL, NULL);
}
