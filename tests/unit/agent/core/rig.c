/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/core/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/agent/core/rig_pool.h"

#define MODEL "mini"
#define MODEL_TOKENS 16

static void fill_script(struct rig *rig, uint32_t device, struct sl_fake_script *script) {
    *script = rig->options.script;
    struct sl_device_info *info = &script->info;
    snprintf(info->key, sizeof info->key, "rig/fake/%u", device);
    snprintf(info->name, sizeof info->name, "fake %u", device);
    snprintf(info->driver, sizeof info->driver, "1");
    info->compute_units = 1;
    info->memory_bytes = 1 << 20;
    script->hash_rate_hs = script->hash_rate_hs ? script->hash_rate_hs : 1000000;
    script->ready_us = script->ready_us ? script->ready_us : 1000;
    script->halt_us = script->halt_us ? script->halt_us : 200;
    script->start_us = script->start_us ? script->start_us : 100;
    script->launch_us = script->launch_us ? script->launch_us : 1000;
    script->dim = script->dim ? script->dim : 4;
    if (script->model_count == 0) {
        script->model_count = 1;
        strcpy(script->models[0].id, MODEL);
        script->models[0].tokens_per_s_milli = 1000000000; /* a token per us */
        script->models[0].max_tokens = MODEL_TOKENS;
    }
}

static void replay_disk(struct rig *rig) {
    for (uint32_t i = 0; i < rig->disk_count; i++) {
        const struct rig_record *r = &rig->disk[i];
        struct sl_error err;
        if (r->value && sl_agent_replay(rig->core, rig->now, r->space, r->key, r->key_size,
                                        r->value, r->size, &err) != SL_OK) {
            fprintf(stderr, "rig: replay: %s\n", err.text);
            abort();
        }
    }
}

static void boot(struct rig *rig) {
    struct sl_agent_device_config devices[RIG_DEVICES] = {0};
    struct sl_error err;
    int rc = sl_mailbox_create(sizeof(struct sl_device_event), 4096, &rig->events, &err);
    for (uint32_t i = 0; i < rig->options.devices; i++) {
        struct sl_fake_script script;
        fill_script(rig, i, &script);
        devices[i].info = script.info;
        devices[i].rated_mw[SL_MODE_HASH] = -1;
        devices[i].rated_mw[SL_MODE_INFER] = 65000;
        devices[i].rated_mw[SL_MODE_IDLE] = -1;
        rc = rc ? rc
                : sl_fake_device_create(&script, i, rig->events, rig->now.mono, &rig->devices[i],
                                        &err);
    }
    struct sl_agent_model model = {
        .id = MODEL, .max_tokens = MODEL_TOKENS, .width = rig->options.width};
    struct sl_agent_config config = {
        .boot_id = 42 + rig->now.mono.ns % 1000,
        .seed = 7,
        .safe_mode = rig->options.safe_mode ? rig->options.safe_mode : SL_MODE_HASH,
        .safe_mode_max_ms =
            rig->options.safe_mode_max_ms ? rig->options.safe_mode_max_ms : 6 * 3600 * 1000,
        .ack_durable = rig->options.ack_durable,
        .canary_ms = rig->options.canary_ms,
        .device_count = rig->options.devices,
        .devices = devices,
        .model_count = 1,
        .models = &model,
        .message_bytes = rig->options.message_bytes,
    };
    snprintf(config.node, sizeof config.node, "%s", rig->options.node ? rig->options.node : "rig");
    rc = rc ? rc : rig_pool_core(rig, &config, &err);
    if (rc) {
        fprintf(stderr, "rig: %s\n", err.text);
        abort();
    }
    replay_disk(rig);
    sl_agent_start(rig->core, rig->now);
    rig_pump(rig);
}

void rig_start(struct rig *rig, const struct rig_options *options) {
    memset(rig, 0, sizeof *rig);
    rig->options = *options;
    rig->options.devices = options->devices ? options->devices : 1;
    rig->now.mono.ns = 1000 * SL_NS_PER_S;
    rig->now.wall.ms = INT64_C(1700000000000);
    if (sl_msg_arena_create(64 << 20, &rig->arena, NULL) != SL_OK) {
        abort();
    }
    boot(rig);
}

static void free_records(struct rig_record *records, uint32_t *count) {
    for (uint32_t i = 0; i < *count; i++) {
        free(records[i].value);
    }
    *count = 0;
}

static void shut(struct rig *rig) {
    sl_agent_core_destroy(rig->core);
    rig->core = NULL;
    for (uint32_t i = 0; i < rig->options.devices; i++) {
        sl_device_destroy(rig->devices[i]);
        rig->devices[i] = NULL;
    }
    struct sl_device_event event;
    while (sl_mailbox_take(rig->events, &event)) {
        sl_device_event_fini(&event);
    }
    sl_mailbox_destroy(rig->events);
    for (uint32_t i = 0; i < rig->tokens_count; i++) {
        sl_agent_tokens_free(rig->tokens[i]);
    }
    rig->tokens_count = 0;
    rig->pool_connected = false;
    rig->other_connected = false;
    free_records(rig->queued, &rig->queued_count);
}

void rig_crash(struct rig *rig) {
    shut(rig);
    rig_forget(rig);
    rig->now.mono.ns += SL_NS_PER_S;
    rig->now.wall.ms += 1000;
    rig->session = 0;
    rig->exited = false;
    boot(rig);
}

void rig_stop(struct rig *rig) {
    shut(rig);
    rig_forget(rig);
    free_records(rig->disk, &rig->disk_count);
    sl_msg_arena_destroy(rig->arena);
    rig->arena = NULL;
}

/* ---- disk ---- */

static void queue_record(struct rig *rig, struct sl_agent_cmd *cmd) {
    sl_assert(rig->queued_count < RIG_RECORDS);
    struct rig_record *r = &rig->queued[rig->queued_count++];
    *r = (struct rig_record){.space = cmd->space, .key_size = cmd->key_size, .ticket = cmd->ticket};
    memcpy(r->key, cmd->key, cmd->key_size);
    r->value = cmd->data;
    r->size = cmd->size;
    cmd->data = NULL;
}

void rig_sync(struct rig *rig) {
    uint64_t ticket = 0;
    for (uint32_t i = 0; i < rig->queued_count; i++) {
        struct rig_record *q = &rig->queued[i];
        uint32_t at = 0;
        while (at < rig->disk_count &&
               !(rig->disk[at].space == q->space && rig->disk[at].key_size == q->key_size &&
                 memcmp(rig->disk[at].key, q->key, q->key_size) == 0)) {
            at++;
        }
        sl_assert(at < RIG_RECORDS);
        if (at == rig->disk_count) {
            rig->disk_count++;
        } else {
            free(rig->disk[at].value);
        }
        rig->disk[at] = *q;
        ticket = q->ticket;
    }
    rig->queued_count = 0;
    if (ticket) {
        sl_agent_durable(rig->core, rig->now, ticket, rig->now.mono);
    }
    rig_pump(rig);
}

uint32_t rig_on_disk(const struct rig *rig, enum sl_journal_space space) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < rig->disk_count; i++) {
        n += rig->disk[i].space == space && rig->disk[i].value;
    }
    return n;
}

/* ---- commands ---- */

static int encode(void *context, const char *model, const struct sl_agent_text *input,
                  int32_t *ret_ids, uint32_t room, uint32_t *ret_count, struct sl_error *err) {
    (void)context;
    (void)model;
    uint32_t bytes = input->id_count ? input->id_count : input->bytes;
    *ret_count = bytes + 2;
    if (*ret_count > room) {
        return sl_fail(err, SL_LIMIT, "too long");
    }
    for (uint32_t i = 0; i < input->id_count; i++) {
        if (input->ids[i] >= 90) {
            return sl_fail(err, SL_INVALID, "no such id");
        }
    }
    for (uint32_t i = 0; i < *ret_count; i++) {
        bool special = i == 0 || i > bytes;
        ret_ids[i] = special           ? 1
                     : input->id_count ? (int32_t)input->ids[i - 1]
                                       : input->text[i - 1];
    }
    return SL_OK;
}

void rig_tokenize(struct rig *rig) {
    while (rig->tokens_count > 0) {
        struct sl_agent_tokens *tokens = rig->tokens[0];
        rig->tokens_count--;
        memmove(rig->tokens, rig->tokens + 1, rig->tokens_count * sizeof rig->tokens[0]);
        if (sl_agent_tokens_run(tokens, MODEL_TOKENS, encode, NULL, NULL) != SL_OK) {
            abort();
        }
        sl_agent_tokenized(rig->core, rig->now, tokens);
    }
    rig_pump(rig);
}

static void note(struct rig *rig, const struct sl_agent_cmd *cmd) {
    if (cmd->kind == SL_AGENT_LOG) {
        if (getenv("RIG_LOG")) {
            fprintf(stderr, "%s %s\n", cmd->event, cmd->text);
        }
        rig->drop_lines += strcmp(cmd->event, "share.dropped") == 0;
        if (cmd->level == SL_LOG_ERROR) {
            memcpy(rig->last_error, cmd->text, sizeof rig->last_error);
        }
        return;
    }
    sl_assert(rig->trace_count < RIG_TRACE);
    rig->trace[rig->trace_count++] = (struct rig_trace){
        .kind = cmd->kind,
        .device = cmd->device,
        .post = cmd->post.kind,
        .mode = cmd->post.mode,
        .epoch = cmd->post.epoch,
        .space = cmd->space,
        .at_ns = rig->now.mono.ns,
    };
}

static void obey(struct rig *rig, struct sl_agent_cmd *cmd) {
    switch (cmd->kind) {
    case SL_AGENT_SEND:
        sl_assert(rig->sent_count < RIG_SENT);
        if (!rig->link_down) {
            rig->sent[rig->sent_count].data = cmd->data;
            rig->sent[rig->sent_count++].size = cmd->size;
            cmd->data = NULL;
        }
        break;
    case SL_AGENT_HALT:
        sl_device_halt(rig->devices[cmd->device]);
        break;
    case SL_AGENT_POST:
        sl_assert(sl_device_post(rig->devices[cmd->device], &cmd->post) == SL_OK);
        break;
    case SL_AGENT_JOURNAL:
        queue_record(rig, cmd);
        break;
    case SL_AGENT_TOKENIZE:
        sl_assert(rig->tokens_count < 64);
        rig->tokens[rig->tokens_count++] = cmd->tokens;
        cmd->tokens = NULL;
        break;
    case SL_AGENT_POOL_CONNECT:
    case SL_AGENT_POOL_SEND:
    case SL_AGENT_POOL_CLOSE:
        rig_pool_obey(rig, cmd);
        break;
    case SL_AGENT_EXIT:
        rig->exited = true;
        rig->exit_code = cmd->code;
        break;
    case SL_AGENT_MAKE_KEY:
    case SL_AGENT_USE_KEY:
    case SL_AGENT_LOG:
    case SL_AGENT_CMD_INVALID:
        break;
    }
}

void rig_pump(struct rig *rig) {
    struct sl_agent_cmd cmd;
    while (sl_agent_take(rig->core, &cmd)) {
        note(rig, &cmd);
        obey(rig, &cmd);
        sl_agent_cmd_fini(&cmd);
    }
    if (rig->queued_count > 0 && !rig->disk_waits) {
        rig_sync(rig);
    }
    if (rig->tokens_count > 0 && !rig->tokenizer_waits) {
        rig_tokenize(rig);
    }
}

/* ---- time ---- */

static void take_events(struct rig *rig) {
    struct sl_device_event event;
    while (sl_mailbox_take(rig->events, &event)) {
        sl_agent_device(rig->core, rig->now, &event);
        rig_pump(rig);
    }
}

void rig_run_us(struct rig *rig, int64_t span_us) {
    int64_t end = rig->now.mono.ns + span_us * 1000;
    for (;;) {
        int64_t next = sl_agent_deadline(rig->core).ns;
        for (uint32_t i = 0; i < rig->options.devices; i++) {
            int64_t at = sl_fake_device_next_ns(rig->devices[i]);
            next = at < next ? at : next;
        }
        next = next < rig->now.mono.ns ? rig->now.mono.ns : next;
        bool last = next > end;
        next = last ? end : next;
        int64_t wall_us = (rig->now.mono.ns / 1000 - next / 1000) * -1;
        rig->now.wall.ms += (wall_us + rig->now.mono.ns / 1000 % 1000) / 1000;
        rig->now.mono.ns = next;
        for (uint32_t i = 0; i < rig->options.devices; i++) {
            sl_fake_device_advance(rig->devices[i], rig->now.mono);
        }
        take_events(rig);
        if (sl_agent_deadline(rig->core).ns <= rig->now.mono.ns) {
            sl_agent_timer(rig->core, rig->now);
            rig_pump(rig);
        }
        if (last || rig->exited) {
            return;
        }
    }
}

void rig_run_ms(struct rig *rig, int64_t span_ms) {
    rig_run_us(rig, span_ms * 1000);
}
