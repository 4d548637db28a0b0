/* SPDX-License-Identifier: Apache-2.0
 * A result as it stands in the spool and in the journal: one encoded message or, where a line's
 * vectors do not fit one, a bundle of several (proto/wire/bundle.c), each with some of them. The
 * parts are one result: one id, one record, one acknowledgement. Each leaves as a message. */
#include <string.h>

#include "agent/core/core_internal.h"

/* A part is smaller than a message may be, so that reports behind it need not wait for long. */
#define PART_BYTES (2u << 20)
/* What a result has besides the numbers of its vectors, and besides its lines. */
#define VECTOR_ROOM 40u
#define RESULT_ROOM 4096u

/* The largest line has a record: its numbers, and so much for what stands around them. */
_Static_assert(SL_JOURNAL_VALUE_MAX >
                   (size_t)SL_MSG_INPUTS_MAX * (SL_MSG_VECTOR_MAX * sizeof(float) + VECTOR_ROOM) +
                       RESULT_ROOM * 64,
               "a result fits the journal");

static size_t one_message(const struct sl_agent_core *core) {
    return core->config.message_bytes ? core->config.message_bytes : SL_MSG_BYTES_MAX - RESULT_ROOM;
}

static size_t vector_bytes(uint32_t dim) {
    return dim * sizeof(float) + VECTOR_ROOM;
}

uint32_t agent_message_inputs_max(const struct sl_agent_core *core, uint32_t width) {
    size_t inputs = width ? one_message(core) / vector_bytes(width) : SL_MSG_INPUTS_MAX;
    return inputs < SL_MSG_INPUTS_MAX ? (uint32_t)inputs : SL_MSG_INPUTS_MAX;
}

/* Whether its vectors go in parts: then it is one line alone. */
static bool is_wide(const struct sl_agent_core *core, const struct sl_msg_result *result) {
    size_t bytes = 0;
    for (uint32_t i = 0; result->line_count == 1 && i < result->lines[0].vector_count; i++) {
        bytes += vector_bytes(result->lines[0].vectors[i].dim);
    }
    return bytes > one_message(core) && result->lines[0].vector_count > 1;
}

/* How many vectors from `first` on go into one part, at least one; never all of the line. */
static uint32_t part_size(const struct sl_agent_core *core, const struct sl_msg_result_line *line,
                          uint32_t first) {
    size_t most = one_message(core) < PART_BYTES ? one_message(core) : PART_BYTES;
    size_t bytes = 0;
    uint32_t count = 0;
    while (first + count < line->vector_count && count + 1 < line->vector_count &&
           (count == 0 || bytes + vector_bytes(line->vectors[first + count].dim) <= most)) {
        bytes += vector_bytes(line->vectors[first + count].dim);
        count++;
    }
    return count;
}

static int encode_parts(const struct sl_agent_core *core, const struct sl_msg *msg,
                        struct sl_buf *out, uint32_t *ret_count, struct sl_error *err) {
    const struct sl_msg_result_line *whole = &msg->result.lines[0];
    SL_AUTO_BUF struct sl_buf bytes = {0};
    uint32_t parts = 0;
    for (uint32_t first = 0; first < whole->vector_count;) {
        struct sl_msg_result_line line = *whole;
        line.inputs = whole->vector_count;
        line.vectors = whole->vectors + first;
        line.vector_count = part_size(core, whole, first);
        first += line.vector_count;
        struct sl_msg part = *msg;
        part.sequence += parts++;
        part.result.lines = &line;
        part.result.unit_done = msg->result.unit_done && first == whole->vector_count;
        bytes.len = 0;
        int rc = sl_msg_encode(&part, &bytes, err);
        if (rc) {
            return rc;
        }
        sl_msg_bundle_add(out, bytes.data, bytes.len);
    }
    sl_assert(!out->failed);
    *ret_count = parts;
    return SL_OK;
}

int agent_result_encode(const struct sl_agent_core *core, const struct sl_msg *msg,
                        struct sl_buf *out, uint32_t *ret_count, struct sl_error *err) {
    if (is_wide(core, &msg->result)) {
        return encode_parts(core, msg, out, ret_count, err);
    }
    int rc = sl_msg_encode(msg, out, err);
    *ret_count = rc == SL_OK;
    return rc;
}
