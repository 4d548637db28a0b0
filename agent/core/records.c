/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/records.h"

#include <string.h>

#include "agent/core/core_internal.h"

/* u64 work, u64 difficulty, u8 outcome (0: none yet), i32 code, i64 settled, u8 n, n bytes of the
 * device's key; then, missing in records of older programs, u8 n, n bytes of the pool's name. */
#define SHARE_HEAD (8 + 8 + 1 + 4 + 8 + 1)

size_t agent_share_encode(const struct agent_share *share, uint8_t *out) {
    size_t n = strlen(share->device);
    agent_put_le(out, share->work_hashes, 8);
    agent_put_le(out + 8, share->difficulty_nano, 8);
    out[16] = (uint8_t)share->outcome;
    agent_put_le(out + 17, (uint32_t)share->code, 4);
    agent_put_le(out + 21, (uint64_t)share->settled_ms, 8);
    out[29] = (uint8_t)n;
    memcpy(out + SHARE_HEAD, share->device, n);
    size_t at = SHARE_HEAD + n;
    size_t m = strlen(share->pool);
    out[at] = (uint8_t)m;
    memcpy(out + at + 1, share->pool, m);
    return at + 1 + m;
}

bool agent_share_decode(const uint8_t *value, size_t size, struct agent_share *ret_share) {
    if (size < SHARE_HEAD || value[16] > SL_SHARE_UNKNOWN || value[29] >= SL_MSG_KEY_MAX ||
        size < (size_t)SHARE_HEAD + value[29]) {
        return false;
    }
    ret_share->work_hashes = agent_get_le(value, 8);
    ret_share->difficulty_nano = agent_get_le(value + 8, 8);
    ret_share->outcome = (enum sl_share_outcome)value[16];
    ret_share->code = (int32_t)agent_get_le(value + 17, 4);
    ret_share->settled_ms = (int64_t)agent_get_le(value + 21, 8);
    memset(ret_share->device, 0, sizeof ret_share->device);
    memcpy(ret_share->device, value + SHARE_HEAD, value[29]);
    memset(ret_share->pool, 0, sizeof ret_share->pool);
    size_t at = (size_t)SHARE_HEAD + value[29];
    if (at == size) {
        return true;
    }
    if (value[at] >= SL_MSG_POOL_NAME_MAX || size < at + 1 + value[at]) {
        return false;
    }
    memcpy(ret_share->pool, value + at + 1, value[at]);
    return true;
}
