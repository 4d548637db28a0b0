/* SPDX-License-Identifier: Apache-2.0
 * Vectors as text. Bit-exact and pure; any thread. */
#ifndef SLUICE_BROKER_BATCH_NUMBER_H
#define SLUICE_BROKER_BATCH_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#define SL_FLOAT_TEXT_MAX 32

/* A binary32 as printf's "%.9g" writes it (nine digits bring every binary32 back), ten times
 * faster for the values that unit vectors hold. bits: the IEEE representation, finite. Writes no
 * NUL; returns the length, at most SL_FLOAT_TEXT_MAX. */
size_t sl_float_format(uint32_t bits, char *out);

/* RFC 4648 base64 with padding; out holds 4 * ((n + 2) / 3), no NUL. Returns the length. */
size_t sl_base64_encode(const uint8_t *bytes, size_t n, char *out);

#endif
