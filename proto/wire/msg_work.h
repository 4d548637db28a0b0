/* SPDX-License-Identifier: Apache-2.0
 * Work and what came of it: units of lines, results with vectors, shares. Part of msg.h, which says
 * who owns what. */
#ifndef SLUICE_PROTO_WIRE_MSG_WORK_H
#define SLUICE_PROTO_WIRE_MSG_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/msg_limits.h"

/* ---- broker -> agent ---- */

/* A text, or the ids of its tokens. */
struct sl_msg_input {
    const char *text; /* UTF-8, NUL may occur inside */
    uint32_t bytes;
    uint32_t id_count;
    const uint32_t *ids; /* [id_count] */
};

struct sl_msg_unit_line {
    uint32_t line;
    uint32_t input_count;
    const struct sl_msg_input *inputs;
    bool tokens; /* inputs are ids, all of them; needs wire version SL_WIRE_VERSION_TOKENS */
};

struct sl_msg_unit {
    uint64_t unit_id;
    char device[SL_MSG_KEY_MAX];
    uint64_t epoch;
    char model[SL_MSG_NAME_MAX];
    uint32_t line_count;
    const struct sl_msg_unit_line *lines;
};

/* ---- agent -> broker ---- */

/* One finished input text of a line. */
struct sl_msg_vector {
    uint32_t input; /* index inside the line */
    uint32_t tokens;
    uint32_t dim;
    const uint8_t *data; /* [dim * 4] little-endian IEEE binary32 */
};

enum sl_line_status {
    SL_LINE_INVALID = 0,
    SL_LINE_OK,
    SL_LINE_TOO_LONG, /* over the model's limit: the tenant's error, not billed */
    SL_LINE_BAD_MODEL,
    SL_LINE_FAILED,    /* the device gave a bad vector: the line is issued again elsewhere */
    SL_LINE_BAD_TOKEN, /* an id outside the model's vocabulary: the tenant's error, not billed */
};

struct sl_msg_result_line {
    uint32_t line;
    enum sl_line_status status;
    /* Exact usage of the whole line; for TOO_LONG the length that was too long, or 0 where the line
     * has more inputs than one result can carry vectors. */
    uint32_t tokens;
    uint32_t vector_count; /* inputs of the line, all of them, unless it is a part */
    const struct sl_msg_vector *vectors;
    uint32_t limit; /* of TOO_LONG: how many tokens (inputs) would have been taken; 0: not said */
    /* Of a part of a line that is too large for one message, and alone in each: the line's inputs,
     * of which `vectors` are some, by rising input without a gap. All parts have one result_id and
     * are acknowledged as one. Only for a broker whose Welcome says `parts`. 0: no part. */
    uint32_t inputs;
};

struct sl_msg_result {
    uint64_t result_id; /* per agent, rising, durable: resent under the same id */
    uint64_t unit_id;
    char device[SL_MSG_KEY_MAX];
    uint64_t age_ms; /* since it was finished */
    uint32_t line_count;
    const struct sl_msg_result_line *lines;
    bool unit_done; /* no more lines of this unit will come */
    uint8_t
        model_sha256[SL_MSG_SHA256_BYTES]; /* of the file it was computed with; zeros: not said */
};

enum sl_share_outcome {
    SL_SHARE_INVALID = 0,
    SL_SHARE_ACCEPTED,
    SL_SHARE_STALE,
    SL_SHARE_REJECTED,
    SL_SHARE_UNKNOWN, /* submitted, never answered */
};

struct sl_msg_share {
    uint64_t share_id; /* per agent, rising, durable */
    char device[SL_MSG_KEY_MAX];
    enum sl_share_outcome outcome;
    int32_t code;         /* pool's error code, 0 when accepted */
    uint64_t work_hashes; /* floor(difficulty * 2^48 / 0xffff) */
    uint64_t difficulty_nano;
    uint64_t age_ms;                 /* since the pool's answer */
    char pool[SL_MSG_POOL_NAME_MAX]; /* empty: an agent that knows one pool only */
};

struct sl_msg_shares {
    uint32_t share_count;
    const struct sl_msg_share *shares;
};

#endif
