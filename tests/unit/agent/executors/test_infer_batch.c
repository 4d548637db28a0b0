/* SPDX-License-Identifier: Apache-2.0
 * From where a cut micro-batch goes on, and how one is laid out. */
#include "agent/executors/infer_batch.h"

#include "tests/unit/agent/executors/infer_rig.h"

static void test_resume_rule(void **state) {
    (void)state;
    static const struct {
        uint32_t counts[5];
        bool later_ran;
        uint32_t step;
        const char *why;
    } cases[] = {
        {{0, 0, 0, 0, 0}, false, 0, "nothing ran"},
        {{4, 4, 2, 0, 0}, false, 2, "cut in the third step: repeat that one"},
        {{4, 4, 0, 0, 0}, false, 2, "cut between two steps"},
        {{4, 4, 2, 1, 0}, false, 0, "a step behind the cut ran: its output may be spoiled"},
        {{4, 4, 2, 0, 4}, false, 0, "likewise, further behind"},
        {{4, 4, 2, 0, 0}, true, 0, "the next micro-batch ran: it uses the same buffers"},
        {{4, 4, 4, 4, 4}, false, 5, "all of it ran"},
        {{4, 4, 4, 4, 4}, true, 5, "all of it ran, and so did what comes next"},
        {{4, 4, 4, 4, 3}, false, 4, "cut in the last step"},
        {{3, 0, 0, 0, 0}, false, 0, "cut in the first step"},
    };
    static const uint32_t groups[5] = {4, 4, 4, 4, 4};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t got = sl_infer_resume_step(cases[i].counts, groups, 5, cases[i].later_ran);
        if (got != cases[i].step) {
            fail_msg("%s: step %u instead of %u", cases[i].why, got, cases[i].step);
        }
    }
}

static void test_layout(void **state) {
    struct sl_cl *cl = *state;
    struct sl_tiny_bert shape = sl_tiny_bert_default();
    struct sl_model_set *set = rig_tiny_set(&shape);
    struct sl_infer_engine engine;
    struct sl_infer_batch batch;
    assert_int_equal(sl_infer_engine_open(cl, set, 100, &engine, NULL), SL_OK);
    assert_int_equal(sl_infer_batch_open(&engine, 10, &batch, NULL), SL_OK);
    static const int32_t first[] = {5, 6, 7}, second[] = {8};
    batch.picks[0] = (struct sl_infer_pick){.ids = first, .n_ids = 3};
    batch.picks[1] = (struct sl_infer_pick){.ids = second, .n_ids = 1};
    sl_infer_batch_fill(&engine, 0, 0, 2, &batch);
    assert_int_equal(batch.shape.rows, 4);
    assert_int_equal(batch.shape.tasks, 2);
    assert_int_equal(batch.shape.pairs, 10);
    assert_int_equal(batch.steps, 2 + 7 * shape.n_layer);
    struct sl_infer_offsets at = sl_infer_offsets(&batch.shape);
    static const uint32_t ids[] = {5, 6, 7, 8}, positions[] = {0, 1, 2, 0}, spans[] = {0, 3, 3, 1},
                          tasks[] = {0, 3, 0, 3, 1, 0};
    assert_memory_equal(batch.words + at.ids, ids, sizeof ids);
    assert_memory_equal(batch.words + at.positions, positions, sizeof positions);
    assert_memory_equal(batch.words + at.spans, spans, sizeof spans);
    assert_memory_equal(batch.words + at.tasks, tasks, sizeof tasks);
    assert_int_equal(at.end, batch.steps + 4 + 4 + 4 + 6);
    assert_true(sl_infer_batch_cost(&batch) > 0);
    sl_infer_batch_close(&engine, &batch);
    sl_infer_engine_close(&engine);
    sl_model_set_destroy(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_rule),
        cmocka_unit_test(test_layout),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
