/* SPDX-License-Identifier: Apache-2.0
 * Results: billed once, acknowledged when durable, checked before they are believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void start(struct world *w, uint32_t lines) {
    world_init(w, NULL);
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
    world_batch(w, "b1", "acme", lines, WORLD_BID_HIGH);
    world_running(w, "a/0", w->now.mono.ns);
}

static void test_billed_exactly(void **state) {
    (void)state;
    struct world w;
    start(&w, 100);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
    world_line(&w, &unit, unit.lines[0], SL_LINE_OK, 7, false, 0);
    assert_int_equal((int64_t)world_balance(&w, "revenue:lease"), 700); /* 7 x 1e8 / 1e6 */
    assert_int_equal((int64_t)world_balance(&w, "tenant:acme"), -700);
    assert_int_equal(world_stored_batch(&w, "b1")->tokens, 7);
    assert_int_equal(world_stored_batch(&w, "b1")->billed_nusd, 700);
    assert_int_equal(world_stored_batch(&w, "b1")->lines_completed, 1);
    world_check(&w);
    world_fini(&w);
}

/* A bid too small for a nano-USD a line is not lost to rounding. */
static void test_remainder_is_carried(void **state) {
    (void)state;
    struct world w;
    world_init(&w, NULL);
    world_price(&w, 0, 0);
    world_join(&w, "a", 1);
    world_batch(&w, "b1", "acme", 30, 150000); /* 0.15 nUSD a token: 10 tokens are 1.5 */
    world_running(&w, "a/0", w.now.mono.ns);
    uint32_t done = 0;
    while (done < 20) {
        struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
        if (sl_core_unit_find(w.core, unit.unit_id)->left == 0) {
            unit = *world_unit(&w, "a/0", 0);
        }
        for (uint32_t i = 0; i < unit.line_count && done < 20; i++) {
            world_line(&w, &unit, unit.lines[i], SL_LINE_OK, 10, false, 0);
            done++;
        }
    }
    assert_int_equal((int64_t)world_balance(&w, "revenue:lease"), 30);
    assert_true(world_stored_batch(&w, "b1")->accrual.rem == 0);
    world_check(&w);
    world_fini(&w);
}

static void test_acknowledged_when_durable(void **state) {
    (void)state;
    struct world w;
    start(&w, 100);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
    world_forget_sent(&w);
    w.hold = true;
    world_line(&w, &unit, unit.lines[0], SL_LINE_OK, 7, false, 500);
    assert_null(world_last_msg(&w, "a", SL_MSG_RESULT_ACK));
    /* Resent before the commit: not billed again, and not acknowledged earlier than the first. */
    world_line(&w, &unit, unit.lines[0], SL_LINE_OK, 7, false, 500);
    assert_null(world_last_msg(&w, "a", SL_MSG_RESULT_ACK));
    w.hold = false;
    world_commit(&w);
    assert_int_equal(world_count_msg(&w, "a", SL_MSG_RESULT_ACK), 2);
    assert_int_equal(world_last_msg(&w, "a", SL_MSG_RESULT_ACK)->result_ack.results[0], 500);
    assert_int_equal((int64_t)world_balance(&w, "revenue:lease"), 700);
    /* And after it: at once. */
    w.hold = true;
    world_line(&w, &unit, unit.lines[0], SL_LINE_OK, 7, false, 500);
    assert_int_equal(world_count_msg(&w, "a", SL_MSG_RESULT_ACK), 3);
    world_check(&w);
    world_fini(&w);
}

static void test_strangers_result(void **state) {
    (void)state;
    struct world w;
    start(&w, 100);
    world_hello(&w, "b", 9, 6, 1);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
    sl_text_copy(unit.node_key, sizeof unit.node_key, "b");
    world_finish(&w, &unit, 10, true);
    assert_int_equal(world_view_batch(&w, "b1").done, 0);
    /* It may forget it: nothing will ever come of it. */
    assert_non_null(world_last_msg(&w, "b", SL_MSG_RESULT_ACK));
    /* A line of another unit is no more believed. */
    unit = *world_unit(&w, "a/0", 1);
    world_line(&w, &unit, 99, SL_LINE_OK, 7, false, 0);
    assert_int_equal(world_view_batch(&w, "b1").done, 0);
    struct sl_unit_row unknown = unit;
    unknown.unit_id = 123456;
    world_finish(&w, &unknown, 10, true);
    assert_int_equal(world_view_batch(&w, "b1").done, 0);
    world_check(&w);
    world_fini(&w);
}

static void test_tenants_fault_is_not_billed(void **state) {
    (void)state;
    struct world w;
    start(&w, 100);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
    struct sl_msg_result_line one = {
        .line = unit.lines[0], .status = SL_LINE_TOO_LONG, .tokens = 600, .limit = 512};
    struct sl_msg msg = {.kind = SL_MSG_RESULT};
    msg.result.result_id = ++w.result_id;
    msg.result.unit_id = unit.unit_id;
    msg.result.line_count = 1;
    msg.result.lines = &one;
    world_msg(&w, "a", 1, w.core->nodes[0].session, &msg);
    world_line(&w, &unit, unit.lines[1], SL_LINE_BAD_TOKEN, 0, false, 0);
    assert_int_equal((int64_t)world_balance(&w, "revenue:lease"), 0);
    assert_int_equal(world_stored_batch(&w, "b1")->lines_failed, 2);
    assert_int_equal(w.store->results[0].status, SL_LINE_TOO_LONG);
    assert_int_equal(w.store->results[0].dim, 512); /* for the text of its error */
    assert_int_equal(w.store->results[1].status, SL_LINE_BAD_TOKEN);
    assert_string_equal(world_view(&w, "a/0").state, "leased");
    world_check(&w);
    world_fini(&w);
}

static void send_vectors(struct world *w, const struct sl_unit_row *unit, uint32_t line,
                         const struct sl_msg_vector *vectors, uint32_t count, uint32_t tokens) {
    struct sl_msg_result_line one = {.line = line,
                                     .status = SL_LINE_OK,
                                     .tokens = tokens,
                                     .vector_count = count,
                                     .vectors = vectors};
    struct sl_msg msg = {.kind = SL_MSG_RESULT};
    msg.result.result_id = ++w->result_id;
    msg.result.unit_id = unit->unit_id;
    msg.result.line_count = 1;
    msg.result.lines = &one;
    world_msg(w, "a", 1, w->core->nodes[0].session, &msg);
}

static void test_bad_vectors(void **state) {
    (void)state;
    static const uint8_t good[8] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40};
    static const uint8_t nan[8] = {0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0x7f};
    static const uint8_t inf[8] = {0, 0, 0x80, 0xff, 0, 0, 0, 0x40};
    static const uint8_t huge[8] = {0xff, 0xff, 0x7f, 0x7f, 0, 0, 0, 0x40};
    const struct {
        const char *why;
        struct sl_msg_vector v[2];
        uint32_t count;
        uint32_t tokens;
        bool ok;
    } rows[] = {
        {"two inputs in any order", {{1, 3, 2, good}, {0, 3, 2, good}}, 2, 6, true},
        {"the largest finite number", {{0, 3, 2, huge}}, 1, 3, true},
        {"not a number", {{0, 3, 2, nan}}, 1, 3, false},
        {"an infinity", {{0, 3, 2, inf}}, 1, 3, false},
        {"an input twice", {{0, 3, 2, good}, {0, 3, 2, good}}, 2, 6, false},
        {"an input too far", {{0, 3, 2, good}, {2, 3, 2, good}}, 2, 6, false},
        {"two dimensions", {{0, 3, 2, good}, {1, 3, 1, good}}, 2, 6, false},
        {"no vector", {{0, 0, 0, NULL}}, 0, 3, false},
        {"no dimension", {{0, 3, 0, good}}, 1, 3, false},
        {"more tokens than the text can have", {{0, 3, 2, good}}, 1, 101, false},
        {"no token", {{0, 3, 2, good}}, 1, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        start(&w, 100);
        struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
        send_vectors(&w, &unit, unit.lines[0], rows[i].v, rows[i].count, rows[i].tokens);
        if (world_view_batch(&w, "b1").done != (rows[i].ok ? 1u : 0u)) {
            fail_msg("%s", rows[i].why);
        }
        assert_int_equal(w.core->fleet.faults[0], rows[i].ok ? 0 : 1);
        world_check(&w);
        world_fini(&w);
    }
}

/* A node whose file of the model is another one, since it started anew or is new here: a batch does
 * not get vectors of two lengths, and no device is called faulty, since the first may be wrong. */
static void test_vectors_of_another_model(void **state) {
    (void)state;
    static const uint8_t three[12] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0, 0x40};
    const struct sl_msg_vector two_numbers = {0, 3, 2, three};
    const struct sl_msg_vector three_numbers = {0, 3, 3, three};
    for (int restarted = 0; restarted < 2; restarted++) {
        struct world w;
        start(&w, 2);
        struct sl_unit_row unit = *world_unit(&w, "a/0", 0);
        send_vectors(&w, &unit, 0, &two_numbers, 1, 3);
        assert_int_equal(world_view_batch(&w, "b1").done, 1);
        if (restarted) {
            world_restart(&w);
            assert_true(world_hello(&w, "a", 1, 78, 1) != 0);
        }
        send_vectors(&w, &unit, 1, &three_numbers, 1, 3);
        for (int i = 1; i < SL_CORE_LINE_TRIES_MAX && !restarted; i++) {
            world_line(&w, &unit, 1, SL_LINE_INVALID, 0, true, 0);
            world_running(&w, "a/0", w.now.mono.ns);
            unit = *world_unit(&w, "a/0", 0);
            send_vectors(&w, &unit, 1, &three_numbers, 1, 3);
        }
        assert_int_equal(w.core->fleet.faults[0], 0);
        assert_int_equal(world_stored_batch(&w, "b1")->lines_completed, 1);
        assert_int_equal(world_stored_batch(&w, "b1")->lines_failed, restarted ? 0 : 1);
        assert_int_equal(world_stored_batch(&w, "b1")->tokens, 3); /* the other is not billed */
        world_check(&w);
        world_fini(&w);
    }
}

static void test_faulty_device(void **state) {
    (void)state;
    struct world w;
    start(&w, 100);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_not_equal(world_view(&w, "a/0").state, "faulty");
        world_line(&w, &unit, unit.lines[i], SL_LINE_FAILED, 0, false, 0);
    }
    assert_string_equal(world_view(&w, "a/0").state, "faulty");
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_IDLE);
    assert_string_equal(w.store->directives[w.store->directive_count - 1].rule, "faulty");
    /* No line is lost, none is billed, and it gets nothing more. */
    world_line(&w, &unit, 0, SL_LINE_INVALID, 0, true, 0);
    struct sl_unit_row second = *world_unit(&w, "a/0", 0);
    world_line(&w, &second, 0, SL_LINE_INVALID, 0, true, 0);
    assert_int_equal(world_view_batch(&w, "b1").waiting, 100);
    assert_int_equal((int64_t)world_balance(&w, "revenue:lease"), 0);
    world_report(&w, "a", 1); /* healthy, it says; but it must be resumed or start anew */
    assert_string_equal(world_view(&w, "a/0").state, "faulty");
    struct sl_view_health health;
    assert_true(sl_view_health_get(w.core, 0, &health));
    assert_non_null(strstr(health.fault, "results were wrong"));
    assert_non_null(strstr(health.fault_way_back, "sluice resume"));
    world_order(&w, "a/0", SL_OVERRIDE_NONE, SL_MODE_INVALID);
    assert_string_not_equal(world_view(&w, "a/0").state, "faulty");
    assert_true(sl_view_health_get(w.core, 0, &health));
    assert_null(health.fault);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_check(&w);
    world_fini(&w);
}

/* What was computed before the device was healed, by a new start of its agent or by a person, comes
 * late out of a spool: it says nothing about the device as it is now. */
static void test_old_faults_of_a_healed_device(void **state) {
    (void)state;
    for (int by_person = 0; by_person < 2; by_person++) {
        struct world w;
        start(&w, 100);
        struct sl_unit_row unit = *world_unit(&w, "a/0", 1);
        if (by_person) {
            world_order(&w, "a/0", SL_OVERRIDE_NONE, SL_MODE_INVALID);
        } else {
            assert_true(world_hello(&w, "a", 2, 78, 1) != 0);
        }
        for (uint32_t i = 0; i < 3; i++) {
            world_line(&w, &unit, unit.lines[i], SL_LINE_FAILED, 0, false, 0);
        }
        assert_int_equal(w.core->fleet.faults[0], 0);
        assert_string_not_equal(world_view(&w, "a/0").state, "faulty");
        world_line(&w, &unit, 0, SL_LINE_INVALID, 0, true, 0);
        world_report(&w, "a", 1);
        world_running(&w, "a/0", w.now.mono.ns);
        const struct sl_unit_row *next = world_unit(&w, "a/0", 0);
        assert_true(next->unit_id > unit.unit_id);
        uint32_t fresh = next->line_count - 1; /* the first ones have failed before */
        world_line(&w, next, next->lines[fresh], SL_LINE_FAILED, 0, false, 0);
        assert_int_equal(w.core->fleet.faults[0], 1);
        world_check(&w);
        world_fini(&w);
    }
}

/* One line that no device can do must not take the fleet down with it. */
static void test_poisonous_line(void **state) {
    (void)state;
    struct world w;
    start(&w, 1);
    for (int i = 0; i < 3; i++) {
        const struct sl_unit_row *unit = world_unit(&w, "a/0", 0);
        assert_non_null(unit);
        world_line(&w, unit, 0, SL_LINE_FAILED, 0, true, 0);
        if (i < 2) {
            world_running(&w, "a/0", w.now.mono.ns);
        }
    }
    assert_int_equal(w.core->fleet.faults[0], 1);
    assert_string_not_equal(world_view(&w, "a/0").state, "faulty");
    assert_int_equal(world_stored_batch(&w, "b1")->state, SL_BATCH_FINALIZING);
    assert_int_equal(world_stored_batch(&w, "b1")->lines_failed, 1);
    assert_int_equal(w.store->results[0].status, SL_LINE_FAILED);
    world_check(&w);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_billed_exactly),
        cmocka_unit_test(test_remainder_is_carried),
        cmocka_unit_test(test_acknowledged_when_durable),
        cmocka_unit_test(test_strangers_result),
        cmocka_unit_test(test_tenants_fault_is_not_billed),
        cmocka_unit_test(test_bad_vectors),
        cmocka_unit_test(test_vectors_of_another_model),
        cmocka_unit_test(test_faulty_device),
        cmocka_unit_test(test_old_faults_of_a_healed_device),
        cmocka_unit_test(test_poisonous_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
