/* SPDX-License-Identifier: Apache-2.0
 * The broker's end of the rig, and looking back at what the core did. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"
#include "tests/unit/agent/core/rig.h"

/* Through the codec both ways, as on a real wire. */
void rig_send(struct rig *rig, struct sl_msg *msg) {
    msg->version = SL_WIRE_VERSION;
    msg->session = rig->session;
    msg->sequence = ++rig->sequence;
    SL_AUTO_BUF struct sl_buf buf = {0};
    struct sl_error err;
    struct sl_msg back;
    if (sl_msg_encode(msg, &buf, &err) != SL_OK ||
        sl_msg_decode((const uint8_t *)buf.data, buf.len, rig->arena, &back, &err) != SL_OK) {
        fprintf(stderr, "rig: %s\n", err.text);
        abort();
    }
    sl_agent_message(rig->core, rig->now, rig->now.mono, &back);
    rig_pump(rig);
}

void rig_welcome(struct rig *rig) {
    rig->session++;
    struct sl_msg msg = {.kind = SL_MSG_WELCOME};
    msg.welcome = (struct sl_msg_welcome){
        .session = rig->session,
        .report_ms = 1000,
        .safe_mode = rig->options.safe_mode ? rig->options.safe_mode : SL_MODE_HASH,
        .safe_mode_max_ms = (uint64_t)(rig->options.safe_mode_max_ms ? rig->options.safe_mode_max_ms
                                                                     : 6 * 3600 * 1000),
        .parts = rig->options.takes_parts,
    };
    rig_send(rig, &msg);
}

void rig_up(struct rig *rig) {
    rig_welcome(rig);
    rig_run_ms(rig, 20);
}

static void directive(struct rig *rig, uint32_t device, uint64_t epoch, enum sl_mode mode,
                      int64_t ttl_ms, bool renewal, bool stay_idle) {
    struct sl_msg msg = {.kind = SL_MSG_DIRECTIVE};
    msg.directive = (struct sl_msg_directive){.epoch = epoch,
                                              .ttl_ms = (uint64_t)ttl_ms,
                                              .mode = mode,
                                              .renewal = renewal,
                                              .stay_idle = stay_idle};
    sl_text_copy(msg.directive.device, sizeof msg.directive.device, rig_key(rig, device));
    if (mode == SL_MODE_INFER) {
        strcpy(msg.directive.model, "mini");
    }
    rig_send(rig, &msg);
}

void rig_direct(struct rig *rig, uint32_t device, uint64_t epoch, enum sl_mode mode,
                int64_t ttl_ms) {
    directive(rig, device, epoch, mode, ttl_ms, false, false);
}

void rig_renew(struct rig *rig, uint32_t device, uint64_t epoch, enum sl_mode mode,
               int64_t ttl_ms) {
    directive(rig, device, epoch, mode, ttl_ms, true, false);
}

void rig_stay_idle(struct rig *rig, uint32_t device, uint64_t epoch, int64_t ttl_ms, bool renewal) {
    directive(rig, device, epoch, SL_MODE_IDLE, ttl_ms, renewal, true);
}

void rig_unit(struct rig *rig, uint32_t device, uint64_t epoch, uint64_t id, uint32_t lines) {
    struct sl_msg_unit_line line[SL_MSG_LINES_MAX];
    struct sl_msg_input input = {.text = "abc", .bytes = 3};
    for (uint32_t i = 0; i < lines; i++) {
        line[i] = (struct sl_msg_unit_line){.line = i, .input_count = 1, .inputs = &input};
    }
    struct sl_msg msg = {.kind = SL_MSG_UNIT};
    msg.unit = (struct sl_msg_unit){
        .unit_id = id, .epoch = epoch, .model = "mini", .line_count = lines, .lines = line};
    sl_text_copy(msg.unit.device, sizeof msg.unit.device, rig_key(rig, device));
    rig_send(rig, &msg);
}

void rig_ack(struct rig *rig, const uint64_t *results, uint32_t result_count,
             const uint64_t *shares, uint32_t share_count) {
    struct sl_msg msg = {.kind = SL_MSG_RESULT_ACK};
    msg.result_ack = (struct sl_msg_result_ack){result_count, results, share_count, shares};
    rig_send(rig, &msg);
}

void rig_ping(struct rig *rig) {
    rig_ack(rig, NULL, 0, NULL, 0);
}

/* ---- looking back ---- */

const char *rig_key(const struct rig *rig, uint32_t device) {
    static const char *const keys[RIG_DEVICES] = {"rig/fake/0", "rig/fake/1", "rig/fake/2",
                                                  "rig/fake/3"};
    (void)rig;
    return keys[device];
}

struct sl_agent_device_view rig_device(const struct rig *rig, uint32_t device) {
    struct sl_agent_device_view view;
    sl_agent_device_get(rig->core, device, &view);
    return view;
}

static bool decode(struct rig *rig, uint32_t i, struct sl_msg *ret_msg) {
    struct sl_error err;
    if (sl_msg_decode(rig->sent[i].data, rig->sent[i].size, rig->arena, ret_msg, &err) != SL_OK) {
        fprintf(stderr, "rig: the agent sent what cannot be read: %s\n", err.text);
        abort();
    }
    return true;
}

bool rig_message(struct rig *rig, enum sl_msg_kind kind, int n, struct sl_msg *ret_msg) {
    uint32_t count = rig_count(rig, kind);
    int want = n < 0 ? (int)count + n : n;
    for (uint32_t i = 0; i < rig->sent_count; i++) {
        decode(rig, i, ret_msg);
        if (ret_msg->kind == kind && want-- == 0) {
            return true;
        }
    }
    return false;
}

uint32_t rig_count(struct rig *rig, enum sl_msg_kind kind) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < rig->sent_count; i++) {
        struct sl_msg msg;
        n += decode(rig, i, &msg) && msg.kind == kind;
    }
    return n;
}

void rig_forget(struct rig *rig) {
    for (uint32_t i = 0; i < rig->sent_count; i++) {
        free(rig->sent[i].data);
    }
    rig->sent_count = 0;
    rig->trace_count = 0;
}

int rig_find(const struct rig *rig, enum sl_agent_cmd_kind kind, enum sl_device_cmd_kind post,
             enum sl_mode mode, uint64_t epoch) {
    for (uint32_t i = 0; i < rig->trace_count; i++) {
        const struct rig_trace *t = &rig->trace[i];
        if (t->kind == kind && (!post || t->post == post) && (!mode || t->mode == mode) &&
            (!epoch || t->epoch == epoch)) {
            return (int)i;
        }
    }
    return -1;
}
