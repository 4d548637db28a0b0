/* SPDX-License-Identifier: Apache-2.0
 * Weights of a model as the engine wants them: matrices packed for the products (infer_gemm.h),
 * padded biases, the embedding tables, all in one page-aligned block, so that a CPU device can use
 * them in place. Thread: any. */
#ifndef SLUICE_AGENT_EXECUTORS_MODEL_PACK_H
#define SLUICE_AGENT_EXECUTORS_MODEL_PACK_H

#include "agent/executors/infer_gemm.h"
#include "agent/executors/model_set.h"
#include "proto/base/error.h"

/* Fills embed, layers, packed and packed_bytes from m->bert. -SL_NOMEM; what is there already is
 * then freed with the model. */
int sl_model_pack(struct sl_model *m, struct sl_error *err);

/* How a packed matrix is stored: as in the file; matrices that lie side by side but come in
 * different types become float32. */
enum sl_weight_type sl_model_weights(const struct sl_model_tensor *tensor);

#endif
