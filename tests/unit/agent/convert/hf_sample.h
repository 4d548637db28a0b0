/* SPDX-License-Identifier: Apache-2.0
 * A small, sound HuggingFace folder of a bert encoder that tests spoil file by file: 1 layer, 4
 * wide, 2 heads, 6 in the middle, 8 pieces, 5 positions. */
#ifndef SLUICE_TESTS_UNIT_AGENT_CONVERT_HF_SAMPLE_H
#define SLUICE_TESTS_UNIT_AGENT_CONVERT_HF_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HF_SAMPLE_TENSORS 24

struct hf_sample_tensor {
    const char *hf, *gguf;  /* gguf NULL: is not converted */
    uint32_t rows, columns; /* rows 0: a vector */
};

extern const struct hf_sample_tensor hf_sample_tensors[HF_SAMPLE_TENSORS];

struct hf_sample {
    char folder[64];
    char out[96];
};

/* Makes the folder below /tmp with all files; the weights are of dtype F32, F16 or BF16 and their
 * names begin with prefix. */
void hf_sample_make(struct hf_sample *sample, const char *dtype, const char *prefix);
/* The weights in so many files "model-I.safetensors" with an index, in place of one. */
void hf_sample_split(const struct hf_sample *sample, const char *dtype, const char *prefix,
                     size_t files);
void hf_sample_remove(const struct hf_sample *sample);

/* Element i of tensor t; exact in all three types. */
float hf_sample_value(size_t t, size_t i);

/* Writes a file of the folder; text NULL removes it. */
void hf_sample_put(const struct hf_sample *sample, const char *name, const char *text);
void hf_sample_put_bytes(const struct hf_sample *sample, const char *name, const void *bytes,
                         size_t n);
/* Replaces the one place where a file says `old`. */
void hf_sample_replace(const struct hf_sample *sample, const char *name, const char *old,
                       const char *with);
/* vocab.txt's pieces as a tokenizer.json. */
extern const char hf_sample_tokenizer_json[];

#endif
