/* SPDX-License-Identifier: Apache-2.0
 * The message Bundle of sluice.proto, whose one field is that of no envelope: each part stands
 * behind the field's tag and its length. */
#include <string.h>

#include "proto/wire/codec.h"

#define LENGTH_BYTES_MAX 10

static const uint8_t tag[2] = {0xF2, 0x01}; /* field 30, bytes */

bool sl_msg_bundle_is(const uint8_t *data, size_t size) {
    return size >= sizeof tag && memcmp(data, tag, sizeof tag) == 0;
}

void sl_msg_bundle_add(struct sl_buf *bundle, const void *envelope, size_t size) {
    uint8_t head[sizeof tag + LENGTH_BYTES_MAX];
    size_t n = sizeof tag;
    memcpy(head, tag, n);
    size_t left = size;
    for (; left >= 0x80; left >>= 7) {
        head[n++] = (uint8_t)(left | 0x80);
    }
    head[n++] = (uint8_t)left;
    sl_buf_append(bundle, head, n);
    sl_buf_append(bundle, envelope, size);
}

/* Bytes that the part's head takes, 0: damaged. */
static size_t head_of(const uint8_t *data, size_t size, size_t *ret_length) {
    uint64_t length = 0;
    if (!sl_msg_bundle_is(data, size)) {
        return 0;
    }
    for (size_t i = 0; i < LENGTH_BYTES_MAX / 2 && sizeof tag + i < size; i++) {
        uint8_t byte = data[sizeof tag + i];
        length |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            size_t head = sizeof tag + i + 1;
            *ret_length = (size_t)length;
            return length <= size - head ? head : 0;
        }
    }
    return 0;
}

bool sl_msg_bundle_next(const uint8_t *data, size_t size, size_t *at, const uint8_t **ret_part,
                        size_t *ret_size) {
    if (*at > 0 && *at >= size) {
        return false;
    }
    bool whole = *at == 0 && !sl_msg_bundle_is(data, size);
    size_t length = 0;
    size_t head = whole ? 0 : head_of(data + *at, size - *at, &length);
    length = head ? length : size - *at;
    *ret_part = data + *at + head;
    *ret_size = length;
    *at += head + length;
    *at += *at == 0; /* an empty message is one, too, and the last */
    return true;
}
