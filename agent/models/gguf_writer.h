/* SPDX-License-Identifier: Apache-2.0
 * Writer of GGUF v3 files, for sluice-convert and for tests that make small models.
 *
 * Keys and tensors are written in the order in which they were added; data is aligned to 32 bytes.
 * Errors of the put functions are kept and reported by save. The same calls give the same bytes.
 * Ownership: key values are copied; tensor data is borrowed until save returns.
 * Thread: one object, one thread. */
#ifndef SLUICE_AGENT_MODELS_GGUF_WRITER_H
#define SLUICE_AGENT_MODELS_GGUF_WRITER_H

#include "agent/models/gguf.h"
#include "proto/base/text.h"

struct sl_gguf_writer;

int sl_gguf_writer_create(struct sl_gguf_writer **ret_writer, struct sl_error *err);
void sl_gguf_writer_destroy(struct sl_gguf_writer *writer);
SL_DEFINE_AUTO(sl_gguf_writer, sl_gguf_writer_destroy)

void sl_gguf_put_u32(struct sl_gguf_writer *writer, const char *key, uint32_t value);
void sl_gguf_put_f32(struct sl_gguf_writer *writer, const char *key, float value);
void sl_gguf_put_bool(struct sl_gguf_writer *writer, const char *key, bool value);
void sl_gguf_put_text(struct sl_gguf_writer *writer, const char *key, struct sl_gguf_text value);
void sl_gguf_put_texts(struct sl_gguf_writer *writer, const char *key,
                       const struct sl_gguf_text *items, size_t count);
void sl_gguf_put_i32s(struct sl_gguf_writer *writer, const char *key, const int32_t *items,
                      size_t count);

/* Where a tensor's bytes come from: read writes n bytes that begin at byte `offset` of the tensor.
 * Every offset and n but the last is a multiple of 4096. */
struct sl_gguf_source {
    void (*read)(const void *context, uint64_t offset, void *out, size_t n);
    const void *context;
};

/* dims: innermost first, as in struct sl_gguf_tensor. */
void sl_gguf_put_tensor(struct sl_gguf_writer *writer, const char *name, enum sl_ggml_type type,
                        uint32_t n_dims, const uint64_t *dims, struct sl_gguf_source source);
/* As put_tensor, with bytes that lie in memory. */
void sl_gguf_put_tensor_data(struct sl_gguf_writer *writer, const char *name,
                             enum sl_ggml_type type, uint32_t n_dims, const uint64_t *dims,
                             const void *data);

/* The whole file in memory. */
int sl_gguf_writer_bytes(const struct sl_gguf_writer *writer, struct sl_buf *ret_bytes,
                         struct sl_error *err);

/* Writes path atomically: a temporary file beside it, fsync, check, rename, fsync of the folder.
 * check (may be NULL) sees the finished temporary file; when it fails, nothing takes path's place.
 */
int sl_gguf_writer_save(const struct sl_gguf_writer *writer, const char *path,
                        int (*check)(const char *path, struct sl_error *err), struct sl_error *err);

#endif
