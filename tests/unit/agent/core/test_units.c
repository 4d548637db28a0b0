/* SPDX-License-Identifier: Apache-2.0
 * Units: tokenised beside the loop, posted under the right epoch only, each line reported once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/agent/core/rig.h"

static struct rig *leased_rig(uint64_t epoch) {
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_direct(&rig, 0, epoch, SL_MODE_INFER, 3600000);
    rig_run_ms(&rig, 20);
    rig_forget(&rig);
    return &rig;
}

static void lines_come_back_once_with_exact_tokens(void **state) {
    (void)state;
    struct rig *rig = leased_rig(1);
    rig_unit(rig, 0, 1, 77, 10);
    assert_int_equal(rig_device(rig, 0).units, 1);
    rig_run_ms(rig, 50);
    struct sl_msg msg;
    bool seen[10] = {false};
    bool done = false;
    for (int n = 0; rig_message(rig, SL_MSG_RESULT, n, &msg); n++) {
        assert_int_equal(msg.result.unit_id, 77);
        assert_false(done);
        done = msg.result.unit_done;
        for (uint32_t i = 0; i < msg.result.line_count; i++) {
            const struct sl_msg_result_line *line = &msg.result.lines[i];
            assert_int_equal(line->status, SL_LINE_OK);
            assert_int_equal(line->tokens, 5); /* "abc" and two marks */
            assert_int_equal(line->vector_count, 1);
            assert_int_equal(line->vectors[0].dim, 4);
            int32_t ids[] = {1, 'a', 'b', 'c', 1};
            float want[4];
            sl_fake_vector(ids, 5, 4, want);
            assert_memory_equal(line->vectors[0].data, want, sizeof want);
            assert_false(seen[line->line]);
            seen[line->line] = true;
        }
    }
    assert_true(done);
    for (int i = 0; i < 10; i++) {
        assert_true(seen[i]);
    }
    assert_int_equal(rig_device(rig, 0).units, 0);
    rig_stop(rig);
}

static void slow_lines_are_sent_after_20_ms_not_one_by_one(void **state) {
    (void)state;
    static struct rig rig;
    struct rig_options options = {0};
    strcpy(options.script.models[0].id, "mini");
    options.script.models[0].tokens_per_s_milli = 2500000; /* 2 ms a line */
    options.script.models[0].max_tokens = 16;
    options.script.model_count = 1;
    rig_start(&rig, &options);
    rig_up(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 3600000);
    rig_run_ms(&rig, 20);
    rig_forget(&rig);
    rig_unit(&rig, 0, 1, 1, 50); /* takes 100 ms */
    rig_run_ms(&rig, 21);
    assert_int_equal(rig_count(&rig, SL_MSG_RESULT), 0);
    rig_run_ms(&rig, 100);
    uint32_t results = rig_count(&rig, SL_MSG_RESULT);
    assert_true(results >= 4 && results <= 6);
    rig_stop(&rig);
}

static void over_long_and_many_inputs(void **state) {
    (void)state;
    struct rig *rig = leased_rig(1);
    struct sl_msg_input good[3] = {
        {.text = "ab", .bytes = 2}, {.text = "a\0b", .bytes = 3}, {.text = ""}};
    struct sl_msg_input mixed[2] = {{.text = "fine", .bytes = 4},
                                    {.text = "much too long for it", .bytes = 20}};
    struct sl_msg_unit_line lines[3] = {{.line = 4, .input_count = 3, .inputs = good},
                                        {.line = 9, .input_count = 2, .inputs = mixed},
                                        {.line = 2, .input_count = 1, .inputs = good}};
    struct sl_msg unit = {.kind = SL_MSG_UNIT};
    unit.unit = (struct sl_msg_unit){.unit_id = 5,
                                     .device = "rig/fake/0",
                                     .epoch = 1,
                                     .model = "mini",
                                     .line_count = 3,
                                     .lines = lines};
    rig_send(rig, &unit);
    rig_run_ms(rig, 50);
    struct sl_msg msg;
    int found = 0;
    for (int n = 0; rig_message(rig, SL_MSG_RESULT, n, &msg); n++) {
        for (uint32_t i = 0; i < msg.result.line_count; i++) {
            const struct sl_msg_result_line *line = &msg.result.lines[i];
            found++;
            if (line->line == 9) {
                assert_int_equal(line->status, SL_LINE_TOO_LONG);
                assert_int_equal(line->tokens, 22);
                assert_int_equal(line->limit, 16);
                assert_int_equal(line->vector_count, 0);
            } else {
                assert_int_equal(line->status, SL_LINE_OK);
                assert_int_equal(line->tokens, line->line == 4 ? 4 + 5 + 2 : 4);
                assert_int_equal(line->vector_count, line->line == 4 ? 3 : 1);
            }
        }
    }
    assert_int_equal(found, 3);
    rig_stop(rig);
}

/* What no result can carry is refused before anything is computed: the device is blameless. */
static void more_inputs_than_a_result_carries(void **state) {
    (void)state;
    static struct rig rig;
    struct rig_options options = {.width = SL_MSG_BYTES_MAX / 2 / sizeof(float) - 2048};
    rig_start(&rig, &options);
    rig_up(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 3600000);
    rig_run_ms(&rig, 20);
    rig_forget(&rig);
    struct sl_msg_input inputs[3] = {
        {.text = "a", .bytes = 1}, {.text = "b", .bytes = 1}, {.text = "c", .bytes = 1}};
    struct sl_msg_unit_line lines[2] = {{.line = 4, .input_count = 3, .inputs = inputs},
                                        {.line = 7, .input_count = 2, .inputs = inputs}};
    for (uint64_t id = 5; id < 7; id++) { /* beside a good line, and alone */
        struct sl_msg unit = {.kind = SL_MSG_UNIT};
        unit.unit = (struct sl_msg_unit){.unit_id = id,
                                         .device = "rig/fake/0",
                                         .epoch = 1,
                                         .model = "mini",
                                         .line_count = id == 5 ? 2 : 1,
                                         .lines = lines};
        rig_send(&rig, &unit);
        rig_run_ms(&rig, 50);
    }
    struct sl_msg msg;
    int refused = 0, good = 0, done = 0;
    for (int n = 0; rig_message(&rig, SL_MSG_RESULT, n, &msg); n++) {
        done += msg.result.unit_done;
        for (uint32_t i = 0; i < msg.result.line_count; i++) {
            const struct sl_msg_result_line *line = &msg.result.lines[i];
            if (line->line == 4) {
                assert_int_equal(line->status, SL_LINE_TOO_LONG);
                assert_int_equal(line->tokens, 0);
                assert_int_equal(line->limit, 2);
                refused++;
            } else {
                assert_int_equal(line->status, SL_LINE_OK);
                good++;
            }
        }
    }
    assert_int_equal(refused, 2);
    assert_int_equal(good, 1);
    assert_int_equal(done, 2);
    rig_stop(&rig);
}

/* The rig's tokenizer knows no ids from 90 on. */
static void ids_in_place_of_texts(void **state) {
    (void)state;
    struct rig *rig = leased_rig(1);
    static const uint32_t ids[15] = {7, 8, 9, 90};
    struct sl_msg_input whole[2] = {{.text = "", .id_count = 3, .ids = ids},
                                    {.text = "", .id_count = 1, .ids = ids + 1}};
    struct sl_msg_input outside = {.text = "", .id_count = 4, .ids = ids};
    struct sl_msg_input text = {.text = "abc", .bytes = 3};
    struct sl_msg_input longer = {.text = "", .id_count = 15, .ids = ids};
    struct sl_msg_unit_line lines[] = {
        {.line = 3, .input_count = 1, .inputs = &text},
        {.line = 4, .input_count = 2, .inputs = whole, .tokens = true},
        {.line = 9, .input_count = 1, .inputs = &outside, .tokens = true},
        {.line = 5, .input_count = 1, .inputs = &longer, .tokens = true}};
    struct sl_msg unit = {.kind = SL_MSG_UNIT};
    unit.unit = (struct sl_msg_unit){.unit_id = 5,
                                     .device = "rig/fake/0",
                                     .epoch = 1,
                                     .model = "mini",
                                     .line_count = 4,
                                     .lines = lines};
    rig_send(rig, &unit);
    rig_run_ms(rig, 50);
    struct sl_msg msg;
    int found = 0;
    for (int n = 0; rig_message(rig, SL_MSG_RESULT, n, &msg); n++) {
        for (uint32_t i = 0; i < msg.result.line_count; i++) {
            const struct sl_msg_result_line *line = &msg.result.lines[i];
            found++;
            if (line->line == 9) {
                assert_int_equal(line->status, SL_LINE_BAD_TOKEN);
            } else if (line->line == 5) {
                assert_int_equal(line->status, SL_LINE_TOO_LONG);
                assert_int_equal(line->tokens, 17);
            } else {
                assert_int_equal(line->status, SL_LINE_OK);
                assert_int_equal(line->tokens, line->line == 4 ? 5 + 3 : 5);
                assert_int_equal(line->vector_count, line->line == 4 ? 2 : 1);
            }
        }
    }
    assert_int_equal(found, 4);
    rig_stop(rig);
}

static void a_unit_of_bad_lines_alone_needs_no_device(void **state) {
    (void)state;
    struct rig *rig = leased_rig(1);
    struct sl_msg_input input = {.text = "much too long for it", .bytes = 20};
    struct sl_msg_unit_line line = {.input_count = 1, .inputs = &input};
    struct sl_msg unit = {.kind = SL_MSG_UNIT};
    unit.unit = (struct sl_msg_unit){.unit_id = 5,
                                     .device = "rig/fake/0",
                                     .epoch = 1,
                                     .model = "mini",
                                     .line_count = 1,
                                     .lines = &line};
    rig_send(rig, &unit);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_RESULT, 0, &msg));
    assert_true(msg.result.unit_done);
    assert_int_equal(rig_find(rig, SL_AGENT_POST, SL_DEVCMD_UNIT, 0, 0), -1);
    unit.unit.unit_id = 6;
    strcpy(unit.unit.model, "other");
    rig_send(rig, &unit);
    assert_true(rig_message(rig, SL_MSG_RESULT, 1, &msg));
    assert_int_equal(msg.result.lines[0].status, SL_LINE_BAD_MODEL);
    assert_true(msg.result.unit_done);
    rig_stop(rig);
}

static void a_bad_vector_fails_its_line(void **state) {
    (void)state;
    struct rig *rig = leased_rig(1);
    sl_fake_device_fail(rig->devices[0], SL_FAKE_BAD_VECTOR);
    rig_unit(rig, 0, 1, 5, 2);
    rig_run_ms(rig, 50);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_RESULT, -1, &msg));
    assert_int_equal(msg.result.lines[0].status, SL_LINE_FAILED);
    assert_int_equal(msg.result.lines[0].vector_count, 0);
    rig_stop(rig);
}

static void repeats_are_ignored(void **state) {
    (void)state;
    struct rig *rig = leased_rig(1);
    rig_unit(rig, 0, 1, 5, 2);
    rig_unit(rig, 0, 1, 5, 2); /* held */
    assert_int_equal(rig_device(rig, 0).units, 1);
    rig_run_ms(rig, 50);
    uint32_t results = rig_count(rig, SL_MSG_RESULT);
    rig_unit(rig, 0, 1, 5, 2); /* finished */
    rig_run_ms(rig, 50);
    assert_int_equal(rig_count(rig, SL_MSG_RESULT), results);
    rig_stop(rig);
}

static void a_unit_of_another_epoch_is_handed_back(void **state) {
    (void)state;
    struct rig *rig = leased_rig(3);
    static const uint64_t epochs[] = {2, 4};
    for (uint64_t i = 0; i < 2; i++) {
        rig_unit(rig, 0, epochs[i], 50 + i, 2);
        struct sl_msg msg;
        assert_true(rig_message(rig, SL_MSG_RESULT, -1, &msg));
        assert_int_equal(msg.result.unit_id, 50 + i);
        assert_true(msg.result.unit_done);
        assert_int_equal(msg.result.line_count, 0);
    }
    assert_int_equal(rig_device(rig, 0).units, 0);
    rig_stop(rig);
}

static void a_unit_before_its_epoch_is_durable_waits_for_it(void **state) {
    (void)state;
    struct rig *rig = leased_rig(1);
    rig->disk_waits = true;
    rig_direct(rig, 0, 2, SL_MODE_INFER, 60000);
    rig_unit(rig, 0, 2, 9, 3);
    rig_run_ms(rig, 5);
    assert_int_equal(rig_find(rig, SL_AGENT_POST, SL_DEVCMD_UNIT, 0, 0), -1);
    rig_sync(rig);
    int mode = rig_find(rig, SL_AGENT_POST, SL_DEVCMD_MODE, SL_MODE_INFER, 2);
    assert_true(mode >= 0);
    assert_true(rig_find(rig, SL_AGENT_POST, SL_DEVCMD_UNIT, 0, 2) > mode);
    rig->disk_waits = false;
    rig_run_ms(rig, 100);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_RESULT, -1, &msg));
    assert_true(msg.result.unit_done);
    assert_int_equal(msg.result.lines[0].status, SL_LINE_OK);
    rig_stop(rig);
}

/* Slow lines: 5 tokens at 100 tokens a second are 50 ms. */
static struct rig *slow_rig(void) {
    static struct rig rig;
    struct rig_options options = {0};
    strcpy(options.script.models[0].id, "mini");
    options.script.models[0].tokens_per_s_milli = 100000;
    options.script.models[0].max_tokens = 16;
    options.script.model_count = 1;
    rig_start(&rig, &options);
    rig_up(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 3600000);
    rig_run_ms(&rig, 20);
    rig_forget(&rig);
    return &rig;
}

static void leaving_reports_what_is_finished_and_gives_the_rest_back(void **state) {
    (void)state;
    struct rig *rig = slow_rig();
    rig_unit(rig, 0, 1, 5, 8);
    rig_unit(rig, 0, 1, 6, 8);
    rig_run_ms(rig, 175); /* three lines of the first */
    rig_direct(rig, 0, 2, SL_MODE_HASH, 3600000);
    rig_run_ms(rig, 150);
    struct sl_msg msg;
    uint32_t lines = 0;
    uint32_t ends = 0;
    for (int n = 0; rig_message(rig, SL_MSG_RESULT, n, &msg); n++) {
        lines += msg.result.line_count;
        ends += msg.result.unit_done;
    }
    assert_int_equal(lines, 3);
    assert_int_equal(ends, 2);
    assert_int_equal(rig_device(rig, 0).units, 0);
    assert_true(rig_message(rig, SL_MSG_REPORT, -1, &msg));
    assert_int_equal(msg.report.devices[0].lines_held, 0);
    rig_stop(rig);
}

static void drain_gives_named_units_back(void **state) {
    (void)state;
    struct rig *rig = slow_rig();
    rig_unit(rig, 0, 1, 5, 4);
    rig_unit(rig, 0, 1, 6, 4);
    uint64_t units[] = {6, 999};
    struct sl_msg drain = {.kind = SL_MSG_DRAIN};
    drain.drain = (struct sl_msg_drain){.device = "rig/fake/0", .unit_count = 2, .units = units};
    rig_send(rig, &drain);
    assert_true(rig_find(rig, SL_AGENT_POST, SL_DEVCMD_DROP, 0, 0) >= 0);
    rig_run_ms(rig, 150);
    struct sl_msg msg;
    bool handed_back = false;
    for (int n = 0; rig_message(rig, SL_MSG_RESULT, n, &msg); n++) {
        handed_back |=
            msg.result.unit_id == 6 && msg.result.unit_done && msg.result.line_count == 0;
    }
    assert_true(handed_back);
    assert_int_equal(rig_device(rig, 0).units, 1);
    rig_stop(rig);
}

static void a_failed_device_gives_its_units_back_at_once(void **state) {
    (void)state;
    struct rig *rig = slow_rig();
    rig_unit(rig, 0, 1, 5, 4);
    sl_fake_device_fail(rig->devices[0], SL_FAKE_LOST);
    rig_run_ms(rig, 1);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_RESULT, -1, &msg));
    assert_true(msg.result.unit_done);
    rig_run_ms(rig, 20);
    assert_true(rig_message(rig, SL_MSG_REPORT, -1, &msg));
    assert_non_null(strstr(msg.report.devices[0].health, "lost"));
    rig_stop(rig);
}

static void units_held_stand_in_the_hello(void **state) {
    (void)state;
    struct rig *rig = slow_rig();
    rig_unit(rig, 0, 1, 5, 64);
    rig_unit(rig, 0, 1, 6, 64);
    rig_run_ms(rig, 5200); /* silence: a new hello */
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_HELLO, 0, &msg));
    assert_true(msg.hello.unit_count >= 1);
    assert_int_equal(msg.hello.units[msg.hello.unit_count - 1], 6);
    rig_stop(rig);
}

static void a_tokenizer_answer_for_a_unit_given_up_is_dropped(void **state) {
    (void)state;
    struct rig *rig = leased_rig(1);
    rig->tokenizer_waits = true;
    rig_unit(rig, 0, 1, 5, 4);
    rig_direct(rig, 0, 2, SL_MODE_HASH, 3600000);
    rig_run_ms(rig, 10);
    rig_tokenize(rig);
    assert_int_equal(rig_find(rig, SL_AGENT_POST, SL_DEVCMD_UNIT, 0, 0), -1);
    assert_int_equal(rig_device(rig, 0).units, 0);
    rig_stop(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_back_once_with_exact_tokens),
        cmocka_unit_test(slow_lines_are_sent_after_20_ms_not_one_by_one),
        cmocka_unit_test(more_inputs_than_a_result_carries),
        cmocka_unit_test(over_long_and_many_inputs),
        cmocka_unit_test(ids_in_place_of_texts),
        cmocka_unit_test(a_unit_of_bad_lines_alone_needs_no_device),
        cmocka_unit_test(a_bad_vector_fails_its_line),
        cmocka_unit_test(repeats_are_ignored),
        cmocka_unit_test(a_unit_of_another_epoch_is_handed_back),
        cmocka_unit_test(a_unit_before_its_epoch_is_durable_waits_for_it),
        cmocka_unit_test(leaving_reports_what_is_finished_and_gives_the_rest_back),
        cmocka_unit_test(drain_gives_named_units_back),
        cmocka_unit_test(a_failed_device_gives_its_units_back_at_once),
        cmocka_unit_test(units_held_stand_in_the_hello),
        cmocka_unit_test(a_tokenizer_answer_for_a_unit_given_up_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
