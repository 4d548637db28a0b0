/* SPDX-License-Identifier: Apache-2.0
 * SHA-256 (FIPS 180-4) as far as hashing work needs it: the bare compression function, since a
 * header's first 64 bytes are compressed once for 2^32 nonces and libsodium has no way to get at
 * that midstate; and the double hash, which libsodium computes. Pure functions. Thread: any. */
#ifndef SLUICE_AGENT_STRATUM_SHA256_H
#define SLUICE_AGENT_STRATUM_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* The initial hash value of FIPS 180-4, 5.3.3. */
void sl_sha256_initial(uint32_t ret_state[8]);

/* One compression of a 64-byte block into `state`. */
void sl_sha256_compress(uint32_t state[8], const uint8_t block[64]);

/* SHA-256 of the SHA-256 of the data. */
void sl_sha256d(const void *data, size_t size, uint8_t ret_hash[32]);

#endif
