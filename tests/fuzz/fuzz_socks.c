/* SPDX-License-Identifier: Apache-2.0
 * A proxy that may say anything. Byte 0 chooses user and kind of host, byte 1 where the rest is
 * cut. The client takes no byte that is the pool's, never sends more than it has room for, and
 * names every failure. */
#include "tests/fuzz/fuzz.h"

#include "agent/stratum/socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const hosts[] = {"pool.example", "192.0.2.1", "2001:db8::1", "h"};
    struct fuzz_input in = {data, size};
    struct sl_socks socks;
    struct sl_error err = {0};
    uint8_t how = fuzz_u8(&in);
    size_t piece = (size_t)(fuzz_u8(&in) % 16) + 1;
    fuzz_check(sl_socks_start(&socks, hosts[how & 3], 3333, how & 4 ? "user" : NULL, "secret",
                              &err) == SL_OK);
    int rc = -SL_AGAIN;
    size_t total = 0;
    while (rc == -SL_AGAIN && in.left > 0) {
        size_t n = 0;
        size_t used = 0;
        const uint8_t *bytes = fuzz_bytes(&in, piece, &n);
        uint8_t *copy = fuzz_copy(bytes, n);
        rc = sl_socks_input(&socks, copy, n, &used, &err);
        free(copy);
        total += used;
        fuzz_check(used <= n && (used == n || rc != -SL_AGAIN));
        fuzz_check(socks.output_size <= sizeof socks.output);
        fuzz_check(socks.output_size == 0 || rc == -SL_AGAIN);
    }
    fuzz_check(total <= 4 + SL_SOCKS_REPLY_MAX);
    if (rc != SL_OK && rc != -SL_AGAIN) {
        fuzz_check_error(rc, &err);
        fuzz_check(!strstr(err.text, "secret"));
    }
    return 0;
}
