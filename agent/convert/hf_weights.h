/* SPDX-License-Identifier: Apache-2.0
 * The weights of a HuggingFace folder: model.safetensors or, where there is none, the files that
 * model.safetensors.index.json maps tensors to. What the index says of a file is what the file
 * holds, to the last tensor, so that none comes from another place than a reader of the index
 * would take it from. Constant after open; any thread. */
#ifndef SLUICE_AGENT_CONVERT_HF_WEIGHTS_H
#define SLUICE_AGENT_CONVERT_HF_WEIGHTS_H

#include <stddef.h>

#include "agent/models/safetensors.h"
#include "proto/base/cleanup.h"
#include "proto/base/error.h"

#define SL_HF_FILES_MAX 128

struct sl_hf_weights;

/* -SL_NOTFOUND, -SL_CORRUPT, -SL_LIMIT, -SL_INVALID or what reading a file says. */
int sl_hf_weights_open(const char *folder, struct sl_hf_weights **ret_weights,
                       struct sl_error *err);
void sl_hf_weights_close(struct sl_hf_weights *weights);
SL_DEFINE_AUTO(sl_hf_weights, sl_hf_weights_close)

/* For errors: the file that names all tensors. */
const char *sl_hf_weights_name(const struct sl_hf_weights *weights);
size_t sl_hf_weights_count(const struct sl_hf_weights *weights);
/* index < count. */
const struct sl_safetensors_tensor *sl_hf_weights_at(const struct sl_hf_weights *weights,
                                                     size_t index);
/* NULL when there is none. */
const struct sl_safetensors_tensor *sl_hf_weights_find(const struct sl_hf_weights *weights,
                                                       const char *name);

#endif
