/* SPDX-License-Identifier: Apache-2.0
 * A bert encoder on the host, one line at a time, in double precision and textbook order: slow,
 * short, and sharing nothing with the kernels. A device's answer is compared with it before the
 * device is offered. */
#ifndef SLUICE_AGENT_EXECUTORS_INFER_REFERENCE_H
#define SLUICE_AGENT_EXECUTORS_INFER_REFERENCE_H

#include <stdint.h>

#include "agent/models/bert_config.h"
#include "proto/base/error.h"

/* ret_vector: [n_embd], pooled as the model says, unit length. ids: [n], n <= n_ctx, each below
 * n_vocab. -SL_NOMEM; -SL_INVALID for ids out of range or a vector that is not finite. */
int sl_infer_reference(const struct sl_bert_model *model, const int32_t *ids, uint32_t n,
                       float *ret_vector, struct sl_error *err);

/* 1 - cosine of two vectors, in double precision; 2 where one of them has no length. */
double sl_infer_cosine_gap(const float *a, const float *b, uint32_t n);

#endif
