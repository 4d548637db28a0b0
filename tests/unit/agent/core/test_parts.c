/* SPDX-License-Identifier: Apache-2.0
 * A line whose vectors do not fit one message: one result, in parts, kept and forgotten as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/core/core_internal.h"
#include "agent/core/records.h"
#include "tests/unit/agent/core/rig.h"

#define INPUTS 5

/* Vectors of four numbers, of which two fit a message. */
static struct rig *rig_of(bool takes_parts) {
    static struct rig rig;
    rig_start(&rig,
              &(struct rig_options){.message_bytes = 120, .takes_parts = takes_parts, .width = 4});
    rig_up(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 3600000);
    rig_run_ms(&rig, 20);
    rig_forget(&rig);
    return &rig;
}

/* A unit of a short line, a wide one and a short one. */
static void send_unit(struct rig *rig, uint64_t epoch, uint64_t id) {
    struct sl_msg_input inputs[INPUTS];
    for (uint32_t i = 0; i < INPUTS; i++) {
        inputs[i] = (struct sl_msg_input){.text = &"abcde"[i], .bytes = 5 - i};
    }
    struct sl_msg_unit_line lines[3] = {{.line = 3, .input_count = 1, .inputs = inputs},
                                        {.line = 4, .input_count = INPUTS, .inputs = inputs},
                                        {.line = 5, .input_count = 1, .inputs = inputs}};
    struct sl_msg unit = {.kind = SL_MSG_UNIT};
    unit.unit = (struct sl_msg_unit){.unit_id = id,
                                     .device = "rig/fake/0",
                                     .epoch = epoch,
                                     .model = "mini",
                                     .line_count = 3,
                                     .lines = lines};
    rig_send(rig, &unit);
    rig_run_ms(rig, 50);
}

static uint64_t spooled(const struct rig *rig) {
    struct sl_agent_view view;
    sl_agent_get(rig->core, &view);
    return view.results_spooled;
}

/* All parts of line 4 among what was sent, in order; returns their result's id. */
static uint64_t expect_parts(struct rig *rig) {
    uint64_t id = 0;
    uint32_t next = 0;
    struct sl_msg msg;
    uint64_t sequence = 0;
    for (int n = 0; rig_message(rig, SL_MSG_RESULT, n, &msg); n++) {
        assert_true(msg.sequence > sequence);
        sequence = msg.sequence;
        const struct sl_msg_result_line *line = &msg.result.lines[0];
        if (msg.result.line_count == 0 || line->line != 4) {
            continue;
        }
        assert_true(id == 0 || msg.result.result_id == id);
        id = msg.result.result_id;
        assert_int_equal(msg.result.line_count, 1);
        assert_int_equal(line->status, SL_LINE_OK);
        assert_int_equal(line->inputs, INPUTS);
        assert_int_equal(line->tokens, 5 + 4 + 3 + 2 + 1 + 2 * INPUTS);
        for (uint32_t i = 0; i < line->vector_count; i++) {
            int32_t ids[7] = {1};
            memcpy(ids + 1, (int32_t[]){'a', 'b', 'c', 'd', 'e'} + next, (5 - next) * 4);
            ids[6 - next] = 1;
            float want[4];
            sl_fake_vector(ids, 7 - next, 4, want);
            assert_int_equal(line->vectors[i].input, next);
            assert_int_equal(line->vectors[i].tokens, 7 - next);
            assert_memory_equal(line->vectors[i].data, want, sizeof want);
            next++;
        }
        assert_true(line->vector_count <= 2);
    }
    assert_int_equal(next, INPUTS);
    return id;
}

static void one_result_in_order_forgotten_as_one(void **state) {
    (void)state;
    struct rig *rig = rig_of(true);
    send_unit(rig, 1, 7);
    uint64_t id = expect_parts(rig);
    assert_int_equal(spooled(rig), 3);
    assert_int_equal(rig_on_disk(rig, SL_JOURNAL_RESULT), 3);
    struct sl_msg msg;
    uint32_t done = 0;
    for (int n = 0; rig_message(rig, SL_MSG_RESULT, n, &msg); n++) {
        done += msg.result.unit_done;
    }
    assert_int_equal(done, 1);
    rig_ack(rig, &id, 1, NULL, 0);
    assert_int_equal(spooled(rig), 2);
    assert_int_equal(rig_on_disk(rig, SL_JOURNAL_RESULT), 2);
    rig_stop(rig);
}

static void all_parts_come_again_after_five_seconds_and_in_a_new_session(void **state) {
    (void)state;
    struct rig *rig = rig_of(true);
    send_unit(rig, 1, 7);
    uint64_t id = expect_parts(rig);
    rig_forget(rig);
    for (int i = 0; i < 7; i++) {
        rig_ping(rig);
        rig_run_ms(rig, 1000);
    }
    assert_int_equal(expect_parts(rig), id);
    rig_forget(rig);
    rig_welcome(rig);
    assert_int_equal(expect_parts(rig), id);
    struct sl_msg msg;
    assert_true(rig_message(rig, SL_MSG_RESULT, 1, &msg));
    assert_int_equal(msg.session, rig->session);
    rig_stop(rig);
}

static void a_crash_keeps_all_parts(void **state) {
    (void)state;
    struct rig *rig = rig_of(true);
    rig->link_down = true;
    send_unit(rig, 1, 7);
    rig_crash(rig);
    rig->link_down = false;
    assert_int_equal(spooled(rig), 3);
    rig_welcome(rig);
    uint64_t id = expect_parts(rig);
    rig_ack(rig, &id, 1, NULL, 0);
    assert_int_equal(spooled(rig), 2);
    rig_stop(rig);
}

/* A broker that takes none refuses nothing: the line is refused before it is computed. */
static void an_older_broker_gets_no_part(void **state) {
    (void)state;
    struct rig *rig = rig_of(false);
    send_unit(rig, 1, 7);
    struct sl_msg msg;
    bool refused = false;
    for (int n = 0; rig_message(rig, SL_MSG_RESULT, n, &msg); n++) {
        for (uint32_t i = 0; i < msg.result.line_count; i++) {
            const struct sl_msg_result_line *line = &msg.result.lines[i];
            assert_int_equal(line->inputs, 0);
            assert_int_equal(line->status, line->line == 4 ? SL_LINE_TOO_LONG : SL_LINE_OK);
            refused |= line->line == 4 && line->tokens == 0 && line->limit == 2;
        }
    }
    assert_true(refused);
    rig_stop(rig);
}

/* The broker went back to an older version while the result waited: it issues the line again. */
static void parts_for_a_broker_that_takes_them_no_more_are_given_up(void **state) {
    (void)state;
    struct rig *rig = rig_of(true);
    rig->link_down = true;
    send_unit(rig, 1, 7);
    rig->link_down = false;
    rig->options.takes_parts = false;
    rig_welcome(rig);
    struct sl_msg msg;
    for (int n = 0; rig_message(rig, SL_MSG_RESULT, n, &msg); n++) {
        assert_int_not_equal(msg.result.lines[0].line, 4);
    }
    assert_int_equal(spooled(rig), 2);
    assert_int_equal(rig_on_disk(rig, SL_JOURNAL_RESULT), 2);
    assert_non_null(strstr(rig->last_error, "older"));
    rig_stop(rig);
}

/* A model whose width is not known: its vectors may turn out not to fit, and must not come back for
 * ever. */
static void what_an_older_broker_cannot_take_fails(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){.message_bytes = 120});
    rig_up(&rig);
    rig_direct(&rig, 0, 1, SL_MODE_INFER, 3600000);
    rig_run_ms(&rig, 20);
    rig_forget(&rig);
    send_unit(&rig, 1, 7);
    struct sl_msg msg;
    bool failed = false;
    for (int n = 0; rig_message(&rig, SL_MSG_RESULT, n, &msg); n++) {
        for (uint32_t i = 0; i < msg.result.line_count; i++) {
            failed |= msg.result.lines[i].line == 4 && msg.result.lines[i].status == SL_LINE_FAILED;
        }
    }
    assert_true(failed);
    rig_stop(&rig);
}

/* With the limits as they are: the largest line that there can be, in the journal and back. */
static void the_largest_line(void **state) {
    (void)state;
    static struct sl_msg_vector vectors[SL_MSG_INPUTS_MAX];
    float *numbers = calloc(SL_MSG_VECTOR_MAX, sizeof *numbers);
    for (uint32_t i = 0; i < SL_MSG_INPUTS_MAX; i++) {
        vectors[i] = (struct sl_msg_vector){i, SL_MSG_TOKENS_MAX, SL_MSG_VECTOR_MAX,
                                            (const uint8_t *)numbers};
    }
    struct sl_msg_result_line line = {.line = UINT32_MAX,
                                      .status = SL_LINE_OK,
                                      .tokens = UINT32_MAX,
                                      .vector_count = SL_MSG_INPUTS_MAX,
                                      .vectors = vectors};
    struct sl_msg msg = {.version = SL_WIRE_VERSION,
                         .kind = SL_MSG_RESULT,
                         .session = UINT64_MAX,
                         .sequence = UINT64_MAX / 2};
    msg.result = (struct sl_msg_result){.result_id = INT64_MAX,
                                        .unit_id = INT64_MAX,
                                        .line_count = 1,
                                        .lines = &line,
                                        .unit_done = true};
    memset(msg.result.device, 'd', sizeof msg.result.device - 1);
    memset(msg.result.model_sha256, 1, sizeof msg.result.model_sha256);
    struct rig *rig = rig_of(true);
    struct sl_agent_config config = {.node = "x", .safe_mode = SL_MODE_IDLE};
    struct sl_agent_core *core = NULL;
    assert_int_equal(sl_agent_core_create(&config, &core, NULL), 0);
    struct sl_buf bytes = {0};
    uint32_t parts = 0;
    assert_int_equal(agent_result_encode(core, &msg, &bytes, &parts, NULL), SL_OK);
    assert_in_range(parts, 16, 20); /* of 2 MiB */
    assert_true(bytes.len + AGENT_RESULT_HEAD < SL_JOURNAL_VALUE_MAX);
    uint8_t key[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    uint8_t *value = calloc(1, AGENT_RESULT_HEAD + bytes.len);
    memcpy(value + AGENT_RESULT_HEAD, bytes.data, bytes.len);
    struct sl_error err;
    assert_int_equal(sl_agent_replay(core, rig->now, SL_JOURNAL_RESULT, key, 8, value,
                                     AGENT_RESULT_HEAD + bytes.len, &err),
                     SL_OK);

    assert_int_equal(
        sl_agent_replay(core, rig->now, SL_JOURNAL_RESULT, key, 8, value, bytes.len - 1000, &err),
        -SL_CORRUPT);
    free(value);
    sl_buf_fini(&bytes);
    sl_agent_core_destroy(core);
    free(numbers);
    rig_stop(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_result_in_order_forgotten_as_one),
        cmocka_unit_test(all_parts_come_again_after_five_seconds_and_in_a_new_session),
        cmocka_unit_test(a_crash_keeps_all_parts),
        cmocka_unit_test(an_older_broker_gets_no_part),
        cmocka_unit_test(parts_for_a_broker_that_takes_them_no_more_are_given_up),
        cmocka_unit_test(what_an_older_broker_cannot_take_fails),
        cmocka_unit_test(the_largest_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
