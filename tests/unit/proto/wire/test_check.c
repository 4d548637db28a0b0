/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proto/wire/check.h"

/* One good message of each kind with everything in it, which a row of the table spoils. */
struct sample {
    struct sl_msg msg;
    struct sl_msg_device devices[2];
    struct sl_msg_share shares[2];
    struct sl_msg_pool pools[2];
    struct sl_msg_vector vectors[2];
    struct sl_msg_result_line result_lines[2];
    struct sl_msg_input inputs[3];
    struct sl_msg_unit_line unit_lines[3];
    uint32_t tokens[2];
    uint64_t ids[2];
    uint8_t floats[32];
};

static void sample_devices(struct sample *s) {
    for (int i = 0; i < 2; i++) {
        struct sl_msg_device *d = &s->devices[i];
        strcpy(d->key, i ? "gpu-1" : "gpu-0");
        d->mode = SL_MODE_HASH;
        d->model_count = 2;
        strcpy(d->models[0].id, "model-a");
        strcpy(d->models[1].id, "model-b");
    }
}

static void sample_work(struct sample *s) {
    s->shares[0] = (struct sl_msg_share){.share_id = 1, .device = "gpu-0", .outcome = 1};
    s->shares[1] = (struct sl_msg_share){.share_id = 2, .device = "gpu-0", .outcome = 4};
    s->vectors[0] = (struct sl_msg_vector){0, 1, 2, s->floats};
    s->vectors[1] = (struct sl_msg_vector){1, 1, 2, s->floats};
    s->result_lines[0] = (struct sl_msg_result_line){3, SL_LINE_OK, 2, 2, s->vectors, 0, 0};
    s->result_lines[1] = (struct sl_msg_result_line){4, SL_LINE_TOO_LONG, 900, 0, NULL, 512, 0};
    s->inputs[0] = (struct sl_msg_input){.text = "a\0b", .bytes = 3};
    s->inputs[1] = (struct sl_msg_input){.text = "", .bytes = 0};
    s->unit_lines[0] = (struct sl_msg_unit_line){.line = 7, .input_count = 2, .inputs = s->inputs};
    s->unit_lines[1] = (struct sl_msg_unit_line){.line = 8, .input_count = 1, .inputs = s->inputs};
    s->tokens[1] = SL_MSG_TOKEN_ID_MAX;
    s->inputs[2] = (struct sl_msg_input){.text = "", .id_count = 2, .ids = s->tokens};
    s->unit_lines[2] = (struct sl_msg_unit_line){
        .line = 9, .input_count = 1, .inputs = &s->inputs[2], .tokens = true};
    s->ids[0] = 5;
    s->ids[1] = INT64_MAX;
}

static void sample_make(struct sample *s, enum sl_msg_kind kind) {
    memset(s, 0, sizeof *s);
    sample_devices(s);
    sample_work(s);
    s->msg.version = SL_WIRE_VERSION;
    s->msg.kind = kind;
    struct sl_msg *m = &s->msg;
    if (kind == SL_MSG_HELLO) {
        m->hello = (struct sl_msg_hello){"node", "0.1", 1, 2, s->devices, 2, s->ids, true};
    } else if (kind == SL_MSG_WELCOME) {
        m->welcome = (struct sl_msg_welcome){1, 1000, SL_MODE_HASH, 1000, true};
    } else if (kind == SL_MSG_REPORT) {
        m->report.device_count = 2;
        m->report.devices = s->devices;
        strcpy(s->pools[0].name, "a");
        strcpy(s->pools[1].name, "b");
        m->report.pool_count = 2;
        m->report.pools = s->pools;
    } else if (kind == SL_MSG_DIRECTIVE) {
        m->directive = (struct sl_msg_directive){
            "gpu-0", 1, 1000, SL_MODE_INFER, "model-a", 50, "a bid pays more", false, "", false};
    } else if (kind == SL_MSG_ACK) {
        m->ack = (struct sl_msg_ack){.device = "gpu-0", .epoch = 1, .outcome = SL_ACK_RUNNING};
    } else if (kind == SL_MSG_UNIT) {
        m->unit = (struct sl_msg_unit){1, "gpu-0", 1, "model-a", 3, s->unit_lines};
    } else if (kind == SL_MSG_RESULT) {
        m->result = (struct sl_msg_result){.result_id = 1,
                                           .unit_id = 1,
                                           .device = "gpu-0",
                                           .age_ms = 5,
                                           .line_count = 2,
                                           .lines = s->result_lines};
    } else if (kind == SL_MSG_SHARES) {
        m->shares = (struct sl_msg_shares){2, s->shares};
    } else if (kind == SL_MSG_RESULT_ACK) {
        m->result_ack = (struct sl_msg_result_ack){2, s->ids, 2, s->ids};
    } else if (kind == SL_MSG_DRAIN) {
        m->drain = (struct sl_msg_drain){"gpu-0", 2, s->ids};
    }
}

#define RULE(kind, status, part, ...)                                                              \
    do {                                                                                           \
        sample_make(&s, SL_MSG_##kind);                                                            \
        struct sl_msg *m = &s.msg;                                                                 \
        (void)m;                                                                                   \
        assert_int_equal(sl_msg_check(&s.msg, false, NULL), 0);                                    \
        __VA_ARGS__;                                                                               \
        expect_refusal(&s.msg, -(status), part, __LINE__);                                         \
    } while (0)

static void expect_refusal(const struct sl_msg *msg, int status, const char *part, int line) {
    for (int sending = 0; sending < 2; sending++) {
        struct sl_error err = {0};
        int rc = sl_msg_check(msg, sending, &err);
        if (rc != status || !strstr(err.text, part) ||
            strncmp(err.text, sl_msg_kind_name(msg->kind), strlen(sl_msg_kind_name(msg->kind)))) {
            fail_msg("line %d: %d '%s', wanted %d '%s'", line, rc, err.text, status, part);
        }
    }
}

static void rules_of_devices(void **state) {
    (void)state;
    static struct sample s; /* large */
    RULE(HELLO, SL_INVALID, "node is empty", m->hello.node[0] = '\0');
    RULE(HELLO, SL_LIMIT, "129 devices", m->hello.device_count = SL_MSG_DEVICES_MAX + 1);
    RULE(HELLO, SL_LIMIT, "4097 unit ids", m->hello.unit_count = SL_MSG_IDS_MAX + 1);
    RULE(HELLO, SL_INVALID, "unit id is 0", s.ids[1] = 0);
    RULE(HELLO, SL_LIMIT, "unit id is over", s.ids[1] = UINT64_MAX);
    RULE(HELLO, SL_INVALID, "device 1: its key is that of device 0",
         strcpy(s.devices[1].key, "gpu-0"));
    RULE(REPORT, SL_INVALID, "device 1: key is empty", s.devices[1].key[0] = '\0');
    RULE(REPORT, SL_INVALID, "device 0: mode 0", s.devices[0].mode = SL_MODE_INVALID);
    RULE(REPORT, SL_INVALID, "mode 4", s.devices[0].mode = (enum sl_mode)4);
    RULE(REPORT, SL_INVALID, "mode 4294967295", s.devices[0].mode = (enum sl_mode) - 1);
    RULE(REPORT, SL_LIMIT, "highest epoch", s.devices[0].epoch_max = UINT64_C(1) << 63);
    RULE(REPORT, SL_LIMIT, "epoch", s.devices[0].epoch = UINT64_MAX);
    RULE(REPORT, SL_LIMIT, "hashes in total", s.devices[0].hashes_total = UINT64_MAX);
    RULE(REPORT, SL_LIMIT, "busy time", s.devices[0].busy_ms[2] = UINT64_MAX);
    RULE(REPORT, SL_LIMIT, "switching time", s.devices[0].switch_us[2][3] = UINT64_MAX);
    RULE(REPORT, SL_INVALID, "source of watts 3", s.devices[0].watts[1].source = (enum sl_source)3);
    RULE(REPORT, SL_INVALID, "watts are negative",
         s.devices[0].watts[1] = (struct sl_watts){SL_SOURCE_MEASURED, -1});
    RULE(REPORT, SL_LIMIT, "17 models", s.devices[0].model_count = 17);
    RULE(REPORT, SL_INVALID, "model is empty", s.devices[0].models[1].id[0] = '\0');
    RULE(REPORT, SL_INVALID, "model model-a stands twice",
         strcpy(s.devices[0].models[1].id, "model-a"));
    RULE(REPORT, SL_LIMIT, "tokens per second",
         s.devices[0].models[1].tokens_per_s_milli = UINT64_MAX);
    RULE(REPORT, SL_LIMIT, "tokens per second of a length",
         s.devices[0].models[1].length_rates_milli[7] = UINT64_MAX);
    RULE(REPORT, SL_LIMIT, "accepted work", m->report.pool.work_accepted = UINT64_MAX);
    RULE(REPORT, SL_LIMIT, "health is longer",
         memset(s.devices[0].health, 'a', sizeof s.devices[0].health));
    RULE(REPORT, SL_INVALID, "pool url", strcpy(m->report.pool.url, "a\x1B"));
    RULE(REPORT, SL_LIMIT, "9 pools", m->report.pool_count = 9);
    RULE(REPORT, SL_INVALID, "pool name is empty", s.pools[1].name[0] = '\0');
    RULE(REPORT, SL_INVALID, "two pools are called a", strcpy(s.pools[1].name, "a"));
    RULE(REPORT, SL_INVALID, "pool name holds", strcpy(s.pools[1].name, "b\n"));
    RULE(REPORT, SL_LIMIT, "hashes spent", s.pools[1].hashes_spent = UINT64_MAX);
    RULE(REPORT, SL_LIMIT, "unauthorised", s.pools[0].rejected_unauthorised = UINT64_MAX);
    RULE(REPORT, SL_LIMIT, "age of a share", s.pools[0].share_age_ms = UINT64_MAX);
    RULE(REPORT, SL_LIMIT, "silence of a pool", s.pools[0].suspect_ms = UINT64_MAX);
}

#define PART(n) (m->result.line_count = 1, s.result_lines[0].inputs = (n))

static void rules_of_work(void **state) {
    (void)state;
    static struct sample s;
    RULE(UNIT, SL_INVALID, "unit id is 0", m->unit.unit_id = 0);
    RULE(UNIT, SL_INVALID, "epoch is 0", m->unit.epoch = 0);
    RULE(UNIT, SL_INVALID, "model is empty", m->unit.model[0] = '\0');
    RULE(UNIT, SL_LIMIT, "0 lines", m->unit.line_count = 0);
    RULE(UNIT, SL_LIMIT, "65 lines", m->unit.line_count = 65);
    RULE(UNIT, SL_LIMIT, "line 8: 0 inputs", s.unit_lines[1].input_count = 0);
    RULE(UNIT, SL_LIMIT, "2049 inputs", s.unit_lines[1].input_count = 2049);
    RULE(UNIT, SL_INVALID, "line 7: stands twice", s.unit_lines[1].line = 7);
    RULE(UNIT, SL_INVALID, "input 1 is not UTF-8",
         s.inputs[1] = (struct sl_msg_input){.text = "\xC0\x80", .bytes = 2});
    RULE(UNIT, SL_LIMIT, "input 1 has", s.inputs[1].bytes = SL_MSG_INPUT_BYTES_MAX + 1);
    RULE(UNIT, SL_LIMIT, "line 9: input 0: 0 token ids", s.inputs[2].id_count = 0);
    RULE(UNIT, SL_LIMIT, "32769 token ids", s.inputs[2].id_count = SL_MSG_TOKENS_MAX + 1);
    RULE(UNIT, SL_LIMIT, "token id 4194304 is above", s.tokens[1] = SL_MSG_TOKEN_ID_MAX + 1);
    RULE(UNIT, SL_INVALID, "need wire version 2, this is 1", m->version = 1);
    RULE(RESULT, SL_INVALID, "result id is 0", m->result.result_id = 0);
    RULE(RESULT, SL_LIMIT, "result id", m->result.result_id = UINT64_MAX);
    RULE(RESULT, SL_LIMIT, "age", m->result.age_ms = UINT64_MAX);
    RULE(RESULT, SL_LIMIT, "0 lines", m->result.line_count = 0);
    RULE(RESULT, SL_LIMIT, "65 lines", m->result.line_count = 65);
    RULE(RESULT, SL_INVALID, "line 3: stands twice", s.result_lines[1].line = 3);
    RULE(RESULT, SL_INVALID, "status 0", s.result_lines[1].status = SL_LINE_INVALID);
    RULE(RESULT, SL_INVALID, "status 6", s.result_lines[1].status = (enum sl_line_status)6);
    RULE(RESULT, SL_INVALID, "status 5", m->version = 1;
         s.result_lines[1].status = SL_LINE_BAD_TOKEN);
    RULE(RESULT, SL_INVALID, "a part beside other lines", s.result_lines[0].inputs = 3);
    RULE(RESULT, SL_INVALID, "a part of a failed line", s.result_lines[1].inputs = 3);
    RULE(RESULT, SL_INVALID, "a part with all vectors", PART(2));
    RULE(RESULT, SL_LIMIT, "1 inputs", PART(1));
    RULE(RESULT, SL_LIMIT, "2049 inputs", PART(2049));
    RULE(RESULT, SL_INVALID, "vector 1 is for input 3 of 3", PART(3), s.vectors[0].input = 2,
         s.vectors[1].input = 3);
    RULE(RESULT, SL_INVALID, "input 2 after input 0", PART(3), s.vectors[1].input = 2);
    RULE(RESULT, SL_INVALID, "input 0 after input 1", PART(3), s.vectors[0].input = 1,
         s.vectors[1].input = 0);
    RULE(RESULT, SL_LIMIT, "4097 dimensions", PART(3), s.vectors[1].dim = 4097);
    RULE(RESULT, SL_INVALID, "done before the last part", PART(3), m->result.unit_done = true);
    RULE(RESULT, SL_LIMIT, "0 vectors", s.result_lines[1].status = SL_LINE_OK);
    RULE(RESULT, SL_LIMIT, "2 vectors of a failed", s.result_lines[0].status = SL_LINE_FAILED);
    RULE(RESULT, SL_INVALID, "two vectors for input 0", s.vectors[1].input = 0);
    RULE(RESULT, SL_INVALID, "input 2 of 2", s.vectors[1].input = 2);
    RULE(RESULT, SL_INVALID, "input 4294967295", s.vectors[1].input = UINT32_MAX);
    RULE(RESULT, SL_LIMIT, "0 dimensions", s.vectors[1].dim = 0);
    RULE(RESULT, SL_LIMIT, "4097 dimensions", s.vectors[1].dim = 4097);
    RULE(SHARES, SL_LIMIT, "0 shares", m->shares.share_count = 0);
    RULE(SHARES, SL_LIMIT, "257 shares", m->shares.share_count = 257);
    RULE(SHARES, SL_INVALID, "share 1: share id is 0", s.shares[1].share_id = 0);
    RULE(SHARES, SL_INVALID, "outcome 5", s.shares[1].outcome = (enum sl_share_outcome)5);
    RULE(SHARES, SL_INVALID, "device is empty", s.shares[1].device[0] = '\0');
    RULE(SHARES, SL_LIMIT, "work", s.shares[1].work_hashes = UINT64_MAX);
    RULE(SHARES, SL_INVALID, "pool holds", strcpy(s.shares[1].pool, "\x01"));
}

static void rules_of_commands(void **state) {
    (void)state;
    static struct sample s;
    RULE(WELCOME, SL_INVALID, "session is 0", m->welcome.session = 0);
    RULE(WELCOME, SL_INVALID, "safe mode 3", m->welcome.safe_mode = SL_MODE_INFER);
    RULE(WELCOME, SL_INVALID, "safe mode 0", m->welcome.safe_mode = 0);
    RULE(WELCOME, SL_LIMIT, "report interval", m->welcome.report_ms = 0);
    RULE(WELCOME, SL_LIMIT, "time in safe mode", m->welcome.safe_mode_max_ms = UINT64_MAX);
    RULE(DIRECTIVE, SL_INVALID, "device is empty", m->directive.device[0] = '\0');
    RULE(DIRECTIVE, SL_INVALID, "epoch is 0", m->directive.epoch = 0);
    RULE(DIRECTIVE, SL_LIMIT, "ttl of 0 ms", m->directive.ttl_ms = 0);
    RULE(DIRECTIVE, SL_LIMIT, "ttl", m->directive.ttl_ms = (uint64_t)SL_MSG_SPAN_MS_MAX + 1);
    RULE(DIRECTIVE, SL_INVALID, "mode 0", m->directive.mode = SL_MODE_INVALID);
    RULE(DIRECTIVE, SL_INVALID, "mode 9", m->directive.mode = (enum sl_mode)9);
    RULE(DIRECTIVE, SL_INVALID, "model is empty", m->directive.model[0] = '\0');
    RULE(DIRECTIVE, SL_INVALID, "not to hash", m->directive.mode = SL_MODE_HASH);
    RULE(DIRECTIVE, SL_INVALID, "not to idle", m->directive.mode = SL_MODE_IDLE,
         m->directive.model[0] = '\0');
    RULE(DIRECTIVE, SL_INVALID, "to stay idle belongs to idle", m->directive.stay_idle = true);
    RULE(DIRECTIVE, SL_LIMIT, "price", m->directive.price_nusd_per_mtok = UINT64_MAX);
    RULE(ACK, SL_INVALID, "outcome 0", m->ack.outcome = SL_ACK_INVALID);
    RULE(ACK, SL_INVALID, "outcome 4", m->ack.outcome = (enum sl_ack_outcome)4);
    RULE(ACK, SL_LIMIT, "time durable", m->ack.durable_ns = UINT64_MAX);
    RULE(RESULT_ACK, SL_LIMIT, "4097 result ids", m->result_ack.result_count = 4097);
    RULE(RESULT_ACK, SL_INVALID, "share id is 0", m->result_ack.result_count = 0, s.ids[0] = 0);
    RULE(DRAIN, SL_LIMIT, "4097 unit ids", m->drain.unit_count = 4097);
    RULE(DRAIN, SL_INVALID, "device is empty", m->drain.device[0] = '\0');
    RULE(GOODBYE, SL_LIMIT, "reason is longer",
         memset(m->goodbye.reason, 'a', sizeof m->goodbye.reason));
}

static void texts_for_people_are_checked_when_received(void **state) {
    (void)state;
    static struct sample s;
    static const char *const bad[] = {"\x1B[2J", "\xFF", "\x7F", "cut \xE2\x82", "\xC2\x9B", "\r"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sample_make(&s, SL_MSG_REPORT);
        strcpy(s.devices[0].health, bad[i]);
        assert_int_equal(sl_msg_check(&s.msg, true, NULL), 0);
        assert_int_equal(sl_msg_check(&s.msg, false, NULL), -SL_INVALID);
    }
    sample_make(&s, SL_MSG_REPORT);
    strcpy(s.devices[0].health, "build log:\n\tline 2 \xE2\x82\xAC");
    assert_int_equal(sl_msg_check(&s.msg, false, NULL), 0);
}

static void an_empty_result_may_close_a_unit(void **state) {
    (void)state;
    static struct sample s;
    sample_make(&s, SL_MSG_RESULT);
    s.msg.result.line_count = 0;
    s.msg.result.unit_done = true;
    assert_int_equal(sl_msg_check(&s.msg, false, NULL), 0);
}

/* Any run of its inputs, and the last one may end the unit. */
static void a_part_is_a_run_of_inputs(void **state) {
    (void)state;
    static struct sample s;
    for (uint32_t first = 0; first < 3; first++) {
        sample_make(&s, SL_MSG_RESULT);
        s.msg.result.line_count = 1;
        s.result_lines[0].inputs = 4;
        s.vectors[0].input = first;
        s.vectors[1].input = first + 1;
        s.msg.result.unit_done = first == 2;
        assert_int_equal(sl_msg_check(&s.msg, false, NULL), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_of_devices),
        cmocka_unit_test(rules_of_work),
        cmocka_unit_test(rules_of_commands),
        cmocka_unit_test(texts_for_people_are_checked_when_received),
        cmocka_unit_test(an_empty_result_may_close_a_unit),
        cmocka_unit_test(a_part_is_a_run_of_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
