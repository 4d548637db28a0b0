/* SPDX-License-Identifier: Apache-2.0
 * HuggingFace folder -> GGUF file of architecture `bert`, names, keys and tensor types as llama.cpp
 * writes them: matrices of layers and the token table in the wanted type, all else F32. The
 * finished file is opened with the engine's own readers before it takes its place. Thread: any. */
#ifndef SLUICE_AGENT_CONVERT_CONVERT_H
#define SLUICE_AGENT_CONVERT_CONVERT_H

#include <stdbool.h>

#include "agent/convert/hf_folder.h"
#include "agent/models/bert_config.h"
#include "proto/base/error.h"

struct sl_convert_request {
    const char *folder;
    const char *out;              /* replaced by rename when all went well */
    const char *name;             /* general.name; NULL: the file name of out without .gguf */
    enum sl_bert_pooling pooling; /* 0: as the folder says */
    enum sl_ggml_type type;       /* F32 (0), F16 or Q8_0 */
};

struct sl_convert_report {
    struct sl_bert_config config;
    bool normalizes; /* the folder asks for unit vectors, which Sluice always gives */
    uint64_t weights;
    struct sl_hf_advice advice;
};

int sl_convert(const struct sl_convert_request *request, struct sl_convert_report *ret_report,
               struct sl_error *err);

#endif
