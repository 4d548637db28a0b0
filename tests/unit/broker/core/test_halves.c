/* SPDX-License-Identifier: Apache-2.0
 * Lines in parts: billed once all are there, acknowledged when that is durable, whatever comes
 * twice, late, out of turn or from whom it must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define INPUTS 5

static const float numbers[INPUTS][2] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}, {9, 10}};

static struct sl_unit_row start(struct world *w) {
    world_init(w, NULL);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
    world_batch(w, "b1", "acme", 100, WORLD_BID_HIGH);
    world_running(w, "a/0", w->now.mono.ns);
    return *world_unit(w, "a/0", 1);
}

struct part {
    uint64_t result_id;
    uint32_t line, first, count, inputs, tokens;
    bool unit_done;
};

static void send_from(struct world *w, const char *key, uint64_t unit, const struct part *part) {
    struct sl_msg_vector vectors[INPUTS];
    for (uint32_t i = 0; i < part->count; i++) {
        vectors[i] = (struct sl_msg_vector){part->first + i, 2, 2,
                                            (const uint8_t *)numbers[part->first + i]};
    }
    struct sl_msg_result_line line = {.line = part->line,
                                      .status = SL_LINE_OK,
                                      .tokens = part->tokens ? part->tokens : 2 * INPUTS,
                                      .vector_count = part->count,
                                      .vectors = vectors,
                                      .inputs = part->inputs ? part->inputs : INPUTS};
    struct sl_msg msg = {.kind = SL_MSG_RESULT};
    msg.result = (struct sl_msg_result){.result_id = part->result_id,
                                        .unit_id = unit,
                                        .line_count = 1,
                                        .lines = &line,
                                        .unit_done = part->unit_done};
    uint32_t node = sl_core_node_find(w->core, key);
    world_msg(w, key, w->core->nodes[node].peer.conn, w->core->nodes[node].session, &msg);
}

static void send_part(struct world *w, uint64_t unit, uint32_t line, uint64_t result_id,
                      uint32_t first, uint32_t count) {
    send_from(w, "a", unit,
              &(struct part){.result_id = result_id, .line = line, .first = first, .count = count});
}

static uint32_t acks(const struct world *w) {
    return world_count_msg(w, "a", SL_MSG_RESULT_ACK);
}

static void check_stored(struct world *w, uint32_t count) {
    assert_int_equal(w->store->result_count, count);
    assert_int_equal(world_stored_batch(w, "b1")->lines_completed, count);
    assert_int_equal((int64_t)world_balance(w, "revenue:lease"), count * 1000);
    assert_int_equal(w->core->halves_bytes, 0);
    world_check(w);
}

static void test_billed_and_acknowledged_as_a_whole(void **state) {
    (void)state;
    struct world w;
    struct sl_unit_row unit = start(&w);
    world_forget_sent(&w);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 0, 2);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 2, 2);
    assert_int_equal(acks(&w), 0);
    assert_int_equal(w.store->result_count, 0);
    assert_true(w.core->halves_bytes >= 4 * sizeof numbers[0]);
    w.hold = true;
    send_part(&w, unit.unit_id, unit.lines[0], 500, 4, 1);
    assert_int_equal(acks(&w), 0);
    w.hold = false;
    world_commit(&w);
    assert_int_equal(acks(&w), 1);
    assert_int_equal(world_last_msg(&w, "a", SL_MSG_RESULT_ACK)->result_ack.results[0], 500);
    check_stored(&w, 1);
    assert_int_equal(w.store->results[0].dim, 2);
    /* All of it again: answered, part by part, and billed no more. */
    send_part(&w, unit.unit_id, unit.lines[0], 500, 0, 2);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 2, 2);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 4, 1);
    assert_int_equal(acks(&w), 4);
    check_stored(&w, 1);
    world_fini(&w);
}

/* The network may lose, double and turn around: what is not the next part is left out, and what was
 * lost comes with all others. */
static void test_parts_in_any_order(void **state) {
    (void)state;
    struct world w;
    struct sl_unit_row unit = start(&w);
    uint32_t line = unit.lines[0];
    world_forget_sent(&w);
    send_part(&w, unit.unit_id, line, 500, 2, 2); /* its beginning was lost */
    assert_int_equal(w.core->halves_bytes, 0);
    send_part(&w, unit.unit_id, line, 500, 0, 2);
    send_part(&w, unit.unit_id, line, 500, 0, 2);
    send_part(&w, unit.unit_id, line, 500, 4, 1);
    send_part(&w, unit.unit_id, line, 500, 1, 2);
    assert_int_equal(acks(&w), 0);
    send_part(&w, unit.unit_id, line, 500, 0, 2);
    send_part(&w, unit.unit_id, line, 500, 2, 2);
    send_part(&w, unit.unit_id, line, 500, 0, 2);
    send_part(&w, unit.unit_id, line, 500, 4, 1);
    assert_int_equal(acks(&w), 1);
    check_stored(&w, 1);
    world_fini(&w);
}

/* Another result takes the place of one that is not whole; what says other things about the same is
 * none of its parts. */
static void test_parts_of_two_results_never_meet(void **state) {
    (void)state;
    struct world w;
    struct sl_unit_row unit = start(&w);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 0, 4);
    send_part(&w, unit.unit_id, unit.lines[1], 501, 4, 1);
    send_part(&w, unit.unit_id, unit.lines[1], 500, 4, 1);
    send_from(&w, "a", unit.unit_id,
              &(struct part){
                  .result_id = 500, .line = unit.lines[0], .first = 4, .count = 1, .tokens = 9});
    assert_int_equal(w.store->result_count, 0);
    send_part(&w, unit.unit_id, unit.lines[1], 501, 0, 4);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 4, 1);
    assert_int_equal(w.store->result_count, 0);
    send_part(&w, unit.unit_id, unit.lines[1], 501, 4, 1);
    check_stored(&w, 1);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 0, 4);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 4, 1);
    check_stored(&w, 2);
    world_fini(&w);
}

static void test_strangers_parts(void **state) {
    (void)state;
    struct world w;
    struct sl_unit_row unit = start(&w);
    world_hello(&w, "b", 9, 6, 1);
    struct part part = {.result_id = 1, .line = unit.lines[0], .first = 0, .count = 4};
    send_from(&w, "b", unit.unit_id, &part); /* a's unit */
    assert_non_null(world_last_msg(&w, "b", SL_MSG_RESULT_ACK));
    part.line = 99; /* a line of another unit */
    send_from(&w, "a", unit.unit_id, &part);
    part =
        (struct part){.result_id = 2, .line = unit.lines[0], .first = 0, .count = 4, .inputs = 101};
    send_from(&w, "a", unit.unit_id, &part); /* more inputs than the line can have tokens */
    assert_int_equal(w.core->halves_bytes, 0);
    assert_int_equal(acks(&w), 2);
    assert_int_equal(w.store->result_count, 0);
    assert_int_equal(w.core->fleet.faults[0], 1);
    world_check(&w);
    world_fini(&w);
}

/* Of either side: what was there is gone, all comes again, nothing is billed twice. */
static void test_restarts_in_the_middle(void **state) {
    (void)state;
    struct world w;
    struct sl_unit_row unit = start(&w);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 0, 4);
    world_hello_units(&w, "a", 2, 77, NULL, 0, &unit.unit_id, 1);
    assert_int_equal(w.core->halves_bytes, 0);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 4, 1);
    assert_int_equal(w.store->result_count, 0);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 0, 4);
    world_restart(&w);
    world_hello_units(&w, "a", 3, 77, NULL, 0, &unit.unit_id, 1);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 4, 1);
    assert_int_equal(w.store->result_count, 0);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 0, 4);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 4, 1);
    check_stored(&w, 1);
    world_fini(&w);
}

/* Lines of a unit that was closed, or whose batch is being ended, are paid for all the same. */
static void test_cancelled_in_the_middle(void **state) {
    (void)state;
    struct world w;
    struct sl_unit_row unit = start(&w);
    send_part(&w, unit.unit_id, unit.lines[0], 500, 0, 4);
    world_cancel(&w, "b1", "acme");
    send_part(&w, unit.unit_id, unit.lines[0], 500, 4, 1);
    check_stored(&w, 1);
    /* Its end comes while the rest is on its way: answered, and not kept. */
    send_part(&w, unit.unit_id, unit.lines[1], 501, 0, 4);
    assert_true(w.core->halves_bytes > 0);
    world_line(&w, &unit, 0, SL_LINE_INVALID, 0, true, 0);
    for (uint32_t n = 0; n < 8 && world_unit(&w, "a/0", n); n++) {
        struct sl_unit_row other = *world_unit(&w, "a/0", n);
        world_line(&w, &other, 0, SL_LINE_INVALID, 0, true, 0);
    }
    world_forget_sent(&w);
    send_part(&w, unit.unit_id, unit.lines[1], 501, 4, 1);
    assert_int_equal(acks(&w), 1);
    check_stored(&w, 1);
    world_fini(&w);
}

/* A number that is none counts against the device, once, as in a whole result. */
static void test_bad_vector_in_a_part(void **state) {
    (void)state;
    struct world w;
    struct sl_unit_row unit = start(&w);
    float nan[2] = {__builtin_nanf(""), 1};
    send_part(&w, unit.unit_id, unit.lines[0], 500, 0, 4);
    struct sl_msg_vector vector = {4, 2, 2, (const uint8_t *)nan};
    struct sl_msg_result_line line = {.line = unit.lines[0],
                                      .status = SL_LINE_OK,
                                      .tokens = 2 * INPUTS,
                                      .vector_count = 1,
                                      .vectors = &vector,
                                      .inputs = INPUTS};
    struct sl_msg msg = {.kind = SL_MSG_RESULT};
    msg.result = (struct sl_msg_result){
        .result_id = 500, .unit_id = unit.unit_id, .line_count = 1, .lines = &line};
    world_msg(&w, "a", 1, w.core->nodes[0].session, &msg);
    assert_int_equal(w.core->fleet.faults[0], 1);
    assert_int_equal(acks(&w), 1);
    check_stored(&w, 0);
    world_fini(&w);
}

/* ---- memory ---- */

/* A first part of a node's largest line, but for its last vector: almost 32 MiB. */
static const struct sl_msg_result *fill(struct world *w, uint32_t node, uint32_t from,
                                        uint32_t count) {
    static struct sl_msg_vector vectors[SL_MSG_INPUTS_MAX];
    static struct sl_msg_result_line line;
    static struct sl_msg_result result;
    static uint8_t data[SL_MSG_VECTOR_MAX * 4];
    for (uint32_t i = 0; i < count; i++) {
        vectors[i] = (struct sl_msg_vector){from + i, 1, SL_MSG_VECTOR_MAX, data};
    }
    line = (struct sl_msg_result_line){.status = SL_LINE_OK,
                                       .tokens = 9,
                                       .vector_count = count,
                                       .vectors = vectors,
                                       .inputs = SL_MSG_INPUTS_MAX};
    result = (struct sl_msg_result){
        .result_id = 7 + node, .unit_id = 3, .line_count = 1, .lines = &line};
    w->now.mono.ns += SL_NS_PER_MS;
    w->core->now = w->now;
    return sl_core_half_join(w->core, node, &result);
}

static void test_memory_is_bounded(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    for (uint32_t i = 0; i < 10; i++) {
        char key[2] = {(char)('a' + i), 0};
        world_hello(&w, key, 1 + i, 5, 1);
    }
    for (uint32_t i = 0; i < 7; i++) {
        assert_null(fill(&w, i, 0, SL_MSG_INPUTS_MAX - 1));
        assert_in_range(w.core->halves_bytes, (size_t)(i + 1) * 32000000,
                        (size_t)(i + 1) * 33700000);
    }
    /* Another takes the place of the one that has not grown for longest: not of the first, which
     * goes on. */
    assert_non_null(fill(&w, 0, SL_MSG_INPUTS_MAX - 1, 1));
    sl_core_half_drop(w.core, 0);
    assert_null(fill(&w, 0, 0, SL_MSG_INPUTS_MAX - 1));
    assert_null(fill(&w, 7, 0, SL_MSG_INPUTS_MAX - 1));
    assert_true(w.core->halves_bytes <= (size_t)256 << 20);
    assert_null(w.core->nodes[1].half);
    assert_non_null(w.core->nodes[0].half);
    assert_null(fill(&w, 1, SL_MSG_INPUTS_MAX - 1, 1));
    assert_non_null(fill(&w, 7, SL_MSG_INPUTS_MAX - 1, 1));
    /* Beginnings alone take little. */
    sl_core_half_drop(w.core, 7);
    size_t before = w.core->halves_bytes;
    assert_null(fill(&w, 9, 0, 1));
    assert_true(w.core->halves_bytes - before < (size_t)128 * 1024);
    /* What stopped in the middle is given up after a minute. */
    world_wait(&w, 61000);
    assert_int_equal(w.core->halves_bytes, 0);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_billed_and_acknowledged_as_a_whole),
        cmocka_unit_test(test_parts_in_any_order),
        cmocka_unit_test(test_parts_of_two_results_never_meet),
        cmocka_unit_test(test_strangers_parts),
        cmocka_unit_test(test_restarts_in_the_middle),
        cmocka_unit_test(test_cancelled_in_the_middle),
        cmocka_unit_test(test_bad_vector_in_a_part),
        cmocka_unit_test(test_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
