/* SPDX-License-Identifier: Apache-2.0
 * The two messages of the second socket as plain structs. They come from whoever knocks, so they
 * are small, decoded without the heap, and every count, range and text is checked in both
 * directions. Damaged bytes are -SL_CORRUPT, another version -SL_STALE, broken limits -SL_INVALID.
 * A request holds a token's secret: wipe it after use. Thread: any. */
#ifndef SLUICE_PROTO_WIRE_JOIN_H
#define SLUICE_PROTO_WIRE_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"
#include "proto/wire/msg_limits.h"

#define SL_JOIN_VERSION 1
#define SL_JOIN_MESSAGE_MAX 4096
#define SL_JOIN_SECRET_BYTES 32
#define SL_JOIN_NODE_MAX 32
#define SL_JOIN_DEVICES_MAX 16
#define SL_JOIN_DEVICE_NAME_MAX 64

struct sl_join_device {
    char name[SL_JOIN_DEVICE_NAME_MAX];
    uint32_t count;
    bool is_cpu;
    uint64_t memory_bytes;
};

struct sl_join_request {
    uint8_t secret[SL_JOIN_SECRET_BYTES];
    char node[SL_JOIN_NODE_MAX];
    char agent_version[SL_MSG_NAME_MAX];
    uint32_t device_count;
    struct sl_join_device devices[SL_JOIN_DEVICES_MAX];
};

enum sl_join_status {
    SL_JOIN_INVALID = 0,
    SL_JOIN_APPROVED,
    SL_JOIN_WAITING, /* for a person */
    SL_JOIN_REFUSED,
};

struct sl_join_reply {
    enum sl_join_status status;
    char node[SL_JOIN_NODE_MAX];
    char text[SL_MSG_TEXT_MAX];
};

int sl_join_request_encode(const struct sl_join_request *request, uint8_t out[SL_JOIN_MESSAGE_MAX],
                           size_t *ret_size, struct sl_error *err);
int sl_join_request_decode(const uint8_t *data, size_t size, struct sl_join_request *ret_request,
                           struct sl_error *err);
int sl_join_reply_encode(const struct sl_join_reply *reply, uint8_t out[SL_JOIN_MESSAGE_MAX],
                         size_t *ret_size, struct sl_error *err);
int sl_join_reply_decode(const uint8_t *data, size_t size, struct sl_join_reply *ret_reply,
                         struct sl_error *err);

#endif
