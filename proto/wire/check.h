/* SPDX-License-Identifier: Apache-2.0
 * Inside of the codec: the limits and rules that a plain message keeps, in both directions. */
#ifndef SLUICE_PROTO_WIRE_CHECK_H
#define SLUICE_PROTO_WIRE_CHECK_H

#include <stdbool.h>

#include "proto/wire/codec.h"

/* sending: texts for people are only checked for their end, since the encoder mends the rest.
 * SL_OK, -SL_LIMIT or -SL_INVALID; the text names kind, item and field. */
int sl_msg_check(const struct sl_msg *msg, bool sending, struct sl_error *err);

/* False at a control character, among them U+0080 to U+009F, which many terminals obey. `text` is
 * NUL-terminated and not at its end. Line feed and tab are for the caller to allow. */
static inline bool sl_msg_printable(const char *text) {
    unsigned char c = (unsigned char)text[0];
    unsigned char next = (unsigned char)text[1];
    return c >= 0x20 && c != 0x7F && !(c == 0xC2 && next >= 0x80 && next < 0xA0);
}

#endif
