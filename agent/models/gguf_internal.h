/* SPDX-License-Identifier: Apache-2.0
 * Inside of struct sl_gguf, shared by the parser (gguf.c) and the getters (gguf_value.c). */
#ifndef SLUICE_AGENT_MODELS_GGUF_INTERNAL_H
#define SLUICE_AGENT_MODELS_GGUF_INTERNAL_H

#include "agent/models/gguf.h"
#include "agent/models/mapping.h"

struct gguf_key {
    struct sl_gguf_text name;
    enum sl_gguf_type type;
    const uint8_t *value;       /* of scalars: the bytes in the file */
    struct sl_gguf_text text;   /* SL_GGUF_TEXT */
    struct sl_gguf_array array; /* SL_GGUF_ARRAY */
};

struct sl_gguf {
    struct sl_mapping mapping; /* empty when the bytes are the caller's */
    struct sl_file_stamp stamp;
    const uint8_t *bytes;
    size_t n_bytes;
    uint32_t version;
    uint64_t alignment;
    struct gguf_key *keys; /* sorted by name */
    size_t n_keys;
    struct sl_gguf_tensor *tensors; /* in the file's order */
    const struct sl_gguf_tensor **by_name;
    size_t n_tensors;
};

/* NULL when absent. */
const struct gguf_key *gguf_key_find(const struct sl_gguf *file, const char *name);
int gguf_text_compare(struct sl_gguf_text a, struct sl_gguf_text b);
/* 0 for TEXT, ARRAY and unknown types. */
size_t gguf_scalar_bytes(enum sl_gguf_type type);

#endif
