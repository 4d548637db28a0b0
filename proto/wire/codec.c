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
    case SL_MSG_INVALID:
    default:
        return "invalid";
    }
}
