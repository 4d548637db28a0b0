/* SPDX-License-Identifier: Apache-2.0
 * Finished lines of a unit as results that fit a message. */
#include <stdlib.h>
#include <string.h>

#include "agent/core/core_internal.h"

/* Vectors go onto the wire as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire's vectors are little-endian");
_Static_assert(sizeof(float) == 4, "the wire's vectors are binary32");

#define RESULT_BYTES_WANTED (2u << 20)

static size_t line_bytes(const struct agent_line *line) {
    size_t bytes = 32;
    for (uint32_t i = 0; line->status == SL_LINE_OK && i < line->input_count; i++) {
        bytes += 32 + line->inputs[i].dim * sizeof(float);
    }
    return bytes;
}

static struct sl_msg_vector *line_vectors(const struct agent_line *line) {
    struct sl_msg_vector *vectors = agent_alloc(line->input_count * sizeof *vectors);
    for (uint32_t i = 0; i < line->input_count; i++) {
        vectors[i] = (struct sl_msg_vector){
            .input = i,
            .tokens = line->inputs[i].tokens,
            .dim = line->inputs[i].dim,
            .data = (const uint8_t *)line->inputs[i].vector,
        };
    }
    return vectors;
}

static void line_reported(struct agent_unit *unit, struct agent_line *line) {
    line->reported = true;
    unit->ready--;
    for (uint32_t i = 0; i < line->input_count; i++) {
        size_t bytes = line->inputs[i].vector ? line->inputs[i].dim * sizeof(float) : 0;
        unit->ready_bytes -= bytes < unit->ready_bytes ? bytes : unit->ready_bytes;
        free(line->inputs[i].vector);
        line->inputs[i].vector = NULL;
    }
}

/* A line that no message can carry, and that this broker does not take in parts, is reported as
 * failed, which is the truth for the tenant. */
static void give_up_line(struct sl_agent_core *core, struct agent_unit *unit,
                         struct agent_line *line, const char *why) {
    agent_log(core, SL_LOG_ERROR, "line.unsent", "unit=%llu line=%u %s",
              (unsigned long long)unit->id, line->line, why);
    if (line->status == SL_LINE_FAILED) {
        line_reported(unit, line); /* not even that: the broker issues it again by itself */
        return;
    }
    line->status = SL_LINE_FAILED;
    line->tokens = 0;
}

static const struct sl_agent_model *model_of(const struct sl_agent_core *core, const char *model) {
    for (uint32_t i = 0; i < core->config.model_count; i++) {
        if (strcmp(core->models[i].id, model) == 0) {
            return &core->models[i];
        }
    }
    return NULL;
}

uint32_t agent_line_inputs_max(const struct sl_agent_core *core, const char *model) {
    const struct sl_agent_model *m = model_of(core, model);
    return m && !core->session.parts ? agent_message_inputs_max(core, m->width) : SL_MSG_INPUTS_MAX;
}

static uint32_t limit_of(const struct sl_agent_core *core, const struct agent_unit *unit,
                         const struct agent_line *line) {
    const struct sl_agent_model *model = model_of(core, unit->model);
    if (!model || line->status != SL_LINE_TOO_LONG) {
        return 0;
    }
    return line->tokens > 0 ? model->max_tokens : agent_line_inputs_max(core, unit->model);
}

/* Sends lines[0..count). False: they did not fit and one of them was given up; try again. */
static bool send_lines(struct sl_agent_core *core, struct sl_now now,
                       const struct agent_device *device, struct agent_unit *unit,
                       struct agent_line **lines, uint32_t count, bool last) {
    struct sl_msg_result_line out[SL_MSG_LINES_MAX];
    const struct sl_agent_model *model = model_of(core, unit->model);
    for (uint32_t i = 0; i < count; i++) {
        bool ok = lines[i]->status == SL_LINE_OK;
        out[i] = (struct sl_msg_result_line){
            .line = lines[i]->line,
            .status = lines[i]->status,
            .tokens = lines[i]->tokens,
            .vector_count = ok ? lines[i]->input_count : 0,
            .vectors = ok ? line_vectors(lines[i]) : NULL,
            .limit = limit_of(core, unit, lines[i]),
        };
    }
    struct sl_msg_result result = {
        .unit_id = unit->id, .line_count = count, .lines = out, .unit_done = last};
    sl_text_copy(result.device, sizeof result.device, device->info.key);
    if (model) { /* a result may outlive this process in the spool */
        memcpy(result.model_sha256, model->sha256, sizeof result.model_sha256);
    }
    struct sl_error err = {0};
    int rc = agent_result_add(core, now, &result, &err);
    for (uint32_t i = 0; i < count; i++) {
        free((void *)out[i].vectors);
        if (rc == SL_OK) {
            line_reported(unit, lines[i]);
        }
    }
    if (rc != SL_OK && count > 0) {
        give_up_line(core, unit, lines[count - 1], err.text);
    }
    return rc == SL_OK || count == 0;
}

void agent_unit_flush(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                      struct agent_unit *unit) {
    size_t wanted = core->config.message_bytes && core->config.message_bytes < RESULT_BYTES_WANTED
                        ? core->config.message_bytes
                        : RESULT_BYTES_WANTED;
    bool sent = false;
    while (unit->ready > 0 || (unit->closed && !sent)) {
        struct agent_line *lines[SL_MSG_LINES_MAX];
        uint32_t count = 0;
        size_t bytes = 0;
        for (uint32_t i = 0; i < unit->line_count && count < SL_MSG_LINES_MAX; i++) {
            struct agent_line *line = &unit->lines[i];
            if (line->status == SL_LINE_INVALID || line->reported) {
                continue;
            }
            if (count > 0 && bytes + line_bytes(line) > wanted) {
                break;
            }
            bytes += line_bytes(line);
            lines[count++] = line;
        }
        bool last = unit->closed && count == unit->ready;
        sent = send_lines(core, now, device, unit, lines, count, last);
    }
}
