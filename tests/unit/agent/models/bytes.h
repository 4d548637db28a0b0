/* SPDX-License-Identifier: Apache-2.0
 * Little-endian bytes for hand-made hostile files. */
#ifndef SLUICE_TESTS_UNIT_AGENT_MODELS_BYTES_H
#define SLUICE_TESTS_UNIT_AGENT_MODELS_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/text.h"

static inline void bytes_u32(struct sl_buf *buf, uint32_t value) {
    value = htole32(value);
    sl_buf_append(buf, &value, sizeof value);
}

static inline void bytes_u64(struct sl_buf *buf, uint64_t value) {
    value = htole64(value);
    sl_buf_append(buf, &value, sizeof value);
}

/* A GGUF text: its length, then its bytes. */
static inline void bytes_text(struct sl_buf *buf, const char *text) {
    bytes_u64(buf, strlen(text));
    sl_buf_append(buf, text, strlen(text));
}

static inline void bytes_pad(struct sl_buf *buf, size_t to) {
    while (buf->len % to) {
        sl_buf_append(buf, "", 1);
    }
}

#endif
