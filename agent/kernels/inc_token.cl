/* SPDX-License-Identifier: Apache-2.0
 * Rows of the token table in its file's type: F32, F16, or Q8_0 (blocks of 32 int8 behind a half
 * scale, 34 bytes). TYPE_BEGIN makes `token` out of table, row and width; TYPE_ONE(i) is element i,
 * TYPE_VECTOR(i) the VW from i on, of which none crosses a block. vload_half is core OpenCL. */
#define F32_BEGIN(table, row, width)                                                               \
    __global const float *token = (__global const float *)(table) + (size_t)(row) * (width);
#define F32_ONE(i) token[i]
#define F32_VECTOR(i) LOADV(token + (i))

#define F16_BEGIN(table, row, width)                                                               \
    __global const half *token = (__global const half *)(table) + (size_t)(row) * (width);
#define F16_ONE(i) vload_half((i), token)
#define F16_VECTOR(i) VEC_JOIN(vload_half, VW)(0, token + (i))

#define Q8_BEGIN(table, row, width)                                                                \
    __global const char *token = (table) + (size_t)(row) * ((width) / 32u) * 34u;
#define Q8_SCALE(i) vload_half((i) / 32u * 17u, (__global const half *)token)
#define Q8_AT(i) ((i) / 32u * 34u + 2u + (i) % 32u)
#define Q8_ONE(i) (Q8_SCALE(i) * (float)token[Q8_AT(i)])
#define Q8_VECTOR(i)                                                                               \
    (Q8_SCALE(i) * VEC_JOIN(convert_float, VW)(VEC_JOIN(vload, VW)(0, token + Q8_AT(i))))
