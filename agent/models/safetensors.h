/* SPDX-License-Identifier: Apache-2.0
 * Reader of safetensors files, safe against hostile ones: u64 header length, a JSON object of
 * tensors, raw row-major data (format: the safetensors README). The header is checked whole at
 * open: length, types, shapes whose product matches the bytes, and data that is covered without
 * hole or overlap.
 *
 * Ownership: the file owns its mapping; pointers live until close. Thread: constant after open. */
#ifndef SLUICE_AGENT_MODELS_SAFETENSORS_H
#define SLUICE_AGENT_MODELS_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/cleanup.h"
#include "proto/base/error.h"

#define SL_SAFETENSORS_MAX_HEADER_BYTES (UINT64_C(16) << 20)
#define SL_SAFETENSORS_MAX_TENSORS 16384
#define SL_SAFETENSORS_MAX_DIMS 8
#define SL_SAFETENSORS_MAX_NAME_BYTES 255

enum sl_safetensors_type {
    SL_SAFETENSORS_F32 = 1,
    SL_SAFETENSORS_F16,
    SL_SAFETENSORS_BF16,
    SL_SAFETENSORS_OTHER, /* known size, no use for weights: integers, F64, F8 */
};

struct sl_safetensors_tensor {
    char *name;
    enum sl_safetensors_type type;
    uint32_t n_dims;
    uint64_t shape[SL_SAFETENSORS_MAX_DIMS]; /* outermost first */
    uint64_t elements;
    const uint8_t *data; /* little-endian, not aligned */
    uint64_t bytes;
};

struct sl_safetensors;

/* -SL_NOTFOUND, -SL_IO, -SL_CORRUPT, -SL_LIMIT, -SL_UNSUPPORTED, -SL_NOMEM. */
int sl_safetensors_open(const char *path, struct sl_safetensors **ret_file, struct sl_error *err);
/* As open, on bytes that the caller keeps alive. */
int sl_safetensors_open_memory(const void *bytes, size_t n_bytes, struct sl_safetensors **ret_file,
                               struct sl_error *err);
void sl_safetensors_close(struct sl_safetensors *file);
SL_DEFINE_AUTO(sl_safetensors, sl_safetensors_close)

size_t sl_safetensors_count(const struct sl_safetensors *file);
/* In the order of their data. index < count. */
const struct sl_safetensors_tensor *sl_safetensors_at(const struct sl_safetensors *file,
                                                      size_t index);
/* NULL when there is none. */
const struct sl_safetensors_tensor *sl_safetensors_find(const struct sl_safetensors *file,
                                                        const char *name);

/* n elements from `first` on as float: exact for F32, F16 and BF16. first + n <= elements; type
 * must not be OTHER. */
void sl_safetensors_floats(const struct sl_safetensors_tensor *tensor, uint64_t first, uint64_t n,
                           float *ret_values);

#endif
