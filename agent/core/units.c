/* SPDX-License-Identifier: Apache-2.0
 * Work units from their arrival to their last line: tokenise, post, gather, give up. */
#include "agent/core/core_internal.h"
#include "proto/base/mutant.h"

#include <stdlib.h>
#include <string.h>

#define READY_MS 20            /* a finished line waits so long for company */
#define READY_BYTES (1u << 20) /* or until so much is ready */
#define CLOSE_MS 100           /* lines under way when a lease ends may still arrive */
#define SPOOL_BYTES_MAX (256u << 20)

struct agent_unit *agent_unit_find(struct agent_device *device, uint64_t id) {
    for (struct agent_unit *unit = device->units; unit; unit = unit->next) {
        if (unit->id == id) {
            return unit;
        }
    }
    return NULL;
}

static bool is_known(struct sl_agent_core *core, uint64_t id) {
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        if (agent_unit_find(&core->devices[i], id)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < AGENT_FINISHED_MAX; i++) {
        if (core->finished[i] == id) {
            return true;
        }
    }
    return false;
}

static void remember(struct sl_agent_core *core, uint64_t id) {
    core->finished[core->finished_next] = id;
    core->finished_next = (core->finished_next + 1) % AGENT_FINISHED_MAX;
}

static void unit_free(struct agent_unit *unit) {
    for (uint32_t i = 0; i < unit->line_count; i++) {
        for (uint32_t j = 0; unit->lines[i].inputs && j < unit->lines[i].input_count; j++) {
            free(unit->lines[i].inputs[j].vector);
        }
        free(unit->lines[i].inputs);
    }
    free(unit->waiting);
    free(unit);
}

void agent_units_free(struct agent_device *device) {
    while (device->units) {
        struct agent_unit *next = device->units->next;
        unit_free(device->units);
        device->units = next;
    }
    device->unit_count = 0;
}

static void unit_remove(struct sl_agent_core *core, struct agent_device *device,
                        struct agent_unit *unit) {
    struct agent_unit **link = &device->units;
    while (*link != unit) {
        link = &(*link)->next;
    }
    *link = unit->next;
    device->unit_count--;
    remember(core, unit->id);
    unit_free(unit);
}

/* Reports what there is, says that no more comes, and forgets the unit. */
static void unit_end(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                     struct agent_unit *unit) {
    unit->closed = true;
    agent_unit_flush(core, now, device, unit);
    unit_remove(core, device, unit);
    core->session.report_wanted = true;
}

/* Ends the unit if all lines are finished; else sends what is ready when it is much. */
static void unit_progress(struct sl_agent_core *core, struct sl_now now,
                          struct agent_device *device, struct agent_unit *unit) {
    for (uint32_t i = 0; i < unit->line_count; i++) {
        if (unit->lines[i].status == SL_LINE_INVALID) {
            if (unit->ready_bytes >= READY_BYTES) {
                agent_unit_flush(core, now, device, unit);
            }
            return;
        }
    }
    unit_end(core, now, device, unit);
}

static void line_finish(struct agent_unit *unit, struct sl_now now, struct agent_line *line,
                        enum sl_line_status status, uint32_t tokens) {
    line->status = status;
    line->tokens = tokens;
    if (unit->ready++ == 0) {
        unit->ready_ns = now.mono.ns;
    }
}

/* ---- arrival ---- */

static struct agent_unit *unit_create(const struct sl_msg_unit *msg) {
    struct agent_unit *unit =
        agent_alloc(sizeof *unit + msg->line_count * sizeof(struct agent_line));
    unit->id = msg->unit_id;
    unit->epoch = msg->epoch;
    sl_text_copy(unit->model, sizeof unit->model, msg->model);
    unit->state = UNIT_TOKENIZING;
    unit->line_count = msg->line_count;
    for (uint32_t i = 0; i < msg->line_count; i++) {
        struct agent_line *line = &unit->lines[i];
        line->line = msg->lines[i].line;
        line->input_count = msg->lines[i].input_count;
        line->open = line->input_count;
        line->inputs = agent_alloc(line->input_count * sizeof *line->inputs);
    }
    return unit;
}

/* Ids of all lines go before the first text, so that they stay aligned. */
static void copy_inputs(struct sl_agent_tokens *tokens, const struct sl_msg_unit *msg, bool ids,
                        char **to) {
    for (uint32_t i = 0; i < msg->line_count; i++) {
        for (uint32_t j = 0; msg->lines[i].tokens == ids && j < msg->lines[i].input_count; j++) {
            const struct sl_msg_input *input = &msg->lines[i].inputs[j];
            size_t n = ids ? input->id_count * sizeof *input->ids : input->bytes;
            struct sl_agent_text *text = &tokens->texts[tokens->text_count++];
            *text = (struct sl_agent_text){.line = msg->lines[i].line, .input = j, .text = *to};
            if (ids) {
                text->ids = (const uint32_t *)(const void *)*to;
                text->id_count = input->id_count - (uint32_t)SL_MUTANT(last_id_lost);
            } else {
                text->bytes = input->bytes;
            }
            if (n > 0) {
                memcpy(*to, ids ? (const void *)input->ids : input->text, n);
            }
            *to += n;
        }
    }
}

static struct sl_agent_tokens *tokens_create(const struct agent_device *device,
                                             const struct sl_msg_unit *msg) {
    size_t count = 0;
    size_t bytes = 0;
    for (uint32_t i = 0; i < msg->line_count; i++) {
        for (uint32_t j = 0; j < msg->lines[i].input_count; j++) {
            count++;
            const struct sl_msg_input *input = &msg->lines[i].inputs[j];
            bytes += msg->lines[i].tokens ? input->id_count * sizeof *input->ids : input->bytes;
        }
    }
    size_t head = sizeof(struct sl_agent_tokens) + count * sizeof(struct sl_agent_text);
    struct sl_agent_tokens *tokens = agent_alloc(head + bytes);
    tokens->block_bytes = head + bytes;
    tokens->unit_id = msg->unit_id;
    tokens->epoch = msg->epoch;
    tokens->device = device->index;
    sl_text_copy(tokens->model, sizeof tokens->model, msg->model);
    char *to = (char *)tokens + head;
    copy_inputs(tokens, msg, true, &to);
    copy_inputs(tokens, msg, false, &to);
    return tokens;
}

/* The unit is not worked on here: says so at once, so that it is issued elsewhere. */
static void unit_refuse(struct sl_agent_core *core, struct sl_now now,
                        const struct sl_msg_unit *msg, const char *why) {
    struct sl_msg_result result = {.unit_id = msg->unit_id, .unit_done = true};
    sl_text_copy(result.device, sizeof result.device, msg->device);
    struct sl_error err;
    remember(core, msg->unit_id);
    if (agent_result_add(core, now, &result, &err) != SL_OK) {
        why = err.text;
    }
    agent_log(core, SL_LOG_INFO, "unit.refused", "unit=%llu device=%s %s",
              (unsigned long long)msg->unit_id, msg->device, why);
}

static const char *unit_refusal(const struct sl_agent_core *core, const struct agent_device *device,
                                const struct sl_msg_unit *msg) {
    if (!device) {
        return "there is no such device here";
    }
    if (!agent_device_bound(device) || device->lease.mode != SL_MODE_INFER ||
        device->lease.epoch != msg->epoch) {
        return "its epoch is not the present one of the device";
    }
    if (device->unit_count >= AGENT_UNITS_MAX || core->results.bytes >= SPOOL_BYTES_MAX) {
        return "too much is held here already";
    }
    return NULL;
}

/* A line whose vectors no message carries is not worked on for a broker that takes none in parts:
 * it would fail with a device that is blameless. Fills fit[] with the others; returns how many. */
static uint32_t refuse_many_inputs(const struct sl_agent_core *core, struct sl_now now,
                                   struct agent_unit *unit, const struct sl_msg_unit *msg,
                                   struct sl_msg_unit_line fit[SL_MSG_LINES_MAX]) {
    uint32_t most = agent_line_inputs_max(core, msg->model);
    uint32_t count = 0;
    for (uint32_t i = 0; i < unit->line_count; i++) {
        if (msg->lines[i].input_count > most) {
            line_finish(unit, now, &unit->lines[i], SL_LINE_TOO_LONG, 0);
        } else {
            fit[count++] = msg->lines[i];
        }
    }
    return count;
}

void agent_on_unit(struct sl_agent_core *core, struct sl_now now, const struct sl_msg_unit *msg) {
    if (is_known(core, msg->unit_id)) {
        return; /* a repeat: it is worked on, or its results are on their way */
    }
    struct agent_device *device = agent_device_find(core, msg->device);
    const char *why = core->stopping ? "the agent stops" : unit_refusal(core, device, msg);
    if (why) {
        unit_refuse(core, now, msg, why);
        return;
    }
    if (SL_MUTANT(prompt_in_log) && msg->line_count > 0 && msg->lines[0].input_count > 0) {
        agent_log(core, SL_LOG_INFO, "unit", "text=%.*s", (int)msg->lines[0].inputs[0].bytes,
                  msg->lines[0].inputs[0].text);
    }
    struct agent_unit *unit = unit_create(msg);
    struct agent_unit **link = &device->units;
    while (*link) {
        link = &(*link)->next;
    }
    *link = unit;
    device->unit_count++;
    if (!agent_device_has_model(device, msg->model)) {
        for (uint32_t i = 0; i < unit->line_count; i++) {
            line_finish(unit, now, &unit->lines[i], SL_LINE_BAD_MODEL, 0);
        }
        unit_end(core, now, device, unit);
        return;
    }
    struct sl_msg_unit_line fit[SL_MSG_LINES_MAX];
    struct sl_msg_unit rest = *msg;
    rest.lines = fit;
    rest.line_count = refuse_many_inputs(core, now, unit, msg, fit);
    agent_queue(core, SL_AGENT_TOKENIZE)->tokens = tokens_create(device, &rest);
}

static struct agent_line *line_find(struct agent_unit *unit, uint32_t number) {
    for (uint32_t i = 0; i < unit->line_count; i++) {
        if (unit->lines[i].line == number) {
            return &unit->lines[i];
        }
    }
    return NULL;
}

static void take_texts(struct sl_now now, struct agent_unit *unit,
                       const struct sl_agent_tokens *tokens) {
    for (uint32_t i = 0; i < tokens->text_count; i++) {
        const struct sl_agent_text *text = &tokens->texts[i];
        struct agent_line *line = line_find(unit, text->line);
        line->inputs[text->input].tokens = text->tokens;
        if (line->status == SL_LINE_INVALID && text->status == -SL_LIMIT) {
            line_finish(unit, now, line, SL_LINE_TOO_LONG, text->tokens);
        } else if (line->status == SL_LINE_INVALID && text->status == -SL_INVALID &&
                   text->id_count > 0) {
            line_finish(unit, now, line, SL_LINE_BAD_TOKEN, 0);
        } else if (line->status == SL_LINE_INVALID && text->status != SL_OK) {
            line_finish(unit, now, line, SL_LINE_FAILED, 0);
        }
    }
}

void sl_agent_tokenized(struct sl_agent_core *core, struct sl_now now,
                        struct sl_agent_tokens *tokens) {
    struct agent_device *device = &core->devices[tokens->device];
    struct agent_unit *unit = agent_unit_find(device, tokens->unit_id);
    if (unit && unit->state == UNIT_TOKENIZING) {
        unit->state = UNIT_WORKING;
        take_texts(now, unit, tokens);
        if (tokens->unit && device->leased && device->epoch == unit->epoch) {
            agent_post(core, device->index,
                       &(struct sl_device_cmd){.kind = SL_DEVCMD_UNIT,
                                               .epoch = unit->epoch,
                                               .unit_id = unit->id,
                                               .unit = tokens->unit});
            tokens->unit = NULL;
        } else if (tokens->unit) {
            unit->waiting = tokens->unit;
            tokens->unit = NULL;
        }
        unit_progress(core, now, device, unit);
    }
    sl_agent_tokens_free(tokens);
    agent_settle(core, now);
}

/* ---- what the device reports ---- */

void agent_unit_line_done(struct sl_agent_core *core, struct sl_now now,
                          struct agent_device *device, struct sl_device_line *done) {
    struct agent_unit *unit = agent_unit_find(device, done->unit_id);
    struct agent_line *line = unit ? line_find(unit, done->line) : NULL;
    if (!line || line->status != SL_LINE_INVALID || done->input >= line->input_count ||
        line->inputs[done->input].done) {
        return;
    }
    struct agent_input *input = &line->inputs[done->input];
    input->done = true;
    if (done->status != SL_OK || !done->vector || done->dim == 0 || done->dim > SL_MSG_VECTOR_MAX) {
        line_finish(unit, now, line, SL_LINE_FAILED, 0);
    } else {
        input->dim = done->dim;
        input->vector = done->vector;
        done->vector = NULL;
        unit->ready_bytes += done->dim * sizeof(float);
        if (--line->open == 0) {
            uint64_t tokens = 0;
            for (uint32_t i = 0; i < line->input_count; i++) {
                tokens += line->inputs[i].tokens;
            }
            line_finish(unit, now, line, SL_LINE_OK,
                        tokens > UINT32_MAX ? UINT32_MAX : (uint32_t)tokens);
        }
    }
    unit_progress(core, now, device, unit);
}

void agent_unit_done(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                     uint64_t unit_id) {
    struct agent_unit *unit = agent_unit_find(device, unit_id);
    if (unit) {
        unit_end(core, now, device, unit); /* dropped before all its lines were done */
    }
}

/* ---- giving up ---- */

static void unit_close(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                       struct agent_unit *unit, bool at_once) {
    if (at_once || unit->state == UNIT_TOKENIZING || unit->waiting) {
        unit_end(core, now, device, unit); /* the device has nothing of it */
    } else if (unit->state == UNIT_WORKING) {
        unit->state = UNIT_CLOSING;
        unit->close_ns = sl_mono_after_ms(now.mono, CLOSE_MS).ns;
    }
}

void agent_units_close(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                       uint64_t below, bool at_once) {
    for (struct agent_unit *unit = device->units, *next; unit; unit = next) {
        next = unit->next;
        if (unit->epoch < below) {
            unit_close(core, now, device, unit, at_once);
        }
    }
}

void agent_units_fence(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                       uint64_t below) {
    for (struct agent_unit *unit = device->units, *next; unit; unit = next) {
        next = unit->next;
        if (unit->state == UNIT_CLOSING && unit->epoch < below) {
            unit_end(core, now, device, unit);
        }
    }
}

void agent_on_drain(struct sl_agent_core *core, struct sl_now now, const struct sl_msg_drain *msg) {
    struct agent_device *device = agent_device_find(core, msg->device);
    for (uint32_t i = 0; device && i < msg->unit_count; i++) {
        struct agent_unit *unit = agent_unit_find(device, msg->units[i]);
        if (unit) {
            if (unit->state == UNIT_WORKING && !unit->waiting) {
                agent_post(core, device->index,
                           &(struct sl_device_cmd){.kind = SL_DEVCMD_DROP, .unit_id = unit->id});
            }
            unit_close(core, now, device, unit, false);
        }
    }
}

uint32_t agent_units_open_lines(const struct agent_device *device) {
    uint32_t open = 0;
    for (const struct agent_unit *unit = device->units; unit; unit = unit->next) {
        for (uint32_t i = 0; unit->state != UNIT_CLOSING && i < unit->line_count; i++) {
            open += unit->lines[i].status == SL_LINE_INVALID;
        }
    }
    return open;
}

/* ---- time ---- */

static int64_t unit_due(const struct agent_unit *unit) {
    int64_t due = AGENT_NEVER;
    if (unit->ready) {
        due = unit->ready_ns + READY_MS * SL_NS_PER_MS;
    }
    if (unit->state == UNIT_CLOSING && unit->close_ns < due) {
        due = unit->close_ns;
    }
    return due;
}

void agent_units_timer(struct sl_agent_core *core, struct sl_now now) {
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        struct agent_device *device = &core->devices[i];
        for (struct agent_unit *unit = device->units, *next; unit; unit = next) {
            next = unit->next;
            if (unit->state == UNIT_CLOSING && unit->close_ns <= now.mono.ns) {
                unit_end(core, now, device, unit);
            } else if (unit_due(unit) <= now.mono.ns) {
                agent_unit_flush(core, now, device, unit);
            }
        }
    }
}

int64_t agent_units_deadline(const struct sl_agent_core *core) {
    int64_t when = AGENT_NEVER;
    for (uint32_t i = 0; i < core->config.device_count; i++) {
        const struct agent_unit *unit = core->devices[i].units;
        for (; unit; unit = unit->next) {
            int64_t due = unit_due(unit);
            when = due < when ? due : when;
        }
    }
    return when;
}
