/* SPDX-License-Identifier: Apache-2.0
 * Which lines make a micro-batch, and what becomes of units. */
#include "agent/executors/infer_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sl_model model(struct sl_bert_model *bert) {
    *bert = (struct sl_bert_model){.config = {.n_vocab = 10}};
    return (struct sl_model){.id = "m", .max_tokens = 100, .bert = bert};
}

/* A unit whose lines have the given lengths; all ids are 1. */
static struct sl_device_unit *make(uint64_t unit_id, uint64_t epoch, const uint32_t *lengths,
                                   uint32_t n) {
    size_t ids = 0;
    for (uint32_t i = 0; i < n; i++) {
        ids += lengths[i];
    }
    struct sl_device_unit *u =
        calloc(1, sizeof *u + n * sizeof u->lines[0] + ids * sizeof(int32_t));
    assert_non_null(u);
    u->unit_id = unit_id;
    u->epoch = epoch;
    u->n_lines = n;
    int32_t *at = (int32_t *)&u->lines[n];
    for (size_t i = 0; i < ids; i++) {
        at[i] = 1;
    }
    for (uint32_t i = 0; i < n; i++) {
        u->lines[i] = (struct sl_unit_line){.line = i, .n_ids = lengths[i], .ids = at};
        at += lengths[i];
    }
    return u;
}

static struct sl_infer_unit *add(struct sl_infer_queue *q, struct sl_device_unit *unit,
                                 uint32_t model_index) {
    struct sl_bert_model bert;
    struct sl_model m = model(&bert);
    struct sl_infer_unit *added = NULL;
    assert_int_equal(sl_infer_queue_add(q, unit, &m, model_index, &added, NULL), SL_OK);
    return added;
}

static const struct sl_infer_room ROOM = {20, 16};

static void settle_all(struct sl_infer_queue *q, const struct sl_infer_pick *picks, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        sl_infer_queue_settle(q, &picks[i]);
    }
    sl_infer_queue_reap(q);
}

static void test_longest_first_then_shortest(void **state) {
    (void)state;
    static const uint32_t lengths[] = {3, 12, 7, 2, 5};
    struct sl_infer_queue q = {0};
    struct sl_infer_pick picks[16];
    uint32_t which = 9;
    add(&q, make(1, 1, lengths, 5), 0);
    assert_int_equal(q.tokens_waiting, 29);
    uint32_t n = sl_infer_queue_pick(&q, ROOM, picks, &which);
    assert_int_equal(n, 2); /* 12 + 7, and the shortest (2) no longer fits */
    assert_int_equal(which, 0);
    assert_int_equal(picks[0].line, 1);
    assert_int_equal(picks[1].line, 2);
    assert_int_equal(q.tokens_waiting, 10);
    settle_all(&q, picks, n);
    n = sl_infer_queue_pick(&q, (struct sl_infer_room){7, 16}, picks, &which);
    assert_int_equal(n, 2); /* 5, then the shortest that fits */
    assert_int_equal(picks[0].line, 4);
    assert_int_equal(picks[1].line, 3);
    settle_all(&q, picks, n);
    n = sl_infer_queue_pick(&q, ROOM, picks, &which);
    assert_int_equal(n, 1);
    assert_true(sl_infer_queue_settle(&q, &picks[0])); /* the unit's last line */
    sl_infer_queue_reap(&q);
    assert_null(q.first);
    assert_int_equal(q.tokens_waiting, 0);
}

static void test_bounds(void **state) {
    (void)state;
    static const uint32_t lengths[] = {90, 1, 1, 1};
    struct sl_infer_queue q = {0};
    struct sl_infer_pick picks[16];
    uint32_t which = 0;
    assert_int_equal(sl_infer_queue_pick(&q, ROOM, picks, &which), 0); /* nothing there */
    add(&q, make(1, 1, lengths, 4), 0);
    assert_int_equal(sl_infer_queue_pick(&q, ROOM, picks, &which), 1); /* too long: alone */
    assert_int_equal(picks[0].n_ids, 90);
    settle_all(&q, picks, 1);
    uint32_t n = sl_infer_queue_pick(&q, (struct sl_infer_room){20, 2}, picks, &which);
    assert_int_equal(n, 2); /* as many lines as there is room for */
    settle_all(&q, picks, n);
    sl_infer_queue_fini(&q);
}

static void test_units_join_but_models_do_not(void **state) {
    (void)state;
    static const uint32_t lengths[] = {3, 3};
    struct sl_infer_queue q = {0};
    struct sl_infer_pick picks[16];
    uint32_t which = 9;
    add(&q, make(1, 1, lengths, 2), 0);
    add(&q, make(2, 1, lengths, 2), 1);
    add(&q, make(3, 1, lengths, 2), 0);
    uint32_t n = sl_infer_queue_pick(&q, ROOM, picks, &which);
    assert_int_equal(n, 4);
    assert_int_equal(which, 0);
    assert_int_equal(picks[3].unit->unit->unit_id, 3);
    settle_all(&q, picks, n);
    n = sl_infer_queue_pick(&q, ROOM, picks, &which);
    assert_int_equal(n, 2);
    assert_int_equal(which, 1);
    settle_all(&q, picks, n);
    assert_null(q.first);
}

/* A later unit of short lines does not overtake what is left of an earlier one. */
static void test_order_of_units(void **state) {
    (void)state;
    static const uint32_t long_lines[] = {15, 15}, short_line[] = {2};
    struct sl_infer_queue q = {0};
    struct sl_infer_pick picks[16];
    uint32_t which = 0;
    add(&q, make(1, 1, long_lines, 2), 0);
    add(&q, make(2, 1, short_line, 1), 0);
    assert_int_equal(sl_infer_queue_pick(&q, ROOM, picks, &which), 1);
    settle_all(&q, picks, 1);
    assert_int_equal(sl_infer_queue_pick(&q, ROOM, picks, &which), 2);
    settle_all(&q, picks, 2);
    assert_null(q.first);
}

static void test_drop(void **state) {
    (void)state;
    static const uint32_t lengths[] = {10, 10, 10};
    struct sl_infer_queue q = {0};
    struct sl_infer_pick picks[16];
    uint32_t which = 0;
    add(&q, make(1, 5, lengths, 3), 0);
    add(&q, make(2, 6, lengths, 3), 0);
    uint32_t n = sl_infer_queue_pick(&q, ROOM, picks, &which); /* two lines of unit 1 */
    assert_int_equal(sl_infer_queue_drop(&q, 77, 0), 0);
    assert_int_equal(sl_infer_queue_drop(&q, 0, 6), 1); /* epochs below 6 */
    assert_int_equal(sl_infer_queue_drop(&q, 0, 6), 0); /* once */
    assert_int_equal(q.tokens_waiting, 30);
    sl_infer_queue_reap(&q);
    assert_int_equal(q.first->unit->unit_id, 1); /* its lines are still in a micro-batch */
    for (uint32_t i = 0; i < n; i++) {
        assert_false(sl_infer_queue_settle(&q, &picks[i])); /* never "done" */
    }
    sl_infer_queue_reap(&q);
    assert_int_equal(q.first->unit->unit_id, 2);
    assert_ptr_equal(q.first, q.last);
    assert_int_equal(sl_infer_queue_drop(&q, 2, 0), 1);
    sl_infer_queue_reap(&q);
    assert_null(q.first);
    assert_null(q.last);
    assert_int_equal(q.tokens_waiting, 0);
}

static void test_lines_that_cannot_run(void **state) {
    (void)state;
    static const uint32_t lengths[] = {4, 0, 101, 4, 4};
    struct sl_bert_model bert;
    struct sl_model m = model(&bert);
    struct sl_infer_queue q = {0};
    struct sl_device_unit *u = make(1, 1, lengths, 5);
    static const int32_t low[] = {1, 1, -1, 1}, high[] = {1, 1, 1, 10};
    u->lines[0].ids = low;
    u->lines[3].ids = high;
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(sl_infer_line_valid(&m, &u->lines[i]), i == 4);
    }
    assert_int_equal(add(&q, u, 0)->open, 1);
    assert_int_equal(q.tokens_waiting, 4);
    sl_infer_queue_fini(&q); /* frees what waits */
    assert_null(q.first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_first_then_shortest),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_units_join_but_models_do_not),
        cmocka_unit_test(test_order_of_units),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_lines_that_cannot_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
