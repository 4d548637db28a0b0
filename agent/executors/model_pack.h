/* SPDX-License-Identifier: Apache-2.0
 * Weights of a model as the engine wants them: matrices packed for the products (infer_gemm.h),
 * padded biases, the embedding tables, all in one page-aligned block, so that a CPU device can use
 * them in place. Thread: any. */
#ifndef SLUICE_AGENT_EXECUTORS_MODEL_PACK_H
#define SLUICE_AGENT_EXECUTORS_MODEL_PACK_H

#include "agent/executors/model_set.h"
#include "proto/base/error.h"

/* Fills embed, layers, packed and packed_bytes from m->bert. -SL_NOMEM; what is there already is
 * then freed with the model. */
int sl_model_pack(struct sl_model *m, struct sl_error *err);

#endif
