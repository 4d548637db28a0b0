/* SPDX-License-Identifier: Apache-2.0
 * Values of the tensor types that an encoder may have, F32, F16 and Q8_0, from and to float.
 *
 * Layouts are ggml's (ggml-common.h): F16 is IEEE 754 binary16; Q8_0 is blocks of 32 values, each a
 * binary16 scale and 32 int8, value = scale x int8. Data is little-endian and need not be aligned.
 * Thread: any. */
#ifndef SLUICE_AGENT_MODELS_GGML_ROW_H
#define SLUICE_AGENT_MODELS_GGML_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/models/gguf.h"

#define SL_Q8_0_BLOCK 32u
#define SL_Q8_0_BLOCK_BYTES 34u

/* binary16 bits to binary32 bits, exactly. */
uint32_t sl_half_to_float_bits(uint16_t half);
/* Round to nearest, ties to even. Beyond the largest finite value it gives an infinity. */
uint16_t sl_half_from_float(float value);

/* F32, F16 or Q8_0. */
bool sl_ggml_row_known(enum sl_ggml_type type);
/* n values of a known type, from `data` on, exactly. n fills whole blocks. */
void sl_ggml_row_floats(enum sl_ggml_type type, const void *data, size_t n, float *ret_values);
/* n floats in a known type's layout. F16 rounds; Q8_0 takes the scale max |x| / 127 and rounds to
 * nearest. False when a value or scale is beyond what the type holds; out is then undefined. */
bool sl_ggml_row_encode(enum sl_ggml_type type, const float *values, size_t n, void *out);
/* All n values are finite. */
bool sl_ggml_row_finite(enum sl_ggml_type type, const void *data, size_t n);

#endif
