/* SPDX-License-Identifier: Apache-2.0
 * Inside of the codec: the limits and rules that a plain message keeps, in both directions. */
#ifndef SLUICE_PROTO_WIRE_CHECK_H
#define SLUICE_PROTO_WIRE_CHECK_H

#include <stdbool.h>

#include "proto/wire/codec.h"

/* sending: texts for people are only checked for their end, since the encoder mends the rest.
 * SL_OK, -SL_LIMIT or -SL_INVALID; the text names kind, item and field. */
int sl_msg_check(const struct sl_msg *msg, bool sending, struct sl_error *err);

/* A character that a text for people may hold: no control characters except tab and line feed. */
static inline bool sl_msg_text_char(unsigned char c) {
    return (c >= 0x20 && c != 0x7F) || c == '\n' || c == '\t';
}

#endif
