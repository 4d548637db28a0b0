/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "agent/stratum/sha256.h"
#include "proto/base/text.h"

static void store_state(const uint32_t state[8], uint8_t out[32]) {
    for (int i = 0; i < 32; i++) {
        out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

/* "abc", padded to one block: the first example of the standard. */
static void one_block_of_the_standard(void **state) {
    (void)state;
    uint8_t block[64] = {'a', 'b', 'c', 0x80};
    uint8_t digest[32];
    char text[65];
    uint32_t h[8];
    block[63] = 24;
    sl_sha256_initial(h);
    sl_sha256_compress(h, block);
    store_state(h, digest);
    sl_hex_encode(digest, 32, text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* Every length of a second block that a header can have, against libsodium's own padding. */
static void a_midstate_goes_on_as_the_whole_hash(void **state) {
    (void)state;
    uint8_t data[128];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t size = 64; size < 64 + 56; size++) {
        uint8_t tail[64] = {0};
        uint8_t ours[32];
        uint8_t theirs[32];
        uint32_t h[8];
        memcpy(tail, data + 64, size - 64);
        tail[size - 64] = 0x80;
        tail[62] = (uint8_t)(size * 8 >> 8);
        tail[63] = (uint8_t)(size * 8);
        sl_sha256_initial(h);
        sl_sha256_compress(h, data);
        sl_sha256_compress(h, tail);
        store_state(h, ours);
        crypto_hash_sha256(theirs, data, size);
        assert_memory_equal(ours, theirs, 32);
    }
}

static void the_double_hash_of_nothing(void **state) {
    (void)state;
    uint8_t digest[32];
    char text[65];
    sl_sha256d("", 0, digest);
    sl_hex_encode(digest, 32, text);
    assert_string_equal(text, "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_block_of_the_standard),
        cmocka_unit_test(a_midstate_goes_on_as_the_whole_hash),
        cmocka_unit_test(the_double_hash_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
