/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/core/core_internal.h"
#include "agent/core/records.h"

static void a_share_survives_the_trip(void **state) {
    (void)state;
    struct agent_share share = {.outcome = SL_SHARE_REJECTED,
                                .code = -23,
                                .work_hashes = UINT64_C(0x123456789ABCDEF),
                                .difficulty_nano = 77,
                                .settled_ms = INT64_C(1700000000123)};
    memset(share.device, 'k', SL_MSG_KEY_MAX - 1);
    memset(share.pool, 'p', SL_MSG_POOL_NAME_MAX - 1);
    uint8_t value[AGENT_SHARE_BYTES_MAX];
    size_t size = agent_share_encode(&share, value);
    assert_true(size <= sizeof value);
    struct agent_share back = {0};
    assert_true(agent_share_decode(value, size, &back));
    assert_string_equal(back.device, share.device);
    assert_int_equal(back.outcome, share.outcome);
    assert_int_equal(back.code, share.code);
    assert_int_equal(back.work_hashes, share.work_hashes);
    assert_int_equal(back.settled_ms, share.settled_ms);
    assert_string_equal(back.pool, share.pool);
    /* An older program's record ends with the device: its pool is not known. */
    size_t older = size - SL_MSG_POOL_NAME_MAX;
    for (size_t cut = 0; cut < size; cut++) {
        assert_true(agent_share_decode(value, cut, &back) == (cut == older));
    }
    assert_true(agent_share_decode(value, older, &back));
    assert_string_equal(back.pool, "");
    value[older] = SL_MSG_POOL_NAME_MAX;
    assert_false(agent_share_decode(value, size, &back));
    value[older] = SL_MSG_POOL_NAME_MAX - 1;
    value[16] = 99;
    assert_false(agent_share_decode(value, size, &back));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_share_survives_the_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
