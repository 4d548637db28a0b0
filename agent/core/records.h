/* SPDX-License-Identifier: Apache-2.0
 * The values that the core keeps in the journal. Integers are little-endian; part of the file
 * format, so fields are only ever added at the end. Pure. Thread: any. */
#ifndef SLUICE_AGENT_CORE_RECORDS_H
#define SLUICE_AGENT_CORE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys of SL_JOURNAL_NODE. */
#define AGENT_KEY_NAME "name"
#define AGENT_KEY_STARTS "starts"
#define AGENT_KEY_SAFE "safe"

#define AGENT_SAFE_BYTES 9
#define AGENT_EPOCH_BYTES_MAX 9 /* u64 epoch; u8 1: stay idle, missing: not */
#define AGENT_SHARE_BYTES_MAX 160
#define AGENT_RESULT_HEAD 8 /* wall clock ms when it was finished, then the encoded message */

static inline void agent_put_le(uint8_t *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline uint64_t agent_get_le(const uint8_t *in, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

struct agent_share;

/* Bytes written, at most AGENT_SHARE_BYTES_MAX. */
size_t agent_share_encode(const struct agent_share *share, uint8_t *out);
/* False: not a value that we wrote. Fills device, outcome, code, work, difficulty, settled time. */
bool agent_share_decode(const uint8_t *value, size_t size, struct agent_share *ret_share);

#endif
