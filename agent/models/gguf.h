/* SPDX-License-Identifier: Apache-2.0
 * Reader of GGUF v2 and v3 files (little-endian; format: ggml's docs/gguf.md), safe against hostile
 * files: everything is checked at open, so that later look-ups only touch bytes inside the mapping.
 *
 * Refused at open: a symbolic link or anything but a regular file; unknown versions, value types or
 * tensor types; counts, texts and nesting over the limits below; a BOOL other than 0 or 1; key or
 * tensor names that repeat; more than 4 dimensions; sizes that overflow; offsets that are
 * unaligned, out of range or overlap.
 *
 * Ownership: the file owns its mapping; every pointer that is handed out lives until sl_gguf_close.
 * The whole file is read into memory at open, so that whoever shortens or rewrites it later changes
 * nothing here.
 * Thread: after open the object is constant, any thread may read it. */
#ifndef SLUICE_AGENT_MODELS_GGUF_H
#define SLUICE_AGENT_MODELS_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/models/mapping.h"
#include "proto/base/cleanup.h"
#include "proto/base/error.h"

#define SL_GGUF_MAX_KEYS 4096
#define SL_GGUF_MAX_TENSORS 16384
#define SL_GGUF_MAX_KEY_BYTES 255
#define SL_GGUF_MAX_NAME_BYTES 63 /* ggml's GGML_MAX_NAME is 64 with the terminator */
#define SL_GGUF_MAX_TEXT_BYTES (1u << 20)
#define SL_GGUF_MAX_ARRAY_ITEMS (1u << 22)
#define SL_GGUF_MAX_NESTING 4
#define SL_GGUF_MAX_DIMS 4
#define SL_GGUF_MAX_ALIGNMENT 4096u

/* The numbers are the format's own, so 0 is a type here. */
enum sl_gguf_type {
    SL_GGUF_UINT8 = 0,
    SL_GGUF_INT8 = 1,
    SL_GGUF_UINT16 = 2,
    SL_GGUF_INT16 = 3,
    SL_GGUF_UINT32 = 4,
    SL_GGUF_INT32 = 5,
    SL_GGUF_FLOAT32 = 6,
    SL_GGUF_BOOL = 7,
    SL_GGUF_TEXT = 8,
    SL_GGUF_ARRAY = 9,
    SL_GGUF_UINT64 = 10,
    SL_GGUF_INT64 = 11,
    SL_GGUF_FLOAT64 = 12,
};

/* Tensor types that are known by size; an engine supports fewer. Numbers are ggml's. */
enum sl_ggml_type {
    SL_GGML_F32 = 0,
    SL_GGML_F16 = 1,
    SL_GGML_Q4_0 = 2,
    SL_GGML_Q4_1 = 3,
    SL_GGML_Q5_0 = 6,
    SL_GGML_Q5_1 = 7,
    SL_GGML_Q8_0 = 8,
    SL_GGML_Q4_K = 12,
    SL_GGML_Q5_K = 13,
    SL_GGML_Q6_K = 14,
    SL_GGML_I32 = 26,
    SL_GGML_BF16 = 30,
};

/* Bytes inside the mapping, not terminated; may hold NUL. */
struct sl_gguf_text {
    const char *bytes;
    size_t len;
};

struct sl_gguf_array {
    enum sl_gguf_type type;
    uint64_t count;
    const uint8_t *data; /* packed little-endian items; not aligned */
    uint64_t bytes;
};

struct sl_gguf_tensor {
    char name[SL_GGUF_MAX_NAME_BYTES + 1];
    enum sl_ggml_type type;
    uint32_t n_dims;                 /* 1..4 */
    uint64_t dims[SL_GGUF_MAX_DIMS]; /* innermost first, unused ones are 1 */
    const void *data;                /* aligned to the file's alignment (>= 8) */
    uint64_t bytes;
};

struct sl_gguf;

/* Reads and checks the file. -SL_NOTFOUND, -SL_IO, -SL_NOMEM, -SL_CORRUPT (not a sound GGUF file),
 * -SL_LIMIT, -SL_UNSUPPORTED (a version or type that we do not know); the text names key or tensor.
 */
int sl_gguf_open(const char *path, struct sl_gguf **ret_file, struct sl_error *err);
/* As open, on bytes that the caller keeps alive. Tensor data is then aligned only as far as bytes
 * are (malloc: 16 bytes). */
int sl_gguf_open_memory(const void *bytes, size_t n_bytes, struct sl_gguf **ret_file,
                        struct sl_error *err);
void sl_gguf_close(struct sl_gguf *file);
SL_DEFINE_AUTO(sl_gguf, sl_gguf_close)

uint32_t sl_gguf_version(const struct sl_gguf *file);
/* Which file, in which state, was read; all zero for bytes in memory. */
struct sl_file_stamp sl_gguf_stamp(const struct sl_gguf *file);

/* SHA-256 of the whole file as 64 hex digits: what a model catalogue pins. Reads every byte. */
void sl_gguf_sha256(const struct sl_gguf *file, char ret_hex[65]);

bool sl_gguf_has(const struct sl_gguf *file, const char *key);

/* Typed getters. -SL_NOTFOUND when the key is absent, -SL_INVALID when its type or range does not
 * fit. get_u32 takes every integer type whose value fits; get_f32 takes FLOAT32 and FLOAT64. */
int sl_gguf_get_u32(const struct sl_gguf *file, const char *key, uint32_t *ret_value,
                    struct sl_error *err);
int sl_gguf_get_f32(const struct sl_gguf *file, const char *key, float *ret_value,
                    struct sl_error *err);
int sl_gguf_get_bool(const struct sl_gguf *file, const char *key, bool *ret_value,
                     struct sl_error *err);
int sl_gguf_get_text(const struct sl_gguf *file, const char *key, struct sl_gguf_text *ret_text,
                     struct sl_error *err);
/* -SL_INVALID when the items are not of `type`. */
int sl_gguf_get_array(const struct sl_gguf *file, const char *key, enum sl_gguf_type type,
                      struct sl_gguf_array *ret_array, struct sl_error *err);

bool sl_gguf_text_is(struct sl_gguf_text text, const char *want);

/* Walks an array of texts: start with *offset = 0; false at the end. */
bool sl_gguf_array_next_text(const struct sl_gguf_array *array, uint64_t *offset,
                             struct sl_gguf_text *ret_text);
/* Item of an INT32 or UINT32 array (bytes are copied, so alignment does not matter). */
int32_t sl_gguf_array_i32(const struct sl_gguf_array *array, uint64_t index);

size_t sl_gguf_tensor_count(const struct sl_gguf *file);
/* In the file's order. index < count. */
const struct sl_gguf_tensor *sl_gguf_tensor_at(const struct sl_gguf *file, size_t index);
/* NULL when there is none. */
const struct sl_gguf_tensor *sl_gguf_find_tensor(const struct sl_gguf *file, const char *name);

/* "F32", "Q4_0", ...; "?" for a number that is no known type. */
const char *sl_ggml_type_name(enum sl_ggml_type type);
/* Bytes of n elements of which rows have row elements. False when the type is unknown, rows do not
 * fill blocks, or the size overflows. */
bool sl_ggml_size(enum sl_ggml_type type, uint64_t row, uint64_t n, uint64_t *ret_bytes);

#endif
