/* SPDX-License-Identifier: Apache-2.0
 * The SHA-256 of a model's file in a message: 32 bytes, or zeros where the peer does not say. No
 * file has a digest of zeros. */
#ifndef SLUICE_PROTO_WIRE_SHA256_H
#define SLUICE_PROTO_WIRE_SHA256_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proto/wire/msg_limits.h"

static inline bool sl_msg_sha256_said(const uint8_t sha256[SL_MSG_SHA256_BYTES]) {
    static const uint8_t none[SL_MSG_SHA256_BYTES];
    return memcmp(sha256, none, sizeof none) != 0;
}

/* How long it is on the wire. */
static inline uint32_t sl_msg_sha256_size(const uint8_t sha256[SL_MSG_SHA256_BYTES]) {
    return sl_msg_sha256_said(sha256) ? SL_MSG_SHA256_BYTES : 0;
}

#endif
