/* SPDX-License-Identifier: Apache-2.0
 * A batch and the file of its model: pinned by its first vectors, served and filled by no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

#define LINES 100

/* Agents a and b, each with the file that its byte stands for; both at work for b1. */
static void start(struct world *w, uint8_t file_a, uint8_t file_b) {
    world_init(w, NULL);
    w->files[0] = file_a;
    w->files[1] = file_b;
    world_price(w, 0, WORLD_PRICE);
    world_join(w, "a", 1);
    world_join(w, "b", 1);
    world_batch(w, "b1", "acme", LINES, WORLD_BID_HIGH);
    world_running(w, "a/0", w->now.mono.ns);
    world_running(w, "b/0", w->now.mono.ns);
}

static uint32_t open_units(const struct world *w, const char *device) {
    return w->core->fleet.open_units[sl_core_device_find(w->core, device)];
}

static bool is_logged(const struct world *w, const char *id) {
    for (uint32_t i = 0; i < w->store->event_count && i < 64; i++) {
        if (strcmp(w->store->events[i].kind, id) == 0) {
            return true;
        }
    }
    return false;
}

static void test_other_file_gets_nothing_and_gives_nothing(void **state) {
    (void)state;
    struct world w;
    start(&w, 1, 2);
    struct sl_unit_row of_a = *world_unit(&w, "a/0", 0);
    struct sl_unit_row of_b = *world_unit(&w, "b/0", 0);
    world_forget_sent(&w);
    world_line(&w, &of_a, of_a.lines[0], SL_LINE_OK, 7, false, 0);
    const char *pinned = world_stored_batch(&w, "b1")->model_sha256;
    assert_int_equal(strlen(pinned), 64);
    assert_int_equal(strspn(pinned, "01"), 64);
    /* What b had of it waits again, and b works on something else. */
    assert_int_equal(open_units(&w, "b/0"), 0);
    assert_non_null(world_last_msg(&w, "b", SL_MSG_DRAIN));
    assert_int_equal(world_directive(&w, "b/0")->mode, SL_MODE_HASH);
    /* What it did all the same is not taken, not billed, and no failure of anybody. */
    for (int i = 0; i < 2 * SL_CORE_LINE_TRIES_MAX; i++) {
        world_line(&w, &of_b, of_b.lines[0], SL_LINE_OK, 9, false, 0);
        world_line(&w, &of_b, of_b.lines[1], SL_LINE_TOO_LONG, 900, false, 0);
    }
    assert_int_equal(world_stored_batch(&w, "b1")->lines_completed, 1);
    assert_int_equal(world_stored_batch(&w, "b1")->lines_failed, 0);
    assert_int_equal((int64_t)world_balance(&w, "revenue:lease"), 700);
    assert_int_equal(w.core->fleet.faults[0] + w.core->fleet.faults[1], 0);
    assert_non_null(world_last_msg(&w, "b", SL_MSG_RESULT_ACK)); /* it may forget it */
    assert_string_equal(world_view(&w, "b/0").offers[SL_MODE_INFER].missing,
                        "model file that the batch began with (sha256)");
    assert_false(world_view_batch(&w, "b1").file_lost);
    /* A batch that nobody began is for whoever comes. */
    world_batch(&w, "b2", "acme", 8, WORLD_BID_HIGH);
    world_running(&w, "b/0", w.now.mono.ns);
    of_b = *world_unit(&w, "b/0", 0);
    assert_string_equal(of_b.batch, "b2");
    world_line(&w, &of_b, of_b.lines[0], SL_LINE_OK, 7, false, 0);
    assert_int_equal(world_stored_batch(&w, "b2")->lines_completed, 1);
    assert_string_not_equal(world_stored_batch(&w, "b2")->model_sha256,
                            world_stored_batch(&w, "b1")->model_sha256);
    world_check(&w);
    world_fini(&w);
}

/* Swapped under the same name while the agent was down; its spool still has a result of before. */
static void test_swapped_file(void **state) {
    (void)state;
    struct world w;
    start(&w, 1, 1);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 0);
    world_line(&w, &unit, unit.lines[0], SL_LINE_OK, 7, false, 0);
    for (int restarted = 0; restarted < 2; restarted++) { /* the broker forgets nothing of it */
        w.files[0] = w.files[1] = 3;
        assert_true(world_hello(&w, "a", 1, 80 + restarted, 1) != 0);
        assert_true(world_hello(&w, "b", 1, 80 + restarted, 1) != 0);
        world_report(&w, "a", 1);
        world_report(&w, "b", 1);
        world_wait(&w, 2000);
        assert_true(world_view_batch(&w, "b1").file_lost);
        assert_true(is_logged(&w, "batch.file_lost") || restarted);
        assert_int_equal(open_units(&w, "a/0") + open_units(&w, "b/0"), 0);
        assert_int_equal(world_view_batch(&w, "b1").waiting, LINES - 1 - restarted);
        if (restarted == 0) {
            w.files[0] = 1; /* what the spool holds says of what it is */
            world_line(&w, &unit, unit.lines[1], SL_LINE_OK, 7, false, 0);
            assert_int_equal(world_stored_batch(&w, "b1")->lines_completed, 2);
            world_restart(&w);
            world_price(&w, 0, WORLD_PRICE);
            world_validated(&w, "b1", LINES, 0);
        }
    }
    w.files[0] = 1; /* the file is back */
    assert_true(world_hello(&w, "a", 1, 90, 1) != 0);
    world_report(&w, "a", 1);
    world_wait(&w, 2000);
    assert_false(world_view_batch(&w, "b1").file_lost);
    assert_int_equal(world_directive(&w, "a/0")->mode, SL_MODE_INFER);
    world_running(&w, "a/0", w.now.mono.ns);
    assert_true(open_units(&w, "a/0") > 0);
    assert_int_equal(open_units(&w, "b/0"), 0);
    world_check(&w);
    world_fini(&w);
}

/* Agents of before say nothing: as ever, and beside those who do. */
static void test_silent_agents(void **state) {
    (void)state;
    for (uint8_t file_b = 0; file_b < 3; file_b += 2) {
        struct world w;
        start(&w, 0, file_b);
        struct sl_unit_row of_a = *world_unit(&w, "a/0", 0);
        struct sl_unit_row of_b = *world_unit(&w, "b/0", 0);
        world_line(&w, &of_a, of_a.lines[0], SL_LINE_OK, 7, false, 0);
        assert_string_equal(world_stored_batch(&w, "b1")->model_sha256, "");
        world_line(&w, &of_b, of_b.lines[0], SL_LINE_OK, 7, false, 0);
        assert_int_equal(strlen(world_stored_batch(&w, "b1")->model_sha256), file_b ? 64 : 0);
        world_line(&w, &of_a, of_a.lines[1], SL_LINE_OK, 7, false, 0);
        assert_int_equal(world_stored_batch(&w, "b1")->lines_completed, 3);
        assert_true(open_units(&w, "a/0") > 0);
        world_check(&w);
        world_fini(&w);
    }
}

/* An agent that says one file and computes with another is not asked for ever. */
static void test_a_liar_ends(void **state) {
    (void)state;
    struct world w;
    start(&w, 1, 1);
    struct sl_unit_row unit = *world_unit(&w, "a/0", 0);
    world_line(&w, &unit, unit.lines[0], SL_LINE_OK, 7, false, 0);
    uint32_t line = unit.lines[1];
    w.files[0] = 2; /* no report says it */
    for (int i = 0; i < SL_CORE_LINE_TRIES_MAX; i++) {
        world_line(&w, &unit, line, SL_LINE_OK, 7, false, 0);
    }
    assert_int_equal(world_stored_batch(&w, "b1")->lines_completed, 1);
    assert_int_equal(world_stored_batch(&w, "b1")->lines_failed, 1);
    assert_int_equal((int64_t)world_balance(&w, "revenue:lease"), 700);
    world_check(&w);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_file_gets_nothing_and_gives_nothing),
        cmocka_unit_test(test_swapped_file),
        cmocka_unit_test(test_silent_agents),
        cmocka_unit_test(test_a_liar_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
