/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire/codec.h"

const char *sl_msg_kind_name(enum sl_msg_kind kind) {
    switch (kind) {
    case SL_MSG_HELLO:
        return "hello";
    case SL_MSG_WELCOME:
        return "welcome";
    case SL_MSG_REPORT:
        return "report";
    case SL_MSG_DIRECTIVE:
        return "directive";
    case SL_MSG_ACK:
        return "ack";
    case SL_MSG_UNIT:
        return "unit";
    case SL_MSG_RESULT:
        return "result";
    case SL_MSG_SHARES:
        return "shares";
    case SL_MSG_RESULT_ACK:
        return "result_ack";
    case SL_MSG_DRAIN:
        return "drain";
    case SL_MSG_GOODBYE:
        return "goodbye";
    case SL_MSG_ROTATE:
        return "rotate";
    case SL_MSG_ROTATE_KEY:
        return "rotate_key";
    case SL_MSG_INVALID:
    default:
        return "invalid";
    }
}

int sl_msg_check_version(uint32_t theirs, uint32_t newest, struct sl_error *err) {
    uint32_t oldest = SL_WIRE_VERSION_OLDEST(newest);
    if (theirs >= oldest && theirs <= newest) {
        return SL_OK;
    }
    return sl_fail(err, SL_STALE,
                   "the other end speaks wire version %u, this program %u to %u: update %s", theirs,
                   oldest, newest, theirs > newest ? "this program" : "the other one");
}

/* Envelope: version, session and sequence are varints, the body's field says what it is. */
#define TAG_REPORT ((12u << 3) | 2u)

bool sl_msg_bytes_report(const uint8_t *data, size_t size) {
    size_t at = 0;
    while (at < size && (data[at] & 7) == 0 && data[at] < 0x80) {
        at++;
        while (at < size && data[at] >= 0x80) {
            at++;
        }
        at++;
    }
    return at < size && data[at] == TAG_REPORT;
}
