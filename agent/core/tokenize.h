/* SPDX-License-Identifier: Apache-2.0
 * The inputs (texts, or ids that the tenant made itself) of one work unit on their way through the
 * tokenizer thread: from the core as text, back as a unit that a device can take.
 *
 * Thread: whoever holds it; it moves from the loop to the tokenizer and back. Texts are tenants'
 * data: they are wiped when it is freed, and never logged. */
#ifndef SLUICE_AGENT_CORE_TOKENIZE_H
#define SLUICE_AGENT_CORE_TOKENIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/device/device.h"
#include "proto/base/error.h"

struct sl_agent_text {
    uint32_t line; /* number in the batch */
    uint32_t input;
    uint32_t bytes;
    const char *text;    /* inside the block of the sl_agent_tokens; UTF-8, may hold NUL */
    uint32_t id_count;   /* not 0: the input is these ids, and no text */
    const uint32_t *ids; /* [id_count], inside the block too */
    int status; /* out: SL_OK, -SL_LIMIT (too long), -SL_INVALID (no such id), else a failure */
    uint32_t tokens; /* out: exact count; when too long: the length that was too long */
};

struct sl_agent_tokens {
    uint64_t unit_id;
    uint64_t epoch;
    uint32_t device;
    char model[64];
    struct sl_device_unit *unit; /* out: the texts whose whole line is fine; NULL: none */
    size_t block_bytes;          /* of this allocation, for wiping */
    uint32_t text_count;
    struct sl_agent_text texts[]; /* [text_count], lines in order, then the bytes of the texts */
};

/* SL_OK, or -SL_LIMIT when the input has more tokens than the model takes: then *ret_count is its
 * length. At most `room` ids are written. */
typedef int (*sl_agent_encode_fn)(void *context, const char *model,
                                  const struct sl_agent_text *input, int32_t *ret_ids,
                                  uint32_t room, uint32_t *ret_count, struct sl_error *err);

/* Fills status, tokens and unit. A line with one bad text is left out of the unit as a whole.
 * max_tokens: of the model. -SL_NOMEM, else SL_OK. */
int sl_agent_tokens_run(struct sl_agent_tokens *tokens, uint32_t max_tokens,
                        sl_agent_encode_fn encode, void *context, struct sl_error *err);

/* Wipes the texts; frees the unit too. Accepts NULL. */
void sl_agent_tokens_free(struct sl_agent_tokens *tokens);

#endif
